"""Knowledge as operations on Qdrant, of its client of either colour."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

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
from praison_persist.knowledge.filters import Filter
from praison_persist.knowledge.qdrant_points import (
    INDEXES,
    PREFIX,
    decoded,
    document_of,
    encoded,
    filter_of,
    length_of,
    point_ids,
    point_of,
    scaled,
)
from praison_persist.models import KnowledgeCollection, KnowledgeDocument

__all__ = ["Clients", "QdrantDriver"]

_METADATA = "praison_persist"
# Errors of gRPC that have a status, of either colour.
_CALLS = (grpc.Call, grpc.aio.AioRpcError)
_DISTANCES = {
    "cosine": models.Distance.COSINE,
    "euclidean": models.Distance.EUCLID,
    "dot": models.Distance.DOT,
}
_NAMES = {kind: name for name, kind in _DISTANCES.items()}
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
        return [decoded(each.name) for each in found.collections if each.name.startswith(PREFIX)]

    def look_up(self, name: str) -> Flow[KnowledgeCollection | None]:
        """See KnowledgeDriver.look_up."""
        try:
            found = yield from wait(self._client().get_collection(encoded(name)))
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
                f"{self.address}: the collection {encoded(name)} is of another program, or of a "
                "server before 1.16, which keeps no metadata; delete it, or choose another name"
            )
        return KnowledgeCollection(
            name, vectors.size, _NAMES[vectors.distance], loads(str(metadata))
        )

    def create(self, collection: KnowledgeCollection) -> Flow[None]:
        """See KnowledgeDriver.create."""
        client, name = self._client(), encoded(collection.name)
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
        for field, kind in INDEXES.items() if self._indexed else ():
            yield from wait(client.create_payload_index(name, field, kind, wait=True))

    def drop(self, collection: KnowledgeCollection) -> Flow[None]:
        """See KnowledgeDriver.drop."""
        yield from wait(self._client().delete_collection(encoded(collection.name)))

    def put(
        self, collection: KnowledgeCollection, documents: Sequence[KnowledgeDocument], *, new: bool
    ) -> Flow[None]:
        """See KnowledgeDriver.put."""
        del new
        points = [point_of(collection, each) for each in documents]
        yield from wait(self._client().upsert(encoded(collection.name), points, wait=True))

    def fetch(
        self, collection: KnowledgeCollection, ids: Sequence[str], *, embeddings: bool
    ) -> Flow[Sequence[KnowledgeDocument]]:
        """See KnowledgeDriver.fetch."""
        points = yield from wait(
            self._client().retrieve(
                encoded(collection.name),
                point_ids(ids),
                with_payload=True,
                with_vectors=embeddings,
            )
        )
        return [document_of(each) for each in points]

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
        wanted = scaled(vector, length_of(collection, vector))
        found = yield from wait(
            self._client().query_points(
                encoded(collection.name),
                wanted,
                query_filter=filter_of(where),
                limit=limit,
                with_payload=True,
                with_vectors=embeddings,
            )
        )
        return [document_of(each, collection.distance) for each in found.points]

    def remove(self, collection: KnowledgeCollection, ids: Sequence[str]) -> Flow[int | None]:
        """See KnowledgeDriver.remove."""
        wanted = models.PointIdsList(points=point_ids(ids))
        yield from wait(self._client().delete(encoded(collection.name), wanted, wait=True))
        return None

    def scan(
        self, collection: KnowledgeCollection, where: Filter | None, cursor: str | None
    ) -> Flow[Page]:
        """See KnowledgeDriver.scan. The cursor is the id of the next point, there or not."""
        points, following = yield from wait(
            self._client().scroll(
                encoded(collection.name),
                filter_of(where),
                limit=self.batch,
                offset=cursor,
                with_payload=True,
                with_vectors=False,
            )
        )
        return [document_of(each) for each in points], None if following is None else str(following)

    def count(self, collection: KnowledgeCollection, where: Filter | None) -> Flow[int]:
        """See KnowledgeDriver.count."""
        found = yield from wait(
            self._client().count(encoded(collection.name), filter_of(where), exact=True)
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
        if isinstance(error, _CALLS):
            return f"{error.code().name} {error.details()}"[:300].strip()
        return super().describe(error)

    def _client(self) -> Any:
        return self._clients.get()


def _status(error: BaseException) -> int | None:
    return error.status_code if isinstance(error, UnexpectedResponse) else None


def _code(error: BaseException) -> grpc.StatusCode | None:
    return error.code() if isinstance(error, _CALLS) else None


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
