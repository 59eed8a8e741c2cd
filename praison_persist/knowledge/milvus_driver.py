"""Knowledge as operations on Milvus's collections, of PyMilvus's client of either colour."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import grpc  # type: ignore[import-untyped]  # has no types of its own
from pymilvus.exceptions import ConnectionConfigException, MilvusException

from praison_persist._flow import Flow, wait
from praison_persist._retry import RetryPolicy
from praison_persist.errors import (
    BackendError,
    NotFoundError,
    PersistError,
    UnavailableError,
)
from praison_persist.knowledge.driver import KnowledgeDriver, Page
from praison_persist.knowledge.filters import Filter, pushed_down
from praison_persist.knowledge.milvus_rows import (
    COLUMNS,
    DIMENSION_MAX,
    METRICS,
    PREFIX,
    condition,
    described,
    document_of,
    key_of,
    keys_in,
    row_of,
)
from praison_persist.models import KnowledgeCollection, KnowledgeDocument

__all__ = ["MilvusDriver"]

_STRONG = {"consistency_level": "Strong"}
_PAGE = 500  # documents, on average
_PAGE_MAX = 16_384  # rows of one answer: Milvus, "Milvus Limits"

# github.com/milvus-io/milvus, pkg/util/merr/errors.go, and PyMilvus's own for a failed connection.
_NOT_FOUND = 100
_TRANSIENT = {
    2,  # ServiceUnavailable; PyMilvus cannot connect
    8,  # RateLimit
    101,  # the collection is not loaded yet: another just creates it
    503,  # no replica is available
}
_REFUSED_CODES = {1400, 1401, 1800}
_REFUSED = {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED}
_DOWN = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}


class Clients(Protocol):
    """Clients of either colour, one for each process or event loop."""

    def get(self) -> Any:
        """Return the one to use here."""

    def close(self) -> Any:
        """Close them."""


class MilvusDriver(KnowledgeDriver):
    """Hooks over a client of either colour.

    Args:
        create: creates a collection, in the colour of the client.
        timeout: seconds that each call may take.
    """

    failures = (MilvusException, ConnectionConfigException, grpc.RpcError)
    max_dimension = DIMENSION_MAX
    batch = 100  # of the largest embeddings they are 13 MB, and a message at most 64 MB

    def __init__(
        self,
        clients: Clients,
        create: Callable[[KnowledgeCollection], Any],
        address: str,
        timeout: float,
        retry: RetryPolicy,
        sleep: Callable[[float], Any],
    ) -> None:
        self.address = address
        self.retry = retry
        self.sleep = sleep
        self._clients, self._create = clients, create
        self._limit: dict[str, Any] = {"timeout": timeout}

    def names(self) -> Flow[Sequence[str]]:
        """See KnowledgeDriver.names."""
        found = yield from wait(self._clients.get().list_collections(**self._limit))
        return [each.removeprefix(PREFIX) for each in found if each.startswith(PREFIX)]

    def look_up(self, name: str) -> Flow[KnowledgeCollection | None]:
        """See KnowledgeDriver.look_up."""
        full = PREFIX + name
        try:
            found = yield from wait(self._clients.get().describe_collection(full, **self._limit))
        except MilvusException as error:
            if error.code == _NOT_FOUND:
                return None
            raise
        collection = described(name, found.get("properties") or {})
        if collection is None:
            raise BackendError(
                f"{self.address}: the collection {full!r} is of another program; use another "
                "database or name"
            )
        return collection

    def create(self, collection: KnowledgeCollection) -> Flow[None]:
        """See KnowledgeDriver.create."""
        yield from wait(self._create(collection))

    def drop(self, collection: KnowledgeCollection) -> Flow[None]:
        """See KnowledgeDriver.drop."""
        client = self._clients.get()
        yield from wait(client.drop_collection(PREFIX + collection.name, **self._limit))

    def put(
        self, collection: KnowledgeCollection, documents: Sequence[KnowledgeDocument], *, new: bool
    ) -> Flow[None]:
        """See KnowledgeDriver.put. Milvus cannot tell whether there is a row by now."""
        del new
        rows = [row_of(each) for each in documents]
        client = self._clients.get()
        yield from wait(client.upsert(PREFIX + collection.name, rows, **self._limit))

    def fetch(
        self, collection: KnowledgeCollection, ids: Sequence[str], *, embeddings: bool
    ) -> Flow[Sequence[KnowledgeDocument]]:
        """See KnowledgeDriver.fetch."""
        if not ids:
            return []
        keys = ", ".join(f'"{key_of(each)}"' for each in ids)
        rows = yield from self._rows(
            collection, f"id in [{keys}]", _columns(embeddings=embeddings), len(ids)
        )
        return [document_of(row) for row in rows]

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
        distance = collection.distance
        found = yield from wait(
            self._clients.get().search(
                PREFIX + collection.name,
                [list(vector)],
                filter=_condition(where),
                limit=limit,
                output_fields=_columns(embeddings=embeddings),
                search_params={"metric_type": METRICS[distance]},
                anns_field="vector",
                **_STRONG,
                **self._limit,
            )
        )
        hits = found[0] if found else []
        return [document_of(dict(hit["entity"]), distance, hit["distance"]) for hit in hits]

    def remove(self, collection: KnowledgeCollection, ids: Sequence[str]) -> Flow[int | None]:
        """See KnowledgeDriver.remove."""
        keys = [key_of(each) for each in ids]
        client = self._clients.get()
        if keys:
            yield from wait(client.delete(PREFIX + collection.name, ids=keys, **self._limit))
        return None

    def scan(
        self, collection: KnowledgeCollection, where: Filter | None, cursor: str | None
    ) -> Flow[Page]:
        """See KnowledgeDriver.scan. The cursor is "slot/slots".

        Milvus's answers have no order to go on in. Primary keys are hashes, evenly spread, so that
        equal slices of them have about equally many documents.
        """
        if cursor is None:
            count = yield from self.count(collection, None)
            slot, slots = 0, count // _PAGE + 1
        else:
            slot, slots = map(int, cursor.split("/"))
        keys = keys_in(slot, slots)
        full = keys if where is None else f"{keys} and {_condition(where)}"
        rows = yield from self._rows(collection, full, COLUMNS, _PAGE_MAX)
        following = f"{slot + 1}/{slots}" if slot + 1 < slots else None
        return [document_of(row) for row in rows], following

    def count(self, collection: KnowledgeCollection, where: Filter | None) -> Flow[int]:
        """See KnowledgeDriver.count."""
        rows = yield from self._rows(collection, _condition(where), ["count(*)"])
        return int(rows[0]["count(*)"])

    def close(self) -> Flow[None]:
        """See KnowledgeDriver.close."""
        yield from wait(self._clients.close())

    def is_transient(self, error: BaseException) -> bool:
        """See KnowledgeDriver.is_transient."""
        codes = _codes(error)
        return not self._is_refused(codes) and (
            bool(codes & (_TRANSIENT | _DOWN)) or bool(getattr(error, "retriable", False))
        )

    def translate(self, error: BaseException, action: str) -> PersistError:
        """See KnowledgeDriver.translate."""
        codes = _codes(error)
        if self._is_refused(codes):
            return UnavailableError(
                f"{self.address}: cannot {action}: the server refuses the token, or what it "
                f"would do ({self.describe(error)}). Check token= and its rights"
            )
        if _NOT_FOUND in codes:
            return NotFoundError(
                f"{self.address}: cannot {action}: the collection was deleted just now"
            )
        if isinstance(error, ConnectionConfigException):
            return UnavailableError(
                f"{self.address}: cannot {action}: {self.describe(error)}. A file needs "
                "milvus-lite, and no other process that has it open"
            )
        return super().translate(error, action)

    def describe(self, error: BaseException) -> str:
        """See KnowledgeDriver.describe."""
        text = (
            error.details() if isinstance(error, grpc.RpcError) else getattr(error, "message", "")
        )
        return " ".join(str(text).split())[:300].rstrip(".") or type(error).__name__

    @staticmethod
    def _is_refused(codes: set[Any]) -> bool:
        return bool(codes & (_REFUSED | _REFUSED_CODES))

    def _rows(
        self,
        collection: KnowledgeCollection,
        where: str,
        columns: Sequence[str],
        limit: int | None = None,
    ) -> Flow[list[dict[str, Any]]]:
        bound = {} if limit is None else {"limit": limit}
        rows = yield from wait(
            self._clients.get().query(
                PREFIX + collection.name,
                filter=where,
                output_fields=list(columns),
                **bound,
                **_STRONG,
                **self._limit,
            )
        )
        return list(rows)


def _columns(*, embeddings: bool) -> list[str]:
    return [*COLUMNS, "vector"] if embeddings else COLUMNS


def _condition(where: Filter | None) -> str:
    return "" if where is None else condition(pushed_down(where))


def _codes(error: BaseException) -> set[Any]:
    """Return the codes of an error and its causes: PyMilvus hides why it could not connect."""
    seen: list[BaseException] = []
    cause: BaseException | None = error
    # PyMilvus raises errors from themselves, so that some are their own cause.
    while cause is not None and cause not in seen:
        seen.append(cause)
        cause = cause.__cause__
    codes = [getattr(each, "code", None) for each in seen]
    return {code() if callable(code) else code for code in codes}
