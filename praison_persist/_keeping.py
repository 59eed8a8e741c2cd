"""How the turns of an agent get to the adapter that keeps them.

An Agent of praisonaiagents is given the adapter, and reports all that it does. Any other object
with a `chat` is listened to: what it is asked, and what it answers.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from praison_persist._listening import Listener, ended_as, report
from praison_persist.adapter import PraisonAIDB
from praison_persist.errors import ConfigurationError
from praison_persist.orchestrator import PersistenceOrchestrator
from praison_persist.recorder import Turn

__all__ = ["ASYNC_METHODS", "KEPT", "METHODS", "Keeper", "keeper"]

METHODS = ("chat", "start", "run", "iter_stream")
ASYNC_METHODS = ("achat", "astart", "arun")
KEPT = "_persistence_orchestrator"  # attribute of an agent that was wrapped


class Keeper(Protocol):
    """Keeps the turns of one agent in one session."""

    def call(self, method: Callable[..., Any], *args: Any, **arguments: Any) -> Any:
        """Call a method of the agent that answers a prompt; keep the turn."""

    async def acall(self, method: Callable[..., Any], *args: Any, **arguments: Any) -> Any:
        """See `call`: the method is a coroutine function."""


def keeper(
    agent: Any,
    orchestrator: PersistenceOrchestrator,
    session_id: str,
    user_id: str | None,
    *,
    resume: bool,
) -> Keeper:
    """Return what keeps the turns of this agent.

    Raises:
        ConfigurationError: the agent keeps its conversation already, elsewhere or twice.
    """
    if KEPT in getattr(agent, "__dict__", {}):
        raise ConfigurationError(
            f"The {type(agent).__name__} keeps its conversation already: wrap it once"
        )
    db = orchestrator.adapter
    if db is None:
        return _Nothing()
    core = sys.modules.get("praisonaiagents")  # loaded, if this is one of its agents
    if core is not None and isinstance(agent, core.Agent):
        return _CoreKeeper(agent, db, session_id, user_id, resume=resume)
    return Listener(agent, db, session_id, user_id, resume=resume)


class _Nothing:
    """Without a conversation store nothing is kept."""

    def call(self, method: Callable[..., Any], *args: Any, **arguments: Any) -> Any:
        return method(*args, **arguments)

    async def acall(self, method: Callable[..., Any], *args: Any, **arguments: Any) -> Any:
        return await method(*args, **arguments)


class _Unresumed:
    """An adapter that hands nothing of what was said before to its agent."""

    def __init__(self, db: PraisonAIDB) -> None:
        self._db = db

    def __getattr__(self, name: str) -> Any:
        return getattr(self._db, name)

    def on_agent_start(self, **arguments: Any) -> list[Any]:
        self._db.on_agent_start(**arguments)
        return []

    async def aon_agent_start(self, **arguments: Any) -> list[Any]:
        await self._db.aon_agent_start(**arguments)
        return []


class _CoreKeeper:
    """An Agent of praisonaiagents: it calls the hooks itself, in every way it can be asked.

    What it does not tell is that a stream's reader has left.
    """

    def __init__(
        self, agent: Any, db: PraisonAIDB, session_id: str, user_id: str | None, *, resume: bool
    ) -> None:
        self._db, self._session_id = db, session_id
        # The core has no other way to give an adapter to an agent that exists.
        own = agent._db  # noqa: SLF001 - see above
        if own is not None:
            own = getattr(own, "_db", own)
            if own is not db or agent._session_id != session_id:  # noqa: SLF001 - as above
                raise ConfigurationError(
                    f"The agent {agent.name!r} keeps its conversation in the session "
                    f"{agent._session_id!r} already; make an Agent for each session"  # noqa: SLF001 - as above
                )
            return
        agent._db = db if resume else _Unresumed(db)  # noqa: SLF001 - as above
        agent._session_id = session_id  # noqa: SLF001 - as above
        agent._db_initialized = False  # noqa: SLF001 - as above
        if user_id is not None:
            agent.user_id = user_id
        hooks = getattr(agent, "_hooks_registry_param", None)
        if hasattr(hooks, "register_function"):
            db.install(hooks)

    def call(self, method: Callable[..., Any], *args: Any, **arguments: Any) -> Any:
        answer = method(*args, **arguments)
        return self._watched(answer) if inspect.isgenerator(answer) else answer

    async def acall(self, method: Callable[..., Any], *args: Any, **arguments: Any) -> Any:
        answer = await method(*args, **arguments)
        return self._watched(answer) if inspect.isgenerator(answer) else answer

    def _watched(self, stream: Any) -> Iterator[Any]:
        said: list[str] = []
        turn: Turn | None = None
        try:
            for chunk in stream:
                turn = turn or self._db.stream_turn(self._session_id)
                said.append(str(chunk))
                yield chunk
        except BaseException as error:
            stream.close()
            if turn is not None:
                report(self._db.abandon_stream, turn, "".join(said), ended_as(error))
            raise
