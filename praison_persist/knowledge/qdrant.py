"""Knowledge in Qdrant: a server, or the client's local mode, through qdrant-client."""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from qdrant_client import AsyncQdrantClient, QdrantClient

from praison_persist._loops import PerLoop
from praison_persist._processes import PerProcess
from praison_persist._retry import RetryPolicy
from praison_persist.errors import ConfigurationError
from praison_persist.knowledge.base import AsyncBaseKnowledgeStore, BaseKnowledgeStore
from praison_persist.knowledge.embedders import Embedder
from praison_persist.knowledge.qdrant_driver import Clients, QdrantDriver
from praison_persist.knowledge.qdrant_local import LocalQdrant

__all__ = ["AsyncQdrantKnowledgeStore", "QdrantKnowledgeStore"]

_DEFAULT_URL, _MEMORY = "http://localhost:6333", ":memory:"
_PORT_MAX = 65_535


class QdrantKnowledgeStore(BaseKnowledgeStore):
    """Knowledge in Qdrant 1.16 or newer. Shared by threads.

    Args:
        url: http://…, https://…, or qdrant://…, which is http; ":memory:" for the local mode;
            default: QDRANT_URL, then http://localhost:6333.
        host: in place of a URL; by https if there is an API key, else http.
        port: of the REST API, unless the URL has one.
        grpc_port: of the gRPC API, for prefer_grpc.
        api_key: default: QDRANT_API_KEY.
        prefer_grpc: use the gRPC API.
        timeout: seconds to wait for a reply, whole ones.
        path: a folder for the local mode, which belongs to one process.
        embedder: takes a list of texts and returns the embedding of each.
        max_retries: further tries of what failed transiently.
        retry_delay: bound in seconds of the wait before the first of them; it doubles with each.

    Raises:
        ConfigurationError: an argument cannot be right, or two exclude each other.
    """

    def __init__(
        self,
        url: str | None = None,
        host: str | None = None,
        port: int = 6333,
        grpc_port: int = 6334,
        api_key: str | None = None,
        prefer_grpc: bool = False,
        timeout: int = 30,
        path: str | os.PathLike[str] | None = None,
        *,
        embedder: Embedder | None = None,
        max_retries: int = 3,
        retry_delay: float = 0.1,
    ) -> None:
        place = _place(url, host, port, path, api_key)
        clients: Clients
        if place.url is None:
            clients = LocalQdrant(place.path, threaded=False)
        else:
            options = _options(place, grpc_port, timeout, prefer_grpc=prefer_grpc)
            # Neither connections of HTTP nor of gRPC survive a fork.
            clients = PerProcess(lambda: QdrantClient(**options), lambda client: client.close())
        retry = RetryPolicy(max_retries, retry_delay)
        indexed = place.url is not None
        driver = QdrantDriver(clients, place.address, retry, time.sleep, indexed=indexed)
        super().__init__(driver, embedder)


class AsyncQdrantKnowledgeStore(AsyncBaseKnowledgeStore):
    """Knowledge in Qdrant, for asyncio. Arguments and errors are those of `QdrantKnowledgeStore`.

    One store serves all tasks and event loops of a process. The local mode works in threads.
    """

    def __init__(
        self,
        url: str | None = None,
        host: str | None = None,
        port: int = 6333,
        grpc_port: int = 6334,
        api_key: str | None = None,
        prefer_grpc: bool = False,
        timeout: int = 30,
        path: str | os.PathLike[str] | None = None,
        *,
        embedder: Embedder | None = None,
        max_retries: int = 3,
        retry_delay: float = 0.1,
    ) -> None:
        place = _place(url, host, port, path, api_key)
        clients: Clients
        if place.url is None:
            clients = LocalQdrant(place.path, threaded=True)
        else:
            options = _options(place, grpc_port, timeout, prefer_grpc=prefer_grpc)
            clients = PerLoop(lambda: AsyncQdrantClient(**options), lambda client: client.close())
        retry = RetryPolicy(max_retries, retry_delay)
        indexed = place.url is not None
        driver = QdrantDriver(clients, place.address, retry, asyncio.sleep, indexed=indexed)
        super().__init__(driver, embedder)


@dataclass(frozen=True)
class _Place:
    """Where the data is.

    Attributes:
        address: for messages; without credentials.
        url: of a server; None: the local mode.
        path: of the local mode; None: in memory.
    """

    address: str
    url: str | None = None
    path: str | None = None
    api_key: str | None = None


def _place(
    url: str | None,
    host: str | None,
    port: int,
    path: str | os.PathLike[str] | None,
    api_key: str | None,
) -> _Place:
    if sum(each is not None for each in (url, host, path)) > 1:
        raise ConfigurationError("Qdrant needs one of url=, host= and path=, not several")
    if url is None and host is None and path is None:
        url = os.environ.get("QDRANT_URL") or _DEFAULT_URL
    if path is not None or url == _MEMORY:
        folder = None if path is None or os.fspath(path) == _MEMORY else os.fspath(path)
        if folder == "":
            raise ConfigurationError("Qdrant: path= is empty; name a folder, or ':memory:'")
        return _Place(f"qdrant in {folder or 'memory'}", path=folder)
    _check_port(port, "port")
    api_key = api_key or os.environ.get("QDRANT_API_KEY") or None
    if host is not None:
        if not host or "/" in host or "@" in host:
            raise ConfigurationError(
                "Qdrant: host= is a name or an address; one with a scheme belongs into url="
            )
        url = f"{'https' if api_key else 'http'}://{host}"
    return _server(str(url), port, api_key)


def _server(url: str, port: int, api_key: str | None) -> _Place:
    parts = urlsplit(url)
    scheme = "http" if parts.scheme == "qdrant" else parts.scheme
    try:
        place = parts.hostname, parts.port or port
    except ValueError as error:
        raise ConfigurationError(f"The port of the Qdrant URL cannot be: {error}") from error
    if scheme not in ("http", "https") or not place[0]:
        raise ConfigurationError(
            "A Qdrant URL is http://host:6333, https://… or qdrant://…, or ':memory:', not one of "
            f"scheme {parts.scheme!r}"
        )
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise ConfigurationError(
            f"The Qdrant URL of {place[0]} has more than scheme, host, port and path; the key "
            "belongs into api_key="
        )
    name = f"[{place[0]}]" if ":" in place[0] else place[0]
    path = parts.path.rstrip("/")
    address = f"{name}:{place[1]}{path}"
    return _Place(f"qdrant at {address}", f"{scheme}://{address}", api_key=api_key)


def _options(
    place: _Place, grpc_port: int, timeout_s: float, *, prefer_grpc: bool
) -> dict[str, Any]:
    """Return the arguments of a client."""
    _check_port(grpc_port, "grpc_port")
    number = isinstance(timeout_s, int | float) and not isinstance(timeout_s, bool)
    if not number or not timeout_s > 0:
        raise ConfigurationError(f"Qdrant: timeout is of seconds, more than 0, not {timeout_s!r}")
    return {
        "url": place.url,
        "grpc_port": grpc_port,
        "prefer_grpc": prefer_grpc,
        "api_key": place.api_key,
        "timeout": timeout_s,
        # It would ask the server before there is a question, and warn if it does not answer.
        "check_compatibility": False,
    }


def _check_port(port: object, name: str) -> None:
    whole = isinstance(port, int) and not isinstance(port, bool)
    if not whole or not 1 <= port <= _PORT_MAX:  # type: ignore[operator]  # an int
        raise ConfigurationError(f"Qdrant: {name} is from 1 to {_PORT_MAX}, not {port!r}")
