"""The hooks of knowledge stores in Apache Cassandra 5.

A collection is a table; what it was created with is a row of one more table, the register. CQL has
neither OR nor NOT, and ranges ask for an index of each field: a filter is narrowed by one term that
each match has (an SAI index of the terms), and compared exactly here, page by page.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary

from cassandra import (
    AuthenticationFailed,
    ConsistencyLevel,
    DriverException,
    InvalidRequest,
    OperationTimedOut,
    RequestExecutionException,
    Unauthorized,
    WriteTimeout,
)
from cassandra.cluster import NoHostAvailable
from cassandra.connection import ConnectionException

from praison_persist._flow import Flow
from praison_persist._json import dumps, loads
from praison_persist._processes import PerProcess
from praison_persist._retry import RetryPolicy
from praison_persist.errors import (
    BackendError,
    ConflictError,
    NotFoundError,
    PersistError,
    UnavailableError,
)
from praison_persist.knowledge.driver import KnowledgeDriver, Page, done
from praison_persist.knowledge.filters import And, Filter, Has, matches
from praison_persist.knowledge.payload import FIELDS, packed, unpacked
from praison_persist.knowledge.terms import terms_of, token
from praison_persist.knowledge.vectors import pack, scores
from praison_persist.models import KnowledgeCollection, KnowledgeDocument

__all__ = ["CassandraDriver"]

_REGISTER = "praison_collections"
# The index measures dot products of vectors of length 1 only, so that those of a collection "dot"
# are compared here.
_FUNCTIONS = {"cosine": "cosine", "euclidean": "euclidean"}
# cassandra.apache.org, "Vector Search": more than these are refused.
_NEAREST_MAX = 1000
_PAGE = 500
_COLUMNS = ", ".join(("id", *FIELDS))


class CassandraDriver(KnowledgeDriver):
    """Hooks over the sync sessions of `cassandra`.

    Args:
        sessions: makes a session, which connects at once.
        hosts: for messages.
        keyspace: has the tables.
        replication: how many nodes have each row of a keyspace that is made here; None: it exists.
        exact: measure everything here instead of by the approximate index.
        retry: when to try again.
    """

    failures = (DriverException, NoHostAvailable, ConnectionException, RequestExecutionException)
    max_dimension = 8192
    batch = 100

    def __init__(
        self,
        sessions: PerProcess[Any],
        hosts: str,
        keyspace: str,
        replication: int | None,
        exact: bool,
        retry: RetryPolicy,
    ) -> None:
        self.address = f"{hosts}/{keyspace}"
        self.retry = retry
        self._sessions, self._keyspace = sessions, keyspace
        self._replication, self._exact = replication, exact
        self._statements: WeakKeyDictionary[Any, dict[str, Any]] = WeakKeyDictionary()

    def names(self) -> Flow[Sequence[str]]:
        """See KnowledgeDriver.names."""
        try:
            rows = self._run(f"SELECT name FROM {self._table(_REGISTER)}")  # noqa: S608 - a checked name
        except InvalidRequest as error:
            self._no_register(error)
            return done([])
        return done([row.name for row in rows])

    def look_up(self, name: str) -> Flow[KnowledgeCollection | None]:
        """See KnowledgeDriver.look_up."""
        text = f"SELECT dimension, distance, metadata FROM {self._table(_REGISTER)} WHERE name = ?"  # noqa: S608 - a checked name
        try:
            rows = self._run(text, [name])
        except InvalidRequest as error:
            self._no_register(error)
            return done(None)
        for row in rows:
            return done(KnowledgeCollection(name, row.dimension, row.distance, loads(row.metadata)))
        return done(None)

    def _no_register(self, error: InvalidRequest) -> None:
        """Go on if nothing was ever made here."""
        if "does not exist" not in str(error) or _REGISTER not in str(error):
            if self._replication is not None and "eyspace" in str(error):
                return
            raise error

    def create(self, collection: KnowledgeCollection) -> Flow[None]:
        """See KnowledgeDriver.create."""
        if self._replication is not None:
            self._define(
                f'CREATE KEYSPACE IF NOT EXISTS "{self._keyspace}" WITH replication = '
                f"{{'class': 'NetworkTopologyStrategy', 'replication_factor': {self._replication}}}"
            )
        self._define(
            f"CREATE TABLE IF NOT EXISTS {self._table(_REGISTER)} "
            "(name text PRIMARY KEY, dimension int, distance text, metadata text)"
        )
        row = [
            collection.name,
            collection.dimension,
            collection.distance,
            dumps(collection.metadata),
        ]
        table = _table_name(collection)
        self._define(
            f"CREATE TABLE IF NOT EXISTS {self._table(table)} (id text PRIMARY KEY, content text, "
            "metadata text, content_hash text, created_at double, terms set<text>, "
            f"embedding vector<float, {collection.dimension}>)"
        )
        self._index(table, "terms", "")
        if collection.distance in _FUNCTIONS:
            function = _FUNCTIONS[collection.distance]
            self._index(
                table, "embedding", f" WITH OPTIONS = {{'similarity_function': '{function}'}}"
            )
        self._run(
            f"INSERT INTO {self._table(_REGISTER)} (name, dimension, distance, metadata) "  # noqa: S608 - a checked name
            "VALUES (?, ?, ?, ?) IF NOT EXISTS",
            row,
        )
        return done(None)

    def _index(self, table: str, column: str, options: str) -> None:
        self._define(
            f'CREATE CUSTOM INDEX IF NOT EXISTS "{table}_{column[0]}" ON {self._table(table)} '
            f"({column}) USING 'StorageAttachedIndex'{options}"
        )

    def drop(self, collection: KnowledgeCollection) -> Flow[None]:
        """See KnowledgeDriver.drop."""
        # In this order: what is broken off in between still is listed, and can be deleted again.
        self._define(f"DROP TABLE IF EXISTS {self._of(collection)}")
        self._run(
            f"DELETE FROM {self._table(_REGISTER)} WHERE name = ? IF EXISTS",  # noqa: S608 - a checked name
            [collection.name],
        )
        return done(None)

    def put(
        self, collection: KnowledgeCollection, documents: Sequence[KnowledgeDocument], *, new: bool
    ) -> Flow[None]:
        """See KnowledgeDriver.put."""
        text = (
            f"INSERT INTO {self._of(collection)} ({_COLUMNS}, terms, embedding) "  # noqa: S608 - a checked name
            "VALUES (?, ?, ?, ?, ?, ?, ?)" + (" IF NOT EXISTS" if new else "")
        )
        session = self._sessions.get()
        statement = self._prepared(text)
        sent = [session.execute_async(statement, _values(each)) for each in documents]
        results = [each.result() for each in sent]
        for document, result in zip(documents, results if new else [], strict=False):
            if not result.was_applied and not self._is_same(collection, document):
                raise ConflictError(
                    f"The collection {collection.name!r} has a document {document.id!r}"
                )
        return done(None)

    def _is_same(self, collection: KnowledgeCollection, document: KnowledgeDocument) -> bool:
        """Whether an earlier try of `put` may have stored it, and lost the answer."""
        return [replace(document, score=None)] == self._read(collection, [document.id], True)

    def fetch(
        self, collection: KnowledgeCollection, ids: Sequence[str], *, embeddings: bool
    ) -> Flow[Sequence[KnowledgeDocument]]:
        """See KnowledgeDriver.fetch."""
        return done(self._read(collection, ids, embeddings))

    def _read(
        self, collection: KnowledgeCollection, ids: Sequence[str], embeddings: bool
    ) -> list[KnowledgeDocument]:
        columns = f"{_COLUMNS}, embedding" if embeddings else _COLUMNS
        text = f"SELECT {columns} FROM {self._of(collection)} WHERE id = ?"  # noqa: S608 - a checked name
        session = self._sessions.get()
        statement = self._prepared(text)
        sent = [session.execute_async(statement, [each]) for each in ids]
        return [_document(row) for each in sent for row in each.result()]

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
        term = _narrowing(where)
        whole = where is None or (isinstance(where, Has) and term is not None)
        indexed = collection.distance in _FUNCTIONS and limit <= _NEAREST_MAX
        if whole and indexed and not self._exact:
            return done(self._nearest(collection, vector, limit, term, embeddings=embeddings))
        best: list[tuple[float, str]] = []
        for rows in self._pages(collection, "id, metadata, embedding", term):
            some = [row for row in rows if where is None or matches(where, loads(row.metadata))]
            found = scores(collection.distance, vector, [pack(row.embedding) for row in some])
            ranked = ((-score, row.id) for score, row in zip(found, some, strict=True))
            best = heapq.nsmallest(limit, (*best, *ranked))
        scored = {each: -negative for negative, each in best}
        documents = self._read(collection, list(scored), embeddings)
        return done([replace(each, score=scored[each.id]) for each in documents])

    def _nearest(
        self,
        collection: KnowledgeCollection,
        vector: Sequence[float],
        limit: int,
        term: str | None,
        *,
        embeddings: bool,
    ) -> list[KnowledgeDocument]:
        """Ask the index. Scores are computed here: its own have lost digits."""
        condition = "" if term is None else " WHERE terms CONTAINS ?"
        text = (
            f"SELECT {_COLUMNS}, embedding FROM {self._of(collection)}{condition} "  # noqa: S608 - a checked name
            "ORDER BY embedding ANN OF ? LIMIT ?"
        )
        values = [*([] if term is None else [term]), list(vector), limit]
        # More than one replica cannot be asked: "Vector Search", limitations.
        rows = list(self._run(text, values, ConsistencyLevel.LOCAL_ONE))
        found = scores(collection.distance, vector, [pack(row.embedding) for row in rows])
        return [
            replace(document, score=score, embedding=document.embedding if embeddings else None)
            for document, score in zip(map(_document, rows), found, strict=True)
        ]

    def remove(self, collection: KnowledgeCollection, ids: Sequence[str]) -> Flow[int | None]:
        """See KnowledgeDriver.remove."""
        session = self._sessions.get()
        statement = self._prepared(f"DELETE FROM {self._of(collection)} WHERE id = ?")  # noqa: S608 - a checked name
        for each in [session.execute_async(statement, [each]) for each in ids]:
            each.result()
        return done(None)

    def scan(
        self, collection: KnowledgeCollection, where: Filter | None, cursor: str | None
    ) -> Flow[Page]:
        """See KnowledgeDriver.scan. The cursor is the server's state of the paging."""
        state = None if cursor is None else bytes.fromhex(cursor)
        rows, state = self._page(collection, _COLUMNS, _narrowing(where), state)
        documents = [_document(row) for row in rows]
        matching = [each for each in documents if where is None or matches(where, each.metadata)]
        return done((matching, state.hex() if state else None))

    def count(self, collection: KnowledgeCollection, where: Filter | None) -> Flow[int]:
        """See KnowledgeDriver.count. Rows are read, as COUNT(*) does, without its timeout."""
        pages = self._pages(collection, "metadata", _narrowing(where))
        return done(
            sum(
                where is None or matches(where, loads(row.metadata))
                for rows in pages
                for row in rows
            )
        )

    def close(self) -> Flow[None]:
        """See KnowledgeDriver.close."""
        self._sessions.close()
        return done(None)

    def is_transient(self, error: BaseException) -> bool:
        """See KnowledgeDriver.is_transient."""
        if isinstance(error, InvalidRequest | Unauthorized) or self._is_refused(error):
            return False
        return isinstance(
            error,
            NoHostAvailable
            | OperationTimedOut
            | ConnectionException
            | RequestExecutionException
            | WriteTimeout,
        )

    def translate(self, error: BaseException, action: str) -> PersistError:
        """See KnowledgeDriver.translate."""
        told = f"{self.address}: cannot {action}: {self.describe(error)}"
        if self._is_refused(error) or isinstance(error, Unauthorized):
            return UnavailableError(f"{told}. Check the user name, the password and permissions")
        if "eyspace" in str(error) and "does not exist" in str(error):
            return UnavailableError(f"{told}. Make the keyspace first, or give replication_factor=")
        if isinstance(error, InvalidRequest) and "does not exist" in str(error):
            return NotFoundError(f"{told}. The collection is not there, or no longer")
        return BackendError(told)

    def _is_refused(self, error: BaseException) -> bool:
        if isinstance(error, NoHostAvailable) and isinstance(error.errors, dict):
            return any(isinstance(each, AuthenticationFailed) for each in error.errors.values())
        return isinstance(error, AuthenticationFailed)

    def _pages(
        self, collection: KnowledgeCollection, columns: str, term: str | None
    ) -> Iterator[list[Any]]:
        state: bytes | None = None
        while True:
            rows, state = self._page(collection, columns, term, state)
            yield rows
            if not state:
                return

    def _page(
        self, collection: KnowledgeCollection, columns: str, term: str | None, state: bytes | None
    ) -> tuple[list[Any], bytes | None]:
        condition = "" if term is None else " WHERE terms CONTAINS ?"
        text = f"SELECT {columns} FROM {self._of(collection)}{condition}"  # noqa: S608 - a checked name
        bound = self._prepared(text).bind([] if term is None else [term])
        bound.fetch_size = _PAGE
        found = self._sessions.get().execute(bound, paging_state=state)
        return list(found.current_rows), found.paging_state

    def _define(self, text: str) -> None:
        self._sessions.get().execute(text)

    def _run(self, text: str, values: Sequence[Any] = (), level: int | None = None) -> Any:
        bound = self._prepared(text).bind(list(values))
        if level is not None:
            bound.consistency_level = level
        return self._sessions.get().execute(bound)

    def _prepared(self, text: str) -> Any:
        """Return a statement, prepared once a session; the driver renews what a server forgot."""
        session = self._sessions.get()
        known = self._statements.setdefault(session, {})
        statement = known.get(text)
        if statement is None:
            statement = known[text] = session.prepare(text)
        return statement

    def _table(self, name: str) -> str:
        return f'"{self._keyspace}"."{name}"'

    def _of(self, collection: KnowledgeCollection) -> str:
        return self._table(_table_name(collection))


def _table_name(collection: KnowledgeCollection) -> str:
    """Return a name of 48 characters at most, another one for each name, dimension and distance."""
    digest = token(f"{collection.name} {collection.dimension} {collection.distance}")
    return f"praison_k_{collection.name.lower()[:20]}_{digest[:15]}"


def _narrowing(where: Filter | None) -> str | None:
    """Return a term that every document has that matches, if there is one."""
    match where:
        case Has((term,)):
            return term
        case And(parts):
            return next((found for found in map(_narrowing, parts) if found is not None), None)
        case _:
            return None


def _values(document: KnowledgeDocument) -> list[Any]:
    fields = packed(document)
    return [
        document.id,
        *(fields[name] for name in FIELDS),
        set(terms_of(document.metadata)),
        list(document.embedding or ()),
    ]


def _document(row: Any) -> KnowledgeDocument:
    fields = {name: getattr(row, name) for name in FIELDS}
    return unpacked(row.id, fields, embedding=getattr(row, "embedding", None))
