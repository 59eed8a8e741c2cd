"""What the stores of praisonai have besides the contract, for the classes of `originals`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Any, ClassVar
from urllib.parse import urlsplit

from praison_persist.errors import ConfigurationError

__all__ = [
    "SQL",
    "AsyncKeys",
    "AsyncSQL",
    "Keys",
    "NamedClass",
    "Postgres",
    "SingleStoreVector",
    "SyncSQLite",
    "WithSchema",
]


class _AsyncNames:
    """The names that async methods had before they lost their prefix: `async_get` is `get`."""

    def __getattr__(self, name: str) -> Any:
        method = name.removeprefix("async_")
        if method == name:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(self, method)


class WithSchema:
    """A store whose tables have a version."""

    SCHEMA_VERSION: ClassVar[str] = "1.0.0"


class SQL(WithSchema):
    """A SQL store's tables."""

    database: Any

    @property
    def sessions_table(self) -> str:
        """The name of the sessions' table, with its schema if one was given."""
        return _qualified(self.database.tables.sessions)

    @property
    def messages_table(self) -> str:
        """The name of the messages' table, with its schema if one was given."""
        return _qualified(self.database.tables.messages)


class SyncSQLite(SQL):
    """The methods of SyncSQLiteConversationStore."""

    connect: Any
    delete_messages: Any

    def init(self) -> None:
        """Create the tables, if there are none."""
        self.connect()

    def clear_session(self, session_id: str) -> bool:
        """Delete the messages of a session. Return whether there were any."""
        return bool(self.delete_messages(session_id) > 0)


class AsyncSQL(SQL, _AsyncNames):
    """The methods of the async SQL stores."""

    connect: Any

    async def init(self) -> None:
        """Create the tables, if there are none."""
        await self.connect()


class Postgres(SQL):
    """What PostgresConversationStore tells of URLs."""

    _serverless_hosts: ClassVar[tuple[str, ...]] = (
        *(".neon.tech", ".cockroachlabs.cloud", ".cockroachlabs.com"),
        *(".xata.sh", ".supabase.com", ".supabase.co"),
    )

    @staticmethod
    def _is_serverless(url: str) -> bool:
        """Whether the URL is that of a service whose databases sleep."""
        host = urlsplit(url).hostname if url else None
        return host is not None and host.endswith(Postgres._serverless_hosts)

    @staticmethod
    def _ensure_ssl(url: str) -> str:
        """Return the URL, with `sslmode=require` if it is serverless and says nothing of TLS."""
        if not Postgres._is_serverless(url) or "sslmode=" in url.lower():
            return url
        return f"{url}{'&' if '?' in url else '?'}sslmode=require"


class Keys:
    """Keys by what they begin with."""

    keys: Any
    delete: Any
    scan_prefix: Any

    def list_keys(self, prefix: str | None = None) -> list[str]:
        """Return the keys that begin with `prefix`; all without one."""
        return _beginning(self.keys(), prefix)

    def clear(self, prefix: str | None = None) -> int:
        """Delete the keys that begin with `prefix`. Return how many there were."""
        return sum(bool(self.delete(key)) for key in self.list_keys(prefix))


class AsyncKeys(_AsyncNames):
    """Keys by what they begin with, for asyncio."""

    keys: Any
    delete: Any

    async def init(self) -> None:
        """Do nothing: the store connects when it is used."""

    async def list_keys(self, prefix: str | None = None) -> list[str]:
        """Return the keys that begin with `prefix`; all without one."""
        return _beginning(await self.keys(), prefix)

    async def clear(self, prefix: str | None = None) -> int:
        """Delete the keys that begin with `prefix`. Return how many there were."""
        return sum([bool(await self.delete(key)) for key in await self.list_keys(prefix)])


class NamedClass:
    """A vector store's class may be named by its dotted path."""

    def __init__(
        self,
        vectorstore: Any = None,
        vectorstore_cls: Any = None,
        vectorstore_kwargs: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        if isinstance(vectorstore_cls, str):
            module, dot, name = vectorstore_cls.rpartition(".")
            if not dot:
                raise ConfigurationError(
                    f"The class {vectorstore_cls!r} of a vector store is to be named with its "
                    "module: 'package.module.Class'"
                )
            vectorstore_cls = getattr(import_module(module), name)
        super().__init__(vectorstore, vectorstore_cls, vectorstore_kwargs, **options)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # the store's, which is next


class SingleStoreVector:
    """The server may be given in parts."""

    def __init__(
        self,
        url: Any = None,
        *,
        host: str = "localhost",
        port: int = 3306,
        database: str = "praisonai",
        user: str = "root",
        password: str = "",
        **options: Any,
    ) -> None:
        if url is None:
            from sqlalchemy.engine import URL  # noqa: PLC0415 - SQL alone needs it

            url = URL.create(
                "singlestoredb",
                username=user,
                password=password or None,
                host=host,
                port=port,
                database=database,
            )
        super().__init__(url, **options)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # the store's, which is next


def _qualified(table: Any) -> str:
    return f"{table.schema}.{table.name}" if table.schema else str(table.name)


def _beginning(keys: Iterable[str], prefix: str | None) -> list[str]:
    return sorted(key for key in keys if key.startswith(prefix or ""))
