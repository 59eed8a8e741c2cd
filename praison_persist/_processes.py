"""Clients whose connections do not survive a fork, one for each process that a store is used in."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["PerProcess"]

C = TypeVar("C")


class PerProcess(Generic[C]):
    """Makes a client when a process first asks for one.

    Args:
        make: returns a new client, without connecting.
        close: closes one.
    """

    def __init__(self, make: Callable[[], C], close: Callable[[C], object]) -> None:
        self._make, self._close = make, close
        self._clients: dict[int, C] = {}

    def get(self) -> C:
        """Return the client of this process."""
        process = os.getpid()
        client = self._clients.get(process)
        if client is None:
            # Without a lock, which another thread might hold while this one forks.
            new = self._make()
            client = self._clients.setdefault(process, new)
            if client is not new:
                self._close(new)
        return client

    def close(self) -> None:
        """Close the client of this process. Those of others end with their process."""
        client = self._clients.pop(os.getpid(), None)
        if client is not None:
            self._close(client)
