"""Knowledge in Weaviate: a class for each collection, found by its description."""

from __future__ import annotations

import re
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence
from typing import Any

import httpx
from weaviate.classes.config import (
    Configure,
    ConsistencyLevel,
    DataType,
    Property,
    Tokenization,
    VectorDistances,
)
from weaviate.classes.data import DataObject
from weaviate.classes.query import Filter as Where
from weaviate.classes.query import MetadataQuery
from weaviate.exceptions import (
    AuthenticationFailedError,
    InsufficientPermissionsError,
    UnexpectedStatusCodeError,
    WeaviateBaseError,
    WeaviateConnectionError,
    WeaviateGRPCUnavailableError,
    WeaviateInsertManyAllFailedError,
    WeaviateInvalidInputError,
    WeaviateQueryError,
    WeaviateStartUpError,
    WeaviateTimeoutError,
)

from praison_persist._flow import Flow, wait
from praison_persist._json import dumps, loads
from praison_persist._retry import RetryPolicy
from praison_persist.errors import BackendError, NotFoundError, PersistError, UnavailableError
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
from praison_persist.knowledge.vectors import score_of
from praison_persist.knowledge_protocols import KnowledgeCapability
from praison_persist.models import KnowledgeCollection, KnowledgeDocument

__all__ = ["Clients", "WeaviateDriver", "class_name", "object_id"]

_PREFIX = "Praison_"
_DISTANCES = {
    "cosine": VectorDistances.COSINE,
    "euclidean": VectorDistances.L2_SQUARED,
    "dot": VectorDistances.DOT,
}
_PAYLOAD = ["doc_id", "content", "metadata", "content_hash", "created_at"]
_IDS = uuid.UUID("0b7d7d24-54a5-5a9c-8f0e-0f5a3f1f7c11")  # the namespace of documents' UUIDs
_PAGE = 200
_BAD_REQUEST = 422
_NOT_FOUND = 404
_TOO_MANY = 429
_SERVER_ERROR = 500
_UPPER = re.compile(r"[A-Z_]")
_COMPARE: dict[str, Callable[[Any, float], Any]] = {
    ">": lambda number, bound: number.greater_than(bound),
    ">=": lambda number, bound: number.greater_or_equal(bound),
    "<": lambda number, bound: number.less_than(bound),
    "<=": lambda number, bound: number.less_or_equal(bound),
}
_OPPOSITE = {">": "<=", ">=": "<", "<": ">=", "<=": ">"}
_TRANSIENT = (
    httpx.TransportError,
    WeaviateConnectionError,
    WeaviateGRPCUnavailableError,
    WeaviateStartUpError,
    WeaviateTimeoutError,
)
_REFUSED_WORDS = ("unauthorized", "unauthenticated", "forbidden", "anonymous access")


class Clients(ABC):
    """The clients of one colour."""

    @abstractmethod
    def connected(self) -> Any:
        """Return a client of this process or loop that is connected, or a coroutine of it."""

    @abstractmethod
    def close(self) -> Any:
        """Close all of them."""


