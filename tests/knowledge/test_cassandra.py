"""Cassandra keeps the knowledge contract, and its failures are told."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.packages import needs

needs("cassandra", extra="cassandra")

from praison_persist._flow import run  # noqa: E402 - after the check
from praison_persist.errors import (  # noqa: E402 - after the check
    ConfigurationError,
    ConflictError,
    UnavailableError,
)
from praison_persist.knowledge.cassandra import (  # noqa: E402 - after the check
    CassandraKnowledgeStore,
)
from praison_persist.knowledge.embedders import Embedder  # noqa: E402 - after the check
from praison_persist.knowledge.vectors import single  # noqa: E402 - after the check
from praison_persist.testing.knowledge import (  # noqa: E402 - after the check
    KnowledgeStoreContract,
    OpenKnowledge,
)
from praison_persist.testing.knowledge_contract import (  # noqa: E402 - after the check
    document,
    ids,
    vector,
)
from tests.servers import free_port  # noqa: E402 - after the check
from tests.services.cassandra import PASSWORD, USER, Cassandra  # noqa: E402 - after the check


@pytest.fixture(scope="module")
def node() -> Iterator[Cassandra]:
    """A fake node of this module."""
    node = Cassandra()
    yield node
    node.close()


@pytest.fixture
def cassandra(node: Cassandra) -> Cassandra:
    """An empty fake node."""
    node.empty()
    return node


def _opened(cassandra: Cassandra, keyspace: str = "praisonai", **options: Any) -> Any:
    return CassandraKnowledgeStore("127.0.0.1", keyspace, USER, PASSWORD, cassandra.port, **options)


class TestCassandra(KnowledgeStoreContract):
    @pytest.fixture
    def open_knowledge(self, cassandra: Cassandra) -> OpenKnowledge:
        def open_knowledge(embedder: Embedder | None = None) -> CassandraKnowledgeStore:
            store: CassandraKnowledgeStore = _opened(cassandra, embedder=embedder)
            return store

        return open_knowledge


class TestLayout:
    """One finds documents with cqlsh."""

    def test_a_collection_is_a_table(self, cassandra: Cassandra) -> None:
        with _opened(cassandra, "mine", replication_factor=3) as store:
            assert store.list_collections() == []
            store.create_collection("Docs", 4, "euclidean")
            store.insert("Docs", [document("a/b", {"year": 2020}, "text")])
        (name,) = set(cassandra.keyspaces["mine"]) - {"praison_collections"}
        assert name.startswith("praison_k_docs_")
        table = cassandra.keyspaces["mine"][name]
        assert table.indexes == {"terms": "", "embedding": "euclidean"}
        assert table.rows["a/b"]["content"] == "text"

    def test_exact_finds_the_same(self, cassandra: Cassandra) -> None:
        with _opened(cassandra) as store, _opened(cassandra, exact=True) as exact:
            store.create_collection("docs", 4)
            store.insert("docs", [document(f"d{n}", {"n": n % 2}) for n in range(20)])
            for filters in (None, {"n": 1}):
                near = store.search("docs", vector("x"), filters=filters)
                assert near == exact.search("docs", vector("x"), filters=filters)
            assert len(store.search("docs", vector("x"), limit=1001)) == 20

    def test_many_pages_are_read_and_deleted(
        self, cassandra: Cassandra, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("praison_persist.knowledge.cassandra_driver._PAGE", 3)
        with _opened(cassandra) as store:
            store.create_collection("docs", 4, "dot")
            store.insert("docs", [document(f"d{n}", {"even": n % 2 == 0}) for n in range(20)])
            assert len(ids(store.search("docs", vector("x"), limit=50))) == 20
            assert store.count("docs", {"even": {"$ne": True}}) == 10
            assert store.delete("docs", filters={"even": {"$ne": False}}) == 10
            assert store.clear("docs") == 10


class TestFailures:
    def test_an_overloaded_node_is_asked_again(self, cassandra: Cassandra) -> None:
        with _opened(cassandra, retry_delay=0.001) as store:
            store.create_collection("docs", 4)
            cassandra.failing = 2
            store.insert("docs", [document("a")])
            assert store.count("docs") == 1

    def test_what_an_earlier_try_stored_is_no_conflict(self, cassandra: Cassandra) -> None:
        with _opened(cassandra) as store:
            store.create_collection("docs", 4)
            given = document("a", {"k": [1]}, created_at=0.3, embedding=single(vector("a")))
            store.insert("docs", [given])
            collection = store.get_collection("docs")
            run(store.driver.put(collection, [given], new=True))
            with pytest.raises(ConflictError, match="'a'"):
                run(store.driver.put(collection, [document("a")], new=True))

    def test_nobody_there_is_told(self) -> None:
        options: dict[str, Any] = {"max_retries": 1, "retry_delay": 0.001}
        with (
            CassandraKnowledgeStore("127.0.0.1", port=free_port(), **options) as store,
            pytest.raises(UnavailableError, match="after 2 attempts") as caught,
        ):
            store.list_collections()
        assert caught.value.attempts == 2

    def test_a_wrong_password_is_told_and_not_shown(self, cassandra: Cassandra) -> None:
        with (
            CassandraKnowledgeStore(
                "127.0.0.1", "praisonai", USER, "wrong-password", cassandra.port
            ) as store,
            pytest.raises(UnavailableError, match="password") as caught,
        ):
            store.list_collections()
        assert "wrong-password" not in str(caught.value) + repr(store)

    def test_a_missing_keyspace_is_told(self, cassandra: Cassandra) -> None:
        with (
            _opened(cassandra, "nothing") as store,
            pytest.raises(UnavailableError, match="Make the keyspace"),
        ):
            store.list_collections()


class TestArguments:
    @pytest.mark.parametrize(
        ("options", "told"),
        [
            ({"hosts": "user:the-password@h"}, "hosts"),
            ({"keyspace": 'a"b'}, "keyspace"),
            ({"username": "u"}, "password"),
            ({"port": 0}, "port"),
            ({"replication_factor": 0}, "replication_factor"),
            ({"secure_connect_bundle": "/nowhere.zip"}, "no file"),
        ],
    )
    def test_what_cannot_be_is_refused(self, options: dict[str, Any], told: str) -> None:
        with pytest.raises(ConfigurationError, match=told) as caught:
            CassandraKnowledgeStore(**options)
        assert "the-password" not in str(caught.value)
