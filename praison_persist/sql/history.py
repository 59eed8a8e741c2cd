"""Operations on the history of a session: fork, snapshot, revert, clear, and what it showed once.

None of them copies or changes a message; see views.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from praison_persist._checks import check_id, check_integer, check_session, check_text, check_time
from praison_persist._ids import new_id
from praison_persist._json import check_json
from praison_persist.errors import ConflictError, NotFoundError
from praison_persist.models import ConversationMessage, ConversationSession
from praison_persist.sql import views
from praison_persist.sql.conversation import count, insert_session, touched
from praison_persist.sql.replica import about_session
from praison_persist.sql.schema import Tables
from praison_persist.sql.shown import shown_in
from praison_persist.sql.statements import insert_new

__all__ = [
    "LINK",
    "NOT_KNOWN",
    "Snapshot",
    "clear",
    "create_snapshot",
    "erase_history",
    "fork",
    "get_snapshots",
    "messages_as_of",
    "revert",
    "seq_at_index",
    "seq_at_time",
]


LINK = "link"  # in the details' `extra`: grows with the time at which a child got its parent
NOT_KNOWN = -1


class Snapshot(NamedTuple):
    """A point of a session's history: all that it showed when its counter was at `seq`.

    Attributes:
        seq: NOT_KNOWN: what it showed then is not known.
        message_count: how many messages it showed.
        last_compaction: the checkpoint that it had.
    """

    snapshot_id: str
    seq: int
    message_count: int
    last_compaction: dict[str, Any] | None
    label: str | None
    metadata: dict[str, Any] | None
    created_at: float


def fork(
    connection: sa.Connection,
    t: Tables,
    session_id: str,
    child: ConversationSession,
    seq: int | None,
    now: float,
) -> int:
    """Create `child`, which shows what the session shows now, up to `seq` (None: all).

    No message is copied, and the cost does not depend on their number. What is written to either
    afterwards is not seen by the other; what is deleted from the session stays in the child.

    Returns:
        The number up to which the child shows messages of the session.

    Raises:
        NotFoundError: there is no such session.
        ConflictError: the child's id exists; nothing was changed.
    """
    check_id(session_id, "session_id")
    check_session(child)
    if seq is not None:
        check_integer(seq, "seq", 0)
    c = t.sessions.c
    last_seq = _lock(connection, t, session_id)
    upto = last_seq if seq is None else min(seq, last_seq)
    if not insert_session(connection, t, child):
        raise ConflictError(f"Session {child.session_id!r} exists; it was left as it is")
    parts = _parts(connection, t, session_id)
    views.insert_view(
        *(connection, t, child.session_id, 0, views.clip(parts, upto), now), first_seq=upto + 1
    )
    connection.execute(
        sa.update(t.sessions)
        .where(c.session_id == child.session_id)
        .values(last_seq=upto, view_seq=0)
    )
    details = {
        "session_id": child.session_id,
        "parent_id": session_id,
        "fork_seq": upto,
        "extra": {LINK: new_id()},
    }
    connection.execute(insert_new(connection, t.details), details)
    return upto


def _no_session(session_id: str) -> NotFoundError:
    return NotFoundError(f"There is no session {session_id!r}")


def _parts(connection: sa.Connection, t: Tables, session_id: str) -> list[views.Part]:
    """Return what the session shows now, as parts also if it is plain."""
    return views.current(connection, t, session_id) or [views.Part(session_id, 1, None)]


@about_session
def seq_at_index(connection: sa.Connection, t: Tables, session_id: str, index: int) -> int | None:
    """Return the number of the message at `index` of those shown, from 0; None: there is none."""
    check_id(session_id, "session_id")
    check_integer(index, "index", 0)
    seq = t.messages.c.seq
    for part in _parts(connection, t, session_id):
        here = sa.select(seq).where(part.condition(t)).order_by(seq)
        found = connection.execute(here.offset(index).limit(1)).scalar_one_or_none()
        if found is not None:
            return int(found)
        count = sa.select(sa.func.count()).where(part.condition(t))
        index -= connection.execute(count).scalar_one()
    return None


@about_session
def seq_at_time(connection: sa.Connection, t: Tables, session_id: str, time: float) -> int:
    """Return where the counter was after the last append or change of view at or before `time`.

    Args:
        connection: in a transaction.
        t: the tables.
        session_id: the session.
        time: in seconds since the epoch. That of an append is its message's `created_at`.
    """
    check_id(session_id, "session_id")
    check_time(time, "time")
    r, m = t.ranges.c, t.messages.c
    changed = sa.select(sa.func.max(r.at_seq)).where(
        r.session_id == session_id, r.created_at <= time
    )
    found = [connection.execute(changed).scalar_one_or_none() or 0]
    inherited = sa.select(r.source_id, r.first_seq, r.last_seq).where(
        r.session_id == session_id, r.at_seq == 0, r.source_id != session_id
    )
    own = views.Part(session_id, 1, None)
    for part in [own, *(views.Part(*row) for row in connection.execute(inherited))]:
        newest = sa.select(m.seq).where(part.condition(t), m.created_at <= time)
        last = connection.execute(newest.order_by(m.seq.desc()).limit(1)).scalar_one_or_none()
        found.append(last or 0)
    return max(found)


@about_session
def messages_as_of(
    connection: sa.Connection, t: Tables, session_id: str, seq: int
) -> list[ConversationMessage]:
    """Return what the session showed when its counter was at `seq`, in order."""
    check_id(session_id, "session_id")
    check_integer(seq, "seq", 0)
    parts = views.as_of(connection, t, session_id, seq)
    return shown_in(connection, t, session_id, parts)


@about_session
def create_snapshot(
    connection: sa.Connection,
    t: Tables,
    session_id: str,
    snapshot: Snapshot,
    *,
    known: bool = True,
) -> Snapshot:
    """Name the present point of the session's history, and return it with its number and count.

    Args:
        connection: in a transaction that writes.
        t: the tables.
        session_id: the session.
        snapshot: its `seq` and `message_count` are not looked at if `known`.
        known: False: it is of another store, which did not know what it showed.

    Raises:
        NotFoundError: there is no such session.
    """
    check_id(session_id, "session_id")
    check_id(snapshot.snapshot_id, "snapshot_id")
    check_text(snapshot.label, "label")
    check_json(snapshot.metadata, "metadata")
    # Locked, so that no clear erases what the snapshot shows before the snapshot is seen.
    seq = _lock(connection, t, session_id)
    if known:
        shown = count(connection, t, session_id)
        snapshot = snapshot._replace(seq=seq, message_count=shown)
    row = {"session_id": session_id, **snapshot._asdict()}
    connection.execute(insert_new(connection, t.snapshots), row)
    return snapshot


@about_session
def get_snapshots(connection: sa.Connection, t: Tables, session_id: str) -> list[Snapshot]:
    """Return the snapshots of a session, oldest first."""
    check_id(session_id, "session_id")
    c = t.snapshots.c
    query = (
        sa.select(*(c[name] for name in Snapshot._fields))
        .where(c.session_id == session_id)
        .order_by(c.created_at, c.seq, c.snapshot_id)
    )
    return [Snapshot(*row) for row in connection.execute(query)]


@about_session
def revert(
    connection: sa.Connection,
    t: Tables,
    session_id: str,
    seq: int,
    now: float,
    *,
    of_now: bool = False,
) -> None:
    """Let the session show again what it showed at `seq`. What came later stays in its history.

    Args:
        connection: in a transaction that writes.
        t: the tables.
        session_id: the session.
        seq: of its counter.
        now: in seconds since the epoch.
        of_now: show what it shows now, without what is behind `seq`.

    Raises:
        NotFoundError: there is no such session.
    """
    check_id(session_id, "session_id")
    check_integer(seq, "seq", 0)
    # Behind its counter there is nothing yet: a range up to there would show what comes twice.
    seq = min(seq, _lock(connection, t, session_id))
    if of_now:
        parts = views.clip(_parts(connection, t, session_id), seq)
    else:
        parts = views.as_of(connection, t, session_id, seq)
    show(connection, t, session_id, parts, now)


def show(
    connection: sa.Connection, t: Tables, session_id: str, parts: Sequence[views.Part], now: float
) -> None:
    """Make a view of these parts, and let the session show it."""
    also = {"updated_at": touched(t, now)}
    if views.make_view(connection, t, session_id, parts, now, also) is None:
        raise _no_session(session_id)


def _lock(connection: sa.Connection, t: Tables, session_id: str) -> int:
    """Keep all others from writing to the session; return its counter."""
    c = t.sessions.c
    query = sa.select(c.last_seq).where(c.session_id == session_id).with_for_update()
    last_seq = connection.execute(query).scalar_one_or_none()
    if last_seq is None:
        raise _no_session(session_id)
    return int(last_seq)


@about_session
def clear(connection: sa.Connection, t: Tables, session_id: str, now: float) -> None:
    """Let the session show nothing, and erase what nothing else shows; see `erase_history`."""
    check_id(session_id, "session_id")
    show(connection, t, session_id, [], now)
    erase_history(connection, t, session_id)


@about_session
def erase_history(connection: sa.Connection, t: Tables, session_id: str) -> int:
    """Delete the messages that neither the session, a snapshot of it nor another session shows.

    Archived ones stay.

    Its older views go too: what it showed before is then told as far as it is left.

    Returns:
        How many were deleted.
    """
    check_id(session_id, "session_id")
    s, r = t.sessions.c, t.ranges.c
    key = s.session_id == session_id
    lock = sa.select(s.last_seq, s.view_seq).where(key).with_for_update()
    session = connection.execute(lock).one_or_none()
    if session is None or session.view_seq is None:
        return 0
    views.holders(connection, t, session_id)
    found = get_snapshots(connection, t, session_id)
    snapshots = [snapshot.seq for snapshot in found if snapshot.seq != NOT_KNOWN]
    now_shown = views.current(connection, t, session_id)
    kept = [*now_shown]
    used = {session.view_seq}
    for seq in snapshots:
        kept += views.as_of(connection, t, session_id, seq)
        at_seq = sa.select(sa.func.max(r.at_seq)).where(r.session_id == session_id, r.at_seq <= seq)
        used.add(connection.execute(at_seq).scalar_one_or_none() or 0)
    archived = sa.select(t.details.c.archive_seq).where(t.details.c.session_id == session_id)
    archive_seq = connection.execute(archived).scalar_one_or_none()
    if archive_seq is not None:
        kept.append(views.Part(session_id, 1, archive_seq))
    others = sa.select(r.source_id, r.first_seq, r.last_seq).where(
        r.source_id == session_id, r.session_id != session_id
    )
    # A read that locks: on MySQL another one would not see what was waited for.
    elsewhere = [views.Part(*row) for row in connection.execute(others.with_for_update())]
    deleted = _delete_between(
        connection,
        t,
        session_id,
        [part for part in kept + elsewhere if part.source_id == session_id],
    )
    plain = not (snapshots or elsewhere or archive_seq) and all(
        p.source_id == session_id for p in now_shown
    )
    if plain:
        connection.execute(sa.update(t.sessions).where(key).values(view_seq=None))
        used = set()
    old = sa.delete(t.ranges).where(r.session_id == session_id)
    connection.execute(old.where(r.at_seq.not_in(sorted(used))))
    return deleted


def _delete_between(
    connection: sa.Connection, t: Tables, session_id: str, kept: Sequence[views.Part]
) -> int:
    """Delete the session's own messages outside of these parts."""
    c, deleted, begin = t.messages.c, 0, 1
    delete = sa.delete(t.messages).where(c.session_id == session_id)
    for part in sorted(kept, key=lambda part: part.first_seq):
        if part.first_seq > begin:
            gap = delete.where(c.seq >= begin, c.seq < part.first_seq)
            deleted += connection.execute(gap).rowcount
        if part.last_seq is None:
            return deleted
        begin = max(begin, part.last_seq + 1)
    return deleted + connection.execute(delete.where(c.seq >= begin)).rowcount
