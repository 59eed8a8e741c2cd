"""Clients of asyncio, one for each event loop that a store is used on."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from typing import Generic, TypeVar

from praison_persist._adapt import is_background

__all__ = ["PerLoop"]

C = TypeVar("C")


class PerLoop(Generic[C]):
    """Makes a client when a loop first asks for one, and closes it with the loop or the store.

    Args:
        make: returns a new client; called on the loop that it will belong to.
        close: closes one, on its loop.
    """

    def __init__(self, make: Callable[[], C], close: Callable[[C], Awaitable[object]]) -> None:
        self._make, self._close = make, close
        self._clients: dict[asyncio.AbstractEventLoop, C] = {}
        self._keepers: dict[asyncio.AbstractEventLoop, AsyncGenerator[None, None]] = {}
        self._lock = threading.Lock()

    def get(self) -> C:
        """Return the client of the running loop."""
        loop = asyncio.get_running_loop()
        client = self._clients.get(loop)
        if client is not None:
            return client
        with self._lock:
            for ended in [known for known in self._clients if known.is_closed()]:
                del self._clients[ended]
                self._keepers.pop(ended, None)
            client = self._clients[loop] = self._make()
            # A loop that shuts down closes the asynchronous generators begun on it, which is the
            # only hook that asyncio offers before its end. Advancing one to its first yield
            # begins it; nothing is awaited there.
            keeper = self._keepers[loop] = self._close_at_shutdown(loop)
            with suppress(StopIteration):
                keeper.__anext__().send(None)
        return client

    async def close(self) -> None:
        """Close the clients of the running and of the background loop; others end with theirs."""
        here = asyncio.get_running_loop()
        for loop, keeper in list(self._keepers.items()):
            if loop is here:
                await keeper.aclose()
            elif is_background(loop):  # which does not end
                closing = asyncio.run_coroutine_threadsafe(_closed(keeper), loop)
                await asyncio.wrap_future(closing)

    async def _close_at_shutdown(
        self, loop: asyncio.AbstractEventLoop
    ) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            self._keepers.pop(loop, None)
            client = self._clients.pop(loop, None)
            if client is not None:
                await self._close(client)


async def _closed(keeper: AsyncGenerator[None, None]) -> None:
    await keeper.aclose()
