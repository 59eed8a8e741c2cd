"""Whole sessions of a SQL database: read with all that is kept of them, stored, forked, listed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from praison_persist._ids import new_id
from praison_persist.errors import ConflictError, InvalidDataError
from praison_persist.models import ConversationSession
from praison_persist.sessions.messages import SessionMessage
from praison_persist.sessions.models import ExtendedSessionData, SessionSnapshot
from praison_persist.sessions.primitives import SessionFilter
from praison_persist.sessions.sql_rows import (
    checkpoint_of,
    details_row,
    header_of,
    message_of,
    new_session,
    row_of,
    runtime_state_of,
    select_headers,
    session_row,
    snapshot_of,
)
from praison_persist.sql import conversation, history, views
from praison_persist.sql.replica import about_all, about_session
from praison_persist.sql.schema import Tables
from praison_persist.sql.statements import insert_or_replace

__all__ = [
    "checkpoint_and_tail",
    "children",
    "fork",
    "ids_with",
    "list_headers",
    "put",
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
        rows = conversation.shown_in(connection, t, session_id, archived)
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
    rows = conversation.shown(
        connection, t, session_id, *behind, limit=limit, backward=limit is not None
    )
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


def put(
    connection: sa.Connection,
    t: Tables,
    session: ExtendedSessionData,
    overwrite: bool,
    now: float,
    *,
    makes_parent: bool = True,
) -> None:
    """Store a whole session as it is; see `SessionPrimitives._put`.

    Args:
        connection: in a transaction that writes.
        t: the tables.
        session: as said.
        overwrite: in the place of one that is there.
        now: in seconds since the epoch.
        makes_parent: create its parent if that is not stored.
    """
    session_id = session.session_id
    if makes_parent and session.parent_id is not None:
        parent = ConversationSession(session_id=session.parent_id, created_at=now, updated_at=now)
        conversation.insert_session(connection, t, parent)
    new = new_session(session, now)
    if not conversation.insert_session(connection, t, new):
        if not overwrite:
            raise ConflictError(f"Session {session_id!r} exists; it was left as it is")
        _replace(connection, t, session_id, new)
    writer = _Writer(connection, t, session_id, now)
    archive_seq = writer.archive(session.archived_messages)
    for snapshot in session.snapshots:
        writer.snapshot(snapshot, session.messages)
    writer.show(session.messages)
    checkpoint = session.last_compaction
    extra = {history.LINK: new_id()}
    if session.forked_from_message_id is not None:
        extra["forked_from"] = session.forked_from_message_id
    details = details_row(session) | {
        "session_id": session_id,
        "fork_seq": None,
        "archive_seq": archive_seq,
        "last_compaction": None if checkpoint is None else writer.stored(checkpoint.to_dict()),
        "extra": extra,
    }
    connection.execute(insert_or_replace(connection, t.details), details)
    states = [
        {"session_id": session_id, "runtime_id": runtime, "turn_id": turn, "state": state}
        for runtime, turns in session.runtime_state.items()
        for turn, state in turns.items()
    ]
    if states:
        connection.execute(sa.insert(t.runtime_states), states)
    # As it is: what was appended above is no news.
    s = t.sessions.c
    times = sa.update(t.sessions).where(s.session_id == session_id)
    connection.execute(times.values(updated_at=new.updated_at))


def _replace(
    connection: sa.Connection, t: Tables, session_id: str, new: ConversationSession
) -> None:
    """Delete a session and create it again; its children stay its children."""
    of_it = children(connection, t, session_id)
    conversation.delete_session(connection, t, session_id)
    conversation.insert_session(connection, t, new)
    d = t.details.c
    for some in conversation.chunks(of_it):
        again = sa.update(t.details).where(d.session_id.in_(some))
        connection.execute(again.values(parent_id=session_id))


class _Writer:
    """Writes the messages of a session that is stored as a whole, each run of equal ones once."""

    _BATCH = 1000  # messages of one statement

    def __init__(self, connection: sa.Connection, t: Tables, session_id: str, now: float) -> None:
        self._connection, self._t, self._id, self._now = connection, t, session_id, now
        self._shown: list[tuple[dict[str, Any], int]] = []

    def archive(self, messages: Sequence[SessionMessage]) -> int | None:
        """Store messages that are kept and not shown. Return up to which number they lie."""
        if not messages:
            return None
        *_, last = self._append(messages)
        history.show(self._connection, self._t, self._id, [], self._now)
        return last

    def show(self, messages: Sequence[SessionMessage]) -> None:
        """Let the session show these messages; those at the beginning that it shows stay."""
        said = [message.to_dict() for message in messages]
        same = 0
        for (known, _), new in zip(self._shown, said, strict=False):
            if known != new:
                break
            same += 1
        if same < len(self._shown):
            seq = self._shown[same - 1][1] if same else 0
            args = (self._connection, self._t, self._id, seq, self._now)
            history.revert(*args, of_now=True)
            del self._shown[same:]
        seqs = self._append(messages[same:])
        self._shown += zip(said[same:], seqs, strict=True)

    def _append(self, messages: Sequence[SessionMessage]) -> list[int]:
        seqs: list[int] = []
        for start in range(0, len(messages), self._BATCH):
            rows = [row_of(message) for message in messages[start : start + self._BATCH]]
            stored = conversation.add_messages(self._connection, self._t, self._id, rows, self._now)
            seqs += [row.seq or 0 for row in stored]
        return seqs

    def snapshot(self, snapshot: SessionSnapshot, messages: Sequence[SessionMessage]) -> None:
        """Store a snapshot; where it has no transcript, of the first of `messages`."""
        checkpoint, known = None, not snapshot.invalidated
        if snapshot.transcript is not None:
            whole = ExtendedSessionData.from_dict({**snapshot.transcript, "session_id": self._id})
            self.show(whole.messages)
            checkpoint = whole.last_compaction
        elif known:
            self.show(messages[: snapshot.message_index + 1])
        new = history.Snapshot(
            snapshot_id=snapshot.id,
            seq=history.NOT_KNOWN,
            message_count=max(0, snapshot.message_index + 1),
            last_compaction=None if checkpoint is None else self.stored(checkpoint.to_dict()),
            label=snapshot.label,
            metadata=snapshot.metadata or None,
            created_at=snapshot.created_at,
        )
        history.create_snapshot(self._connection, self._t, self._id, new, known=known)

    def stored(self, checkpoint: dict[str, Any]) -> dict[str, Any]:
        """Return a checkpoint with the number behind which the messages after it lie."""
        upto = self._shown[: checkpoint["message_index"]]
        return {**checkpoint, "seq": upto[-1][1] if upto else 0}


def ids_with(connection: sa.Connection, t: Tables, words: Sequence[str]) -> list[str]:
    """Return the ids of the sessions with one of the words in a row of their own, or of a source's.

    Args:
        connection: in a transaction.
        t: the tables.
        words: of ASCII letters and digits, in lower case.
    """
    m, r = t.messages.c, t.ranges.c
    content = sa.func.lower(m.content)
    found = sa.select(m.session_id).where(sa.or_(*(content.contains(word) for word in words)))
    ids = set(connection.scalars(found.distinct()))
    sources = sa.select(r.session_id, r.source_id).where(r.session_id != r.source_id).distinct()
    ids |= {session_id for session_id, source_id in connection.execute(sources) if source_id in ids}
    return sorted(ids)
