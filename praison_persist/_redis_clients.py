"""redis-py's clients of both colours, for one server, a group under Sentinel, or a cluster.

They repeat nothing by themselves (a cluster's follows its redirections): the store does, and knows
what may be repeated.
"""

from __future__ import annotations

import threading
from typing import Any

import redis
import redis.asyncio
from redis.asyncio.cluster import ClusterNode as AsyncClusterNode
from redis.asyncio.cluster import RedisCluster as AsyncRedisCluster
from redis.asyncio.retry import Retry as AsyncRetry
from redis.asyncio.sentinel import Sentinel as AsyncSentinel
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode, RedisCluster
from redis.retry import Retry
from redis.sentinel import Sentinel

from praison_persist._redis_target import (
    CLUSTER,
    SENTINEL,
    SINGLE,
    RedisTarget,
    connection_class,
    connection_settings,
)

__all__ = [
    "OnceClient",
    "close_async_client",
    "close_client",
    "make_async_client",
    "make_client",
]

_SENTINEL_POOL_SIZE = 10_000  # its pool cannot wait for a connection
_ASYNC_CLASSES = {
    redis.Connection: redis.asyncio.Connection,
    redis.SSLConnection: redis.asyncio.SSLConnection,
    redis.UnixDomainSocketConnection: redis.asyncio.UnixDomainSocketConnection,
}


class OnceClient:
    """Makes the sync client at its first use: making that of a cluster connects."""

    def __init__(self, target: RedisTarget, max_connections: int) -> None:
        self._target, self._max_connections = target, max_connections
        self._client: Any = None
        self._lock = threading.Lock()

    def get(self) -> Any:
        """Return the client."""
        if self._client is None:
            with self._lock:
                if self._client is None:
                    self._client = make_client(self._target, self._max_connections)
        return self._client

    def close(self) -> None:
        """Close its connections."""
        client, self._client = self._client, None
        if client is not None:
            close_client(client)


def make_client(target: RedisTarget, max_connections: int) -> Any:
    """Return a sync client. Connects if the target is a cluster."""
    return _MAKE[target.kind](target, max_connections)


def make_async_client(target: RedisTarget, max_connections: int) -> Any:
    """Return a client for the running loop."""
    return _MAKE_ASYNC[target.kind](target, max_connections)


def close_client(client: Any) -> None:
    """Close a sync client and its connections to sentinels."""
    for each in [*_sentinels(client), client]:
        each.close()


async def close_async_client(client: Any) -> None:
    """Close an async client and its connections to sentinels."""
    for each in [*_sentinels(client), client]:
        await each.aclose()


def _sentinels(client: Any) -> list[Any]:
    manager = getattr(getattr(client, "connection_pool", None), "sentinel_manager", None)
    return list(manager.sentinels) if manager else []


def _single(target: RedisTarget, max_connections: int) -> Any:
    pool = redis.BlockingConnectionPool(  # type: ignore[no-untyped-call]  # redis-py is typed in part
        connection_class=connection_class(target),
        max_connections=max_connections,
        retry=Retry(NoBackoff(), 0),
        **connection_settings(target),
    )
    return redis.Redis.from_pool(pool)


def _async_single(target: RedisTarget, max_connections: int) -> Any:
    pool = redis.asyncio.BlockingConnectionPool(
        connection_class=_ASYNC_CLASSES[connection_class(target)],
        max_connections=max_connections,
        retry=AsyncRetry(NoBackoff(), 0),
        **connection_settings(target),
    )
    return redis.asyncio.Redis.from_pool(pool)


def _sentinel(target: RedisTarget, _max_connections: int) -> Any:
    options = {**target.sentinel_settings, "retry": Retry(NoBackoff(), 0)}
    manager = Sentinel(list(target.nodes), sentinel_kwargs=options)  # type: ignore[no-untyped-call]  # redis-py is typed in part
    return manager.master_for(  # type: ignore[no-untyped-call]  # as above
        target.service,
        max_connections=_SENTINEL_POOL_SIZE,
        retry=Retry(NoBackoff(), 0),
        **target.settings,
    )


def _async_sentinel(target: RedisTarget, _max_connections: int) -> Any:
    options = {**target.sentinel_settings, "retry": AsyncRetry(NoBackoff(), 0)}
    manager = AsyncSentinel(list(target.nodes), sentinel_kwargs=options)  # type: ignore[no-untyped-call]  # redis-py is typed in part
    return manager.master_for(
        target.service,
        max_connections=_SENTINEL_POOL_SIZE,
        retry=AsyncRetry(NoBackoff(), 0),
        **target.settings,
    )


def _cluster(target: RedisTarget, max_connections: int) -> Any:
    nodes = [ClusterNode(host, port) for host, port in target.nodes]  # type: ignore[no-untyped-call]  # redis-py is typed in part
    return RedisCluster(
        startup_nodes=nodes,
        max_connections=max_connections,
        retry=Retry(NoBackoff(), 1),
        **target.settings,
    )


def _async_cluster(target: RedisTarget, max_connections: int) -> Any:
    nodes = [AsyncClusterNode(host, port) for host, port in target.nodes]
    return AsyncRedisCluster(
        startup_nodes=nodes,
        max_connections=max_connections,
        retry=AsyncRetry(NoBackoff(), 0),
        **target.settings,
    )


_MAKE = {SINGLE: _single, SENTINEL: _sentinel, CLUSTER: _cluster}
_MAKE_ASYNC = {SINGLE: _async_single, SENTINEL: _async_sentinel, CLUSTER: _async_cluster}
