from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .databases import ENGINES, MARIADB, POSTGRESQL, SQLITE, Scratch, scratch


@pytest.fixture(params=ENGINES)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Scratch]:
    """An empty database on each engine."""
    with scratch(request.param, tmp_path) as empty:
        yield empty


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Scratch]:
    with scratch(SQLITE, tmp_path) as empty:
        yield empty


@pytest.fixture
def postgresql(tmp_path: Path) -> Iterator[Scratch]:
    with scratch(POSTGRESQL, tmp_path) as empty:
        yield empty


@pytest.fixture
def mariadb(tmp_path: Path) -> Iterator[Scratch]:
    with scratch(MARIADB, tmp_path) as empty:
        yield empty
