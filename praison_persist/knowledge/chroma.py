"""Knowledge in Chroma: embedded, in memory or in a folder, or its server, through chromadb.

There is no class for asyncio, where this one works in threads: chromadb's async client verifies no
certificate unless told to, and all of a process share connections, with the headers of the first.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import chromadb
from chromadb.config import Settings
from chromadb.errors import ChromaError

from praison_persist._processes import PerProcess
from praison_persist._retry import RetryPolicy
from praison_persist.errors import ConfigurationError, UnavailableError
from praison_persist.knowledge.base import BaseKnowledgeStore
from praison_persist.knowledge.chroma_driver import ChromaDriver, Clients
from praison_persist.knowledge.chroma_server import ChromaServer
from praison_persist.knowledge.embedders import Embedder

__all__ = ["ChromaKnowledgeStore"]

_DEFAULT_PATH, _MEMORY = "./chroma", ":memory:"
_PORT, _PORT_MAX = 8000, 65_535
_TENANT, _DATABASE = "default_tenant", "default_database"


class ChromaKnowledgeStore(BaseKnowledgeStore):
    """Knowledge in Chroma 1.5 or newer. Shared by threads; in asyncio it works in threads.

    Without host and url it is embedded, and belongs to the process that used it first.

    Args:
        path: a folder; default: ./chroma, as the vendor's. ":memory:" is persistent=False.
        host: of a server, in place of a folder.
        port: of the server, unless the URL has one.
        persistent: False: in memory, which all such stores of a process share until the last is
            closed.
        url: http://…, https://…, or chroma://…, which is http; in place of host and port.
        headers: sent with each request to a server, such as those of a token.
        tenant: has the database.
        database: has the collections.
        timeout: seconds to wait for a server.
        embedder: takes a list of texts and returns the embedding of each.
        max_retries: further tries of what failed transiently.
        retry_delay: bound in seconds of the wait before the first of them; it doubles with each.

    Raises:
        ConfigurationError: an argument cannot be right, or two exclude each other.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        host: str | None = None,
        port: int = _PORT,
        persistent: bool = True,
        *,
        url: str | None = None,
        headers: Mapping[str, str] | None = None,
        tenant: str = _TENANT,
        database: str = _DATABASE,
        timeout: float = 30,
        embedder: Embedder | None = None,
        max_retries: int = 3,
        retry_delay: float = 0.1,
    ) -> None:
        if sum(each is not None for each in (path, host, url)) > 1:
            raise ConfigurationError("Chroma needs one of path=, host= and url=, not several")
        number = isinstance(timeout, int | float) and not isinstance(timeout, bool)
        if not number or not timeout > 0:
            raise ConfigurationError(f"Chroma: timeout is of seconds, more than 0, not {timeout!r}")
        names = {"tenant": tenant, "database": database}
        clients: Clients
        if host is None and url is None:
            place = _embedded(path, persistent=persistent)
            clients = _Embedded(place, names)
        else:
            place = _server(host, port, url)
            own = dict(headers or {})
            clients = PerProcess(
                lambda: ChromaServer(place.origin, names, own, timeout), ChromaServer.close
            )
        retry = RetryPolicy(max_retries, retry_delay)
        super().__init__(ChromaDriver(clients, place.address, retry, time.sleep), embedder)


@dataclass(frozen=True)
class _Place:
    """Where the data is.

    Attributes:
        address: for messages; without credentials.
        path: of a folder; None: in memory, or there is an origin.
        origin: the URL of a server.
    """

    address: str
    path: str | None = None
    origin: str = ""


def _embedded(path: str | os.PathLike[str] | None, *, persistent: bool) -> _Place:
    folder = _DEFAULT_PATH if path is None else os.fspath(path)
    if folder == _MEMORY or (path is None and not persistent):
        return _Place("chroma in memory")
    if not persistent or not folder:
        raise ConfigurationError("Chroma: path= names a folder, persistent=False has none")
    # The client is shared by those of the same path, as it is written.
    return _Place(f"chroma in {folder}", path=str(Path(folder).resolve()))


def _server(host: str | None, port: int, url: str | None) -> _Place:
    if host is not None and "://" not in host:
        if not host or "/" in host or "@" in host:
            raise ConfigurationError("Chroma: host= is a name or an address")
        url = f"http://[{host}]" if host.count(":") > 1 else f"http://{host}"
    parts = urlsplit(str(url or host))
    try:
        name, chosen = parts.hostname, parts.port or port
    except ValueError as error:
        raise ConfigurationError(f"The port of the Chroma URL cannot be: {error}") from error
    scheme = "http" if parts.scheme == "chroma" else parts.scheme
    if scheme not in ("http", "https") or not name:
        raise ConfigurationError(
            "A Chroma URL is http://host:8000, https://… or chroma://…, not one of scheme "
            f"{parts.scheme!r}; a folder belongs into path="
        )
    if "@" in parts.netloc or parts.path.strip("/") or parts.query or parts.fragment:
        raise ConfigurationError(
            f"The Chroma URL of {name} has more than scheme, host and port; credentials belong "
            "into headers="
        )
    whole = isinstance(chosen, int) and not isinstance(chosen, bool)
    if not whole or not 1 <= chosen <= _PORT_MAX:
        raise ConfigurationError(f"Chroma: port is from 1 to {_PORT_MAX}, not {chosen!r}")
    address = f"[{name}]:{chosen}" if ":" in name else f"{name}:{chosen}"
    return _Place(f"chroma at {address}", origin=f"{scheme}://{address}")


class _Registry:
    """The clients of chromadb, which are shared by path: not thread-safe, and kept by a fork."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: int | None = None

    def open(self, place: _Place, names: dict[str, str]) -> Any:
        """Return a client of the embedded engine.

        Raises:
            UnavailableError: it cannot be opened, or not in this process.
        """
        self.check(place)
        with self._lock:
            self._process = os.getpid()
            settings = Settings(anonymized_telemetry=False)
            try:
                if place.path is None:
                    return chromadb.EphemeralClient(settings, **names)
                Path(place.path).mkdir(parents=True, exist_ok=True)
                return chromadb.PersistentClient(place.path, settings, **names)
            except (ChromaError, ValueError, OSError, RuntimeError) as error:
                raise UnavailableError(f"{place.address} cannot be opened: {error}") from error

    def check(self, place: _Place) -> None:
        """Refuse a fork, in which the engine has no threads and calls would wait for ever."""
        if self._process not in (None, os.getpid()):
            raise UnavailableError(
                f"{place.address}: the process that this one was forked from has used Chroma's "
                "engine, which does not survive that; start processes by spawn, or use a server"
            )

    def close(self, client: Any) -> None:
        """Close a client."""
        if self._process == os.getpid():
            with self._lock:
                client.close()


_registry = _Registry()


class _Embedded:
    """A client of the embedded engine, opened when it is first asked for."""

    def __init__(self, place: _Place, names: dict[str, str]) -> None:
        self._place, self._names = place, names
        self._client: Any = None
        self._opening = threading.Lock()

    def get(self) -> Any:
        """See Clients.get."""
        if self._client is not None:
            _registry.check(self._place)
            return self._client
        with self._opening:
            if self._client is None:
                self._client = _registry.open(self._place, self._names)
            return self._client

    def close(self) -> None:
        """See Clients.close."""
        client, self._client = self._client, None
        if client is not None:
            _registry.close(client)
