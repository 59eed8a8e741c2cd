"""Knowledge in Upstash Vector: a namespace for each collection of an index.

Facts and limits are those of upstash.com/docs/vector: "Metadata Filtering", "Namespaces", "FAQ".
"""

from __future__ import annotations

import heapq
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from typing import Any

import httpx
from upstash_vector.errors import ClientError, UpstashError

from praison_persist._flow import Flow, wait
from praison_persist._json import dumps, loads
from praison_persist._retry import RetryPolicy
from praison_persist.errors import (
    InvalidDataError,
    PersistError,
    UnavailableError,
    UnsupportedError,
)
from praison_persist.knowledge.driver import KnowledgeDriver, Page
from praison_persist.knowledge.filters import (
    And,
    Filter,
    Has,
    Not,
    Or,
    Range,
    matches,
    pushed_down,
)
from praison_persist.knowledge.payload import packed, unpacked
from praison_persist.knowledge.terms import numbers_of, safe_key, terms_of, token
from praison_persist.knowledge.vectors import pack, scores
from praison_persist.knowledge_protocols import KnowledgeCapability
from praison_persist.models import KnowledgeCollection, KnowledgeDocument

__all__ = ["CATALOGUE", "UpstashVectorDriver", "namespace_of"]

CATALOGUE = "praison--collections"  # no name of a collection has a hyphen

_DISTANCES = {"COSINE": "cosine", "EUCLIDEAN": "euclidean", "DOT_PRODUCT": "dot"}
_TOP_K = 1000
_PAGE = 200
_REQUEST_BYTES = 1_000_000
_DATA_BYTES = 1_000_000  # of a vector
_METADATA_BYTES = 48_000
_FILTER_CHARACTERS = 1000  # what a request may have is not documented
_PLAIN_ID = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_POLL_S = (0.02, 1.0)  # the first wait for the index, and the longest
_ALWAYS = "all"  # a term of each document, so that none is without terms
_REFUSED = ("unauthorized", "forbidden", "auth token")
_OPPOSITE = {">": "<=", ">=": "<", "<": ">=", "<=": ">"}


class _StaleError(Exception):
    """What was written is not indexed in time."""


