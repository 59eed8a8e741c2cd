"""Knowledge in Upstash Vector: see docs/knowledge/upstash_vector.md for layout and limits."""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any
from urllib.parse import urlsplit

import httpx
import upstash_vector

from praison_persist._loops import PerLoop
from praison_persist._retry import RetryPolicy
from praison_persist.errors import ConfigurationError
from praison_persist.knowledge.base import AsyncBaseKnowledgeStore, BaseKnowledgeStore
from praison_persist.knowledge.embedders import Embedder
from praison_persist.knowledge.upstash_vector_driver import UpstashVectorDriver

__all__ = ["AsyncUpstashVectorKnowledgeStore", "UpstashVectorKnowledgeStore"]


class UpstashVectorKnowledgeStore(BaseKnowledgeStore):
    """Knowledge in an index of Upstash Vector, a namespace for each collection. Thread-safe.

    Args:
        url: https://… of the index's REST API; default: UPSTASH_VECTOR_REST_URL.
        token: default: UPSTASH_VECTOR_REST_TOKEN.
        embedding_dim: the dimension that the index has to have; default: whichever it has.
        timeout: seconds to wait for a connection or a reply.
        fresh_seconds: how long a write waits until it is indexed; 0: not at all.
        max_retries: further tries of what failed transiently.
        retry_delay: bound in seconds of the wait before the first of them; it doubles with each.
        embedder: takes a list of texts and returns the embedding of each.

    Raises:
        ConfigurationError: there is no URL or no token, or an option cannot be right.
    """

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        embedding_dim: int | None = None,
        *,
        timeout: float = 30,
        fresh_seconds: float = 60,
        max_retries: int = 3,
        retry_delay: float = 0.1,
        embedder: Embedder | None = None,
    ) -> None:
        url, token = _place(url, token)
        _check(embedding_dim, timeout, fresh_seconds)
        index = upstash_vector.Index(url, token, retries=0, allow_telemetry=False)
        http = _http(index, timeout)
        super().__init__(
            UpstashVectorDriver(
                lambda: index,
                http.close,
                _address(url),
                dimension=embedding_dim,
                fresh_s=fresh_seconds,
                retry=RetryPolicy(max_retries, retry_delay),
                sleep=time.sleep,
            ),
            embedder,
        )


class AsyncUpstashVectorKnowledgeStore(AsyncBaseKnowledgeStore):
    """Knowledge in Upstash Vector, for asyncio, as `UpstashVectorKnowledgeStore`.

    One store serves all tasks and event loops of a process.
    """

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        embedding_dim: int | None = None,
        *,
        timeout: float = 30,
        fresh_seconds: float = 60,
        max_retries: int = 3,
        retry_delay: float = 0.1,
        embedder: Embedder | None = None,
    ) -> None:
        url, token = _place(url, token)
        _check(embedding_dim, timeout, fresh_seconds)

        def make() -> upstash_vector.AsyncIndex:
            index = upstash_vector.AsyncIndex(url, token, retries=0, allow_telemetry=False)
            _http(index, timeout)
            return index

        indexes = PerLoop(make, lambda index: _http(index, timeout).aclose())
        super().__init__(
            UpstashVectorDriver(
                indexes.get,
                indexes.close,
                _address(url),
                dimension=embedding_dim,
                fresh_s=fresh_seconds,
                retry=RetryPolicy(max_retries, retry_delay),
                sleep=asyncio.sleep,
            ),
            embedder,
        )


def _place(url: str | None, token: str | None) -> tuple[str, str]:
    url = url or os.environ.get("UPSTASH_VECTOR_REST_URL")
    token = token or os.environ.get("UPSTASH_VECTOR_REST_TOKEN")
    if not url or not token:
        raise ConfigurationError(
            "Upstash Vector needs url= and token=, or UPSTASH_VECTOR_REST_URL and "
            "UPSTASH_VECTOR_REST_TOKEN"
        )
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigurationError(
            "The URL of an Upstash Vector index is that of its REST API, "
            f"https://…-vector.upstash.io, not one of scheme {parts.scheme!r}"
        )
    if not token.isascii() or any(each.isspace() for each in token):
        raise ConfigurationError("token of Upstash Vector has characters that no token has")
    return url.rstrip("/"), token


def _check(dimension: object, timeout: float, fresh_seconds: float) -> None:
    whole = isinstance(dimension, int) and not isinstance(dimension, bool)
    if dimension is not None and not (whole and dimension > 0):  # type: ignore[operator]  # an int
        raise ConfigurationError(f"embedding_dim must be a whole number above 0, not {dimension!r}")
    if timeout <= 0 or fresh_seconds < 0:
        raise ConfigurationError("timeout must be above 0 seconds, fresh_seconds not below")


def _address(url: str) -> str:
    return f"upstash vector at {urlsplit(url).netloc.rpartition('@')[2]}"


def _http(index: Any, timeout: float) -> Any:
    """Return the HTTP client of an index, bounded: the SDK closes none, and waits 10 minutes."""
    client = index._client  # noqa: SLF001 - see above
    client.timeout = httpx.Timeout(timeout)
    return client
