"""Sessions stored as a whole in a SQL database: imports, restores, new ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from praison_persist._ids import new_id
from praison_persist.errors import ConflictError
from praison_persist.models import ConversationSession
from praison_persist.sessions.messages import SessionMessage
from praison_persist.sessions.models import ExtendedSessionData, SessionSnapshot
from praison_persist.sessions.sql_rows import details_row, new_session, row_of
from praison_persist.sessions.sql_whole import children
from praison_persist.sql import conversation, history
from praison_persist.sql.schema import Tables
from praison_persist.sql.statements import insert_or_replace

__all__ = ["put"]


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