class UpstashVectorDriver(KnowledgeDriver):
    """Hooks over an index of either colour.

    Upstash filters while it searches, up to a budget, and returns fewer documents than there are
    when that is used up. So a filtered search that is answered with fewer than wanted reads the
    collection and measures it here, as does one of more than 1,000 documents.

    Args:
        index: returns upstash_vector.Index or AsyncIndex.
        close: closes it.
        dimension: that the index has to have; None: any.
        fresh_s: seconds in which a write has to be indexed; 0: it is not waited for.
    """

    capabilities = KnowledgeDriver.capabilities - {KnowledgeCapability.COLLECTIONS}
    batch = 100
    failures = (UpstashError, ClientError, httpx.HTTPError, json.JSONDecodeError, _StaleError)

    def __init__(
        self,
        index: Callable[[], Any],
        close: Callable[[], Any],
        address: str,
        *,
        dimension: int | None,
        fresh_s: float,
        retry: RetryPolicy,
        sleep: Callable[[float], Any],
    ) -> None:
        self._index, self._close = index, close
        self._dimension, self._fresh_s = dimension, fresh_s
        self.address, self.retry, self.sleep = address, retry, sleep

    def names(self) -> Flow[Sequence[str]]:
        """See KnowledgeDriver.names."""
        found: list[str] = []
        cursor = ""
        while True:
            with _no_namespace():
                page = yield from wait(
                    self._index().range(cursor=cursor, limit=_PAGE, namespace=CATALOGUE)
                )
                found += [each.id for each in page.vectors]
                cursor = page.next_cursor
            if not cursor:
                return found

    def look_up(self, name: str) -> Flow[KnowledgeCollection | None]:
        """See KnowledgeDriver.look_up."""
        found = yield from self._fetched(CATALOGUE, [name], include_data=True)
        return KnowledgeCollection(**loads(found[0].data)) if found else None

    def create(self, collection: KnowledgeCollection) -> Flow[None]:
        """See KnowledgeDriver.create.

        Raises:
            UnsupportedError: the index has another dimension, or compares otherwise.
        """
        info = yield from wait(self._index().info())
        distance = _DISTANCES.get(info.similarity_function, info.similarity_function)
        wanted = self._dimension or info.dimension
        if collection.dimension != info.dimension or wanted != info.dimension:
            raise UnsupportedError(
                f"{self.address}: all collections of this Upstash index have {info.dimension} "
                f"dimensions, {collection.name!r} cannot have {collection.dimension}"
                + (f", nor does embedding_dim={wanted} fit" if wanted != info.dimension else "")
                + "; create an index of the other dimension in the Upstash console"
            )
        if collection.distance != distance:
            raise UnsupportedError(
                f"{self.address}: this Upstash index compares by {distance}, {collection.name!r} "
                f"cannot by {collection.distance}; create an index with the other similarity "
                "function in the Upstash console"
            )
        entry = {
            "id": collection.name,
            "vector": [1.0] + [0.0] * (info.dimension - 1),
            "data": _checked(dumps(collection.to_dict()), f"The collection {collection.name!r}"),
        }
        yield from wait(self._index().upsert([entry], namespace=CATALOGUE))

    def drop(self, collection: KnowledgeCollection) -> Flow[None]:
        """See KnowledgeDriver.drop."""
        # In this order: what is interrupted leaves an empty collection, not hidden documents.
        with _no_namespace():
            yield from wait(self._index().delete_namespace(namespace_of(collection.name)))
        with _no_namespace():
            yield from wait(self._index().delete([collection.name], namespace=CATALOGUE))

    def put(
        self, collection: KnowledgeCollection, documents: Sequence[KnowledgeDocument], *, new: bool
    ) -> Flow[None]:
        """See KnowledgeDriver.put."""
        del new
        namespace = namespace_of(collection.name)
        for some in _requests([_record(each) for each in documents]):
            yield from wait(self._index().upsert(some, namespace=namespace))
        yield from self._indexed(namespace)

    def fetch(
        self, collection: KnowledgeCollection, ids: Sequence[str], *, embeddings: bool
    ) -> Flow[Sequence[KnowledgeDocument]]:
        """See KnowledgeDriver.fetch."""
        found = yield from self._fetched(
            namespace_of(collection.name),
            [_record_id(each) for each in ids],
            include_data=True,
            include_vectors=embeddings,
        )
        return [_document(each, embeddings=embeddings) for each in found]

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
        condition = "" if where is None else compiled(where)
        if limit > _TOP_K or condition is None:
            return (yield from self._measured(collection, vector, limit, where, embeddings))
        hits: Sequence[Any] = ()
        with _no_namespace():
            hits = yield from wait(
                self._index().query(
                    vector=list(vector),
                    top_k=limit,
                    filter=condition,
                    include_data=True,
                    # Upstash's scores are scaled to between 0 and 1, and lose digits by it.
                    include_vectors=True,
                    namespace=namespace_of(collection.name),
                )
            )
        if where is not None and len(hits) < limit:
            return (yield from self._measured(collection, vector, limit, where, embeddings))
        return _scored(collection, vector, hits, embeddings=embeddings)

    def remove(self, collection: KnowledgeCollection, ids: Sequence[str]) -> Flow[int | None]:
        """See KnowledgeDriver.remove."""
        namespace = namespace_of(collection.name)
        deleted: int = 0
        with _no_namespace():
            result = yield from wait(
                self._index().delete([_record_id(each) for each in ids], namespace=namespace)
            )
            deleted = result.deleted
        yield from self._indexed(namespace)
        return deleted

    def clear(self, collection: KnowledgeCollection) -> Flow[int | None]:
        """See KnowledgeDriver.clear."""
        there = yield from self.count(collection, None)
        namespace = namespace_of(collection.name)
        with _no_namespace():
            yield from wait(self._index().reset(namespace=namespace))
        yield from self._indexed(namespace)
        return there

    def scan(
        self, collection: KnowledgeCollection, where: Filter | None, cursor: str | None
    ) -> Flow[Page]:
        """See KnowledgeDriver.scan. The cursor is Upstash's; what does not match is left out."""
        page, following = yield from self._page(collection, cursor or "", where, vectors=False)
        return [_document(each, embeddings=False) for each in page], following or None

    def count(self, collection: KnowledgeCollection, where: Filter | None) -> Flow[int]:
        """See KnowledgeDriver.count. Those that match are counted here: nothing else does."""
        namespace = namespace_of(collection.name)
        if where is None:
            info = yield from wait(self._index().info())
            there = info.namespaces.get(namespace)
            return there.vector_count if there else 0
        counted, cursor = 0, None
        while True:
            page, cursor = yield from self.scan(collection, where, cursor)
            counted += len(page)
            if cursor is None:
                return counted

    def close(self) -> Flow[None]:
        """See KnowledgeDriver.close."""
        return wait(self._close())

    def is_transient(self, error: BaseException) -> bool:
        """See Vendor.is_transient."""
        # What is no JSON comes from a gateway on the way.
        return isinstance(error, httpx.TransportError | json.JSONDecodeError)

    def translate(self, error: BaseException, action: str) -> PersistError:
        """See Vendor.translate."""
        if isinstance(error, _StaleError):
            return UnavailableError(
                f"{self.address}: {self.describe(error)}", attempts=1, elapsed_s=self._fresh_s
            )
        words = str(error).lower()
        if isinstance(error, UpstashError) and any(each in words for each in _REFUSED):
            return UnavailableError(
                f"{self.address}: cannot {action}: {self.describe(error)}. Check token= or "
                "UPSTASH_VECTOR_REST_TOKEN, and that it may write",
                attempts=1,
                elapsed_s=0.0,
            )
        return super().translate(error, action)

    def _fetched(self, namespace: str, ids: Sequence[str], **options: bool) -> Flow[list[Any]]:
        found: list[Any] = []
        with _no_namespace():
            answer = yield from wait(
                self._index().fetch(ids=list(ids), namespace=namespace, **options)
            )
            found = [each for each in answer if each is not None]
        return found

    def _page(
        self, collection: KnowledgeCollection, cursor: str, where: Filter | None, *, vectors: bool
    ) -> Flow[tuple[list[Any], str]]:
        found: list[Any] = []
        following = ""
        with _no_namespace():
            page = yield from wait(
                self._index().range(
                    cursor=cursor,
                    limit=_PAGE,
                    include_data=True,
                    include_vectors=vectors,
                    namespace=namespace_of(collection.name),
                )
            )
            found, following = page.vectors, page.next_cursor
        if where is not None:
            found = [each for each in found if matches(where, _metadata(each))]
        return found, following

    def _measured(
        self,
        collection: KnowledgeCollection,
        vector: Sequence[float],
        limit: int,
        where: Filter | None,
        embeddings: bool,
    ) -> Flow[Sequence[KnowledgeDocument]]:
        """Return the nearest of all that match, exactly."""
        best: list[KnowledgeDocument] = []
        cursor = ""
        while True:
            page, cursor = yield from self._page(collection, cursor, where, vectors=True)
            found = _scored(collection, vector, page, embeddings=embeddings)
            best = heapq.nsmallest(limit, (*best, *found), key=lambda each: -(each.score or 0.0))
            if not cursor:
                return best

    def _indexed(self, namespace: str) -> Flow[None]:
        """Wait until searches see what was written: Upstash indexes it afterwards."""
        deadline = time.monotonic() + self._fresh_s
        pause, longest = _POLL_S
        while self._fresh_s:
            info = yield from wait(self._index().info())
            there = info.namespaces.get(namespace)
            if there is None or not there.pending_vector_count:
                return
            if time.monotonic() > deadline:
                raise _StaleError(
                    f"documents were stored, but are not indexed after {self._fresh_s:g} s"
                )
            yield from wait(self.sleep(pause))
            pause = min(pause * 1.5, longest)


