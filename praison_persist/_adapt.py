"""Stores of one colour as stores of the other. Settled where a store is put in, nowhere else."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine
from functools import cache
from typing import Any, TypeVar

from praison_persist._flow import finish
from praison_persist.errors import PersistError

__all__ = ["blocking", "is_background", "offload"]

S = TypeVar("S")


def offload(store: object, contract: type[S]) -> S:
    """Return an async store that runs the methods of a sync `store` in worker threads."""
    adapted: S = _adapter(contract, _in_thread)(store)  # type: ignore[arg-type]  # classes are hashable
    return adapted


def blocking(store: object, contract: type[S]) -> S:
    """Return a sync store over an async `store`, whose coroutines run on one background loop.

    Safe in plain scripts, in worker threads and inside a running event loop, which it blocks.
    """
    adapted: S = _adapter(contract, _on_loop)(store)  # type: ignore[arg-type]  # classes are hashable
    return adapted


def _in_thread(name: str) -> Callable[..., Any]:
    async def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return await finish(asyncio.to_thread(getattr(self.adapted, name), *args, **kwargs))

    return method


def _on_loop(name: str) -> Callable[..., Any]:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return background_loop().call(getattr(self.adapted, name)(*args, **kwargs))

    return method


@cache
def _adapter(contract: type, wrap: Callable[[str], Callable[..., Any]]) -> Callable[..., Any]:
    """Return a subclass of `contract` that passes each of its public methods on, wrapped."""
    names = [
        name
        for name in dir(contract)
        # What iterates is made of the other methods.
        if not name.startswith(("_", "iter_")) and callable(getattr(contract, name))
    ]

    def init(self: Any, adapted: Any) -> None:
        self.adapted = adapted
        self.capabilities = adapted.capabilities if hasattr(adapted, "capabilities") else None

    def show(self: Any) -> str:
        return f"{wrap.__name__.strip('_')}({self.adapted!r})"

    body: dict[str, Any] = {name: wrap(name) for name in names}
    body |= {"__init__": init, "__repr__": show}
    return type(f"Adapted{contract.__name__}", (contract,), body)


class BackgroundLoop:
    """An event loop on a daemon thread, for calls that cannot wait on a loop of their own."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(
            target=self.loop.run_forever, name="praison_persist", daemon=True
        )
        self.thread.start()

    def call(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine on the loop and return its result.

        Raises:
            PersistError: called on the loop itself, which would wait for itself.
        """
        if threading.current_thread() is self.thread:
            coroutine.close()
            raise PersistError(
                "A sync method was called inside an async store; await the async one instead"
            )
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result()


_loop: BackgroundLoop | None = None
_lock = threading.Lock()


def background_loop() -> BackgroundLoop:
    """Return the process's background loop, started when first needed."""
    global _loop  # noqa: PLW0603 - one per process
    with _lock:
        if _loop is None:
            _loop = BackgroundLoop()
        return _loop


def is_background(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether this is the process's background loop, on which nothing ever blocks."""
    return _loop is not None and _loop.loop is loop


def _after_fork() -> None:
    """Threads do not survive a fork: the child starts its own when it needs it."""
    global _loop, _lock
    _loop, _lock = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
