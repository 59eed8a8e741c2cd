"""Couchbase keeps the knowledge contract, and its failures are told."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.packages import needs

needs("couchbase", extra="couchbase")

from praison_persist._flow import run  # noqa: E402 - after the check
from praison_persist.errors import (  # noqa: E402 - after the check
    BackendError,
    ConfigurationError,
    ConflictError,
    NotFoundError,
    UnavailableError,
)
from praison_persist.knowledge.couchbase import (  # noqa: E402 - after the check
    CouchbaseKnowledgeStore,
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
from tests.services.couchbase import BUCKET, PASSWORD, USER, Couchbase  # noqa: E402 - as above


@pytest.fixture(scope="module")
def node() -> Iterator[Couchbase]:
    """A fake node of this module."""
    node = Couchbase()
    yield node
    node.close()


@pytest.fixture
def couchbase(node: Couchbase) -> Couchbase:
    """An empty fake node."""
    node.empty()
    return node


def _opened(couchbase: Couchbase, scope: str = "_default", **options: Any) -> Any:
    return CouchbaseKnowledgeStore(couchbase.url, USER, PASSWORD, BUCKET, scope, **options)


class TestCouchbase(KnowledgeStoreContract):
    @pytest.fixture
    def open_knowledge(self, couchbase: Couchbase) -> OpenKnowledge:
        def open_knowledge(embedder: Embedder | None = None) -> CouchbaseKnowledgeStore:
            store: CouchbaseKnowledgeStore = _opened(couchbase, embedder=embedder)
            return store

        return open_knowledge


class TestLayout:
    """One finds documents in the console."""

    def test_a_collection_is_one_of_the_scope(self, couchbase: Couchbase) -> None:
        with _opened(couchbase, "kb") as store:
            store.create_collection("Docs", 4, "euclidean", {"k": 1})
            store.insert("Docs", [document("a/b", {"year": 2020}, "text")])
        assert couchbase.collections("kb") == {"praison-collections", "praison-k-Docs"}
        assert couchbase.documents("praison-collections", "kb") == {
            "Docs": {"dimension": 4, "distance": "euclidean", "metadata": {"k": 1}}
        }
        (found,) = couchbase.documents("praison-k-Docs", "kb").values()
        assert (found["document_id"], found["content"]) == ("a/b", "text")
        assert found["numbers"] == {"year": 2020}

    def test_what_was_left_half_done_is_taken_up(self, couchbase: Couchbase) -> None:
        with _opened(couchbase) as store:
            store.create_collection("docs", 4)
            register = couchbase._scopes["_default"]["praison-collections"].items
            register.clear()
            store.create_collection("docs", 5)
            assert store.list_collections() == ["docs"]
            # A deletion that was broken off after the documents were gone.
            del couchbase._scopes["_default"]["praison-k-docs"]
            with pytest.raises(NotFoundError, match="no longer"):
                store.count("docs")
            assert store.delete_collection("docs")
            assert register == {}

    def test_a_collection_that_is_made_anew_is_found(self, couchbase: Couchbase) -> None:
        """The SDK remembers the number of the old one."""
        with _opened(couchbase) as store, _opened(couchbase) as other:
            store.create_collection("docs", 4)
            store.insert("docs", [document("a")])
            assert other.delete_collection("docs")
            other.create_collection("docs", 4, "dot")
            other.insert("docs", [document("b")])
            assert ids(store.get("docs", ["a", "b"])) == ["b"]
            assert ids(store.search("docs", vector("x"))) == ["b"]

    def test_many_pages_are_deleted(
        self, couchbase: Couchbase, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("praison_persist.knowledge.couchbase_driver._PAGE", 3)
        with _opened(couchbase) as store:
            store.create_collection("docs", 4)
            store.insert("docs", [document(f"d{n}", {"even": n % 2 == 0}) for n in range(20)])
            assert store.delete("docs", filters={"even": True}) == 10
            assert store.clear("docs") == 10


class TestFailures:
    def test_a_busy_server_is_asked_again(self, couchbase: Couchbase) -> None:
        with _opened(couchbase, retry_delay=0.001) as store:
            store.create_collection("docs", 4)
            couchbase.failing = 2
            store.insert("docs", [document("a")])
            assert store.count("docs") == 1

    def test_what_an_earlier_try_stored_is_no_conflict(self, couchbase: Couchbase) -> None:
        with _opened(couchbase) as store:
            store.create_collection("docs", 4)
            given = document("a", {"k": [1]}, created_at=0.3, embedding=single(vector("a")))
            store.insert("docs", [given])
            collection = store.get_collection("docs")
            run(store.driver.put(collection, [given], new=True))
            with pytest.raises(ConflictError, match="'a'"):
                run(store.driver.put(collection, [document("a")], new=True))

    def test_an_error_of_a_statement_is_told_without_its_parameters(
        self, couchbase: Couchbase
    ) -> None:
        with _opened(couchbase) as store:
            store.create_collection("docs", 4)
            couchbase.refusing = [(3000, "Invalid function VECTOR_DISTANCE")]
            with pytest.raises(BackendError, match=r"Invalid function.*Server 7\.6") as caught:
                store.search("docs", vector("x"), filters={"name": "somebody's secret"})
            assert "secret" not in str(caught.value)

    def test_nobody_there_is_told(self) -> None:
        place = f"couchbase://127.0.0.1:{free_port()}"
        options: dict[str, Any] = {"timeout": 0.3, "max_retries": 1, "retry_delay": 0.001}
        with (
            CouchbaseKnowledgeStore(place, USER, PASSWORD, BUCKET, **options) as store,
            pytest.raises(UnavailableError, match="after 2 attempts") as caught,
        ):
            store.list_collections()
        assert caught.value.attempts == 2

    def test_a_wrong_password_is_told_and_not_shown(self, couchbase: Couchbase) -> None:
        with (
            CouchbaseKnowledgeStore(couchbase.url, USER, "wrong-password", BUCKET) as store,
            pytest.raises(UnavailableError, match="password") as caught,
        ):
            store.list_collections()
        assert "wrong-password" not in str(caught.value) + repr(store)


class TestArguments:
    def test_the_environment_says_where_it_is(
        self, couchbase: Couchbase, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("COUCHBASE_CONNECTION_STRING", couchbase.url)
        monkeypatch.setenv("COUCHBASE_USERNAME", USER)
        monkeypatch.setenv("COUCHBASE_PASSWORD", PASSWORD)
        monkeypatch.setenv("COUCHBASE_BUCKET", BUCKET)
        with CouchbaseKnowledgeStore() as store:
            store.create_collection("docs", 4)
            assert store.collection_exists("docs")

    @pytest.mark.parametrize(
        "place", ["localhost", "http://h", "couchbase://", "couchbase://user:the-password@h"]
    )
    def test_what_is_no_place_is_refused(self, place: str) -> None:
        with pytest.raises(ConfigurationError, match="connection string") as caught:
            CouchbaseKnowledgeStore(place, USER, PASSWORD)
        assert PASSWORD not in str(caught.value)

    @pytest.mark.parametrize(
        ("options", "told"),
        [
            ({"username": None}, "username"),
            ({"password": ""}, "password"),
            ({"bucket": "a`b"}, "bucket"),
            ({"scope": "_x"}, "scope"),
            ({"scope": "a.b"}, "scope"),
        ],
    )
    def test_what_cannot_be_is_refused(
        self, options: dict[str, Any], told: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("COUCHBASE_USERNAME", raising=False)
        monkeypatch.delenv("COUCHBASE_PASSWORD", raising=False)
        with pytest.raises(ConfigurationError, match=told):
            CouchbaseKnowledgeStore(
                "couchbase://h", **{"username": USER, "password": PASSWORD, **options}
            )
