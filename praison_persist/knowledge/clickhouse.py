"""Knowledge in ClickHouse, over clickhouse-connect (HTTP). A search is exact."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import aiohttp
import clickhouse_connect
import urllib3.exceptions

from praison_persist._loops import PerLoop
from praison_persist._processes import PerProcess
from praison_persist._retry import RetryPolicy
from praison_persist.errors import ConfigurationError
from praison_persist.knowledge.base import AsyncBaseKnowledgeStore, BaseKnowledgeStore
from praison_persist.knowledge.clickhouse_driver import ClickHouseClients, ClickHouseDriver
from praison_persist.knowledge.embedders import Embedder

__all__ = ["AsyncClickHouseKnowledgeStore", "ClickHouseKnowledgeStore"]

_PORT_MAX = 65_535


class ClickHouseKnowledgeStore(BaseKnowledgeStore):
    """Knowledge in ClickHouse. Shared by threads.

    Args:
        host: of the HTTP interface.
        port: likewise.
        username: "default" is ClickHouse's own.
        password: of the user.
        database: of the tables; created with the first collection.
        secure: speak HTTPS, and verify the server's certificate.
        timeout: seconds to wait for an answer; 10 at most for a connection.
        max_retries: further tries of what failed transiently.
        retry_delay: bound in seconds of the wait before the first of them; it doubles with each.
        embedder: takes a list of texts and returns the embedding of each.

    Raises:
        ConfigurationError: an argument cannot be right.
    """

    def __init__(
        self,
        host: str = "localhost",
        port: int = 8123,
        username: str = "default",
        password: str = "",
        database: str = "default",
        secure: bool = False,
        *,
        timeout: float = 30,
        max_retries: int = 3,
        retry_delay: float = 0.1,
        embedder: Embedder | None = None,
    ) -> None:
        arguments = _arguments(host, port, username, password, database, secure, timeout)
        super().__init__(
            ClickHouseDriver(
                _Clients(arguments),
                database,
                f"{host}:{port}",
                (urllib3.exceptions.HTTPError, OSError),
                RetryPolicy(max_retries, retry_delay),
                time.sleep,
            ),
            embedder,
        )


class AsyncClickHouseKnowledgeStore(AsyncBaseKnowledgeStore):
    """Knowledge in ClickHouse, for asyncio. Arguments and errors are those of the sync store.

    One store serves all tasks and event loops of a process.
    """

    def __init__(
        self,
        host: str = "localhost",
        port: int = 8123,
        username: str = "default",
        password: str = "",
        database: str = "default",
        secure: bool = False,
        *,
        timeout: float = 30,
        max_retries: int = 3,
        retry_delay: float = 0.1,
        embedder: Embedder | None = None,
    ) -> None:
        arguments = _arguments(host, port, username, password, database, secure, timeout)
        super().__init__(
            ClickHouseDriver(
                _AsyncClients(arguments),
                database,
                f"{host}:{port}",
                (aiohttp.ClientError, OSError),
                RetryPolicy(max_retries, retry_delay),
                asyncio.sleep,
            ),
            embedder,
        )


def _arguments(
    host: str,
    port: int,
    username: str,
    password: str,
    database: str,
    secure: bool,
    timeout: float,
) -> dict[str, Any]:
    if not isinstance(host, str) or not host or "/" in host or "@" in host:
        raise ConfigurationError("host is the name of a ClickHouse server, and no URL")
    if isinstance(port, bool) or not isinstance(port, int) or not 1 <= port <= _PORT_MAX:
        raise ConfigurationError(f"port={port!r} must be a number from 1 to {_PORT_MAX}")
    if not isinstance(database, str) or not database:
        raise ConfigurationError(f"database={database!r} must be a name")
    if not isinstance(timeout, int | float) or timeout <= 0:
        raise ConfigurationError(f"timeout={timeout!r} must be a number of seconds")
    return {
        "interface": "https" if secure else "http",
        "host": host,
        "port": port,
        "username": username,
        "password": password or "",
        # Not ours, which need not be there yet.
        "database": "default",
        "connect_timeout": min(10, timeout),
        "send_receive_timeout": timeout,
        # In the body: a URL is too short for many ids.
        "form_encode_query_params": True,
        "autogenerate_session_id": False,  # of which one serves a statement at a time
        "query_retries": 0,
    }


class _Clients(ClickHouseClients):
    def __init__(self, arguments: dict[str, Any]) -> None:
        self._clients = PerProcess(
            lambda: clickhouse_connect.get_client(**arguments), lambda client: client.close()
        )

    def get(self) -> Any:
        """See ClickHouseClients.get."""
        return self._clients.get()

    def close(self) -> Any:
        """See ClickHouseClients.close."""
        return self._clients.close()


class _AsyncClients(ClickHouseClients):
    def __init__(self, arguments: dict[str, Any]) -> None:
        self._clients = PerLoop(lambda: _AsyncClient(arguments), _AsyncClient.close)

    def get(self) -> Any:
        """See ClickHouseClients.get."""
        return self._clients.get().connected()

    def close(self) -> Any:
        """See ClickHouseClients.close."""
        return self._clients.close()


class _AsyncClient:
    """A client of an event loop, which connects when it is first asked for."""

    def __init__(self, arguments: dict[str, Any]) -> None:
        self._arguments = arguments
        self._client: Any = None
        self._lock = asyncio.Lock()

    async def connected(self) -> Any:
        async with self._lock:
            if self._client is None:
                self._client = await clickhouse_connect.get_async_client(**self._arguments)
        return self._client

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()
