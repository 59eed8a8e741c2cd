"""State in MongoDB 4.2 or newer, one document a key, through PyMongo.

Each write is one atomic update of one document; nothing is read before it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from pymongo import AsyncMongoClient, MongoClient

from praison_persist._loops import PerLoop
from praison_persist._mongodb_place import MongoDBPlace, close_client
from praison_persist._processes import PerProcess
from praison_persist._retry import RetryPolicy
from praison_persist.errors import ConfigurationError, InvalidDataError
from praison_persist.state.base import AsyncBaseStateStore, BaseStateStore
from praison_persist.state.keys import check_prefix
from praison_persist.state.mongodb_driver import MongoDBDriver

__all__ = ["AsyncMongoDBStateStore", "MongoDBStateStore"]

_MAX_DELAY_S = 5.0


class MongoDBStateStore(BaseStateStore):
    """State in MongoDB. Shared by threads; usable after a fork.

    Args:
        url: mongodb://… or mongodb+srv://… with PyMongo's options; default: MONGODB_URL, then
            localhost. Writes wait for the journals of the majority (w=majority, journal=true,
            wTimeoutMS=10000), and a server is looked for during five seconds
            (serverSelectionTimeoutMS, connectTimeoutMS), unless it says otherwise.
        database: has the collection. One in the URL only says where its user is registered.
        collection: has the documents; made when first written to.
        prefix: begins each key in the collection.
        clock: seconds since the epoch; decides what has expired. What it is, the server deletes an
            hour later by its own clock.
        max_retries: further tries of what failed transiently.
        retry_delay: bound in seconds of the wait before the first of them; it doubles with each.

    Raises:
        ConfigurationError: the URL, one of its options or a name cannot be right.
    """

    def __init__(
        self,
        url: str | None = None,
        database: str = "praisonai",
        collection: str = "state",
        prefix: str = "",
        *,
        clock: Callable[[], float] = time.time,
        max_retries: int = 3,
        retry_delay: float = 0.1,
    ) -> None:
        place = MongoDBPlace(url, database, collection)
        retry = RetryPolicy(max_retries, retry_delay, _MAX_DELAY_S)
        # Clients are not fork-safe: PyMongo, FAQ, "Is PyMongo fork-safe?".
        collections = PerProcess(lambda: place.connect(MongoClient), close_client)
        prefix = _check_prefix(prefix)
        super().__init__(
            MongoDBDriver(collections, prefix, place.address, clock, retry, time.sleep)
        )


class AsyncMongoDBStateStore(AsyncBaseStateStore):
    """State in MongoDB, for asyncio. Arguments and errors are those of `MongoDBStateStore`.

    One store serves all tasks and event loops of a process.
    """

    def __init__(
        self,
        url: str | None = None,
        database: str = "praisonai",
        collection: str = "state",
        prefix: str = "",
        *,
        clock: Callable[[], float] = time.time,
        max_retries: int = 3,
        retry_delay: float = 0.1,
    ) -> None:
        place = MongoDBPlace(url, database, collection)
        retry = RetryPolicy(max_retries, retry_delay, _MAX_DELAY_S)
        collections = PerLoop(lambda: place.connect(AsyncMongoClient), close_client)
        prefix = _check_prefix(prefix)
        super().__init__(
            MongoDBDriver(collections, prefix, place.address, clock, retry, asyncio.sleep)
        )


def _check_prefix(prefix: object) -> str:
    try:
        return check_prefix(prefix)
    except InvalidDataError as error:
        raise ConfigurationError(f"prefix={prefix!r}: {error}") from error
