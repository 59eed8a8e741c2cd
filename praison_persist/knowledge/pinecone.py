"""Knowledge in Pinecone: see docs/knowledge/pinecone.md for the layout and the limits."""

from __future__ import annotations

import asyncio
import os
import re
import threading
import time
from typing import Any
from urllib.parse import urlsplit

import pinecone

from praison_persist._loops import PerLoop
from praison_persist._retry import RetryPolicy
from praison_persist.errors import ConfigurationError
from praison_persist.knowledge.base import AsyncBaseKnowledgeStore, BaseKnowledgeStore
from praison_persist.knowledge.embedders import Embedder
from praison_persist.knowledge.pinecone_driver import Clients, PineconeDriver, Place
from praison_persist.knowledge.pinecone_records import PREFIX_MAX

__all__ = ["AsyncPineconeKnowledgeStore", "PineconeKnowledgeStore"]

_HOST = "https://api.pinecone.io"
_PREFIX = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_KEY = re.compile(r"[\x21-\x7e]+")
_NAMESPACE = re.compile(r"[\x21-\x7e]{0,400}")
_ENVIRONMENT = re.compile(r"([a-z0-9-]+)-(aws|gcp|azure)")


class PineconeKnowledgeStore(BaseKnowledgeStore):
    """Knowledge in Pinecone's serverless indexes, one for each collection. Shared by threads.

    Args:
        api_key: default: PINECONE_API_KEY.
        index_name: begins the names of the indexes: up to 15 lowercase letters, digits and
            hyphens; default: PINECONE_INDEX, or "praison".
        environment: the region and cloud of new indexes, such as "us-east-1-aws"; default:
            Pinecone's.
        namespace: of the documents in each index; default: that without a name.
        host: of the control plane; default: PINECONE_CONTROLLER_HOST, or Pinecone's.
        timeout: seconds to wait for a reply.
        cache_seconds: how long the description of an index is believed before it is asked for
            again. Pinecone takes some 100 ms for that.
        fresh_seconds: how long a write waits until queries show it; 0: not at all.
        max_retries: further tries of what failed transiently.
        retry_delay: bound in seconds of the wait before the first of them; it doubles with each.
        embedder: takes a list of texts and returns the embedding of each.

    Raises:
        ConfigurationError: there is no key, or an option cannot be right.
    """

    def __init__(
        self,
        api_key: str | None = None,
        index_name: str | None = None,
        environment: str | None = None,
        namespace: str = "",
        *,
        host: str | None = None,
        timeout: float = 30,
        cache_seconds: float = 10,
        fresh_seconds: float = 60,
        max_retries: int = 3,
        retry_delay: float = 0.1,
        embedder: Embedder | None = None,
    ) -> None:
        place = _place(index_name, environment, namespace, cache_seconds, fresh_seconds)
        options = _options(api_key, host, timeout)
        driver = PineconeDriver(
            _SyncClients(options),
            place,
            _address(options),
            RetryPolicy(max_retries, retry_delay),
            time.sleep,
        )
        super().__init__(driver, embedder)


class AsyncPineconeKnowledgeStore(AsyncBaseKnowledgeStore):
    """Knowledge in Pinecone, for asyncio. Arguments are those of `PineconeKnowledgeStore`.

    One store serves all tasks and event loops of a process.
    """

    def __init__(
        self,
        api_key: str | None = None,
        index_name: str | None = None,
        environment: str | None = None,
        namespace: str = "",
        *,
        host: str | None = None,
        timeout: float = 30,
        cache_seconds: float = 10,
        fresh_seconds: float = 60,
        max_retries: int = 3,
        retry_delay: float = 0.1,
        embedder: Embedder | None = None,
    ) -> None:
        place = _place(index_name, environment, namespace, cache_seconds, fresh_seconds)
        options = _options(api_key, host, timeout)
        driver = PineconeDriver(
            _AsyncClients(options),
            place,
            _address(options),
            RetryPolicy(max_retries, retry_delay),
            asyncio.sleep,
        )
        super().__init__(driver, embedder)


