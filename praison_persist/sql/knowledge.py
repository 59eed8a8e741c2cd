"""Operations on documents with embeddings.

Each term of a document's metadata is a row, with its number where it is a field that has one; what
they mean is the caller's. `where` makes a condition on the rows of `t.documents`. Who writes
documents locks their collection first, so that it is not deleted meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa

from praison_persist.errors import ConflictError, NotFoundError
from praison_persist.sql.conversation import chunks
from praison_persist.sql.replica import about_all
from praison_persist.sql.schema import Tables
from praison_persist.sql.statements import insert_new, insert_or_replace
from praison_persist.sql.vectors import Vector, has_pgvector, pgvector_distance

__all__ = [
    "clear",
    "count",
    "create",
    "describe",
    "drop",
    "embeddings",
    "fetch",
    "has_vectors",
    "names",
    "nearest",
    "put",
    "remove",
    "scan",
]

Row = dict[str, Any]
Where = Callable[[Tables], sa.ColumnElement[bool]]

_PAGE = 1000  # documents
_ROWS = 500  # of one INSERT: five columns each stay below the parameters that databases take
_WITHOUT_EMBEDDING = ("id", "content", "metadata", "content_hash", "created_at")


def names(connection: sa.Connection, t: Tables) -> list[str]:
    """Return the names of all collections."""
    return list(connection.execute(sa.select(t.collections.c.name)).scalars())


def describe(connection: sa.Connection, t: Tables, name: str) -> Row | None:
    """Return name, dimension, distance and metadata of a collection."""
    c = t.collections.c
    query = sa.select(c.name, c.dimension, c.distance, c.metadata).where(c.name == name)
    row = connection.execute(query).mappings().one_or_none()
    return None if row is None else dict(row)


@about_all
def create(connection: sa.Connection, t: Tables, row: Row) -> None:
    """Create a collection, unless there is one."""
    connection.execute(insert_new(connection, t.collections), [row])


@about_all
def drop(connection: sa.Connection, t: Tables, name: str) -> None:
    """Delete a collection with its documents."""
    connection.execute(sa.delete(t.collections).where(t.collections.c.name == name))
    _delete_all(connection, t, name)


@about_all
def put(
    connection: sa.Connection,
    t: Tables,
    name: str,
    documents: Sequence[Row],
    terms: Sequence[Row],
    *,
    new: bool,
) -> None:
    """Store documents with their terms.

    Raises:
        NotFoundError: the collection is gone.
        ConflictError: `new`, and there is another document of one of the ids.
    """
    _lock(connection, t, name)
    ids = [row["id"] for row in documents]
    if new:
        given = {row["id"]: row for row in documents}
        for stored in _select(connection, t, name, ids, [*_WITHOUT_EMBEDDING, "embedding"]):
            # An equal one is of an earlier try whose answer was lost.
            if any(stored[key] != given[stored["id"]][key] for key in stored):
                raise ConflictError(
                    f"The collection {name!r} has a document {stored['id']!r}; upsert replaces it"
                )
    c = t.terms.c
    for some in chunks(ids):
        connection.execute(sa.delete(t.terms).where(c.collection == name, c.document_id.in_(some)))
    connection.execute(insert_or_replace(connection, t.documents), list(documents))
    for begin in range(0, len(terms), _ROWS):
        connection.execute(sa.insert(t.terms), list(terms[begin : begin + _ROWS]))


def fetch(
    connection: sa.Connection, t: Tables, name: str, ids: Sequence[str], *, embeddings: bool
) -> list[Row]:
    """Return those of the documents that there are."""
    columns = [*_WITHOUT_EMBEDDING, *(["embedding"] if embeddings else [])]
    return _select(connection, t, name, ids, columns)


@about_all
def remove(connection: sa.Connection, t: Tables, name: str, ids: Sequence[str]) -> int:
    """Delete documents; return how many there were."""
    _lock(connection, t, name)
    c, removed = t.documents.c, 0
    for some in chunks(ids):
        of_these = (t.terms.c.collection == name, t.terms.c.document_id.in_(some))
        connection.execute(sa.delete(t.terms).where(*of_these))
        gone = sa.delete(t.documents).where(c.collection == name, c.id.in_(some))
        removed += connection.execute(gone).rowcount
    return removed


@about_all
def clear(connection: sa.Connection, t: Tables, name: str) -> int:
    """Delete all documents of a collection; return how many there were."""
    _lock(connection, t, name)
    return _delete_all(connection, t, name)


def scan(
    connection: sa.Connection, t: Tables, name: str, where: Where | None, after: str | None
) -> list[Row]:
    """Return some of the documents that match behind an id, by id."""
    c = t.documents.c
    query = sa.select(*(c[column] for column in _WITHOUT_EMBEDDING))
    query = query.where(*_behind(t, name, where, after)).order_by(c.id).limit(_PAGE)
    return [dict(row) for row in connection.execute(query).mappings()]


def count(connection: sa.Connection, t: Tables, name: str, where: Where | None) -> int:
    """Return how many documents match."""
    query = sa.select(sa.func.count()).select_from(t.documents)
    return connection.execute(query.where(*_behind(t, name, where, None))).scalar_one()


def embeddings(
    connection: sa.Connection, t: Tables, name: str, where: Where | None, after: str | None
) -> list[tuple[str, bytes]]:
    """Return ids and embeddings of some of the documents that match behind an id, by id."""
    c = t.documents.c
    query = sa.select(c.id, c.embedding).where(*_behind(t, name, where, after))
    rows = connection.execute(query.order_by(c.id).limit(_PAGE))
    return [(row.id, row.embedding) for row in rows]


def has_vectors(connection: sa.Connection, t: Tables) -> bool:  # noqa: ARG001 - an operation's form
    """Whether the database measures distances itself: PostgreSQL with the extension vector."""
    return has_pgvector(connection)


def nearest(
    connection: sa.Connection,
    t: Tables,
    name: str,
    vector: Sequence[float],
    distance: str,
    where: Where | None,
    limit: int,
) -> list[tuple[str, float]]:
    """Return ids and distances of the nearest documents, measured by the database."""
    c = t.documents.c
    stored = sa.cast(c.embedding, Vector())
    measured = pgvector_distance(stored, vector, distance).label("measured")
    query = sa.select(c.id, measured).where(*_behind(t, name, where, None))
    rows = connection.execute(query.order_by(measured, c.id).limit(limit))
    return [(row.id, row.measured) for row in rows]


def _behind(
    t: Tables, name: str, where: Where | None, after: str | None
) -> list[sa.ColumnElement[bool]]:
    conditions: list[sa.ColumnElement[bool]] = [t.documents.c.collection == name]
    if after is not None:
        conditions.append(t.documents.c.id > after)
    return conditions if where is None else [*conditions, where(t)]


def _select(
    connection: sa.Connection, t: Tables, name: str, ids: Sequence[str], columns: Sequence[str]
) -> list[Row]:
    c = t.documents.c
    query = sa.select(*(c[column] for column in columns)).where(c.collection == name)
    found: list[Row] = []
    for some in chunks(ids):
        rows = connection.execute(query.where(c.id.in_(some))).mappings()
        found += [dict(row) for row in rows]
    return found


def _lock(connection: sa.Connection, t: Tables, name: str) -> None:
    query = sa.select(t.collections.c.name).where(t.collections.c.name == name)
    if connection.execute(query.with_for_update()).first() is None:
        raise NotFoundError(f"The collection {name!r} was deleted just now")


def _delete_all(connection: sa.Connection, t: Tables, name: str) -> int:
    connection.execute(sa.delete(t.terms).where(t.terms.c.collection == name))
    gone = sa.delete(t.documents).where(t.documents.c.collection == name)
    return connection.execute(gone).rowcount
