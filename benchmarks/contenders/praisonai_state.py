"""The state store of the original, in Redis. It has no methods for many keys."""

from __future__ import annotations

import importlib
from itertools import cycle
from typing import Any

from benchmarks.contenders.base import Place
from benchmarks.contenders.values import KEYS, MANY, PREFIX, VALUE

__all__ = ["State"]


class State:
    """Its `RedisStateStore`.

    Args:
        place: a Redis database.
    """

    def __init__(self, place: Place) -> None:
        module = importlib.import_module("praisonai.persistence.state.redis")
        self._store = module.RedisStateStore(url=place.url, prefix=f"{PREFIX}original:")
        self._all = [f"key-{number}" for number in range(KEYS)]
        self._keys = cycle(self._all)

    def open(self) -> None:
        """Have all keys there."""
        for _ in range(KEYS // MANY):
            self.set_many()

    def set(self) -> None:
        """Set a key."""
        self._store.set(next(self._keys), VALUE)

    def get(self) -> Any:
        """Get a key."""
        return self._store.get(next(self._keys))

    def set_many(self) -> None:
        """Set a hundred keys, one after the other."""
        for _ in range(MANY):
            self.set()

    def get_many(self) -> Any:
        """Get a hundred keys, one after the other."""
        return [self.get() for _ in range(MANY)]

    def check(self) -> int:
        """Return how many of a hundred values are not those that were set."""
        return sum(value != VALUE for value in self.get_many())

    def close(self) -> None:
        """Delete the keys."""
        for key in self._all:
            self._store.delete(key)
        self._store.close()
