"""State in Redis, on one server, under Sentinel or in a cluster, through redis-py."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import redis
from redis.crc import key_slot
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    ClusterError,
    NoPermissionError,
    ReadOnlyError,
    RedisClusterException,
    TryAgainError,
)

from praison_persist._flow import Flow, wait
from praison_persist._loops import PerLoop
from praison_persist._retry import RetryPolicy
from praison_persist.errors import ConfigurationError, UnavailableError
from praison_persist.state.base import AsyncBaseStateStore, BaseStateStore
from praison_persist.state.driver import bad_cursor
from praison_persist.state.redis_clients import (
    close_async_client,
    close_client,
    make_async_client,
    make_client,
)
from praison_persist.state.redis_commands import Commands, RedisDriver, check_namespace
from praison_persist.state.redis_target import (
    CLUSTER,
    SENTINEL,
    SINGLE,
    RedisTarget,
    parse_redis_url,
)

__all__ = ["AsyncRedisStateStore", "RedisStateStore"]

_POOL_SIZE = 50
# A failover takes seconds: more tries where there is somebody to fail over to.
_RETRIES = {SINGLE: 3, SENTINEL: 8, CLUSTER: 8}
_MAX_DELAY_S = 1.0


class RedisStateStore(BaseStateStore):
    """State in Redis. Shared by threads; usable after a fork.

    Args:
        url: redis://, rediss://, unix://, redis+sentinel://host1,host2/service/db or
            redis+cluster://host1,host2; default: the parameters, then REDIS_URL, then localhost.
        prefix: begins each key in the database.
        socket_timeout: seconds to wait for a connection or a reply.
        max_connections: kept at most; a caller beyond waits.
        protocol: 2 or 3; default: what redis-py prefers.
        max_retries: further tries of what failed transiently; default: 3, where there is a
            failover 8.
        retry_delay: bound in seconds of the wait before the first of them; it doubles with each.
        client_options: further settings of redis-py's connections.

    Raises:
        ConfigurationError: the URL or a setting cannot be right.
    """

    environment = "REDIS_URL"

    def __init__(
        self,
        url: str | None = None,
        host: str | None = None,
        port: int | None = None,
        db: int | None = None,
        password: str | None = None,
        prefix: str = "praison:",
        socket_timeout: float = 5,
        max_connections: int = _POOL_SIZE,
        *,
        username: str | None = None,
        protocol: int | None = None,
        max_retries: int | None = None,
        retry_delay: float = 0.1,
        client_options: Mapping[str, Any] | None = None,
    ) -> None:
        target = _target(
            url,
            self.environment,
            {"host": host, "port": port},
            {"db": db, "username": username, "password": password, "protocol": protocol},
            {"socket_timeout": socket_timeout, "socket_connect_timeout": socket_timeout},
            client_options,
        )
        commands = _COMMANDS[target.kind](_Once(target, max_connections), lambda _client: None)
        retry = _retry(target, max_retries, retry_delay)
        prefix = check_namespace(prefix)
        super().__init__(RedisDriver(commands, prefix, target.address, retry, time.sleep))


class AsyncRedisStateStore(AsyncBaseStateStore):
    """State in Redis, for asyncio. Arguments and errors are those of `RedisStateStore`.

    One store serves all tasks and event loops of a process.
    """

    environment = "REDIS_URL"

    def __init__(
        self,
        url: str | None = None,
        host: str | None = None,
        port: int | None = None,
        db: int | None = None,
        password: str | None = None,
        prefix: str = "praison:",
        socket_timeout: float = 5,
        max_connections: int = _POOL_SIZE,
        *,
        username: str | None = None,
        protocol: int | None = None,
        max_retries: int | None = None,
        retry_delay: float = 0.1,
        client_options: Mapping[str, Any] | None = None,
    ) -> None:
        target = _target(
            url,
            self.environment,
            {"host": host, "port": port},
            {"db": db, "username": username, "password": password, "protocol": protocol},
            {"socket_timeout": socket_timeout, "socket_connect_timeout": socket_timeout},
            client_options,
        )
        clients = PerLoop(lambda: make_async_client(target, max_connections), close_async_client)
        commands = _COMMANDS[target.kind](clients, lambda client: client.initialize())
        retry = _retry(target, max_retries, retry_delay)
        prefix = check_namespace(prefix)
        super().__init__(RedisDriver(commands, prefix, target.address, retry, asyncio.sleep))


def _target(
    url: str | None,
    environment: str,
    place: Mapping[str, Any],
    identity: Mapping[str, Any],
    timeouts: Mapping[str, Any],
    client_options: Mapping[str, Any] | None,
) -> RedisTarget:
    settings = {name: value for name, value in identity.items() if value is not None}
    settings |= {**timeouts, **(client_options or {})}
    written = {name: value for name, value in place.items() if value is not None}
    if url is not None and written:
        raise ConfigurationError(f"url= and {sorted(written)} both say where Redis is; give one")
    if url is None:
        host, port = place["host"] or "localhost", place["port"] or 6379
        url = os.environ.get(environment) if not written else None
        url = url or f"redis://{f'[{host}]' if ':' in host else host}:{port}"
    return parse_redis_url(url, settings)


def _retry(target: RedisTarget, max_retries: int | None, retry_delay: float) -> RetryPolicy:
    tries = _RETRIES[target.kind] if max_retries is None else max_retries
    return RetryPolicy(tries, retry_delay, _MAX_DELAY_S)


class _Once:
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


class _Server(Commands):
    """Commands for one server, or the primary that the sentinels name.

    Args:
        clients: has the client, of either colour.
        prepare: makes a client ready to be asked for its nodes.
    """

    failures: tuple[type[BaseException], ...] = (
        redis.RedisError,
        RedisClusterException,
        OSError,
    )

    def __init__(self, clients: _Once | PerLoop[Any], prepare: Callable[[Any], Any]) -> None:
        self._clients, self._prepare = clients, prepare

    def run(self, *args: str) -> Any:
        """See Commands.run."""
        return self._clients.get().execute_command(*args)

    def run_many(self, commands: Sequence[Sequence[str]]) -> Any:
        """See Commands.run_many."""
        pipeline = self._pipeline(self._clients.get())
        for command in commands:
            pipeline.execute_command(*command)
        return pipeline.execute(raise_on_error=False)

    def _pipeline(self, client: Any) -> Any:
        return client.pipeline(transaction=False)

    def close(self) -> Any:
        """See Commands.close."""
        return self._clients.close()

    def is_transient(self, error: BaseException) -> bool:
        """See Commands.is_transient."""
        if self.is_refused(error):
            return False
        return isinstance(error, _TRANSIENT) or str(error).startswith(_TRANSIENT_WORDS)

    def is_refused(self, error: BaseException) -> bool:
        """See Commands.is_refused."""
        return isinstance(error, AuthenticationError | AuthorizationError | NoPermissionError)


_TRANSIENT = (
    redis.ConnectionError,
    redis.TimeoutError,
    ReadOnlyError,
    ClusterError,
    TryAgainError,
    RedisClusterException,
    OSError,
)
_TRANSIENT_WORDS = ("NOREPLICAS", "MASTERDOWN", "LOADING", "CLUSTERDOWN", "READONLY")


class _Cluster(_Server):
    """Commands for a cluster, each for keys of one slot."""

    # redis-py's async cluster (8.1) closes connections that other tasks are just opening when it
    # learns of its nodes: those tasks then fail to write to None.
    failures = (*_Server.failures, AttributeError)

    def is_transient(self, error: BaseException) -> bool:
        """See Commands.is_transient."""
        return isinstance(error, AttributeError) or super().is_transient(error)

    def ready(self) -> Flow[None]:
        """See Commands.ready."""
        yield from wait(self._prepare(self._clients.get()))

    def _pipeline(self, client: Any) -> Any:
        return client.pipeline()

    def group(self, keys: Sequence[str]) -> Iterator[list[int]]:
        """See Commands.group."""
        by_slot: dict[int, list[int]] = {}
        for index, key in enumerate(keys):
            by_slot.setdefault(key_slot(key.encode()), []).append(index)
        return iter(by_slot.values())

    def scan(
        self, match: str, count: int, cursor: str | None
    ) -> Flow[tuple[list[Any], str | None]]:
        """See Commands.scan. The cursor is a primary and its own, one primary after the other."""
        yield from self.ready()
        client = self._clients.get()
        primaries = {f"{node.host}:{node.port}": node for node in client.get_primaries()}
        names = sorted(primaries)
        name, _, position = (cursor or f"{names[0]}/0").rpartition("/")
        if not (position.isascii() and position.isdigit()):
            raise bad_cursor(position)
        if name not in primaries:
            raise UnavailableError(
                f"The primary {name} of the cursor is no longer one; begin with cursor=None"
            )
        reply = yield from wait(
            client.execute_command(
                *("SCAN", position, "MATCH", match, "COUNT", str(count)),
                target_nodes=primaries[name],
            )
        )
        following, found = _of_node(reply)
        if following:
            return found, f"{name}/{following}"
        rest = names[names.index(name) + 1 :]
        return found, f"{rest[0]}/0" if rest else None


def _of_node(reply: Any) -> tuple[int, list[Any]]:
    """Return cursor and keys of a SCAN of one node, whose cursor may be a dict by node."""
    cursor, keys = reply
    return (next(iter(cursor.values())) if isinstance(cursor, Mapping) else int(cursor)), keys


_COMMANDS = {SINGLE: _Server, SENTINEL: _Server, CLUSTER: _Cluster}
