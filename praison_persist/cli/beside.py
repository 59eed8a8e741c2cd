"""Conversations with what is kept beside them: the runs and traces of a state store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from praison_persist._environment import own_variable
from praison_persist.cli.stores import open_conversations
from praison_persist.connect import Connected, connect_store
from praison_persist.errors import NotFoundError
from praison_persist.models import ConversationSession
from praison_persist.protocols import ConversationStore

__all__ = ["existing", "open_all"]


@contextmanager
def open_all(
    url: str | None,
    table_prefix: str | None = None,
    schema: str | None = None,
    state_url: str | None = None,
    *,
    create: bool = False,
) -> Iterator[Connected]:
    """Open conversations, and the state store that keeps their runs if there is one.

    Args:
        url: see `open_conversations`, as `table_prefix`, `schema` and `create`.
        table_prefix: see there.
        schema: see there.
        state_url: where runs and traces are, if not with the conversations; None is the
            environment's, if the conversations are the environment's as well.
        create: see there.

    Raises:
        ConfigurationError, NotFoundError, UnavailableError: see there.
    """
    with open_conversations(url, table_prefix, schema, create=create) as connected:
        found = state_url or (own_variable("STATE_URL") if url is None else None)
        if found is not None:
            connected.use_state(connect_store("state", found, None, None))
        yield connected


def existing(store: ConversationStore, session_id: str) -> ConversationSession:
    """Return a session.

    Raises:
        NotFoundError: there is none of this id.
    """
    session = store.get_session(session_id)
    if session is None:
        raise NotFoundError(
            f"There is no session {session_id!r}; praison-persist sessions list shows those there "
            "are"
        )
    return session
