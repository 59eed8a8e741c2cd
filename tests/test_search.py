"""Messages are found the same with the search index as without, on each database that has one."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from praison_persist._adapt import blocking
from praison_persist.protocols import ConversationStore
from praison_persist.sql.stores import AsyncSQLConversationStore, SQLConversationStore
from praison_persist.testing.contract import OpenStore
from praison_persist.testing.search import SearchContract

from .mysql_text import same_on_mysql
from .servers import empty
from .services.sqld import Sqld


class _Indexed(SearchContract):
    """The contract, where the index is there from the beginning."""

    @pytest.fixture(autouse=True)
    def index(self, url: str) -> Iterator[None]:
        with SQLConversationStore(url) as store:
            store.create_search_index()
            yield
            assert store.has_search_index()

    @pytest.fixture
    def open_store(self, url: str) -> OpenStore:
        return lambda: SQLConversationStore(url)


class _IndexedAsync(_Indexed):
    @pytest.fixture
    def open_store(self, url: str) -> OpenStore:
        return lambda: blocking(AsyncSQLConversationStore(url), ConversationStore)


class _SQLite:
    @pytest.fixture
    def url(self, tmp_path: Path, sqlite_template: Path) -> str:
        shutil.copy(sqlite_template, tmp_path / "test.db")
        return f"sqlite:///{tmp_path / 'test.db'}"


class _PostgreSQL:
    @pytest.fixture
    def url(self, postgres_database: str) -> Iterator[str]:
        yield postgres_database
        empty(postgres_database)


class _Asyncpg(_PostgreSQL):
    @pytest.fixture
    def url(self, postgres_database: str) -> Iterator[str]:
        yield postgres_database.replace("postgresql://", "postgresql+asyncpg://")
        empty(postgres_database)


class _MariaDB:
    @pytest.fixture
    def url(self, mariadb_database: str) -> Iterator[str]:
        with same_on_mysql():
            yield mariadb_database
        empty(mariadb_database)


class _LibSQL:
    @pytest.fixture
    def url(self, own_sqld: Sqld) -> str:
        return own_sqld.url


class TestSQLite(_SQLite, _Indexed):
    pass


class TestSQLiteAsync(_SQLite, _IndexedAsync):
    pass


class TestPostgreSQL(_PostgreSQL, _Indexed):
    pass


class TestPostgreSQLAsync(_PostgreSQL, _IndexedAsync):
    pass


class TestAsyncpg(_Asyncpg, _IndexedAsync):
    pass


class TestMariaDB(_MariaDB, _Indexed):
    pass


class TestMariaDBAsync(_MariaDB, _IndexedAsync):
    pass


class TestLibSQL(_LibSQL, _Indexed):
    pass


class TestLibSQLAsync(_LibSQL, _IndexedAsync):
    pass
