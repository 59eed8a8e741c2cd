"""What a session shows: its own messages, or a view, which is a list of ranges of messages.

A message's row never changes. A plain session has no view (`sessions.view_seq` is NULL) and shows
all rows of its own. Forking, reverting and clearing make a view instead of touching rows; it is
named by the number that it takes of the session's counter, so that the view as of number S is the
newest one at or before S, clipped to S.

At each number a session has had one message at most, whatever its views: ranges of a view never
overlap, and going by seq is the order of the view across all its sources.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from praison_persist.sql.schema import Tables
from praison_persist.sql.statements import advance, insert_new

__all__ = [
    "Part",
    "as_of",
    "clip",
    "current",
    "hand_over",
    "holders",
    "insert_view",
    "is_plain",
    "make_view",
    "take_over",
    "within",
]

_END = 2**63 - 1


class Part(NamedTuple):
    """The messages of `source_id` with first_seq <= seq <= last_seq; None: and all behind."""

    source_id: str
    first_seq: int
    last_seq: int | None

    def condition(self, t: Tables) -> sa.ColumnElement[bool]:
        """Return what is true of the messages of this part."""
        c = t.messages.c
        found = sa.and_(c.session_id == self.source_id, c.seq >= self.first_seq)
        return found if self.last_seq is None else sa.and_(found, c.seq <= self.last_seq)


def is_plain(t: Tables, session_id: str) -> sa.ColumnElement[bool]:
    """Return a condition that is true if the session shows all rows of its own.

    It stands in the query of these rows, so that reading a plain session is one statement.
    """
    c = t.sessions.c
    return sa.select(c.view_seq).where(c.session_id == session_id).scalar_subquery().is_(sa.null())


def current(connection: sa.Connection, t: Tables, session_id: str) -> list[Part]:
    """Return the view of a session, in the order of its messages; nothing if it is plain."""
    r, s = t.ranges.c, t.sessions.c
    query = (
        sa.select(r.source_id, r.first_seq, r.last_seq)
        .join(t.sessions, sa.and_(s.session_id == r.session_id, s.view_seq == r.at_seq))
        .where(r.session_id == session_id)
        .order_by(r.first_seq)
    )
    return [Part(*row) for row in connection.execute(query)]


def as_of(connection: sa.Connection, t: Tables, session_id: str, seq: int) -> list[Part]:
    """Return what the session showed when its counter was at `seq`."""
    r = t.ranges.c
    newest = sa.select(sa.func.max(r.at_seq)).where(r.session_id == session_id, r.at_seq <= seq)
    query = (
        sa.select(r.source_id, r.first_seq, r.last_seq)
        .where(r.session_id == session_id, r.at_seq == newest.scalar_subquery())
        .order_by(r.first_seq)
    )
    parts = [Part(*row) for row in connection.execute(query)]
    return clip(parts or [Part(session_id, 1, None)], seq)


def clip(parts: Iterable[Part], seq: int) -> list[Part]:
    """Return the parts without what lies behind `seq`."""
    return [
        part._replace(last_seq=seq if part.last_seq is None else min(seq, part.last_seq))
        for part in parts
        if part.first_seq <= seq
    ]


def make_view(
    connection: sa.Connection,
    t: Tables,
    session_id: str,
    shown: Sequence[Part],
    now: float,
    also: dict[str, Any],
) -> int | None:
    """Let the session show `shown`, and behind it what is appended from now on.

    Args:
        connection: in a transaction that writes.
        t: the tables.
        session_id: the session.
        shown: in the order of seq.
        now: when, in seconds since the epoch.
        also: what to set on the session's row as well.

    Returns:
        The number that the view took; None if there is no such session.
    """
    c = t.sessions.c
    key = c.session_id == session_id
    at_seq = advance(connection, t.sessions, key, c.last_seq, 1, also)
    if at_seq is None:
        return None
    insert_view(connection, t, session_id, at_seq, shown, now)
    connection.execute(sa.update(t.sessions).where(key).values(view_seq=at_seq))
    return at_seq


def insert_view(
    connection: sa.Connection,
    t: Tables,
    session_id: str,
    at_seq: int,
    shown: Sequence[Part],
    now: float,
    first_seq: int | None = None,
) -> None:
    """Store a view: `shown`, and what the session appends, from `first_seq` or `at_seq` + 1 on."""
    own = Part(session_id, first_seq or at_seq + 1, None)
    rows = [
        {**part._asdict(), "session_id": session_id, "at_seq": at_seq, "created_at": now}
        for part in [*shown, own]
    ]
    connection.execute(sa.insert(t.ranges), rows)


def within(t: Tables, holder: sa.ColumnElement[bool], source_id: Any) -> sa.Exists:
    """Return a condition: a range that `holder` is true of shows the message of `source_id`."""
    r, m = t.ranges.c, t.messages.c
    return sa.exists().where(
        holder,
        r.source_id == source_id,
        r.first_seq <= m.seq,
        sa.or_(r.last_seq.is_(None), r.last_seq >= m.seq),
    )


def holders(
    connection: sa.Connection, t: Tables, source_id: str, seqs: Sequence[int] | None = None
) -> list[str]:
    """Return the other sessions whose views, of now or before, show messages of this one, locked.

    The caller holds the lock of `source_id`: then no view can be made of it, nor of these, until
    its transaction ends.

    Args:
        connection: in a transaction that writes.
        t: the tables.
        source_id: the session.
        seqs: only those that show one of these.
    """
    r = t.ranges.c
    shows = sa.and_(r.source_id == source_id, r.session_id != source_id)
    query = sa.select(r.session_id, r.first_seq, r.last_seq).where(shows)

    def found_by(reading: sa.Executable) -> set[str]:
        return {
            session_id
            for session_id, first_seq, last_seq in connection.execute(reading)
            if seqs is None or any(first_seq <= seq <= (last_seq or _END) for seq in seqs)
        }

    # Sessions before their ranges, as by all that changes these, lest two wait for each other.
    locked: set[str] = set()
    found = found_by(query)
    while True:
        for session_id in _parents_first(connection, t, shows, found - locked):
            c = t.sessions.c
            lock = sa.select(c.session_id).where(c.session_id == session_id).with_for_update()
            connection.execute(lock).first()
        locked |= found
        # A read that locks sees what was committed since the transaction began, on MySQL too.
        found = found_by(query.with_for_update())
        if found <= locked:
            return sorted(found)


def _parents_first(
    connection: sa.Connection, t: Tables, shows: sa.ColumnElement[bool], ids: set[str]
) -> list[str]:
    """Return the ids in the order in which all lock them: a fork is younger than its parent."""
    if len(ids) < 2:  # noqa: PLR2004 - there is nothing to order
        return list(ids)
    c = t.sessions.c
    query = sa.select(c.session_id, c.created_at).where(
        c.session_id.in_(sa.select(t.ranges.c.session_id).where(shows))
    )
    created_at = {row.session_id: row.created_at for row in connection.execute(query)}
    return sorted(ids, key=lambda session_id: (created_at.get(session_id, 0.0), session_id))


def hand_over(
    connection: sa.Connection, t: Tables, source_id: str, seqs: Sequence[int] | None = None
) -> None:
    """Give the sessions that show messages of `source_id` these as their own.

    To be called before messages are deleted; the caller holds the session's lock.

    Args:
        connection: in a transaction that writes.
        t: the tables.
        source_id: whose messages are about to go.
        seqs: which of them; None: any.
    """
    for holder in holders(connection, t, source_id, seqs):
        _copy(connection, t, holder, source_id)


def take_over(connection: sa.Connection, t: Tables, session_id: str) -> None:
    """Give the session the messages of others that its views show, as its own."""
    r = t.ranges.c
    query = (
        sa.select(r.source_id)
        .where(r.session_id == session_id, r.source_id != session_id)
        .distinct()
    )
    for source_id in connection.scalars(query).all():
        _copy(connection, t, session_id, source_id)


def _copy(connection: sa.Connection, t: Tables, holder: str, source_id: str) -> None:
    """Copy what `holder` shows of `source_id`, under the same numbers, which it has not used."""
    columns = [column for column in t.messages.columns if column.name != "session_id"]
    shown = sa.select(sa.literal(holder, t.messages.c.session_id.type), *columns).where(
        t.messages.c.session_id == source_id,
        within(t, t.ranges.c.session_id == holder, source_id),
    )
    # A message that the holder wrote again under the same id is kept as it wrote it.
    statement = insert_new(connection, t.messages).from_select(
        ["session_id", *(column.name for column in columns)], shown
    )
    connection.execute(statement)
    r = t.ranges.c
    connection.execute(
        sa.update(t.ranges)
        .where(r.session_id == holder, r.source_id == source_id)
        .values(source_id=holder)
    )
