"""Messages are found the same with the search index as without, on each database that has one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from praison_persist._adapt import blocking
from praison_persist.protocols import ConversationStore
from praison_persist.sql.stores import AsyncSQLConversationStore, SQLConversationStore
from praison_persist.testing import ConversationStoreContract
from praison_persist.testing.contract import OpenStore
from praison_persist.testing.search import SearchContract

from .search_urls import Asyncpg, LibSQL, MariaDB, PostgreSQL, SQLite


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


class TestConversations(SQLite, ConversationStoreContract):
    """Triggers that write beside an append change none of its answers."""

    sequences = 5

    index, open_store = _Indexed.index, _Indexed.open_store


class _IndexedAsync(_Indexed):
    @pytest.fixture
    def open_store(self, url: str) -> OpenStore:
        return lambda: blocking(AsyncSQLConversationStore(url), ConversationStore)


class TestSQLite(SQLite, _Indexed):
    pass


class TestSQLiteAsync(SQLite, _IndexedAsync):
    pass


class TestPostgreSQL(PostgreSQL, _Indexed):
    pass


class TestPostgreSQLAsync(PostgreSQL, _IndexedAsync):
    pass


class TestAsyncpg(Asyncpg, _IndexedAsync):
    pass


class TestMariaDB(MariaDB, _Indexed):
    pass


class TestMariaDBAsync(MariaDB, _IndexedAsync):
    pass


class TestLibSQL(LibSQL, _Indexed):
    pass


class TestLibSQLAsync(LibSQL, _IndexedAsync):
    pass
