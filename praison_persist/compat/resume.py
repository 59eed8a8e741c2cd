"""Resume a session or create it, with calls that the caller chooses."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from praison_persist.models import ConversationMessage, ConversationSession

__all__ = ["aresume_or_create_session", "resume_or_create_session"]

Messages = list[ConversationMessage]


def resume_or_create_session(
    store: Any,
    session: ConversationSession | None,
    session_id: str,  # noqa: ARG001 - the documented signature
    build_session: Callable[[], ConversationSession],
    get_messages: Callable[[], Messages],
    create_session: Callable[[ConversationSession], Any] | None = None,
) -> Messages | None:
    """Return the messages of a session that was found, or create one and return None.

    Args:
        store: creates it, unless `create_session` is given.
        session: what was found; None if there is none.
        session_id: of the session.
        build_session: returns the session to create.
        get_messages: returns the messages of the one that was found.
        create_session: stores the new one.
    """
    if session is not None:
        return get_messages()
    (create_session or store.create_session)(build_session())
    return None


async def aresume_or_create_session(
    store: Any,  # noqa: ARG001 - the documented signature
    session: ConversationSession | None,
    session_id: str,  # noqa: ARG001 - as above
    build_session: Callable[[], ConversationSession],
    create_session: Callable[[ConversationSession], Awaitable[Any]],
    get_messages: Callable[[], Awaitable[Messages]],
) -> Messages | None:
    """As `resume_or_create_session`, with calls that are awaited."""
    if session is not None:
        return await get_messages()
    await create_session(build_session())
    return None
