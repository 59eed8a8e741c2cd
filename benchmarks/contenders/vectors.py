"""Embeddings: the ten nearest of many, against an exact search with NumPy in memory."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.contenders.base import Place
from praison_persist import KnowledgeDocument, db

__all__ = ["DIMENSION", "Exact", "Ours", "embeddings"]

DIMENSION = 384
_CENTRES = 200
_SPREAD = 0.35
_TOP = 10
_BATCH = 1000
_QUERIES = 20


def embeddings(count: int, seed: int = 7) -> Any:
    """Return unit vectors (count, DIMENSION) around centres, float32: texts come in topics too."""
    centres = _units(np.random.default_rng(0).normal(size=(_CENTRES, DIMENSION)))
    source = np.random.default_rng(seed)
    near = centres[source.integers(0, _CENTRES, count)]
    noise = _units(source.normal(size=(count, DIMENSION)))
    return _units(near + _SPREAD * noise).astype(np.float32)


def _units(vectors: Any) -> Any:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


class Exact:
    """All embeddings in one array.

    Args:
        place: is not used.
    """

    def __init__(self, place: Place) -> None:
        self.place = place
        self._next = 0

    def open(self) -> None:
        """Make the queries."""
        self._queries = embeddings(_QUERIES, seed=11)

    def fill(self, count: int) -> None:
        """Make the embeddings."""
        self._all = embeddings(count)

    def search(self) -> list[str]:
        """Return the ids of the ten nearest to the next query."""
        self._next += 1
        return self.nearest(self._next % _QUERIES)

    def nearest(self, query: int) -> list[str]:
        """Return the ids of the ten nearest to a query, nearest first."""
        scores = self._all @ self._queries[query]
        best = np.argpartition(scores, -_TOP)[-_TOP:]
        return [f"d{number}" for number in best[np.argsort(scores[best])[::-1]]]

    def close(self) -> None:
        """Do nothing."""


class Ours:
    """This package's knowledge store of the engine, in the database of the conversations.

    Args:
        place: a database.
    """

    def __init__(self, place: Place) -> None:
        self._db = db(database_url=place.url)
        self._next = 0

    def open(self) -> None:
        """Make the collection and the queries."""
        self._store = self._db.knowledge_store
        assert self._store is not None
        self._store.create_collection("documents", dimension=DIMENSION)
        self._queries = [[float(x) for x in query] for query in embeddings(_QUERIES, seed=11)]

    def fill(self, count: int) -> None:
        """Store the embeddings."""
        every = embeddings(count)
        for start in range(0, count, _BATCH):
            documents = [
                KnowledgeDocument(f"d{start + place}", "text", embedding.tolist())
                for place, embedding in enumerate(every[start : start + _BATCH])
            ]
            self._store.upsert("documents", documents)

    def search(self) -> list[str]:
        """Return the ids of the ten nearest to the next query."""
        self._next += 1
        return self.nearest(self._next % _QUERIES)

    def nearest(self, query: int) -> list[str]:
        """Return the ids of the ten nearest to a query, nearest first."""
        found = self._store.search("documents", self._queries[query], limit=_TOP)
        return [hit.id for hit in found]

    def close(self) -> None:
        """Close the store."""
        self._db.close()
