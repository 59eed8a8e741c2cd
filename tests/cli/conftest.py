"""A command line without settings of its user's."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from .conversations import Program, fill


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    kinds = ("CONVERSATION", "KNOWLEDGE", "STATE", "SESSION", "USER", "AUTO", "LAZY")
    for name in list(os.environ):
        if name.startswith(
            tuple(f"{p}_{kind}" for p in ("PRAISON", "PRAISONAI") for kind in kinds)
        ):
            monkeypatch.delenv(name)
    for name in ("POSTGRES_URL", "QDRANT_URL", "REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")


@pytest.fixture
def program(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Program:
    """The command line, in `tmp_path`, which is empty."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "work").rmdir()
    return Program(capsys)


@pytest.fixture
def url(tmp_path: Path) -> str:
    """The URL of a database with conversations."""
    return fill(tmp_path / "own.db")