class _SyncClients(Clients):
    def __init__(self, options: dict[str, Any]) -> None:
        self._control = pinecone.Pinecone(
            **options, retry_config=pinecone.RetryConfig(max_retries=0)
        )
        self._options = options
        self._indexes: dict[str, pinecone.Index] = {}
        self._lock = threading.Lock()

    @property
    def control(self) -> Any:
        """See Clients.control."""
        return self._control

    def index(self, host: str) -> Any:
        """See Clients.index."""
        with self._lock:
            client = self._indexes.get(host)
            if client is None:
                client = self._indexes[host] = pinecone.Index(**{**self._options, "host": host})
        return client

    def close(self) -> None:
        """See Clients.close."""
        for client in self._indexes.values():
            client.close()
        self._control.close()


class _AsyncClients(Clients):
    def __init__(self, options: dict[str, Any]) -> None:
        self._loops = PerLoop(lambda: _OfLoop(options), lambda clients: clients.close())

    @property
    def control(self) -> Any:
        """See Clients.control."""
        return self._loops.get().control

    def index(self, host: str) -> Any:
        """See Clients.index."""
        return self._loops.get().index(host)

    def close(self) -> Any:
        """See Clients.close."""
        return self._loops.close()


class _OfLoop:
    """The clients of an event loop."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.control = pinecone.AsyncPinecone(
            **options, retry_config=pinecone.RetryConfig(max_retries=0)
        )
        self._options = options
        self._indexes: dict[str, pinecone.AsyncIndex] = {}

    def index(self, host: str) -> pinecone.AsyncIndex:
        """Return the client of an index."""
        client = self._indexes.get(host)
        if client is None:
            client = self._indexes[host] = pinecone.AsyncIndex(**{**self._options, "host": host})
        return client

    async def close(self) -> None:
        """Close all of them."""
        for client in self._indexes.values():
            await client.close()
        await self.control.close()


def _options(api_key: str | None, host: str | None, timeout: float) -> dict[str, Any]:
    api_key = api_key or os.environ.get("PINECONE_API_KEY")
    if not api_key:
        raise ConfigurationError("Pinecone needs api_key=, or PINECONE_API_KEY")
    if not _KEY.fullmatch(api_key):
        raise ConfigurationError(
            "api_key of Pinecone has spaces, line ends or other characters that no key has"
        )
    host = host or os.environ.get("PINECONE_CONTROLLER_HOST") or _HOST
    if "://" not in host:
        host = f"https://{host}"
    parts = urlsplit(host)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigurationError(
            f"host of Pinecone is the https:// URL of its control plane, not of {parts.scheme!r}"
        )
    if timeout <= 0:
        raise ConfigurationError(f"timeout must be more than 0 seconds, not {timeout!r}")
    return {"api_key": api_key, "host": host.rstrip("/"), "timeout": float(timeout)}


def _address(options: dict[str, Any]) -> str:
    return f"pinecone at {urlsplit(options['host']).netloc.rpartition('@')[2]}"


def _place(
    index_name: str | None,
    environment: str | None,
    namespace: str,
    cache_seconds: float,
    fresh_seconds: float,
) -> Place:
    prefix = index_name or os.environ.get("PINECONE_INDEX") or "praison"
    if len(prefix) > PREFIX_MAX or not _PREFIX.fullmatch(prefix):
        raise ConfigurationError(
            f"index_name {prefix!r} begins the names of indexes, and must be up to {PREFIX_MAX} "
            "lowercase ASCII letters, digits and hyphens between them"
        )
    if not isinstance(namespace, str) or not _NAMESPACE.fullmatch(namespace):
        raise ConfigurationError(
            f"namespace {namespace!r} must be up to 400 ASCII characters without spaces"
        )
    if cache_seconds < 0 or fresh_seconds < 0:
        raise ConfigurationError("cache_seconds and fresh_seconds cannot be negative")
    deployment = None
    if environment is not None:
        found = _ENVIRONMENT.fullmatch(environment)
        if found is None:
            raise ConfigurationError(
                f"environment {environment!r} must be a region and a cloud, such as us-east-1-aws"
            )
        region, cloud = found.groups()
        deployment = {"deployment_type": "managed", "cloud": cloud, "region": region}
    return Place(
        prefix,
        "" if namespace == "__default__" else namespace,
        deployment,
        cache_seconds,
        fresh_seconds,
    )
