"""The index for searching messages: optional, made and dropped while others read and write.

It is no part of the schema: Alembic neither makes nor compares it, and a search does without.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import sqlalchemy as sa

from praison_persist.errors import UnsupportedError
from praison_persist.sql import search_mysql, search_postgresql, search_sqlite
from praison_persist.sql.exclusive import run_alone
from praison_persist.sql.schema import Tables
from praison_persist.sql.search_names import Narrow
from praison_persist.sql.url import Target

__all__ = [
    "SearchIndex",
    "change_alone",
    "create_search_index",
    "drop_search_index",
    "has_search_index",
    "index_of",
]


@dataclass(frozen=True, slots=True)
class SearchIndex:
    """How one kind of database indexes messages for a search.

    Attributes:
        create: makes the index, or completes it; under the migration lock.
        drop: removes all that belongs to it.
        exists: whether it is there, and whole.
        narrow: see `Narrow`.
    """

    create: Callable[[sa.Connection, Tables], None]
    drop: Callable[[sa.Connection, Tables], None]
    exists: Callable[[sa.Connection, Tables], bool]
    narrow: Narrow


_INDEXES: Final[Mapping[str, SearchIndex]] = MappingProxyType(
    {
        "postgresql": SearchIndex(
            search_postgresql.create,
            search_postgresql.drop,
            search_postgresql.exists,
            search_postgresql.narrow,
        ),
        "mysql": SearchIndex(
            search_mysql.create, search_mysql.drop, search_mysql.exists, search_mysql.narrow
        ),
        "sqlite": SearchIndex(
            search_sqlite.create, search_sqlite.drop, search_sqlite.exists, search_sqlite.narrow
        ),
    }
)


def index_of(connection: sa.Connection) -> SearchIndex | None:
    """Return how this database indexes messages; None if it does not."""
    return _INDEXES.get(connection.dialect.name)


def create_search_index(connection: sa.Connection, t: Tables) -> None:
    """Create the index unless it is there.

    Raises:
        UnsupportedError: there is none for this database.
    """
    index = index_of(connection)
    if index is None:
        raise UnsupportedError(
            f"There is no search index for {connection.dialect.name}; search_messages does "
            "without, and reads all messages"
        )
    index.create(connection, t)


def drop_search_index(connection: sa.Connection, t: Tables) -> None:
    """Drop the index if it is there."""
    index = index_of(connection)
    if index is not None:
        index.drop(connection, t)


def has_search_index(connection: sa.Connection, t: Tables) -> bool:
    """Return whether the index is there."""
    index = index_of(connection)
    return index is not None and index.exists(connection, t)


def change_alone(
    target: Target, t: Tables, change: Callable[[sa.Connection, Tables], None]
) -> None:
    """Create or drop the index of a database that outlives a connection, one process at a time.

    Raises:
        UnavailableError: another process has the migration lock for too long.
    """
    run_alone(target, t, lambda connection: change(connection, t))
