"""The SQL stores under their documented names and constructors."""

from __future__ import annotations

import inspect
import os
import re
from typing import Any, ClassVar
from urllib.parse import urlencode

from sqlalchemy.engine import URL

from praison_persist.errors import ConfigurationError
from praison_persist.sql.dialects import COCKROACHDB as _COCKROACHDB
from praison_persist.sql.dialects import LIBSQL as _LIBSQL
from praison_persist.sql.dialects import MYSQL as _MYSQL
from praison_persist.sql.dialects import POSTGRESQL as _POSTGRESQL
from praison_persist.sql.dialects import SINGLESTORE as _SINGLESTORE
from praison_persist.sql.dialects import SQLITE as _SQLITE
from praison_persist.sql.dialects import Dialect
from praison_persist.sql.stores import AsyncSQLConversationStore, SQLConversationStore
from praison_persist.sql.url import parse_url

__all__ = [
    "AsyncCockroachDBConversationStore",
    "AsyncMySQLConversationStore",
    "AsyncPostgresConversationStore",
    "AsyncSQLiteConversationStore",
    "AsyncTursoConversationStore",
    "CockroachDBConversationStore",
    "MySQLConversationStore",
    "PostgresConversationStore",
    "SQLiteConversationStore",
    "SingleStoreConversationStore",
    "SyncSQLiteConversationStore",
    "TursoConversationStore",
]

_SQLITE_FILE = "praisonai_conversations.db"
_TURSO_FILE = "praisonai_turso.db"


def _server_url(dialect: Dialect, url: str | URL | None, parts: dict[str, Any]) -> URL | str:
    """Return the URL given, checked to be of this dialect, or one made of its parts."""
    if url is None:
        return URL.create(dialect.name, **parts)
    found = parse_url(url).dialect
    if dialect.speaks == found.name:  # the URL that the database itself shows
        text = url.render_as_string(hide_password=False) if isinstance(url, URL) else url
        scheme, _, rest = text.partition("://")
        _, plus, driver = scheme.partition("+")
        return f"{dialect.name}{plus}{driver}://{rest}"
    if dialect.name not in (found.name, found.speaks):
        schemes = (*dialect.schemes, *filter(None, [dialect.speaks]))
        raise ConfigurationError(
            f"The URL is not one of {dialect.name}: it must begin with "
            f"{' or '.join(f'{scheme}://' for scheme in schemes)}"
        )
    return url


class _OfServer:
    """The constructor of the stores of a server. Before the store's class among the bases."""

    _dialect: ClassVar[Dialect]
    _port: ClassVar[int]
    _database: ClassVar[str] = "praisonai"
    _user: ClassVar[str] = "root"
    __signature__: ClassVar[inspect.Signature | None]

    def __init__(
        self,
        url: str | URL | None = None,
        *,
        host: str = "localhost",
        port: int | None = None,
        database: str | None = None,
        user: str | None = None,
        password: str | None = None,
        **options: Any,
    ) -> None:
        parts = {
            "username": self._user if user is None else user,
            "password": password or None,
            "host": host,
            "port": self._port if port is None else port,
            "database": self._database if database is None else database,
        }
        location = _server_url(self._dialect, url, parts)
        super().__init__(location, **options)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # the store's, which is next

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        # help() shows the defaults; one with a constructor of its own has the signature of that.
        cls.__signature__ = _with_defaults(cls) if cls.__init__ is _OfServer.__init__ else None


def _with_defaults(cls: type[_OfServer]) -> inspect.Signature:
    """Return the constructor's signature with the defaults of a class."""
    defaults: dict[str, int | str] = {
        "port": cls._port,
        "database": cls._database,
        "user": cls._user,
    }
    _, *parameters = inspect.signature(_OfServer.__init__).parameters.values()
    return inspect.Signature(
        [
            each.replace(default=defaults[each.name], annotation=type(defaults[each.name]).__name__)
            if each.name in defaults
            else each
            for each in parameters
        ],
        return_annotation="None",
    )


class PostgresConversationStore(_OfServer, SQLConversationStore):
    """Conversations on PostgreSQL, over psycopg. Either `url`, or host, port, … are used."""

    _dialect, _port, _user = _POSTGRESQL, 5432, "postgres"


class AsyncPostgresConversationStore(_OfServer, AsyncSQLConversationStore):
    """Conversations on PostgreSQL for asyncio. Either `url`, or host, port, … are used."""

    _dialect, _port, _user = _POSTGRESQL, 5432, "postgres"


class CockroachDBConversationStore(_OfServer, SQLConversationStore):
    """Conversations on CockroachDB, over psycopg. Either `url`, or host, port, … are used.

    `url` may be postgresql://…, as CockroachDB itself writes it.
    """

    _dialect, _port, _database = _COCKROACHDB, 26257, "defaultdb"


class AsyncCockroachDBConversationStore(_OfServer, AsyncSQLConversationStore):
    """Conversations on CockroachDB for asyncio. Arguments as of CockroachDBConversationStore."""

    _dialect, _port, _database = _COCKROACHDB, 26257, "defaultdb"


