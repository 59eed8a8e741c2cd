"""State in Redis, on one server, under Sentinel or in a cluster, through redis-py."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from redis.crc import key_slot

from praison_persist._flow import Flow, wait
from praison_persist._loops import PerLoop
from praison_persist._redis_clients import OnceClient, close_async_client, make_async_client
from praison_persist._redis_errors import REDIS_FAILURES, is_refused, is_transient
from praison_persist._redis_target import CLUSTER, SENTINEL, SINGLE, RedisTarget, redis_target
from praison_persist._retry import RetryPolicy
from praison_persist.errors import UnavailableError
from praison_persist.state.base import AsyncBaseStateStore, BaseStateStore
from praison_persist.state.driver import bad_cursor
from praison_persist.state.redis_commands import Commands, RedisDriver, check_namespace

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
        target = redis_target(
            url,
            self.environment,
            {"host": host, "port": port},
            {"db": db, "username": username, "password": password, "protocol": protocol},
            {"socket_timeout": socket_timeout, "socket_connect_timeout": socket_timeout},
            client_options,
        )
        commands = _COMMANDS[target.kind](OnceClient(target, max_connections), lambda _client: None)
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
        target = redis_target(
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


def _retry(target: RedisTarget, max_retries: int | None, retry_delay: float) -> RetryPolicy:
    tries = _RETRIES[target.kind] if max_retries is None else max_retries
    return RetryPolicy(tries, retry_delay, _MAX_DELAY_S)


class _Server(Commands):
    """Commands for one server, or the primary that the sentinels name.

    Args:
        clients: has the client, of either colour.
        prepare: makes a client ready to be asked for its nodes.
    """

    failures: tuple[type[BaseException], ...] = REDIS_FAILURES

    def __init__(self, clients: OnceClient | PerLoop[Any], prepare: Callable[[Any], Any]) -> None:
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
        return is_transient(error)

    def is_refused(self, error: BaseException) -> bool:
        """See Commands.is_refused."""
        return is_refused(error)


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
