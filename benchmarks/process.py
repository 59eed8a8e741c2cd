"""The processes of contenders, seen from the one that measures."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from benchmarks.contenders import Entry
from benchmarks.contenders.base import Place

__all__ = ["ROOT", "NotInstalledError", "Worker", "WorkerError", "environment_of", "interpreter"]

ROOT = Path(__file__).resolve().parent.parent
_TAIL = 1500  # characters of an error that are kept
_LIMIT_S = 300.0

# No vendor may report home, ask for a key or look anything up while it is measured.
_VENDORS = {
    "AGNO_TELEMETRY": "false",
    "LANGCHAIN_TRACING_V2": "false",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "OPENAI_AGENTS_DISABLE_TRACING": "1",
    "OPENAI_API_KEY": "unused",
    "PRAISONAI_TELEMETRY_DISABLED": "true",
}


class WorkerError(Exception):
    """A contender raised, ended or did not answer; the text is the end of what it said."""


class NotInstalledError(WorkerError):
    """The environment of a contender, or its package, is not there."""


def interpreter(environment: str) -> Path:
    """Return the Python of an environment: beside the one that runs this, `make bench` has them.

    Raises:
        NotInstalledError: there is none.
    """
    if environment == "ours":
        return Path(sys.executable)
    own = Path(sys.prefix)
    python = own.with_name(f"{own.name}-{environment}") / "bin" / "python"
    if not python.exists():
        raise NotInstalledError(f"not measured: no environment {python.parents[1].name}")
    return python


def environment_of() -> dict[str, str]:
    """Return the variables of a contender's process. A folder on its path outdoes its packages."""
    return {
        **os.environ,
        **_VENDORS,
        "PYTHONPATH": str(ROOT),
        "PYTHONWARNINGS": "ignore",
    }


class Worker:
    """A contender in a process of its own.

    Args:
        entry: what runs there.
        place: its database.
        options: given to its class beside those of the entry.
    """

    def __init__(
        self, entry: Entry, place: Place, options: Mapping[str, Any] | None = None
    ) -> None:
        self.entry, self.place = entry, place
        self._said: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed in `end`
        self._process = subprocess.Popen(
            [
                interpreter(entry.environment),
                "-m",
                "benchmarks.worker",
                f"benchmarks.contenders.{entry.target}",
                place.engine,
                place.url,
                json.dumps({**entry.options, **(options or {})}),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            env=environment_of(),
            cwd=ROOT,
        )

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def call(self, command: str, *arguments: Any, limit_s: float = _LIMIT_S, **named: Any) -> Any:
        """Give a command of `benchmarks.worker.Bench`; return the answer.

        Raises:
            WorkerError: it failed, or took more than `limit_s` seconds; then it is ended.
            NotInstalledError: a module that it needs is not there.
        """
        self.give(command, *arguments, **named)
        return self.answer(command, limit_s)

    def give(self, command: str, *arguments: Any, **named: Any) -> None:
        """Give a command, whose answer is to be asked for."""
        assert self._process.stdin is not None
        if self._process.stdin.closed:
            raise WorkerError(f"{command} was not begun: the process has been ended")
        try:
            self._process.stdin.write(json.dumps([command, arguments, named]).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise WorkerError(self._last_words()) from error

    def answer(self, command: str, limit_s: float = _LIMIT_S) -> Any:
        """Return the answer to the command that was given; raises as `call` does."""
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], limit_s)
        if not ready:
            self.end()
            raise WorkerError(f"{command} did not end in {limit_s:.0f} s")
        line = self._process.stdout.readline()
        if not line:
            raise WorkerError(self._last_words())
        answer = json.loads(line)
        if "error" in answer:
            text = answer["error"].strip()[-_TAIL:]
            last = text.rpartition("\n")[2]
            if last.startswith(("ModuleNotFoundError", "ImportError")):
                raise NotInstalledError(f"not measured: {last}")
            raise WorkerError(text)
        return answer["value"]

    def close(self) -> None:
        """Let the contender disconnect, and end its process."""
        # What it measured has been told, and the process ends in any case.
        with suppress(WorkerError):
            self.call("close", limit_s=10)
        self.end()

    def end(self) -> None:
        """End the process."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for file in (self._process.stdin, self._process.stdout, self._said):
            if file is not None:
                file.close()

    def _last_words(self) -> str:
        self._process.wait(10)
        self._said.seek(0)
        return f"ended: {self._said.read().decode(errors='replace')[-_TAIL:]}"
