"""Agents, and every way to put a prompt to one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import praisonaiagents

import praison_persist

from .tools import TOOLS

OPENAI, LITELLM = "openai", "litellm"
# The name of the model decides which client the Agent uses.
MODELS = {OPENAI: "gpt-4o-mini", LITELLM: "openai/gpt-4o-mini"}
CLIENTS = (OPENAI, LITELLM)

CHAT, CHAT_STREAM, START, START_STREAM = "chat", "chat_stream", "start", "start_stream"
ACHAT, ASTART, ITER_STREAM = "achat", "astart", "iter_stream"
BLOCKING_MODES = (CHAT, CHAT_STREAM, START)
ASYNC_MODES = (ACHAT, ASTART)
# Of these the Agent reports no run.
STREAMING_MODES = (ITER_STREAM, START_STREAM)
MODES = (*BLOCKING_MODES, *ASYNC_MODES, *STREAMING_MODES)

SESSION, USER = "session-1", "user-1"


def agent(
    db: Any,
    *,
    client: str = OPENAI,
    session_id: str = SESSION,
    user_id: str = USER,
    name: str = "Ada",
    **options: Any,
) -> Any:
    """Return an Agent of the core that keeps its conversation with `db`."""
    arguments: dict[str, Any] = {
        "name": name,
        "instructions": "Be brief.",
        "model": MODELS[client],
        "tools": TOOLS,
        "memory": praison_persist.memory(db, session_id, user_id),
    }
    return praisonaiagents.Agent(**arguments | options)


def say(speaker: Any, prompt: Any, mode: str = CHAT) -> Any:
    """Put a prompt to an agent in this mode and return the whole answer."""
    return _SAY[mode](speaker, prompt)


def _whole(answer: Any) -> str | None:
    """Join a stream; an agent may also return the text at once."""
    return answer if answer is None or isinstance(answer, str) else "".join(map(str, answer))


async def _await(coroutine: Any) -> Any:
    return await coroutine


_SAY: dict[str, Callable[[Any, Any], Any]] = {
    CHAT: lambda agent, prompt: agent.chat(prompt),
    CHAT_STREAM: lambda agent, prompt: agent.chat(prompt, stream=True),
    START: lambda agent, prompt: agent.start(prompt),
    START_STREAM: lambda agent, prompt: _whole(agent.start(prompt, stream=True)),
    ITER_STREAM: lambda agent, prompt: _whole(agent.iter_stream(prompt)),
    ACHAT: lambda agent, prompt: asyncio.run(_await(agent.achat(prompt))),
    ASTART: lambda agent, prompt: asyncio.run(_await(agent.astart(prompt))),
}
