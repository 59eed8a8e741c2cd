"""SQL databases keep the knowledge contract, in both colours."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from praison_persist._adapt import blocking
from praison_persist.knowledge.embedders import Embedder
from praison_persist.knowledge.sql import AsyncSQLKnowledgeStore, SQLKnowledgeStore
from praison_persist.knowledge_protocols import KnowledgeStore
from praison_persist.testing.knowledge import KnowledgeStoreContract, OpenKnowledge
from tests.servers import empty
from tests.services.cockroach import Cockroach
from tests.services.sqld import Sqld


class _Sync(KnowledgeStoreContract):
    options: ClassVar[dict[str, Any]] = {}

    @pytest.fixture
    def open_knowledge(self, url: str) -> OpenKnowledge:
        def open_knowledge(embedder: Embedder | None = None) -> KnowledgeStore:
            return SQLKnowledgeStore(url, embedder=embedder, **self.options)

        return open_knowledge


class _Async(KnowledgeStoreContract):
    options: ClassVar[dict[str, Any]] = {}

    @pytest.fixture
    def open_knowledge(self, url: str) -> OpenKnowledge:
        def open_knowledge(embedder: Embedder | None = None) -> KnowledgeStore:
            store = AsyncSQLKnowledgeStore(url, embedder=embedder, **self.options)
            return blocking(store, KnowledgeStore)

        return open_knowledge


class _SQLite:
    # The contract does not depend on the disk, and its many writes would wait for it.
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


class TestSQLite(_SQLite, _Sync):
    pass


@pytest.mark.again
class TestSQLiteAsync(_SQLite, _Async):
    pass


class TestPsycopg(_PostgreSQL, _Sync):
    pass


class TestAsyncpg(_PostgreSQL, _Async):
    driver = "asyncpg"


class TestMariaDB(_MariaDB, _Sync):
    pass


@pytest.mark.again
class TestMariaDBAsync(_MariaDB, _Async):
    pass


class TestCockroachDB(_Sync):
    """In one colour, as the next two: the operations are the same."""

    @pytest.fixture
    def url(self, cockroach: Cockroach) -> Iterator[str]:
        yield cockroach.url
        empty(cockroach.behind)


class TestSingleStore(_Sync):
    @pytest.fixture
    def url(self, singlestore_database: str) -> Iterator[str]:
        yield singlestore_database
        empty(singlestore_database)


class TestLibSQL(_Sync):
    @pytest.fixture
    def url(self, own_sqld: Sqld) -> str:
        return own_sqld.url


def test_without_numpy_scores_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors: Any = pytest.importorskip("praison_persist.knowledge.vectors")
    packed = [vectors.pack([x, 1.0, -x]) for x in (0.5, -2.0, 3.0)]
    for distance in vectors.DISTANCES:
        with_numpy = vectors.scores(distance, [1.0, 2.0, 3.0], packed)
        monkeypatch.setattr(vectors, "_numpy", lambda: None)
        without = vectors.scores(distance, [1.0, 2.0, 3.0], packed)
        monkeypatch.undo()
        assert without == pytest.approx(with_numpy, rel=1e-12)
