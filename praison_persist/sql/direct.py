"""Statements on the driver's own cursor, for the few that run so often that it shows.

They are written with Core and compiled once; the connection belongs to the engine's pool; what the
driver raises arrives as it does from SQLAlchemy.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.pool import PoolProxiedConnection

__all__ = ["Cursor", "Prepared", "checked_out"]


class Prepared:
    """A Core statement in the words of one driver.

    Attributes:
        sql: the statement.
    """

    def __init__(
        self, statement: Any, dialect: sa.Dialect, columns: list[str] | None = None
    ) -> None:
        compiled = statement.compile(dialect=dialect, column_keys=columns)
        self.sql: str = compiled.string
        self._order: list[str] | None = compiled.positiontup if compiled.positional else None
        self._constants = {k: v for k, v in compiled.params.items() if v is not None}

    def parameters(self, **values: Any) -> Any:
        """Return the values as the driver's cursor takes them: in the order of the statement."""
        given = self._constants | values
        return given if self._order is None else tuple([given[name] for name in self._order])


class Cursor:
    """The driver's cursor on a pooled connection, for a `with` block.

    An exception of the driver's becomes SQLAlchemy's; the connection is given up if it is broken,
    or if the block was left in the middle.
    """

    def __init__(self, connection: PoolProxiedConnection, dialect: sa.Dialect) -> None:
        self._connection, self._dialect = connection, dialect
        self._cursor: Any = None

    def __enter__(self) -> Any:
        self._cursor = self._connection.cursor()
        return self._cursor

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if error is None:
            self._cursor.close()
            return
        if not isinstance(error, Exception):
            self._connection.invalidate(error)
            return
        if not isinstance(error, self._dialect.loaded_dbapi.Error):
            return
        gone = self._dialect.is_disconnect(error, self._connection, self._cursor)
        if gone:
            self._connection.invalidate(error)
        raise _wrapped(error, self._dialect, gone=gone) from error


@contextmanager
def checked_out(engine: sa.Engine) -> Iterator[PoolProxiedConnection]:
    """Take a connection from the engine's pool, and give it back."""
    dialect = engine.dialect
    try:
        connection = engine.raw_connection()
    except dialect.loaded_dbapi.Error as error:
        gone = dialect.is_disconnect(error, None, None)
        raise _wrapped(error, dialect, gone=gone) from error
    try:
        yield connection
    finally:
        connection.close()


def _wrapped(error: Exception, dialect: sa.Dialect, *, gone: bool) -> BaseException:
    """Return SQLAlchemy's exception for a driver's."""
    return exc.DBAPIError.instance(
        None,
        None,
        error,
        dialect.loaded_dbapi.Error,
        hide_parameters=True,
        connection_invalidated=gone,
        dialect=dialect,
    )
