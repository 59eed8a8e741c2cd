"""What tests of the command line have in common."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conversations import Program, fill


@pytest.fixture
def program(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Program:
    """The command line, in an empty folder and without settings."""
    monkeypatch.chdir(tmp_path)
    for kind in ("CONVERSATION", "STATE", "KNOWLEDGE"):
        monkeypatch.delenv(f"PRAISON_{kind}_URL", raising=False)
        monkeypatch.delenv(f"PRAISONAI_{kind}_URL", raising=False)
    return Program(capsys)


@pytest.fixture
def url(tmp_path: Path) -> str:
    """The URL of a database with conversations."""
    return fill(tmp_path / "own.db")
