"""Where MongoDB is, and how it is written to, for stores of every kind."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Protocol
from urllib.parse import unquote

from pymongo import MongoClient
from pymongo.errors import PyMongoError
from pymongo.uri_parser import split_options
from pymongo.write_concern import WriteConcern

from praison_persist.errors import ConfigurationError

__all__ = ["Collections", "MongoDBPlace", "close_client"]

_ENVIRONMENT, _DEFAULT_URL = "MONGODB_URL", "mongodb://localhost:27017"
_SETTINGS: dict[str, Any] = {"serverSelectionTimeoutMS": 5000, "connectTimeoutMS": 5000}
_WRITE_CONCERN: dict[str, Any] = {"w": "majority", "journal": True, "wTimeoutMS": 10_000}


class Collections(Protocol):
    """The collection, of a client that may be used here and now."""

    def get(self) -> Any:
        """Return it."""

    def close(self) -> Any:
        """Close its client; return None, or a coroutine."""


class MongoDBPlace:
    """Where a collection is and how it is written to.

    Args:
        url: mongodb://… or mongodb+srv://…; default: MONGODB_URL, then localhost.
        database: has the collection.
        collection: its name.

    Attributes:
        address: for messages; without credentials.

    Raises:
        ConfigurationError: the URL, one of its options or a name cannot be right.
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


def close_client(collection: Any) -> Any:
    """Close the client of a collection; return None, or a coroutine."""
    return collection.database.client.close()
