"""Knowledge as tables of SurrealDB, over a connection of either colour."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from surrealdb import RecordID
from surrealdb.errors import NotAllowedError, SurrealError, parse_query_error, parse_rpc_error

from praison_persist._flow import Flow, wait
from praison_persist._json import dumps, loads
from praison_persist._retry import RetryPolicy
from praison_persist.errors import ConflictError, NotFoundError, PersistError, UnavailableError
from praison_persist.knowledge.driver import KnowledgeDriver, Page
from praison_persist.knowledge.filters import Filter
from praison_persist.knowledge.payload import FIELDS, packed, unpacked
from praison_persist.knowledge.surrealdb_client import LOST, EngineError
from praison_persist.knowledge.surrealdb_queries import (
    COLLECTIONS,
    GONE,
    Values,
    creating,
    guarded,
    numbers,
    select,
    table,
    worded,
)
from praison_persist.knowledge.vectors import score_of
from praison_persist.knowledge_protocols import KnowledgeCapability
from praison_persist.models import KnowledgeCollection, KnowledgeDocument

__all__ = ["Connection", "SurrealDBDriver"]

_COLUMNS = ", ".join(("id", *FIELDS))
_MEASURES = {
    "cosine": ("vector::similarity::cosine(embedding, $vector)", "DESC"),
    "euclidean": ("vector::distance::euclidean(embedding, $vector)", "ASC"),
    "dot": ("vector::dot(embedding, $vector)", "DESC"),
}
_WORD = re.compile(r"\w+")
# Writers of one collection meet in its index of words: seldom for long.
_RACE = RetryPolicy(100, 0.002, 0.1)

_UNDONE = "not executed due to a failed transaction"  # another statement's error says why
_CONFLICT = re.compile("conflict|can be retried", re.IGNORECASE)
_EXPIRED = re.compile("expired", re.IGNORECASE)
_REFUSED = re.compile("authentication|permission|IAM error|not allowed", re.IGNORECASE)
_HTTP_TRANSIENT = {408, 425, 429, 500, 502, 503, 504}
_UNAUTHORIZED = (401, 403)


class Connection(Protocol):
    """See `praison_persist.knowledge.surrealdb_client`."""

    def query(self, text: str, values: dict[str, Any]) -> Any:
        """Return a response, or a coroutine of it."""

    def renew(self) -> Any:
        """Sign in again; None, or a coroutine."""

    def close(self) -> Any:
        """Close it; None, or a coroutine."""


class SurrealDBDriver(KnowledgeDriver):
    """Hooks of one request each.

    Args:
        connection: returns that of this process, or of this event loop.
        close: closes all of them; returns None, or a coroutine.
    """

    capabilities = frozenset(KnowledgeCapability)
    failures = (*LOST, SurrealError, EngineError)

    def __init__(
        self,
        connection: Callable[[], Connection],
        close: Callable[[], Any],
        address: str,
        retry: RetryPolicy,
        sleep: Callable[[float], Any],
    ) -> None:
        self._connection, self._close = connection, close
        self.address, self.retry, self.sleep = address, retry, sleep
        self._index = "FULLTEXT"

    def names(self) -> Flow[Sequence[str]]:
        """See KnowledgeDriver.names."""
        rows = yield from self._registered(select("VALUE name", COLLECTIONS), {})
        return [str(each) for each in rows]

    def look_up(self, name: str) -> Flow[KnowledgeCollection | None]:
        """See KnowledgeDriver.look_up."""
        rows = yield from self._registered(select("*", "$entry"), {"entry": _entry(name)})
        for row in rows:
            metadata = loads(row["metadata"])
            return KnowledgeCollection(name, row["dimension"], row["distance"], metadata)
        return None

    def create(self, collection: KnowledgeCollection) -> Flow[None]:
        """See KnowledgeDriver.create."""
        content = {
            "name": collection.name,
            "dimension": collection.dimension,
            "distance": collection.distance,
            "metadata": dumps(collection.metadata),
        }
        values = {"entry": _entry(collection.name), "content": content}
        index = self._index  # other threads find out, too
        try:
            yield from self._change(creating(collection.name, index), values)
        except (SurrealError, EngineError) as error:
            if "already exists" in str(error):
                return
            if "Parse error" not in str(error) or index == "SEARCH":
                raise
            self._index = "SEARCH"
            yield from self.create(collection)

    def drop(self, collection: KnowledgeCollection) -> Flow[None]:
        """See KnowledgeDriver.drop."""
        text = f"BEGIN; DELETE $entry; REMOVE TABLE IF EXISTS {table(collection.name)}; COMMIT;"
        yield from self._change(text, {"entry": _entry(collection.name)})

    def put(
        self, collection: KnowledgeCollection, documents: Sequence[KnowledgeDocument], *, new: bool
    ) -> Flow[None]:
        """See KnowledgeDriver.put."""
        rows = [
            {
                "id": each.id,
                **packed(each),
                **numbers(each),
                "embedding": list(each.embedding or ()),
            }
            for each in documents
        ]
        into = f"INSERT INTO {table(collection.name)} $rows RETURN NONE"
        statements = [into] if new else ["DELETE $ids RETURN NONE", into]
        ids = _records(collection, [each.id for each in documents])
        values = {"entry": _entry(collection.name), "rows": rows, "ids": ids}
        try:
            yield from self._change(guarded(*statements), values)
        except (SurrealError, EngineError) as error:
            if not new or "already exists" not in str(error):
                raise
            # Stored by an earlier try, perhaps, of which the answer was lost.
            there = yield from self.fetch(
                collection, [each.id for each in documents], embeddings=True
            )
            if {each.id: each for each in there} != {each.id: each for each in documents}:
                raise

    def fetch(
        self, collection: KnowledgeCollection, ids: Sequence[str], *, embeddings: bool
    ) -> Flow[Sequence[KnowledgeDocument]]:
        """See KnowledgeDriver.fetch."""
        text = select(_columns(embeddings=embeddings), "$ids")
        (rows,) = yield from self._ask(text, {"ids": _records(collection, ids)})
        return [_document(row) for row in rows]

    def query(
        self,
        collection: KnowledgeCollection,
        vector: Sequence[float],
        limit: int,
        where: Filter | None,
        *,
        embeddings: bool,
    ) -> Flow[Sequence[KnowledgeDocument]]:
        """See KnowledgeDriver.query. Exact: each embedding that matches is measured."""
        measure, order = _MEASURES[collection.distance]
        values = Values(vector=list(vector), limit=limit)
        text = select(
            f"{_columns(embeddings=embeddings)}, {measure} AS measure",
            table(collection.name),
            f"WHERE {values.condition(where)} ORDER BY measure {order} LIMIT $limit",
        )
        (rows,) = yield from self._ask(text, values.values)
        return [_document(row, score_of(collection.distance, row["measure"])) for row in rows]

    def keywords(
        self, collection: KnowledgeCollection, text: str, limit: int, where: Filter | None
    ) -> Flow[Sequence[KnowledgeDocument]]:
        """See KnowledgeDriver.keywords. The score is BM25's."""
        words = list(dict.fromkeys(_WORD.findall(text.lower())))
        if not words:
            return []
        values = Values(limit=limit)
        condition, score = worded(words, values)
        query = select(
            f"{_COLUMNS}, {score} AS measure",
            table(collection.name),
            f"WHERE {condition} AND {values.condition(where)} ORDER BY measure DESC LIMIT $limit",
        )
        (rows,) = yield from self._ask(query, values.values)
        return [_document(row, float(row["measure"])) for row in rows]

    def remove(self, collection: KnowledgeCollection, ids: Sequence[str]) -> Flow[int | None]:
        """See KnowledgeDriver.remove."""
        yield from self._change("DELETE $ids RETURN NONE;", {"ids": _records(collection, ids)})
        return None

    def clear(self, collection: KnowledgeCollection) -> Flow[int | None]:
        """See KnowledgeDriver.clear."""
        name = table(collection.name)
        counted = select("count()", name, "GROUP ALL")
        text = f"BEGIN; {counted}; DELETE {name} RETURN NONE; COMMIT;"
        results = yield from self._change(text, {})
        return next((_counted(each) for each in results if each), 0)

    def scan(
        self, collection: KnowledgeCollection, where: Filter | None, cursor: str | None
    ) -> Flow[Page]:
        """See KnowledgeDriver.scan. The cursor is the last id of the page before."""
        values = Values(limit=self.batch)
        condition = values.condition(where)
        if cursor is not None:
            (after,) = _records(collection, [cursor])
            condition = f"id > {values.add(after)} AND {condition}"
        rest = f"WHERE {condition} ORDER BY id LIMIT $limit"
        text = select(_COLUMNS, table(collection.name), rest)
        (rows,) = yield from self._ask(text, values.values)
        documents = [_document(row) for row in rows]
        return documents, documents[-1].id if len(documents) == self.batch else None

    def count(self, collection: KnowledgeCollection, where: Filter | None) -> Flow[int]:
        """See KnowledgeDriver.count."""
        values = Values()
        condition = values.condition(where)
        text = select("count()", table(collection.name), f"WHERE {condition} GROUP ALL")
        (rows,) = yield from self._ask(text, values.values)
        return _counted(rows)

    def close(self) -> Flow[None]:
        """See KnowledgeDriver.close."""
        yield from wait(self._close())

    def is_transient(self, error: BaseException) -> bool:
        """See KnowledgeDriver.is_transient."""
        status = _status(error)
        if status is not None:
            return status in _HTTP_TRANSIENT
        if isinstance(error, LOST) or type(error) is SurrealError or _is_connection(error):
            return True
        return bool(_CONFLICT.search(str(error)))

    def translate(self, error: BaseException, action: str) -> PersistError:
        """See KnowledgeDriver.translate."""
        text = self.describe(error)
        if GONE in text:
            return NotFoundError(f"{self.address}: cannot {action}: the collection was deleted")
        if "already exists" in text:
            return ConflictError(f"{self.address}: cannot {action}: {text}; nothing was stored")
        if (
            isinstance(error, NotAllowedError)
            or _status(error) in _UNAUTHORIZED
            or (isinstance(error, SurrealError) and _REFUSED.search(text))
        ):
            return UnavailableError(
                f"{self.address} refused: {text}. Check username, password, auth_level and rights"
            )
        return super().translate(error, action)

    def _registered(self, text: str, values: dict[str, Any]) -> Flow[list[Any]]:
        """Ask the table of collections, which is made with the first of them."""
        try:
            (rows,) = yield from self._ask(text, values)
        except (SurrealError, EngineError) as error:
            # Since 3.0 a table that is not defined is an error.
            if "does not exist" in str(error) and COLLECTIONS in str(error):
                return []
            raise
        return list(rows)

    def _change(self, text: str, values: dict[str, Any]) -> Flow[list[Any]]:
        """Run statements, again while other writers are in the way."""
        delays_s = _RACE.delays()
        while True:
            try:
                return (yield from self._ask(text, values))
            except (SurrealError, EngineError) as error:
                delay_s = next(delays_s, None) if _CONFLICT.search(str(error)) else None
                if delay_s is None:
                    raise
            yield from wait(self.sleep(delay_s))

    def _ask(self, text: str, values: dict[str, Any]) -> Flow[list[Any]]:
        """Return the results of the statements."""
        try:
            return _results((yield from wait(self._connection().query(text, values))))
        except (*LOST, SurrealError) as error:
            if _status(error) != 401 and not _EXPIRED.search(str(error)):  # noqa: PLR2004 - HTTP's
                raise
            # A token is for an hour, by default: docs "DEFINE USER, DURATION".
            yield from wait(self._connection().renew())
        return _results((yield from wait(self._connection().query(text, values))))


