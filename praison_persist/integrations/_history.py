"""What adapters do to a conversation beyond one call of a store; flows for stores of either colour.

On a SQL store each is one transaction under the session's lock. Elsewhere each is several calls,
every one of them atomic, in an order that loses nothing if the process dies between two.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import sqlalchemy as sa

from praison_persist._flow import Flow, wait
from praison_persist.errors import NotFoundError
from praison_persist.integrations._conversations import Side
from praison_persist.models import ConversationMessage, ConversationSession
from praison_persist.protocols import Capability
from praison_persist.sql import conversation, history
from praison_persist.sql.replica import about_session
from praison_persist.sql.schema import Tables

__all__ = ["Kept", "Rows", "append", "delete", "replace", "take"]

Rows = Sequence[ConversationMessage]
# How many of the stored messages, from the first on, stay as they are.
Kept = Callable[[ConversationSession, Rows], int]

# Others may delete a session between two calls; nobody does so that often.
_RACES = 20


def append(side: Side, session: ConversationSession, messages: Rows) -> Flow[None]:
    """Append messages, all or none where the store can, to a session that is created if need be.

    Raises:
        ConflictError: one of the ids is stored with other content.
    """
    if not messages:
        return
    for _ in range(_RACES):
        try:
            yield from _add(side, session.session_id, messages)
        except NotFoundError:
            yield from wait(side.store.ensure_session(session))
        else:
            return
    yield from _add(side, session.session_id, messages)


def _add(side: Side, session_id: str, messages: Rows) -> Flow[None]:
    if Capability.BATCH in (side.store.capabilities or ()):
        yield from wait(side.store.add_messages(session_id, messages))
        return
    for message in messages:
        yield from wait(side.store.add_message(session_id, message))


def replace(side: Side, session: ConversationSession, messages: Rows, kept: Kept) -> Flow[None]:
    """Let the session, which is created if need be, have these messages alone.

    Stored ones that are equal, from the first on, are not written again.

    Elsewhere than on a SQL store the new messages are appended before the old ones are deleted: a
    reader in between sees both, and of two that replace at the same time both leave theirs.
    """
    if side.transaction is not None:
        yield from wait(side.transaction(_replace, session, messages, kept, time.time()))
        return
    stored_session = yield from wait(side.store.ensure_session(session))
    stored = yield from wait(side.store.get_messages(session.session_id))
    count = kept(stored_session, stored)
    yield from append(side, session, messages[count:])
    ids = [message.id for message in stored[count:]]
    if ids:
        yield from wait(side.store.delete_messages(session.session_id, ids))


@about_session
def _replace(
    connection: sa.Connection,
    t: Tables,
    session: ConversationSession,
    messages: Rows,
    kept: Kept,
    now: float,
) -> None:
    session_id = session.session_id
    stored_session = session
    if not conversation.insert_session(connection, t, session):
        conversation.lock_session(connection, t, session_id)
        stored_session = conversation.get_session(connection, t, session_id) or session
    stored = conversation.get_messages(connection, t, session_id)
    count = kept(stored_session, stored)
    if count < len(stored):
        # Snapshots and forks of the session go on showing what it shows no more.
        seq = (stored[count - 1].seq or 0) if count else 0
        history.revert(connection, t, session_id, seq, now, of_now=True)
        history.erase_history(connection, t, session_id)
    if count < len(messages):
        conversation.add_messages(connection, t, session_id, messages[count:], now)


def take(
    side: Side,
    session_id: str,
    choose: Callable[[Rows], ConversationMessage | None],
    newest: int | None = None,
) -> Flow[ConversationMessage | None]:
    """Delete the message that `choose` returns, and return it; None if it returns none.

    Of several callers that choose the same message one gets it, and the others choose again.

    Args:
        side: the conversations.
        session_id: the session.
        choose: gets the messages, oldest first.
        newest: how many of them it gets; None: all.
    """
    while True:
        chosen = choose((yield from wait(side.store.get_messages(session_id, newest))))
        if chosen is None:
            return None
        if (yield from wait(side.store.delete_messages(session_id, [chosen.id]))):
            return chosen


def delete(side: Side, session_id: str) -> Flow[list[ConversationMessage] | None]:
    """Delete the session with all that belongs to it, and return its messages; None: none was.

    Elsewhere than on a SQL store, what is appended meanwhile is deleted and not returned.
    """
    if side.transaction is not None:
        gone: list[ConversationMessage] | None = yield from wait(
            side.transaction(_delete, session_id)
        )
        return gone
    stored: list[ConversationMessage] = yield from wait(side.store.get_messages(session_id))
    return stored if (yield from wait(side.store.delete_session(session_id))) else None


@about_session
def _delete(
    connection: sa.Connection, t: Tables, session_id: str
) -> list[ConversationMessage] | None:
    conversation.lock_session(connection, t, session_id)
    stored = conversation.get_messages(connection, t, session_id)
    return stored if conversation.delete_session(connection, t, session_id) else None
