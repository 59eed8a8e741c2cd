"""A driver of knowledge over a SQL database that measures distances itself."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import sqlalchemy as sa

from praison_persist._flow import Flow, wait
from praison_persist.errors import BackendError, ConfigurationError, NotFoundError
from praison_persist.knowledge.conditions import Within, condition
from praison_persist.knowledge.driver import KnowledgeDriver, Page
from praison_persist.knowledge.filters import Filter
from praison_persist.knowledge.terms import numbers_of, terms_of
from praison_persist.knowledge.vectors import score_of, single
from praison_persist.models import KnowledgeCollection, KnowledgeDocument
from praison_persist.sql import vector_tables as ops
from praison_persist.sql.database import AsyncDatabase, Database
from praison_persist.sql.failures import codes
from praison_persist.sql.options import SQLOptions, unknown_option
from praison_persist.sql.url import Target

__all__ = ["VectorTableDriver", "options_of"]

T = TypeVar("T")

_OPTIONS = (
    "max_overflow",
    "max_retries",
    "pool_pre_ping",
    "pool_recycle",
    "pool_size",
    "pool_timeout",
    "retry_delay",
)


def options_of(options: Mapping[str, Any], target: Target) -> SQLOptions:
    """Return options of connections and retries: those of `SQLOptions` that are not of tables.

    Raises:
        ConfigurationError: another option, or a value that cannot be right.
    """
    for key in options:
        if key not in _OPTIONS:
            raise ConfigurationError(unknown_option(key, list(_OPTIONS)))
    defaults = {
        key: target.option_defaults[key] for key in _OPTIONS if key in target.option_defaults
    }
    return SQLOptions.from_mapping(options, defaults)


class VectorTableDriver(KnowledgeDriver):
    """Hooks over a database of either colour, which repeats and translates by itself.

    Args:
        layout: how the database keeps a collection.
    """

    batch = 200

    def __init__(self, database: Database | AsyncDatabase, layout: ops.Layout) -> None:
        self.database: Any = database
        self.address = str(database.target)
        self._layout = layout

    def names(self) -> Flow[Sequence[str]]:
        """See KnowledgeDriver.names."""
        return wait(self.database.read(ops.names, self._layout))

    def look_up(self, name: str) -> Flow[KnowledgeCollection | None]:
        """See KnowledgeDriver.look_up."""
        row = yield from wait(self.database.read(ops.describe, self._layout, name))
        return None if row is None else KnowledgeCollection(**row)

    def create(self, collection: KnowledgeCollection) -> Flow[None]:
        """See KnowledgeDriver.create."""
        row = collection.to_dict() | {"created_at": time.time()}
        return wait(self.database.run(ops.create, self._layout, row))

    def drop(self, collection: KnowledgeCollection) -> Flow[None]:
        """See KnowledgeDriver.drop."""
        return self._run(ops.drop, collection)

    def put(
        self, collection: KnowledgeCollection, documents: Sequence[KnowledgeDocument], *, new: bool
    ) -> Flow[None]:
        """See KnowledgeDriver.put."""
        return self._run(ops.put, collection, [self._row(each) for each in documents], new=new)

    def fetch(
        self, collection: KnowledgeCollection, ids: Sequence[str], *, embeddings: bool
    ) -> Flow[Sequence[KnowledgeDocument]]:
        """See KnowledgeDriver.fetch."""
        rows = yield from self._read(ops.fetch, collection, ids, embeddings=embeddings)
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
        distance = collection.distance
        rows = yield from self._read(
            ops.nearest,
            collection,
            distance,
            vector,
            limit,
            self._condition(where),
            embeddings=embeddings,
        )
        values = [self._layout.value(distance, row.pop("measured")) for row in rows]
        return [
            _document(row, score=score_of(distance, value))
            for row, value in zip(rows, values, strict=True)
        ]

    def keywords(
        self, collection: KnowledgeCollection, text: str, limit: int, where: Filter | None
    ) -> Flow[Sequence[KnowledgeDocument]]:
        """See KnowledgeDriver.keywords."""
        rows = yield from self._read(ops.worded, collection, text, limit, self._condition(where))
        return [_document(row) for row in rows]

    def remove(self, collection: KnowledgeCollection, ids: Sequence[str]) -> Flow[int | None]:
        """See KnowledgeDriver.remove."""
        return self._run(ops.remove, collection, ids)

    def clear(self, collection: KnowledgeCollection) -> Flow[int | None]:
        """See KnowledgeDriver.clear."""
        return self._run(ops.clear, collection)

    def scan(
        self, collection: KnowledgeCollection, where: Filter | None, cursor: str | None
    ) -> Flow[Page]:
        """See KnowledgeDriver.scan. The cursor is the last id of the page before."""
        rows = yield from self._read(ops.scan, collection, self._condition(where), cursor)
        return [_document(row) for row in rows], rows[-1]["id"] if rows else None

    def count(self, collection: KnowledgeCollection, where: Filter | None) -> Flow[int]:
        """See KnowledgeDriver.count."""
        return self._read(ops.count, collection, self._condition(where))

    def close(self) -> Flow[None]:
        """See KnowledgeDriver.close."""
        return wait(self.database.close())

    def _run(
        self, op: Any, collection: KnowledgeCollection, *args: Any, **kwargs: Any
    ) -> Flow[Any]:
        return self._call(self.database.run, op, collection, args, kwargs)

    def _read(
        self, op: Any, collection: KnowledgeCollection, *args: Any, **kwargs: Any
    ) -> Flow[Any]:
        return self._call(self.database.read, op, collection, args, kwargs)

    def _call(
        self, call: Any, op: Any, collection: KnowledgeCollection, args: Any, kwargs: Any
    ) -> Flow[Any]:
        place = (self._layout, collection.name, collection.dimension)
        try:
            return (yield from wait(call(op, *place, *args, **kwargs)))
        except BackendError as error:
            if error.__cause__ is None or codes(error.__cause__).isdisjoint(self._layout.gone):
                raise
            raise NotFoundError(
                f"The collection {collection.name!r} was deleted just now"
            ) from error

    def _row(self, document: KnowledgeDocument) -> dict[str, Any]:
        return {
            "id": document.id,
            "content": document.content,
            "metadata": document.metadata,
            "content_hash": document.content_hash,
            "created_at": document.created_at,
            "embedding": document.embedding,
            **self._layout.filter_values(
                terms_of(document.metadata), numbers_of(document.metadata)
            ),
        }

    def _condition(self, where: Filter | None) -> ops.Where | None:
        if where is None:
            return None
        layout = self._layout
        return lambda table: condition(
            where,
            lambda terms: layout.has(table, terms),
            lambda key, within: _within(layout.number(table, key), within),
        )


def _within(number: sa.ColumnElement[float], within: Within) -> sa.ColumnElement[bool]:
    return sa.and_(number.is_not(None), within(number))


def _document(row: dict[str, Any], score: float | None = None) -> KnowledgeDocument:
    embedding = row.pop("embedding", None)
    return KnowledgeDocument(
        **row, embedding=None if embedding is None else single(embedding), score=score
    )
