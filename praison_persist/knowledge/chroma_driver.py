"""Knowledge as operations on Chroma's collections."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import hypot, sqrt
from typing import Any, Protocol

import httpx
from chromadb.errors import ChromaAuthError, ChromaError, RateLimitError
from chromadb.errors import NotFoundError as ChromaNotFoundError

from praison_persist._flow import Flow, wait
from praison_persist._json import dumps, loads
from praison_persist._retry import RetryPolicy
from praison_persist.errors import BackendError, NotFoundError, PersistError, UnavailableError
from praison_persist.knowledge.driver import KnowledgeDriver, Page
from praison_persist.knowledge.filters import And, Filter, Has, Not, Or, Range, pushed_down
from praison_persist.knowledge.finite import all_terms_of, finite_numbers_of, infinite_in
from praison_persist.knowledge.payload import packed, unpacked
from praison_persist.knowledge.terms import exists_term, token
from praison_persist.knowledge.vectors import score_of
from praison_persist.models import KnowledgeCollection, KnowledgeDocument

__all__ = ["REFUSED", "TRANSIENT", "ChromaDriver", "Clients"]

# Answers of a server, or of what is before it.
REFUSED, TRANSIENT = {401, 403}, {429, 502, 503, 504}

# A name is of 3 to 512 characters, and begins and ends with a letter or a digit.
_PREFIX, _SUFFIX = "praison-", "-docs"
_DESCRIPTION = "praison_persist"
_SPACES = {"cosine": "cosine", "euclidean": "l2", "dot": "ip"}
_TERMS = "terms"
_NEVER = "never"  # no term, which all have quotes or a colon
_PAGE = 100  # names of collections
_OPERATORS = {">": "$gt", ">=": "$gte", "<": "$lt", "<=": "$lte"}
_OPPOSITES = {">": "$lte", ">=": "$lt", "<": "$gte", "<=": "$gt"}
# In between, squares are numbers of single precision.
_SHORT, _LONG = 1e-10, 1e15


class Clients(Protocol):
    """The client that may be used here and now."""

    def get(self) -> Any:
        """Return it."""

    def close(self) -> None:
        """Close it."""


class ChromaDriver(KnowledgeDriver):
    """Hooks that look up the collection, and then do one thing with it."""

    failures = (ChromaError, httpx.HTTPError)
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
        lengths = [_length(collection, each.embedding or ()) for each in documents]
        records = [_record(each, length) for each, length in zip(documents, lengths, strict=True)]
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
                    _scaled(each.embedding or (), length)
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
        return _documents(found)

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
                query_embeddings=[_scaled(vector, _length(collection, vector))],
                n_results=limit,
                where=_where(where),
                include=[*_include(embeddings=embeddings), "distances"],
            )
        )
        first = {name: values and values[0] for name, values in found.items() if name in _LISTS}
        hits = _documents(first)
        for hit, distance in zip(hits, first["distances"], strict=True):
            hit.score = _score(collection.distance, float(distance))
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
        found = yield from wait(there.get(where=_where(where), include=[]))
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
        found = yield from wait(there.get(where=_where(where), include=[]))
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
        refused = (
            isinstance(error, httpx.HTTPStatusError) and error.response.status_code in REFUSED
        )
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

    def _collection(self, name: str) -> Flow[Any]:
        # Without None it would fetch a model to make embeddings with.
        return wait(self._clients.get().get_collection(_encoded(name), embedding_function=None))


_LISTS = ("ids", "documents", "metadatas", "embeddings", "distances")


def _encoded(name: str) -> str:
    return f"{_PREFIX}{name}{_SUFFIX}"


def _include(*, embeddings: bool) -> list[str]:
    return ["documents", "metadatas", *(["embeddings"] if embeddings else [])]


def _length(collection: KnowledgeCollection, vector: Sequence[float]) -> float:
    """Return what to divide a vector by, so that its angles can be measured."""
    length = hypot(*vector)
    return 1.0 if collection.distance != "cosine" or _SHORT < length < _LONG else length


def _scaled(vector: Sequence[float], length: float) -> list[float]:
    return [each / length for each in vector]


def _record(document: KnowledgeDocument, length: float) -> dict[str, Any]:
    """Return the content, and Chroma's metadata."""
    record = {
        **packed(document),
        "created_at": repr(document.created_at),  # what reads JSON may round
        "length": repr(length),
    }
    numbers = finite_numbers_of(document.metadata)
    terms = [*all_terms_of(document.metadata), *map(_number_term, numbers)]
    if terms:
        record[_TERMS] = terms
    return record | {_number(key): number for key, number in numbers.items()}


def _number(key: str) -> str:
    return f"n_{token(key)}"


def _number_term(key: str) -> str:
    """Return the term of a document that has such a field."""
    return f"number:{exists_term(key)}"


def _documents(found: Any) -> list[KnowledgeDocument]:
    embeddings = found.get("embeddings")
    documents = []
    for place, name in enumerate(found["ids"]):
        payload = {**found["metadatas"][place], "content": found["documents"][place] or ""}
        embedding = None
        if embeddings is not None:
            length = float(payload["length"])
            embedding = [float(each) * length for each in embeddings[place]]
        documents.append(unpacked(name, payload, embedding=embedding))
    return documents


def _score(distance: str, measured: float) -> float:
    """Return the score of what Chroma measures (its documentation, "Configure Collections")."""
    if distance == "euclidean":
        return score_of(distance, sqrt(max(0.0, measured)))
    return score_of(distance, 1.0 - measured)


def _where(where: Filter | None) -> dict[str, Any] | None:
    return None if where is None else _compiled(pushed_down(where))


def _compiled(where: Filter) -> dict[str, Any]:
    match where:
        case Has(terms):
            return _joined("$or", [{_TERMS: {"$contains": each}} for each in terms or (_NEVER,)])
        case Not(Has(terms)):
            return _joined(
                "$and", [{_TERMS: {"$not_contains": each}} for each in terms or (_NEVER,)]
            )
        case Range(key, bounds):
            limits = [{_number(key): {_OPERATORS[name]: bound}} for name, bound in bounds]
            return _joined("$or", [_joined("$and", limits), _compiled(infinite_in(where))])
        case Not(Range(key, bounds) as part):
            # A document without the number is neither within nor beyond.
            beyond = [{_number(key): {_OPPOSITES[name]: bound}} for name, bound in bounds]
            infinite = infinite_in(part).terms
            neither = Not(Has((_number_term(key), *infinite)))
            return _joined("$or", [*beyond, _compiled(neither)])
        case And(parts):
            return _joined("$and", [_compiled(part) for part in parts])
        case Or(parts):
            return _joined("$or", [_compiled(part) for part in parts])
    raise AssertionError(where)  # pushed_down leaves no other


def _joined(operator: str, parts: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the parts in pairs of pairs: SQLite takes no expression of a depth beyond 1000."""
    if len(parts) == 1:
        return parts[0]
    middle = len(parts) // 2
    return {operator: [_joined(operator, parts[:middle]), _joined(operator, parts[middle:])]}
