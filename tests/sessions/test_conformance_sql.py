"""The conformance suite of session stores on SQL databases."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from praison_persist.sessions.sql import SQLSessionStore
from praison_persist.testing.session_contract import OpenSessions
from praison_persist.testing.session_stores import SessionStoreContract
from tests.servers import empty
from tests.services.sqld import Sqld


class _SQL(SessionStoreContract):
    makes_room = False

    @pytest.fixture
    def open_sessions(self, url: str) -> Iterator[OpenSessions]:
        with ExitStack() as stack:

            def open_sessions(**options: Any) -> SQLSessionStore:
                return stack.enter_context(SQLSessionStore(url, **options))

            yield open_sessions


class TestSQLite(_SQL):
    @pytest.fixture
    def url(self, tmp_path: Path, sqlite_template: Path) -> str:
        shutil.copy(sqlite_template, tmp_path / "test.db")
        return f"sqlite:///{tmp_path / 'test.db'}"


class TestPostgreSQL(_SQL):
    @pytest.fixture
    def url(self, postgres_database: str) -> Iterator[str]:
        yield postgres_database
        empty(postgres_database)


class TestMariaDB(_SQL):
    @pytest.fixture
    def url(self, mariadb_database: str) -> Iterator[str]:
        yield mariadb_database
        empty(mariadb_database)


class TestLibSQL(_SQL):
    @pytest.fixture
    def url(self, own_sqld: Sqld) -> str:
        return own_sqld.url
