"""The driver of conversations over the hooks of a SQL dialect."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from random import getrandbits
from typing import Any, Protocol, TypeVar

import sqlalchemy as sa
from sqlalchemy.sql import ClauseElement

from praison_persist._flow import Flow
from praison_persist._json import dumps, loads
from praison_persist._retry import RetryPolicy
from praison_persist.compat.dialect_sql import DialectTables
from praison_persist.conversation.driver import (
    ConversationDriver,
    Row,
    done,
    numbered,
    replaced,
)
from praison_persist.sql.types import LongText

__all__ = ["DialectDriver", "HookError", "Statements"]

T = TypeVar("T")

_JSON = frozenset({"state", "metadata", "tool_calls"})
_TEXT = frozenset({"name", "content"})
_FLOATS = frozenset({"created_at", "updated_at"})
_INTEGERS = frozenset({"version", "last_seq", "seq"})
# SQLite 3.31 and older take 999 parameters of a statement, others more.
_IDS = 500
_ROWS = 90
_TRIES = 5

_encode, _decode = LongText().process_bind_param, LongText().process_result_value
_ANY: Any = None  # LongText asks nothing of a dialect


class HookError(Exception):
    """What a hook of the dialect raised, as the cause of this."""


class Statements(Protocol):
    """A transaction that is open: statements of SQLAlchemy run through the dialect's hooks."""

    def execute(self, element: ClauseElement) -> None:
        """Run a statement that returns no rows."""
        ...

    def insert(self, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert rows, each with a value for every column."""
        ...

    def rows(self, element: ClauseElement) -> list[Mapping[str, Any]]:
        """Run a statement and return its rows."""
        ...

    def row(self, element: ClauseElement) -> Mapping[str, Any] | None:
        """Run a statement and return its first row."""
        ...


class DialectDriver(ConversationDriver):
    """Conversations in two tables.

    What counts or has to be atomic begins with a write of the session's row, which locks it: no
    result of a statement but its rows is relied on.

    Args:
        tables: of the dialect.
        transaction: runs a function in a transaction of its own; raises HookError.
        transient: what may not meet the next try.
        retry: of that.
        close: releases the connections.
        address: for messages.
    """

    failures = (HookError,)

    def __init__(
        self,
        tables: DialectTables,
        transaction: Callable[[Callable[[Statements], Any]], Any],
        transient: Callable[[], tuple[type[BaseException], ...]],
        retry: RetryPolicy,
        close: Callable[[], None],
        address: str,
    ) -> None:
        self._sessions, self._messages = tables.sessions, tables.messages
        self._transaction, self._transient, self._close = transaction, transient, close
        self.retry, self.address = retry, address

    def is_transient(self, error: BaseException) -> bool:
        """See Vendor.is_transient."""
        return isinstance(error.__cause__, self._transient())

    def describe(self, error: BaseException) -> str:
        """See Vendor.describe."""
        return super().describe(error.__cause__ or error)

    def close(self) -> Flow[None]:
        """See Vendor.close."""
        return done(self._close())

    def _do(self, operation: Callable[..., T], *arguments: Any, **options: Any) -> Flow[T]:
        result: T = self._transaction(
            lambda statements: operation(statements, *arguments, **options)
        )
        return done(result)

    # Sessions.

    def insert_session(self, session: Row) -> Flow[bool]:
        """See ConversationDriver.insert_session."""
        return self.insert_whole({**session, "last_seq": 0}, ())

    def insert_whole(self, session: Row, messages: Sequence[Row]) -> Flow[bool]:
        """See ConversationDriver.insert_whole."""
        for left in reversed(range(_TRIES)):
            try:
                return (yield from self._do(self._insert_whole, session, messages))
            except HookError:
                # How a dialect says that another has inserted it meanwhile is not known. It may be
                # deleted again by now.
                found = yield from self._do(self._session, session["session_id"])
                if found is None and not left:
                    raise
                if found is not None:
                    return False
        return False

    def _insert_whole(self, run: Statements, session: Row, messages: Sequence[Row]) -> bool:
        if self._session(run, session["session_id"]) is not None:
            return False
        run.insert(self._sessions, [_encoded(session) | {"write_mark": 0}])
        self._insert_messages(run, messages)
        return True

    def find_session(self, session_id: str) -> Flow[Row | None]:
        """See ConversationDriver.find_session."""
        return self._do(self._session, session_id)

    def find_whole(self, session_id: str) -> Flow[tuple[Row, list[Row]] | None]:
        """See ConversationDriver.find_whole."""
        return self._do(self._find_whole, session_id)

    def _find_whole(self, run: Statements, session_id: str) -> tuple[Row, list[Row]] | None:
        session = self._locked(run, session_id)
        if session is None:
            return None
        return session, self._read(run, self._of(session_id).order_by(self._messages.c.seq))

    def replace_session(
        self, session: Row, now: float, expected_version: int | None
    ) -> Flow[Row | None]:
        """See ConversationDriver.replace_session."""
        return self._do(self._replace, session, now, expected_version)

    def _replace(
        self, run: Statements, session: Row, now: float, expected_version: int | None
    ) -> Row | None:
        stored = self._locked(run, session["session_id"])
        if stored is None:
            return None
        new = replaced(stored, session, now, expected_version)
        self._write(run, new)
        return new

    def remove_session(self, session_id: str) -> Flow[bool]:
        """See ConversationDriver.remove_session."""
        return self._do(self._remove, session_id)

    def _remove(self, run: Statements, session_id: str) -> bool:
        if self._locked(run, session_id) is None:
            return False
        for table in (self._messages, self._sessions):
            run.execute(table.delete().where(table.c.session_id == session_id))
        return True

    def sessions(
        self,
        user_id: str | None,
        agent_id: str | None,
        *,
        limit: int | None,
        offset: int,
        below: tuple[float, str] | None,
    ) -> Flow[list[Row]]:
        """See ConversationDriver.sessions."""
        c = self._sessions.c
        select = sa.select(self._sessions).order_by(c.updated_at.desc(), c.session_id.desc())
        if user_id is not None:
            select = select.where(c.user_id == user_id)
        if agent_id is not None:
            select = select.where(c.agent_id == agent_id)
        if below is not None:
            time, session_id = below
            earlier = sa.and_(c.updated_at == time, c.session_id < session_id)
            select = select.where(sa.or_(c.updated_at < time, earlier))
        if limit is not None:  # dialects differ in how an offset without a limit is written
            select = select.limit(limit + offset)
        rows = yield from self._do(self._read, select)
        return rows[offset:]

    # Messages.

    def append(
        self, session_id: str, messages: Sequence[Row], now: float
    ) -> Flow[list[Row] | None]:
        """See ConversationDriver.append."""
        return self._do(self._append, session_id, messages, now)

    def _append(
        self, run: Statements, session_id: str, messages: Sequence[Row], now: float
    ) -> list[Row] | None:
        session = self._locked(run, session_id)
        if session is None:
            return None
        ids = [message["id"] for message in messages]
        known = {row["id"]: row for row in self._of_ids(run, session_id, ids)}
        stored, new = numbered(messages, known, session["last_seq"])
        if new:
            self._insert_messages(run, new)
            last_seq, updated_at = new[-1]["seq"], max(session["updated_at"], now)
            self._write(run, {**session, "last_seq": last_seq, "updated_at": updated_at})
        return stored

    def messages(
        self,
        session_id: str,
        *,
        limit: int | None,
        above: int | None,
        below: int | None,
        before: float | None,
        after: float | None,
        newest_first: bool,
    ) -> Flow[list[Row]]:
        """See ConversationDriver.messages."""
        c = self._messages.c
        bounds = (
            (above, c.seq.__gt__),
            (below, c.seq.__lt__),
            (before, c.created_at.__lt__),
            (after, c.created_at.__gt__),
        )
        select = self._of(session_id).where(
            *(compare(bound) for bound, compare in bounds if bound is not None)
        )
        select = select.order_by(c.seq.desc() if newest_first else c.seq)
        return self._do(self._read, select if limit is None else select.limit(limit))

    def remove_messages(self, session_id: str, ids: Sequence[str] | None) -> Flow[int]:
        """See ConversationDriver.remove_messages."""
        return self._do(self._remove_messages, session_id, ids)

    def _remove_messages(self, run: Statements, session_id: str, ids: Sequence[str] | None) -> int:
        self._locked(run, session_id)
        mine = self._messages.c.session_id == session_id
        if ids is None:
            found = self._count(run, session_id)
            run.execute(self._messages.delete().where(mine))
            return found
        seqs = [row["seq"] for row in self._of_ids(run, session_id, ids)]
        for some in _parts(seqs):
            run.execute(self._messages.delete().where(mine, self._messages.c.seq.in_(some)))
        return len(seqs)

    def count(self, session_id: str) -> Flow[int]:
        """See ConversationDriver.count."""
        return self._do(self._count, session_id)

    def _count(self, run: Statements, session_id: str) -> int:
        number = sa.func.count(self._messages.c.seq).label("number")
        found = run.row(sa.select(number).where(self._messages.c.session_id == session_id))
        return 0 if found is None else int(found["number"])

    # Statements.

    def _session(self, run: Statements, session_id: str) -> Row | None:
        mine = self._sessions.c.session_id == session_id
        found = run.row(sa.select(self._sessions).where(mine))
        return None if found is None else _decoded(found)

    def _locked(self, run: Statements, session_id: str) -> Row | None:
        """Return the session, which nobody else writes to before this transaction ends.

        That it is locked is seen by the mark: what the write found may have been inserted after it.
        """
        mine = self._sessions.c.session_id == session_id
        while True:  # ends unless others delete and insert it between each two statements
            mark = getrandbits(62)
            run.execute(self._sessions.update().values(write_mark=mark).where(mine))
            found = run.row(sa.select(self._sessions).where(mine))
            if found is None:
                return None
            if int(found["write_mark"]) == mark:
                return _decoded(found)

    def _write(self, run: Statements, session: Row) -> None:
        mine = self._sessions.c.session_id == session["session_id"]
        run.execute(self._sessions.update().values(_encoded(session)).where(mine))

    def _insert_messages(self, run: Statements, messages: Sequence[Row]) -> None:
        for some in _parts(messages, _ROWS):
            run.insert(self._messages, [_encoded(message) for message in some])

    def _of(self, session_id: str) -> sa.Select[Any]:
        return sa.select(self._messages).where(self._messages.c.session_id == session_id)

    def _of_ids(self, run: Statements, session_id: str, ids: Sequence[str]) -> list[Row]:
        of = partial(self._of, session_id)
        return [
            row
            for some in _parts(ids)
            for row in self._read(run, of().where(self._messages.c.id.in_(some)))
        ]

    def _read(self, run: Statements, select: sa.Select[Any]) -> list[Row]:
        return [_decoded(row) for row in run.rows(select)]


def _parts(values: Sequence[T], size: int = _IDS) -> list[Sequence[T]]:
    return [values[start : start + size] for start in range(0, len(values), size)]


def _encoded(row: Row) -> Row:
    return {name: _sent(name, value) for name, value in row.items()}


def _sent(name: str, value: Any) -> Any:
    if value is None:
        return None
    if name in _JSON:
        return dumps(value)
    return _encode(value, _ANY) if name in _TEXT else value


def _decoded(row: Mapping[str, Any]) -> Row:
    return {name: _stored(name, value) for name, value in row.items() if name != "write_mark"}


def _stored(name: str, value: Any) -> Any:
    if value is None:
        return None
    if name in _JSON:  # some drivers parse what the column says to be JSON
        return loads(value) if isinstance(value, str | bytes) else value
    if name in _TEXT:
        return _decode(value, _ANY)
    if name in _FLOATS:
        return float(value)
    return int(value) if name in _INTEGERS else value
