"""Knowledge in any SQL database, beside the conversations; nothing else is needed.

A search is exact. PostgreSQL measures by itself where it has the extension vector; elsewhere the
embeddings that match are read and measured here, a thousand at a time, with NumPy if it is
installed: of 384 dimensions that is about 1.5 kB for each document and search.
"""

from __future__ import annotations

import asyncio
import heapq
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Self

import sqlalchemy as sa
from sqlalchemy.engine import URL

from praison_persist._flow import Flow, wait
from praison_persist.errors import ConfigurationError
from praison_persist.knowledge.base import AsyncBaseKnowledgeStore, BaseKnowledgeStore
from praison_persist.knowledge.conditions import condition
from praison_persist.knowledge.driver import KnowledgeDriver, Page, done
from praison_persist.knowledge.embedders import Embedder
from praison_persist.knowledge.filters import Filter
from praison_persist.knowledge.terms import exists_term, numbers_of, terms_of
from praison_persist.knowledge.vectors import pack, score_of, scores, unpack
from praison_persist.models import KnowledgeCollection, KnowledgeDocument
from praison_persist.sql import knowledge as ops
from praison_persist.sql.database import AsyncDatabase, Database
from praison_persist.sql.offloaded import OffloadedDatabase, open_async
from praison_persist.sql.options import SQLOptions
from praison_persist.sql.schema import Tables
from praison_persist.sql.url import Target, parse_url
from praison_persist.sql.vectors import PGVECTOR_MAX, pgvector_value

__all__ = ["AsyncSQLKnowledgeStore", "SQLKnowledgeStore"]

DatabaseURL = str | os.PathLike[str] | URL


class SQLDriver(KnowledgeDriver):
    """Hooks over a database of either colour, which repeats and translates by itself.

    Args:
        owned: close the database with the store.
    """

    batch = 200
    counts_removed = True

    def __init__(
        self, database: Database | AsyncDatabase | OffloadedDatabase, *, owned: bool = True
    ) -> None:
        self.database: Any = database
        # Measuring a thousand embeddings without NumPy would hold an event loop up.
        self._scores: Callable[..., Any] = (
            scores if isinstance(database, Database) else _scores_in_thread
        )
        self.address = str(database.target)
        self._owned = owned
        self._measures: bool | None = None

    def names(self) -> Flow[Sequence[str]]:
        """See KnowledgeDriver.names."""
        return wait(self.database.read(ops.names))

    def look_up(self, name: str) -> Flow[KnowledgeCollection | None]:
        """See KnowledgeDriver.look_up."""
        row = yield from wait(self.database.read(ops.describe, name))
        return None if row is None else KnowledgeCollection(**row)

    def create(self, collection: KnowledgeCollection) -> Flow[None]:
        """See KnowledgeDriver.create."""
        row = collection.to_dict() | {"created_at": time.time()}
        return wait(self.database.run(ops.create, row))

    def drop(self, collection: KnowledgeCollection) -> Flow[None]:
        """See KnowledgeDriver.drop."""
        return wait(self.database.run(ops.drop, collection.name))

    def put(
        self, collection: KnowledgeCollection, documents: Sequence[KnowledgeDocument], *, new: bool
    ) -> Flow[None]:
        """See KnowledgeDriver.put."""
        rows = [_row(collection.name, each) for each in documents]
        terms = [row for each in documents for row in _term_rows(collection.name, each)]
        return wait(self.database.run(ops.put, collection.name, rows, terms, new=new))

    def fetch(
        self, collection: KnowledgeCollection, ids: Sequence[str], *, embeddings: bool
    ) -> Flow[Sequence[KnowledgeDocument]]:
        """See KnowledgeDriver.fetch."""
        name = collection.name
        rows = yield from wait(self.database.read(ops.fetch, name, ids, embeddings=embeddings))
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
        """See KnowledgeDriver.query."""
        if self._measures is None:
            self._measures = bool((yield from wait(self.database.read(ops.has_vectors))))
        search = self._measured if self._measures else self._read
        if collection.dimension > PGVECTOR_MAX:
            search = self._read
        found = yield from search(collection, vector, limit, where)
        documents = yield from self.fetch(collection, list(found), embeddings=embeddings)
        return [replace(each, score=found[each.id]) for each in documents]

    def _measured(
        self,
        collection: KnowledgeCollection,
        vector: Sequence[float],
        limit: int,
        where: Filter | None,
    ) -> Flow[dict[str, float]]:
        distance = collection.distance
        found = yield from wait(
            self.database.read(
                ops.nearest, collection.name, vector, distance, _condition(where), limit
            )
        )
        return {each: score_of(distance, pgvector_value(distance, value)) for each, value in found}

    def _read(
        self,
        collection: KnowledgeCollection,
        vector: Sequence[float],
        limit: int,
        where: Filter | None,
    ) -> Flow[dict[str, float]]:
        best: list[tuple[float, str]] = []
        after = None
        while True:
            page = yield from wait(
                self.database.read(ops.embeddings, collection.name, _condition(where), after)
            )
            if not page:
                return {each: -negative for negative, each in best}
            after = page[-1][0]
            packed = [each for _, each in page]
            found = yield from wait(self._scores(collection.distance, vector, packed))
            ranked = ((-score, each) for score, (each, _) in zip(found, page, strict=True))
            best = heapq.nsmallest(limit, (*best, *ranked))

    def remove(self, collection: KnowledgeCollection, ids: Sequence[str]) -> Flow[int | None]:
        """See KnowledgeDriver.remove."""
        return wait(self.database.run(ops.remove, collection.name, ids))

    def clear(self, collection: KnowledgeCollection) -> Flow[int | None]:
        """See KnowledgeDriver.clear."""
        return wait(self.database.run(ops.clear, collection.name))

    def scan(
        self, collection: KnowledgeCollection, where: Filter | None, cursor: str | None
    ) -> Flow[Page]:
        """See KnowledgeDriver.scan. The cursor is the last id of the page before."""
        rows = yield from wait(
            self.database.read(ops.scan, collection.name, _condition(where), cursor)
        )
        return [_document(row) for row in rows], rows[-1]["id"] if rows else None

    def count(self, collection: KnowledgeCollection, where: Filter | None) -> Flow[int]:
        """See KnowledgeDriver.count."""
        return wait(self.database.read(ops.count, collection.name, _condition(where)))

    def close(self) -> Flow[None]:
        """See KnowledgeDriver.close."""
        return wait(self.database.close()) if self._owned else done(None)


