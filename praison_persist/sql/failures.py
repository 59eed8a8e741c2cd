"""What a driver's exception means: try again, unavailable, conflict, or broken.

Each exception that a driver can raise at the seam (`Database.run`) becomes one of ours here, once.
"""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any

from sqlalchemy import exc

from praison_persist.errors import (
    BackendError,
    ConflictError,
    InvalidDataError,
    PersistError,
    UnavailableError,
)
from praison_persist.sql.dialects import Dialect, Driver

__all__ = ["codes", "connect_errors", "is_conflict", "is_transient", "translate"]

# What PostgreSQL tells behind its message, the values of the row among it.
_VALUES = re.compile(r"\n(?:DETAIL|HINT|CONTEXT|LINE \d+):")


def is_transient(error: BaseException, dialect: Dialect) -> bool:
    """Whether the same operation, tried again on another connection, may succeed."""
    if isinstance(error, exc.TimeoutError):
        return False  # the pool already waited
    if isinstance(error, exc.DBAPIError) and error.connection_invalidated:
        return True
    given = codes(error)
    if given:
        return not given.isdisjoint(dialect.retryable)
    # Without a code it never reached the database: sockets, name resolution, a closed connection.
    # What is not SQLAlchemy's is of a driver that could not connect.
    return isinstance(error, exc.OperationalError | exc.InterfaceError) or not isinstance(
        error, exc.SQLAlchemyError
    )


def is_conflict(error: BaseException, dialect: Dialect) -> bool:
    """Whether the transaction was lost, to another or to doubt, and not the server."""
    return not codes(error).isdisjoint(dialect.conflicts)


def connect_errors(driver: Driver) -> tuple[type[BaseException], ...]:
    """Return the driver's exceptions that SQLAlchemy may not wrap."""
    found = []
    for name in driver.connect_errors:
        module, _, attribute = name.partition(":")
        found.append(getattr(import_module(module), attribute))
    return tuple(found)


def translate(
    error: BaseException, dialect: Dialect, address: str, *, attempts: int, elapsed_s: float
) -> PersistError:
    """Return our exception for a driver's; the caller raises it `from` the original."""
    where = f"{dialect.name} at {address}"
    cause = _describe(error)
    if isinstance(error, exc.TimeoutError):
        return UnavailableError(
            f"{where}: no pooled connection became free in time; raise pool_size, max_overflow or "
            f"pool_timeout, or hold sessions for less long ({cause})",
            attempts=attempts,
            elapsed_s=elapsed_s,
        )
    if is_transient(error, dialect):
        return UnavailableError(
            f"{where} is unavailable after {attempts} attempts in {elapsed_s:.1f} s: {cause}. "
            "Check that the server runs and can be reached; the operation can be repeated as it is",
            attempts=attempts,
            elapsed_s=elapsed_s,
        )
    if not codes(error).isdisjoint(dialect.refused):
        return UnavailableError(
            f"{where} refused: {cause}. Check user, password, database name, file permissions "
            "and free disk space",
            attempts=attempts,
            elapsed_s=elapsed_s,
        )
    if isinstance(error, exc.IntegrityError):
        return ConflictError(f"{where}: what was written conflicts with what is stored: {cause}")
    if isinstance(error, exc.DataError):
        return InvalidDataError(f"{where} cannot hold a value: {cause}")
    return BackendError(f"{where} failed: {cause}")


def codes(error: BaseException) -> set[str | int]:
    """Return what the driver gave of SQLSTATE, errno, SQLite result code or Hrana's."""
    origin: Any = error.orig if isinstance(error, exc.DBAPIError) else error
    if isinstance(origin, OSError):
        return set()  # its errno is the system's, not the database's
    first = origin.args[0] if getattr(origin, "args", None) else None
    sqlite = getattr(origin, "sqlite_errorcode", None)
    given = (
        getattr(origin, "sqlstate", None),
        getattr(origin, "pgcode", None),
        getattr(origin, "hrana_code", None),
        sqlite & 0xFF if isinstance(sqlite, int) else None,  # the primary result code
        first if isinstance(first, int) else None,
    )
    return {code for code in given if code}


def _describe(error: BaseException) -> str:
    """Return the driver's own words: never the statement, its parameters or the URL."""
    origin = error.orig if isinstance(error, exc.DBAPIError) and error.orig else error
    text = _VALUES.split(str(origin), maxsplit=1)[0]
    return (" ".join(text.split()) or type(origin).__name__)[:500].rstrip(".")
