"""A driver for vendors that keep all of a key in one document, as pure changes of that document."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf
from typing import Generic, Self, TypeVar

from praison_persist._flow import Flow
from praison_persist.state.driver import StateDriver, added

__all__ = ["Change", "Entry", "EntryDriver", "Keep"]

R = TypeVar("R")

_ANSWERS = 16  # to remember: more writers of a key are seldom faster than one that repeats


@dataclass(frozen=True, slots=True)
class Entry:
    """All that there is under a key.

    Attributes:
        text: the value as JSON; None: there is only a hash.
        version: of the value; 0 if there is none.
        fields: the hash, field -> JSON.
        expires_at: seconds since the epoch, UTC; None: never.
        answers: version and answer of the latest conditional writes, oldest first. A write whose
            answer was lost is repeated with its version: that it was done is known though others
            have written since.
    """

    text: str | None = None
    version: int = 0
    fields: Mapping[str, str] = field(default_factory=dict)
    expires_at: float | None = None
    answers: tuple[tuple[int, int], ...] = ()

    def answered(self, version: int, answer: int) -> Self:
        """Return the entry after a conditional write."""
        return replace(self, answers=(*self.answers[1 - _ANSWERS :], (version, answer)))

    def is_live(self, now: float) -> bool:
        """Whether the entry has not expired."""
        return self.expires_at is None or now < self.expires_at


@dataclass(frozen=True, slots=True)
class Keep(Generic[R]):
    """What a change returns that changes nothing.

    Attributes:
        result: of the hook.
    """

    result: R


# From the live entry of a key, None if there is none, to what it becomes, None if nothing is to
# be left, and the result of the hook. May be called again, with what another writer left.
Change = Callable[[Entry | None], tuple[Entry | None, R] | Keep[R]]


class EntryDriver(StateDriver):
    """All hooks but `load`, `change`, `page` and `close`.

    Args:
        clock: seconds since the epoch; decides what has expired.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock

    @abstractmethod
    def load(self, keys: Sequence[str]) -> Flow[dict[str, Entry]]:
        """Return key -> entry for those of the keys that there are; those that expired or not."""

    @abstractmethod
    def change(self, key: str, change: Change[R]) -> Flow[R]:
        """Apply a change to the key's live entry, on condition that no other writer interferes.

        Load, call `change`, write unless it returned `Keep`; if another writer was faster, begin
        again. Return the result of the change that was written.
        """

    def change_all(self, changes: Mapping[str, Change[R]]) -> Flow[list[R]]:
        """`change` each of the keys; a vendor that can does it at once."""
        results = []
        for key, change in changes.items():
            results.append((yield from self.change(key, change)))
        return results

    def _live(self, keys: Sequence[str]) -> Flow[dict[str, Entry]]:
        found = yield from self.load(keys)
        now = self.clock()
        return {key: entry for key, entry in found.items() if entry.is_live(now)}

    def _deadline(self, ttl: float | None) -> float | None:
        return None if ttl is None else self.clock() + ttl

    def read(self, keys: Sequence[str]) -> Flow[dict[str, str]]:
        """See StateDriver.read."""
        found = yield from self._live(keys)
        return {key: entry.text for key, entry in found.items() if entry.text is not None}

    def read_versioned(self, key: str) -> Flow[tuple[str, int] | None]:
        """See StateDriver.read_versioned."""
        entry = (yield from self._live([key])).get(key)
        return None if entry is None or entry.text is None else (entry.text, entry.version)

    def write(self, texts: Mapping[str, str], version: int, ttl: float | None) -> Flow[int]:
        """See StateDriver.write."""
        expires_at = self._deadline(ttl)
        puts: dict[str, Change[int | None]] = {
            key: _put(text, version, expires_at) for key, text in texts.items()
        }
        yield from self.change_all(puts)
        return version

    def write_if(
        self, key: str, text: str, version: int, ttl: float | None, expected: int
    ) -> Flow[int | None]:
        """See StateDriver.write_if."""
        put = _put(text, version, self._deadline(ttl))

        def change(entry: Entry | None) -> tuple[Entry | None, int | None] | Keep[int | None]:
            if entry and version in dict(entry.answers):
                return Keep(version)  # an earlier try has written it, and the answer was lost
            if (entry.version if entry else 0) != expected:
                return Keep(None)
            new, _ = put(entry)
            return new.answered(version, version), version

        return (yield from self.change(key, change))

    def delete(self, keys: Sequence[str]) -> Flow[int]:
        """See StateDriver.delete."""
        return sum((yield from self.change_all(dict.fromkeys(keys, _remove))))

    def remaining(self, key: str) -> Flow[float | None]:
        """See StateDriver.remaining."""
        entry = (yield from self._live([key])).get(key)
        if entry is None:
            return None
        return inf if entry.expires_at is None else entry.expires_at - self.clock()

    def expire(self, key: str, ttl: float | None) -> Flow[bool]:
        """See StateDriver.expire."""
        expires_at = self._deadline(ttl)

        def change(entry: Entry | None) -> tuple[Entry | None, bool] | Keep[bool]:
            return Keep(False) if entry is None else (replace(entry, expires_at=expires_at), True)

        return (yield from self.change(key, change))

    def read_fields(self, key: str, fields: Sequence[str] | None) -> Flow[dict[str, str]]:
        """See StateDriver.read_fields."""
        entry = (yield from self._live([key])).get(key)
        stored = entry.fields if entry else {}
        names = stored if fields is None else [name for name in fields if name in stored]
        return {name: stored[name] for name in names}

    def write_fields(self, key: str, texts: Mapping[str, str]) -> Flow[None]:
        """See StateDriver.write_fields."""

        def change(entry: Entry | None) -> tuple[Entry | None, None]:
            entry = entry or Entry()
            return replace(entry, fields={**entry.fields, **texts}), None

        yield from self.change(key, change)

    def delete_fields(self, key: str, fields: Sequence[str]) -> Flow[int]:
        """See StateDriver.delete_fields."""

        def change(entry: Entry | None) -> tuple[Entry | None, int] | Keep[int]:
            there = [name for name in fields if entry and name in entry.fields]
            if entry is None or not there:
                return Keep(0)
            left = {name: text for name, text in entry.fields.items() if name not in there}
            keep = left or entry.text is not None
            return (replace(entry, fields=left) if keep else None), len(there)

        return (yield from self.change(key, change))

    def add(self, key: str, amount: int, version: int) -> Flow[int]:
        """See StateDriver.add."""

        def change(entry: Entry | None) -> tuple[Entry | None, int] | Keep[int]:
            entry = entry or Entry()
            earlier = dict(entry.answers).get(version)
            if earlier is not None:
                return Keep(earlier)  # as in write_if
            total = added(key, entry.text, amount)
            new = replace(entry, text=str(total), version=version)
            return new.answered(version, total), total

        return (yield from self.change(key, change))


def _put(
    text: str, version: int, expires_at: float | None
) -> Callable[[Entry | None], tuple[Entry, int | None]]:
    def change(entry: Entry | None) -> tuple[Entry, int | None]:
        new = replace(entry or Entry(), text=text, version=version, expires_at=expires_at)
        return new, version

    return change


def _remove(entry: Entry | None) -> tuple[Entry | None, int] | Keep[int]:
    return Keep(0) if entry is None else (None, 1)
