"""Knowledge as operations on Qdrant, of its client of either colour."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import hypot
from typing import Any, Protocol
from uuid import UUID, uuid5

import grpc  # type: ignore[import-untyped]  # brought by qdrant-client, without its stubs
import httpx
from qdrant_client import models
from qdrant_client.common.client_exceptions import QdrantException, ResourceExhaustedResponse
from qdrant_client.http.exceptions import (
    ApiException,
    ResponseHandlingException,
    UnexpectedResponse,
)

from praison_persist._flow import Flow, wait
from praison_persist._json import dumps, loads
from praison_persist._retry import RetryPolicy
from praison_persist.errors import BackendError, NotFoundError, PersistError, UnavailableError
from praison_persist.knowledge.driver import KnowledgeDriver, Page
from praison_persist.knowledge.filters import And, Filter, Has, Not, Or, Range
from praison_persist.knowledge.finite import all_terms_of, finite_numbers_of, infinite_in
from praison_persist.knowledge.payload import packed, unpacked
from praison_persist.knowledge.terms import exists_term
from praison_persist.knowledge.vectors import score_of
from praison_persist.models import KnowledgeCollection, KnowledgeDocument

__all__ = ["Clients", "QdrantDriver"]

_PREFIX = "praison_"
# Of the ids of points, which are UUIDs or numbers, made of those of documents.
_NAMESPACE = UUID("6f2b7f0e-63d2-4d0a-9c1b-7a5c1f3e8d42")
_METADATA = "praison_persist"
_TERMS, _NUMBERS = "terms", "numbers"
_DISTANCES = {
    "cosine": models.Distance.COSINE,
    "euclidean": models.Distance.EUCLID,
    "dot": models.Distance.DOT,
}
_NAMES = {kind: name for name, kind in _DISTANCES.items()}
_BOUNDS = {">": "gt", ">=": "gte", "<": "lt", "<=": "lte"}
_INDEXES = {
    _TERMS: models.PayloadSchemaType.KEYWORD,
    f"{_NUMBERS}[].key": models.PayloadSchemaType.KEYWORD,
    f"{_NUMBERS}[].value": models.PayloadSchemaType.FLOAT,
}
_REFUSED_STATUS, _REFUSED_CODE = (
    {401, 403},
    {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED},
)
_TRANSIENT_STATUS, _TRANSIENT_CODE = (
    {429, 502, 503, 504},
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
    },
)


class Clients(Protocol):
    """The client that may be used here and now."""

    def get(self) -> Any:
        """Return it."""

    def close(self) -> Any:
        """Close it; return None, or a coroutine."""


class QdrantDriver(KnowledgeDriver):
    """Hooks of one request, or two.

    Args:
        indexed: make indexes of the payload, which the local mode has not.
    """

    failures = (ApiException, QdrantException, grpc.RpcError)

    def __init__(
        self,
        clients: Clients,
        address: str,
        retry: RetryPolicy,
        sleep: Callable[[float], Any],
        *,
        indexed: bool,
    ) -> None:
        self._clients, self._indexed = clients, indexed
        self.address, self.retry, self.sleep = address, retry, sleep

    def names(self) -> Flow[Sequence[str]]:
        """See KnowledgeDriver.names."""
        found = yield from wait(self._client().get_collections())
        return [_decoded(each.name) for each in found.collections if each.name.startswith(_PREFIX)]

    def look_up(self, name: str) -> Flow[KnowledgeCollection | None]:
        """See KnowledgeDriver.look_up."""
        try:
            found = yield from wait(self._client().get_collection(_encoded(name)))
        except NotFoundError:  # of the local mode
            return None
        except self.failures as error:
            if _is_missing(error):
                return None
            raise
        vectors = found.config.params.vectors
        metadata = (found.config.metadata or {}).get(_METADATA)
        if not isinstance(vectors, models.VectorParams) or metadata is None:
            raise BackendError(
                f"{self.address}: the collection {_encoded(name)} is of another program, or of a "
                "server before 1.16, which keeps no metadata; delete it, or choose another name"
            )
        return KnowledgeCollection(
            name, vectors.size, _NAMES[vectors.distance], loads(str(metadata))
        )

    def create(self, collection: KnowledgeCollection) -> Flow[None]:
        """See KnowledgeDriver.create."""
        client, name = self._client(), _encoded(collection.name)
        vectors = models.VectorParams(
            size=collection.dimension, distance=_DISTANCES[collection.distance]
        )
        metadata = {_METADATA: dumps(collection.metadata)}
        try:
            yield from wait(
                client.create_collection(name, vectors_config=vectors, metadata=metadata)
            )
        except BackendError as error:  # of the local mode
            if not _exists(error):
                raise
        except self.failures as error:
            if not _exists(error):
                raise
        for field, kind in _INDEXES.items() if self._indexed else ():
            yield from wait(client.create_payload_index(name, field, kind, wait=True))

    def drop(self, collection: KnowledgeCollection) -> Flow[None]:
        """See KnowledgeDriver.drop."""
        yield from wait(self._client().delete_collection(_encoded(collection.name)))

    def put(
        self, collection: KnowledgeCollection, documents: Sequence[KnowledgeDocument], *, new: bool
    ) -> Flow[None]:
        """See KnowledgeDriver.put."""
        del new
        points = [_point(collection, each) for each in documents]
        yield from wait(self._client().upsert(_encoded(collection.name), points, wait=True))

    def fetch(
        self, collection: KnowledgeCollection, ids: Sequence[str], *, embeddings: bool
    ) -> Flow[Sequence[KnowledgeDocument]]:
        """See KnowledgeDriver.fetch."""
        points = yield from wait(
            self._client().retrieve(
                _encoded(collection.name),
                _points(ids),
                with_payload=True,
                with_vectors=embeddings,
            )
        )
        return [_document(each) for each in points]

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
        wanted = _scaled(vector, _length(collection, vector))
        found = yield from wait(
            self._client().query_points(
                _encoded(collection.name),
                wanted,
                query_filter=_filter(where),
                limit=limit,
                with_payload=True,
                with_vectors=embeddings,
            )
        )
        return [_document(each, collection.distance) for each in found.points]

    def remove(self, collection: KnowledgeCollection, ids: Sequence[str]) -> Flow[int | None]:
        """See KnowledgeDriver.remove."""
        wanted = models.PointIdsList(points=_points(ids))
        yield from wait(self._client().delete(_encoded(collection.name), wanted, wait=True))
        return None

    def scan(
        self, collection: KnowledgeCollection, where: Filter | None, cursor: str | None
    ) -> Flow[Page]:
        """See KnowledgeDriver.scan. The cursor is the id of the next point, there or not."""
        points, following = yield from wait(
            self._client().scroll(
                _encoded(collection.name),
                _filter(where),
                limit=self.batch,
                offset=cursor,
                with_payload=True,
                with_vectors=False,
            )
        )
        return [_document(each) for each in points], None if following is None else str(following)

    def count(self, collection: KnowledgeCollection, where: Filter | None) -> Flow[int]:
        """See KnowledgeDriver.count."""
        found = yield from wait(
            self._client().count(_encoded(collection.name), _filter(where), exact=True)
        )
        return int(found.count)

    def close(self) -> Flow[None]:
        """See KnowledgeDriver.close."""
        yield from wait(self._clients.close())

    def is_transient(self, error: BaseException) -> bool:
        """See KnowledgeDriver.is_transient."""
        if isinstance(error, ResponseHandlingException):
            return isinstance(error.source, httpx.TransportError)
        if isinstance(error, UnexpectedResponse):
            return error.status_code in _TRANSIENT_STATUS
        return isinstance(error, ResourceExhaustedResponse) or _code(error) in _TRANSIENT_CODE

    def translate(self, error: BaseException, action: str) -> PersistError:
        """See KnowledgeDriver.translate."""
        if _status(error) in _REFUSED_STATUS or _code(error) in _REFUSED_CODE:
            return UnavailableError(
                f"{self.address} refused: {self.describe(error)}. Check api_key=, or QDRANT_API_KEY"
            )
        if _is_missing(error):
            return NotFoundError(f"{self.address}: cannot {action}: {self.describe(error)}")
        return super().translate(error, action)

    def describe(self, error: BaseException) -> str:
        """See KnowledgeDriver.describe."""
        if isinstance(error, UnexpectedResponse):
            return f"{error.status_code} {_told(error)}"[:300].strip()
        if isinstance(error, grpc.Call):
            return f"{error.code().name} {error.details()}"[:300].strip()
        return super().describe(error)

    def _client(self) -> Any:
        return self._clients.get()


def _encoded(name: str) -> str:
    """Return the collection's name: folders of that name may differ in more than case only."""
    return _PREFIX + "".join(f"-{each.lower()}" if each.isupper() else each for each in name)


