"""Appending an event to a stored session: one message commits it, the rest follows from that."""

from __future__ import annotations

from dataclasses import replace

from google.adk.errors import StaleSessionError
from google.adk.errors.session_not_found_error import SessionNotFoundError
from google.adk.events.event import Event
from google.adk.sessions.session import Session

from praison_persist.errors import ConflictError, NotFoundError
from praison_persist.integrations._adk_events import message_of
from praison_persist.integrations._adk_log import since
from praison_persist.integrations._adk_records import (
    Record,
    after,
    app_key,
    split,
    user_key,
)
from praison_persist.models import ConversationMessage, ConversationSession
from praison_persist.newest import newest
from praison_persist.protocols import AsyncConversationStore, AsyncStateStore

__all__ = ["EventWriter"]


class EventWriter:
    """Appends to the sessions that are kept in these stores."""

    def __init__(self, store: AsyncConversationStore, state: AsyncStateStore) -> None:
        self._store, self._state = store, state

    async def append(self, key: str, session: Session, event: Event) -> str:
        """Store the event and what it does to state; return the marker of whom has seen it.

        The message is what commits. Who fails behind it has appended all the same: readers add what
        the row and the state store lack, and the next who appends brings both up to it.
        """
        split(event.actions.state_delta)
        with newest():
            try:
                conversation, record = await self._found(key, session)
                seen = await self._seen(key, session, event, conversation, record)
                message = message_of(event, record.message_id(seen + 1))
                stored = await self._store.add_message(key, message)
                await self._apply(key, session, conversation, record, stored)
            except ConflictError as error:
                raise _stale(session) from error
            except NotFoundError as error:
                raise _gone(session) from error
        return message.id

    async def _found(self, key: str, session: Session) -> tuple[ConversationSession, Record]:
        conversation = await self._store.get_session(key)
        record = None if conversation is None else Record.of(conversation)
        if conversation is None or record is None:
            raise _gone(session)
        return conversation, record

    async def _seen(
        self,
        key: str,
        session: Session,
        event: Event,
        conversation: ConversationSession,
        record: Record,
    ) -> int:
        """Return the revision that `session` shows, unless it is known to be superseded."""
        marker = session._storage_update_marker  # noqa: SLF001 - ADK's place for it
        if marker is not None:
            seen = record.revision_of(marker)
            repeated = seen == record.revision - 1 and event.id == record.event_id
            if seen is None or (seen < record.revision and not repeated):
                raise _stale(session)
            return seen
        # One that was made by hand, or came over a wire: ADK compares times and last events.
        last = next(iter(await self._store.get_messages(key, limit=1)), None)
        unknown = await since(self._store, key, record, last)
        record = after(conversation, record, unknown)[1]
        shown_id = session.events[-1].id if session.events else ""
        if record.last_update_time > session.last_update_time and shown_id != record.event_id:
            raise _stale(session)
        return record.revision

    async def _apply(
        self,
        key: str,
        session: Session,
        conversation: ConversationSession,
        record: Record,
        stored: ConversationMessage,
    ) -> None:
        """Bring the row, and the state of app and user, up to the stored event."""
        revision = record.revision_of(stored.id) or 0
        while record.revision < revision:
            # Between may be events whose append failed half-way.
            follows = record.revision == revision - 1
            unknown = [stored] if follows else await since(self._store, key, record, stored)
            try:
                return await self.settle(*after(conversation, record, unknown))
            except ConflictError:
                # Another wrote to the row: perhaps a name, perhaps just this.
                conversation, record = await self._found(key, session)
        return None

    async def settle(self, conversation: ConversationSession, record: Record) -> None:
        """Hand the state of app and user over, then note in the row that this is done."""
        scopes = (
            (app_key(record.app_name), record.app),
            (user_key(record.app_name, record.user_id), record.user),
        )
        for key, changes in scopes:
            for name, value in changes.items():
                await self._state.hset(key, name, value)
        settled = replace(record, app={}, user={}).on(conversation)
        await self._store.update_session(settled, expected_version=conversation.version)


def _stale(session: Session) -> StaleSessionError:
    return StaleSessionError(
        f"Session {session.id!r} was written to since it was read: get it again, then append"
    )


def _gone(session: Session) -> SessionNotFoundError:
    return SessionNotFoundError(f"Session {session.id} not found.")
