"""Knowledge in Milvus 2.4 or newer, in Zilliz Cloud, or in a file of Milvus Lite."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from pymilvus import AsyncMilvusClient, MilvusClient

from praison_persist._loops import PerLoop
from praison_persist._processes import PerProcess
from praison_persist._retry import RetryPolicy
from praison_persist.errors import ConfigurationError
from praison_persist.knowledge.base import AsyncBaseKnowledgeStore, BaseKnowledgeStore
from praison_persist.knowledge.embedders import Embedder
from praison_persist.knowledge.milvus_driver import MilvusDriver
from praison_persist.knowledge.milvus_rows import create_collection
from praison_persist.models import KnowledgeCollection

__all__ = ["AsyncMilvusKnowledgeStore", "MilvusKnowledgeStore"]

_SCHEMES = ("http", "https", "tcp")
# Milvus Lite, which is of one process, fails if two of its threads create the same collection.
_CREATING_IN_FILE = threading.Lock()


class MilvusKnowledgeStore(BaseKnowledgeStore):
    """Knowledge in Milvus. Shared by threads.

    Args:
        url: http://… or https://… of a server, or the path of a file of Milvus Lite, which ends
            with .db. May have user, password and database.
        host: of a server, in place of a URL. Default: localhost.
        port: of that host.
        token: an API key, or user:password.
        db_name: the database. Default: that of the URL, else "default".
        embedder: takes a list of texts and returns the embedding of each.
        timeout: seconds that each call may take.
        max_retries: further tries of what failed transiently.
        retry_delay: bound in seconds of the wait before the first of them; it doubles with each.

    Raises:
        ConfigurationError: the URL or an option cannot be right.
    """

    def __init__(
        self,
        url: str | os.PathLike[str] | None = None,
        host: str | None = None,
        port: int = 19530,
        token: str | None = None,
        db_name: str | None = None,
        *,
        embedder: Embedder | None = None,
        timeout: float = 10,
        max_retries: int = 2,
        retry_delay: float = 0.1,
    ) -> None:
        place = _place(url, host, port, token, db_name, timeout)
        clients: PerProcess[Any] = PerProcess(place.connect, lambda client: client.close())

        def create(collection: KnowledgeCollection) -> None:
            with place.creating:
                create_collection(clients.get(), collection, timeout)

        retry = RetryPolicy(max_retries, retry_delay)
        driver = MilvusDriver(clients, create, place.address, timeout, retry, time.sleep)
        super().__init__(driver, embedder)


class AsyncMilvusKnowledgeStore(AsyncBaseKnowledgeStore):
    """Knowledge in Milvus, for asyncio. Arguments and errors are those of `MilvusKnowledgeStore`.

    One store serves all tasks and event loops of a process.
    """

    def __init__(
        self,
        url: str | os.PathLike[str] | None = None,
        host: str | None = None,
        port: int = 19530,
        token: str | None = None,
        db_name: str | None = None,
        *,
        embedder: Embedder | None = None,
        timeout: float = 10,
        max_retries: int = 2,
        retry_delay: float = 0.1,
    ) -> None:
        place = _place(url, host, port, token, db_name, timeout)
        clients: PerLoop[Any] = PerLoop(place.connect_async, lambda client: client.close())

        def create(collection: KnowledgeCollection) -> None:
            # PyMilvus's async client waits for an index with a call that Milvus Lite has not.
            with place.creating:
                client = place.connect()
                try:
                    create_collection(client, collection, timeout)
                finally:
                    client.close()

        retry = RetryPolicy(max_retries, retry_delay)
        driver = MilvusDriver(
            clients,
            lambda collection: asyncio.to_thread(create, collection),
            place.address,
            timeout,
            retry,
            asyncio.sleep,
        )
        super().__init__(driver, embedder)


@dataclass(frozen=True)
class _Place:
    """Where the collections are.

    Attributes:
        address: for messages; without credentials.
        creating: held while a collection is created.
    """

    address: str
    uri: str
    token: str
    db_name: str
    timeout: float
    creating: AbstractContextManager[object] = field(default_factory=nullcontext)

    def connect(self) -> Any:
        """Return a connected client."""
        return MilvusClient(self.uri, **self._settings())

    def connect_async(self) -> Any:
        """Return a client that connects when it is first used."""
        return AsyncMilvusClient(self.uri, **self._settings())

    def _settings(self) -> dict[str, Any]:
        # Clients otherwise share connections by address, which are not closed with them, and
        # those of event loops that ended may be taken for those of new ones.
        return {
            "token": self.token,
            "db_name": self.db_name,
            "timeout": self.timeout,
            "dedicated": True,
        }


def _place(
    url: str | os.PathLike[str] | None,
    host: str | None,
    port: int,
    token: str | None,
    db_name: str | None,
    timeout: float,
) -> _Place:
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not timeout > 0:
        raise ConfigurationError(f"timeout must be a positive number of seconds, not {timeout!r}")
    if url is not None and host is not None:
        raise ConfigurationError("Milvus needs url= or host=, not both")
    if url is None:
        url = f"http://{host or 'localhost'}:{port}"
    address = os.fspath(url)
    if address.startswith("milvus://"):
        rest = address.removeprefix("milvus://")
        address = rest if rest.startswith(("/", "./")) else f"http://{rest}"
    if "://" not in address:
        return _file(address, token, db_name, timeout)
    return _server(address, token, db_name, timeout)


def _file(path: str, token: str | None, db_name: str | None, timeout: float) -> _Place:
    if not path.endswith(".db"):
        raise ConfigurationError(
            f"url={path!r} is neither http://host:19530 nor a file of Milvus Lite, whose name "
            "ends with .db"
        )
    if not Path(path).parent.is_dir():
        raise ConfigurationError(
            f"There is no directory {str(Path(path).parent)!r} for the file of Milvus Lite; make it"
        )
    if token or db_name:
        raise ConfigurationError("A file of Milvus Lite has neither token= nor db_name=")
    return _Place(f"milvus at {path}", path, "", "", timeout, _CREATING_IN_FILE)


def _server(url: str, token: str | None, db_name: str | None, timeout: float) -> _Place:
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        # Its words may be of the password.
        raise ConfigurationError("The Milvus URL has a port that is no number") from None
    if parts.scheme not in _SCHEMES or not parts.hostname:
        raise ConfigurationError(
            f"A Milvus URL is http://host:19530 or https://…, not one of scheme {parts.scheme!r}"
        )
    if not token and parts.username:
        token = ":".join(unquote(each) for each in (parts.username, parts.password) if each)
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    name = db_name or parts.path.strip("/").partition("/")[0]
    uri = f"{parts.scheme}://{host}{port}"
    return _Place(f"milvus at {host}{port}/{name}".rstrip("/"), uri, token or "", name, timeout)
