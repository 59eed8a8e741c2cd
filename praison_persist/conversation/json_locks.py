"""Locks between threads and processes, by path of a file."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

__all__ = ["locked"]

_POLL_S = 0.005  # between two tries for a lock that another process holds


class _Lock:
    """Of one path, for all stores of this process."""

    def __init__(self, path: str) -> None:
        # Threads queue here: one of them at a time competes with other processes.
        self.of_threads = threading.Lock()
        self.of_processes = filelock.FileLock(path, thread_local=False)


_locks: dict[str, _Lock] = {}
_of_parents: list[_Lock] = []


@contextmanager
def locked(path: Path, wait_s: float) -> Iterator[None]:
    """Keep all others, also of other processes, out of the same block for this path.

    Raises:
        filelock.Timeout: others held it for `wait_s` seconds.
    """
    lock = _locks.get(str(path)) or _locks.setdefault(str(path), _Lock(str(path)))
    deadline = time.monotonic() + wait_s
    if not lock.of_threads.acquire(timeout=wait_s):
        raise filelock.Timeout(str(path))
    try:
        left = max(0.0, deadline - time.monotonic())
        with lock.of_processes.acquire(timeout=left, poll_interval=_POLL_S):
            yield
    finally:
        lock.of_threads.release()


def _after_fork() -> None:
    """The child has locks of its own; to drop the parent's here could release them there."""
    _of_parents.extend(_locks.values())
    _locks.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
