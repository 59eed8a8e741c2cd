"""Reads from a replica that still see what this process wrote.

Each write leaves a mark. A read whose marks have no position yet goes to the primary, and takes
the primary's position along; later ones go to the replica once it has come that far.
"""

from __future__ import annotations

import enum
import logging
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final, TypeVar
from weakref import WeakValueDictionary

import sqlalchemy as sa

from praison_persist.errors import ConfigurationError
from praison_persist.newest import is_newest
from praison_persist.sql.options import SQLOptions
from praison_persist.sql.url import Target, parse_url

__all__ = ["Behind", "Replica", "about_all", "about_session"]

_log = logging.getLogger(__name__)

R = TypeVar("R")
Op = TypeVar("Op", bound=Callable[..., Any])

_SESSIONS: Final = 10_000  # that are remembered one by one
_LEFT_ALONE_S: Final = 30.0  # after a failure


class _Scope(enum.Enum):
    SESSION = enum.auto()
    ALL = enum.auto()


def about_session(op: Op) -> Op:
    """Mark an operation whose first argument is a session's id, or has it as `session_id`."""
    op.__dict__["praison_scope"] = _Scope.SESSION
    return op


def about_all(op: Op) -> Op:
    """Mark an operation that is not about one session.

    As a write, it changes nothing that a read about one session shows.
    """
    op.__dict__["praison_scope"] = _Scope.ALL
    return op


def _subject(op: Callable[..., Any], args: Sequence[Any]) -> _Scope | str | None:
    """Return the id of the session, ALL, or None for an operation that is not marked."""
    scope: _Scope | None = getattr(op, "praison_scope", None)
    if scope is not _Scope.SESSION:
        return scope
    return str(getattr(args[0], "session_id", args[0]))


class Behind(Exception):  # noqa: N818 - it sends a read to the primary, and is no error
    """The replica does not show yet what the read has to see."""


class _Mark:
    """That something was written.

    Attributes:
        at: when, on the clock of its Written.
        position: of the primary's log, at or behind that write; None: not asked for yet.
    """

    __slots__ = ("at", "position")

    def __init__(self, at: float) -> None:
        self.at = at
        self.position: int | None = None


class Written:
    """What this process wrote to one primary. Shared by all stores of it with a replica."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.lock = threading.Lock()
        self._sessions: OrderedDict[str, _Mark] = OrderedDict()
        self._anything: _Mark | None = None
        self._any_session: _Mark | None = None

    def add(self, op: Callable[..., Any], args: Sequence[Any]) -> None:
        """Tell that this write may have happened."""
        subject, mark = _subject(op, args), _Mark(self.clock())
        with self.lock:
            self._anything = mark
            if subject is None:
                self._any_session = mark
            elif isinstance(subject, str):
                self._sessions[subject] = mark
                self._sessions.move_to_end(subject)
                if len(self._sessions) > _SESSIONS:
                    _, forgotten = self._sessions.popitem(last=False)
                    known = self._any_session
                    # The later one's position is behind both writes.
                    if known is None or known.at < forgotten.at:
                        self._any_session = forgotten

    def marks(self, op: Callable[..., Any], args: Sequence[Any]) -> list[_Mark] | None:
        """Return the writes that this read has to see; None: it is not for a replica."""
        subject = _subject(op, args)
        if subject is None:
            return None
        with self.lock:
            if isinstance(subject, str):
                found = [self._sessions.get(subject), self._any_session]
            else:
                found = [self._anything]
        return [mark for mark in found if mark is not None]


_written: WeakValueDictionary[object, Written] = WeakValueDictionary()
_lock = threading.Lock()


def _after_fork() -> None:
    """Let no lock stay held in the child."""
    global _lock  # noqa: PLW0603 - as above
    _lock = threading.Lock()
    for written in list(_written.values()):
        written.lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _written_to(target: Target) -> Written:
    with _lock:
        return _written.setdefault((target.dialect.name, target.address), Written())


class Replica:
    """A replica of one database: which reads it may answer, and whether it does.

    Raises:
        ConfigurationError: its URL is not one of the same kind of database.
    """

    def __init__(self, primary: Target, options: SQLOptions) -> None:
        url = parse_url(options.replica_url or "")
        if url.dialect is not primary.dialect or url.dialect.replica_query is None:
            raise ConfigurationError(
                f"replica_url is one of {url.dialect.name} and the database is one of "
                f"{primary.dialect.name}: both must be of PostgreSQL, or of MariaDB and MySQL"
            )
        several = url.dialect.replica_query if len(url.hosts) > 1 else {}
        # The primary's driver, whose errors are known where this one's are caught.
        self.target = replace(
            url, query={**several, **url.query}, written_driver=primary.written_driver
        )
        self.written = _written_to(primary)
        self._lag_s = options.replica_lag
        self._position = primary.dialect.position
        self._alone_until = float("-inf")
        self._told = False

    def marks(self, op: Callable[..., Any], args: Sequence[Any]) -> list[_Mark] | None:
        """Return the writes that this read has to see; None: the primary alone can answer it."""
        return None if is_newest() else self.written.marks(op, args)

    def may_answer(self, marks: list[_Mark]) -> bool:
        """Whether it is worth asking."""
        if time.monotonic() < self._alone_until:
            return False
        if self._position is not None:
            return all(mark.position is not None for mark in marks)
        since = self.written.clock() - self._lag_s
        return all(mark.at < since for mark in marks)

    def answer(
        self, connection: sa.Connection, work: Callable[[sa.Connection], R], marks: list[_Mark]
    ) -> R:
        """Run `work` on a connection to the replica.

        Raises:
            Behind: it does not show all of `marks` yet.
        """
        needed = [mark.position for mark in marks if mark.position is not None]
        if needed and self._position is not None:
            # In a transaction before, whose snapshot is older than the answer.
            with connection.begin():
                reached = connection.scalar(sa.text(self._position))
            if reached is None or reached < max(needed):
                raise Behind
        with connection.begin():
            found = work(connection)
        self._told = False
        return found

    def on_primary(
        self, work: Callable[[sa.Connection], R], marks: list[_Mark]
    ) -> Callable[[sa.Connection], R]:
        """Return `work`, to be run on the primary, that takes its position along."""
        unknown = [mark for mark in marks if mark.position is None]
        if self._position is None or not unknown:
            return work
        query = sa.text(self._position)

        def positioned(connection: sa.Connection) -> R:
            found = work(connection)
            position = connection.scalar(query)
            for mark in unknown:
                mark.position = position
            return found

        return positioned

    def failed(self, error: BaseException) -> None:
        """Leave it alone for a while; the primary answers instead."""
        self._alone_until = time.monotonic() + _LEFT_ALONE_S
        if not self._told:
            self._told = True
            _log.warning(
                "the replica %s cannot be read (%s): the primary answers until it can",
                self.target.address,
                type(error).__name__,
            )
