"""The command line in a process on a terminal of the test's own."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

__all__ = ["Terminal", "on_terminal"]

_WAIT_S = 60.0


class Terminal:
    """A process on a terminal: what it printed so far, and keys for it."""

    def __init__(self, process: subprocess.Popen[bytes], master: int) -> None:
        self._process, self._master = process, master
        self.shown = ""

    def until(self, text: str) -> None:
        """Wait until a text is printed."""
        deadline = time.monotonic() + _WAIT_S
        while text not in self.shown:
            assert time.monotonic() < deadline, self.shown
            assert self._read(), self.shown

    def press(self, keys: str) -> None:
        """Type keys."""
        os.write(self._master, keys.encode())

    def interrupted(self) -> int:
        """Press Ctrl-C until the process ends, as a person does; return the exit status.

        A signal just before Python begins to wait for a line is handled when there is one.
        """
        deadline = time.monotonic() + _WAIT_S
        self.press("\x03")
        while True:
            ready, _, _ = select.select([self._master], [], [], 5.0)
            if ready and not self._read():
                return self._process.wait(_WAIT_S)
            assert time.monotonic() < deadline, self.shown
            if not ready:
                self.press("\x03")

    def ended(self) -> int:
        """Read all that comes, and return the exit status."""
        while self._read():
            pass
        return self._process.wait(_WAIT_S)

    def _read(self) -> bool:
        """Take what is printed next; return whether the terminal is still used."""
        ready, _, _ = select.select([self._master], [], [], _WAIT_S)
        assert ready, self.shown
        try:
            told = os.read(self._master, 65_536)
        except OSError:  # EIO: Linux's end of a terminal that nobody has open
            return False
        self.shown += told.decode()
        return bool(told)


def _own_terminal() -> None:
    """Give a new session its terminal, whose Ctrl-C it gets: the first that it opens."""
    os.close(os.open(os.ttyname(0), os.O_RDWR))
    # A shell has its background jobs, and what they start, ignore it.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def on_terminal(
    *words: str | Path, cwd: Path, variables: Mapping[str, str], columns: int = 100
) -> Iterator[Terminal]:
    """Run a command whose stdin, stdout and stderr are one terminal, which is its own."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-m", "praison_persist", *words],
        cwd=cwd,
        env={**variables, "TERM": "xterm-256color"},
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        preexec_fn=_own_terminal,  # noqa: PLW1509 - no threads here
    )
    os.close(slave)
    try:
        yield Terminal(process, master)
    finally:
        process.kill()
        process.wait()
        os.close(master)