async def _scores_in_thread(
    distance: str, query: Sequence[float], packed: Sequence[bytes]
) -> list[float]:
    return await asyncio.to_thread(scores, distance, query, packed)


def _row(name: str, document: KnowledgeDocument) -> dict[str, Any]:
    return {
        "collection": name,
        "id": document.id,
        "content": document.content,
        "embedding": pack(document.embedding or ()),
        "metadata": document.metadata,
        "content_hash": document.content_hash,
        "created_at": document.created_at,
    }


def _term_rows(name: str, document: KnowledgeDocument) -> list[dict[str, Any]]:
    numbers = {exists_term(key): number for key, number in numbers_of(document.metadata).items()}
    return [
        {
            "collection": name,
            "document_id": document.id,
            "term": each,
            "number": numbers.get(each),
        }
        for each in terms_of(document.metadata)
    ]


def _document(row: dict[str, Any]) -> KnowledgeDocument:
    packed = row.pop("embedding", None)
    return KnowledgeDocument(**row, embedding=None if packed is None else unpack(packed))


def _condition(where: Filter | None) -> Callable[[Tables], sa.ColumnElement[bool]] | None:
    return None if where is None else lambda t: _compiled(where, t)


def _compiled(where: Filter, t: Tables) -> sa.ColumnElement[bool]:
    return condition(
        where,
        lambda terms: _has(t, lambda row: [row.c.term.in_(terms)]),
        lambda key, within: _has(
            t, lambda row: [row.c.term == exists_term(key), within(row.c.number)]
        ),
    )


def _has(
    t: Tables, conditions: Callable[[sa.FromClause], list[sa.ColumnElement[bool]]]
) -> sa.ColumnElement[bool]:
    row = t.terms.alias()
    documents = t.documents.c
    same = (row.c.collection == documents.collection, row.c.document_id == documents.id)
    return sa.exists().where(*same, *conditions(row))


def _target(url: DatabaseURL | None) -> Target:
    if url is None:
        raise ConfigurationError(
            "The sql knowledge store needs url=: a database URL such as sqlite:///knowledge.db"
        )
    return parse_url(url)


class SQLKnowledgeStore(BaseKnowledgeStore):
    """Knowledge in any SQL database, over a sync driver.

    Args:
        url: a database URL, a path of an SQLite file, or ":memory:". Required.
        embedder: takes a list of texts and returns the embedding of each.
        options: see `praison_persist.sql.options.SQLOptions`.

    Raises:
        ConfigurationError: the URL or an option cannot be right.
        MissingDependencyError: the driver is not installed.
    """

    driver: SQLDriver

    def __init__(
        self, url: DatabaseURL | None = None, *, embedder: Embedder | None = None, **options: Any
    ) -> None:
        target = _target(url)
        database = Database(target, SQLOptions.from_mapping(options, target.option_defaults))
        super().__init__(SQLDriver(database), embedder)

    @classmethod
    def of(cls, database: Database, *, embedder: Embedder | None = None) -> Self:
        """Return the knowledge kept beside conversations in their database, which closes it."""
        new = cls.__new__(cls)
        BaseKnowledgeStore.__init__(new, SQLDriver(database, owned=False), embedder)
        return new

    @property
    def database(self) -> Database:
        """The database that operations run on."""
        database: Database = self.driver.database
        return database


class AsyncSQLKnowledgeStore(AsyncBaseKnowledgeStore):
    """Knowledge in any SQL database, for asyncio. Arguments are those of `SQLKnowledgeStore`."""

    driver: SQLDriver

    def __init__(
        self, url: DatabaseURL | None = None, *, embedder: Embedder | None = None, **options: Any
    ) -> None:
        target = _target(url)
        database = open_async(target, SQLOptions.from_mapping(options, target.option_defaults))
        super().__init__(SQLDriver(database), embedder)

    @classmethod
    def of(
        cls, database: AsyncDatabase | OffloadedDatabase, *, embedder: Embedder | None = None
    ) -> Self:
        """See `SQLKnowledgeStore.of`."""
        new = cls.__new__(cls)
        AsyncBaseKnowledgeStore.__init__(new, SQLDriver(database, owned=False), embedder)
        return new

    @property
    def database(self) -> AsyncDatabase | OffloadedDatabase:
        """The database that operations run on."""
        database: AsyncDatabase | OffloadedDatabase = self.driver.database
        return database
