"""Conversation operations: each runs in one transaction on the Connection it is given.

Messages are numbered by a counter on their session's row, which every append locks first: numbers
have no gaps, appends to one session commit in their order, and a reader never sees a later message
before an earlier one.

What a session shows may be a view (views.py): rows of its own that a revert hid do not show, and
rows of the session that it was forked from do. Whatever a caller is given honours it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from praison_persist._checks import (
    check_id,
    check_ids,
    check_integer,
    check_limit,
    check_message,
    check_optional_id,
    check_page_limit,
    check_session,
    check_time,
)
from praison_persist._cursors import message_position, session_cursor, session_position
from praison_persist.errors import ConflictError, NotFoundError
from praison_persist.models import (
    ConversationMessage,
    ConversationSession,
    MessagePage,
    SessionPage,
)
from praison_persist.sql import views
from praison_persist.sql.alone import alone, needs_snapshot
from praison_persist.sql.replica import about_all, about_session
from praison_persist.sql.schema import Tables
from praison_persist.sql.shown import MESSAGE_FIELDS, rows, shown
from praison_persist.sql.statements import Unchanged, advance, insert_new

__all__ = [
    "add_messages",
    "count",
    "create_session",
    "delete_messages",
    "delete_runs",
    "delete_session",
    "ensure_session",
    "get_messages",
    "get_session",
    "list_sessions",
    "page_messages",
    "page_sessions",
    "update_session",
]

# Ids in one IN (…): below the parameter limits of all drivers (SQLite's is the least, 32,766).
_CHUNK = 500

_SESSION_FIELDS = (
    "session_id",
    "user_id",
    "agent_id",
    "name",
    "state",
    "metadata",
    "created_at",
    "updated_at",
    "version",
)


@about_session
def create_session(
    connection: sa.Connection, t: Tables, session: ConversationSession
) -> ConversationSession:
    """See ConversationStore.create_session."""
    if not insert_session(connection, t, session):
        raise ConflictError(f"Session {session.session_id!r} exists; it was left as it is")
    return _existing(connection, t, session.session_id)


@about_session
def ensure_session(
    connection: sa.Connection, t: Tables, session: ConversationSession
) -> ConversationSession:
    """See ConversationStore.ensure_session."""
    while True:
        # The insert comes first: on MySQL a select would fix the snapshot before a racing insert.
        insert_session(connection, t, session)
        stored = get_session(connection, t, session.session_id)
        if stored is not None:
            return stored
        # Another deleted it between the two statements.


def insert_session(connection: sa.Connection, t: Tables, session: ConversationSession) -> bool:
    """Insert the session unless its id exists. Return whether it was inserted."""
    check_session(session)
    row = {name: getattr(session, name) for name in _SESSION_FIELDS} | {
        "version": session.version or 1
    }
    return connection.execute(insert_new(connection, t.sessions), row).rowcount == 1


@alone
@about_session
def get_session(
    connection: sa.Connection, t: Tables, session_id: str
) -> ConversationSession | None:
    """See ConversationStore.get_session."""
    check_id(session_id, "session_id")
    query = _select_sessions(t).where(t.sessions.c.session_id == session_id)
    row = connection.execute(query).one_or_none()
    return None if row is None else ConversationSession(*row)


def _existing(connection: sa.Connection, t: Tables, session_id: str) -> ConversationSession:
    session = get_session(connection, t, session_id)
    if session is None:
        raise _no_session(session_id)
    return session


def _no_session(session_id: str) -> NotFoundError:
    return NotFoundError(f"There is no session {session_id!r}")


def _select_sessions(t: Tables) -> sa.Select[Any]:
    return sa.select(*[t.sessions.c[name] for name in _SESSION_FIELDS])


def touched(t: Tables, now: float) -> sa.Case[Any]:
    """The later of `updated_at` and `now`: a clock that steps back makes no session older."""
    updated_at = t.sessions.c.updated_at
    return sa.case((updated_at > now, updated_at), else_=now)


@about_session
def update_session(
    connection: sa.Connection,
    t: Tables,
    session: ConversationSession,
    now: float,
    expected_version: int | None = None,
) -> ConversationSession:
    """See ConversationStore.update_session."""
    check_session(session)
    if expected_version is not None:
        check_integer(expected_version, "expected_version", 1)
    c = t.sessions.c
    statement = sa.update(t.sessions).where(c.session_id == session.session_id)
    if expected_version is not None:
        statement = statement.where(c.version == expected_version)
    changed = {
        name: getattr(session, name)
        for name in ("user_id", "agent_id", "name", "state", "metadata")
    }
    found = connection.execute(
        statement.values({**changed, "version": c.version + 1, "updated_at": touched(t, now)})
    ).rowcount
    if not found and expected_version is None:
        # Whoever creates it from now on comes after this call.
        raise _no_session(session.session_id)
    stored = _existing(connection, t, session.session_id)
    if not found:
        raise ConflictError(
            f"Session {session.session_id!r} has version {stored.version}, not "
            f"{expected_version}: it was updated meanwhile. Read it again and repeat the change"
        )
    return stored


@about_session
def delete_session(connection: sa.Connection, t: Tables, session_id: str) -> bool:
    """See ConversationStore.delete_session."""
    check_id(session_id, "session_id")
    # Locked first, in the order of the appends, so that the two never wait for each other.
    there = lock_session(connection, t, session_id)
    delete_runs(connection, t, session_id)
    if not there:
        return False
    views.hand_over(connection, t, session_id)
    parent_id = t.details.c.parent_id
    orphans = sa.update(t.details).where(parent_id == session_id).values(parent_id=None)
    connection.execute(orphans)
    for table in (t.messages, t.ranges, t.snapshots, t.details, t.runtime_states, t.sessions):
        connection.execute(sa.delete(table).where(table.c.session_id == session_id))
    return True


def lock_session(connection: sa.Connection, t: Tables, session_id: str) -> bool:
    """Keep all others from writing to the session; return whether there is one."""
    c = t.sessions.c
    query = sa.select(c.session_id).where(c.session_id == session_id).with_for_update()
    return connection.execute(query).first() is not None


def delete_runs(connection: sa.Connection, t: Tables, session_id: str) -> None:
    """Delete what was done in a session: its runs, tool calls and traces with their spans."""
    traces = sa.select(t.traces.c.trace_id).where(t.traces.c.session_id == session_id)
    connection.execute(sa.delete(t.spans).where(t.spans.c.trace_id.in_(traces)))
    for table in (t.traces, t.tool_calls, t.runs):
        connection.execute(sa.delete(table).where(table.c.session_id == session_id))


@alone
@about_all
def list_sessions(
    connection: sa.Connection,
    t: Tables,
    user_id: str | None = None,
    agent_id: str | None = None,
    limit: int | None = 100,
    offset: int = 0,
) -> list[ConversationSession]:
    """See ConversationStore.list_sessions."""
    check_limit(limit)
    check_integer(offset, "offset", 0)
    query = _ordered_sessions(t, user_id, agent_id)
    if limit is not None or offset:
        query = query.limit(_ALL if limit is None else limit).offset(offset)
    return [ConversationSession(*row) for row in connection.execute(query)]


_ALL = 2**63 - 1  # OFFSET needs a LIMIT on MySQL and SQLite


def _ordered_sessions(t: Tables, user_id: str | None, agent_id: str | None) -> sa.Select[Any]:
    check_optional_id(user_id, "user_id")
    check_optional_id(agent_id, "agent_id")
    c = t.sessions.c
    query = _select_sessions(t).order_by(c.updated_at.desc(), c.session_id.desc())
    if user_id is not None:
        query = query.where(c.user_id == user_id)
    if agent_id is not None:
        query = query.where(c.agent_id == agent_id)
    return query


@alone
@about_all
def page_sessions(
    connection: sa.Connection,
    t: Tables,
    user_id: str | None = None,
    agent_id: str | None = None,
    limit: int = 100,
    cursor: str | None = None,
) -> SessionPage:
    """See ConversationStore.page_sessions."""
    check_page_limit(limit)
    query = _ordered_sessions(t, user_id, agent_id)
    if cursor is not None:
        updated_at, session_id = session_position(cursor)
        c = t.sessions.c
        # The redundant first half lets every planner begin at the cursor instead of at the top.
        query = query.where(
            c.updated_at <= updated_at,
            sa.or_(c.updated_at < updated_at, c.session_id < session_id),
        )
    found = [ConversationSession(*row) for row in connection.execute(query.limit(limit + 1))]
    page = found[:limit]
    if len(found) <= limit:
        return SessionPage(page, None)
    return SessionPage(page, session_cursor(page[-1].updated_at, page[-1].session_id))


@about_session
def add_messages(
    connection: sa.Connection,
    t: Tables,
    session_id: str,
    messages: Sequence[ConversationMessage],
    now: float,
) -> list[ConversationMessage]:
    """See ConversationStore.add_messages; one message is a batch of one."""
    for message in messages:
        check_message(message)
    check_id(session_id, "session_id")
    new = _without_repeats(messages)
    if not new:
        return []
    base = _count_up(connection, t, session_id, len(new), now)
    stored = _numbered(new, session_id, base)
    if _insert_messages(connection, t, stored) < len(stored):
        stored = _add_missing(connection, t, session_id, new, base)
    by_id = {message.id: message for message in stored}
    result = [replace(by_id[message.id]) for message in messages]
    if (stored[-1].seq or 0) <= base:
        raise Unchanged(result)
    return result


def _without_repeats(messages: Sequence[ConversationMessage]) -> list[ConversationMessage]:
    by_id: dict[str, ConversationMessage] = {}
    for message in messages:
        check_same(by_id.setdefault(message.id, message), message)
    return list(by_id.values())


def _count_up(connection: sa.Connection, t: Tables, session_id: str, by: int, now: float) -> int:
    """Lock the session and reserve `by` numbers. Return the last one used before."""
    c = t.sessions.c
    key = c.session_id == session_id
    last = advance(connection, t.sessions, key, c.last_seq, by, {"updated_at": touched(t, now)})
    if last is None:
        raise NotFoundError(f"There is no session {session_id!r}; create it before its messages")
    return last - by


def _numbered(
    messages: Sequence[ConversationMessage], session_id: str, base: int
) -> list[ConversationMessage]:
    return [
        replace(message, session_id=session_id, seq=base + index)
        for index, message in enumerate(messages, 1)
    ]


def _insert_messages(
    connection: sa.Connection, t: Tables, messages: Sequence[ConversationMessage]
) -> int:
    """Insert those whose id is new. Return how many were inserted."""
    rows = [{name: getattr(message, name) for name in MESSAGE_FIELDS} for message in messages]
    statement = insert_new(connection, t.messages)
    if len(rows) == 1:
        return connection.execute(statement, rows[0]).rowcount
    connection.execute(statement, rows)
    # Drivers do not agree on the rowcount of executemany.
    c = t.messages.c
    inserted = sa.select(sa.func.count()).where(
        c.session_id == messages[0].session_id, c.seq >= messages[0].seq
    )
    return connection.execute(inserted).scalar_one()


def _add_missing(
    connection: sa.Connection,
    t: Tables,
    session_id: str,
    messages: Sequence[ConversationMessage],
    base: int,
) -> list[ConversationMessage]:
    """Some ids exist: take back what was just inserted and insert only what is new, without gaps.

    The session is locked, so nothing else can have been appended. Returns the known messages and
    behind them the new ones.
    """
    c = t.messages.c
    connection.execute(sa.delete(t.messages).where(c.session_id == session_id, c.seq > base))
    known = {
        message.id: message
        for ids in chunks([message.id for message in messages])
        for message in rows(connection, t, c.session_id == session_id, c.id.in_(ids))
    }
    for message in messages:
        if message.id in known:
            check_same(known[message.id], message)
    missing = _numbered([m for m in messages if m.id not in known], session_id, base)
    if missing:
        connection.execute(
            sa.update(t.sessions)
            .where(t.sessions.c.session_id == session_id)
            .values(last_seq=base + len(missing))
        )
        _insert_messages(connection, t, missing)
    return [*known.values(), *missing]


def check_same(stored: ConversationMessage, message: ConversationMessage) -> None:
    for name in ("role", "content", "tool_calls", "tool_call_id", "metadata"):
        if getattr(stored, name) != getattr(message, name):
            raise ConflictError(
                f"Message {message.id!r} is stored with another {name}: give a new message a new "
                "id; a stored one is never changed"
            )


def chunks(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield the ids in portions that fit into one IN (…)."""
    for start in range(0, len(ids), _CHUNK):
        yield ids[start : start + _CHUNK]


