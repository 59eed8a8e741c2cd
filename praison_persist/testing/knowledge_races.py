"""Several at once, and the end of a store."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from praison_persist.errors import PersistError
from praison_persist.knowledge_protocols import KnowledgeCapability, KnowledgeStore
from praison_persist.testing.knowledge_contract import (
    DIMENSION,
    KnowledgeContract,
    document,
    ids,
    needs_knowledge,
)

__all__ = ["KnowledgeCloseContract", "KnowledgeRaceContract"]

_THREADS = 8
_EACH = 5


class KnowledgeRaceContract(KnowledgeContract):
    """Threads share a store."""

    def test_nothing_is_lost_between_threads(self, store: KnowledgeStore, docs: str) -> None:
        def work(thread: int) -> None:
            for number in range(_EACH):
                name = f"t{thread}n{number}"
                store.insert(docs, [document(name, {"thread": thread})])
                assert ids(store.get(docs, [name])) == [name]
                assert store.search(docs, query_text="x", limit=3)

        with ThreadPoolExecutor(_THREADS) as threads:
            list(threads.map(work, range(_THREADS)))
        assert store.count(docs) == _THREADS * _EACH

    @needs_knowledge(KnowledgeCapability.COLLECTIONS)
    def test_threads_use_different_collections(self, store: KnowledgeStore) -> None:
        """Which collection is meant is kept in the store, and changes under a reader."""
        names = [f"c{number}" for number in range(4)]
        for name in names:
            store.create_collection(name, DIMENSION)

        def work(name: str) -> None:
            for number in range(_EACH):
                store.insert(name, [document(f"{name}d{number}", {"of": name})])
                for hit in store.search(name, query_text="x", limit=100):
                    assert hit.metadata == {"of": name}

        with ThreadPoolExecutor(len(names)) as threads:
            list(threads.map(work, names))
        assert [store.count(name) for name in names] == [_EACH] * len(names)

    def test_threads_create_the_same_collection(self, store: KnowledgeStore) -> None:
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(lambda _: store.create_collection("docs", DIMENSION), range(4)))
        assert store.list_collections() == ["docs"]


class KnowledgeCloseContract(KnowledgeContract):
    """Closing is final, and does no harm."""

    def test_closing_twice_is_closing_once(self, store: KnowledgeStore, docs: str) -> None:
        store.insert(docs, [document("a")])
        store.close()
        store.close()
        with pytest.raises(PersistError, match="closed"):
            store.count(docs)
