"""State on a shelf."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from praison_persist.state.base import BaseStateStore
from praison_persist.state.driver import done
from praison_persist.state.entries import EntryDriver, Keep
from praison_persist.state.keys import Glob
from praison_shelf.shelves import shelf_of

__all__ = ["ShelfStateStore"]


class ShelfStateStore(BaseStateStore):
    """A state store on the shelf of a URL."""

    def __init__(self, url: str = "shelf://", *, clock: Callable[[], float] = time.time) -> None:
        super().__init__(_Driver(url, clock))


class _Driver(EntryDriver):
    """The hooks of vendors that keep all of a key in one document, an `Entry`."""

    def __init__(self, url: str, clock: Callable[[], float]) -> None:
        super().__init__(clock)
        self.address = url
        self._shelf = shelf_of(url)

    def load(self, keys: Sequence[str]) -> Any:
        with self._shelf.lock:
            return done(
                {key: self._shelf.entries[key] for key in keys if key in self._shelf.entries}
            )

    def change(self, key: str, change: Callable[..., Any]) -> Any:
        with self._shelf.lock:
            entry = self._shelf.entries.get(key)
            outcome = change(entry if entry and entry.is_live(self.clock()) else None)
            if isinstance(outcome, Keep):
                return done(outcome.result)
            new, result = outcome
            if new is None:
                self._shelf.entries.pop(key, None)
            else:
                self._shelf.entries[key] = new
            return done(result)

    def page(self, glob: Glob, limit: int | None, cursor: str | None) -> Any:
        with self._shelf.lock:
            now = self.clock()
            keys = sorted(
                key
                for key, entry in self._shelf.entries.items()
                if entry.is_live(now) and glob.matches(key) and (cursor is None or key > cursor)
            )
        if limit is None or len(keys) <= limit:
            return done((keys, None))
        return done((keys[:limit], keys[limit - 1]))

    def close(self) -> Any:
        return done(None)
