"""Texts in order in a state store: adding one does not read or write all of them.

A state store has keys and no order. An index is chunks of sorted texts; all in a chunk are greater
than all in the chunk before. The newest chunk is in the head, under a fixed key. When it is full
and a greater text comes, it is moved under a key of its own in steps that any writer can take up:
the head is marked as full, from when on its texts do not change; they are copied; the head is
given to the next chunk. Each step is one conditional write, so that writers need no lock and one
that dies leaves nothing half-done. A text that comes late is added where it belongs, which makes
that chunk longer: texts are expected nearly in order.
"""

from __future__ import annotations

import secrets
from bisect import bisect_left
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from praison_persist._flow import Flow, wait
from praison_persist.errors import ConflictError
from praison_persist.protocols import AsyncStateStore, StateStore, Versioned

__all__ = ["Index", "Reading"]

_CHUNK = 64  # texts: what every addition writes again
_AHEAD = 16  # chunks read at once


@dataclass(slots=True)
class Reading:
    """How far the texts of an index have been read, from the greatest.

    Attributes:
        chunks: keys of chunks that were not read, newest last.
        ahead: how many of them are read at once next.
    """

    chunks: list[str] = field(default_factory=list)
    ahead: int = 1


class Index:
    """An index.

    Args:
        head: key of the newest chunk.
        chunk: returns the key of an older one, by epoch and number. An epoch is new for each
            index that is made under the same keys, so that nothing of one that was deleted counts.
        about: kept in the head.
    """

    def __init__(
        self,
        state: StateStore | AsyncStateStore,
        head: str,
        chunk: Callable[[str, int], str],
        about: str,
    ) -> None:
        self._state, self._head, self._chunk, self._about = state, head, chunk, about

    def add(self, text: str, announce: Callable[[], Flow[None]] | None = None) -> Flow[None]:
        """Add a text, if it is not there yet; `announce` before the index is made for it."""
        while True:
            try:
                head = yield from self._settled(text, announce)
                if text not in head.value["texts"]:
                    yield from self._add(head, text)
            except ConflictError:
                continue  # another was faster
            return

    def remove(self, texts: Collection[str]) -> Flow[None]:
        """Remove those of the texts that are there."""
        while True:
            head = yield from wait(self._state.get_versioned(self._head))
            if head is None:
                return
            try:
                if head.value["full"]:
                    yield from self._move(head)
                    continue
                yield from self._keep(self._head, head, texts)
            except ConflictError:
                continue
            break
        # A text moves from the head to an older chunk, and never back.
        first = last = int(head.value["number"])
        for number in range(last - 1, int(head.value["first"]) - 1, -1):
            if (yield from self._remove(self._at(head, number), texts)):
                first = number
        yield from self._begin_with(head.value["epoch"], first)

    def read(self, reading: Reading | None) -> Flow[tuple[list[str], Reading | None]]:
        """Return some of the texts, greatest first, and where to go on; None: that was all.

        Begin with None. What is added meanwhile may be missing.
        """
        if reading is None:
            head = yield from wait(self._state.get(self._head))
            if head is None:
                return [], None
            older = [self._at(head, n) for n in range(head["first"], head["number"])]
            return _descending(head), Reading(older) if older else None
        keys = reading.chunks[-reading.ahead :]
        found = yield from wait(self._state.get_many(keys))
        texts = [text for key in reversed(keys) for text in reversed(found.get(key, []))]
        left = reading.chunks[: -len(keys)]
        return texts, Reading(left, min(2 * reading.ahead, _AHEAD)) if left else None

    def all(self) -> Flow[list[str]]:
        """Return all texts, greatest first."""
        texts, reading = yield from self.read(None)
        while reading is not None:
            more, reading = yield from self.read(reading)
            texts += more
        return texts

    def _settled(self, text: str, announce: Callable[[], Flow[None]] | None) -> Flow[Versioned]:
        """Return the head, not full where `text` would be added at its end; make it if need be."""
        while True:
            head = yield from wait(self._state.get_versioned(self._head))
            if head is None:
                if announce is not None:
                    yield from announce()
                value = {
                    "about": self._about,
                    "epoch": secrets.token_hex(6),
                    "first": 1,
                    "number": 1,
                    "full": False,
                    "texts": [],
                }
                version = yield from self._write(self._head, value, 0)
                return Versioned(value, version)
            if head.value["full"]:
                yield from self._move(head)
                continue
            texts = head.value["texts"]
            if len(texts) < _CHUNK or text <= texts[-1]:
                return head
            yield from self._write(self._head, {**head.value, "full": True}, head.version)

    def _move(self, head: Versioned) -> Flow[None]:
        """Copy the texts of a full head under a key of their own, and begin the next chunk."""
        value = head.value
        key = self._at(value, value["number"])
        yield from wait(self._state.set_if_absent(key, value["texts"]))
        following = {**value, "number": value["number"] + 1, "full": False, "texts": []}
        yield from self._write(self._head, following, head.version)

    def _add(self, head: Versioned, text: str) -> Flow[None]:
        """Add to the chunk whose range has the text: between two chunks, that is the newer one."""
        key, found, texts = self._head, head, head.value["texts"]
        number = int(head.value["number"])
        while number > head.value["first"] and not (texts and text >= texts[0]):
            number -= 1
            older = self._at(head, number)
            chunk = yield from wait(self._state.get_versioned(older))
            if chunk is None or not chunk.value:
                continue  # emptied by deletions: nothing is added there again
            if text > chunk.value[-1]:
                break
            key, found, texts = older, chunk, chunk.value
        if text in texts:
            return
        at = bisect_left(texts, text)
        new = [*texts[:at], text, *texts[at:]]
        value = {**found.value, "texts": new} if key == self._head else new
        yield from self._write(key, value, found.version)

    def _remove(self, key: str, texts: Collection[str]) -> Flow[bool]:
        """Remove texts from an older chunk; return whether any others are left."""
        while True:
            chunk = yield from wait(self._state.get_versioned(key))
            if chunk is None:
                return False
            try:
                return (yield from self._keep(key, chunk, texts))
            except ConflictError:
                continue

    def _keep(self, key: str, chunk: Versioned, removed: Collection[str]) -> Flow[bool]:
        """Write the chunk without the removed texts; return whether any are left."""
        is_head = key == self._head
        texts = chunk.value["texts"] if is_head else chunk.value
        kept = [text for text in texts if text not in removed]
        if len(kept) < len(texts):
            value = {**chunk.value, "texts": kept} if is_head else kept
            yield from self._write(key, value, chunk.version)
        return bool(kept)

    def _begin_with(self, epoch: str, first: int) -> Flow[None]:
        """Leave out the chunks below `first`, which are empty and stay so."""
        while True:
            head = yield from wait(self._state.get_versioned(self._head))
            if head is None or head.value["epoch"] != epoch or head.value["first"] >= first:
                return
            try:
                yield from self._write(self._head, {**head.value, "first": first}, head.version)
            except ConflictError:
                continue
            for number in range(head.value["first"], first):
                yield from wait(self._state.delete(self._at(head.value, number)))
            return

    def _at(self, head: Any, number: int) -> str:
        value = head.value if isinstance(head, Versioned) else head
        return self._chunk(value["epoch"], number)

    def _write(self, key: str, value: Any, version: int) -> Flow[int]:
        return wait(self._state.set(key, value, expected_version=version))


def _descending(head: dict[str, Any]) -> list[str]:
    return list(reversed(head["texts"]))
