"""SQLAlchemy's dialect of libSQL servers: SQLite's, over the driver in `hrana`."""

from __future__ import annotations

from typing import Any

from sqlalchemy.dialects.sqlite.base import SQLiteDialect
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import Pool, QueuePool

from praison_persist.sql import hrana

__all__ = ["LibSQLDialect"]


class LibSQLDialect(SQLiteDialect):
    """SQLite's SQL and catalogue; each connection is one to a server."""

    driver = "hrana"
    default_paramstyle = "qmark"
    supports_statement_cache = True

    @classmethod
    def import_dbapi(cls) -> Any:
        """Return the driver."""
        return hrana

    @classmethod
    def get_pool_class(cls, url: URL) -> type[Pool]:  # noqa: ARG003 - the dialect's interface
        """Return the pool of a server, not of a file."""
        return QueuePool

    def _get_server_version_info(self, connection: Any) -> tuple[int, ...]:  # noqa: ARG002 - the dialect's interface
        return hrana.sqlite_version_info

    def create_connect_args(self, url: URL) -> tuple[list[Any], dict[str, Any]]:
        """Return what the URL says to `hrana.connect`."""
        if url.username or url.password or url.database:
            raise ArgumentError(
                "a libSQL URL has neither user nor path; write libsql://host?authToken=…"
            )
        return [url.host], {"port": url.port}

    def get_isolation_level_values(self, dbapi_connection: Any) -> Any:  # noqa: ARG002 - the dialect's interface
        """Return the levels there are."""
        return ["SERIALIZABLE", "AUTOCOMMIT"]

    def get_default_isolation_level(self, dbapi_conn: Any) -> Any:  # noqa: ARG002 - the dialect's interface
        """Return the only level; a server does not let it be asked for."""
        return "SERIALIZABLE"

    def get_isolation_level(self, dbapi_connection: Any) -> Any:
        """Return the level of a connection."""
        return "AUTOCOMMIT" if dbapi_connection.isolation_level is None else "SERIALIZABLE"

    def set_isolation_level(self, dbapi_connection: Any, level: str) -> None:
        """Begin transactions, or let each statement be one."""
        dbapi_connection.isolation_level = None if level == "AUTOCOMMIT" else "DEFERRED"

    def is_disconnect(self, e: Any, connection: Any, cursor: Any) -> bool:  # noqa: ARG002 - the dialect's interface
        """Whether the connection has to be replaced."""
        return isinstance(e, hrana.Error) and e.lost

    def do_ping(self, dbapi_connection: Any) -> bool:  # noqa: ARG002 - the dialect's interface
        """Return True: a connection that ended while it waited is made anew when it is used."""
        return True
