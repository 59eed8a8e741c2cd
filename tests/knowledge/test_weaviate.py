"""Weaviate keeps the knowledge contract, in both colours, and its failures are told."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from praison_persist._adapt import blocking
from praison_persist.errors import ConfigurationError, NotFoundError, UnavailableError
from praison_persist.knowledge.embedders import Embedder
from praison_persist.knowledge_protocols import KnowledgeStore
from praison_persist.testing.knowledge import KnowledgeStoreContract, OpenKnowledge
from praison_persist.testing.knowledge_contract import document, ids, vector
from tests.packages import needs

needs("weaviate", extra="weaviate")

from praison_persist.knowledge.weaviate import (  # noqa: E402 - its package may be missing
    AsyncWeaviateKnowledgeStore,
    WeaviateKnowledgeStore,
)
from praison_persist.knowledge.weaviate_driver import class_name  # noqa: E402 - as above
from tests.services.weaviate import KEY, Weaviate  # noqa: E402 - as above


@pytest.fixture(scope="module")
def server() -> Iterator[Weaviate]:
    server = Weaviate()
    yield server
    server.close()


@pytest.fixture
def weaviate(server: Weaviate) -> Weaviate:
    server.empty()
    return server


def options_of(weaviate: Weaviate, **options: Any) -> dict[str, Any]:
    places: dict[str, Any] = {"url": weaviate.url, "grpc_port": weaviate.grpc_port}
    return {"api_key": KEY, "retry_delay": 0.001} | places | options


def opened(weaviate: Weaviate, **options: Any) -> WeaviateKnowledgeStore:
    return WeaviateKnowledgeStore(**options_of(weaviate, **options))


class TestWeaviate(KnowledgeStoreContract):
    @pytest.fixture
    def open_knowledge(self, weaviate: Weaviate) -> OpenKnowledge:
        def open_knowledge(embedder: Embedder | None = None) -> KnowledgeStore:
            return opened(weaviate, embedder=embedder)

        return open_knowledge


@pytest.mark.again
class TestAsyncWeaviate(KnowledgeStoreContract):
    @pytest.fixture
    def open_knowledge(self, weaviate: Weaviate) -> OpenKnowledge:
        def open_knowledge(embedder: Embedder | None = None) -> KnowledgeStore:
            store = AsyncWeaviateKnowledgeStore(**options_of(weaviate, embedder=embedder))
            return blocking(store, KnowledgeStore)

        return open_knowledge


class TestLayout:
    def test_classes_differ_by_more_than_case(self) -> None:
        names = ["docs", "Docs", "DOCS", "dOCS", "_docs", "docs_", "__docs", "d_ocs", "D_ocs"]
        classes = {class_name(name).lower() for name in names}
        assert len(classes) == len(names)
        assert class_name("My_Docs") == "Praison__my___docs"

    def test_classes_of_others_are_no_collections(self, weaviate: Weaviate) -> None:
        with opened(weaviate) as store:
            weaviate.answer("POST", ["schema"], {"class": "Article", "vectorConfig": {}})
            store.create_collection("docs", 4)
            assert store.list_collections() == ["docs"]

    def test_documents_outlive_their_store(self, weaviate: Weaviate) -> None:
        with opened(weaviate) as store:
            store.create_collection("docs", 4, metadata={"k": [1]})
            store.insert("docs", [document("a", {"n": 1.5})])
        with opened(weaviate) as store:
            stored = store.get_collection("docs")
            assert stored is not None
            assert stored.metadata == {"k": [1]}
            found = store.search("docs", vector("a"), filters={"n": {"$gt": 1}})
            assert ids(found) == ["a"]

    def test_numbers_nobody_has_can_be_asked_for(self, weaviate: Weaviate) -> None:
        """Weaviate refuses a filter on a property that is not declared."""
        with opened(weaviate) as store:
            store.create_collection("docs", 4)
            store.insert("docs", [document("a", {"n": 1})])
            assert store.count("docs", {"m": {"$gt": 1}}) == 0
            assert store.count("docs", {"$not": {"m": {"$gt": 1}}}) == 1


class TestFailures:
    def test_a_server_that_is_down_for_a_moment_is_asked_again(self, weaviate: Weaviate) -> None:
        with opened(weaviate) as store:
            store.create_collection("docs", 4)
            weaviate.failing = [503] * 3
            assert store.collection_exists("docs")
            weaviate.failing = [503] * 4
            with pytest.raises(UnavailableError, match="4 attempts"):
                store.count("docs")

    @pytest.mark.parametrize("kind", ["sync", "async"])
    def test_a_server_that_is_not_there_is_told(self, kind: str) -> None:
        gone = Weaviate()
        gone.close()
        options = options_of(gone)
        store: KnowledgeStore
        if kind == "sync":
            store = WeaviateKnowledgeStore(**options)
        else:
            store = blocking(AsyncWeaviateKnowledgeStore(**options), KnowledgeStore)
        with (
            store,
            pytest.raises(UnavailableError, match=r"127\.0\.0\.1.*4 attempts") as caught,
        ):
            store.count("docs")
        assert caught.value.attempts == 4

    def test_a_wrong_key_is_told_and_not_shown(self, weaviate: Weaviate) -> None:
        with (
            opened(weaviate, api_key="wrong-secret") as store,
            pytest.raises(UnavailableError, match="WEAVIATE_API_KEY") as caught,
        ):
            store.count("docs")
        assert "wrong-secret" not in str(caught.value) + repr(store)

    def test_a_class_that_vanishes_is_not_found(
        self, weaviate: Weaviate, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with opened(weaviate) as store:
            store.create_collection("docs", 4)
            stored = store.get_collection("docs")
            monkeypatch.setattr(store.driver, "look_up", lambda _: iter_of(stored))
            weaviate.empty()
            for use in (
                lambda: store.get("docs", ["a"]),
                lambda: store.search("docs", vector("a")),
                lambda: store.upsert("docs", [document("a")]),
                lambda: store.upsert("docs", [document("a", {"n": 1})]),
                lambda: store.count("docs"),
            ):
                with pytest.raises(NotFoundError):
                    use()


def iter_of(value: Any) -> Any:
    yield from ()
    return value


class TestOptions:
    def test_the_environment_says_where_it_is(
        self, weaviate: Weaviate, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("WEAVIATE_URL", weaviate.url)
        monkeypatch.setenv("WEAVIATE_API_KEY", KEY)
        with WeaviateKnowledgeStore(grpc_port=weaviate.grpc_port) as store:
            store.create_collection("docs", 4)
            assert store.list_collections() == ["docs"]

    @pytest.mark.parametrize(
        ("options", "told"),
        [
            ({"url": None}, "WEAVIATE_URL"),
            ({"url": "redis://host"}, "redis"),
            ({"url": "http://host:port"}, "cannot be right"),
            ({"url": "http://user:secret@host"}, "api_key"),
            ({"api_key": "a\nb"}, "api_key"),
            ({"timeout": 0}, "timeout"),
        ],
    )
    def test_what_cannot_be_is_refused(
        self, options: dict[str, Any], told: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("WEAVIATE_URL", raising=False)
        for kind in (WeaviateKnowledgeStore, AsyncWeaviateKnowledgeStore):
            with pytest.raises(ConfigurationError, match=told) as caught:
                kind(**{"url": "http://host", **options})
            assert "secret" not in str(caught.value)
