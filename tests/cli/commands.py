"""The command line in this process, and commands that tests add to it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from praison_persist.cli import app, main

Say = Callable[..., Any]


def fails_on_disk() -> None:
    """Raise what a full disk raises."""
    raise OSError(28, "No space left on device", "a.jsonl")


def is_interrupted() -> None:
    """Raise what Ctrl-C raises."""
    raise KeyboardInterrupt


def add(monkeypatch: pytest.MonkeyPatch, name: str, function: str) -> None:
    """Add a function of this module to the commands."""
    row = app.Command(name, f"{__name__}:{function}", "A command of a test.")
    monkeypatch.setattr(app, "COMMANDS", (*app.COMMANDS, row))


class Told:
    """What a command printed, and its status."""

    def __init__(self, status: int, out: str, err: str) -> None:
        self.status, self.out, self.err = status, out, err

    @property
    def json(self) -> Any:
        """The document on stdout."""
        return json.loads(self.out)


def tell(capsys: pytest.CaptureFixture[str], *words: str) -> Told:
    """Run a command in this process."""
    capsys.readouterr()
    status = main(words)
    said = capsys.readouterr()
    return Told(status, said.out, said.err)
