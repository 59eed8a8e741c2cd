"""Collections: made, described, told apart, deleted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from praison_persist.errors import ConflictError, InvalidDataError, NotFoundError
from praison_persist.knowledge_protocols import KnowledgeCapability, KnowledgeStore
from praison_persist.testing.knowledge_contract import (
    DIMENSION,
    KnowledgeContract,
    document,
    ids,
    needs_knowledge,
    vector,
)

__all__ = ["CollectionContract"]

_USES: list[Callable[[KnowledgeStore, str], Any]] = [
    lambda store, name: store.insert(name, [document("a")]),
    lambda store, name: store.insert(name, []),
    lambda store, name: store.upsert(name, [document("a")]),
    lambda store, name: store.search(name, query_text="a"),
    lambda store, name: store.get(name, ["a"]),
    lambda store, name: store.get(name, []),
    lambda store, name: store.delete(name, ["a"]),
    lambda store, name: store.clear(name),
    lambda store, name: store.count(name),
]


class CollectionContract(KnowledgeContract):
    """Collections keep apart what is compared differently."""

    def test_a_collection_is_there_once_it_is_created(self, store: KnowledgeStore) -> None:
        assert store.list_collections() == []
        assert not store.collection_exists("docs")
        assert store.get_collection("docs") is None
        store.create_collection("docs", DIMENSION)
        assert store.list_collections() == ["docs"]
        assert store.collection_exists("docs")
        assert store.count("docs") == 0
        stored = store.get_collection("docs")
        assert stored is not None
        assert (stored.name, stored.dimension, stored.distance) == ("docs", DIMENSION, "cosine")
        assert stored.metadata is None

    @needs_knowledge(KnowledgeCapability.COLLECTIONS)
    def test_a_collection_is_described_as_it_was_created(self, store: KnowledgeStore) -> None:
        metadata = {"by": 'Zoë\'s "tool"', "nested": {"list": [1, 2.5, None, True]}}
        store.create_collection("one", 3, "euclidean", metadata)
        store.create_collection("two", 5, "dot", {})
        one, two = store.get_collection("one"), store.get_collection("two")
        assert one is not None
        assert two is not None
        assert (one.dimension, one.distance, one.metadata) == (3, "euclidean", metadata)
        assert (two.dimension, two.distance, two.metadata) == (5, "dot", {})

    @needs_knowledge(KnowledgeCapability.COLLECTIONS)
    def test_distances_have_synonyms(self, store: KnowledgeStore) -> None:
        adapted: Any = getattr(store, "adapted", store)
        for word, distance in (("l2", "euclidean"), ("IP", "dot"), ("dot_product", "dot")):
            if distance in adapted.driver.distances:
                store.create_collection(word, DIMENSION, word)
                stored = store.get_collection(word)
                assert stored is not None
                assert stored.distance == distance

    def test_creating_again_changes_nothing(self, store: KnowledgeStore, docs: str) -> None:
        """Programs create their collections each time they start."""
        store.insert(docs, [document("a")])
        store.create_collection(docs, DIMENSION)
        assert store.count(docs) == 1

    @needs_knowledge(KnowledgeCapability.COLLECTIONS)
    def test_creating_it_otherwise_is_a_conflict(self, store: KnowledgeStore, docs: str) -> None:
        with pytest.raises(ConflictError, match="'docs' has 4 dimensions and compares by cosine"):
            store.create_collection(docs, DIMENSION + 1)
        with pytest.raises(ConflictError, match="'docs'"):
            store.create_collection(docs, DIMENSION, "dot")
        stored = store.get_collection(docs)
        assert stored is not None
        assert (stored.dimension, stored.distance) == (DIMENSION, "cosine")

    @needs_knowledge(KnowledgeCapability.COLLECTIONS)
    def test_names_that_differ_are_different_collections(self, store: KnowledgeStore) -> None:
        """Case is lost, or a name is the beginning of another."""
        names = ["docs", "Docs", "DOCS", "docs_", "docs_1", "_docs", "1", "d" * 48]
        for name in names:
            store.create_collection(name, DIMENSION)
            store.insert(name, [document(name)])
        assert store.list_collections() == sorted(names)
        for name in names:
            assert ids(store.search(name, query_text="x", limit=10)) == [name]
        assert store.delete_collection("docs")
        assert store.list_collections() == sorted({*names} - {"docs"})
        assert ids(store.get("Docs", ["Docs"])) == ["Docs"]

    def test_what_is_deleted_is_gone(self, store: KnowledgeStore, docs: str) -> None:
        """Documents of a deleted collection come back with a new one of its name."""
        store.insert(docs, [document("a", {"k": 1})])
        assert store.delete_collection(docs)
        assert not store.delete_collection(docs)
        assert not store.collection_exists(docs)
        assert store.list_collections() == []
        store.create_collection(docs, DIMENSION)
        assert store.count(docs) == 0
        assert store.get(docs, ["a"]) == []
        assert store.search(docs, query_text="a") == []

    def test_an_unknown_collection_is_not_found(self, store: KnowledgeStore) -> None:
        """A mistyped name is created, or answers as an empty one."""
        for use in _USES:
            with pytest.raises(NotFoundError, match="'nowhere'"):
                use(store, "nowhere")
        assert store.list_collections() == []

    def test_what_cannot_be_is_refused(self, store: KnowledgeStore) -> None:
        names: list[Any] = ["", "a-b", "a b", "a'b", 'a"b', "ä", "a.b", "x" * 49, None, 1]
        for name in names:
            with pytest.raises(InvalidDataError, match="name of a collection"):
                store.create_collection(name, DIMENSION)
            for use in _USES:
                with pytest.raises(InvalidDataError, match="name of a collection"):
                    use(store, name)
        dimensions: list[Any] = [0, -1, 65_537, 1.5, True, "3", None]
        for dimension in dimensions:
            with pytest.raises(InvalidDataError, match="dimension of 'docs'"):
                store.create_collection("docs", dimension)
        assert store.list_collections() == []

    def test_an_unknown_distance_is_refused(self, store: KnowledgeStore) -> None:
        """It silently is the cosine."""
        with pytest.raises(InvalidDataError, match="'manhattan'; there are cosine, euclidean, dot"):
            store.create_collection("docs", DIMENSION, "manhattan")
        assert store.list_collections() == []

    def test_another_store_sees_it(
        self, store: KnowledgeStore, second: KnowledgeStore, docs: str
    ) -> None:
        store.insert(docs, [document("a", {"k": 1}, "text")])
        assert second.list_collections() == [docs]
        assert [each.metadata for each in second.get(docs, ["a"])] == [{"k": 1}]
        if KnowledgeCapability.VECTORS in second.capabilities:
            assert ids(second.search(docs, vector("a"))) == ["a"]
        assert second.delete_collection(docs)
        with pytest.raises(NotFoundError):
            store.count(docs)
