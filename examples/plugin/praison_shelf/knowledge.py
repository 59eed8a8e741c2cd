"""Knowledge on a shelf."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any

from praison_persist import ConflictError, KnowledgeCollection, KnowledgeDocument
from praison_persist.knowledge.base import BaseKnowledgeStore, KnowledgeDriver
from praison_persist.knowledge.driver import done
from praison_persist.knowledge.embedders import Embedder
from praison_persist.knowledge.filters import Filter, matches
from praison_persist.knowledge.vectors import pack, scores
from praison_shelf.shelves import shelf_of

__all__ = ["ShelfKnowledgeStore"]


class ShelfKnowledgeStore(BaseKnowledgeStore):
    """A knowledge store on the shelf of a URL."""

    def __init__(self, url: str = "shelf://", *, embedder: Embedder | None = None) -> None:
        super().__init__(_Driver(url), embedder)


class _Driver(KnowledgeDriver):
    """The hooks. Collections exist, embeddings are of their dimension, filters are parsed."""

    def __init__(self, url: str) -> None:
        self.address = url
        self._shelf = shelf_of(url)

    def names(self) -> Any:
        with self._shelf.lock:
            return done(list(self._shelf.collections))

    def look_up(self, name: str) -> Any:
        with self._shelf.lock:
            return done(deepcopy(self._shelf.collections.get(name)))

    def create(self, collection: KnowledgeCollection) -> Any:
        with self._shelf.lock:
            self._shelf.collections.setdefault(collection.name, deepcopy(collection))
            self._shelf.documents.setdefault(collection.name, {})
            return done(None)

    def drop(self, collection: KnowledgeCollection) -> Any:
        with self._shelf.lock:
            self._shelf.collections.pop(collection.name, None)
            self._shelf.documents.pop(collection.name, None)
            return done(None)

    def put(
        self, collection: KnowledgeCollection, documents: Sequence[KnowledgeDocument], *, new: bool
    ) -> Any:
        with self._shelf.lock:
            kept = self._kept(collection)
            for document in documents:
                if new and document.id in kept:
                    raise ConflictError(f"Document {document.id!r} exists")
                kept[document.id] = deepcopy(document)
            return done(None)

    def fetch(
        self, collection: KnowledgeCollection, ids: Sequence[str], *, embeddings: bool
    ) -> Any:
        with self._shelf.lock:
            kept = self._kept(collection)
            return done([_shown(kept[each], embeddings) for each in ids if each in kept])

    def query(
        self,
        collection: KnowledgeCollection,
        vector: Sequence[float],
        limit: int,
        where: Filter | None,
        *,
        embeddings: bool,
    ) -> Any:
        with self._shelf.lock:
            found = self._matching(collection, where)
            measured = scores(collection.distance, vector, [pack(each.embedding) for each in found])
            nearest = sorted(zip(measured, found, strict=True), key=lambda pair: -pair[0])[:limit]
            return done([replace(_shown(each, embeddings), score=score) for score, each in nearest])

    def remove(self, collection: KnowledgeCollection, ids: Sequence[str]) -> Any:
        with self._shelf.lock:
            kept = self._kept(collection)
            return done(sum(kept.pop(each, None) is not None for each in ids))

    def scan(
        self, collection: KnowledgeCollection, where: Filter | None, cursor: str | None
    ) -> Any:
        del cursor  # one page has them all
        with self._shelf.lock:
            found = self._matching(collection, where)
            return done(([_shown(each, embeddings=False) for each in found], None))

    def count(self, collection: KnowledgeCollection, where: Filter | None) -> Any:
        with self._shelf.lock:
            return done(len(self._matching(collection, where)))

    def close(self) -> Any:
        return done(None)

    def _kept(self, collection: KnowledgeCollection) -> dict[str, KnowledgeDocument]:
        kept: dict[str, KnowledgeDocument] = self._shelf.documents.get(collection.name, {})
        return kept

    def _matching(self, collection: KnowledgeCollection, where: Filter | None) -> list[Any]:
        kept = self._kept(collection).values()
        return [each for each in kept if where is None or matches(where, each.metadata)]


def _shown(document: KnowledgeDocument, embeddings: bool) -> KnowledgeDocument:
    shown = deepcopy(document)
    return shown if embeddings else replace(shown, embedding=None)