class WeaviateDriver(KnowledgeDriver):
    """Hooks over clients of either colour."""

    capabilities = KnowledgeDriver.capabilities | {KnowledgeCapability.HYBRID}
    max_dimension = 65_535
    batch = 100
    failures = (WeaviateBaseError, httpx.HTTPError)

    def __init__(
        self, clients: Clients, address: str, retry: RetryPolicy, sleep: Callable[[float], Any]
    ) -> None:
        self._clients = clients
        self.address, self.retry, self.sleep = address, retry, sleep

    def names(self) -> Flow[Sequence[str]]:
        """See KnowledgeDriver.names."""
        client = yield from wait(self._clients.connected())
        found = yield from wait(client.collections.list_all(simple=True))
        described = (_described(each) for each in found.values())
        return [each.name for each in described if each is not None]

    def look_up(self, name: str) -> Flow[KnowledgeCollection | None]:
        """See KnowledgeDriver.look_up."""
        config = yield from self._config(name)
        return None if config is None else _described(config)

    def create(self, collection: KnowledgeCollection) -> Flow[None]:
        """See KnowledgeDriver.create."""
        client = yield from wait(self._clients.connected())
        try:
            yield from wait(
                client.collections.create(
                    class_name(collection.name),
                    description=dumps(collection.to_dict()),
                    properties=[
                        *(_kept(each) for each in _PAYLOAD if each != "content"),
                        Property(
                            name="content",
                            data_type=DataType.TEXT,
                            index_filterable=False,
                            index_searchable=True,
                            tokenization=Tokenization.WORD,
                        ),
                        Property(
                            name="terms",
                            data_type=DataType.TEXT_ARRAY,
                            index_filterable=True,
                            index_searchable=False,
                            tokenization=Tokenization.FIELD,
                        ),
                    ],
                    vector_config=Configure.Vectors.self_provided(
                        vector_index_config=Configure.VectorIndex.hnsw(
                            distance_metric=_DISTANCES[collection.distance]
                        )
                    ),
                )
            )
        except UnexpectedStatusCodeError as error:
            if not _already(error):
                raise

    def drop(self, collection: KnowledgeCollection) -> Flow[None]:
        """See KnowledgeDriver.drop."""
        client = yield from wait(self._clients.connected())
        yield from wait(client.collections.delete(class_name(collection.name)))

    def put(
        self, collection: KnowledgeCollection, documents: Sequence[KnowledgeDocument], *, new: bool
    ) -> Flow[None]:
        """See KnowledgeDriver.put."""
        del new
        objects = [_object(each) for each in documents]
        numbers = {name for each in objects for name in each.properties if name.startswith("n_")}
        yield from self._add_properties(collection, numbers)
        kept = yield from self._open(collection)
        try:
            result = yield from wait(kept.data.insert_many(objects))
            failed = [each.message for each in result.errors.values()]
        except WeaviateInsertManyAllFailedError as error:
            failed = [str(error)]
        if failed and _is_gone(failed[0]):
            raise _gone(self.address, collection)
        if failed:
            raise BackendError(
                f"{self.address}: cannot store {len(failed)} of {len(objects)} documents: "
                f"{failed[0][:300]}"
            )

    def fetch(
        self, collection: KnowledgeCollection, ids: Sequence[str], *, embeddings: bool
    ) -> Flow[Sequence[KnowledgeDocument]]:
        """See KnowledgeDriver.fetch."""
        kept = yield from self._open(collection)
        answer = yield from wait(
            kept.query.fetch_objects_by_ids(
                [object_id(each) for each in ids],
                limit=len(ids),
                include_vector=embeddings,
                return_properties=_PAYLOAD,
            )
        )
        return [_document(each, embeddings=embeddings) for each in answer.objects]

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
        condition = yield from self._condition(collection, where)
        kept = yield from self._open(collection)
        answer = yield from wait(
            kept.query.near_vector(
                list(vector),
                limit=limit,
                filters=condition,
                include_vector=embeddings,
                return_metadata=MetadataQuery(distance=True),
                return_properties=_PAYLOAD,
            )
        )
        return [
            _document(
                each,
                embeddings=embeddings,
                score=_score(collection.distance, each.metadata.distance),
            )
            for each in answer.objects
        ]

    def keywords(
        self, collection: KnowledgeCollection, text: str, limit: int, where: Filter | None
    ) -> Flow[Sequence[KnowledgeDocument]]:
        """See KnowledgeDriver.keywords."""
        words = " ".join(re.findall(r"\w+", text.encode("utf-8", "replace").decode()))
        if not words:
            return []
        condition = yield from self._condition(collection, where)
        kept = yield from self._open(collection)
        answer = yield from wait(
            kept.query.bm25(
                words,
                query_properties=["content"],
                limit=limit,
                filters=condition,
                return_metadata=MetadataQuery(score=True),
                return_properties=_PAYLOAD,
            )
        )
        return [
            _document(each, embeddings=False, score=each.metadata.score) for each in answer.objects
        ]

    def remove(self, collection: KnowledgeCollection, ids: Sequence[str]) -> Flow[int | None]:
        """See KnowledgeDriver.remove."""
        kept = yield from self._open(collection)
        where = Where.by_id().contains_any([object_id(each) for each in ids])
        result = yield from wait(kept.data.delete_many(where=where))
        deleted: int = result.successful
        return deleted

    def scan(
        self, collection: KnowledgeCollection, where: Filter | None, cursor: str | None
    ) -> Flow[Page]:
        """See KnowledgeDriver.scan. The cursor is the UUID of the last object of a page.

        Weaviate has no cursor of a filtered list: what does not match is left out here.
        """
        kept = yield from self._open(collection)
        answer = yield from wait(
            kept.query.fetch_objects(limit=_PAGE, after=cursor, return_properties=_PAYLOAD)
        )
        documents = [_document(each, embeddings=False) for each in answer.objects]
        found = [each for each in documents if where is None or matches(where, each.metadata)]
        return found, str(answer.objects[-1].uuid) if answer.objects else None

    def count(self, collection: KnowledgeCollection, where: Filter | None) -> Flow[int]:
        """See KnowledgeDriver.count."""
        condition = yield from self._condition(collection, where)
        kept = yield from self._open(collection)
        answer = yield from wait(kept.aggregate.over_all(filters=condition, total_count=True))
        return answer.total_count or 0

    def close(self) -> Flow[None]:
        """See KnowledgeDriver.close."""
        return wait(self._clients.close())

    def is_transient(self, error: BaseException) -> bool:
        """See Vendor.is_transient."""
        if _is_refused(error):
            return False
        if isinstance(error, UnexpectedStatusCodeError):
            status: int = error.status_code
            return status == _TOO_MANY or status >= _SERVER_ERROR
        return isinstance(error, _TRANSIENT)

    def translate(self, error: BaseException, action: str) -> PersistError:
        """See Vendor.translate."""
        if _is_refused(error):
            return UnavailableError(
                f"{self.address}: cannot {action}: {self.describe(error)}. Check api_key= or "
                "WEAVIATE_API_KEY, and what the key may do",
                attempts=1,
                elapsed_s=0.0,
            )
        if isinstance(error, WeaviateQueryError) and _is_gone(str(error)):
            return NotFoundError(f"{self.address}: cannot {action}: the collection is gone")
        return super().translate(error, action)

    def _open(self, collection: KnowledgeCollection) -> Flow[Any]:
        client = yield from wait(self._clients.connected())
        kept = client.collections.use(class_name(collection.name))
        # Of several replicas, a majority has written what a majority is asked for.
        return kept.with_consistency_level(ConsistencyLevel.QUORUM)

    def _config(self, name: str) -> Flow[Any]:
        client = yield from wait(self._clients.connected())
        kept = client.collections.use(class_name(name))
        try:
            return (yield from wait(kept.config.get(simple=True)))
        except UnexpectedStatusCodeError as error:
            if error.status_code != _NOT_FOUND:
                raise
            return None

    def _properties(self, collection: KnowledgeCollection) -> Flow[set[str]]:
        config = yield from self._config(collection.name)
        if config is None:
            raise _gone(self.address, collection)
        return {each.name for each in config.properties}

    def _add_properties(
        self, collection: KnowledgeCollection, names: Collection[str]
    ) -> Flow[None]:
        """Declare numbers: whether Weaviate does so by itself depends on its configuration."""
        if not names:
            return
        known = yield from self._properties(collection)
        kept = yield from self._open(collection)
        for name in sorted({*names} - known):
            number = Property(
                name=name,
                data_type=DataType.NUMBER,
                index_filterable=True,
                index_range_filters=True,
                index_searchable=False,
            )
            try:
                yield from wait(kept.config.add_property(number))
            except (UnexpectedStatusCodeError, WeaviateInvalidInputError) as error:
                if not _already(error):
                    raise

    def _condition(self, collection: KnowledgeCollection, where: Filter | None) -> Flow[Any]:
        """Return Weaviate's filter, which may not name a property that no document has."""
        if where is None:
            return None
        known = (yield from self._properties(collection)) if _has_range(where) else set()
        return _compiled(pushed_down(where), known)


