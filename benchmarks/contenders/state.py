"""State: keys and values, set and got one at a time and a hundred at a time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import cycle
from typing import Any

from benchmarks.contenders.base import Place
from benchmarks.contenders.values import KEYS, MANY, PREFIX, VALUE
from praison_persist import create_state_store

__all__ = ["Ours", "Redis"]


class Ours:
    """This package's state store of the engine.

    Args:
        place: a database.
    """

    def __init__(self, place: Place) -> None:
        options: dict[str, Any] = {"prefix": PREFIX} if place.engine == "redis" else {}
        name = "redis" if place.engine == "redis" else "sql"
        self._store = create_state_store(name, place.url, **options)
        self._keys: Iterator[str] = cycle([f"key-{number}" for number in range(KEYS)])
        self._number = 0

    def open(self) -> None:
        """Have all keys there."""
        for _ in range(KEYS // MANY):
            self.set_many()

    def _value(self) -> dict[str, Any]:
        # Never the same again: SQLite writes nothing where nothing changes.
        self._number += 1
        return {**VALUE, "n": self._number}

    def set(self) -> None:
        """Set a key."""
        self._store.set(next(self._keys), self._value())

    def get(self) -> Any:
        """Get a key."""
        return self._store.get(next(self._keys))

    def set_many(self) -> None:
        """Set a hundred keys."""
        self._store.set_many({next(self._keys): self._value() for _ in range(MANY)})

    def get_many(self) -> Any:
        """Get a hundred keys."""
        return self._store.get_many([next(self._keys) for _ in range(MANY)])

    def check(self) -> int:
        """Return how many of a hundred keys just set are not got as they were set."""
        values = {f"key-{number}": self._value() for number in range(MANY)}
        self._store.set_many(values)
        found = self._store.get_many([*values])
        return sum(found.get(key) != value for key, value in values.items())

    def close(self) -> None:
        """Delete the keys."""
        self._store.clear("key-")
        self._store.close()


class Redis:
    """redis-py with hiredis alone, values in JSON.

    Args:
        place: a Redis database.
    """

    def __init__(self, place: Place) -> None:
        import redis  # noqa: PLC0415 - where it is not installed the others are measured

        self._client: Any = redis.Redis.from_url(place.url, decode_responses=True)
        keys = [f"{PREFIX}raw-{number}" for number in range(KEYS)]
        self._all, self._keys = keys, cycle(keys)

    def open(self) -> None:
        """Have all keys there."""
        for _ in range(KEYS // MANY):
            self.set_many()

    def set(self) -> None:
        """Set a key."""
        self._client.set(next(self._keys), json.dumps(VALUE))

    def get(self) -> Any:
        """Get a key."""
        return json.loads(self._client.get(next(self._keys)))

    def set_many(self) -> None:
        """Set a hundred keys."""
        self._client.mset({next(self._keys): json.dumps(VALUE) for _ in range(MANY)})

    def get_many(self) -> Any:
        """Get a hundred keys."""
        found = self._client.mget([next(self._keys) for _ in range(MANY)])
        return [json.loads(value) for value in found]

    def check(self) -> int:
        """Return how many of a hundred values are not those that were set."""
        return sum(value != VALUE for value in self.get_many())

    def close(self) -> None:
        """Delete the keys."""
        self._client.delete(*self._all)
        self._client.close()