class MySQLConversationStore(_OfServer, SQLConversationStore):
    """Conversations on MySQL or MariaDB, over PyMySQL. Either `url`, or host, port, … are used."""

    _dialect, _port = _MYSQL, 3306


class AsyncMySQLConversationStore(_OfServer, AsyncSQLConversationStore):
    """Conversations on MySQL or MariaDB for asyncio. Either `url`, or host, port, … are used."""

    _dialect, _port = _MYSQL, 3306


class SingleStoreConversationStore(_OfServer, SQLConversationStore):
    """Conversations on SingleStore, over its own client. Either `url`, or host, port, … are used.

    For asyncio use AsyncSQLConversationStore with the URL: it works in threads.
    """

    _dialect, _port = _SINGLESTORE, 3306


class SQLiteConversationStore(SQLConversationStore):
    """Conversations in an SQLite file. `url` wins over `path`; both take either form."""

    def __init__(
        self,
        path: str | os.PathLike[str] = _SQLITE_FILE,
        *,
        url: str | URL | None = None,
        **options: Any,
    ) -> None:
        super().__init__(_sqlite_location(url if url is not None else path), **options)


class SyncSQLiteConversationStore(SQLiteConversationStore):
    """The same as SQLiteConversationStore, which is safe to share between threads."""


class AsyncSQLiteConversationStore(AsyncSQLConversationStore):
    """Conversations in an SQLite file, for asyncio. `url` wins over `path`."""

    def __init__(
        self,
        path: str | os.PathLike[str] = _SQLITE_FILE,
        *,
        url: str | URL | None = None,
        **options: Any,
    ) -> None:
        super().__init__(_sqlite_location(url if url is not None else path), **options)


def _sqlite_location(location: str | os.PathLike[str] | URL) -> str | os.PathLike[str] | URL:
    if parse_url(location).dialect is not _SQLITE:
        raise ConfigurationError("The URL is not one of SQLite: write sqlite:///file.db or a path")
    return location


class TursoConversationStore(SQLConversationStore):
    """Conversations on Turso or another libSQL server, in a replica of it, or in a local file.

    Args:
        url: of the server, `libsql://…` or `https://…`; of a file, `file:…`. None: the
            environment's TURSO_DATABASE_URL, and without it `local_path`.
        auth_token: wins over the URL's `authToken` and the environment's TURSO_AUTH_TOKEN.
        local_path: a file of this process. With a server it is an embedded replica, which all
            reads are served from; without one it is the database.
        sync_on_write: bring the replica up to date before a write is acknowledged.
        options: see `praison_persist.sql.options.SQLOptions`.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        auth_token: str | None = None,
        local_path: str | os.PathLike[str] | None = None,
        sync_on_write: bool = True,
        **options: Any,
    ) -> None:
        location = _turso_location(url, auth_token, local_path, sync_on_write=sync_on_write)
        super().__init__(location, **options)

    def sync(self) -> None:
        """Bring the embedded replica up to date with what others wrote. Without one: nothing.

        Raises:
            UnavailableError: that failed.
        """
        self.database.sync()


class AsyncTursoConversationStore(AsyncSQLConversationStore):
    """The same for asyncio; the drivers' blocking calls run in worker threads."""

    def __init__(
        self,
        url: str | None = None,
        *,
        auth_token: str | None = None,
        local_path: str | os.PathLike[str] | None = None,
        sync_on_write: bool = True,
        **options: Any,
    ) -> None:
        location = _turso_location(url, auth_token, local_path, sync_on_write=sync_on_write)
        super().__init__(location, **options)

    async def sync(self) -> None:
        """See `TursoConversationStore.sync`."""
        await self.database.sync()


def _turso_location(
    url: str | None,
    auth_token: str | None,
    local_path: str | os.PathLike[str] | None,
    *,
    sync_on_write: bool,
) -> str | os.PathLike[str]:
    """Return the URL or path that the arguments of a Turso store mean."""
    location = url or os.environ.get("TURSO_DATABASE_URL")
    if not location:
        return local_path or _TURSO_FILE
    # libSQL's clients write a file with one slash or none, and a server as what serves it.
    location = re.sub(r"^file:(//)?(?=.)", "", location)
    location = re.sub(r"^(?=(https?|wss?)://)", "libsql+", location)
    dialect = parse_url(location).dialect
    if dialect is _SQLITE:
        if local_path is not None:
            raise ConfigurationError("Two files: the URL names one, and local_path another")
        return location
    if dialect is not _LIBSQL:
        raise ConfigurationError(
            "The URL is not one of libSQL: write libsql://host, https://host or file:path"
        )
    more: dict[str, str] = {} if auth_token is None else {"auth_token": auth_token}
    if local_path is not None:
        more |= {"local_path": os.fspath(local_path), "sync_on_write": str(int(sync_on_write))}
    return location + (("&" if "?" in location else "?") + urlencode(more) if more else "")
