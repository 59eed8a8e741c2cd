"""What happens to an agent: it starts, something is said, it ends. In both colours."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from praison_persist import lifecycle
from praison_persist._json import jsonable
from praison_persist._orchestrator import flows
from praison_persist._orchestrator.core import OrchestratorCore
from praison_persist.lifecycle import History
from praison_persist.models import ConversationMessage, ConversationSession

__all__ = ["AgentEvents"]


class AgentEvents(OrchestratorCore):
    """on_agent_start, on_message and on_agent_end, in both colours."""

    def on_agent_start(
        self,
        agent: Any = None,
        session_id: str | None = None,
        user_id: str | None = None,
        resume: bool = True,
    ) -> list[ConversationMessage]:
        """Begin a session, or go on with it. Return what the model is to be handed, oldest first.

        That is the newest messages within `history_limit`, as providers accept them; `get_messages`
        returns all that is stored.

        Args:
            agent: whose `name` (or `agent_id`) the session is stored with; None: of no agent.
            session_id: None: the configuration's, or else a new one; see `current_session_id`.
            user_id: whose session it is, if it is new; None: the configuration's.
            resume: False returns nothing of what was said before; it stays stored.
        """
        adapter = self.adapter
        session = self._session(agent, session_id, user_id)
        if adapter is None:
            return []
        limits = self._limits(resume)
        return self._started(adapter.run_flow(lambda stores: flows.start(stores, session, limits)))

    async def aon_agent_start(
        self,
        agent: Any = None,
        session_id: str | None = None,
        user_id: str | None = None,
        resume: bool = True,
    ) -> list[ConversationMessage]:
        """See `on_agent_start`."""
        adapter = self.adapter
        session = self._session(agent, session_id, user_id)
        if adapter is None:
            return []
        limits = self._limits(resume)
        return self._started(
            await adapter.arun_flow(lambda stores: flows.start(stores, session, limits))
        )

    def _session(
        self, agent: Any, session_id: str | None, user_id: str | None
    ) -> ConversationSession:
        session_id = session_id or self.config.session_id or str(uuid.uuid4())
        agent_id = getattr(agent, "name", None) or getattr(agent, "agent_id", None)
        return ConversationSession(
            session_id=session_id,
            user_id=user_id or self.config.user_id,
            agent_id=None if agent_id is None else str(agent_id),
            name=f"Session {session_id}",
            metadata={} if agent is None else {"agent_type": type(agent).__name__},
        )

    def _limits(self, resume: bool) -> History | None:
        return self.history if resume else None

    def _started(self, started: flows.Started) -> list[ConversationMessage]:
        session, messages = started
        self._sessions.put(session)
        self._current = session.session_id
        return messages

    def on_message(
        self,
        session_id: str,
        role: str,
        content: str | None,
        tool_calls: Sequence[dict[str, Any]] | None = None,
        tool_call_id: str | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> ConversationMessage | None:
        """Store a message and return it as stored; None without a conversation store.

        A session that does not exist is created. What raises has stored nothing.

        Raises:
            InvalidDataError: what cannot be stored.
        """
        if self.adapter is None:
            return None
        message = _message(session_id, role, content, tool_calls, tool_call_id, metadata)
        return self.adapter.run_flow(lambda stores: flows.say(stores, message))

    async def aon_message(
        self,
        session_id: str,
        role: str,
        content: str | None,
        tool_calls: Sequence[dict[str, Any]] | None = None,
        tool_call_id: str | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> ConversationMessage | None:
        """See `on_message`."""
        if self.adapter is None:
            return None
        message = _message(session_id, role, content, tool_calls, tool_call_id, metadata)
        return await self.adapter.arun_flow(lambda stores: flows.say(stores, message))

    def on_agent_end(
        self, agent: Any, session_id: str, metadata: dict[str, Any] | None = None
    ) -> None:
        """Merge `metadata`, and when the agent ended, into the session's metadata.

        What others changed of the session since it was last read stays. A session that does not
        exist is not created.

        Args:
            agent: as in `on_agent_start`.
            session_id: whose metadata.
            metadata: a JSON object; its top-level keys replace those of the same name.
        """
        del agent
        if self.adapter is None:
            return
        changes = _ended(metadata)
        self.adapter.run_flow(lambda stores: lifecycle.agent_end(stores, session_id, changes))
        self._sessions.discard(session_id)

    async def aon_agent_end(
        self, agent: Any, session_id: str, metadata: dict[str, Any] | None = None
    ) -> None:
        """See `on_agent_end`."""
        del agent
        if self.adapter is None:
            return
        changes = _ended(metadata)
        await self.adapter.arun_flow(
            lambda stores: lifecycle.agent_end(stores, session_id, changes)
        )
        self._sessions.discard(session_id)


def _message(
    session_id: str,
    role: str,
    content: str | None,
    tool_calls: Sequence[dict[str, Any]] | None,
    tool_call_id: str | None,
    metadata: dict[str, Any] | None,
) -> ConversationMessage:
    return ConversationMessage(
        session_id=session_id,
        role=role,
        content=content,
        tool_calls=None if tool_calls is None else list(tool_calls),
        tool_call_id=tool_call_id,
        metadata=metadata,
    )


def _ended(metadata: dict[str, Any] | None) -> dict[str, Any]:
    given: dict[str, Any] = jsonable(metadata or {})
    return {**given, "ended_at": lifecycle.now()}
