"""Knowledge in LanceDB: tables in a directory or an object store, without a server."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping

from praison_persist._adapt import background_loop
from praison_persist._retry import RetryPolicy
from praison_persist.errors import ConfigurationError
from praison_persist.knowledge.base import AsyncBaseKnowledgeStore, BaseKnowledgeStore
from praison_persist.knowledge.embedders import Embedder
from praison_persist.knowledge.lancedb_driver import LanceDBDriver

__all__ = ["AsyncLanceDBKnowledgeStore", "LanceDBKnowledgeStore"]

_DEFAULT_PATH = "./lancedb"


class LanceDBKnowledgeStore(BaseKnowledgeStore):
    """Knowledge in LanceDB. Shared by threads; several processes may write to the same tables.

    Args:
        path: the directory that has the tables; made when first used. Default: ./lancedb.
        uri: in its place, of an object store: s3://bucket/path, gs://…, az://…
        embedder: takes a list of texts and returns the embedding of each.
        storage_options: of the object store, such as credentials: LanceDB, "Configuring Cloud
            Storage".
        max_retries: further tries of what failed transiently.
        retry_delay: bound in seconds of the wait before the first of them; it doubles with each.

    Raises:
        ConfigurationError: both a path and a URI, or one that cannot be right.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        uri: str | None = None,
        *,
        embedder: Embedder | None = None,
        storage_options: Mapping[str, str] | None = None,
        max_retries: int = 5,
        retry_delay: float = 0.1,
    ) -> None:
        driver = LanceDBDriver(
            _place(path, uri),
            dict(storage_options or {}),
            RetryPolicy(max_retries, retry_delay),
            # LanceDB's own sync API runs coroutines of its async one on a loop in a thread, too.
            lambda coroutine: background_loop().call(coroutine),
            time.sleep,
        )
        super().__init__(driver, embedder)


class AsyncLanceDBKnowledgeStore(AsyncBaseKnowledgeStore):
    """Knowledge in LanceDB, for asyncio. Arguments and errors: see `LanceDBKnowledgeStore`.

    One store serves all tasks and event loops of a process.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        uri: str | None = None,
        *,
        embedder: Embedder | None = None,
        storage_options: Mapping[str, str] | None = None,
        max_retries: int = 5,
        retry_delay: float = 0.1,
    ) -> None:
        driver = LanceDBDriver(
            _place(path, uri),
            dict(storage_options or {}),
            RetryPolicy(max_retries, retry_delay),
            lambda coroutine: coroutine,
            asyncio.sleep,
        )
        super().__init__(driver, embedder)


def _place(path: str | os.PathLike[str] | None, uri: str | None) -> str:
    if path is not None and uri is not None:
        raise ConfigurationError("LanceDB needs path= or uri=, not both")
    place = os.fspath(_DEFAULT_PATH if path is None and uri is None else uri or path or "")
    if not isinstance(place, str) or not place:
        raise ConfigurationError("LanceDB needs path=: the directory that has the tables")
    if place.startswith("lancedb://"):
        place = place.removeprefix("lancedb://")
    scheme, found, rest = place.partition("://")
    if found and (not rest or "@" in rest):
        raise ConfigurationError(
            f"The LanceDB URI of scheme {scheme!r} names no place, or has credentials, which "
            "belong into storage_options="
        )
    if scheme == "db" and found:
        raise ConfigurationError(
            "LanceDB Cloud (db://) is another service, with another API; use a path or an object "
            "store"
        )
    return place
