"""Knowledge in Redis with RediSearch (Redis 8, Redis Stack), through redis-py."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from math import ceil
from typing import Any

from praison_persist._loops import PerLoop
from praison_persist._redis_clients import OnceClient, close_async_client, make_async_client
from praison_persist._redis_target import CLUSTER, SENTINEL, SINGLE, RedisTarget, redis_target
from praison_persist._retry import RetryPolicy
from praison_persist.errors import ConfigurationError
from praison_persist.knowledge.base import AsyncBaseKnowledgeStore, BaseKnowledgeStore
from praison_persist.knowledge.embedders import Embedder
from praison_persist.knowledge.redis_driver import Clients, RedisKnowledgeDriver

__all__ = ["AsyncRedisKnowledgeStore", "RedisKnowledgeStore"]

_POOL_SIZE = 50
# A failover takes seconds: more tries where there is somebody to fail over to.
_RETRIES = {SINGLE: 3, SENTINEL: 8}
_MAX_DELAY_S = 1.0
# What valkey-search takes as TIMEOUT at most: github.com/valkey-io/valkey-search,
# "Configurables", max-timeout-ms.
_TIMEOUT_MAX_S = 60
_GRACE_S = 1


class RedisKnowledgeStore(BaseKnowledgeStore):
    """Knowledge in Redis. Shared by threads; usable after a fork.

    Args:
        url: redis://, rediss://, unix:// or redis+sentinel://host1,host2/service/db; default: the
            parameters, then REDIS_URL, then localhost.
        host: in place of a URL.
        port: of the host; default: 6379.
        password: of the user.
        prefix: begins each key in the database and the name of each index.
        embedder: takes a list of texts and returns the embedding of each.
        db: number of the database. RediSearch indexes database 0 only.
        username: who the password is of.
        socket_timeout: seconds to wait for a connection or a reply, less than 60.
        max_connections: kept at most; a caller beyond waits.
        protocol: 2 or 3; default: what redis-py prefers.
        max_retries: further tries of what failed transiently; default: 3, under Sentinel 8.
        retry_delay: bound in seconds of the wait before the first of them; it doubles with each.
        client_options: further settings of redis-py's connections.

    Raises:
        ConfigurationError: the URL or a setting cannot be right.
    """

    environment = "REDIS_URL"
    words = True

    def __init__(
        self,
        url: str | None = None,
        host: str | None = None,
        port: int | None = None,
        password: str | None = None,
        prefix: str = "praison:vec:",
        *,
        embedder: Embedder | None = None,
        db: int | None = None,
        username: str | None = None,
        socket_timeout: float = 5,
        max_connections: int = _POOL_SIZE,
        protocol: int | None = None,
        max_retries: int | None = None,
        retry_delay: float = 0.1,
        client_options: Mapping[str, Any] | None = None,
    ) -> None:
        target = _checked(
            redis_target(
                url,
                self.environment,
                {"host": host, "port": port},
                {"db": db, "username": username, "password": password, "protocol": protocol},
                _timeouts(socket_timeout),
                client_options,
            )
        )
        driver = _driver(
            OnceClient(target, max_connections),
            (target, prefix, _retry(target, max_retries, retry_delay), time.sleep),
            words=self.words,
        )
        super().__init__(driver, embedder)


class AsyncRedisKnowledgeStore(AsyncBaseKnowledgeStore):
    """Knowledge in Redis, for asyncio. Arguments and errors are those of `RedisKnowledgeStore`.

    One store serves all tasks and event loops of a process.
    """

    environment = "REDIS_URL"
    words = True

    def __init__(
        self,
        url: str | None = None,
        host: str | None = None,
        port: int | None = None,
        password: str | None = None,
        prefix: str = "praison:vec:",
        *,
        embedder: Embedder | None = None,
        db: int | None = None,
        username: str | None = None,
        socket_timeout: float = 5,
        max_connections: int = _POOL_SIZE,
        protocol: int | None = None,
        max_retries: int | None = None,
        retry_delay: float = 0.1,
        client_options: Mapping[str, Any] | None = None,
    ) -> None:
        target = _checked(
            redis_target(
                url,
                self.environment,
                {"host": host, "port": port},
                {"db": db, "username": username, "password": password, "protocol": protocol},
                _timeouts(socket_timeout),
                client_options,
            )
        )
        driver = _driver(
            PerLoop(lambda: make_async_client(target, max_connections), close_async_client),
            (target, prefix, _retry(target, max_retries, retry_delay), asyncio.sleep),
            words=self.words,
        )
        super().__init__(driver, embedder)


def _timeouts(seconds: float) -> dict[str, float]:
    return {"socket_timeout": seconds, "socket_connect_timeout": seconds}


def _checked(target: RedisTarget) -> RedisTarget:
    """Refuse what Redis knows and this store cannot use."""
    if target.kind == CLUSTER:
        raise ConfigurationError(
            "Knowledge is kept on one Redis server or under Sentinel, not in a cluster: write "
            "redis:// or redis+sentinel://"
        )
    if target.settings.get("decode_responses"):
        raise ConfigurationError("Embeddings are bytes; leave out decode_responses")
    timeout_s: Any = target.settings.get("socket_timeout")
    number = isinstance(timeout_s, int | float) and not isinstance(timeout_s, bool)
    if not number or not 0 < timeout_s < _TIMEOUT_MAX_S:
        raise ConfigurationError(
            f"socket_timeout={timeout_s!r} must be a number of seconds below {_TIMEOUT_MAX_S}: a "
            "search must not end before its answer is given up"
        )
    return target


def _retry(target: RedisTarget, max_retries: int | None, retry_delay: float) -> RetryPolicy:
    tries = _RETRIES[target.kind] if max_retries is None else max_retries
    return RetryPolicy(tries, retry_delay, _MAX_DELAY_S)


def _driver(
    clients: Clients,
    place: tuple[RedisTarget, str, RetryPolicy, Callable[[float], Any]],
    *,
    words: bool,
) -> RedisKnowledgeDriver:
    target, prefix, retry, sleep = place
    if not isinstance(prefix, str) or not prefix:
        raise ConfigurationError(
            f"prefix={prefix!r} would mix the store's keys with those of other programs; write a "
            "text such as 'praison:vec:'"
        )
    timeout_s = min(_TIMEOUT_MAX_S, target.settings["socket_timeout"] + _GRACE_S)
    return RedisKnowledgeDriver(
        clients,
        prefix,
        target.address,
        retry,
        sleep,
        timeout_ms=ceil(timeout_s * 1000),
        words=words,
    )
