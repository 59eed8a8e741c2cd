"""Knowledge in Pinecone: an index for each collection, found by its tags."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from pinecone.errors import (
    ConflictError,
    ForbiddenError,
    NotFoundError,
    PineconeConnectionError,
    PineconeError,
    PineconeTimeoutError,
    RateLimitError,
    ServiceError,
    UnauthorizedError,
)

from praison_persist import errors
from praison_persist._flow import Flow, wait
from praison_persist._retry import RetryPolicy
from praison_persist.errors import InvalidDataError, PersistError, UnavailableError
from praison_persist.knowledge.driver import KnowledgeDriver, Page
from praison_persist.knowledge.filters import Filter
from praison_persist.knowledge.pinecone_records import (
    METADATA_BYTES,
    METRICS,
    compiled,
    described,
    document_of,
    index_name,
    part_ids,
    record_id,
    record_of,
    score,
    tags_of,
)
from praison_persist.models import KnowledgeCollection, KnowledgeDocument

__all__ = ["Clients", "PineconeDriver", "Place"]

_RESPONSE_BYTES = 4_000_000  # of a query: docs.pinecone.io, "Database limits"
_REQUEST_BYTES = 1_800_000  # of an upsert: 2 MB
_NUMBER_BYTES = 24  # of an embedding in JSON, at most
_TOP_K = 10_000
_IDS = 100  # of a fetch, which sends them in its URL
_PAGE = 100
_READY_S = 300.0
_POLL_S = (0.1, 2.0)  # the first wait for what Pinecone does later, and the longest
_EVERY = {"id": {"$exists": True}}


class Clients(ABC):
    """The clients of one colour, for this process or loop."""

    @property
    @abstractmethod
    def control(self) -> Any:
        """Of the control plane: pinecone.Pinecone or AsyncPinecone."""

    @abstractmethod
    def index(self, host: str) -> Any:
        """Of an index: pinecone.Index or AsyncIndex."""

    @abstractmethod
    def close(self) -> Any:
        """Close all of them."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where collections are.

    Attributes:
        prefix: begins the names of the indexes.
        namespace: of the documents in each index.
        deployment: of new indexes; None: Pinecone's default.
        cache_s: seconds for which the description of an index is believed.
        fresh_s: seconds in which a write has to become visible; 0: it is not waited for.
    """

    prefix: str
    namespace: str
    deployment: Mapping[str, str] | None
    cache_s: float
    fresh_s: float


@dataclass(frozen=True, slots=True)
class _Known:
    collection: KnowledgeCollection
    host: str
    until: float


class _TornError(Exception):
    """A piece of a document is gone: it was replaced between two requests."""


class _StaleError(Exception):
    """What was written is not visible in time."""


_TRANSIENT = (
    PineconeConnectionError,
    PineconeTimeoutError,
    RateLimitError,
    ServiceError,
    _TornError,
)


class PineconeDriver(KnowledgeDriver):
    """Hooks over clients of either colour.

    A write waits until queries show it. Pinecone tells the position of an upsert in its log, and
    with each query how far the index has come; of a deletion it tells nothing, and what was
    deleted is looked for instead (docs.pinecone.io, "Check data freshness").
    """

    max_dimension = 20_000
    batch = 100
    failures = (PineconeError, _TornError, _StaleError)

    def __init__(
        self,
        clients: Clients,
        place: Place,
        address: str,
        retry: RetryPolicy,
        sleep: Callable[[float], Any],
    ) -> None:
        self._clients, self._place = clients, place
        self.address, self.retry, self.sleep = address, retry, sleep
        self._known: dict[str, _Known] = {}
        self._parts = f"{place.namespace or '__default__'}/parts"

    def names(self) -> Flow[Sequence[str]]:
        """See KnowledgeDriver.names."""
        models = yield from wait(self._clients.control.indexes.list().to_list())
        found = []
        for model in models:
            collection = self._described(model)
            if collection is not None and model.name == self._index(collection.name):
                found.append(collection.name)
        return found

    def look_up(self, name: str) -> Flow[KnowledgeCollection | None]:
        """See KnowledgeDriver.look_up."""
        known = yield from self._known_of(name)
        return None if known is None else known.collection

    def create(self, collection: KnowledgeCollection) -> Flow[None]:
        """See KnowledgeDriver.create."""
        indexes, name = self._clients.control.indexes, self._index(collection.name)
        options: dict[str, Any] = {
            "name": name,
            # The field under which vectors are upserted and queried: the SDK's migration guide.
            "schema": {
                "fields": {
                    "_values": {
                        "type": "dense_vector",
                        "dimension": collection.dimension,
                        "metric": METRICS[collection.distance],
                    }
                }
            },
            "tags": tags_of(collection),
            "timeout": -1,
        }
        if self._place.deployment:
            options["deployment"] = dict(self._place.deployment)
        for pause in self._until(_READY_S, f"the index {name} is not ready"):
            with suppress(ConflictError):  # there is one, which may be about to be deleted
                yield from wait(indexes.create(**options))
            with suppress(NotFoundError):
                model = yield from wait(indexes.describe(name))
                if model.status.ready:
                    return
            yield from wait(self.sleep(pause))

    def drop(self, collection: KnowledgeCollection) -> Flow[None]:
        """See KnowledgeDriver.drop.

        Raises:
            errors.ConflictError: other namespaces of the index have documents.
        """
        indexes, name = self._clients.control.indexes, self._index(collection.name)
        with suppress(NotFoundError, errors.NotFoundError):
            index = yield from self._open(collection)
            stats = yield from wait(index.describe_index_stats())
            mine = {self._place.namespace or "__default__", self._place.namespace, self._parts}
            others = sorted(
                each
                for each, summary in stats.namespaces.items()
                if summary.vector_count and each not in mine
            )
            if others:
                raise errors.ConflictError(
                    f"{self.address}: the index {name} of the collection {collection.name!r} has "
                    f"documents in the namespace {others[0]!r}, too; clear() deletes those of "
                    "this store"
                )
        self._known.pop(collection.name, None)
        for pause in self._until(_READY_S, f"the index {name} is still there"):
            try:
                model = yield from wait(indexes.describe(name))
                if model.status.state != "Terminating":
                    yield from wait(indexes.delete(name, timeout=-1))
            except NotFoundError:
                break
            yield from wait(self.sleep(pause))
        self._known.pop(collection.name, None)

    def put(
        self, collection: KnowledgeCollection, documents: Sequence[KnowledgeDocument], *, new: bool
    ) -> Flow[None]:
        """See KnowledgeDriver.put."""
        records = [record_of(each) for each in documents]
        vectors = [_vector(each) for each in documents]
        index = yield from self._open(collection)
        old = [] if new else (yield from self._part_ids(index, [each.id for each in records]))
        pieces = {name: piece for each in records for name, piece in each.parts.items()}
        if pieces:
            yield from self._put_parts(index, collection.dimension, pieces)
        items = [
            {"id": record.id, "values": vector, "metadata": record.metadata}
            for record, vector in zip(records, vectors, strict=True)
        ]
        size = METADATA_BYTES + collection.dimension * _NUMBER_BYTES
        yield from self._upsert(index, items, self._place.namespace, size)
        yield from self._delete(index, [each for each in old if each not in pieces], self._parts)

    def fetch(
        self, collection: KnowledgeCollection, ids: Sequence[str], *, embeddings: bool
    ) -> Flow[Sequence[KnowledgeDocument]]:
        """See KnowledgeDriver.fetch."""
        index = yield from self._open(collection)
        found = yield from self._fetched(index, [record_id(each) for each in ids])
        return (yield from self._documents(index, list(found.values()), embeddings=embeddings))

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
        index = yield from self._open(collection)
        size = METADATA_BYTES + (collection.dimension * _NUMBER_BYTES if embeddings else 0)
        whole = limit * size <= _RESPONSE_BYTES
        answer = yield from self._nearest(
            index, vector, limit, where, include_metadata=whole, include_values=whole and embeddings
        )
        scores = {each.id: score(collection.distance, each.score) for each in answer.matches}
        found = answer.matches
        if not whole:
            found = list((yield from self._fetched(index, list(scores))).values())
        return (yield from self._documents(index, found, scores, embeddings=embeddings))

    def remove(self, collection: KnowledgeCollection, ids: Sequence[str]) -> Flow[int | None]:
        """See KnowledgeDriver.remove."""
        index = yield from self._open(collection)
        found = yield from self._fetched(index, [record_id(each) for each in ids])
        yield from self._delete(index, list(found), self._place.namespace)
        parts = [part for each in found.values() for part in part_ids(each.id, each.metadata)]
        yield from self._delete(index, parts, self._parts)
        if found:
            writes = sorted({each.metadata["write"] for each in found.values()})
            yield from self._gone(index, collection, {"write": {"$in": writes}})
        return None

    def clear(self, collection: KnowledgeCollection) -> Flow[int | None]:
        """See KnowledgeDriver.clear."""
        index = yield from self._open(collection)
        there = yield from self.count(collection, None)
        for namespace in (self._place.namespace, self._parts):
            with _no_namespace():
                yield from wait(index.delete(delete_all=True, namespace=namespace))
        yield from self._gone(index, collection, None)
        return there

    def scan(
        self, collection: KnowledgeCollection, where: Filter | None, cursor: str | None
    ) -> Flow[Page]:
        """See KnowledgeDriver.scan. The cursor is Pinecone's."""
        index = yield from self._open(collection)
        page = yield from wait(
            index.fetch_by_metadata(
                filter=_EVERY if where is None else compiled(where),
                namespace=self._place.namespace,
                limit=_PAGE,
                pagination_token=cursor,
            )
        )
        found = yield from self._documents(index, list(page.vectors.values()), embeddings=False)
        return found, page.pagination.next if page.pagination else None

    def count(self, collection: KnowledgeCollection, where: Filter | None) -> Flow[int]:
        """See KnowledgeDriver.count.

        The nearest 10,000 are counted, since statistics know no filters and lag behind writes.
        """
        index = yield from self._open(collection)
        answer = yield from self._nearest(index, _unit(collection), _TOP_K, where)
        if len(answer.matches) < _TOP_K:
            return len(answer.matches)
        if where is None:
            stats = yield from wait(index.describe_index_stats())
            name = self._place.namespace
            summary = stats.namespaces.get(name) or stats.namespaces.get(name or "__default__")
            return max(_TOP_K, summary.vector_count if summary else 0)
        counted, cursor = 0, None
        while True:
            page, cursor = yield from self.scan(collection, where, cursor)
            counted += len(page)
            if cursor is None:
                return counted

    def close(self) -> Flow[None]:
        """See KnowledgeDriver.close."""
        return wait(self._clients.close())

    def is_transient(self, error: BaseException) -> bool:
        """See Vendor.is_transient."""
        if isinstance(error, PineconeConnectionError):
            self._known.clear()  # an index may have moved, or be deleted
        return isinstance(error, _TRANSIENT)

    def translate(self, error: BaseException, action: str) -> PersistError:
        """See Vendor.translate."""
        # What is known of an index may be what is wrong: it may have been made anew.
        self._known.clear()
        if isinstance(error, UnauthorizedError | ForbiddenError):
            return UnavailableError(
                f"{self.address}: cannot {action}: {self.describe(error)}. Check api_key= or "
                "PINECONE_API_KEY, and what the key may do",
                attempts=1,
                elapsed_s=0.0,
            )
        if isinstance(error, _StaleError):
            return UnavailableError(
                f"{self.address}: {self.describe(error)}",
                attempts=1,
                elapsed_s=self._place.fresh_s,
            )
        if isinstance(error, NotFoundError):
            return errors.NotFoundError(
                f"{self.address}: cannot {action}: the index is gone; create_collection makes one"
            )
        return super().translate(error, action)

    def _index(self, name: str) -> str:
        return index_name(self._place.prefix, name)

    def _described(self, model: Any) -> KnowledgeCollection | None:
        if model.status.state == "Terminating" or "praison-collection" not in (model.tags or {}):
            return None
        return described(model.tags, model.dimension, model.metric)

    def _known_of(self, name: str) -> Flow[_Known | None]:
        known = self._known.get(name)
        if known is not None and known.until > time.monotonic():
            return known
        self._known.pop(name, None)
        index = self._index(name)
        try:
            model = yield from wait(self._clients.control.indexes.describe(index))
        except NotFoundError:
            return None
        collection = self._described(model)
        if collection is None:
            return None
        if collection.name != name:
            raise errors.BackendError(
                f"{self.address}: the index {index} is of another collection, {collection.name!r}; "
                "choose another name"
            )
        known = _Known(collection, model.host, time.monotonic() + self._place.cache_s)
        if model.status.ready:
            self._known[name] = known
        return known

    def _open(self, collection: KnowledgeCollection) -> Flow[Any]:
        """Return the client of a collection's index."""
        known = yield from self._known_of(collection.name)
        if known is None:
            raise errors.NotFoundError(
                f"There is no collection {collection.name!r} in {self.address} any more"
            )
        return self._clients.index(known.host)

    def _nearest(
        self,
        index: Any,
        vector: Sequence[float],
        limit: int,
        where: Filter | None,
        **options: bool,
    ) -> Flow[Any]:
        return wait(
            index.query(
                vector=vector,
                top_k=limit,
                filter=None if where is None else compiled(where),
                namespace=self._place.namespace,
                **options,
            )
        )

    def _fetched(
        self, index: Any, ids: Sequence[str], namespace: str | None = None
    ) -> Flow[dict[str, Any]]:
        found: dict[str, Any] = {}
        where = self._place.namespace if namespace is None else namespace
        for begin in range(0, len(ids), _IDS):
            with _no_namespace():
                answer = yield from wait(
                    index.fetch(ids=ids[begin : begin + _IDS], namespace=where)
                )
                found |= answer.vectors
        return found

    def _documents(
        self,
        index: Any,
        records: Sequence[Any],
        scores: Mapping[str, float] | None = None,
        *,
        embeddings: bool,
    ) -> Flow[list[KnowledgeDocument]]:
        wanted = {each.id: part_ids(each.id, each.metadata) for each in records}
        names = [name for parts in wanted.values() for name in parts]
        pieces = yield from self._fetched(index, names, self._parts)
        lacking = [name for name in names if name not in pieces]
        if lacking:
            raise _TornError(f"the piece {lacking[0]} of a document is missing")
        return [
            document_of(
                each.metadata,
                [pieces[name].metadata["piece"] for name in wanted[each.id]],
                embedding=each.values if embeddings else None,
                score=None if scores is None else scores[each.id],
            )
            for each in records
        ]

    def _part_ids(self, index: Any, ids: Sequence[str]) -> Flow[list[str]]:
        found = yield from self._fetched(index, ids)
        return [part for each in found.values() for part in part_ids(each.id, each.metadata)]

    def _put_parts(self, index: Any, dimension: int, pieces: Mapping[str, str]) -> Flow[None]:
        # Pinecone keeps no record without an embedding, and none of zeros.
        values = [1.0] + [0.0] * (dimension - 1)
        items = [
            {"id": name, "values": values, "metadata": {"piece": piece}}
            for name, piece in pieces.items()
        ]
        size = METADATA_BYTES + dimension * _NUMBER_BYTES
        yield from self._upsert(index, items, self._parts, size)

    def _upsert(
        self, index: Any, items: Sequence[Mapping[str, Any]], namespace: str, size: int
    ) -> Flow[None]:
        position = None
        for some in _requests(items, size):
            answer = yield from wait(index.upsert(vectors=some, namespace=namespace))
            position = answer.response_info.lsn_committed
        if position is None or not self._place.fresh_s:
            return
        vector = items[0]["values"]
        for pause in self._until(self._place.fresh_s, "documents were stored, but are not visible"):
            seen = yield from wait(index.query(vector=vector, top_k=1, namespace=namespace))
            if seen.response_info.is_reconciled(position):
                return
            yield from wait(self.sleep(pause))

    def _delete(self, index: Any, ids: Sequence[str], namespace: str) -> Flow[None]:
        for begin in range(0, len(ids), _IDS):
            with _no_namespace():
                yield from wait(
                    index.delete(ids=list(ids[begin : begin + _IDS]), namespace=namespace)
                )

    def _gone(
        self, index: Any, collection: KnowledgeCollection, where: Mapping[str, Any] | None
    ) -> Flow[None]:
        """Wait until queries no longer find what was deleted."""
        if not self._place.fresh_s:
            return
        for pause in self._until(self._place.fresh_s, "documents were deleted, but still are seen"):
            answer = yield from wait(
                index.query(
                    vector=_unit(collection),
                    top_k=1,
                    filter=where,
                    namespace=self._place.namespace,
                )
            )
            if not answer.matches:
                return
            yield from wait(self.sleep(pause))

    def _until(self, seconds: float, otherwise: str) -> Iterator[float]:
        """Yield longer and longer waits.

        Raises:
            _StaleError: the time is over.
        """
        deadline = time.monotonic() + seconds
        pause, longest = _POLL_S
        while True:
            yield pause
            if time.monotonic() > deadline:
                raise _StaleError(f"{otherwise} after {seconds:g} s")
            pause = min(pause * 1.5, longest)


@contextmanager
def _no_namespace() -> Iterator[None]:
    """Take a namespace that is not there for an empty one; a missing index still is an error."""
    try:
        yield
    except NotFoundError as error:
        if "namespace" not in str(error).lower():
            raise


def _unit(collection: KnowledgeCollection) -> list[float]:
    return [1.0] + [0.0] * (collection.dimension - 1)


def _vector(document: KnowledgeDocument) -> Sequence[float]:
    vector = document.embedding or ()
    if not any(vector):
        raise InvalidDataError(
            f"The embedding of the document {document.id!r} is of zeros only, which Pinecone "
            "does not keep"
        )
    return vector


def _requests(items: Sequence[Mapping[str, Any]], size: int) -> Iterator[list[Mapping[str, Any]]]:
    """Yield as many at a time as a request of items of at most this size can have."""
    number = max(1, _REQUEST_BYTES // size)
    for begin in range(0, len(items), number):
        yield list(items[begin : begin + number])
