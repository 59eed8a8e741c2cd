"""A bounded dict: keeps what was used last, and forgets the rest."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Generic, TypeVar

__all__ = ["Recent"]

K = TypeVar("K")
V = TypeVar("V")


class Recent(Generic[K, V]):
    """At most `limit` items, shared by threads; the one unused for longest goes first."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._items: OrderedDict[K, V] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._items)

    def get(self, key: K) -> V | None:
        """Return the value of `key`, now the last used; None if there is none."""
        with self._lock:
            if key not in self._items:
                return None
            self._items.move_to_end(key)
            return self._items[key]

    def put(self, key: K, value: V) -> None:
        """Set the value of `key`, now the last used."""
        with self._lock:
            self._items[key] = value
            self._items.move_to_end(key)
            while len(self._items) > self._limit:
                self._items.popitem(last=False)

    def discard(self, key: K, value: V) -> None:
        """Forget `key`, if its value is still this one."""
        with self._lock:
            if self._items.get(key) is value:
                del self._items[key]

    def values(self) -> list[V]:
        """Return the values, the last used last."""
        with self._lock:
            return list(self._items.values())
