"""SQLite keeps the contracts: in a file and in memory, in both colours."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from praison_persist._adapt import blocking
from praison_persist.protocols import ConversationStore
from praison_persist.sql.stores import AsyncSQLConversationStore, SQLConversationStore

from .conformance import (
    AsyncConversations,
    AsyncRuns,
    SyncConversations,
    SyncRuns,
)


class _File:
    @pytest.fixture
    def url(self, tmp_path: Path, sqlite_template: Path) -> str:
        shutil.copy(sqlite_template, tmp_path / "test.db")
        return f"sqlite:///{tmp_path / 'test.db'}"


class TestSync(_File, SyncConversations):
    sequences = 15


class TestAsync(_File, AsyncConversations):
    pass


class TestSyncRuns(_File, SyncRuns):
    pass


class TestAsyncRuns(_File, AsyncRuns):
    pass


class _Memory:
    """An in-memory database belongs to one store; a second one is made beside it."""

    @pytest.fixture
    def url(self) -> str:
        return ":memory:"


@pytest.mark.again
class TestSyncInMemory(_Memory, SyncConversations):
    @pytest.fixture
    def second(self, store: ConversationStore) -> Iterator[ConversationStore]:
        assert isinstance(store, SQLConversationStore)
        with blocking(AsyncSQLConversationStore.beside(store), ConversationStore) as second:
            yield second


@pytest.mark.again
class TestAsyncInMemory(_Memory, AsyncConversations):
    @pytest.fixture
    def memory(self) -> Iterator[SQLConversationStore]:
        with SQLConversationStore(":memory:") as memory:
            yield memory

    @pytest.fixture
    def store(self, memory: SQLConversationStore) -> Iterator[ConversationStore]:
        with blocking(AsyncSQLConversationStore.beside(memory), ConversationStore) as store:
            yield store

    @pytest.fixture
    def second(
        self, memory: SQLConversationStore, store: ConversationStore
    ) -> Iterator[ConversationStore]:
        with blocking(AsyncSQLConversationStore.beside(memory), ConversationStore) as second:
            yield second


class TestSyncInMemoryRuns(_Memory, SyncRuns):
    pass


class TestAsyncInMemoryRuns(_Memory, AsyncRuns):
    pass
