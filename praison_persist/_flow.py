"""Flows: what has to happen in which order, written once for stores of either colour.

A flow is a generator that yields what a store's method returned (a value, or a coroutine) and is
sent back its value. `run` drives it over sync stores, `arun` over async ones.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine, Generator
from typing import Any, TypeVar

__all__ = ["Flow", "arun", "finish", "let_end", "run", "wait"]

T = TypeVar("T")

Flow = Generator[Any, Any, T]

GRACE_S = 5.0


def wait(step: Coroutine[Any, Any, T] | T) -> Flow[T]:
    """Yield what a store's method returned and return its value."""
    value: T = yield step
    return value


def run(flow: Flow[T]) -> T:
    """Drive a flow over sync stores."""
    try:
        step = next(flow)
        while True:
            step = flow.send(step)
    except StopIteration as stop:
        result: T = stop.value
        return result


async def arun(flow: Flow[T]) -> T:
    """Drive a flow over async stores."""
    try:
        step = next(flow)
        while True:
            try:
                value = await step
            except BaseException as error:  # noqa: BLE001 - the flow decides, as if it had called
                step = flow.throw(error)
            else:
                step = flow.send(value)
    except StopIteration as stop:
        result: T = stop.value
        return result


async def finish(work: Awaitable[T]) -> T:
    """Await `work` to its end even if this task is cancelled, then let the cancellation through.

    A cancelled task must not leave a connection in the middle of a transaction, and a driver
    that is cancelled while it commits leaves the outcome unknown. Work that takes longer than
    GRACE_S from then on is cancelled all the same: a server that hangs must not hold its callers.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await let_end(task)
        raise


async def let_end(task: asyncio.Future[Any]) -> None:
    """Wait for work whose caller was cancelled, at most GRACE_S; then cancel it."""
    deadline = asyncio.get_running_loop().time() + GRACE_S
    while not task.done():
        left = deadline - asyncio.get_running_loop().time()
        if left <= 0:
            task.cancel()
        try:
            await asyncio.wait([task], timeout=left if left > 0 else None)
        except asyncio.CancelledError:  # cancelled again: the transaction still has to end
            continue
    if not task.cancelled():
        task.exception()  # seen, so that the loop does not report it
