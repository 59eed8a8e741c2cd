"""Connections to SurrealDB: a server by WebSocket or HTTP, or the engine within this process.

The clients of the SDK are "to be used once and discarded": one that lost its connection stays lost,
and one whose token expired stays refused. Here they are replaced.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import requests
from filelock import FileLock, Timeout
from surrealdb import AsyncSurreal, Surreal
from surrealdb.errors import ConnectionUnavailableError, SurrealError
from websockets.exceptions import WebSocketException

from praison_persist.errors import ConfigurationError, UnavailableError

__all__ = ["LOST", "AsyncEmbedded", "AsyncRemote", "Embedded", "EngineError", "Place", "Remote"]

LOST = (OSError, requests.RequestException, aiohttp.ClientError, WebSocketException)

_EMBEDDED = ("mem", "memory", "file", "surrealkv", "surrealkv+versioned")
_REMOTE = ("ws", "wss", "http", "https")
_SYNONYMS = {"surrealdb": "ws", "surreal": "ws"}
_LEVELS = ("root", "namespace", "database")


class EngineError(Exception):
    """What the engine within this process refused, in its words."""


@dataclass(frozen=True)
class Place:
    """Where a database is, and who asks.

    Attributes:
        auth_level: where the user is defined: "root", "namespace" or "database".
        timeout: seconds to wait for an answer in asyncio.
    """

    url: str
    namespace: str
    database: str
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    auth_level: str = "root"
    timeout: float = 30.0

    @classmethod
    def of(
        cls,
        url: str,
        names: tuple[str, str],
        user: tuple[str | None, str | None],
        auth_level: str,
        timeout: float,
    ) -> Place:
        """Return a place that can be.

        Raises:
            ConfigurationError: it cannot.
        """
        scheme, mark, rest = url.partition("://") if isinstance(url, str) else ("", "", "")
        scheme = _SYNONYMS.get(scheme.lower(), scheme.lower())
        if not mark or scheme not in (*_EMBEDDED, *_REMOTE):
            raise ConfigurationError(
                f"A SurrealDB URL begins with {', '.join(f'{each}://' for each in _known())}, "
                f"not with {scheme!r}"
            )
        if scheme in _REMOTE:
            if "@" in rest:
                # What is before it may be a password, and does not belong into a message.
                raise ConfigurationError(
                    "Hand in username= and password= beside the URL of SurrealDB, not within it"
                )
            if not all(user):
                raise ConfigurationError("A SurrealDB server needs username= and password=")
        elif not rest.partition("?")[0] and scheme not in ("mem", "memory"):
            raise ConfigurationError(f"{scheme}:// lacks the path of a directory")
        for name, value in zip(("namespace", "database"), names, strict=True):
            if not isinstance(value, str) or not value:
                raise ConfigurationError(f"{name} must be a name, not {value!r}")
        if auth_level not in _LEVELS:
            raise ConfigurationError(
                f"auth_level must be one of {', '.join(_LEVELS)}, not {auth_level!r}"
            )
        if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not timeout > 0:
            raise ConfigurationError(f"timeout must be seconds above 0, not {timeout!r}")
        return cls(f"{scheme}://{rest}", *names, *user, auth_level, timeout)

    @property
    def embedded(self) -> bool:
        """Whether the engine works within this process."""
        return self.url.partition("://")[0] in _EMBEDDED

    @property
    def path(self) -> str | None:
        """The directory of the engine; None: a server, or an engine without one."""
        scheme, _, rest = self.url.partition("://")
        if not self.embedded or scheme in ("mem", "memory"):
            return None
        return os.path.realpath(rest.partition("?")[0])

    @property
    def address(self) -> str:
        """What messages call it; without credentials."""
        host = self.path or urlsplit(self.url).netloc or "memory"
        return f"surrealdb at {host}, {self.namespace}/{self.database}"

    @property
    def credentials(self) -> dict[str, str]:
        """What a server is signed in with."""
        found = {"username": str(self.username), "password": str(self.password)}
        if self.auth_level != "root":
            found["namespace"] = self.namespace
        if self.auth_level == "database":
            found["database"] = self.database
        return found


def _known() -> tuple[str, ...]:
    return ("ws", "wss", "http", "https", "surrealkv", "mem")


class Remote:
    """A server, shared by the threads of a process."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._lock = threading.Lock()
        self._client: Any = None

    def query(self, text: str, values: Mapping[str, Any]) -> Any:
        """Return the response to a text of several statements."""
        client = self._signed_in()
        try:
            return client.query_raw(text, dict(values))
        except BaseException:  # also of an interrupt: its answer would be taken for the next one's
            self.discard(client)
            raise

    def renew(self) -> None:
        """Sign in again before the next query."""
        self.discard(self._client)

    def discard(self, client: Any) -> None:
        """Use another client from now on."""
        with self._lock:
            if client is None or self._client is not client:
                return
            self._client = None
        _close(client)

    def close(self) -> None:
        """Close the connection."""
        self.discard(self._client)

    def _signed_in(self) -> Any:
        with self._lock:
            if self._client is None:
                client: Any = Surreal(self._place.url)
                try:
                    client.signin(self._place.credentials)
                    client.use(self._place.namespace, self._place.database)
                except BaseException:  # whatever it is, its socket has to be closed
                    _close(client)
                    raise
                self._client = client
            return self._client


