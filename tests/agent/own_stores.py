"""Stores as users write them: of the base classes, and of none."""

from __future__ import annotations

import asyncio
import copy
import threading
from collections.abc import Sequence
from typing import Any

from praison_persist import (
    AsyncConversationStore,
    ConflictError,
    ConversationMessage,
    ConversationSession,
    ConversationStore,
    NotFoundError,
)


class DictStore(ConversationStore):
    """Only what the contract makes abstract; notes the thread of each call."""

    def __init__(self) -> None:
        self.sessions: dict[str, ConversationSession] = {}
        self.messages: dict[str, list[ConversationMessage]] = {}
        self.threads: set[str] = set()
        self.is_closed = False

    def _note(self) -> None:
        self.threads.add(threading.current_thread().name)

    def create_session(self, session: ConversationSession) -> ConversationSession:
        self._note()
        if session.session_id in self.sessions:
            raise ConflictError(session.session_id)
        self.sessions[session.session_id] = copy.deepcopy(session)
        self.messages[session.session_id] = []
        return session

    def get_session(self, session_id: str) -> ConversationSession | None:
        self._note()
        return copy.deepcopy(self.sessions.get(session_id))

    def update_session(
        self, session: ConversationSession, *, expected_version: int | None = None
    ) -> ConversationSession:
        self._note()
        if session.session_id not in self.sessions:
            raise NotFoundError(session.session_id)
        self.sessions[session.session_id] = copy.deepcopy(session)
        return session

    def delete_session(self, session_id: str) -> bool:
        self.messages.pop(session_id, None)
        return self.sessions.pop(session_id, None) is not None

    def list_sessions(
        self,
        user_id: str | None = None,
        agent_id: str | None = None,
        limit: int | None = 100,
        offset: int = 0,
    ) -> list[ConversationSession]:
        return list(self.sessions.values())

    def add_message(self, session_id: str, message: ConversationMessage) -> ConversationMessage:
        self._note()
        if session_id not in self.messages:
            raise NotFoundError(session_id)
        if message.id not in [known.id for known in self.messages[session_id]]:
            self.messages[session_id].append(copy.deepcopy(message))
        return message

    def get_messages(
        self,
        session_id: str,
        limit: int | None = None,
        before: float | None = None,
        after: float | None = None,
    ) -> list[ConversationMessage]:
        self._note()
        found = copy.deepcopy(self.messages.get(session_id, []))
        return found if limit is None else found[max(len(found) - limit, 0) :]

    def delete_messages(self, session_id: str, message_ids: Sequence[str] | None = None) -> int:
        return 0

    def close(self) -> None:
        self.is_closed = True


class AsyncDictStore(AsyncConversationStore):
    """The same with coroutines; notes the threads of its event loops."""

    def __init__(self) -> None:
        self.inner = DictStore()
        self.loops: set[str] = set()

    async def _step(self) -> None:
        self.loops.add(threading.current_thread().name)
        await asyncio.sleep(0)

    async def create_session(self, session: ConversationSession) -> ConversationSession:
        await self._step()
        return self.inner.create_session(session)

    async def get_session(self, session_id: str) -> ConversationSession | None:
        await self._step()
        return self.inner.get_session(session_id)

    async def update_session(
        self, session: ConversationSession, *, expected_version: int | None = None
    ) -> ConversationSession:
        await self._step()
        return self.inner.update_session(session)

    async def delete_session(self, session_id: str) -> bool:
        return self.inner.delete_session(session_id)

    async def list_sessions(
        self,
        user_id: str | None = None,
        agent_id: str | None = None,
        limit: int | None = 100,
        offset: int = 0,
    ) -> list[ConversationSession]:
        return self.inner.list_sessions()

    async def add_message(
        self, session_id: str, message: ConversationMessage
    ) -> ConversationMessage:
        await self._step()
        return self.inner.add_message(session_id, message)

    async def get_messages(
        self,
        session_id: str,
        limit: int | None = None,
        before: float | None = None,
        after: float | None = None,
    ) -> list[ConversationMessage]:
        await self._step()
        return self.inner.get_messages(session_id, limit)

    async def delete_messages(
        self, session_id: str, message_ids: Sequence[str] | None = None
    ) -> int:
        return 0

    async def close(self) -> None:
        self.inner.is_closed = True


class ContentStore:
    """As the documentation writes a sync store."""

    def __init__(self) -> None:
        self.rows: list[tuple[Any, Any]] = []
        self.threads: list[str] = []

    def add_message(self, content: Any, metadata: Any) -> None:
        """Keep a message."""
        self.threads.append(threading.current_thread().name)
        self.rows.append((content, metadata))


class AsyncContentStore:
    """As the documentation writes an async store."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, Any, Any]] = []

    async def async_add_message(self, content: Any, metadata: Any) -> None:
        """Keep a message."""
        await asyncio.sleep(0)
        self.rows.append(("async", content, metadata))


class MixedContentStore(AsyncContentStore):
    """The same with a sync form beside it."""

    def add_message(self, content: Any, metadata: Any) -> None:
        """Keep a message."""
        self.rows.append(("sync", content, metadata))
