"""An agent that exists already, whose conversation is kept from now on."""

from __future__ import annotations

import asyncio
import functools
import uuid
from collections.abc import Callable
from typing import Any

from praison_persist._keeping import ASYNC_METHODS, KEPT, METHODS, Keeper, keeper
from praison_persist.errors import ConfigurationError
from praison_persist.models import ConversationMessage, ConversationSession
from praison_persist.orchestrator import PersistenceOrchestrator

__all__ = ["PersistentAgent", "wrap_agent_with_persistence"]


class PersistentAgent:
    """An agent together with the session that its conversation is kept in.

    Whatever it is asked, and however (`chat`, `start`, `run`, `iter_stream`, `achat`, `astart`,
    `arun`), is kept with its answer: tool calls too, if it is an Agent of praisonaiagents. Turns
    that failed and streams that were left are kept, and marked so. All other attributes are the
    agent's.

    An Agent of praisonaiagents is changed: it keeps its conversation from now on, also if it is
    asked directly, and in one session only. Of any other object `chat_history` is set when a
    session is resumed.

    Args:
        agent: an Agent of praisonaiagents, or an object with some of these methods.
        orchestrator: keeps the conversation.
        session_id: the conversation to begin or to resume; None: the orchestrator's
            configuration's, or else a new one.
        user_id: whose it is; None: the agent's own.
        auto_resume: hand the model what was said before.

    Raises:
        ConfigurationError: the agent keeps its conversation already, elsewhere.
    """

    def __init__(
        self,
        agent: Any,
        orchestrator: PersistenceOrchestrator,
        session_id: str | None = None,
        user_id: str | None = None,
        auto_resume: bool = True,
    ) -> None:
        if isinstance(agent, PersistentAgent):
            raise ConfigurationError("The agent is a PersistentAgent already")
        self._agent = agent
        self._orchestrator = orchestrator
        self._session_id, self._keeper = _keeper(
            agent, orchestrator, session_id, user_id, resume=auto_resume
        )

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "_agent":  # of an object that is being copied
            raise AttributeError(name)
        return getattr(self._agent, name)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._agent!r}, session_id={self._session_id!r})"

    @property
    def session_id(self) -> str:
        """The session that the conversation is kept in."""
        return self._session_id

    def chat(self, prompt: Any, *args: Any, **arguments: Any) -> Any:
        """Ask the agent, as its `chat` does."""
        return self._keeper.call(self._agent.chat, prompt, *args, **arguments)

    def start(self, *args: Any, **arguments: Any) -> Any:
        """Ask the agent, as its `start` does."""
        return self._keeper.call(self._agent.start, *args, **arguments)

    def run(self, *args: Any, **arguments: Any) -> Any:
        """Ask the agent, as its `run` does."""
        return self._keeper.call(self._agent.run, *args, **arguments)

    def iter_stream(self, *args: Any, **arguments: Any) -> Any:
        """Ask the agent, as its `iter_stream` does: the answer comes in pieces."""
        return self._keeper.call(self._agent.iter_stream, *args, **arguments)

    async def achat(self, prompt: Any, *args: Any, **arguments: Any) -> Any:
        """Ask the agent, as its `achat` does; as its `chat` in a worker thread if it has none."""
        return await self._acall("chat", prompt, *args, **arguments)

    async def astart(self, *args: Any, **arguments: Any) -> Any:
        """See `achat`: `astart`, or `start`."""
        return await self._acall("start", *args, **arguments)

    async def arun(self, *args: Any, **arguments: Any) -> Any:
        """See `achat`: `arun`, or `run`."""
        return await self._acall("run", *args, **arguments)

    async def _acall(self, name: str, *args: Any, **arguments: Any) -> Any:
        method = getattr(self._agent, f"a{name}", None)
        if method is not None:
            return await self._keeper.acall(method, *args, **arguments)
        method = getattr(self._agent, name)
        return await asyncio.to_thread(self._keeper.call, method, *args, **arguments)

    def get_session(self) -> ConversationSession | None:
        """Return the session as it is stored; None before the agent was asked anything."""
        return self._orchestrator.get_session(self._session_id)

    async def aget_session(self) -> ConversationSession | None:
        """See `get_session`."""
        return await self._orchestrator.aget_session(self._session_id)

    def get_messages(self, limit: int | None = None) -> list[ConversationMessage]:
        """Return the newest `limit` messages as they are stored (all if None), oldest first."""
        return self._orchestrator.get_messages(self._session_id, limit)

    async def aget_messages(self, limit: int | None = None) -> list[ConversationMessage]:
        """See `get_messages`."""
        return await self._orchestrator.aget_messages(self._session_id, limit)

    def end_session(self, metadata: dict[str, Any] | None = None) -> None:
        """Note on the session when its agent ended; see `PersistenceOrchestrator.on_agent_end`."""
        self._orchestrator.on_agent_end(self._agent, self._session_id, metadata)

    async def aend_session(self, metadata: dict[str, Any] | None = None) -> None:
        """See `end_session`."""
        await self._orchestrator.aon_agent_end(self._agent, self._session_id, metadata)


def wrap_agent_with_persistence(
    agent: Any,
    orchestrator: PersistenceOrchestrator,
    session_id: str | None = None,
    user_id: str | None = None,
    auto_resume: bool = True,
) -> Any:
    """Keep the conversation of an agent from now on; return the agent itself.

    It gets the methods `get_session`, `get_messages`, `end_session` and `aend_session`. Arguments
    and errors are those of `PersistentAgent`, which leaves the agent's methods alone.
    """
    kept = PersistentAgent(agent, orchestrator, session_id, user_id, auto_resume)
    of_agent = kept._keeper  # noqa: SLF001 - of this module
    for name in METHODS:
        method = getattr(agent, name, None)
        if callable(method):
            setattr(agent, name, _kept(of_agent, method))
    for name in ASYNC_METHODS:
        method = getattr(agent, name, None)
        if callable(method):
            setattr(agent, name, _akept(of_agent, method))
    for name in ("get_session", "get_messages", "end_session", "aend_session"):
        setattr(agent, name, getattr(kept, name))
    setattr(agent, KEPT, orchestrator)
    agent._persistence_session_id = kept.session_id  # noqa: SLF001 - what users of praisonai read
    return agent


def _kept(of_agent: Keeper, method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def kept(*args: Any, **arguments: Any) -> Any:
        return of_agent.call(method, *args, **arguments)

    return kept


def _akept(of_agent: Keeper, method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    async def kept(*args: Any, **arguments: Any) -> Any:
        return await of_agent.acall(method, *args, **arguments)

    return kept


def _keeper(
    agent: Any,
    orchestrator: PersistenceOrchestrator,
    session_id: str | None,
    user_id: str | None,
    *,
    resume: bool,
) -> tuple[str, Keeper]:
    session_id = session_id or orchestrator.config.session_id or f"session-{uuid.uuid4().hex[:8]}"
    user_id = user_id or orchestrator.config.user_id
    if user_id is None and isinstance(getattr(agent, "user_id", None), str):
        user_id = agent.user_id
    return session_id, keeper(agent, orchestrator, session_id, user_id, resume=resume)