def _results(response: Any) -> list[Any]:
    """Return what the statements of a response returned; raises the error of one."""
    if response.get("error") is not None:
        raise parse_rpc_error(response["error"])
    failed = [each for each in response["result"] if each["status"] != "OK"]
    if failed:
        told = [each for each in failed if _UNDONE not in str(each["result"])]
        raise parse_query_error((told or failed)[0])
    return [each["result"] for each in response["result"]]


def _entry(name: str) -> Any:
    return RecordID(COLLECTIONS, name)


def _records(collection: KnowledgeCollection, ids: Sequence[str]) -> list[Any]:
    return [RecordID(table(collection.name).strip("`"), each) for each in ids]


def _columns(*, embeddings: bool) -> str:
    return f"{_COLUMNS}, embedding" if embeddings else _COLUMNS


def _document(row: dict[str, Any], score: float | None = None) -> KnowledgeDocument:
    return unpacked(str(row["id"].id), row, embedding=row.get("embedding"), score=score)


def _counted(rows: Sequence[Any]) -> int:
    return int(rows[0]["count"]) if rows else 0


def _is_connection(error: BaseException) -> bool:
    return type(error).__name__ in ("ConnectionUnavailableError", "UnexpectedResponseError")


def _status(error: BaseException) -> int | None:
    """Return the HTTP status in an error of requests, aiohttp or websockets."""
    status = getattr(error, "status", None)
    if status is None:
        status = getattr(getattr(error, "response", None), "status_code", None)
    return status if isinstance(status, int) else None
