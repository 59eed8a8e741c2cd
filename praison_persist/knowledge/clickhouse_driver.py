"""Hooks of knowledge over clickhouse-connect.

A collection is a table, described by its comment. Its engine keeps the row of a key that was
inserted last; until it merged the others away, FINAL leaves them out. Rows are found by a digest of
the document's id and filtered by digests of terms, so that no text of a caller is in any statement.
"""

from __future__ import annotations

import json
import struct
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from clickhouse_connect.driver.exceptions import ClickHouseError, Error, OperationalError

from praison_persist._flow import Flow, wait
from praison_persist._retry import RetryPolicy
from praison_persist.errors import NotFoundError, PersistError, UnavailableError
from praison_persist.knowledge.driver import KnowledgeDriver, Page
from praison_persist.knowledge.filters import And, Filter, Has, Not, Or, Range
from praison_persist.knowledge.payload import FIELDS, packed, unpacked
from praison_persist.knowledge.terms import numbers_of, terms_of, token
from praison_persist.knowledge.vectors import score_of
from praison_persist.models import KnowledgeCollection, KnowledgeDocument

__all__ = ["ClickHouseClients", "ClickHouseDriver"]

_PREFIX = "praison_vec_"
_PAGE = 1000  # documents
# Columns of a table, and their types.
_COLUMNS = {
    "key": "String",
    "id": "String",
    "content": "String",
    "metadata": "String",
    "content_hash": "String",
    "created_at": "Float64",
    "embedding": "Array(Float32)",
    "terms": "Array(String)",
    "numbers": "Map(String, Float64)",
}
_FOUND = ("id", *FIELDS)
# ClickHouse reference, "Distance functions", and how their value is one of `score_of`.
_MEASURES = {
    "cosine": "1 - cosineDistance(embedding, {vector:Array(Float32)})",
    "euclidean": "L2Distance(embedding, {vector:Array(Float32)})",
    "dot": "dotProduct(embedding, {vector:Array(Float32)})",
}
_ORDERS = {"cosine": "DESC", "euclidean": "ASC", "dot": "DESC"}
# ErrorCodes.cpp of ClickHouse.
_UNKNOWN_TABLE, _UNKNOWN_DATABASE = 60, 81
_GONE = (_UNKNOWN_TABLE, _UNKNOWN_DATABASE, 218)  # TABLE_IS_DROPPED
_REFUSED = frozenset(
    # UNKNOWN_USER, WRONG_PASSWORD, REQUIRED_PASSWORD, DATABASE_ACCESS_DENIED, ACCESS_DENIED,
    # AUTHENTICATION_FAILED
    (192, 193, 194, 291, 497, 516)
)
_TRANSIENT = frozenset(
    # TIMEOUT_EXCEEDED, TOO_MANY_SIMULTANEOUS_QUERIES, SOCKET_TIMEOUT, NETWORK_ERROR,
    # MEMORY_LIMIT_EXCEEDED, TABLE_IS_READ_ONLY, TOO_MANY_PARTS, ALL_CONNECTION_TRIES_FAILED,
    # UNKNOWN_STATUS_OF_INSERT, KEEPER_EXCEPTION
    (159, 202, 209, 210, 241, 242, 252, 279, 319, 999)
)


class ClickHouseClients(ABC):
    """Gives the client of either colour."""

    @abstractmethod
    def get(self) -> Any:
        """Return the client, connected, or a coroutine of it."""

    @abstractmethod
    def close(self) -> Any:
        """Close it, in its colour."""


