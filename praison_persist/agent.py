"""The Agent of praisonaiagents with the constructor arguments that its documentation shows."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from praisonaiagents import Agent as _CoreAgent
from praisonaiagents import MemoryConfig

from praison_persist.adapter import PraisonAIDB
from praison_persist.errors import ConfigurationError
from praison_persist.protocols import AsyncConversationStore

__all__ = ["Agent", "memory"]


def memory(db: Any, session_id: str | None = None, user_id: str | None = None) -> Any:
    """Return what to pass as `Agent(memory=…)` of praisonaiagents, to keep its conversation.

    The agent's other memory stays in this process: by itself it would write every turn in clear
    text below the working directory.

    Args:
        db: an adapter, or what `praison_persist.db(…)` makes one of.
        session_id: the conversation to begin or to resume; None is a new one each time.
        user_id: whose conversation it is.
    """
    return MemoryConfig(
        db=_adapter(db), session_id=session_id, user_id=user_id, backend="in_memory"
    )


def _adapter(db: Any) -> Any:
    return PraisonAIDB(db) if isinstance(db, str | os.PathLike) else db


class Agent(_CoreAgent):  # type: ignore[misc]  # the core has no types
    """An agent whose conversation is kept.

    Args:
        db: an adapter (`praison_persist.db(…)`), or a database URL.
        conversation_store: a store instead of `db`, sync or async.
        session_id: the conversation to begin or to resume; None is a new one each time.
        user_id: whose conversation it is.
        async_mode: `start` is awaited. So it is with an async `conversation_store`, in a running
            event loop.
        arguments: as of praisonaiagents.Agent.

    Raises:
        ConfigurationError: `db` together with `conversation_store` or `memory`.
    """

    def __init__(
        self,
        *args: Any,
        db: Any = None,
        session_id: str | None = None,
        user_id: str | None = None,
        conversation_store: Any = None,
        async_mode: bool = False,
        **arguments: Any,
    ) -> None:
        if db is not None and conversation_store is not None:
            raise ConfigurationError("Give an Agent db= or conversation_store=, not both")
        adapter = _adapter(db) if conversation_store is None else PraisonAIDB(conversation_store)
        if adapter is not None or session_id is not None or user_id is not None:
            if arguments.get("memory") is not None:
                raise ConfigurationError(
                    "Give an Agent memory=, or db=, session_id= and user_id=; not both. "
                    "praison_persist.memory(db, session_id=…) makes the former of the latter"
                )
            arguments["memory"] = (
                MemoryConfig(session_id=session_id, user_id=user_id)
                if adapter is None
                else memory(adapter, session_id, user_id)
            )
        super().__init__(*args, **arguments)
        self._adapter = adapter
        self._awaited_start = async_mode or isinstance(conversation_store, AsyncConversationStore)
        if adapter is not None and hasattr(arguments.get("hooks"), "register_function"):
            adapter.install(arguments["hooks"])

    @property
    def db(self) -> Any:
        """The adapter that keeps the conversation; None without one."""
        return self._adapter

    def start(self, prompt: Any = None, **arguments: Any) -> Any:
        """As praisonaiagents.Agent.start; a coroutine in async mode, in a running event loop."""
        if self._awaited_start and _in_event_loop():
            return self.astart(prompt, **arguments)
        return super().start(prompt, **arguments)

    async def run_async(self, prompt: Any, **arguments: Any) -> Any:
        """Answer a prompt; the same as `achat`."""
        return await self.achat(prompt, **arguments)


def _in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
