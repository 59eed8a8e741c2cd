"""Pinecone keeps the knowledge contract, in both colours, and its failures are told."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from praison_persist._adapt import blocking
from praison_persist.errors import (
    BackendError,
    ConfigurationError,
    ConflictError,
    InvalidDataError,
    NotFoundError,
    UnavailableError,
)
from praison_persist.knowledge.embedders import Embedder
from praison_persist.knowledge_protocols import KnowledgeStore
from praison_persist.testing.knowledge import KnowledgeStoreContract, OpenKnowledge
from praison_persist.testing.knowledge_contract import document, ids, vector
from tests.packages import needs
from tests.services.pinecone import KEY, Pinecone

needs("pinecone", extra="pinecone")

from praison_persist.knowledge import pinecone_driver  # noqa: E402 - its package may be missing
from praison_persist.knowledge.pinecone import (  # noqa: E402 - as above
    AsyncPineconeKnowledgeStore,
    PineconeKnowledgeStore,
)


@pytest.fixture(scope="module")
def server() -> Iterator[Pinecone]:
    server = Pinecone()
    yield server
    server.close()


@pytest.fixture
def pinecone(server: Pinecone, monkeypatch: pytest.MonkeyPatch) -> Pinecone:
    server.empty()
    # The server of the tests is as fast as it lags.
    monkeypatch.setattr(pinecone_driver, "_POLL_S", (0.001, 0.01))
    return server


def opened(pinecone: Pinecone, **options: Any) -> PineconeKnowledgeStore:
    settings: dict[str, Any] = {"api_key": KEY, "host": pinecone.url, "retry_delay": 0.001}
    return PineconeKnowledgeStore(**(settings | options))


class TestPinecone(KnowledgeStoreContract):
    @pytest.fixture
    def open_knowledge(self, pinecone: Pinecone) -> OpenKnowledge:
        def open_knowledge(embedder: Embedder | None = None) -> KnowledgeStore:
            return opened(pinecone, embedder=embedder)

        return open_knowledge


@pytest.mark.again
class TestAsyncPinecone(KnowledgeStoreContract):
    @pytest.fixture
    def open_knowledge(self, pinecone: Pinecone) -> OpenKnowledge:
        def open_knowledge(embedder: Embedder | None = None) -> KnowledgeStore:
            store = AsyncPineconeKnowledgeStore(
                KEY, host=pinecone.url, retry_delay=0.001, embedder=embedder
            )
            return blocking(store, KnowledgeStore)

        return open_knowledge


class TestLayout:
    def test_indexes_of_others_are_no_collections(self, pinecone: Pinecone) -> None:
        with opened(pinecone) as one, opened(pinecone, index_name="other") as other:
            one.create_collection("docs", 4)
            assert other.list_collections() == []
            assert not other.collection_exists("docs")
            other.create_collection("docs", 3)
            assert other.delete_collection("docs")
            assert one.list_collections() == ["docs"]

    def test_namespaces_share_an_index(self, pinecone: Pinecone) -> None:
        """Deleting a collection takes the documents of other namespaces with it."""
        with opened(pinecone, namespace="a") as one, opened(pinecone, namespace="b") as other:
            one.create_collection("docs", 4)
            one.insert("docs", [document("x")])
            assert other.count("docs") == 0
            other.insert("docs", [document("x"), document("y")])
            assert one.count("docs") == 1
            assert other.clear("docs") == 2
            other.insert("docs", [document("z")])
            other.count("docs")
            with pytest.raises(ConflictError, match="namespace 'b'"):
                one.delete_collection("docs")
            other.clear("docs")
            assert one.delete_collection("docs")

    def test_metadata_of_a_collection_has_to_fit(self, pinecone: Pinecone) -> None:
        with opened(pinecone) as store:
            metadata = {"text": "".join(f"{number} " for number in range(400))}
            store.create_collection("docs", 4, metadata=metadata)
            with opened(pinecone) as other:
                stored = other.get_collection("docs")
                assert stored is not None
                assert stored.metadata == metadata
            with pytest.raises(InvalidDataError, match="does not fit"):
                store.create_collection("many", 4, metadata={"all": [*range(2000)]})
            assert store.list_collections() == ["docs"]

    def test_pieces_of_long_contents_go_with_them(self, pinecone: Pinecone) -> None:
        """What was long and is short keeps its pieces for ever."""
        with opened(pinecone) as store:
            store.create_collection("docs", 4)
            long = "".join(f"{number} straße " for number in range(20_000))
            store.insert("docs", [document("a", None, long), document("b", None, long)])
            assert [each.content for each in store.get("docs", ["a", "b"])] == [long, long]
            assert store.search("docs", vector("a"), limit=1)[0].content == long
            pieces = _pieces(pinecone)
            assert len(pieces) > 20
            store.upsert("docs", [document("a", None, long)])
            assert len(_pieces(pinecone)) == len(pieces)
            store.upsert("docs", [document("a", None, "short")])
            assert len(_pieces(pinecone)) == len(pieces) // 2
            store.delete("docs", ["b"])
            assert _pieces(pinecone) == set()

    def test_more_than_can_be_filtered_by_is_refused(self, pinecone: Pinecone) -> None:
        with opened(pinecone) as store:
            store.create_collection("docs", 4)
            with pytest.raises(InvalidDataError, match=r"'a'.*40 KB"):
                store.insert("docs", [document("a", {"tags": [f"tag {n}" for n in range(4000)]})])
            store.insert("docs", [document("a", {"no": {"tags": [*range(4000)]}})])

    def test_embeddings_of_zeros_are_refused(self, pinecone: Pinecone) -> None:
        with opened(pinecone) as store:
            store.create_collection("docs", 2, "dot")
            with pytest.raises(InvalidDataError, match="'a' is of zeros"):
                store.insert("docs", [document("a", embedding=[0.0, 0.0])])

    def test_large_answers_are_asked_for_in_parts(self, pinecone: Pinecone) -> None:
        """An answer of more than 4 MB is refused."""
        with opened(pinecone) as store:
            store.create_collection("docs", 4)
            names = [f"d{number:03}" for number in range(150)]
            store.insert("docs", [document(name, None, "x" * 35_000) for name in names])
            assert sorted(ids(store.search("docs", vector("x"), limit=1000))) == names


def _pieces(pinecone: Pinecone) -> set[str]:
    (index,) = pinecone._indexes.values()
    return set(index.namespaces["__default__/parts"].written)


class TestConsistency:
    def test_writes_wait_until_they_are_seen(self, pinecone: Pinecone) -> None:
        pinecone.lag = 5
        with opened(pinecone) as store, opened(pinecone) as second:
            store.create_collection("docs", 4)
            store.insert("docs", [document("a", {"k": 1})])
            assert ids(second.search("docs", vector("a"))) == ["a"]
            store.delete("docs", ["a"])
            assert second.search("docs", vector("a")) == []

    def test_what_does_not_become_visible_is_told(self, pinecone: Pinecone) -> None:
        pinecone.lag = 10**6
        with opened(pinecone, fresh_seconds=0.05) as store:
            store.create_collection("docs", 4)
            with pytest.raises(UnavailableError, match=r"but are not visible after 0\.05 s"):
                store.insert("docs", [document("a")])
        pinecone.lag = 0
        with opened(pinecone, fresh_seconds=0) as store:
            assert ids(store.get("docs", ["a"])) == ["a"]

    def test_descriptions_are_believed_for_some_time(self, pinecone: Pinecone) -> None:
        with opened(pinecone, cache_seconds=60) as store:
            store.create_collection("docs", 4)
            pinecone.requests.clear()
            store.insert("docs", [document("a")])
            store.search("docs", vector("a"))
            assert not [each for each in pinecone.requests if "/indexes" in each]

    def test_what_others_deleted_is_not_found(self, pinecone: Pinecone) -> None:
        """A description that is believed hides that the index is gone."""
        with opened(pinecone, cache_seconds=60) as store, opened(pinecone) as other:
            for use in (
                lambda: store.get("docs", ["a"]),
                lambda: store.search("docs", vector("a")),
                lambda: store.upsert("docs", [document("a")]),
                lambda: store.clear("docs"),
            ):
                store.create_collection("docs", 4)
                other.delete_collection("docs")
                with pytest.raises(NotFoundError):
                    use()
                assert not store.collection_exists("docs")


class TestFailures:
    def test_a_service_that_is_down_for_a_moment_is_asked_again(self, pinecone: Pinecone) -> None:
        with opened(pinecone) as store:
            pinecone.failing = [(503, "busy")] * 3
            store.create_collection("docs", 4)
            pinecone.failing = [(503, "busy")] * 4
            with pytest.raises(UnavailableError, match="4 attempts"):
                store.list_collections()

    def test_a_server_that_is_not_there_is_told(self) -> None:
        gone = Pinecone()
        gone.close()
        with (
            opened(gone) as store,
            pytest.raises(UnavailableError, match=r"127\.0\.0\.1.*4 attempts") as caught,
        ):
            store.count("docs")
        assert caught.value.attempts == 4

    def test_a_wrong_key_is_told_and_not_shown(self, pinecone: Pinecone) -> None:
        with (
            opened(pinecone, api_key="wrong-key") as store,
            pytest.raises(UnavailableError, match="PINECONE_API_KEY") as caught,
        ):
            store.count("docs")
        assert "wrong-key" not in str(caught.value) + repr(store)

    def test_what_is_refused_is_told(self, pinecone: Pinecone) -> None:
        with opened(pinecone) as store:
            pinecone.failing = [(400, '{"error": {"code": "X", "message": "quota is used up"}}')]
            with pytest.raises(BackendError, match=r"cannot list collections.*quota is used up"):
                store.list_collections()

    def test_threads_share_the_clients(self, pinecone: Pinecone) -> None:
        with opened(pinecone) as store:
            store.create_collection("docs", 4)
            threads = [threading.Thread(target=store.count, args=("docs",)) for _ in range(8)]
            for each in threads:
                each.start()
            for each in threads:
                each.join()


class TestOptions:
    def test_the_environment_says_where_it_is(
        self, pinecone: Pinecone, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PINECONE_API_KEY", KEY)
        monkeypatch.setenv("PINECONE_INDEX", "own")
        monkeypatch.setenv("PINECONE_CONTROLLER_HOST", pinecone.url)
        with PineconeKnowledgeStore() as store:
            store.create_collection("My_Docs", 4)
            (name,) = pinecone.names()
            assert name.startswith("own-mydocs-")

    def test_the_region_of_new_indexes(self, pinecone: Pinecone) -> None:
        with opened(pinecone, environment="eu-west-1-aws") as store:
            store.create_collection("docs", 4)
        (index,) = pinecone._indexes.values()
        assert index.model["deployment"] == {
            "deployment_type": "managed",
            "cloud": "aws",
            "region": "eu-west-1",
        }

    @pytest.mark.parametrize(
        ("options", "told"),
        [
            ({"api_key": None}, "PINECONE_API_KEY"),
            ({"api_key": "a\nb"}, "api_key"),
            ({"index_name": "Not_Lower"}, "Not_Lower"),
            ({"index_name": "x" * 16}, "15"),
            ({"environment": "somewhere"}, "us-east-1-aws"),
            ({"namespace": "ä"}, "namespace"),
            ({"host": "ftp://x"}, "ftp"),
            ({"timeout": 0}, "timeout"),
            ({"fresh_seconds": -1}, "fresh_seconds"),
        ],
    )
    def test_what_cannot_be_is_refused(
        self, options: dict[str, Any], told: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("PINECONE_API_KEY", raising=False)
        for kind in (PineconeKnowledgeStore, AsyncPineconeKnowledgeStore):
            with pytest.raises(ConfigurationError, match=told):
                kind(**{"api_key": KEY, **options})
