"""Copying state: values, hashes and what is left of their times to live."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

from praison_persist._checks import check_integer
from praison_persist.connect import connect_store, state_pair
from praison_persist.errors import ConflictError
from praison_persist.protocols import StateStore
from praison_persist.transfer.checkpoint import Checkpoint, address
from praison_persist.transfer.report import CopyReport, OnProgress, Progress

__all__ = ["copy_state"]

_KIND = "state"


def copy_state(
    source: Any,
    target: Any,
    *,
    prefix: str = "",
    overwrite: bool = False,
    verify: bool = False,
    dry_run: bool = False,
    checkpoint: Checkpoint | None = None,
    on_progress: OnProgress | None = None,
    page: int = 500,
) -> CopyReport:
    """Copy all keys that begin with `prefix`: values, hashes, and the whole seconds they have left.

    Versions are not copied, the target gives its own. A key that has expired is not copied.

    Args:
        source: a URL or a store, sync or async. A store stays open.
        target: as `source`; another place. Other keys there stay as they are.
        prefix: of the keys.
        overwrite: replace keys that the target has with another content.
        verify: compare the contents of all keys at the end.
        dry_run: read only, and report what there is.
        checkpoint: where to note how far the copy is, and where to go on. It is removed at the end.
        on_progress: is called after each page; the total is not known.
        page: how many keys are read at a time, from 1.

    Raises:
        ConfigurationError: a URL cannot be right.
        ConflictError: a key exists in the target with another content, and `overwrite` is off.
    """
    check_integer(page, "page", 1)
    opened: list[StateStore] = []
    try:
        stores = []
        for place in (source, target):
            found = state_pair(connect_store("state", place, None, None))[0]
            if isinstance(place, str | os.PathLike):
                opened.append(found)
            stores.append(found)
        copy = _Copy(stores[0], stores[1], prefix, page, on_progress)
        if dry_run:
            return copy.look()
        where = (_KIND, f"{address(source)} {prefix}".strip(), address(target))
        copy.run(checkpoint, where, overwrite=overwrite)
        if verify:
            copy.verify()
        if checkpoint is not None:
            checkpoint.remove()
        return copy.report
    finally:
        for store in opened:
            store.close()


class _Copy:
    """One copy of keys; its report is filled as it goes on."""

    def __init__(
        self,
        source: StateStore,
        target: StateStore,
        prefix: str,
        page: int,
        on_progress: OnProgress | None,
    ) -> None:
        self._source, self._target = source, target
        self._prefix, self._page, self._on_progress = prefix, page, on_progress
        self.report = CopyReport(_KIND)

    def look(self) -> CopyReport:
        self.report.dry_run = True
        for keys, _ in self._pages(None):
            self.report.found["keys"] += len(keys)
        return self.report

    def run(
        self, checkpoint: Checkpoint | None, where: tuple[str, str, str], *, overwrite: bool
    ) -> None:
        at = {} if checkpoint is None else checkpoint.load(*where)
        self.report.found.update(at.get("found", {}))
        self.report.written.update(at.get("written", {}))
        for keys, cursor in () if at.get("copied") else self._pages(at.get("cursor")):
            values = self._source.get_many(keys)
            there = self._target.get_many(keys)
            for key in keys:
                self._copy(key, values, there, overwrite=overwrite)
            if checkpoint is not None:
                position = {
                    "cursor": cursor,
                    "copied": cursor is None,
                    "found": dict(self.report.found),
                    "written": dict(self.report.written),
                }
                checkpoint.save(*where, position)
            self._tell("copy", keys, self.report.found["keys"])

    def _copy(
        self, key: str, values: dict[str, Any], there: dict[str, Any], *, overwrite: bool
    ) -> None:
        # Read before the rest: None must not come from a key that expired in between.
        ttl = self._source.ttl(key)
        fields = self._source.hgetall(key)
        if key not in values and not fields:
            return  # expired or deleted meanwhile
        self.report.found["keys"] += 1
        own, other = _content(values, key, fields), _content(there, key, self._target.hgetall(key))
        if _text(own) == _text(other):
            if ttl is not None and self._target.ttl(key) is None:
                self._target.expire(key, ttl)  # a copy was interrupted before it did
            return
        if other != ([], {}):
            if not overwrite and not _begins(other, own):
                raise ConflictError(
                    f"The key {key!r} exists in the target with another content; it was left as it "
                    "is. Delete it there, or pass overwrite=True (--overwrite)"
                )
            self._target.delete(key)
        if key in values:
            self._target.set(key, values[key], ttl)
        for field, value in fields.items():
            self._target.hset(key, field, value)
        if ttl is not None and key not in values:
            self._target.expire(key, ttl)
        self.report.written["keys"] += 1

    def verify(self) -> None:
        self.report.verified = True
        compared = 0
        for keys, _ in self._pages(None):
            values, there = self._source.get_many(keys), self._target.get_many(keys)
            for key in keys:
                own = _content(values, key, self._source.hgetall(key))
                other = _content(there, key, self._target.hgetall(key))
                if _text(own) != _text(other) and self._source.exists(key):
                    self.report.differ(f"key {key!r} {'differs' if any(other) else 'is missing'}")
            compared += len(keys)
            self._tell("verify", keys, compared)

    def _pages(self, cursor: str | None) -> Iterator[tuple[list[str], str | None]]:
        while True:
            found = self._source.page_keys(self._prefix, limit=self._page, cursor=cursor)
            cursor = found.next_cursor
            yield list(dict.fromkeys(found.keys)), cursor
            if cursor is None:
                return

    def _tell(self, phase: str, keys: list[str], done: int) -> None:
        if self._on_progress is not None and keys:
            self._on_progress(Progress(_KIND, phase, keys[-1], done, None))


def _content(
    values: dict[str, Any], key: str, fields: dict[str, Any]
) -> tuple[list[Any], dict[str, Any]]:
    """Return the value in a list, which is empty if there is none, and the hash."""
    return ([values[key]] if key in values else []), fields


def _text(content: tuple[list[Any], dict[str, Any]]) -> str:
    return json.dumps(content, sort_keys=True)  # in which 1, 1.0 and true differ


def _begins(
    part: tuple[list[Any], dict[str, Any]], whole: tuple[list[Any], dict[str, Any]]
) -> bool:
    """Return whether `part` is what an interrupted copy may have left of `whole`."""
    return part[0] in ([], whole[0]) and part[1].items() <= whole[1].items()
