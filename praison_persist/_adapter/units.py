"""Writes that are one commit: what one event stores, and what is gathered of a turn."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Protocol, Self

from praison_persist import lifecycle
from praison_persist._flow import Flow, arun, run
from praison_persist.connect import Connected
from praison_persist.errors import PersistError
from praison_persist.lifecycle import Stores
from praison_persist.models import ConversationMessage
from praison_persist.outbox import RETRIED

__all__ = ["Said", "Unit", "Units", "as_one", "as_one_async"]

Make = Callable[[Stores], Flow[None]]


@dataclass(frozen=True, slots=True)
class Said:
    """The write that appends messages."""

    messages: tuple[ConversationMessage, ...]

    def __call__(self, stores: Stores) -> Flow[None]:
        """Return the flow that stores them."""
        return lifecycle.append(stores, self.messages)


def as_one(connected: Connected, makes: Sequence[Make]) -> None:
    """Run writes in one transaction, where the stores can.

    If one of them is refused, those before it are stored all the same.
    """
    joined = _joined(makes)
    if connected.is_one_database and not _is_append(joined):
        try:
            connected.run_as_one(joined)
        except RETRIED:
            raise
        except PersistError:
            pass
        else:
            return
    for make in joined:
        run(make(connected.sync_stores))


async def as_one_async(connected: Connected, makes: Sequence[Make]) -> None:
    """See `as_one`."""
    joined = _joined(makes)
    if connected.is_one_database and not _is_append(joined):
        try:
            await connected.arun_as_one(joined)
        except RETRIED:
            raise
        except PersistError:
            pass
        else:
            return
    for make in joined:
        await arun(make(connected.async_stores))


def _joined(makes: Sequence[Make]) -> list[Make]:
    """Let messages that follow each other be appended together."""
    found: list[Make] = []
    for make in makes:
        last = found[-1] if found else None
        if isinstance(make, Said) and isinstance(last, Said):
            found[-1] = Said(last.messages + make.messages)
        else:
            found.append(make)
    return found


def _is_append(makes: Sequence[Make]) -> bool:
    """Whether it is one commit anyway, which others' messages may share."""
    return len(makes) == 1 and isinstance(makes[0], Said)


class Units:
    """The open blocks of an adapter, by session. Shared by threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._gathered: dict[str, list[Make]] = {}
        self._depths: dict[str, int] = {}

    def enter(self, session_id: str) -> None:
        """Begin to gather, or go one block deeper."""
        with self._lock:
            self._depths[session_id] = self._depths.get(session_id, 0) + 1

    def leave(self, session_id: str) -> list[Make]:
        """Return what is to be stored: all, at the end of the outermost block."""
        with self._lock:
            self._depths[session_id] -= 1
            if self._depths[session_id]:
                return []
            del self._depths[session_id]
            return self._gathered.pop(session_id, [])

    def gather(self, session_id: str | None, makes: Sequence[Make]) -> bool:
        """Take these writes, if a block of their session is open."""
        if not self._depths:
            return False
        with self._lock:
            if session_id is None or session_id not in self._depths:
                return False
            self._gathered.setdefault(session_id, []).extend(makes)
            return True

    def take_here(self) -> list[Make]:
        """Take what was gathered of a session whose block is open here; nothing if there is none.

        Of one session at a time: what cannot be stored leaves the others' gathered.
        """
        if not self._gathered:
            return []
        here = [session_id for owner, session_id in _entered.get() if owner is self]
        with self._lock:
            found = next((key for key in here if key in self._gathered), None)
            return [] if found is None else self._gathered.pop(found)

    def take_all(self) -> list[list[Make]]:
        """Take what was gathered so far, of each session."""
        with self._lock:
            taken, self._gathered = self._gathered, {}
        return list(taken.values())


# The blocks that this thread or task is in.
_entered: ContextVar[tuple[tuple[Units, str], ...]] = ContextVar("praison_units", default=())


class _Writer(Protocol):
    def write_now(self, makes: Sequence[Make]) -> None: ...

    async def awrite_now(self, makes: Sequence[Make]) -> None: ...


class Unit:
    """See `AdapterCore.turn`."""

    def __init__(self, units: Units, session_id: str, writer: _Writer) -> None:
        self._units, self._session_id, self._writer = units, session_id, writer

    def __enter__(self) -> Self:
        self._units.enter(self._session_id)
        _entered.set((*_entered.get(), (self._units, self._session_id)))
        return self

    def __exit__(self, *_exception: object) -> None:
        self._leave()
        if makes := self._units.leave(self._session_id):
            self._writer.write_now(makes)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(self, *_exception: object) -> None:
        self._leave()
        if makes := self._units.leave(self._session_id):
            await self._writer.awrite_now(makes)

    def _leave(self) -> None:
        inside = list(_entered.get())
        if (self._units, self._session_id) in inside:  # else it was entered elsewhere
            inside.remove((self._units, self._session_id))
            _entered.set(tuple(inside))
