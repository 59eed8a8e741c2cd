"""Knowledge as operations on Chroma's collections."""

from __future__ import annotations

import heapq
import json
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import httpx
from chromadb.errors import ChromaAuthError, ChromaError, RateLimitError
from chromadb.errors import NotFoundError as ChromaNotFoundError

from praison_persist._flow import Flow, wait
from praison_persist._json import dumps, loads
from praison_persist._retry import RetryPolicy
from praison_persist.errors import BackendError, NotFoundError, PersistError, UnavailableError
from praison_persist.knowledge.chroma_records import (
    documents_of,
    length_of,
    record_of,
    scaled,
    scored,
    where_of,
)
from praison_persist.knowledge.chroma_server import REFUSED, TRANSIENT
from praison_persist.knowledge.driver import KnowledgeDriver, Page
from praison_persist.knowledge.filters import Filter
from praison_persist.knowledge.vectors import pack, scores
from praison_persist.models import KnowledgeCollection, KnowledgeDocument

__all__ = ["ChromaDriver", "Clients"]

# A name is of 3 to 512 characters, and begins and ends with a letter or a digit.
_PREFIX, _SUFFIX = "praison-", "-docs"
_DESCRIPTION = "praison_persist"
_SPACES = {"cosine": "cosine", "euclidean": "l2", "dot": "ip"}
_PAGE = 100  # names of collections
_LISTS = ("ids", "documents", "metadatas", "embeddings", "distances")


class Clients(Protocol):
    """The client that may be used here and now."""

    def get(self) -> Any:
        """Return it."""

    def close(self) -> Any:
        """Close it; return None."""


