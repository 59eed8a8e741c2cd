"""The hooks for agents and for what is said: by the user, and in answer."""

from __future__ import annotations

from typing import Any

from praison_persist import core_events, lifecycle
from praison_persist._adapter.core import Begun, Make
from praison_persist._adapter.turns import TurnKeeper, append
from praison_persist._adapter.values import document, ended, is_agents
from praison_persist._flow import run, wait
from praison_persist._json import jsonable
from praison_persist.errors import ConfigurationError
from praison_persist.models import ConversationMessage, ConversationSession
from praison_persist.open_turns import current_turn, speaking_turn
from praison_persist.outbox import RETRIED
from praison_persist.recorder import Turn

__all__ = ["MessageHooks"]


class MessageHooks(TurnKeeper):
    """on_agent_start, on_agent_end, on_user_message and on_agent_message, in both colours."""

    def install(self, registry: Any) -> None:
        """Have a hook registry of your own, as in Agent(hooks=registry), report tool calls too."""
        core_events.install_tool_hooks(registry)

    def on_agent_start(
        self,
        agent_name: str | None = None,
        session_id: str | None = None,
        user_id: str | None = None,
        metadata: dict[str, Any] | None = None,
        *,
        name: str | None = None,
        agent_id: str | None = None,
    ) -> list[ConversationMessage]:
        """Resume the session, or create it. Return what the model is to be handed, oldest first."""
        session = self._session(agent_name or name, session_id, user_id, metadata, agent_id)
        try:
            return self._read(lambda stores: lifecycle.agent_start(stores, session, self._history))
        except RETRIED as error:
            self._keep_session(session, error)
            raise

    async def aon_agent_start(
        self,
        agent_name: str | None = None,
        session_id: str | None = None,
        user_id: str | None = None,
        metadata: dict[str, Any] | None = None,
        *,
        name: str | None = None,
        agent_id: str | None = None,
    ) -> list[ConversationMessage]:
        """See `on_agent_start`."""
        session = self._session(agent_name or name, session_id, user_id, metadata, agent_id)
        try:
            return await self._aread(
                lambda stores: lifecycle.agent_start(stores, session, self._history)
            )
        except RETRIED as error:
            self._keep_session(session, error)
            raise

    def _keep_session(self, session: ConversationSession, error: Exception) -> None:
        """Have the session created later: its messages would create it without its user."""
        stores = self._connected.sync_stores
        self._outbox.add(lambda: run(wait(stores.conversation.ensure_session(session))), error)

    def _session(
        self,
        agent_name: str | None,
        session_id: str | None,
        user_id: str | None,
        metadata: dict[str, Any] | None,
        agent_id: str | None,
    ) -> ConversationSession:
        core_events.install_tool_hooks()
        if not session_id:
            raise ConfigurationError("on_agent_start needs a session_id, a non-empty string")
        before = self._sessions.get(session_id)
        is_same = before is None or before.agent_name == agent_name
        begun = Begun(agent_name if is_same else None, user_id, by_agent=is_agents(metadata))
        self._sessions.put(session_id, begun)
        return ConversationSession(
            session_id=session_id,
            user_id=user_id,
            agent_id=agent_id or agent_name,
            name=f"Session {session_id}",
            metadata=jsonable(metadata or {}),
        )

    def on_agent_end(
        self,
        session_id: str,
        metadata: dict[str, Any] | None = None,
        *,
        name: str | None = None,
        agent_id: str | None = None,
    ) -> None:
        """Note on the session when its agent ended; `metadata` is merged into the session's."""
        changes = ended(metadata, name, agent_id)
        self._write(session_id, lambda stores: lifecycle.agent_end(stores, session_id, changes))

    async def aon_agent_end(
        self,
        session_id: str,
        metadata: dict[str, Any] | None = None,
        *,
        name: str | None = None,
        agent_id: str | None = None,
    ) -> None:
        """See `on_agent_end`."""
        changes = ended(metadata, name, agent_id)
        await self._awrite(
            session_id, lambda stores: lifecycle.agent_end(stores, session_id, changes)
        )

    def on_user_message(
        self, session_id: str, content: str | None, metadata: dict[str, Any] | None = None
    ) -> None:
        """Store what the user said."""
        self._write(session_id, *self._user_message(session_id, content, metadata))

    async def aon_user_message(
        self, session_id: str, content: str | None, metadata: dict[str, Any] | None = None
    ) -> None:
        """See `on_user_message`."""
        await self._awrite(session_id, *self._user_message(session_id, content, metadata))

    def _user_message(
        self, session_id: str, content: str | None, metadata: dict[str, Any] | None
    ) -> list[Make[None]]:
        turn = current_turn(self, session_id)
        makes: list[Make[None]] = []
        if turn is None or turn.in_tool or not turn.is_reported:
            if turn is not None and not turn.in_tool:
                makes += self._abandon(turn)
            # Agents give no metadata.
            by_hand = metadata is not None
            turn, begun = self._begin_unreported(session_id, content, by_hand=by_hand)
            makes += begun
        with turn.lock:
            if turn.user is not None and turn.user.content == content:
                return makes  # the stream that this run stands in for has stored it
            message = turn.message("user", content, metadata=document(metadata))
            turn.user = turn.user or message
        return [*makes, append(message)]

    def on_agent_message(
        self, session_id: str, content: str | None, metadata: dict[str, Any] | None = None
    ) -> None:
        """Store what the agent answered."""
        self._write(session_id, *self._agent_message(session_id, content, metadata))

    async def aon_agent_message(
        self, session_id: str, content: str | None, metadata: dict[str, Any] | None = None
    ) -> None:
        """See `on_agent_message`."""
        await self._awrite(session_id, *self._agent_message(session_id, content, metadata))

    def _agent_message(
        self, session_id: str, content: str | None, metadata: dict[str, Any] | None
    ) -> list[Make[None]]:
        turn = speaking_turn(self, session_id) or Turn(self, session_id)
        message = turn.message("assistant", content, metadata=document(metadata))
        makes = [append(*self._late_user(turn), message)]
        turn.answers.append(message)
        if turn.streamed and not turn.is_reported:
            makes.append(self._answer(turn, message))
        elif turn.run_id is None:
            self._leave(turn)
        return makes
