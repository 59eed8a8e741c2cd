"""The conformance suites on SQL databases: stores of both colours."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from praison_persist._adapt import blocking
from praison_persist.protocols import ConversationStore, RunStore
from praison_persist.sql.stores import AsyncSQLConversationStore, SQLConversationStore
from praison_persist.testing import ConversationStoreContract, RunStoreContract
from praison_persist.testing.contract import OpenStore
from praison_persist.testing.runs import OpenStores

from .open_engines import checked_out


class Conversations(ConversationStoreContract):
    """A conversation store on the database of the fixture `url`."""

    sequences = 3  # more of them on SQLite and PostgreSQL

    @pytest.fixture(autouse=True)
    def nothing_checked_out(self, store: ConversationStore) -> Iterator[None]:
        yield
        assert checked_out() == 0


class Runs(RunStoreContract):
    """A run store on the database of the fixture `url`."""

    @pytest.fixture(autouse=True)
    def nothing_checked_out(self, stores: tuple[ConversationStore, RunStore]) -> Iterator[None]:
        yield
        assert checked_out() == 0


class SyncConversations(Conversations):
    @pytest.fixture
    def open_store(self, url: str) -> OpenStore:
        return lambda: SQLConversationStore(url)


class AsyncConversations(Conversations):
    @pytest.fixture
    def open_store(self, url: str) -> OpenStore:
        return lambda: blocking(AsyncSQLConversationStore(url), ConversationStore)


class SyncRuns(Runs):
    @pytest.fixture
    def open_stores(self, url: str) -> OpenStores:
        def open_stores() -> tuple[ConversationStore, RunStore]:
            store = SQLConversationStore(url)
            return store, store.runs

        return open_stores


class AsyncRuns(Runs):
    @pytest.fixture
    def open_stores(self, url: str) -> OpenStores:
        def open_stores() -> tuple[ConversationStore, RunStore]:
            store = AsyncSQLConversationStore(url)
            return blocking(store, ConversationStore), blocking(store.runs, RunStore)

        return open_stores
