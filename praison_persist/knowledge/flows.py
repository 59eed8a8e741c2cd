"""The contract of knowledge stores, once for both colours."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from praison_persist._flow import Flow, wait
from praison_persist._vendor import Calls
from praison_persist.errors import (
    ConflictError,
    InvalidDataError,
    NotFoundError,
    UnsupportedError,
)
from praison_persist.knowledge.checks import (
    check_collection,
    check_count,
    check_ids,
    check_name,
    check_threshold,
    check_vector,
    checked_document,
)
from praison_persist.knowledge.driver import KnowledgeDriver
from praison_persist.knowledge.filters import Filter, matches, parse_filters
from praison_persist.knowledge_protocols import Filters, KnowledgeCapability
from praison_persist.models import DocumentPage, KnowledgeCollection, KnowledgeDocument

__all__ = ["Embed", "KnowledgeFlows"]

T = TypeVar("T")

Embed = Callable[[list[str]], Any]  # list[list[float]], or an awaitable of it

_FUSION = 60  # Cormack, Clarke, Büttcher, "Reciprocal Rank Fusion outperforms …", SIGIR 2009
_CANDIDATES = 4  # times as many of each kind as are wanted are fused
# Scores are of single precision: an equal one may differ in its last digits.
_TOLERANCE = 1e-6


class KnowledgeFlows(Calls):
    """The methods of a knowledge store as flows over a driver of either colour.

    Args:
        embed: returns the embeddings of texts, in the colour of the driver; None: there is none.
    """

    def __init__(self, driver: KnowledgeDriver, name: str, embed: Embed | None) -> None:
        super().__init__(driver)
        self._driver, self._name, self._embed = driver, name, embed

    def create_collection(
        self, name: str, dimension: int, distance: str, metadata: dict[str, Any] | None
    ) -> Flow[None]:
        """See KnowledgeStore.create_collection."""
        wanted = check_collection(name, dimension, distance, metadata, self._driver.max_dimension)
        if wanted.distance not in self._driver.distances:
            raise UnsupportedError(
                f"{self._name} does not compare by {wanted.distance}; "
                f"there are {', '.join(self._driver.distances)}"
            )
        stored = yield from self._describe(wanted.name)
        if stored is None:
            yield from self.call("create a collection", lambda: self._driver.create(wanted))
            # Another may have been faster.
            stored = yield from self._describe(wanted.name)
        if stored and (stored.dimension, stored.distance) != (wanted.dimension, wanted.distance):
            raise ConflictError(
                f"The collection {wanted.name!r} has {stored.dimension} dimensions and compares by "
                f"{stored.distance}; delete it first, or choose another name"
            )

    def get_collection(self, name: str) -> Flow[KnowledgeCollection | None]:
        """See KnowledgeStore.get_collection."""
        return (yield from self._describe(check_name(name)))

    def collection_exists(self, name: str) -> Flow[bool]:
        """See KnowledgeStore.collection_exists."""
        return (yield from self._describe(check_name(name))) is not None

    def delete_collection(self, name: str) -> Flow[bool]:
        """See KnowledgeStore.delete_collection."""
        stored = yield from self._describe(check_name(name))
        if stored is None:
            return False
        yield from self.call("delete a collection", lambda: self._driver.drop(stored))
        return True

    def list_collections(self) -> Flow[list[str]]:
        """See KnowledgeStore.list_collections."""
        return sorted((yield from self.call("list collections", self._driver.names)))

    def put(
        self, name: str, documents: Sequence[KnowledgeDocument], *, new: bool
    ) -> Flow[list[str]]:
        """See KnowledgeStore.insert and upsert."""
        collection = yield from self._open(name)
        seen: set[str] = set()
        if isinstance(documents, KnowledgeDocument):
            raise InvalidDataError("documents are a list of KnowledgeDocument objects, not one")
        copies = [checked_document(document, seen) for document in documents]
        copies = yield from self._embedded(collection, copies)
        ids = [each.id for each in copies]
        if new:
            there = yield from self._fetch(collection, ids, embeddings=False)
            if there:
                raise ConflictError(
                    f"The collection {name!r} has a document {min(there)!r}; nothing was stored. "
                    "upsert replaces it"
                )
        for some in _batches(copies, self._driver.batch):
            yield from self.call(
                "store documents", partial(self._driver.put, collection, some, new=new)
            )
        return ids

    def get(
        self, name: str, ids: Sequence[str], *, embeddings: bool
    ) -> Flow[list[KnowledgeDocument]]:
        """See KnowledgeStore.get."""
        wanted = check_ids(ids)
        self._check_embeddings(embeddings=embeddings)
        collection = yield from self._open(name)
        found = yield from self._fetch(collection, wanted, embeddings=embeddings)
        return [found[each] for each in wanted if each in found]

    def search(
        self,
        name: str,
        vector: Sequence[float] | None,
        limit: int,
        filters: Filters | None,
        threshold: float | None,
        *,
        text: str | None,
        hybrid: bool,
        embeddings: bool,
    ) -> Flow[list[KnowledgeDocument]]:
        """See KnowledgeStore.search."""
        check_count(limit)
        check_threshold(threshold)
        self._check_embeddings(embeddings=embeddings)
        where = self._where(filters)
        self._check_query(vector, text, threshold, hybrid=hybrid)
        collection = yield from self._open(name)
        wanted = yield from self._question(collection, vector, text)
        if limit == 0:
            return []
        size = min(limit * _CANDIDATES, 1000) if hybrid else limit
        hits = yield from self.call(
            "search",
            lambda: self._driver.query(
                collection, wanted, max(size, limit), where, embeddings=embeddings
            ),
        )
        found = sorted(hits, key=_rank)
        if hybrid:
            found = yield from self._fused(
                collection, found, str(text), size, where, embeddings=embeddings
            )
        return [hit for hit in found if _reaches(hit, threshold)][:limit]

    def delete(self, name: str, ids: Sequence[str] | None, filters: Filters | None) -> Flow[int]:
        """See KnowledgeStore.delete."""
        where = self._where(filters)
        if ids is None and where is None:
            raise InvalidDataError(
                "delete needs ids or filters that say something; clear() deletes all documents"
            )
        wanted = None if ids is None else check_ids(ids)
        collection = yield from self._open(name)
        if wanted is None:
            return (yield from self._remove_scanned(collection, where))
        if where is not None:
            there = yield from self._fetch(collection, wanted, embeddings=False)
            wanted = [
                each for each in wanted if each in there and matches(where, there[each].metadata)
            ]
        return (yield from self._remove(collection, wanted))

    def clear(self, name: str) -> Flow[int]:
        """See KnowledgeStore.clear."""
        collection = yield from self._open(name)
        at_once = yield from self.call("delete documents", lambda: self._driver.clear(collection))
        if at_once is not None:
            return at_once
        return (yield from self._remove_scanned(collection, None))

    def count(self, name: str, filters: Filters | None) -> Flow[int]:
        """See KnowledgeStore.count."""
        where = self._where(filters)
        collection = yield from self._open(name)
        return (
            yield from self.call("count documents", lambda: self._driver.count(collection, where))
        )

    def page(self, name: str, cursor: str | None, *, embeddings: bool) -> Flow[DocumentPage]:
        """See KnowledgeStore.page_documents."""
        if cursor is not None and not isinstance(cursor, str):
            raise InvalidDataError(f"cursor must be a string, not {type(cursor).__name__}")
        self._check_embeddings(embeddings=embeddings)
        collection = yield from self._open(name)
        found, next_cursor = yield from self.call(
            "read documents", partial(self._driver.scan, collection, None, cursor)
        )
        page = list(found)
        if embeddings and page:
            ids = [each.id for each in page]
            known = yield from self._fetch(collection, ids, embeddings=True)
            page = [known[each] for each in ids if each in known]
        return DocumentPage(page, next_cursor)

    def _describe(self, name: str) -> Flow[KnowledgeCollection | None]:
        return self.call("look for a collection", lambda: self._driver.look_up(name))

    def _open(self, name: str) -> Flow[KnowledgeCollection]:
        collection = yield from self._describe(check_name(name))
        if collection is None:
            raise NotFoundError(
                f"There is no collection {name!r} in {self._driver.address}; create_collection "
                "makes one"
            )
        return collection

    def _embedded(
        self, collection: KnowledgeCollection, documents: list[KnowledgeDocument]
    ) -> Flow[list[KnowledgeDocument]]:
        """Return the documents with embeddings, all of them checked."""
        lacking = [each for each in documents if each.embedding is None]
        if lacking and self._embed is None:
            raise InvalidDataError(
                f"The document {lacking[0].id!r} has no embedding, and the store no embedder; "
                "hand in one of them"
            )
        made: dict[str, list[float]] = {}
        for some in _batches(lacking, self._driver.batch):
            vectors = yield from self._embeddings([each.content for each in some])
            made |= {each.id: vector for each, vector in zip(some, vectors, strict=True)}
        return [
            replace(
                each,
                embedding=check_vector(
                    made.get(each.id, each.embedding),
                    collection,
                    f"The embedding of the document {each.id!r}",
                ),
            )
            for each in documents
        ]

    def _embeddings(self, texts: list[str]) -> Flow[list[list[float]]]:
        if self._embed is None:
            raise InvalidDataError(
                "query_text needs a store with an embedder=, or a query_embedding beside it"
            )
        vectors: list[list[float]] = yield from wait(self._embed(texts))
        if len(vectors) != len(texts):
            raise InvalidDataError(
                f"The embedder returned {len(vectors)} embeddings for {len(texts)} texts"
            )
        return vectors

    def _question(
        self, collection: KnowledgeCollection, vector: Sequence[float] | None, text: str | None
    ) -> Flow[list[float]]:
        if vector is None:
            (vector,) = yield from self._embeddings([str(text)])
        return check_vector(vector, collection, "query_embedding")

    def _check_query(
        self,
        vector: Sequence[float] | None,
        text: str | None,
        threshold: float | None,
        *,
        hybrid: bool,
    ) -> None:
        if vector is None and text is None:
            raise InvalidDataError("A search needs query_embedding or query_text")
        if text is not None and not isinstance(text, str):
            raise InvalidDataError(f"query_text must be a string, not {type(text).__name__}")
        if vector is not None:
            self._need(KnowledgeCapability.VECTORS)
        if not hybrid:
            return
        self._need(KnowledgeCapability.HYBRID)
        if text is None:
            raise InvalidDataError("A hybrid search looks for the words of query_text")
        if threshold is not None:
            raise InvalidDataError(
                "A hybrid search ranks, and its scores say nothing on their own; leave out "
                "score_threshold"
            )

    def _where(self, filters: Filters | None) -> Filter | None:
        where = parse_filters(filters)
        if where is not None:
            self._need(KnowledgeCapability.FILTERS)
        return where

    def _check_embeddings(self, *, embeddings: bool) -> None:
        if embeddings:
            self._need(KnowledgeCapability.EMBEDDINGS)

    def _need(self, capability: KnowledgeCapability) -> None:
        if capability not in self._driver.capabilities:
            raise UnsupportedError(
                f"{self._name} does not support {capability.name} ({capability.value})"
            )

    def _fetch(
        self, collection: KnowledgeCollection, ids: Sequence[str], *, embeddings: bool
    ) -> Flow[dict[str, KnowledgeDocument]]:
        found: dict[str, KnowledgeDocument] = {}
        for some in _batches(ids, self._driver.batch):
            documents = yield from self.call(
                "read documents",
                partial(self._driver.fetch, collection, some, embeddings=embeddings),
            )
            found |= {each.id: each for each in documents}
        return found

    def _remove(self, collection: KnowledgeCollection, ids: Sequence[str]) -> Flow[int]:
        removed = 0
        for batch in _batches(ids, self._driver.batch):
            there: Sequence[str] = batch
            if not self._driver.counts_removed:
                there = list((yield from self._fetch(collection, batch, embeddings=False)))
            if there:
                hook = partial(self._driver.remove, collection, there)
                count = yield from self.call("delete documents", hook)
                removed += len(there) if count is None else count
        return removed

    def _remove_scanned(self, collection: KnowledgeCollection, where: Filter | None) -> Flow[int]:
        removed, cursor = 0, None
        while True:
            page, cursor = yield from self.call(
                "read documents",
                partial(self._driver.scan, collection, where, cursor),
            )
            removed += yield from self._remove(collection, [each.id for each in page])
            if cursor is None:
                return removed

    def _fused(
        self,
        collection: KnowledgeCollection,
        nearest: Sequence[KnowledgeDocument],
        text: str,
        limit: int,
        where: Filter | None,
        *,
        embeddings: bool,
    ) -> Flow[list[KnowledgeDocument]]:
        """Rank by the embedding and by words together."""
        worded = yield from self.call(
            "search", lambda: self._driver.keywords(collection, text, limit, where)
        )
        fused: dict[str, float] = {}
        for ranking in (nearest, worded):
            for place, each in enumerate(ranking, start=1):
                fused[each.id] = fused.get(each.id, 0.0) + 1 / (_FUSION + place)
        known = {each.id: each for each in (*worded, *nearest)}
        if embeddings:
            lacking = [each.id for each in known.values() if each.embedding is None]
            known |= yield from self._fetch(collection, lacking, embeddings=True)
        return sorted((replace(known[i], score=score) for i, score in fused.items()), key=_rank)


def _rank(document: KnowledgeDocument) -> tuple[float, str]:
    return -(document.score or 0.0), document.id


def _reaches(document: KnowledgeDocument, threshold: float | None) -> bool:
    if threshold is None:
        return True
    return (document.score or 0.0) >= threshold - _TOLERANCE * max(1.0, abs(threshold))


def _batches(items: Sequence[T], size: int) -> Iterator[list[T]]:
    for begin in range(0, len(items), size):
        yield list(items[begin : begin + size])
