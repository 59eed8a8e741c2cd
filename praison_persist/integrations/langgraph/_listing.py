"""Checkpoints page by page, newest first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import CheckpointTuple

from praison_persist._flow import Flow, wait
from praison_persist.errors import InvalidDataError
from praison_persist.integrations.langgraph._checkpoints import Checkpoints
from praison_persist.integrations.langgraph._config import optional_id, place_of
from praison_persist.integrations.langgraph._index import Reading

__all__ = ["Listing"]

_FIRST_PAGE, _PAGE = 8, 64  # checkpoints read at once


class Listing:
    """A list of checkpoints, read as far as it is asked for. See `BaseCheckpointSaver.list`.

    With a namespace: those of it. Without: those of the thread, of all namespaces. Without a
    config: those of all threads, thread by thread.
    """

    def __init__(
        self,
        checkpoints: Checkpoints,
        config: RunnableConfig | None,
        *,
        metadata: Mapping[str, Any] | None,
        before: RunnableConfig | None,
        limit: int | None,
    ) -> None:
        if limit is not None and (not isinstance(limit, int) or limit < 0):
            raise InvalidDataError(f"limit is a number of checkpoints or None, not {limit!r}")
        self._checkpoints, self._metadata, self._left = checkpoints, dict(metadata or {}), limit
        self._before, self._id = optional_id(before), optional_id(config)
        self._threads: list[str] | None = None  # that were not begun; None: not read yet
        self._namespace: str | None = None
        self._config = config
        self._thread = ""
        self._reading: Reading | None = None  # of the namespace; None: all its ids are pending
        self._pending: list[tuple[str, str]] = []  # namespace and id
        self._size = _FIRST_PAGE

    def next_page(self) -> Flow[list[CheckpointTuple]]:
        """Return the next checkpoints; none: that was all."""
        if self._threads is None:
            yield from self._find_threads()
        while self._left is None or self._left > 0:
            if not self._pending and not (yield from self._more()):
                return []
            places, self._pending = self._pending[: self._size], self._pending[self._size :]
            self._size = min(2 * self._size, _PAGE)
            rows = yield from self._checkpoints.read(self._thread, places)
            matching = [row for row in rows if self._matches(row.metadata)][: self._left]
            if not matching:
                continue
            if self._left is not None:
                self._left -= len(matching)
            return (yield from self._checkpoints.complete(self._thread, matching))
        return []

    def _find_threads(self) -> Flow[None]:
        if self._config is not None:
            named = self._config.get("configurable") or {}
            place = place_of(self._config)
            self._threads = [place.thread_id]
            self._namespace = None if named.get("checkpoint_ns") is None else place.namespace
            return
        self._threads = []
        state, cursor = self._checkpoints.state, None
        keys: dict[str, None] = {}
        while True:
            page = yield from wait(
                state.page_keys(self._checkpoints.run_keys.threads, cursor=cursor)
            )
            keys |= dict.fromkeys(page.keys)
            cursor = page.next_cursor
            if cursor is None:
                break
        heads = yield from self._checkpoints.values(sorted(keys))
        self._threads = [head["about"] for head in heads.values()]

    def _more(self) -> Flow[bool]:
        """Find more ids that may match; return whether there are any."""
        while not self._pending:
            if self._reading is not None and self._namespace is not None:
                index = self._checkpoints.index(self._thread, self._namespace)
                ids, self._reading = yield from index.read(self._reading)
                self._pending = self._wanted(self._namespace, ids)
            elif self._threads:
                self._thread = self._threads.pop(0)
                yield from self._begin_thread()
            else:
                return False
        return True

    def _begin_thread(self) -> Flow[None]:
        if self._namespace is not None:
            index = self._checkpoints.index(self._thread, self._namespace)
            ids, self._reading = yield from index.read(None)
            self._pending = self._wanted(self._namespace, ids)
            return
        places: list[tuple[str, str]] = []
        for namespace in (yield from self._checkpoints.namespaces(self._thread)):
            ids = yield from self._checkpoints.index(self._thread, namespace).all()
            places += self._wanted(namespace, ids)
        self._pending = sorted(places, key=lambda place: place[1], reverse=True)

    def _wanted(self, namespace: str, ids: list[str]) -> list[tuple[str, str]]:
        return [
            (namespace, each)
            for each in ids
            if (self._id is None or each == self._id)
            and (self._before is None or each < self._before)
        ]

    def _matches(self, metadata: Mapping[str, Any]) -> bool:
        return all(metadata.get(name) == value for name, value in self._metadata.items())
