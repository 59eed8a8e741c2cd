"""A connection pool that serves its callers in the order they came."""

from __future__ import annotations

import threading
from collections import deque
from typing import Any

from sqlalchemy import exc
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

__all__ = ["FairPool"]


class _Turns:
    """A semaphore that wakes its waiters in their order, and hands its place to the first."""

    def __init__(self, places: int) -> None:
        self._free = places
        self._waiting: deque[threading.Lock] = deque()
        self._lock = threading.Lock()

    def acquire(self, timeout_s: float) -> bool:
        """Wait for a place. Return whether there was one in time."""
        with self._lock:
            if self._free:
                self._free -= 1
                return True
            turn = threading.Lock()
            turn.acquire()
            self._waiting.append(turn)
        if turn.acquire(timeout=timeout_s):
            return True
        with self._lock:
            if turn in self._waiting:
                self._waiting.remove(turn)
                return False
        return True  # handed over just after the time was up

    def release(self) -> None:
        """Give the place to who waits longest."""
        with self._lock:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._free += 1


class FairPool(QueuePool):
    """QueuePool without starvation.

    There, a thread that returns a connection and asks for the next one is faster than the thread
    that it woke: with one connection and sixteen busy threads, some wait until `pool_timeout`.
    """

    def __init__(
        self, creator: Any, pool_size: int = 5, max_overflow: int = 10, **options: Any
    ) -> None:
        super().__init__(creator, pool_size, max_overflow, **options)
        self._turns = _Turns(pool_size + max_overflow)

    def _do_get(self) -> ConnectionPoolEntry:
        if not self._turns.acquire(self.timeout()):
            raise exc.TimeoutError(
                f"all of {self.size()} + {self._max_overflow} connections were in use "
                f"for {self.timeout():.1f} s"
            )
        try:
            return super()._do_get()
        except BaseException:  # a cancelled task too: its turn would never come back
            self._turns.release()
            raise

    def _do_return_conn(self, record: ConnectionPoolEntry) -> None:
        try:
            super()._do_return_conn(record)
        finally:
            self._turns.release()
