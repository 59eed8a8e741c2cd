"""The session service of the Agent Development Kit, over any store of this package."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from types import TracebackType
from typing import Any, Self
from weakref import WeakValueDictionary

from google.adk.errors.already_exists_error import AlreadyExistsError
from google.adk.events.event import Event
from google.adk.sessions.base_session_service import (
    BaseSessionService,
    GetSessionConfig,
    ListSessionsResponse,
)
from google.adk.sessions.session import Session

from praison_persist._flow import finish
from praison_persist._ids import new_id
from praison_persist.errors import (
    ConfigurationError,
    ConflictError,
    UnsupportedError,
)
from praison_persist.integrations._adk_log import read, since
from praison_persist.integrations._adk_records import (
    Record,
    after,
    app_key,
    conversation_id,
    mark,
    shown,
    split,
    user_key,
)
from praison_persist.integrations._adk_writer import EventWriter
from praison_persist.integrations._stores import async_stores, given_state
from praison_persist.models import ConversationMessage, ConversationSession
from praison_persist.protocols import Capability

__all__ = ["PersistSessionService"]


class PersistSessionService(BaseSessionService):  # type: ignore[misc]  # typed only where it is installed
    """Keeps the sessions of a `Runner`; pass it as `session_service=`.

    One object serves all tasks and event loops of a process; any number of processes may share a
    database.

    Args:
        database: a database URL, a path of an SQLite file, or a conversation store, which stays the
            caller's to close. None is the URL in PRAISON_CONVERSATION_URL.
        state: where state of apps and users is kept: a URL, or a state store, which stays the
            caller's to close. None is beside the conversations, in a SQL database.
        clock: tells when a session is created, in seconds since the epoch.
        options: of the store that `database` makes, if that is a URL.

    Raises:
        ConfigurationError: no state is kept beside the conversations, and `state` is None.
        UnsupportedError: the store lacks `Capability.EXPECTED_VERSION`.
        UnknownBackendError, MissingDependencyError: see `praison_persist.db`.
    """

    def __init__(
        self,
        database: Any = None,
        *,
        state: Any = None,
        clock: Callable[[], float] = time.time,
        **options: Any,
    ) -> None:
        stores = async_stores(database, options)
        self._conversations, self._closing = stores.conversation, [stores.close]
        if Capability.EXPECTED_VERSION not in self._conversations.capabilities:
            raise UnsupportedError(
                f"{self._conversations!r} lacks EXPECTED_VERSION: sessions that several write to "
                "would lose state"
            )
        if state is not None:
            self._state, close = given_state(state)
            self._closing.append(close)
        elif stores.state is not None:
            self._state = stores.state
        else:
            raise ConfigurationError(
                f"{self._conversations!r} keeps no state of apps and users: pass state=, a URL or "
                "a state store"
            )
        self._writer = EventWriter(self._conversations, self._state)
        self._clock = clock
        self._turns: WeakValueDictionary[tuple[int, str], asyncio.Lock] = WeakValueDictionary()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._conversations!r})"

    async def create_session(
        self,
        *,
        app_name: str,
        user_id: str,
        state: dict[str, Any] | None = None,
        session_id: str | None = None,
    ) -> Session:
        """Create a session, under a new id if none or an empty one is given.

        Raises:
            AlreadyExistsError: there is one with this id.
            InvalidDataError: the state, or an id, cannot be kept.
        """
        session_id = session_id or new_id()
        changes, now = split(state or {}), self._clock()
        record = Record(app_name, user_id, session_id, new_id(), now)
        record = replace(record, app=changes.app, user=changes.user)
        conversation = ConversationSession(
            conversation_id(app_name, user_id, session_id),
            user_id=user_id,
            agent_id=app_name,
            state=changes.session,
            created_at=now,
            updated_at=now,
        )
        return await finish(self._create(record.on(conversation), record))

    async def _create(self, conversation: ConversationSession, record: Record) -> Session:
        try:
            conversation = await self._conversations.create_session(conversation)
        except ConflictError as error:
            raise AlreadyExistsError(f"Session with id {record.id} already exists.") from error
        if record.app or record.user:
            with suppress(ConflictError):  # the first event came meanwhile, and settled it
                await self._writer.settle(conversation, record)
        return await self._shown(conversation, record, [])

    async def get_session(
        self,
        *,
        app_name: str,
        user_id: str,
        session_id: str,
        config: GetSessionConfig | None = None,
    ) -> Session | None:
        """Return the session with its events in the order they were appended, None if unknown.

        State is that of all its events, whichever the `config` asks for.
        """
        if not session_id:
            return None
        key = conversation_id(app_name, user_id, session_id)
        conversation = await self._conversations.get_session(key)
        record = None if conversation is None else Record.of(conversation)
        if conversation is None or record is None:
            return None
        messages, last = await read(self._conversations, key, config)
        unknown = await since(self._conversations, key, record, last)
        return await self._shown(*after(conversation, record, unknown), messages)

    async def _shown(
        self,
        conversation: ConversationSession,
        record: Record,
        messages: Sequence[ConversationMessage],
    ) -> Session:
        app = await self._state.hgetall(app_key(record.app_name))
        user = await self._state.hgetall(user_key(record.app_name, record.user_id))
        return shown(conversation, record, app, user, messages)

    async def list_sessions(
        self, *, app_name: str, user_id: str | None = None
    ) -> ListSessionsResponse:
        """Return the sessions of a user, or of all, without events, last updated last."""
        conversations = await self._conversations.list_sessions(
            user_id=user_id, agent_id=app_name, limit=None
        )
        app = await self._state.hgetall(app_key(app_name))
        users: dict[str, dict[str, Any]] = {}
        sessions = []
        for conversation in conversations:
            record = Record.of(conversation)
            if record is None:
                continue
            if record.user_id not in users:
                key = user_key(app_name, record.user_id)
                users[record.user_id] = await self._state.hgetall(key)
            sessions.append(shown(conversation, record, app, users[record.user_id], []))
        sessions.sort(key=lambda session: (session.last_update_time, session.user_id, session.id))
        return ListSessionsResponse(sessions=sessions)

    async def delete_session(self, *, app_name: str, user_id: str, session_id: str) -> None:
        """Delete the session with its events, if there is one. App's and user's state stay."""
        if session_id:
            key = conversation_id(app_name, user_id, session_id)
            await self._conversations.delete_session(key)

    async def get_user_state(self, *, app_name: str, user_id: str) -> dict[str, Any]:
        """Return the state that the user has in all sessions, names without `user:`."""
        return await self._state.hgetall(user_key(app_name, user_id))

    async def append_event(self, session: Session, event: Event) -> Event:
        """Append the event to the stored session and to `session`, with what it does to the state.

        Appending the same event to a session as it was before is the same write. An event that is
        `partial` is returned as it is.

        Raises:
            StaleSessionError: others appended to the session since `session` was read.
            SessionNotFoundError: it was deleted.
            InvalidDataError: the event or its state cannot be kept; nothing was stored.
        """
        if event.partial:
            return event
        self._apply_temp_state(session, event)
        event = self._trim_temp_delta_state(event)
        key = conversation_id(session.app_name, session.user_id, session.id)
        # Branches of one invocation append to one object; each is to see what the other appended.
        turn = self._turns.setdefault((id(asyncio.get_running_loop()), key), asyncio.Lock())
        async with turn:
            return await finish(self._commit(key, session, event))

    async def _commit(self, key: str, session: Session, event: Event) -> Event:
        marker = await self._writer.append(key, session, event)
        session.last_update_time = event.timestamp
        mark(session, marker)
        return self._commit_event_to_session(session, event)

    async def close(self) -> None:
        """Release what URLs made; stores that were passed stay open."""
        async with AsyncExitStack() as stack:
            for close in self._closing:
                stack.push_async_callback(close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()