class ChromaDriver(KnowledgeDriver):
    """Hooks that look up the collection, and then do one thing with it."""

    failures = (ChromaError, httpx.HTTPError, json.JSONDecodeError)
    batch = 300  # what Chroma Cloud takes at once

    def __init__(
        self,
        clients: Clients,
        address: str,
        retry: RetryPolicy,
        sleep: Callable[[float], Any],
    ) -> None:
        self._clients = clients
        self.address, self.retry, self.sleep = address, retry, sleep

    def names(self) -> Flow[Sequence[str]]:
        """See KnowledgeDriver.names."""
        client, found = self._clients.get(), list[str]()
        while True:
            page = yield from wait(client.list_collections(limit=_PAGE, offset=len(found)))
            found += [each.name for each in page]
            if len(page) < _PAGE:
                return [
                    each.removeprefix(_PREFIX).removesuffix(_SUFFIX)
                    for each in dict.fromkeys(found)
                    if each.startswith(_PREFIX) and each.endswith(_SUFFIX)
                ]

    def look_up(self, name: str) -> Flow[KnowledgeCollection | None]:
        """See KnowledgeDriver.look_up."""
        try:
            found = yield from self._collection(name)
        except ChromaNotFoundError:
            return None
        description = (found.metadata or {}).get(_DESCRIPTION)
        if description is None:
            raise BackendError(
                f"{self.address}: the collection {found.name} is of another program; delete it, "
                "or choose another name"
            )
        return KnowledgeCollection(name, **loads(description))

    def create(self, collection: KnowledgeCollection) -> Flow[None]:
        """See KnowledgeDriver.create."""
        # Its own dimension is that of the first document.
        description = {
            "dimension": collection.dimension,
            "distance": collection.distance,
            "metadata": collection.metadata,
        }
        try:
            yield from wait(
                self._clients.get().create_collection(
                    _encoded(collection.name),
                    metadata={_DESCRIPTION: dumps(description)},
                    configuration={"hnsw": {"space": _SPACES[collection.distance]}},
                    embedding_function=None,
                )
            )
        except ChromaError as error:  # of several kinds
            if "already exists" not in str(error):
                raise

    def drop(self, collection: KnowledgeCollection) -> Flow[None]:
        """See KnowledgeDriver.drop."""
        try:
            yield from wait(self._clients.get().delete_collection(_encoded(collection.name)))
        except ChromaNotFoundError:
            return

    def put(
        self, collection: KnowledgeCollection, documents: Sequence[KnowledgeDocument], *, new: bool
    ) -> Flow[None]:
        """See KnowledgeDriver.put."""
        there = yield from self._collection(collection.name)
        ids = [each.id for each in documents]
        lengths = [length_of(collection, each.embedding or ()) for each in documents]
        records = [record_of(each, length) for each, length in zip(documents, lengths, strict=True)]
        if not new:
            # Chroma merges metadata with that of before, key by key; None deletes a key.
            found = yield from wait(there.get(ids=ids, include=["metadatas"]))
            before = dict(zip(found["ids"], found["metadatas"], strict=True))
            records = [
                dict.fromkeys(before.get(each, ())) | record
                for each, record in zip(ids, records, strict=True)
            ]
        yield from wait(
            there.upsert(
                ids=ids,
                embeddings=[
                    scaled(each.embedding or (), length)
                    for each, length in zip(documents, lengths, strict=True)
                ],
                documents=[record.pop("content") for record in records],
                metadatas=records,
            )
        )

    def fetch(
        self, collection: KnowledgeCollection, ids: Sequence[str], *, embeddings: bool
    ) -> Flow[Sequence[KnowledgeDocument]]:
        """See KnowledgeDriver.fetch."""
        there = yield from self._collection(collection.name)
        found = yield from wait(there.get(ids=list(ids), include=_include(embeddings=embeddings)))
        return documents_of(found)

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
        there = yield from self._collection(collection.name)
        found = yield from wait(
            there.query(
                query_embeddings=[scaled(vector, length_of(collection, vector))],
                n_results=limit,
                where=where_of(where),
                include=[*_include(embeddings=embeddings), "distances"],
            )
        )
        first = {name: values and values[0] for name, values in found.items() if name in _LISTS}
        hits = documents_of(first)
        for hit, distance in zip(hits, first["distances"], strict=True):
            hit.score = scored(collection.distance, float(distance))
        if len(hits) < limit and len(hits) < (yield from self.count(collection, where)):
            return (yield from self._measured(collection, vector, limit, where, embeddings))
        return hits

    def remove(self, collection: KnowledgeCollection, ids: Sequence[str]) -> Flow[int | None]:
        """See KnowledgeDriver.remove."""
        there = yield from self._collection(collection.name)
        yield from wait(there.delete(ids=list(ids)))
        return None

    def scan(
        self, collection: KnowledgeCollection, where: Filter | None, cursor: str | None
    ) -> Flow[Page]:
        """See KnowledgeDriver.scan. The cursor is the last id of the page before.

        Chroma has positions only, which change when documents are deleted: all ids are read, the
        documents of a page only.
        """
        there = yield from self._collection(collection.name)
        found = yield from wait(there.get(where=where_of(where), include=[]))
        left = sorted(each for each in found["ids"] if cursor is None or each > cursor)
        some = left[: self.batch]
        if not some:
            return [], None
        documents = yield from self.fetch(collection, some, embeddings=False)
        return documents, some[-1] if len(left) > len(some) else None

    def count(self, collection: KnowledgeCollection, where: Filter | None) -> Flow[int]:
        """See KnowledgeDriver.count. Those that match are counted by reading their ids."""
        there = yield from self._collection(collection.name)
        if where is None:
            return int((yield from wait(there.count())))
        found = yield from wait(there.get(where=where_of(where), include=[]))
        return len(found["ids"])

    def clear(self, collection: KnowledgeCollection) -> Flow[int | None]:
        """See KnowledgeDriver.clear."""
        there = yield from self._collection(collection.name)
        ids: list[str] = (yield from wait(there.get(include=[])))["ids"]
        for begin in range(0, len(ids), self.batch):
            yield from wait(there.delete(ids=ids[begin : begin + self.batch]))
        return len(ids)

    def close(self) -> Flow[None]:
        """See KnowledgeDriver.close."""
        yield from wait(self._clients.close())

    def is_transient(self, error: BaseException) -> bool:
        """See KnowledgeDriver.is_transient."""
        if isinstance(error, httpx.HTTPStatusError):
            return error.response.status_code in TRANSIENT
        return isinstance(error, httpx.TransportError | RateLimitError)

    def translate(self, error: BaseException, action: str) -> PersistError:
        """See KnowledgeDriver.translate."""
        refused = isinstance(error, httpx.HTTPStatusError) and error.response.status_code in REFUSED
        if refused or isinstance(error, ChromaAuthError):
            return UnavailableError(
                f"{self.address} refused: {self.describe(error)}. Check headers=, tenant= and "
                "database="
            )
        if isinstance(error, ChromaNotFoundError):
            return NotFoundError(f"{self.address}: cannot {action}: {self.describe(error)}")
        return super().translate(error, action)

    def describe(self, error: BaseException) -> str:
        """See KnowledgeDriver.describe."""
        if isinstance(error, httpx.HTTPStatusError):
            return f"{error.response.status_code} {error.response.reason_phrase}"
        return super().describe(error)

    def _measured(
        self,
        collection: KnowledgeCollection,
        vector: Sequence[float],
        limit: int,
        where: Filter | None,
        embeddings: bool,
    ) -> Flow[Sequence[KnowledgeDocument]]:
        """Measure all that match here.

        Chroma walks a graph of neighbours. Where many embeddings are equal, they are each other's
        neighbours only, and no way leads to the rest.
        """
        there = yield from self._collection(collection.name)
        ids: list[str] = (yield from wait(there.get(where=where_of(where), include=[])))["ids"]
        best: list[tuple[float, str]] = []
        for begin in range(0, len(ids), self.batch):
            some = ids[begin : begin + self.batch]
            found = yield from self.fetch(collection, some, embeddings=True)
            measured = scores(
                collection.distance, vector, [pack(each.embedding or ()) for each in found]
            )
            ranked = ((-score, each.id) for score, each in zip(measured, found, strict=True))
            best = heapq.nsmallest(limit, (*best, *ranked))
        hits: list[KnowledgeDocument] = []
        nearest = {each: -negative for negative, each in best}
        for begin in range(0, len(best), self.batch):
            some = [each for _, each in best[begin : begin + self.batch]]
            hits += yield from self.fetch(collection, some, embeddings=embeddings)
        for hit in hits:
            hit.score = nearest[hit.id]
        return hits

    def _collection(self, name: str) -> Flow[Any]:
        # Without None it would fetch a model to make embeddings with.
        return wait(self._clients.get().get_collection(_encoded(name), embedding_function=None))


def _encoded(name: str) -> str:
    return f"{_PREFIX}{name}{_SUFFIX}"


def _include(*, embeddings: bool) -> list[str]:
    return ["documents", "metadatas", *(["embeddings"] if embeddings else [])]
