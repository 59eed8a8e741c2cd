"""State in MongoDB 4.2 or newer, one document a key, through PyMongo.

Each write is one atomic update of one document; nothing is read before it.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from pymongo import AsyncMongoClient, MongoClient
from pymongo.errors import PyMongoError
from pymongo.uri_parser import split_options
from pymongo.write_concern import WriteConcern

from praison_persist._loops import PerLoop
from praison_persist._processes import PerProcess
from praison_persist._retry import RetryPolicy
from praison_persist.errors import ConfigurationError, InvalidDataError
from praison_persist.state.base import AsyncBaseStateStore, BaseStateStore
from praison_persist.state.keys import check_prefix
from praison_persist.state.mongodb_driver import MongoDBDriver

__all__ = ["AsyncMongoDBStateStore", "MongoDBStateStore"]

_ENVIRONMENT, _DEFAULT_URL = "MONGODB_URL", "mongodb://localhost:27017"
_SETTINGS: dict[str, Any] = {"serverSelectionTimeoutMS": 5000, "connectTimeoutMS": 5000}
_WRITE_CONCERN: dict[str, Any] = {"w": "majority", "journal": True, "wTimeoutMS": 10_000}
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
        place = _Place(url, database, collection)
        retry = RetryPolicy(max_retries, retry_delay, _MAX_DELAY_S)
        # Clients are not fork-safe: PyMongo, FAQ, "Is PyMongo fork-safe?".
        collections = PerProcess(lambda: place.connect(MongoClient), _close)
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
        place = _Place(url, database, collection)
        retry = RetryPolicy(max_retries, retry_delay, _MAX_DELAY_S)
        collections = PerLoop(lambda: place.connect(AsyncMongoClient), _close)
        prefix = _check_prefix(prefix)
        super().__init__(
            MongoDBDriver(collections, prefix, place.address, clock, retry, asyncio.sleep)
        )


class _Place:
    """Where a collection is and how it is written to.

    Attributes:
        address: for messages; without credentials.
    """

    def __init__(self, url: str | None, database: str, collection: str) -> None:
        if url is None:
            url = os.environ.get(_ENVIRONMENT) or _DEFAULT_URL
        scheme, _, rest = url.partition("://") if isinstance(url, str) else ("", "", "")
        if scheme not in ("mongodb", "mongodb+srv"):
            raise ConfigurationError(
                "A MongoDB URL is mongodb://user:password@host:27017 or mongodb+srv://…, "
                f"not one of scheme {scheme!r}"
            )
        authority, _, query = rest.partition("?")
        if "@" in query:
            # What comes before it may be of a password, and does not belong into a message.
            raise ConfigurationError(
                "The MongoDB URL has an @ after its ?; percent-encode user, password and options"
            )
        hosts = authority.rpartition("@")[2].partition("/")[0]
        self.address = f"{unquote(hosts)}/{database}.{collection}"
        self._url, self._names = url, (database, collection)
        try:
            options = split_options(query) if query else {}
            if options.get("w") == 0:
                raise ConfigurationError(
                    f"{self.address}: with w=0 nobody knows whether a write was done; leave it out"
                )
            concern = {name: options.get(name, value) for name, value in _WRITE_CONCERN.items()}
            self._concern = WriteConcern(concern["w"], concern["wTimeoutMS"], concern["journal"])
        except (PyMongoError, TypeError, ValueError, OSError) as error:
            raise ConfigurationError(f"{self.address}: {error}") from error
        self._settings = {name: value for name, value in _SETTINGS.items() if name not in options}
        self._check(secret="@" in rest)

    def _check(self, *, secret: bool) -> None:
        try:
            self.connect(MongoClient).database.client.close()
        except (PyMongoError, TypeError, ValueError, OSError) as error:
            if not secret:
                raise ConfigurationError(f"{self.address}: {error}") from error
            # PyMongo quotes what it takes for a host or database, which may be of the password.
            raise ConfigurationError(
                f"{self.address}: the URL or a name is refused ({type(error).__name__}); "
                "percent-encode user and password, and check the files that its options name"
            ) from None

    def connect(self, client_type: Callable[..., Any]) -> Any:
        """Return the collection of a new client, which connects when it is first used."""
        client = client_type(self._url, connect=False, **self._settings)
        database, collection = self._names
        return client.get_database(database).get_collection(collection, write_concern=self._concern)


def _check_prefix(prefix: object) -> str:
    try:
        return check_prefix(prefix)
    except InvalidDataError as error:
        raise ConfigurationError(f"prefix={prefix!r}: {error}") from error


def _close(collection: Any) -> Any:
    return collection.database.client.close()