@contextmanager
def _no_namespace() -> Iterator[None]:
    """Take a namespace that is not there for an empty one: the first document makes it."""
    try:
        yield
    except UpstashError as error:
        words = str(error).lower()
        if not ("namespace" in words and "not found" in words):
            raise


def namespace_of(name: str) -> str:
    """Return the namespace of a collection."""
    return f"praison-{name}"


def compiled(where: Filter) -> str | None:
    """Return a filter in Upstash's language; None: it would be longer than can be relied on.

    Terms are compared by their tokens, so that nothing needs quoting.
    """
    text = _compiled(pushed_down(where))
    return text if len(text) <= _FILTER_CHARACTERS else None


def _compiled(where: Filter) -> str:
    match where:
        case Has(terms):
            return _joined("OR", [f"terms CONTAINS '{token(each)}'" for each in terms or ("",)])
        case Not(Has(terms)):
            parts = [f"terms NOT CONTAINS '{token(each)}'" for each in terms or ("",)]
            return _joined("AND", parts)
        case Range(key, bounds):
            name = f"n_{safe_key(key)}"
            return _joined("AND", [f"{name} {sign} {_number(bound)}" for sign, bound in bounds])
        case Not(Range(key, bounds)):
            name = f"n_{safe_key(key)}"
            outside = [f"{name} {_OPPOSITE[sign]} {_number(bound)}" for sign, bound in bounds]
            return _joined("OR", [f"HAS NOT FIELD {name}", *outside])
        case And(parts):
            return _joined("AND", [_compiled(part) for part in parts])
        case Or(parts):
            return _joined("OR", [_compiled(part) for part in parts])
        case Not():
            raise AssertionError(where)  # pushed down to the leaves


