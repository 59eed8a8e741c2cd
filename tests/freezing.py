"""Servers that hang: processes that are stopped, and stay."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path


def freeze(pids: Iterable[int]) -> None:
    """Stop processes, and wait until each of their threads has stopped.

    The signal alone is not enough: a thread that runs on another processor goes on for a moment,
    and may answer a request that is sent after this returns.
    """
    pids = list(pids)
    _signal(pids, signal.SIGSTOP)
    deadline = time.monotonic() + 30
    while any(_runs(pid) for pid in pids):
        assert time.monotonic() < deadline, "the processes do not stop"
        time.sleep(0.002)


def thaw(pids: Iterable[int]) -> None:
    """End `freeze`."""
    _signal(pids, signal.SIGCONT)


def _signal(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):  # it has ended
            os.kill(pid, number)


def _runs(pid: int) -> bool:
    """Tell whether a thread of a process has not stopped: proc(5), /proc/pid/task."""
    for task in Path(f"/proc/{pid}/task").glob("*/stat"):
        try:
            state = task.read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            continue  # the thread has ended
        if state not in "TtZX":
            return True
    return False
