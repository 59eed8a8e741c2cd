"""Knowledge in Weaviate: see docs/knowledge/weaviate.md for the layout and the limits."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import weaviate
from weaviate.classes.init import AdditionalConfig, Auth, Timeout
from weaviate.exceptions import WeaviateBaseError

from praison_persist._loops import PerLoop
from praison_persist._retry import RetryPolicy
from praison_persist.errors import ConfigurationError
from praison_persist.knowledge.base import AsyncBaseKnowledgeStore, BaseKnowledgeStore
from praison_persist.knowledge.embedders import Embedder
from praison_persist.knowledge.weaviate_driver import Clients, WeaviateDriver

__all__ = ["AsyncWeaviateKnowledgeStore", "WeaviateKnowledgeStore"]

_GRPC_PORT = 50_051  # of a server of one's own
_CLOUD = (".weaviate.cloud", ".weaviate.network")


class WeaviateKnowledgeStore(BaseKnowledgeStore):
    """Knowledge in Weaviate, a class for each collection. Shared by threads.

    Args:
        url: http(s)://host[:port] of the REST API; default: WEAVIATE_URL.
        api_key: default: WEAVIATE_API_KEY; without one, access is anonymous.
        additional_headers: sent with each request.
        grpc_host: default: that of the URL, or of Weaviate Cloud `grpc-` before it.
        grpc_port: default: 50051, or 443 of Weaviate Cloud.
        timeout: seconds to wait for a connection or a reply.
        max_retries: further tries of what failed transiently.
        retry_delay: bound in seconds of the wait before the first of them; it doubles with each.
        embedder: takes a list of texts and returns the embedding of each.

    Raises:
        ConfigurationError: there is no URL, or an option cannot be right.
    """

    def __init__(
        self,
        url: str | None = None,
        api_key: str | None = None,
        additional_headers: Mapping[str, str] | None = None,
        *,
        grpc_host: str | None = None,
        grpc_port: int | None = None,
        timeout: float = 30,
        max_retries: int = 3,
        retry_delay: float = 0.1,
        embedder: Embedder | None = None,
    ) -> None:
        options = _options(url, api_key, additional_headers, grpc_host, grpc_port, timeout)
        driver = WeaviateDriver(
            _SyncClients(options),
            _address(options),
            RetryPolicy(max_retries, retry_delay),
            time.sleep,
        )
        super().__init__(driver, embedder)


class AsyncWeaviateKnowledgeStore(AsyncBaseKnowledgeStore):
    """Knowledge in Weaviate, for asyncio. Arguments are those of `WeaviateKnowledgeStore`.

    One store serves all tasks and event loops of a process.
    """

    def __init__(
        self,
        url: str | None = None,
        api_key: str | None = None,
        additional_headers: Mapping[str, str] | None = None,
        *,
        grpc_host: str | None = None,
        grpc_port: int | None = None,
        timeout: float = 30,
        max_retries: int = 3,
        retry_delay: float = 0.1,
        embedder: Embedder | None = None,
    ) -> None:
        options = _options(url, api_key, additional_headers, grpc_host, grpc_port, timeout)
        driver = WeaviateDriver(
            _AsyncClients(options),
            _address(options),
            RetryPolicy(max_retries, retry_delay),
            asyncio.sleep,
        )
        super().__init__(driver, embedder)


class _SyncClients(Clients):
    def __init__(self, options: dict[str, Any]) -> None:
        self._options = options
        self._client: weaviate.WeaviateClient | None = None
        self._lock = threading.Lock()

    def connected(self) -> weaviate.WeaviateClient:
        """See Clients.connected."""
        with self._lock:
            if self._client is None:
                client = weaviate.WeaviateClient(**_arguments(self._options))
                try:
                    client.connect()
                except BaseException:
                    with suppress(WeaviateBaseError):
                        client.close()
                    raise
                self._client = client
            return self._client

    def close(self) -> None:
        """See Clients.close."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()


class _AsyncClients(Clients):
    def __init__(self, options: dict[str, Any]) -> None:
        self._loops = PerLoop(lambda: _OfLoop(options), lambda clients: clients.close())

    def connected(self) -> Any:
        """See Clients.connected."""
        return self._loops.get().connected()

    def close(self) -> Any:
        """See Clients.close."""
        return self._loops.close()


class _OfLoop:
    """The client of an event loop."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._options = options
        self._client: weaviate.WeaviateAsyncClient | None = None
        self._lock = asyncio.Lock()

    async def connected(self) -> weaviate.WeaviateAsyncClient:
        """Return the client, connected."""
        async with self._lock:
            if self._client is None:
                client = weaviate.WeaviateAsyncClient(**_arguments(self._options))
                try:
                    await client.connect()
                except BaseException:
                    with suppress(WeaviateBaseError):
                        await client.close()
                    raise
                self._client = client
            return self._client

    async def close(self) -> None:
        """Close it."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()


def _arguments(options: dict[str, Any]) -> dict[str, Any]:
    parts, seconds = options["url"], options["timeout"]
    secure = parts.scheme == "https"
    return {
        "connection_params": weaviate.connect.ConnectionParams.from_params(
            http_host=parts.hostname,
            http_port=parts.port or (443 if secure else 80),
            http_secure=secure,
            grpc_host=options["grpc_host"],
            grpc_port=options["grpc_port"],
            grpc_secure=secure,
        ),
        "auth_client_secret": Auth.api_key(options["api_key"]) if options["api_key"] else None,
        "additional_headers": options["headers"],
        "additional_config": AdditionalConfig(
            timeout=Timeout(init=seconds, query=seconds, insert=seconds), trust_env=False
        ),
        # They would ask PyPI for the newest version of the client.
        "skip_init_checks": True,
    }


def _options(
    url: str | None,
    api_key: str | None,
    headers: Mapping[str, str] | None,
    grpc_host: str | None,
    grpc_port: int | None,
    timeout: float,
) -> dict[str, Any]:
    url = url or os.environ.get("WEAVIATE_URL")
    api_key = api_key or os.environ.get("WEAVIATE_API_KEY")
    if not url:
        raise ConfigurationError("Weaviate needs url=, or WEAVIATE_URL")
    try:
        parts = urlsplit(url if "://" in url else f"https://{url}")
        port = parts.port
    except ValueError as error:
        raise ConfigurationError(f"The URL of Weaviate cannot be right: {error}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigurationError(
            f"A URL of Weaviate is http(s)://host:port, not one of scheme {parts.scheme!r}"
        )
    if parts.username or parts.password or parts.path.strip("/") or parts.query:
        raise ConfigurationError("A URL of Weaviate is http(s)://host:port only; see api_key=")
    if timeout <= 0:
        raise ConfigurationError(f"timeout must be more than 0 seconds, not {timeout!r}")
    if api_key and (not api_key.isascii() or any(each.isspace() for each in api_key)):
        raise ConfigurationError("api_key of Weaviate has characters that no key has")
    cloud = parts.hostname.endswith(_CLOUD)
    return {
        "url": parts,
        "address": parts.hostname if port is None else f"{parts.hostname}:{port}",
        "api_key": api_key,
        "headers": dict(headers or {}),
        "grpc_host": grpc_host or (f"grpc-{parts.hostname}" if cloud else parts.hostname),
        "grpc_port": grpc_port or (443 if cloud else _GRPC_PORT),
        "timeout": timeout,
    }


def _address(options: dict[str, Any]) -> str:
    return f"weaviate at {options['address']}"
