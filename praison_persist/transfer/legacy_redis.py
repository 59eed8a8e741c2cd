"""The keys of praisonai in Redis: JSON in strings, where the stores of this package have hashes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Self

import redis

from praison_persist.errors import UnavailableError
from praison_persist.protocols import StateStore

__all__ = ["LegacyRedis"]

_PREFIX = "praison:"  # praisonai's default, and this package's


class LegacyRedis:
    """Reads what praisonai's RedisStateStore wrote, and for all other keys what `store` has.

    Args:
        url: of the server, as redis-py takes it.
        store: of the same server.
    """

    def __init__(self, url: str, store: StateStore) -> None:
        self._client = redis.Redis.from_url(url, decode_responses=True)
        self._store = store

    def scan_prefix(self, prefix: str) -> Iterator[str]:
        """Yield the keys that begin with a text, without praisonai's own prefix.

        Raises:
            UnavailableError: the server cannot be reached.
        """
        try:
            for key in self._client.scan_iter(f"{_PREFIX}{prefix}*", count=1000):
                yield str(key).removeprefix(_PREFIX)
        except redis.RedisError as error:
            raise UnavailableError(f"redis: cannot list keys: {error}. Check the server") from error

    def get(self, key: str) -> Any:
        """Return the value of a key; None if there is none, or it is no JSON."""
        try:
            text = self._client.get(f"{_PREFIX}{key}")
        except redis.ResponseError:  # no string: of this package
            return self._store.get(key)
        except redis.RedisError as error:
            raise UnavailableError(
                f"redis: cannot read {key!r}: {error}. Check the server"
            ) from error
        try:
            return None if text is None else json.loads(str(text))
        except ValueError:
            return None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._client.close()
