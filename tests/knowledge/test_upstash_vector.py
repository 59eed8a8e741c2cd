"""Upstash Vector keeps the knowledge contract, in both colours, and its failures are told."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from praison_persist._adapt import blocking
from praison_persist.errors import (
    BackendError,
    ConfigurationError,
    InvalidDataError,
    UnavailableError,
    UnsupportedError,
)
from praison_persist.knowledge.embedders import Embedder
from praison_persist.knowledge.vectors import pack, scores
from praison_persist.knowledge_protocols import KnowledgeStore
from praison_persist.testing.knowledge import KnowledgeStoreContract, OpenKnowledge
from praison_persist.testing.knowledge_contract import document, ids, vector
from tests.packages import needs
from tests.services.upstash_vector import TOKEN, UpstashVector

needs("upstash_vector", extra="upstash-vector")

from praison_persist.knowledge import upstash_vector_driver  # noqa: E402 - may be missing
from praison_persist.knowledge.upstash_vector import (  # noqa: E402 - as above
    AsyncUpstashVectorKnowledgeStore,
    UpstashVectorKnowledgeStore,
)


@pytest.fixture(scope="module")
def server() -> Iterator[UpstashVector]:
    server = UpstashVector()
    yield server
    server.close()


@pytest.fixture
def index(server: UpstashVector, monkeypatch: pytest.MonkeyPatch) -> UpstashVector:
    server.empty()
    # The server of the tests is as fast as it lags.
    monkeypatch.setattr(upstash_vector_driver, "_POLL_S", (0.001, 0.01))
    return server


def opened(index: UpstashVector, **options: Any) -> UpstashVectorKnowledgeStore:
    settings: dict[str, Any] = {"url": index.url, "token": TOKEN, "retry_delay": 0.001}
    return UpstashVectorKnowledgeStore(**(settings | options))


class TestUpstashVector(KnowledgeStoreContract):
    @pytest.fixture
    def open_knowledge(self, index: UpstashVector) -> OpenKnowledge:
        def open_knowledge(embedder: Embedder | None = None) -> KnowledgeStore:
            return opened(index, embedder=embedder)

        return open_knowledge


@pytest.mark.again
class TestAsyncUpstashVector(KnowledgeStoreContract):
    @pytest.fixture
    def open_knowledge(self, index: UpstashVector) -> OpenKnowledge:
        def open_knowledge(embedder: Embedder | None = None) -> KnowledgeStore:
            store = AsyncUpstashVectorKnowledgeStore(
                index.url, TOKEN, retry_delay=0.001, embedder=embedder
            )
            return blocking(store, KnowledgeStore)

        return open_knowledge


class TestOneIndex:
    """An index has one dimension and one distance, and as many namespaces as one likes."""

    def test_another_dimension_or_distance_is_refused(self, index: UpstashVector) -> None:
        with opened(index) as store:
            with pytest.raises(UnsupportedError, match=r"4 dimensions.*cannot have 5.*console"):
                store.create_collection("docs", 5)
            with pytest.raises(UnsupportedError, match=r"by cosine.*cannot by dot.*console"):
                store.create_collection("docs", 4, "dot")
            assert store.list_collections() == []
        with opened(index, embedding_dim=5) as store:
            for dimension in (4, 5):
                with pytest.raises(UnsupportedError, match="embedding_dim=5"):
                    store.create_collection("docs", dimension)

    @pytest.mark.parametrize(
        ("similarity", "distance"),
        [("COSINE", "cosine"), ("EUCLIDEAN", "euclidean"), ("DOT_PRODUCT", "dot")],
    )
    def test_scores_are_of_the_distance(
        self, index: UpstashVector, similarity: str, distance: str
    ) -> None:
        """Upstash scales them to between 0 and 1."""
        index.empty(4, similarity)
        with opened(index) as store:
            store.create_collection("docs", 4, distance)
            names = [f"d{number}" for number in range(30)]
            store.insert("docs", [document(name) for name in names])
            query = vector("query")
            measured = scores(distance, query, [pack(vector(name)) for name in names])
            expected = sorted(zip(measured, names, strict=True), reverse=True)[:10]
            hits = store.search("docs", query, limit=10)
            assert ids(hits) == [name for _, name in expected]
            assert [hit.score for hit in hits] == pytest.approx([score for score, _ in expected])

    def test_collections_are_kept_apart(self, index: UpstashVector) -> None:
        names = ["docs", "Docs", "docs_", "_docs", "1", "d" * 48]
        with opened(index) as store, opened(index) as second:
            for name in names:
                store.create_collection(name, 4, metadata={"of": name})
                store.insert(name, [document(name)])
            assert second.list_collections() == sorted(names)
            for name in names:
                stored = second.get_collection(name)
                assert stored is not None
                assert stored.metadata == {"of": name}
                assert ids(second.search(name, vector("x"))) == [name]
            assert store.delete_collection("docs")
            assert second.list_collections() == sorted({*names} - {"docs"})
            assert ids(second.get("Docs", ["Docs"])) == ["Docs"]

    def test_what_is_too_large_is_refused(self, index: UpstashVector) -> None:
        with opened(index) as store:
            store.create_collection("docs", 4)
            with pytest.raises(InvalidDataError, match=r"'a'.*48 KB"):
                store.insert("docs", [document("a", {"tags": [*range(4000)]})])
            with pytest.raises(InvalidDataError, match=r"'a'.*1 MB"):
                store.insert("docs", [document("a", None, "x" * 1_100_000)])
            store.insert("docs", [document(f"d{n}", None, "x" * 400_000) for n in range(6)])
            assert store.count("docs") == 6


class TestExactness:
    def test_filters_beyond_the_budget_miss_nothing(self, index: UpstashVector) -> None:
        """Upstash returns fewer documents than match when its budget is used up."""
        index.budget = 5
        with opened(index) as store:
            store.create_collection("docs", 4)
            names = [f"d{number:03}" for number in range(450)]
            store.insert("docs", [document(name, {"rare": name.endswith("07")}) for name in names])
            found = store.search("docs", vector("x"), limit=10, filters={"rare": True})
            assert sorted(ids(found)) == ["d007", "d107", "d207", "d307", "d407"]
            nearest = store.search("docs", vector("x"), limit=3, filters={"rare": True})
            assert ids(nearest) == ids(found)[:3]

    def test_more_than_a_query_returns(self, index: UpstashVector) -> None:
        with opened(index) as store:
            store.create_collection("docs", 4)
            names = [f"d{number:04}" for number in range(1100)]
            store.insert("docs", [document(name) for name in names])
            found = store.search("docs", vector("x"), limit=1050)
            assert len(found) == 1050
            assert ids(found)[:5] == ids(store.search("docs", vector("x")))

    def test_long_filters_are_answered_here(self, index: UpstashVector) -> None:
        with opened(index) as store:
            store.create_collection("docs", 4)
            store.insert("docs", [document(f"d{n}", {"n": n}) for n in range(60)])
            found = store.search(
                "docs", vector("x"), limit=60, filters={"n": {"$in": [*range(50)]}}
            )
            assert len(found) == 50

    def test_writes_wait_until_they_are_indexed(self, index: UpstashVector) -> None:
        index.lag = 5
        with opened(index) as store, opened(index) as second:
            store.create_collection("docs", 4)
            store.insert("docs", [document("a")])
            assert ids(second.search("docs", vector("a"))) == ["a"]
            assert second.count("docs") == 1
            store.delete("docs", ["a"])
            assert second.search("docs", vector("a")) == []
        index.lag = 10**6
        with (
            opened(index, fresh_seconds=0.05) as store,
            pytest.raises(UnavailableError, match=r"not indexed after 0\.05 s"),
        ):
            store.insert("docs", [document("b")])
        with opened(index, fresh_seconds=0) as store:
            assert ids(store.get("docs", ["b"])) == ["b"]


class TestFailures:
    def test_a_gateway_that_is_down_for_a_moment_is_asked_again(self, index: UpstashVector) -> None:
        with opened(index) as store:
            index.failing = [(502, "<html>bad gateway</html>")] * 3
            store.create_collection("docs", 4)
            index.failing = [(502, "<html>bad gateway</html>")] * 4
            with pytest.raises(UnavailableError, match="4 attempts"):
                store.count("docs")

    def test_a_server_that_is_not_there_is_told(self) -> None:
        gone = UpstashVector()
        gone.close()
        with (
            opened(gone) as store,
            pytest.raises(UnavailableError, match=r"127\.0\.0\.1.*4 attempts") as caught,
        ):
            store.count("docs")
        assert caught.value.attempts == 4

    def test_a_wrong_token_is_told_and_not_shown(self, index: UpstashVector) -> None:
        with (
            opened(index, token="wrong-secret") as store,
            pytest.raises(UnavailableError, match="UPSTASH_VECTOR_REST_TOKEN") as caught,
        ):
            store.count("docs")
        assert "wrong-secret" not in str(caught.value) + repr(store)

    def test_what_is_refused_is_told(self, index: UpstashVector) -> None:
        with opened(index) as store:
            index.failing = [(429, '{"error": "Exceeded daily query limit", "status": 429}')]
            with pytest.raises(BackendError, match=r"look for a collection.*daily query limit"):
                store.count("docs")


class TestOptions:
    def test_the_environment_says_where_it_is(
        self, index: UpstashVector, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("UPSTASH_VECTOR_REST_URL", index.url)
        monkeypatch.setenv("UPSTASH_VECTOR_REST_TOKEN", TOKEN)
        with UpstashVectorKnowledgeStore() as store:
            store.create_collection("docs", 4)
            assert store.list_collections() == ["docs"]

    @pytest.mark.parametrize(
        ("options", "told"),
        [
            ({"url": None}, "UPSTASH_VECTOR_REST_URL"),
            ({"token": None}, "UPSTASH_VECTOR_REST_TOKEN"),
            ({"url": "redis://host"}, "redis"),
            ({"token": "a\nb"}, "token"),
            ({"embedding_dim": 0}, "embedding_dim"),
            ({"timeout": 0}, "timeout"),
        ],
    )
    def test_what_cannot_be_is_refused(
        self, options: dict[str, Any], told: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("UPSTASH_VECTOR_REST_URL", raising=False)
        monkeypatch.delenv("UPSTASH_VECTOR_REST_TOKEN", raising=False)
        for kind in (UpstashVectorKnowledgeStore, AsyncUpstashVectorKnowledgeStore):
            with pytest.raises(ConfigurationError, match=told):
                kind(**{"url": "https://host", "token": "t", **options})
