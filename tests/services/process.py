"""A server of a test's own: its process, which may be killed and hang."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.freezing import freeze, thaw

__all__ = ["OwnProcess", "until"]


def until(condition: Callable[[], bool], otherwise: str, seconds: float = 90) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.02)


class OwnProcess:
    """A server that a test may kill, freeze and start as it likes."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def _run(self, command: Sequence[str | Path], **how: Any) -> subprocess.Popen[bytes]:
        """Start the process. `how` is Popen's; what it writes is dropped unless that says else."""
        silent: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self._process = process = subprocess.Popen[bytes](command, **(silent | how))
        return process

    def _wait_until(self, ready: Callable[[], bool]) -> None:
        """Wait until it serves, for as long as it runs."""

        def serves() -> bool:
            assert self._process is not None
            assert self._process.poll() is None, "the server ended"
            return ready()

        until(serves, "the server does not answer")

    def kill(self) -> None:
        """End the server at once, as a crash does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(30)
            self._process = None

    def freeze(self) -> None:
        """Let the server hang, as a lost network does."""
        assert self._process is not None
        freeze([self._process.pid])

    def thaw(self) -> None:
        """End `freeze`."""
        assert self._process is not None
        thaw([self._process.pid])