def class_name(name: str) -> str:
    """Return the class of a collection: Weaviate's names of classes differ by more than case."""
    return _PREFIX + _UPPER.sub(
        lambda found: "__" if found[0] == "_" else f"_{found[0].lower()}", name
    )


def object_id(document_id: str) -> str:
    """Return the UUID of a document's object."""
    return str(uuid.uuid5(_IDS, document_id))


def _described(config: Any) -> KnowledgeCollection | None:
    """Return what a class is of; None: another program's."""
    if not config.name.startswith(_PREFIX) or not (config.description or "").startswith("{"):
        return None
    collection = KnowledgeCollection(**loads(config.description))
    return collection if class_name(collection.name) == config.name else None


def _kept(name: str) -> Property:
    return Property(
        name=name, data_type=DataType.TEXT, index_filterable=False, index_searchable=False
    )


def _marker(key: str) -> str:
    """Return the term of each document that has a number in a field."""
    return f"number-{token(key)}"


def _object(document: KnowledgeDocument) -> Any:
    numbers = numbers_of(document.metadata)
    payload = packed(document)
    properties = {
        "doc_id": document.id,
        **payload,
        "created_at": repr(payload["created_at"]),
        "terms": [
            "all",  # so that none is without terms
            *map(token, terms_of(document.metadata)),
            *map(_marker, numbers),
        ],
        **{f"n_{safe_key(key)}": number for key, number in numbers.items()},
    }
    return DataObject(properties=properties, uuid=object_id(document.id), vector=document.embedding)


