"""Locks on files, for threads and processes alike."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from weakref import WeakValueDictionary

import filelock

from praison_persist.errors import UnavailableError

__all__ = ["locked"]

_POLL_S = 0.01

# Threads of a process wait here, one after the other, instead of polling the file.
_threads: WeakValueDictionary[str, threading.Lock] = WeakValueDictionary()
_guard = threading.Lock()


def _after_fork() -> None:
    """A thread that holds a lock does not live on in the child."""
    global _guard  # noqa: PLW0603 - the child needs its own
    _guard = threading.Lock()
    _threads.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


@contextmanager
def locked(path: Path, timeout_s: float) -> Iterator[None]:
    """Hold the lock of a file: `<path>.lock`, which stays there, as flock where there is one.

    Raises:
        UnavailableError: somebody else held it all the time.
        OSError: the lock's file cannot be made.
    """
    started = time.monotonic()
    with _guard:
        mutex = _threads.setdefault(str(path), threading.Lock())
    if not mutex.acquire(timeout=timeout_s):
        raise _held(path, started)
    try:
        lock = filelock.FileLock(f"{path}.lock")
        left_s = max(0.0, timeout_s - (time.monotonic() - started))
        try:
            lock.acquire(timeout=left_s, poll_interval=_POLL_S)
        except filelock.Timeout as error:
            raise _held(path, started) from error
        try:
            yield
        finally:
            lock.release()
    finally:
        mutex.release()


def _held(path: Path, started: float) -> UnavailableError:
    waited_s = time.monotonic() - started
    return UnavailableError(
        f"{path}: others held its lock for {waited_s:.1f} s; try again, or give the store a longer "
        "lock_timeout",
        elapsed_s=waited_s,
    )