@alone
@about_session
def get_messages(
    connection: sa.Connection,
    t: Tables,
    session_id: str,
    limit: int | None = None,
    before: float | None = None,
    after: float | None = None,
) -> list[ConversationMessage]:
    """See ConversationStore.get_messages."""
    check_id(session_id, "session_id")
    check_limit(limit)
    c = t.messages.c
    where = []
    if before is not None:
        check_time(before, "before")
        where.append(c.created_at < before)
    if after is not None:
        check_time(after, "after")
        where.append(c.created_at > after)
    if limit is None:
        return shown(connection, t, session_id, *where)
    return shown(connection, t, session_id, *where, limit=limit, backward=True)[::-1]


def messages_after(
    connection: sa.Connection, t: Tables, session_id: str, seq: int
) -> list[ConversationMessage]:
    """Return the messages behind `seq`."""
    return shown(connection, t, session_id, t.messages.c.seq > seq)


@alone
@about_session
def page_messages(
    connection: sa.Connection,
    t: Tables,
    session_id: str,
    limit: int = 100,
    cursor: str | None = None,
    *,
    backward: bool = False,
) -> MessagePage:
    """See ConversationStore.page_messages. The cursor of a message is its seq."""
    check_id(session_id, "session_id")
    check_page_limit(limit)
    seq, where = t.messages.c.seq, []
    if cursor is not None:
        position = message_position(cursor)
        where.append(seq < position if backward else seq > position)
    found = shown(connection, t, session_id, *where, limit=limit + 1, backward=backward)
    page = found[:limit]
    more = len(found) > limit
    next_cursor = str(page[-1].seq) if more else None
    return MessagePage(page[::-1] if backward else page, next_cursor)