def _decoded(name: str) -> str:
    first, *others = name[len(_PREFIX) :].split("-")
    return first + "".join(f"{each[:1].upper()}{each[1:]}" for each in others)


def _points(ids: Iterable[str]) -> list[str]:
    return [str(uuid5(_NAMESPACE, each)) for each in ids]


def _length(collection: KnowledgeCollection, vector: Sequence[float]) -> float:
    # Qdrant divides vectors that are compared by their angle by their length, in single precision,
    # in which it may be 0 or infinite. So this is done here, and undone with what is read.
    return hypot(*vector) if collection.distance == "cosine" else 1.0


def _scaled(vector: Sequence[float], length: float) -> list[float]:
    return [each / length for each in vector]


def _point(collection: KnowledgeCollection, document: KnowledgeDocument) -> models.PointStruct:
    (point,) = _points([document.id])
    vector = document.embedding or ()
    length = _length(collection, vector)
    numbers = finite_numbers_of(document.metadata)
    payload = {
        **packed(document),
        "id": document.id,
        "created_at": repr(document.created_at),  # what reads JSON may round
        "length": repr(length),
        _TERMS: all_terms_of(document.metadata),
        _NUMBERS: [{"key": exists_term(key), "value": value} for key, value in numbers.items()],
    }
    return models.PointStruct(id=point, vector=_scaled(vector, length), payload=payload)


