"""A session of a SQL database within a change: one transaction, under the session's lock."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import sqlalchemy as sa

from praison_persist.errors import NotFoundError, UnsupportedError
from praison_persist.models import ConversationMessage, ConversationSession
from praison_persist.sessions.messages import SessionMessage
from praison_persist.sessions.models import SessionSnapshot
from praison_persist.sessions.primitives import Change, OpenSession
from praison_persist.sessions.sql_rows import (
    checkpoint_of,
    details_row,
    header_of,
    message_of,
    row_of,
    runtime_state_of,
    select_headers,
    session_row,
)
from praison_persist.sql import conversation, history, views
from praison_persist.sql.replica import about_session
from praison_persist.sql.schema import Tables
from praison_persist.sql.shown import shown
from praison_persist.sql.statements import insert_or_replace

__all__ = ["OpenRows", "append", "change_session"]

_UPDATED = ("role", "content", "tool_calls", "tool_call_id", "metadata", "created_at")
_NO_ROOM = "SQLSessionStore keeps all messages: there is no window to make room in"


@about_session
def append(
    connection: sa.Connection,
    t: Tables,
    session_id: str,
    messages: Sequence[ConversationMessage],
    now: float,
) -> None:
    """Append messages to a session, which is created if it does not exist.

    A row for each; the session's own is raised by one statement, whatever its length.
    """
    if not _append(connection, t, session_id, messages, now):
        _create(connection, t, session_id, now)
        _append(connection, t, session_id, messages, now)


def _append(
    connection: sa.Connection,
    t: Tables,
    session_id: str,
    messages: Sequence[ConversationMessage],
    now: float,
) -> bool:
    try:
        conversation.add_messages(connection, t, session_id, messages, now)
    except NotFoundError:
        return False
    return True


def _create(connection: sa.Connection, t: Tables, session_id: str, now: float) -> bool:
    new = ConversationSession(session_id=session_id, created_at=now, updated_at=now)
    return conversation.insert_session(connection, t, new)


@about_session
def change_session(
    connection: sa.Connection, t: Tables, session_id: str, change: Change, now: float
) -> None:
    """Apply a change to a session, which is created if it does not exist."""
    is_new = False
    while not conversation.lock_session(connection, t, session_id):
        is_new = _create(connection, t, session_id, now)
    session = OpenRows(connection, t, session_id, now, is_new=is_new)
    change(session)
    session.store()


class OpenRows(OpenSession):
    """The rows of one session. Its caller holds the session's lock."""

    def __init__(
        self, connection: sa.Connection, t: Tables, session_id: str, now: float, *, is_new: bool
    ) -> None:
        self._connection, self._t, self._id, self._now = connection, t, session_id, now
        self.is_new = is_new
        query = select_headers(t).where(t.sessions.c.session_id == session_id)
        self._row = connection.execute(query).one()
        self.header = header_of(self._row)
        self.header.runtime_state = runtime_state_of(connection, t, session_id)
        self._before = deepcopy(self.header)
        self._count: int | None = None

    @property
    def message_count(self) -> int:
        """See `OpenSession`; counted when it is first asked for."""
        if self._count is None:
            self._count = conversation.count(self._connection, self._t, self._id)
        return self._count

    def _newest(self, limit: int) -> list[ConversationMessage]:
        """Return the newest messages, the newest first."""
        return shown(self._connection, self._t, self._id, limit=limit, backward=True)

    def read(self, start: int = 0, stop: int | None = None) -> list[SessionMessage]:
        """See `OpenSession`. From the end (-1) or to a stop, no more is read than that."""
        if start < 0 and stop is None:
            return [message_of(row) for row in reversed(self._newest(-start))]
        if start < 0 or (stop is not None and stop < 0):
            start, stop, _ = slice(start, stop).indices(self.message_count)
        rows = shown(self._connection, self._t, self._id, limit=stop)
        return [message_of(row) for row in rows[start:]]

    def append(self, messages: Sequence[SessionMessage]) -> None:
        """See `OpenSession`."""
        rows = [row_of(message) for message in messages]
        conversation.add_messages(self._connection, self._t, self._id, rows, self._now)
        if self._count is not None:
            self._count += len(rows)

    def replace_last(self, message: SessionMessage) -> None:
        """See `OpenSession`. The row is changed while nothing else shows it, else hidden."""
        (last,) = self._newest(1)
        seq = last.seq or 0
        c, new = self._t.messages.c, row_of(message)
        if self._is_only_mine(seq):
            values = {name: getattr(new, name) for name in _UPDATED}
            where = sa.and_(c.session_id == self._id, c.seq == seq)
            self._connection.execute(sa.update(self._t.messages).where(where).values(values))
            return
        self._show_upto(seq - 1)
        self.append([message])
        self._count = None

    def _is_only_mine(self, seq: int) -> bool:
        """Whether a message is the session's own, and neither a fork nor a snapshot shows it."""
        m, n = self._t.messages.c, self._t.snapshots.c
        own = sa.select(m.seq).where(m.session_id == self._id, m.seq == seq)
        in_snapshot = sa.select(n.seq).where(n.session_id == self._id, n.seq >= seq).limit(1)
        execute = self._connection.execute
        return (
            execute(own).first() is not None
            and execute(in_snapshot).first() is None
            and not views.holders(self._connection, self._t, self._id, [seq])
        )

    def _show_upto(self, seq: int) -> None:
        history.revert(self._connection, self._t, self._id, seq, self._now, of_now=True)

    def keep(self, count: int) -> None:
        """See `OpenSession`. What goes stays in the history, but for an unfinished answer."""
        if count >= self.message_count:
            return
        if count == self.message_count - 1 and self._drop_partial():
            self._count = count
            return
        seq = 0
        if count:
            seq = (
                history.seq_at_index(self._connection, self._t, self._id, count - 1)
                or 0  # never: it is below message_count
            )
        self._show_upto(seq)
        self._count = count

    def _drop_partial(self) -> bool:
        """Delete the last message if it is an answer that was never finished."""
        (last,) = self._newest(1)
        if not (last.metadata or {}).get("partial") or not self._is_only_mine(last.seq or 0):
            return False
        c = self._t.messages.c
        where = sa.and_(c.session_id == self._id, c.seq == last.seq)
        self._connection.execute(sa.delete(self._t.messages).where(where))
        return True

    def drop_archive(self) -> None:
        """See `OpenSession`. Erases, too, what was hidden and nothing else shows."""
        self._set_details({"archive_seq": None})
        history.erase_history(self._connection, self._t, self._id)

    def drop_oldest(self, count: int) -> None:
        """See `OpenSession`. No store calls it: rows need not make room."""
        del count
        raise UnsupportedError(_NO_ROOM)

    def roll_up(self, count: int, summary: SessionMessage, *, had_summary: bool) -> None:
        """See `OpenSession`. No store calls it: rows need not make room."""
        del count, summary, had_summary
        raise UnsupportedError(_NO_ROOM)

    def take_snapshot(self, snapshot: SessionSnapshot) -> None:
        """See `OpenSession`. A row, whatever the number of messages."""
        checkpoint = self.header.last_compaction
        new = history.Snapshot(
            snapshot_id=snapshot.id,
            seq=0,
            message_count=0,
            last_compaction=None if checkpoint is None else self._stored(checkpoint.to_dict()),
            label=snapshot.label,
            metadata=snapshot.metadata or None,
            created_at=snapshot.created_at,
        )
        stored = history.create_snapshot(self._connection, self._t, self._id, new)
        snapshot.message_index = stored.message_count - 1

    def restore(self, snapshot_id: str) -> bool:
        """See `OpenSession`. The archive stays as it is."""
        found = history.get_snapshots(self._connection, self._t, self._id)
        stored = next((one for one in found if one.snapshot_id == snapshot_id), None)
        if stored is None or stored.seq == history.NOT_KNOWN:
            return False
        history.revert(self._connection, self._t, self._id, stored.seq, self._now)
        self.header.last_compaction = checkpoint_of(stored.last_compaction)
        self._count = None
        return True

    def store(self) -> None:
        """Write what of the header was changed, and that it was."""
        header, before, t = self.header, self._before, self._t
        c = t.sessions.c
        values: dict[str, Any] = {"updated_at": conversation.touched(t, self._now)}
        if session_row(header) != session_row(before):
            values |= {**session_row(header), "version": c.version + 1}
        key = c.session_id == self._id
        self._connection.execute(sa.update(t.sessions).where(key).values(values))
        known = details_row(before)
        changed = {
            name: value for name, value in details_row(header).items() if value != known[name]
        }
        if header.last_compaction != before.last_compaction:
            checkpoint = header.last_compaction
            changed["last_compaction"] = (
                None if checkpoint is None else self._stored(checkpoint.to_dict())
            )
        if changed:
            self._set_details(changed)
        self._store_runtime_states(before.runtime_state, header.runtime_state)

    def _stored(self, checkpoint: dict[str, Any]) -> dict[str, Any]:
        """Return a checkpoint with the number behind which the messages after it lie."""
        index = checkpoint["message_index"]
        seq = None
        if 0 < index < self.message_count:
            seq = history.seq_at_index(self._connection, self._t, self._id, index - 1)
        elif index > 0:
            c = self._t.sessions.c
            last = sa.select(c.last_seq).where(c.session_id == self._id)
            seq = self._connection.execute(last).scalar_one()
        return {**checkpoint, "seq": seq or 0}

    def _set_details(self, values: dict[str, Any]) -> None:
        """Set columns of the details' row, which is made if there is none."""
        d, execute = self._t.details, self._connection.execute
        if self._row.is_shared is None:
            none = dict.fromkeys(column.name for column in d.columns)
            row = {**none, "is_shared": 0, **values, "session_id": self._id}
            execute(insert_or_replace(self._connection, d), row)
        else:
            # No other column: the deletion of a parent sets one without this session's lock.
            execute(sa.update(d).where(d.c.session_id == self._id).values(values))
        query = select_headers(self._t).where(self._t.sessions.c.session_id == self._id)
        self._row = self._connection.execute(query).one()

    def _store_runtime_states(
        self, before: dict[str, dict[str, Any]], after: dict[str, dict[str, Any]]
    ) -> None:
        t, execute = self._t.runtime_states, self._connection.execute
        old, new = _by_turn(before), _by_turn(after)
        for runtime, turn in old.keys() - new.keys():
            gone = sa.delete(t).where(t.c.session_id == self._id, t.c.runtime_id == runtime)
            execute(gone.where(t.c.turn_id == turn))
        for (runtime, turn), state in new.items():
            if old.get((runtime, turn)) != state:
                row = {"session_id": self._id, "runtime_id": runtime, "turn_id": turn}
                execute(insert_or_replace(self._connection, t), row | {"state": state})


def _by_turn(states: dict[str, dict[str, Any]]) -> dict[tuple[str, str], Any]:
    return {
        (runtime, turn): states[runtime][turn] for runtime in states for turn in states[runtime]
    }
