"""SingleStore keeps the knowledge contract with its vectors, as far as an imitation tells."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from praison_persist.errors import (
    ConfigurationError,
    InvalidDataError,
    NotFoundError,
    UnavailableError,
)
from praison_persist.knowledge.embedders import Embedder
from praison_persist.knowledge.singlestore_vector import SingleStoreVectorKnowledgeStore
from praison_persist.knowledge_protocols import KnowledgeStore
from praison_persist.testing.knowledge import KnowledgeStoreContract, OpenKnowledge
from praison_persist.testing.knowledge_contract import document, ids, vector
from tests.servers import engine, free_port


class _Emptied:
    @pytest.fixture
    def url(self, singlestore_database: str) -> Iterator[str]:
        yield singlestore_database
        for table in _tables(singlestore_database):
            _run(singlestore_database, f"DROP TABLE {table}")


class TestSingleStoreVector(_Emptied, KnowledgeStoreContract):
    @pytest.fixture
    def open_knowledge(self, url: str) -> OpenKnowledge:
        def open_knowledge(embedder: Embedder | None = None) -> KnowledgeStore:
            return SingleStoreVectorKnowledgeStore(url, embedder=embedder)

        return open_knowledge


class TestTables(_Emptied):
    def test_a_collection_is_a_table(self, url: str) -> None:
        with SingleStoreVectorKnowledgeStore(url, "other_") as store:
            assert store.list_collections() == []
            assert _tables(url) == []
            store.create_collection("Docs", 4)
            named, registry = _tables(url)
            assert named.startswith("other_vec_docs_")
            assert registry == "other_vectors"
            store.delete_collection("Docs")
            assert _tables(url) == [registry]

    def test_a_collection_made_again_has_a_new_table(self, url: str) -> None:
        """A delete that is late drops the table of the collection that followed."""
        with SingleStoreVectorKnowledgeStore(url) as store:
            store.create_collection("docs", 4)
            first = _tables(url)[0]
            store.delete_collection("docs")
            store.create_collection("docs", 4)
            assert _tables(url)[0] != first

    def test_a_table_that_is_gone(self, url: str) -> None:
        with SingleStoreVectorKnowledgeStore(url) as store:
            store.create_collection("docs", 4)
            _run(url, f"DROP TABLE {_tables(url)[0]}")
            with pytest.raises(NotFoundError, match="docs"):
                store.count("docs")

    def test_numbers_beyond_doubles_compare(self, url: str) -> None:
        with SingleStoreVectorKnowledgeStore(url) as store:
            store.create_collection("docs", 4)
            store.insert("docs", [document("a", {"n": 10**400}), document("b", {"n": -(10**400)})])
            found = store.search("docs", vector("x"), filters={"n": {"$gt": 1e300}})
            assert ids(found) == ["a"]

    def test_the_dimension_may_be_fixed(self, url: str) -> None:
        with SingleStoreVectorKnowledgeStore(url, embedding_dim=3) as store:
            with pytest.raises(InvalidDataError, match="embedding_dim=3"):
                store.create_collection("docs", 4)
            store.create_collection("docs", 3)


class TestFailures:
    def test_a_server_that_is_down(self) -> None:
        url = f"singlestoredb://u:secret@127.0.0.1:{free_port()}/d"
        with (
            SingleStoreVectorKnowledgeStore(url, max_retries=1, retry_delay=0.01) as store,
            pytest.raises(UnavailableError, match="2 attempts") as caught,
        ):
            store.list_collections()
        assert "secret" not in str(caught.value) + repr(store)

    def test_a_wrong_password_is_told_and_not_shown(self, singlestore_database: str) -> None:
        url = sa.make_url(singlestore_database).set(username="nobody", password="wrong-password")
        with (
            SingleStoreVectorKnowledgeStore(url) as store,
            pytest.raises(UnavailableError, match="Access denied") as caught,
        ):
            store.list_collections()
        assert "wrong-password" not in str(caught.value) + repr(store)

    def test_what_cannot_be_is_refused(self) -> None:
        url = "singlestoredb://h/d"
        with pytest.raises(ConfigurationError, match="needs url="):
            SingleStoreVectorKnowledgeStore()
        with pytest.raises(ConfigurationError, match="not one of SingleStore"):
            SingleStoreVectorKnowledgeStore("postgresql://h/d")
        for prefix in ("a-b", "a" * 28):
            with pytest.raises(ConfigurationError, match="table_prefix"):
                SingleStoreVectorKnowledgeStore(url, prefix)
        with pytest.raises(ConfigurationError, match="embedding_dim"):
            SingleStoreVectorKnowledgeStore(url, embedding_dim=0)
        with pytest.raises(ConfigurationError, match="Unknown option"):
            SingleStoreVectorKnowledgeStore(url, schema="s")


def _tables(url: str) -> list[str]:
    return sorted(row[0] for row in _run(url, "SHOW TABLES"))


def _run(url: str, statement: str) -> list[sa.Row[Any]]:
    own = engine(url, database=True)
    with own.begin() as connection:
        result = connection.exec_driver_sql(statement)
        return list(result) if result.returns_rows else []