def _close(client: Any) -> None:
    # A client over HTTP has nothing to close, and one that never connected cannot be.
    if getattr(client, "socket", None) is not None:
        client.close()


class AsyncRemote:
    """A server, for the tasks of one event loop."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._lock = asyncio.Lock()
        self._client: Any = None

    async def query(self, text: str, values: Mapping[str, Any]) -> Any:
        """See `Remote.query`."""
        client = await self._signed_in()
        try:
            return await self._answer(client.query_raw(text, dict(values)))
        except (*LOST, SurrealError):
            await self.discard(client)
            raise

    async def renew(self) -> None:
        """See `Remote.renew`."""
        await self.discard(self._client)

    async def discard(self, client: Any) -> None:
        """See `Remote.discard`."""
        if client is not None and self._client is client:
            self._client = None
            await _aclose(client)

    async def close(self) -> None:
        """See `Remote.close`."""
        await self.discard(self._client)

    async def _signed_in(self) -> Any:
        async with self._lock:
            if self._client is None:
                client: Any = AsyncSurreal(self._place.url)
                try:
                    await self._answer(client.signin(self._place.credentials))
                    await client.use(self._place.namespace, self._place.database)
                except BaseException:  # whatever it is, its socket has to be closed
                    await _aclose(client)
                    raise
                self._client = client
            return self._client

    async def _answer(self, asked: Any) -> Any:
        """Await an answer; the SDK cancels its reader's futures when the connection is lost."""
        try:
            async with asyncio.timeout(self._place.timeout):
                return await asked
        except (asyncio.CancelledError, KeyError) as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise asyncio.CancelledError from error
            raise ConnectionUnavailableError("the connection was lost") from error


async def _aclose(client: Any) -> None:
    if getattr(client, "socket", None) is not None:
        await client.close()


class Embedded:
    """The engine within this process; stores of the same directory share it.

    Two engines of one directory would not see each other's writes, and lose some.
    """

    def __init__(self, place: Place) -> None:
        self._engine = _Engine.of(place)

    def query(self, text: str, values: Mapping[str, Any]) -> Any:
        """See `Remote.query`."""
        try:
            with self._engine.one_at_a_time:
                return self._engine.client.query_raw(text, dict(values))
        except RuntimeError as error:  # what the extension raises for all it refuses
            raise EngineError(str(error)) from error

    def renew(self) -> None:
        """See `Remote.renew`: nobody signs in here."""

    def close(self) -> None:
        """Close the engine, if no other store uses it."""
        self._engine.release()


class AsyncEmbedded:
    """`Embedded` in asyncio: in threads, so that stores of both colours share an engine."""

    def __init__(self, embedded: Any) -> None:
        self._embedded = embedded

    async def query(self, text: str, values: Mapping[str, Any]) -> Any:
        """See `Remote.query`."""
        return await asyncio.to_thread(lambda: self._embedded.get().query(text, values))

    async def renew(self) -> None:
        """See `Remote.renew`: nobody signs in here."""

    async def close(self) -> None:
        """See `Embedded.close`."""
        await asyncio.to_thread(self._embedded.close)


class _Engine:
    """An engine and how many use it.

    Attributes:
        one_at_a_time: SurrealDB 2.3 on SurrealKV, or in memory, acknowledges both of two
            transactions that overlap and change one record, now and then, and keeps one.
    """

    _lock = threading.Lock()
    _open: dict[tuple[int, str], _Engine] = {}  # noqa: RUF012 - of the process, under the lock

    def __init__(self, place: Place) -> None:
        self._names = (place.namespace, place.database)
        self._key, self._users, self._file = (os.getpid(), place.path or ""), 0, None
        if place.path is not None:
            os.makedirs(os.path.dirname(place.path), exist_ok=True)  # noqa: PTH103, PTH120 - a str
            self._file = FileLock(f"{place.path}.lock", timeout=0, thread_local=False)
            try:
                self._file.acquire()
            except Timeout as error:
                raise UnavailableError(
                    f"{place.address}: another process has this directory open; SurrealDB's "
                    "engine allows one. Run a server, and give all processes its ws:// URL"
                ) from error
        self.client: Any = None
        self.one_at_a_time = threading.Lock()
        # Otherwise a commit reaches the disk later than its answer. Read once, by the first engine.
        os.environ.setdefault("SURREAL_SYNC_DATA", "true")
        try:
            self.client = Surreal(place.url)
            self.client.connect()
            self.client.use(*self._names)
        except RuntimeError as error:  # as in Embedded.query
            self._end()
            raise EngineError(str(error)) from error

    @classmethod
    def of(cls, place: Place) -> _Engine:
        """Return the engine of a directory, or one of its own for a place in memory."""
        if place.path is None:
            return cls(place)
        with cls._lock:
            key = (os.getpid(), place.path)
            engine = cls._open.get(key)
            if engine is None:
                engine = cls._open[key] = cls(place)
            if engine._names != (place.namespace, place.database):
                raise ConfigurationError(
                    f"{place.address}: this process has the directory open with the namespace and "
                    f"database {'/'.join(engine._names)}; use the same, or another directory"
                )
            engine._users += 1
            return engine

    def release(self) -> None:
        """Close it after the last of its users."""
        with self._lock:
            self._users -= 1
            if self._users > 0:
                return
            self._open.pop(self._key, None)
            self._end()

    def _end(self) -> None:
        if self.client is not None:
            self.client.close()
        if self._file is not None:
            self._file.release()
