"""SQL databases keep the state contract, in both colours."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from praison_persist._adapt import blocking
from praison_persist.protocols import StateStore
from praison_persist.sql.stores import SQLConversationStore
from praison_persist.state.sql import AsyncSQLStateStore, SQLStateStore
from praison_persist.testing.state import Clock, StateStoreContract
from praison_persist.testing.state_contract import OpenState
from tests.mysql_text import same_on_mysql
from tests.servers import empty
from tests.services.cockroach import Cockroach
from tests.services.sqld import Sqld


class _Sync(StateStoreContract):
    sequences = 3  # more of them on SQLite
    options: ClassVar[dict[str, Any]] = {}

    @pytest.fixture
    def open_state(self, url: str, clock: Clock) -> OpenState:
        return lambda: SQLStateStore(url, clock=clock, **self.options)


class _Async(StateStoreContract):
    sequences = 2
    options: ClassVar[dict[str, Any]] = {}

    @pytest.fixture
    def open_state(self, url: str, clock: Clock) -> OpenState:
        return lambda: blocking(AsyncSQLStateStore(url, clock=clock, **self.options), StateStore)


class _SQLite:
    # The contract does not depend on the disk, and its thousands of writes would wait for it.
    options: ClassVar[dict[str, Any]] = {"synchronous": "OFF"}

    @pytest.fixture
    def url(self, tmp_path: Path, sqlite_template: Path) -> str:
        shutil.copy(sqlite_template, tmp_path / "test.db")
        return f"sqlite:///{tmp_path / 'test.db'}"


class _PostgreSQL:
    driver = "psycopg"

    @pytest.fixture
    def url(self, postgres_database: str) -> Iterator[str]:
        yield postgres_database.replace("postgresql://", f"postgresql+{self.driver}://")
        empty(postgres_database)


class _MariaDB:
    @pytest.fixture
    def url(self, mariadb_database: str) -> Iterator[str]:
        yield mariadb_database
        empty(mariadb_database)


class _CockroachDB:
    @pytest.fixture
    def url(self, cockroach: Cockroach) -> Iterator[str]:
        yield cockroach.url
        empty(cockroach.behind)


class _LibSQL:
    @pytest.fixture
    def url(self, own_sqld: Sqld) -> str:
        return own_sqld.url


class TestSQLite(_SQLite, _Sync):
    sequences = 10


@pytest.mark.again
class TestSQLiteAsync(_SQLite, _Async):
    pass


class TestPsycopg(_PostgreSQL, _Sync):
    pass


@pytest.mark.again
class TestPsycopgAsync(_PostgreSQL, _Async):
    pass


class TestAsyncpg(_PostgreSQL, _Async):
    driver = "asyncpg"


class TestCockroachDB(_CockroachDB, _Sync):
    pass


class TestMariaDB(_MariaDB, _Sync):
    @pytest.fixture(autouse=True)
    def statements(self) -> Iterator[None]:
        with same_on_mysql():
            yield


@pytest.mark.again
class TestMariaDBAsync(_MariaDB, _Async):
    pass


class TestLibSQL(_LibSQL, _Sync):
    sequences = 2  # each call is requests over HTTP


class _SingleStore:
    """In one colour: asyncio runs the same operations in threads."""

    @pytest.fixture
    def url(self, singlestore_database: str) -> Iterator[str]:
        yield singlestore_database
        empty(singlestore_database)


class TestSingleStore(_SingleStore, _Sync):
    pass


@pytest.mark.again
class TestBesideConversations(StateStoreContract):
    """State in the database of a conversation store, which lives in memory."""

    @pytest.fixture
    def conversations(self) -> Iterator[SQLConversationStore]:
        with SQLConversationStore(":memory:") as store:
            yield store

    @pytest.fixture
    def open_state(self, conversations: SQLConversationStore, clock: Clock) -> OpenState:
        return lambda: SQLStateStore.of(conversations.database, clock=clock)


class TestPurge(_SQLite):
    """What has expired leaves the table, and nothing else does."""

    @pytest.fixture
    def clock(self) -> Clock:
        return Clock()

    def test_purge_deletes_what_has_expired(self, url: str, clock: Clock) -> None:
        with SQLStateStore(url, clock=clock, purge_interval=None) as store:
            store.set_many(dict.fromkeys([f"k{index}" for index in range(1500)], 1), ttl=10)
            store.hset("k0", "f", 1)
            store.set("kept", 1, ttl=20)
            store.hset("kept", "f", 1)
            clock.now += 10
            store.set("also kept", 1)
            assert _rows(store) == 1504
            assert store.purge() == 1500
            assert _rows(store) == 3
            assert store.purge() == 0
            assert store.keys() == ["also kept", "kept"]

    def test_a_write_purges_now_and_then(self, url: str, clock: Clock) -> None:
        """A table that only grows."""
        with SQLStateStore(url, clock=clock, purge_interval=60) as store:
            store.set("k", 1, ttl=10)
            clock.now += 59
            store.set("l", 1)
            assert _rows(store) == 2
            clock.now += 1
            store.set("l", 1)
            assert _rows(store) == 1


def _rows(store: SQLStateStore) -> int:
    rows: int = store.database.read(
        lambda connection, tables: len(connection.execute(tables.state.select()).all())
    )
    return rows