def _document(found: Any, *, embeddings: bool, score: float | None = None) -> KnowledgeDocument:
    payload = found.properties
    embedding = found.vector["default"] if embeddings else None
    return unpacked(payload["doc_id"], payload, embedding=embedding, score=score)


def _score(distance: str, value: float) -> float:
    """Return the score: Weaviate gives 1 - cosine, the squared distance, or the negative dot."""
    if distance == "cosine":
        return score_of(distance, 1.0 - value)
    return score_of(distance, max(0.0, value) ** 0.5 if distance == "euclidean" else -value)


def _has_range(where: Filter) -> bool:
    match where:
        case Has():
            return False
        case Range():
            return True
        case And(parts) | Or(parts):
            return any(map(_has_range, parts))
        case Not(part):
            return _has_range(part)


def _compiled(where: Filter, known: Collection[str]) -> Any:
    terms = Where.by_property("terms")
    match where:
        case Has(wanted):
            return terms.contains_any([token(each) for each in wanted] or ["none"])
        case Not(Has(wanted)):
            return terms.contains_none([token(each) for each in wanted] or ["none"])
        case Range(key, bounds):
            name = f"n_{safe_key(key)}"
            if name not in known:
                return terms.contains_any(["none"])
            number = Where.by_property(name)
            return Where.all_of([_COMPARE[sign](number, bound) for sign, bound in bounds])
        case Not(Range(key, bounds)):
            name = f"n_{safe_key(key)}"
            if name not in known:
                return terms.contains_none(["none"])
            number = Where.by_property(name)
            outside = [_COMPARE[_OPPOSITE[sign]](number, bound) for sign, bound in bounds]
            return Where.any_of([terms.contains_none([_marker(key)]), *outside])
        case And(parts):
            return Where.all_of([_compiled(part, known) for part in parts])
        case Or(parts):
            return Where.any_of([_compiled(part, known) for part in parts])
        case Not():
            raise AssertionError(where)  # pushed down to the leaves


def _already(error: WeaviateBaseError) -> bool:
    """Whether another was faster; the client looks for it, too, before it asks the server."""
    refused = not isinstance(error, UnexpectedStatusCodeError) or error.status_code == _BAD_REQUEST
    return refused and "already" in str(error)


def _is_gone(words: str) -> bool:
    return "could not find class" in words


def _gone(address: str, collection: KnowledgeCollection) -> NotFoundError:
    return NotFoundError(f"There is no collection {collection.name!r} in {address} any more")


def _is_refused(error: BaseException) -> bool:
    if isinstance(error, AuthenticationFailedError | InsufficientPermissionsError):
        return True
    if isinstance(error, UnexpectedStatusCodeError):
        return error.status_code in (401, 403)
    words = str(error).lower()
    return isinstance(error, WeaviateBaseError) and any(each in words for each in _REFUSED_WORDS)
