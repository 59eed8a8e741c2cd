"""Operations on collections that are a table each, with a column of the database's vector type.

They need no migrations: a table is made with its collection, and a registry says which there are.
Who writes documents locks their collection's row in the registry first, so that it is not deleted
meanwhile.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from praison_persist.errors import ConflictError, NotFoundError
from praison_persist.sql.conversation import chunks
from praison_persist.sql.schema import Tables
from praison_persist.sql.statements import insert_new, insert_or_replace
from praison_persist.sql.types import JSONDocument, LongText
from praison_persist.sql.vectors import Vector

__all__ = [
    "Layout",
    "clear",
    "count",
    "create",
    "describe",
    "drop",
    "fetch",
    "names",
    "nearest",
    "put",
    "remove",
    "scan",
    "worded",
]

Row = dict[str, Any]
Where = Callable[[sa.Table], sa.ColumnElement[bool]]

_PAGE = 1000  # documents
_WITHOUT_EMBEDDING = ("id", "content", "metadata", "content_hash", "created_at")


class Layout(ABC):
    """How one kind of database keeps a collection in a table of its own.

    Attributes:
        registry: a row for each collection: name, dimension, distance, metadata, created_at and
            table_name.
        gone: what the database says, in its own codes, of a table that is not there.
    """

    registry: sa.Table
    gone: frozenset[str | int]

    def __init__(self) -> None:
        self._tables: dict[tuple[str, int], sa.Table] = {}
        self._is_there = False

    def is_there(self, connection: sa.Connection) -> bool:
        """Whether there is a registry."""
        if not self._is_there:
            inspector = sa.inspect(connection)
            self._is_there = inspector.has_table(self.registry.name, schema=self.registry.schema)
        return self._is_there

    def table(self, name: str, dimension: int) -> sa.Table:
        """Return the table of this name. The same one each time: statements are cached by it."""
        found = self._tables.get((name, dimension))
        if found is None:
            found = self._tables.setdefault((name, dimension), self._table(name, dimension))
        return found

    def _table(self, name: str, dimension: int) -> sa.Table:
        return sa.Table(
            name,
            sa.MetaData(schema=self.registry.schema),
            sa.Column("id", self.identifier(255), primary_key=True),
            sa.Column("content", self.text(), nullable=False),
            sa.Column("metadata", self.json()),
            sa.Column("content_hash", self.identifier(64)),
            sa.Column("created_at", sa.Double(), nullable=False),
            sa.Column("embedding", Vector(dimension), nullable=False),
            *self.filter_columns(),
        )

    def make_registry(self, name: str, schema: str | None) -> sa.Table:
        """Return the table of collections."""
        return sa.Table(
            name,
            sa.MetaData(schema=schema),
            sa.Column("name", self.identifier(48), primary_key=True),
            sa.Column("dimension", sa.Integer(), nullable=False),
            sa.Column("distance", self.identifier(16), nullable=False),
            sa.Column("metadata", self.json()),
            sa.Column("created_at", sa.Double(), nullable=False),
            sa.Column("table_name", self.identifier(64), nullable=False),
        )

    def text(self) -> sa.types.TypeEngine[str]:
        """Return the type of contents."""
        return LongText()

    def json(self) -> sa.types.TypeEngine[Any]:
        """Return the type of metadata, which gives it back as it was."""
        return JSONDocument()

    @abstractmethod
    def identifier(self, length: int) -> sa.types.TypeEngine[str]:
        """Return the type of ids, compared byte by byte."""

    @abstractmethod
    def filter_columns(self) -> Sequence[sa.Column[Any]]:
        """Return the columns that filters compare, and words are found by."""

    @abstractmethod
    def filter_values(self, terms: Sequence[str], numbers: Mapping[str, float]) -> Row:
        """Return what the columns hold for a document of these terms and numbers."""

    @abstractmethod
    def has(self, table: sa.Table, terms: Sequence[str]) -> sa.ColumnElement[bool]:
        """Return whether a row has one of these terms, of which there is one; never NULL."""

    @abstractmethod
    def number(self, table: sa.Table, key: str) -> sa.ColumnElement[float]:
        """Return the number of a row that has this key; NULL if there is none."""

    @abstractmethod
    def name(self, collection: str) -> str:
        """Return a name for the table of a new collection."""

    @abstractmethod
    def located(self, connection: sa.Connection, collection: str) -> str:
        """Return the name of the table of a collection.

        Raises:
            NotFoundError: there is none.
        """

    @abstractmethod
    def prepare(self, connection: sa.Connection) -> None:
        """Make the registry, and what else collections need. Others may do so at the same time."""

    @abstractmethod
    def index(self, connection: sa.Connection, table: sa.Table, dimension: int, dist: str) -> None:
        """Index the new table of a collection."""

    @abstractmethod
    def distance(
        self, table: sa.Table, vector: Sequence[float], distance: str
    ) -> sa.ColumnElement[float]:
        """Return what the database measures: the least is the nearest."""

    @abstractmethod
    def value(self, distance: str, measured: float) -> float:
        """Return the cosine, the Euclidean distance, or the dot product of what was measured."""

    def uses_index(self, connection: sa.Connection, dimension: int, limit: int) -> bool:
        """Whether an index finds so many of all documents; sets the connection up for it."""
        del connection, dimension, limit
        return False

    def words(
        self, connection: sa.Connection, table: sa.Table, text: str
    ) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[float]] | None:
        """Return whether a row has words of a text, and how well it fits; None: there are none."""
        del connection, table, text
        raise NotImplementedError


def names(connection: sa.Connection, _t: Tables, layout: Layout) -> list[str]:
    """Return the names of all collections."""
    if not layout.is_there(connection):
        return []
    return list(connection.execute(sa.select(layout.registry.c.name)).scalars())


def describe(connection: sa.Connection, _t: Tables, layout: Layout, name: str) -> Row | None:
    """Return name, dimension, distance and metadata of a collection."""
    if not layout.is_there(connection):
        return None
    c = layout.registry.c
    query = sa.select(c.name, c.dimension, c.distance, c.metadata).where(c.name == name)
    row = connection.execute(query).mappings().one_or_none()
    return None if row is None else dict(row)


def create(connection: sa.Connection, _t: Tables, layout: Layout, row: Row) -> None:
    """Create a collection, unless there is one."""
    layout.prepare(connection)
    there = sa.select(layout.registry.c.name).where(layout.registry.c.name == row["name"])
    if connection.execute(there).first() is not None:
        return
    table = layout.table(layout.name(row["name"]), row["dimension"])
    # Before the row: where CREATE TABLE commits, a row without a table would be of no use.
    table.create(connection)
    layout.index(connection, table, row["dimension"], row["distance"])
    new = insert_new(connection, layout.registry)
    if connection.execute(new, [{**row, "table_name": table.name}]).rowcount == 0:
        table.drop(connection)


def drop(connection: sa.Connection, _t: Tables, layout: Layout, name: str, dimension: int) -> None:
    """Delete a collection with its documents; it may be gone."""
    try:
        table = _locked(connection, layout, name, dimension)
    except NotFoundError:
        return
    connection.execute(sa.delete(layout.registry).where(layout.registry.c.name == name))
    # Where DROP TABLE commits, the row must be gone by then.
    table.drop(connection, checkfirst=True)


def put(
    connection: sa.Connection,
    _t: Tables,
    layout: Layout,
    name: str,
    dimension: int,
    documents: Sequence[Row],
    *,
    new: bool,
) -> None:
    """Store documents.

    Raises:
        NotFoundError: the collection is gone.
        ConflictError: `new`, and there is another document of one of the ids.
    """
    table = _locked(connection, layout, name, dimension)
    if new:
        given = {row["id"]: row for row in documents}
        for stored in _select(connection, table, list(given), embeddings=True):
            # An equal one is of an earlier try whose answer was lost.
            if any(stored[key] != given[stored["id"]][key] for key in stored):
                raise ConflictError(
                    f"The collection {name!r} has a document {stored['id']!r}; upsert replaces it"
                )
    connection.execute(insert_or_replace(connection, table), list(documents))


def fetch(
    connection: sa.Connection,
    _t: Tables,
    layout: Layout,
    name: str,
    dimension: int,
    ids: Sequence[str],
    *,
    embeddings: bool,
) -> list[Row]:
    """Return those of the documents that there are."""
    table = layout.table(layout.located(connection, name), dimension)
    return _select(connection, table, ids, embeddings=embeddings)


def nearest(
    connection: sa.Connection,
    _t: Tables,
    layout: Layout,
    name: str,
    dimension: int,
    distance: str,
    vector: Sequence[float],
    limit: int,
    where: Where | None,
    *,
    embeddings: bool,
) -> list[Row]:
    """Return the nearest documents that match, each with what was "measured"."""
    table = layout.table(layout.located(connection, name), dimension)
    measured = layout.distance(table, vector, distance)
    query = sa.select(*_columns(table, embeddings=embeddings), measured.label("measured"))
    if where is None and layout.uses_index(connection, dimension, limit):
        found = connection.execute(query.order_by(measured).limit(limit)).mappings().all()
        if len(found) == limit:
            return [dict(row) for row in found]
    if where is not None:
        query = query.where(where(table))
    # No index of distances is in the order of a sum: it would find the nearest of all documents
    # first, and only then look which of them match.
    exact = query.order_by(measured + sa.literal_column("0.0"), table.c.id).limit(limit)
    return [dict(row) for row in connection.execute(exact).mappings()]


def worded(
    connection: sa.Connection,
    _t: Tables,
    layout: Layout,
    name: str,
    dimension: int,
    text: str,
    limit: int,
    where: Where | None,
) -> list[Row]:
    """Return the documents that match and have words of the text, the best first."""
    table = layout.table(layout.located(connection, name), dimension)
    words = layout.words(connection, table, text)
    if words is None:
        return []
    has, rank = words
    query = sa.select(*_columns(table, embeddings=False)).where(has)
    if where is not None:
        query = query.where(where(table))
    rows = connection.execute(query.order_by(rank.desc(), table.c.id).limit(limit)).mappings()
    return [dict(row) for row in rows]


def remove(
    connection: sa.Connection,
    _t: Tables,
    layout: Layout,
    name: str,
    dimension: int,
    ids: Sequence[str],
) -> int:
    """Delete documents; return how many there were."""
    table = _locked(connection, layout, name, dimension)
    gone = (sa.delete(table).where(table.c.id.in_(some)) for some in chunks(ids))
    return sum(connection.execute(each).rowcount for each in gone)


def clear(connection: sa.Connection, _t: Tables, layout: Layout, name: str, dimension: int) -> int:
    """Delete all documents of a collection; return how many there were."""
    table = _locked(connection, layout, name, dimension)
    return connection.execute(sa.delete(table)).rowcount


def scan(
    connection: sa.Connection,
    _t: Tables,
    layout: Layout,
    name: str,
    dimension: int,
    where: Where | None,
    after: str | None,
) -> list[Row]:
    """Return some of the documents that match behind an id, by id."""
    table = layout.table(layout.located(connection, name), dimension)
    query = sa.select(*_columns(table, embeddings=False))
    if after is not None:
        query = query.where(table.c.id > after)
    if where is not None:
        query = query.where(where(table))
    rows = connection.execute(query.order_by(table.c.id).limit(_PAGE)).mappings()
    return [dict(row) for row in rows]


def count(
    connection: sa.Connection,
    _t: Tables,
    layout: Layout,
    name: str,
    dimension: int,
    where: Where | None,
) -> int:
    """Return how many documents match."""
    table = layout.table(layout.located(connection, name), dimension)
    query = sa.select(sa.func.count()).select_from(table)
    if where is not None:
        query = query.where(where(table))
    return connection.execute(query).scalar_one()


def _locked(connection: sa.Connection, layout: Layout, name: str, dimension: int) -> sa.Table:
    """Return the table of a collection, which stays until the transaction ends."""
    c = layout.registry.c
    query = sa.select(c.table_name).where(c.name == name).with_for_update()
    table_name = connection.execute(query).scalar_one_or_none()
    if table_name is None:
        raise NotFoundError(f"The collection {name!r} was deleted just now")
    return layout.table(table_name, dimension)


def _columns(table: sa.Table, *, embeddings: bool) -> list[sa.ColumnElement[Any]]:
    names = [*_WITHOUT_EMBEDDING, *(["embedding"] if embeddings else [])]
    return [table.c[name] for name in names]


def _select(
    connection: sa.Connection, table: sa.Table, ids: Sequence[str], *, embeddings: bool
) -> list[Row]:
    query = sa.select(*_columns(table, embeddings=embeddings))
    found: list[Row] = []
    for some in chunks(ids):
        rows = connection.execute(query.where(table.c.id.in_(some))).mappings()
        found += [dict(row) for row in rows]
    return found
