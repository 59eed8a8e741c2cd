"""A database of each kind that has a search index, as the fixture `url` of a class."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from .mysql_text import same_on_mysql
from .servers import empty
from .services.sqld import Sqld

__all__ = ["Asyncpg", "LibSQL", "MariaDB", "PostgreSQL", "SQLite"]


class SQLite:
    @pytest.fixture
    def url(self, tmp_path: Path, sqlite_template: Path) -> str:
        shutil.copy(sqlite_template, tmp_path / "test.db")
        return f"sqlite:///{tmp_path / 'test.db'}"


class PostgreSQL:
    @pytest.fixture
    def url(self, postgres_database: str) -> Iterator[str]:
        yield postgres_database
        empty(postgres_database)


class Asyncpg(PostgreSQL):
    @pytest.fixture
    def url(self, postgres_database: str) -> Iterator[str]:
        yield postgres_database.replace("postgresql://", "postgresql+asyncpg://")
        empty(postgres_database)


class MariaDB:
    @pytest.fixture
    def url(self, mariadb_database: str) -> Iterator[str]:
        with same_on_mysql():
            yield mariadb_database
        empty(mariadb_database)


class LibSQL:
    @pytest.fixture
    def url(self, own_sqld: Sqld) -> str:
        return own_sqld.url