class ClickHouseDriver(KnowledgeDriver):
    """See the module.

    Args:
        clients: connect.
        database: of the tables; created with the first collection.
        address: of the server, for messages.
        network: exceptions of the client's transport, all of which are transient.
    """

    def __init__(
        self,
        clients: ClickHouseClients,
        database: str,
        address: str,
        network: tuple[type[BaseException], ...],
        retry: RetryPolicy,
        sleep: Callable[[float], Any],
    ) -> None:
        self._clients, self._database, self._network = clients, database, network
        self.address = f"clickhouse at {address}/{database}"
        self.failures = (ClickHouseError, *network)
        self.retry, self.sleep = retry, sleep

    def is_transient(self, error: BaseException) -> bool:
        """See Vendor.is_transient."""
        if isinstance(error, Error) and error.code is not None:
            return error.code in _TRANSIENT
        # Without a code the server did not answer, or another one on the way did.
        return isinstance(error, (OperationalError, *self._network))

    def translate(self, error: BaseException, action: str) -> PersistError:
        """See Vendor.translate."""
        code = error.code if isinstance(error, Error) else None
        what = f"{self.address}: cannot {action}: {self.describe(error)}"
        if code in _REFUSED:
            return UnavailableError(f"{what}. Check username, password and grants", attempts=1)
        if code in _GONE:
            return NotFoundError(f"{what}. The collection was deleted just now")
        return super().translate(error, action)

    def names(self) -> Flow[Sequence[str]]:
        """See KnowledgeDriver.names."""
        found = yield from self._described("startsWith(name, {name:String})", _PREFIX)
        return [each.name for each in found]

    def look_up(self, name: str) -> Flow[KnowledgeCollection | None]:
        """See KnowledgeDriver.look_up."""
        found = yield from self._described("name = {name:String}", _PREFIX + name)
        return found[0] if found else None

    def _described(self, which: str, name: str) -> Flow[list[KnowledgeCollection]]:
        rows = yield from self._rows(
            "SELECT name, comment FROM system.tables "  # noqa: S608 - of names and digests
            f"WHERE database = {{database:String}} AND {which}",
            {"database": self._database, "name": name},
        )
        described = (_collection(*row) for row in rows)
        return [each for each in described if each is not None]

    def create(self, collection: KnowledgeCollection) -> Flow[None]:
        """See KnowledgeDriver.create."""
        there = yield from self._rows(
            "SELECT name FROM system.databases WHERE name = {database:String}",
            {"database": self._database},
        )
        if not there:
            yield from self._command(
                f"CREATE DATABASE IF NOT EXISTS {_quoted(self._database, '`')}"
            )
        columns = ", ".join(f"{name} {kind}" for name, kind in _COLUMNS.items())
        comment = json.dumps(
            {
                "dimension": collection.dimension,
                "distance": collection.distance,
                "metadata": collection.metadata,
            }
        )
        yield from self._command(
            f"CREATE TABLE IF NOT EXISTS {self._table(collection)} "
            f"({columns}, CONSTRAINT dimension CHECK length(embedding) = {collection.dimension}) "
            f"ENGINE = ReplacingMergeTree ORDER BY key COMMENT {_quoted(comment, chr(39))}"
        )

    def drop(self, collection: KnowledgeCollection) -> Flow[None]:
        """See KnowledgeDriver.drop."""
        return self._command(f"DROP TABLE IF EXISTS {self._table(collection)} SYNC")

    def put(
        self, collection: KnowledgeCollection, documents: Sequence[KnowledgeDocument], *, new: bool
    ) -> Flow[None]:
        """See KnowledgeDriver.put. One INSERT is one block, stored as a whole."""
        del new
        client = yield from wait(self._clients.get())
        yield from wait(
            client.insert(
                f"{_PREFIX}{collection.name}",
                [_row(each) for each in documents],
                list(_COLUMNS),
                database=self._database,
                column_type_names=list(_COLUMNS.values()),
                settings={"async_insert": 0},  # answered once it is stored
            )
        )

    def fetch(
        self, collection: KnowledgeCollection, ids: Sequence[str], *, embeddings: bool
    ) -> Flow[Sequence[KnowledgeDocument]]:
        """See KnowledgeDriver.fetch."""
        rows = yield from self._rows(
            f"SELECT {_selected(embeddings=embeddings)} FROM {self._table(collection)} FINAL "  # noqa: S608 - of names and digests
            "WHERE key IN {keys:Array(String)}",
            {"keys": [token(each) for each in ids]},
        )
        return [_document(row, embeddings=embeddings) for row in rows]

    def query(
        self,
        collection: KnowledgeCollection,
        vector: Sequence[float],
        limit: int,
        where: Filter | None,
        *,
        embeddings: bool,
    ) -> Flow[Sequence[KnowledgeDocument]]:
        """See KnowledgeDriver.query. All that match are measured."""
        distance = collection.distance
        condition, parameters = _compiled(where)
        rows = yield from self._rows(
            f"SELECT {_selected(embeddings=embeddings)}, {_MEASURES[distance]} AS measured "  # noqa: S608 - of names and digests
            f"FROM {self._table(collection)} FINAL WHERE {condition} "
            f"ORDER BY measured {_ORDERS[distance]}, id LIMIT {limit:d}",
            {**parameters, "vector": list(vector)},
        )
        return [
            _document(row, embeddings=embeddings, score=score_of(distance, row[-1])) for row in rows
        ]

    def remove(self, collection: KnowledgeCollection, ids: Sequence[str]) -> Flow[int | None]:
        """See KnowledgeDriver.remove."""
        yield from self._command(
            f"DELETE FROM {self._table(collection)} WHERE key IN {{keys:Array(String)}}",  # noqa: S608 - of names and digests
            {"keys": [token(each) for each in ids]},
            {"mutations_sync": 2},  # answered once it is done, on all replicas
        )
        return None

    def clear(self, collection: KnowledgeCollection) -> Flow[int | None]:
        """See KnowledgeDriver.clear."""
        there = yield from self.count(collection, None)
        yield from self._command(f"TRUNCATE TABLE {self._table(collection)} SYNC")
        return there

    def scan(
        self, collection: KnowledgeCollection, where: Filter | None, cursor: str | None
    ) -> Flow[Page]:
        """See KnowledgeDriver.scan. The cursor is the last key of the page before."""
        condition, parameters = _compiled(where)
        rows = yield from self._rows(
            f"SELECT {_selected(embeddings=False)}, key FROM {self._table(collection)} FINAL "  # noqa: S608 - of names and digests
            f"WHERE key > {{after:String}} AND {condition} ORDER BY key LIMIT {_PAGE}",
            {**parameters, "after": cursor or ""},
        )
        documents = [_document(row, embeddings=False) for row in rows]
        return documents, rows[-1][-1] if rows else None

    def count(self, collection: KnowledgeCollection, where: Filter | None) -> Flow[int]:
        """See KnowledgeDriver.count."""
        condition, parameters = _compiled(where)
        rows = yield from self._rows(
            f"SELECT count() FROM {self._table(collection)} FINAL WHERE {condition}",  # noqa: S608 - of names and digests
            parameters,
        )
        return int(rows[0][0])

    def close(self) -> Flow[None]:
        """See Vendor.close."""
        return wait(self._clients.close())

    def _table(self, collection: KnowledgeCollection) -> str:
        return f"{_quoted(self._database, '`')}.{_PREFIX}{collection.name}"

    def _rows(self, statement: str, parameters: Mapping[str, Any]) -> Flow[Sequence[Sequence[Any]]]:
        client = yield from wait(self._clients.get())
        result = yield from wait(client.query(statement, parameters=dict(parameters)))
        rows: Sequence[Sequence[Any]] = result.result_rows
        return rows

    def _command(
        self,
        statement: str,
        parameters: Mapping[str, Any] | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> Flow[None]:
        client = yield from wait(self._clients.get())
        yield from wait(
            client.command(
                statement,
                parameters=dict(parameters or {}),
                settings=dict(settings or {}),
                use_database=False,
            )
        )


def _quoted(text: str, mark: str) -> str:
    """Quote a text or a name (ClickHouse reference, "Syntax": "Literals", "Identifiers")."""
    return mark + text.replace("\\", "\\\\").replace(mark, f"\\{mark}") + mark


def _collection(table: str, comment: str) -> KnowledgeCollection | None:
    """Return what a table is of; None: it is none of ours."""
    try:
        described = json.loads(comment)
        return KnowledgeCollection(
            table.removeprefix(_PREFIX),
            described["dimension"],
            described["distance"],
            described["metadata"],
        )
    except (ValueError, TypeError, LookupError):
        return None


def _row(document: KnowledgeDocument) -> list[Any]:
    return [
        token(document.id),
        document.id,
        *packed(document).values(),
        document.embedding,
        [token(each) for each in terms_of(document.metadata)],
        {token(key): number for key, number in numbers_of(document.metadata).items()},
    ]


def _selected(*, embeddings: bool) -> str:
    return ", ".join((*_FOUND, *(["embedding"] if embeddings else [])))


def _document(
    row: Sequence[Any], *, embeddings: bool, score: float | None = None
) -> KnowledgeDocument:
    payload: dict[str, Any] = dict(zip(FIELDS, row[1:], strict=False))
    embedding = row[len(_FOUND)] if embeddings else None
    return unpacked(row[0], payload, embedding=embedding, score=score)


def _compiled(where: Filter | None) -> tuple[str, dict[str, Any]]:
    """Return a condition and its parameters."""
    parameters: dict[str, Any] = {}
    return "true" if where is None else _condition(where, parameters), parameters


def _condition(where: Filter, parameters: dict[str, Any]) -> str:
    match where:
        case Has(()):
            return "false"
        case Has(terms):
            name = _named(parameters, [token(each) for each in terms])
            return f"hasAny(terms, {{{name}:Array(String)}})"
        case Range(key, bounds):
            name = _named(parameters, token(key))
            within = (
                f"numbers[{{{name}:String}}] {operator} "
                f"reinterpretAsFloat64({{{_named(parameters, _bits(bound))}:UInt64}})"
                for operator, bound in bounds
            )
            return _joined("AND", (f"mapContains(numbers, {{{name}:String}})", *within))
        case And(parts):
            return _joined("AND", (_condition(part, parameters) for part in parts))
        case Or(parts):
            return _joined("OR", (_condition(part, parameters) for part in parts))
        case Not(part):
            return f"NOT {_joined('AND', [_condition(part, parameters)])}"


def _joined(word: str, parts: Iterable[str]) -> str:
    return f"({f' {word} '.join(parts)})"


def _named(parameters: dict[str, Any], value: Any) -> str:
    name = f"p{len(parameters)}"
    parameters[name] = value
    return name


def _bits(number: float) -> int:
    """Return the bits of a double: ClickHouse reads its text with an error in the last digit."""
    bits: int = struct.unpack("<Q", struct.pack("<d", number))[0]
    return bits