def _joined(word: str, parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"({f' {word} '.join(parts)})"


def _number(number: float) -> str:
    """Return all digits: whether the language knows exponents is not documented."""
    return f"{Decimal(repr(number)):f}"


def _record_id(document_id: str) -> str:
    """Return the id of a document's vector: which characters one may have is not documented."""
    return document_id if _PLAIN_ID.fullmatch(document_id) else f"~{token(document_id)}"


def _record(document: KnowledgeDocument) -> dict[str, Any]:
    """Return the vector of a document.

    Raises:
        InvalidDataError: it is larger than Upstash keeps.
    """
    what = f"The document {document.id!r}"
    metadata = {
        "terms": [_ALWAYS, *map(token, terms_of(document.metadata))],
        **{f"n_{safe_key(key)}": number for key, number in numbers_of(document.metadata).items()},
    }
    if len(dumps(metadata)) > _METADATA_BYTES:
        raise InvalidDataError(
            f"{what}: the fields of its metadata take more than the 48 KB that Upstash filters "
            "by; put what is not filtered by into a nested object"
        )
    return {
        "id": _record_id(document.id),
        "vector": document.embedding,
        "metadata": metadata,
        "data": _checked(dumps({"id": document.id, **packed(document)}), what),
    }


def _checked(data: str, what: str) -> str:
    if len(data) > _DATA_BYTES:
        raise InvalidDataError(
            f"{what} takes {len(data)} bytes as JSON, and Upstash keeps 1 MB; split it"
        )
    return data


def _requests(records: Sequence[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Yield as many records as a request can have."""
    some: list[dict[str, Any]] = []
    size = 0
    for record in records:
        bytes_ = len(record["data"]) + len(dumps(record["metadata"])) + 24 * len(record["vector"])
        if some and size + bytes_ > _REQUEST_BYTES:
            yield some
            some, size = [], 0
        some.append(record)
        size += bytes_
    if some:
        yield some


def _metadata(found: Any) -> Mapping[str, Any] | None:
    metadata: Mapping[str, Any] | None = loads(loads(found.data)["metadata"])
    return metadata


def _document(found: Any, *, embeddings: bool) -> KnowledgeDocument:
    payload = loads(found.data)
    return unpacked(payload["id"], payload, embedding=found.vector if embeddings else None)


def _scored(
    collection: KnowledgeCollection,
    vector: Sequence[float],
    found: Sequence[Any],
    *,
    embeddings: bool,
) -> list[KnowledgeDocument]:
    measured = scores(collection.distance, vector, [pack(each.vector) for each in found])
    return [
        replace(_document(each, embeddings=embeddings), score=score)
        for each, score in zip(found, measured, strict=True)
    ]
