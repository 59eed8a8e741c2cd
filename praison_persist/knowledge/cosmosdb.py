"""Knowledge in Azure Cosmos DB for NoSQL, through azure-cosmos, in both colours."""

from __future__ import annotations

import asyncio
import base64
import binascii
import os
import time
from typing import Any
from urllib.parse import urlsplit

import azure.cosmos
import azure.cosmos.aio

from praison_persist._loops import PerLoop
from praison_persist._processes import PerProcess
from praison_persist._retry import RetryPolicy
from praison_persist.errors import ConfigurationError, UnsupportedError
from praison_persist.knowledge.base import AsyncBaseKnowledgeStore, BaseKnowledgeStore
from praison_persist.knowledge.checks import validate_identifier
from praison_persist.knowledge.cosmosdb_driver import CosmosDBDriver, Side
from praison_persist.knowledge.embedders import Embedder

__all__ = ["AsyncCosmosDBKnowledgeStore", "CosmosDBKnowledgeStore"]

_ENVIRONMENT = "COSMOS_CONNECTION_STRING"
_FORBIDDEN = frozenset("/\\?#")
_INDEXES = ("flat", "quantizedFlat", "diskANN")
_MONGO = ("mongodb", "mongodb_vcore", "vcore")


class CosmosDBKnowledgeStore(BaseKnowledgeStore):
    """Knowledge in Azure Cosmos DB for NoSQL. Shared by threads; usable after a fork.

    Args:
        connection_string: AccountEndpoint=https://…;AccountKey=…; as the portal has it; default:
            COSMOS_CONNECTION_STRING.
        database: has the containers; made with the first collection.
        collection: the container that lists the collections; each of them is a container of its
            own, whose name begins with this one.
        api_mode: "nosql". The API for MongoDB is another product, and not supported.
        vector_index: "flat" (exact, up to 505 dimensions), "quantizedFlat" or "diskANN" (both up
            to 4096) of collections that are made; default: flat up to 505 dimensions, diskANN
            beyond.
        throughput: request units a second that the collections of a database share, if it is made
            here; default: none, which serverless accounts demand.
        timeout: seconds to wait for a connection or a reply.
        max_retries: further tries of what failed transiently. The SDK waits by itself as long as
            the service tells it to, when request units are used up.
        retry_delay: bound in seconds of the wait before the first of them; it doubles with each.
        embedder: takes a list of texts and returns the embedding of each.

    Raises:
        ConfigurationError: there is no connection string, or an argument cannot be right.
        UnsupportedError: of the API for MongoDB.
    """

    def __init__(
        self,
        connection_string: str | None = None,
        database: str = "praisonai",
        collection: str = "knowledge",
        api_mode: str = "nosql",
        *,
        vector_index: str | None = None,
        throughput: int | None = None,
        timeout: float = 10,
        max_retries: int = 3,
        retry_delay: float = 0.1,
        embedder: Embedder | None = None,
    ) -> None:
        place = _Place(connection_string, database, collection, api_mode, vector_index)
        clients = PerProcess(
            lambda: azure.cosmos.CosmosClient(*place.account, **_settings(timeout)),
            lambda client: client.close(),
        )
        across = {"enable_cross_partition_query": True}
        side = Side(clients.get, clients.close, list, across, time.sleep)
        retry = RetryPolicy(max_retries, retry_delay)
        super().__init__(place.driver(side, throughput, retry), embedder)


class AsyncCosmosDBKnowledgeStore(AsyncBaseKnowledgeStore):
    """Knowledge in Azure Cosmos DB, for asyncio. Arguments are those of `CosmosDBKnowledgeStore`.

    One store serves all tasks and event loops of a process.
    """

    def __init__(
        self,
        connection_string: str | None = None,
        database: str = "praisonai",
        collection: str = "knowledge",
        api_mode: str = "nosql",
        *,
        vector_index: str | None = None,
        throughput: int | None = None,
        timeout: float = 10,
        max_retries: int = 3,
        retry_delay: float = 0.1,
        embedder: Embedder | None = None,
    ) -> None:
        place = _Place(connection_string, database, collection, api_mode, vector_index)
        clients = PerLoop(
            lambda: azure.cosmos.aio.CosmosClient(*place.account, **_settings(timeout)),
            lambda client: client.close(),
        )
        side = Side(clients.get, clients.close, _collect, {}, asyncio.sleep)
        retry = RetryPolicy(max_retries, retry_delay)
        super().__init__(place.driver(side, throughput, retry), embedder)


class _Place:
    """Where the collections are.

    Attributes:
        account: endpoint and key.
    """

    def __init__(
        self,
        connection_string: str | None,
        database: str,
        collection: str,
        api_mode: str,
        index: str | None,
    ) -> None:
        if api_mode in _MONGO:
            raise UnsupportedError(
                f"The cosmosdb knowledge store does not support api_mode={api_mode!r}, the API for "
                "MongoDB; it keeps knowledge in accounts of the API for NoSQL"
            )
        if api_mode != "nosql":
            raise ConfigurationError(f"api_mode is 'nosql', not {api_mode!r}")
        if index is not None and index not in _INDEXES:
            raise ConfigurationError(f"vector_index is one of {', '.join(_INDEXES)}, not {index!r}")
        if not isinstance(database, str) or not database or _FORBIDDEN & set(database):
            raise ConfigurationError(f"database {database!r} must be a name without / \\ ? and #")
        self._database, self._index = database, index
        self._prefix = validate_identifier(collection, "collection")
        self.account = _parsed(connection_string or os.environ.get(_ENVIRONMENT))

    def driver(self, side: Side, throughput: int | None, retry: RetryPolicy) -> CosmosDBDriver:
        """Return a driver of this place."""
        endpoint = urlsplit(self.account[0]).netloc.rpartition("@")[2]
        return CosmosDBDriver(
            side, endpoint, self._database, self._prefix, self._index, throughput, retry
        )


def _parsed(connection_string: str | None) -> tuple[str, str]:
    """Return endpoint and key. Messages tell nothing of what was given, which has the key."""
    if not connection_string:
        raise ConfigurationError(f"Cosmos DB needs connection_string=, or {_ENVIRONMENT}")
    parts = [part.partition("=") for part in str(connection_string).split(";") if part.strip()]
    settings = {name.strip().lower(): value.strip() for name, _, value in parts}
    endpoint, key = settings.get("accountendpoint", ""), settings.get("accountkey", "")
    url = urlsplit(endpoint)
    if url.scheme not in ("http", "https") or not url.hostname or not key:
        raise ConfigurationError(
            "The connection string of Cosmos DB is AccountEndpoint=https://…;AccountKey=…; as "
            "the portal shows it under Keys"
        )
    try:
        base64.b64decode(key, validate=True)
    except (binascii.Error, ValueError):
        raise ConfigurationError(
            "The AccountKey of the connection string is no base64; copy it as a whole"
        ) from None
    return endpoint, key


def _settings(timeout: float) -> dict[str, Any]:
    # Failed connections are tried again by the store, and not by the SDK as well.
    return {"connection_timeout": timeout, "read_timeout": timeout, "retry_total": 0}


async def _collect(pages: Any) -> list[Any]:
    return [each async for each in pages]