@about_session
def delete_messages(
    connection: sa.Connection,
    t: Tables,
    session_id: str,
    message_ids: Sequence[str] | None = None,
) -> int:
    """See ConversationStore.delete_messages."""
    check_id(session_id, "session_id")
    check_ids(message_ids, "message_ids")
    s, c = t.sessions.c, t.messages.c
    key = s.session_id == session_id
    lock = sa.select(s.view_seq).where(key).with_for_update()
    session = connection.execute(lock).one_or_none()
    if session is None:
        return 0
    delete = sa.delete(t.messages).where(c.session_id == session_id)
    if message_ids is None:
        seen = None if session.view_seq is None else count(connection, t, session_id)
        views.hand_over(connection, t, session_id)
        found = connection.execute(delete).rowcount
        if seen is not None:
            connection.execute(sa.delete(t.ranges).where(t.ranges.c.session_id == session_id))
            connection.execute(sa.update(t.sessions).where(key).values(view_seq=None))
        return found if seen is None else seen
    unique = list(dict.fromkeys(message_ids))
    seqs = _seqs_of(connection, t, session_id, unique)
    if len(seqs) < len(unique) and session.view_seq is not None:
        views.take_over(connection, t, session_id)
        seqs = _seqs_of(connection, t, session_id, unique)
    views.hand_over(connection, t, session_id, seqs)
    return sum(connection.execute(delete.where(c.id.in_(ids))).rowcount for ids in chunks(unique))


def _seqs_of(
    connection: sa.Connection, t: Tables, session_id: str, ids: Sequence[str]
) -> list[int]:
    c = t.messages.c
    here = sa.select(c.seq).where(c.session_id == session_id)
    return [seq for some in chunks(ids) for seq in connection.scalars(here.where(c.id.in_(some)))]


@alone
@about_session
def count(connection: sa.Connection, t: Tables, session_id: str) -> int:
    """See ConversationStore.count."""
    check_id(session_id, "session_id")
    plain = views.is_plain(t, session_id)
    query = sa.select(sa.func.count()).where(t.messages.c.session_id == session_id, plain)
    if found := connection.execute(query).scalar_one():
        return found
    needs_snapshot(connection)
    parts = views.current(connection, t, session_id)
    return sum(
        connection.execute(sa.select(sa.func.count()).where(part.condition(t))).scalar_one()
        for part in parts
    )