def _document(
    point: models.Record | models.ScoredPoint, distance: str | None = None
) -> KnowledgeDocument:
    payload: Any = point.payload
    vector, score = point.vector, None
    length = float(payload["length"])
    if isinstance(point, models.ScoredPoint) and distance is not None:
        score = score_of(distance, point.score)
    return unpacked(
        payload["id"],
        payload,
        embedding=_scaled(vector, 1 / length) if isinstance(vector, list) else None,
        score=score,
    )


def _filter(where: Filter | None) -> models.Filter | None:
    return None if where is None else models.Filter(must=[_compiled(where)])


def _compiled(where: Filter) -> Any:
    match where:
        case Has(()):
            return models.HasIdCondition(has_id=[])
        case Has(terms):
            return _match(_TERMS, terms)
        case Range(key, bounds):
            limits = [
                models.FieldCondition(key="value", range=models.Range(**{_BOUNDS[name]: bound}))
                for name, bound in bounds
            ]
            inner = models.Filter(must=[_match("key", [exists_term(key)]), *limits])
            nested = models.NestedCondition(nested=models.Nested(key=_NUMBERS, filter=inner))
            return models.Filter(should=[nested, _compiled(infinite_in(where))])
        case And(parts):
            return models.Filter(must=[_compiled(part) for part in parts])
        case Or(parts):
            return models.Filter(should=[_compiled(part) for part in parts])
        case Not(part):
            return models.Filter(must_not=[_compiled(part)])


def _match(field: str, values: Sequence[str]) -> models.FieldCondition:
    return models.FieldCondition(key=field, match=models.MatchAny(any=list(values)))


def _status(error: BaseException) -> int | None:
    return error.status_code if isinstance(error, UnexpectedResponse) else None


def _code(error: BaseException) -> grpc.StatusCode | None:
    return error.code() if isinstance(error, grpc.Call) else None


def _told(error: UnexpectedResponse) -> str:
    """Return the words of an answer."""
    try:
        status = error.structured()["status"]
        return str(status["error"])
    except (ValueError, LookupError, TypeError):
        return str(error.reason_phrase)


def _is_missing(error: BaseException) -> bool:
    """Whether a collection is not there, rather than the server at this URL."""
    if isinstance(error, UnexpectedResponse):
        return error.status_code == httpx.codes.NOT_FOUND and "ollection" in _told(error)
    return _code(error) is grpc.StatusCode.NOT_FOUND


def _exists(error: BaseException) -> bool:
    return (
        _status(error) == httpx.codes.CONFLICT
        or _code(error) is grpc.StatusCode.ALREADY_EXISTS
        or str(error).endswith(" already exists")
    )
