"""Processes that do their steps at the same time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.programs import ROOT, environment

_TOGETHER = '"go"'


def side_by_side(
    module: str,
    *commands: tuple[str, ...],
    folder: Path,
) -> list[Any]:
    """Run the module once for each list of arguments; return what each said at its end.

    A step begins when all have called `start_together`.
    """
    running = [
        subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=ROOT,
            env=environment(folder),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for arguments in commands
    ]
    while True:
        said = [process.stdout.readline().strip() for process in running if process.stdout]
        if set(said) != {_TOGETHER}:
            break
        for process in running:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
    for process in running:
        process.communicate(timeout=60)
    assert [process.returncode for process in running] == [0] * len(running)
    return [json.loads(line) for line in said]


def say(value: Any) -> None:
    """Tell who runs this process; the last thing it does."""
    sys.stdout.write(f"{json.dumps(value)}\n")
    sys.stdout.flush()


def start_together() -> None:
    """Wait for the other processes."""
    say("go")
    sys.stdin.readline()
