"""State in Upstash Redis: the commands of Redis over its REST API, through upstash-redis."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol
from urllib.parse import urlsplit

import httpx
import upstash_redis
import upstash_redis.asyncio
from upstash_redis.errors import UpstashError

from praison_persist._loops import PerLoop
from praison_persist._retry import RetryPolicy
from praison_persist.errors import ConfigurationError
from praison_persist.state.base import AsyncBaseStateStore, BaseStateStore
from praison_persist.state.redis_commands import Commands, RedisDriver, check_namespace

__all__ = ["AsyncUpstashStateStore", "UpstashStateStore"]


class UpstashStateStore(BaseStateStore):
    """State in Upstash Redis. Shared by threads.

    Args:
        url: https://… or upstash://… of the REST API; default: UPSTASH_REDIS_URL or
            UPSTASH_REDIS_REST_URL.
        token: default: UPSTASH_REDIS_TOKEN or UPSTASH_REDIS_REST_TOKEN.
        prefix: begins each key in the database.
        socket_timeout: seconds to wait for a connection or a reply.
        max_retries: further tries of what failed transiently.
        retry_delay: bound in seconds of the wait before the first of them; it doubles with each.

    Raises:
        ConfigurationError: there is no URL or no token, or they cannot be right.
    """

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        prefix: str = "praison:",
        *,
        socket_timeout: float = 10,
        max_retries: int = 3,
        retry_delay: float = 0.1,
    ) -> None:
        url, token = _place(url, token)
        client = upstash_redis.Redis(url, token, rest_retries=0, allow_telemetry=False)
        _limit(client, socket_timeout)
        super().__init__(
            RedisDriver(
                _Rest(lambda: client, client.close),
                check_namespace(prefix),
                f"upstash at {urlsplit(url).netloc}",
                RetryPolicy(max_retries, retry_delay),
                time.sleep,
            )
        )


class AsyncUpstashStateStore(AsyncBaseStateStore):
    """State in Upstash Redis, for asyncio. Arguments and errors are those of `UpstashStateStore`.

    One store serves all tasks and event loops of a process.
    """

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        prefix: str = "praison:",
        *,
        socket_timeout: float = 10,
        max_retries: int = 3,
        retry_delay: float = 0.1,
    ) -> None:
        url, token = _place(url, token)

        def make() -> upstash_redis.asyncio.Redis:
            client = upstash_redis.asyncio.Redis(url, token, rest_retries=0, allow_telemetry=False)
            _limit(client, socket_timeout)
            return client

        clients = PerLoop(make, lambda client: client.close())
        super().__init__(
            RedisDriver(
                _Rest(clients.get, clients.close),
                check_namespace(prefix),
                f"upstash at {urlsplit(url).netloc}",
                RetryPolicy(max_retries, retry_delay),
                asyncio.sleep,
            )
        )


def _place(url: str | None, token: str | None) -> tuple[str, str]:
    url = url or os.environ.get("UPSTASH_REDIS_URL") or os.environ.get("UPSTASH_REDIS_REST_URL")
    token = (
        token or os.environ.get("UPSTASH_REDIS_TOKEN") or os.environ.get("UPSTASH_REDIS_REST_TOKEN")
    )
    if not url or not token:
        raise ConfigurationError(
            "Upstash needs url= and token=, or UPSTASH_REDIS_URL and UPSTASH_REDIS_TOKEN"
        )
    if url.lower().startswith("upstash://"):
        url = f"https://{url[len('upstash://') :]}"
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigurationError(
            f"An Upstash URL is that of its REST API, https://…upstash.io, not one of scheme "
            f"{parts.scheme!r}; a redis:// or rediss:// URL belongs to the redis backend"
        )
    return url.rstrip("/"), token


def _limit(client: Any, seconds: float) -> None:
    """Bound each request: upstash-redis would wait for ever, and has no setting for it."""
    client._http._client.timeout = httpx.Timeout(seconds)  # noqa: SLF001 - see above


class _Client(Protocol):
    """What the SDK's clients of both colours have."""

    def execute(self, command: list[Any]) -> Any:
        """Send a command."""

    def pipeline(self) -> Any:
        """Return a pipeline."""


class _Rest(Commands):
    """Commands over HTTP."""

    failures = (UpstashError, httpx.HTTPError, json.JSONDecodeError)

    def __init__(self, client: Callable[[], _Client], close: Callable[[], Any]) -> None:
        self._client, self._close = client, close

    def run(self, *args: str) -> Any:
        """See Commands.run."""
        return self._client().execute(list(args))

    def run_many(self, commands: Sequence[Sequence[str]]) -> Any:
        """See Commands.run_many."""
        pipeline = self._client().pipeline()
        for command in commands:
            pipeline.execute(list(command))
        return pipeline.exec()

    def close(self) -> Any:
        """See Commands.close."""
        return self._close()

    def is_transient(self, error: BaseException) -> bool:
        """See Commands.is_transient."""
        # What is no JSON comes from a gateway on the way.
        return isinstance(error, httpx.TransportError | json.JSONDecodeError)

    def is_refused(self, error: BaseException) -> bool:
        """See Commands.is_refused."""
        words = ("Unauthorized", "WRONGPASS", "NOPERM")
        return isinstance(error, UpstashError) and any(word in str(error) for word in words)
