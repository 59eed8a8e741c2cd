"""Agents that append at once, each to a session of its own: threads or asyncio tasks."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.messages import text_of

__all__ = ["Agent", "run_tasks", "run_threads"]

_MESSAGE = 80  # characters of an error that are kept


@dataclass(slots=True)
class Agent:
    """Who appends to one session.

    Attributes:
        append: takes the session and a text; for tasks a coroutine function.
        acknowledged: the numbers of the messages that were acknowledged, in that order.
        seconds: how long each of them took.
    """

    append: Callable[[Any, str], Any]
    session: Any
    acknowledged: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)

    def run(self, ends: Callable[[], float]) -> None:
        """Append until the clock says that it ends, once at least."""
        clock, number = time.perf_counter, 0
        while (before := clock()) < ends() or not number:
            try:
                self.append(self.session, text_of(number))
            except Exception as error:  # noqa: BLE001 - whatever a vendor raises is counted
                self.failed(error)
            else:
                self.succeeded(number, clock() - before)
            number += 1

    async def arun(self, end: float) -> None:
        """See `run`."""
        clock, number = time.perf_counter, 0
        while (before := clock()) < end or not number:
            try:
                await self.append(self.session, text_of(number))
            except Exception as error:  # noqa: BLE001 - as above
                self.failed(error)
                await asyncio.sleep(0)  # an append that fails at once would let no other run
            else:
                self.succeeded(number, clock() - before)
            number += 1

    def succeeded(self, number: int, seconds: float) -> None:
        """Remember an acknowledged message."""
        self.acknowledged.append(number)
        self.seconds.append(seconds)

    def failed(self, error: Exception) -> None:
        """Count an error by its type and the beginning of its first line."""
        line = str(error).partition("\n")[0][:_MESSAGE]
        self.errors[f"{type(error).__name__}: {line}"] += 1


def run_threads(agents: Sequence[Agent], seconds: float) -> float:
    """Let all append for so long, each in its thread; return the seconds until all had ended."""
    begin = threading.Barrier(len(agents) + 1)
    end = float("inf")

    def work(agent: Agent) -> None:
        begin.wait()
        agent.run(lambda: end)

    threads = [threading.Thread(target=work, args=(agent,)) for agent in agents]
    for thread in threads:
        thread.start()
    gc.collect()
    begin.wait()
    start = time.perf_counter()
    end = start + seconds
    for thread in threads:
        thread.join()
    return time.perf_counter() - start


async def run_tasks(agents: Sequence[Agent], seconds: float) -> float:
    """See `run_threads`."""
    gc.collect()
    start = time.perf_counter()
    await asyncio.gather(*[agent.arun(start + seconds) for agent in agents])
    return time.perf_counter() - start
