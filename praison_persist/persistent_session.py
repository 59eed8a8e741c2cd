"""A session that is open for the length of a `with` block."""

from __future__ import annotations

import uuid
from typing import Any, Self

from praison_persist.models import ConversationMessage, ConversationSession
from praison_persist.orchestrator import PersistenceOrchestrator

__all__ = ["PersistentSession", "create_persistent_session"]


class PersistentSession:
    """A session of an orchestrator: started once, ended once. See `create_persistent_session`."""

    def __init__(
        self,
        orchestrator: PersistenceOrchestrator,
        session_id: str | None = None,
        user_id: str | None = None,
    ) -> None:
        self.orchestrator = orchestrator
        self.session_id = (
            session_id or orchestrator.config.session_id or f"session-{uuid.uuid4().hex[:8]}"
        )
        self.user_id = user_id
        self._started = False

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.session_id!r})"

    def start(self, agent: Any = None) -> list[ConversationMessage]:
        """Begin or resume the session; return what the model is to be handed, oldest first."""
        if self._started:
            return []
        found = self.orchestrator.on_agent_start(agent, self.session_id, self.user_id)
        self._started = True
        return found

    async def astart(self, agent: Any = None) -> list[ConversationMessage]:
        """See `start`."""
        if self._started:
            return []
        found = await self.orchestrator.aon_agent_start(agent, self.session_id, self.user_id)
        self._started = True
        return found

    def end(self, agent: Any = None) -> None:
        """Note on the session that it ended, if it was started."""
        if self._started:
            self.orchestrator.on_agent_end(agent, self.session_id)
            self._started = False

    async def aend(self, agent: Any = None) -> None:
        """See `end`."""
        if self._started:
            await self.orchestrator.aon_agent_end(agent, self.session_id)
            self._started = False

    def persist_message(
        self, role: str, content: str | None, **fields: Any
    ) -> ConversationMessage | None:
        """Store a message; `fields` are those of `PersistenceOrchestrator.on_message`."""
        return self.orchestrator.on_message(self.session_id, role, content, **fields)

    async def apersist_message(
        self, role: str, content: str | None, **fields: Any
    ) -> ConversationMessage | None:
        """See `persist_message`."""
        return await self.orchestrator.aon_message(self.session_id, role, content, **fields)

    def get_messages(self, limit: int | None = None) -> list[ConversationMessage]:
        """Return the newest `limit` messages as they are stored (all if None), oldest first."""
        return self.orchestrator.get_messages(self.session_id, limit)

    async def aget_messages(self, limit: int | None = None) -> list[ConversationMessage]:
        """See `get_messages`."""
        return await self.orchestrator.aget_messages(self.session_id, limit)

    def get_session(self) -> ConversationSession | None:
        """Return the session as it is stored."""
        return self.orchestrator.get_session(self.session_id)

    async def aget_session(self) -> ConversationSession | None:
        """See `get_session`."""
        return await self.orchestrator.aget_session(self.session_id)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self.end()

    async def __aenter__(self) -> Self:
        await self.astart()
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self.aend()


def create_persistent_session(
    orchestrator: PersistenceOrchestrator,
    session_id: str | None = None,
    user_id: str | None = None,
) -> PersistentSession:
    """Return a session for a `with` or `async with` block, which starts it and ends it.

    Args:
        orchestrator: keeps it.
        session_id: the conversation to begin or to resume; None: the configuration's, or a new one.
        user_id: whose it is, if it is new; None: the configuration's.
    """
    return PersistentSession(orchestrator, session_id, user_id)
