"""Which process runs a run, and whether that process still lives."""

from __future__ import annotations

import os
import socket
from functools import lru_cache
from pathlib import Path

__all__ = ["is_alive", "this_process"]


def this_process() -> str:
    """Return a name for this process that no other, earlier or later, has: host:pid:start."""
    return _name(os.getpid())


@lru_cache(maxsize=8)
def _name(pid: int) -> str:
    return f"{socket.gethostname()}:{pid}:{_stat(pid)[1]}"


def _stat(pid: int) -> tuple[str, str]:
    """Return a process's state, and its start time in clock ticks since boot; "" where unknown."""
    try:
        # proc(5): fields 3 and 22, counted behind the command's name, which may contain spaces.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return fields[0], fields[19]
    except (OSError, IndexError):
        return "", ""


def is_alive(owner: str | None) -> bool:
    """Whether the process may still run. Only a process of this host can be known to be dead."""
    place, _, started = (owner or "").rpartition(":")
    host, _, pid = place.rpartition(":")
    if not (pid.isascii() and pid.isdigit()) or host != socket.gethostname():
        return True
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    state, start = _stat(int(pid))
    # A process that was killed is a zombie until its parent has asked for it, perhaps for ever.
    return state not in ("Z", "X") and start == started
