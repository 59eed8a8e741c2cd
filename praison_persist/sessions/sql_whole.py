"""Whole sessions of a SQL database: read with all that is kept of them, forked, listed, found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from praison_persist._ids import new_id
from praison_persist.errors import InvalidDataError
from praison_persist.models import ConversationSession
from praison_persist.sessions.messages import SessionMessage
from praison_persist.sessions.models import ExtendedSessionData
from praison_persist.sessions.primitives import SessionFilter
from praison_persist.sessions.sql_rows import (
    checkpoint_of,
    details_row,
    header_of,
    message_of,
    runtime_state_of,
    select_headers,
    session_row,
    snapshot_of,
)
from praison_persist.sql import conversation, history, views
from praison_persist.sql.replica import about_all, about_session
from praison_persist.sql.schema import Tables
from praison_persist.sql.search import MessageSearch, search_statement
from praison_persist.sql.shown import shown, shown_in

__all__ = [
    "checkpoint_and_tail",
    "children",
    "counts",
    "fork",
    "ids",
    "ids_with",
    "list_headers",
    "read",
    "transcripts",
]


@about_session
def read(
    connection: sa.Connection, t: Tables, session_id: str, last: int | None, archive: bool
) -> ExtendedSessionData | None:
    """Return a session with its newest `last` messages (None: all); None without one."""
    where = t.sessions.c.session_id == session_id
    row = connection.execute(select_headers(t).where(where)).one_or_none()
    if row is None:
        return None
    session = header_of(row)
    session.runtime_state = runtime_state_of(connection, t, session_id)
    session.snapshots = [
        snapshot_of(session_id, one) for one in history.get_snapshots(connection, t, session_id)
    ]
    if last != 0:
        session.messages = [
            message_of(one)
            for one in conversation.get_messages(connection, t, session_id, limit=last)
        ]
    if archive and row.archive_seq is not None:
        archived = [views.Part(session_id, 1, row.archive_seq)]
        rows = shown_in(connection, t, session_id, archived)
        session.archived_messages = [message_of(one) for one in rows]
    return session


@about_session
def transcripts(connection: sa.Connection, t: Tables, session_id: str) -> dict[str, dict[str, Any]]:
    """Return what each snapshot of a session shows: {snapshot_id: transcript}."""
    found = {}
    for snapshot in history.get_snapshots(connection, t, session_id):
        if snapshot.seq == history.NOT_KNOWN:
            continue
        rows = history.messages_as_of(connection, t, session_id, snapshot.seq)
        checkpoint = checkpoint_of(snapshot.last_compaction)
        found[snapshot.snapshot_id] = {
            "messages": [message_of(row).to_dict() for row in rows],
            "archived_messages": [],
            "last_compaction": None if checkpoint is None else checkpoint.to_dict(),
        }
    return found


@about_session
def checkpoint_and_tail(
    connection: sa.Connection, t: Tables, session_id: str, limit: int | None
) -> tuple[dict[str, Any] | None, list[SessionMessage]]:
    """Return the checkpoint and the newest `limit` messages behind it; two statements."""
    d = t.details.c
    query = sa.select(d.last_compaction).where(d.session_id == session_id)
    checkpoint: dict[str, Any] | None = connection.execute(query).scalar_one_or_none()
    seq = t.messages.c.seq
    behind = [seq > checkpoint.get("seq", 0)] if checkpoint else []
    rows = shown(connection, t, session_id, *behind, limit=limit, backward=limit is not None)
    if limit is not None:
        rows.reverse()
    return checkpoint, [message_of(row) for row in rows]


@about_all
def children(connection: sa.Connection, t: Tables, session_id: str) -> list[str]:
    """Return the sessions that have this one as their parent, oldest first."""
    d = t.details.c
    query = sa.select(d.session_id, d.extra).where(d.parent_id == session_id)
    rows = connection.execute(query)
    found = [(str((extra or {}).get(history.LINK)), child) for child, extra in rows]
    return [child for _, child in sorted(found)]


@about_all
def list_headers(
    connection: sa.Connection,
    t: Tables,
    only: SessionFilter,
    limit: int | None,
    session_ids: Sequence[str] | None = None,
) -> list[ExtendedSessionData]:
    """Return the headers of the newest `limit` sessions, last written first (None: all)."""
    s, d = t.sessions.c, t.details.c
    query = select_headers(t).order_by(s.updated_at.desc(), s.session_id.desc())
    wanted = {
        d.agent_name: only.agent_name,
        d.gateway_agent_id: only.agent_id,
        d.gateway_session_id: only.gateway_session_id,
    }
    for column, value in wanted.items():
        if value is not None:
            query = query.where(column == value)
    if session_ids is not None:
        query = query.where(s.session_id.in_(session_ids))
    if limit is not None:
        query = query.limit(limit)
    return [header_of(row) for row in connection.execute(query)]


@about_all
def counts(connection: sa.Connection, t: Tables, session_ids: Sequence[str]) -> dict[str, int]:
    """Return how many messages each of these sessions shows; those with none are left out."""
    s, m, r = t.sessions.c, t.messages.c, t.ranges.c
    found: dict[str, int] = {}
    plain = sa.and_(s.session_id == m.session_id, s.view_seq.is_(None))
    in_view = sa.and_(s.session_id == r.session_id, s.view_seq == r.at_seq)
    in_range = sa.and_(
        m.session_id == r.source_id,
        m.seq >= r.first_seq,
        sa.or_(r.last_seq.is_(None), m.seq <= r.last_seq),
    )
    for some in conversation.chunks(session_ids):
        own = sa.select(s.session_id, sa.func.count()).join(t.messages, plain)
        viewed = (
            sa.select(s.session_id, sa.func.count())
            .join(t.ranges, in_view)
            .join(t.messages, in_range)
        )
        for query in (own.select_from(t.sessions), viewed.select_from(t.sessions)):
            grouped = query.where(s.session_id.in_(some)).group_by(s.session_id)
            found.update({name: int(count) for name, count in connection.execute(grouped)})
    return found


def fork(
    connection: sa.Connection,
    t: Tables,
    session_id: str,
    new: ExtendedSessionData,
    count: int | None,
    now: float,
) -> None:
    """Store `new` as a fork of a session, with the first `count` messages (None: all)."""
    seq = None
    if count is not None:
        conversation.lock_session(connection, t, session_id)
        seq = history.seq_at_index(connection, t, session_id, count - 1) if count else 0
        if seq is None:
            raise InvalidDataError(
                f"from_message_index {count - 1} is behind the last message of session "
                f"{session_id!r}, which has {conversation.count(connection, t, session_id)}"
            )
    child = ConversationSession(
        session_id=new.session_id, **session_row(new), created_at=now, updated_at=now
    )
    upto = history.fork(connection, t, session_id, child, seq, now)
    d = t.details.c
    stored = sa.select(d.last_compaction).where(d.session_id == session_id)
    checkpoint = connection.execute(stored).scalar_one_or_none()
    within = checkpoint is not None and (
        count is None or checkpoint.get("message_index", 0) <= count
    )
    extra = {history.LINK: new_id()}
    if new.forked_from_message_id is not None:
        extra["forked_from"] = new.forked_from_message_id
    values = details_row(new) | {
        "fork_seq": upto,
        "last_compaction": checkpoint if within else None,
        "extra": extra,
    }
    connection.execute(sa.update(t.details).where(d.session_id == new.session_id).values(values))


@about_all
def ids(connection: sa.Connection, t: Tables) -> list[str]:
    """Return the ids of all sessions, last written first."""
    s = t.sessions.c
    query = sa.select(s.session_id).order_by(s.updated_at.desc(), s.session_id.desc())
    return list(connection.scalars(query))


@about_all
def ids_with(connection: sa.Connection, t: Tables, terms: Sequence[str]) -> list[str]:
    """Return the ids of at least the sessions with one of the terms in a message of theirs.

    Those of a fork and those that are hidden count. Through the search index, where there is one:
    it finds words as a whole.
    """
    with_one: set[str] = set()
    for term in terms:
        found = search_statement(connection, t, MessageSearch(term)).order_by(None)
        with_one |= set(
            connection.scalars(found.with_only_columns(t.messages.c.session_id).distinct())
        )
    r = t.ranges.c
    shared = sa.select(r.session_id, r.source_id).where(r.session_id != r.source_id).distinct()
    forks = connection.execute(shared)
    with_one |= {session_id for session_id, source_id in forks if source_id in with_one}
    return sorted(with_one)
