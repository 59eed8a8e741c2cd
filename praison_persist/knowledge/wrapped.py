"""Knowledge in a vector store of another framework, which has few operations in common with others.

What such interfaces lack is a list of what is there, filters that mean one thing, and scores that
do. So each document carries its embedding and all else with it; scores are computed here; and a
filter is applied to the nearest documents, of which more are asked for until enough match or all
were seen. That is exact as long as the store is: one that returns the nearest approximately, or a
bounded number of them, is so here, too.
"""

from __future__ import annotations

import threading
import time
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from praison_persist._flow import Flow
from praison_persist._retry import RetryPolicy
from praison_persist.errors import ConflictError, PersistError
from praison_persist.knowledge.driver import KnowledgeDriver, Page, done
from praison_persist.knowledge.filters import Filter, matches
from praison_persist.knowledge.vectors import pack, scores
from praison_persist.models import KnowledgeCollection, KnowledgeDocument

__all__ = ["WrappedDriver", "WrappedError"]

T = TypeVar("T")

_MORE = 4  # times as many are asked for, if too few matched
_ALL = 1000  # are asked for at first, where all are wanted


class WrappedError(Exception):
    """What the wrapped store raised, which is the cause."""


class WrappedDriver(KnowledgeDriver):
    """Hooks over the operations of a sync store, one at a time: few of them bear threads.

    Args:
        distance: how the wrapped store compares. In collections of another all is measured here.
    """

    failures = (WrappedError,)

    def __init__(self, address: str, distance: str, retry: RetryPolicy) -> None:
        self.address, self.retry = address, retry
        self._distance = distance
        self.sleep = time.sleep
        self._lock = threading.RLock()

    @abstractmethod
    def list_names(self) -> list[str]:
        """Return the names of the collections."""

    @abstractmethod
    def describe_collection(self, name: str) -> KnowledgeCollection | None:
        """Return what a collection was created with."""

    @abstractmethod
    def make(self, collection: KnowledgeCollection) -> None:
        """Create a collection, if there is none."""

    @abstractmethod
    def forget(self, collection: KnowledgeCollection) -> None:
        """Delete an empty collection."""

    @abstractmethod
    def read(self, collection: KnowledgeCollection, ids: Sequence[str]) -> list[KnowledgeDocument]:
        """Return documents with their embeddings."""

    @abstractmethod
    def nearest(
        self, collection: KnowledgeCollection, vector: Sequence[float], limit: int
    ) -> tuple[list[KnowledgeDocument], bool]:
        """Return the nearest documents with their embeddings, and whether that are all.

        Fewer are returned where others' documents are among the nearest.
        """

    @abstractmethod
    def add(self, collection: KnowledgeCollection, documents: Sequence[KnowledgeDocument]) -> None:
        """Store documents whose ids there are none of."""

    @abstractmethod
    def discard(self, collection: KnowledgeCollection, ids: Sequence[str]) -> None:
        """Delete documents that there are."""

    def everything(self, collection: KnowledgeCollection) -> list[KnowledgeDocument]:
        """Return all documents with their embeddings; by default the nearest to something."""
        asked = _ALL
        while True:
            found, ended = self.nearest(collection, [1.0] * collection.dimension, asked)
            if ended:
                return found
            asked *= _MORE

    def names(self) -> Flow[Sequence[str]]:
        """See KnowledgeDriver.names."""
        return done(self._called(self.list_names))

    def look_up(self, name: str) -> Flow[KnowledgeCollection | None]:
        """See KnowledgeDriver.look_up."""
        return done(self._called(lambda: self.describe_collection(name)))

    def create(self, collection: KnowledgeCollection) -> Flow[None]:
        """See KnowledgeDriver.create."""
        return done(self._called(lambda: self.make(collection)))

    def drop(self, collection: KnowledgeCollection) -> Flow[None]:
        """See KnowledgeDriver.drop."""

        def drop() -> None:
            self._emptied(collection)
            self.forget(collection)

        return done(self._called(drop))

    def put(
        self, collection: KnowledgeCollection, documents: Sequence[KnowledgeDocument], *, new: bool
    ) -> Flow[None]:
        """See KnowledgeDriver.put."""

        def put() -> None:
            # Some stores keep both documents of an id, or refuse the second.
            there = self.read(collection, [each.id for each in documents])
            own = {each.id: each for each in documents}
            # An equal one was stored by an earlier try, perhaps, that failed all the same.
            others = [each.id for each in there if each != own[each.id]]
            if new and others:
                raise ConflictError(
                    f"The collection {collection.name!r} has a document {min(others)!r} by now"
                )
            if there:
                self.discard(collection, [each.id for each in there])
            self.add(collection, documents)

        return done(self._called(put))

    def fetch(
        self, collection: KnowledgeCollection, ids: Sequence[str], *, embeddings: bool
    ) -> Flow[Sequence[KnowledgeDocument]]:
        """See KnowledgeDriver.fetch."""
        found = self._called(lambda: self.read(collection, ids))
        return done([_shown(each, embeddings=embeddings) for each in found])

    def query(
        self,
        collection: KnowledgeCollection,
        vector: Sequence[float],
        limit: int,
        where: Filter | None,
        *,
        embeddings: bool,
    ) -> Flow[Sequence[KnowledgeDocument]]:
        """See KnowledgeDriver.query."""
        found = self._called(lambda: self._matching(collection, vector, limit, where))
        packed = [pack(each.embedding or ()) for each in found]
        measured = scores(collection.distance, vector, packed)
        hits = [
            replace(_shown(each, embeddings=embeddings), score=score)
            for each, score in zip(found, measured, strict=True)
        ]
        return done(sorted(hits, key=lambda hit: -(hit.score or 0.0))[:limit])

    def remove(self, collection: KnowledgeCollection, ids: Sequence[str]) -> Flow[int | None]:
        """See KnowledgeDriver.remove."""

        def remove() -> int:
            there = [each.id for each in self.read(collection, ids)]
            if there:
                self.discard(collection, there)
            return len(there)

        return done(self._called(remove))

    def scan(
        self, collection: KnowledgeCollection, where: Filter | None, cursor: str | None
    ) -> Flow[Page]:
        """See KnowledgeDriver.scan. There is one page: no store can say where to go on."""
        del cursor
        found = self._called(lambda: self._all(collection, where))
        return done(([_shown(each, embeddings=False) for each in found], None))

    def count(self, collection: KnowledgeCollection, where: Filter | None) -> Flow[int]:
        """See KnowledgeDriver.count."""
        return done(len(self._called(lambda: self._all(collection, where))))

    def clear(self, collection: KnowledgeCollection) -> Flow[int | None]:
        """See KnowledgeDriver.clear."""
        return done(self._called(lambda: self._emptied(collection)))

    def close(self) -> Flow[None]:
        """See KnowledgeDriver.close. The wrapped store is whose it was."""
        return done(None)

    def is_transient(self, error: BaseException) -> bool:
        """See KnowledgeDriver.is_transient."""
        return isinstance(error.__cause__, OSError)  # of the network, with most clients

    def _called(self, operation: Callable[[], T]) -> T:
        with self._lock:
            try:
                return operation()
            except PersistError:
                raise
            except Exception as error:  # of whatever package the wrapped store uses
                raise WrappedError(f"{type(error).__name__}: {error}") from error

    def _matching(
        self,
        collection: KnowledgeCollection,
        vector: Sequence[float],
        limit: int,
        where: Filter | None,
    ) -> list[KnowledgeDocument]:
        if collection.distance != self._distance:
            return self._all(collection, where)
        asked = limit
        while True:
            found, ended = self.nearest(collection, vector, asked)
            if where is not None:
                found = [each for each in found if matches(where, each.metadata)]
            if ended or len(found) >= limit:
                return found
            asked *= _MORE

    def _all(
        self, collection: KnowledgeCollection, where: Filter | None
    ) -> list[KnowledgeDocument]:
        found = self.everything(collection)
        return [each for each in found if where is None or matches(where, each.metadata)]

    def _emptied(self, collection: KnowledgeCollection) -> int:
        ids = [each.id for each in self._all(collection, None)]
        for begin in range(0, len(ids), self.batch):
            self.discard(collection, ids[begin : begin + self.batch])
        return len(ids)


def _shown(document: KnowledgeDocument, *, embeddings: bool) -> KnowledgeDocument:
    return document if embeddings else replace(document, embedding=None)
