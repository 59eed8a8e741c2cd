"""A folder of JSON sessions into a SQL database: files of any size, batch by batch.

A file is read twice: first all of it is checked, then stored. A session whose messages take more
than one batch carries in its details how many are stored until all are, so that an import that was
interrupted is continued by the next one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import sqlalchemy as sa

from praison_persist._checks import check_id, check_session
from praison_persist._checks import check_message as check_row
from praison_persist._ids import new_id
from praison_persist._json import loads
from praison_persist.errors import (
    ConflictError,
    InvalidDataError,
    NotFoundError,
    PersistError,
    UnavailableError,
)
from praison_persist.models import ConversationMessage, ConversationSession
from praison_persist.sessions.checks import check_dict, check_message, check_name
from praison_persist.sessions.json_stream import parts_of
from praison_persist.sessions.messages import SessionMessage
from praison_persist.sessions.models import ExtendedSessionData
from praison_persist.sessions.pooling import from_storage
from praison_persist.sessions.reports import ImportReport
from praison_persist.sessions.sql_put import put
from praison_persist.sessions.sql_rows import details_row, iso, new_session, row_of
from praison_persist.sql import conversation, history
from praison_persist.sql.database import Database
from praison_persist.sql.schema import Tables
from praison_persist.sql.statements import insert_or_replace

__all__ = ["import_folder"]

_BATCH = 1000  # messages of one transaction
_LISTS = frozenset({"archived_messages", "messages", "snapshots"})
_INDEX = "_sessions_index.json"  # of praisonai's conversation store
_STORED = "imported"  # in the details' `extra`: how many messages are, until all are
_NAMES = ("agent_name", "user_id", "agent_id", "gateway_session_id", "parent_id")


@dataclass
class _Survey:
    """What a file holds beside its messages.

    Attributes:
        header: the session.
        session: its row.
        archived: how many messages its archive holds.
        messages: how many its window holds.
        snapshots: how many snapshots it has.
    """

    header: ExtendedSessionData
    session: ConversationSession
    archived: int = 0
    messages: int = 0
    snapshots: int = 0


@dataclass(frozen=True, slots=True)
class _Part:
    """Messages to be stored in one transaction.

    Attributes:
        begin: how many messages of the session are stored before.
        archive: how many the whole archive holds, if these are the last of it; 0: they are not.
        last: they are the last ones.
    """

    survey: _Survey
    begin: int
    rows: list[ConversationMessage] = field(default_factory=list)
    archive: int = 0
    last: bool = False


def import_folder(db: Database, folder: Path, now: float) -> ImportReport:
    """Store each session of a folder that is not stored; see `SQLSessionStore.import_json`."""
    if not folder.is_dir():
        raise NotFoundError(f"{str(folder)!r} is no folder")
    report, seen = ImportReport(), []
    for path in sorted(folder.glob("*.json")):
        if path.name == _INDEX:
            continue
        try:
            survey = _survey(path, now)
        except (ValueError, RecursionError, OSError) as error:  # InvalidDataError is a ValueError
            report.skip(path.name, f"{path.name}: {error}")
            continue
        session_id = survey.header.session_id
        seen.append(session_id)
        try:
            reason = _store(db, path, survey, now)
        except UnavailableError:
            raise
        except PersistError as error:
            reason = f"{path.name}: {error}"
        if reason:
            report.skip(session_id, reason)
        else:
            report.imported += 1
    db.run(_drop_links, seen)
    return report


def _survey(path: Path, now: float) -> _Survey:
    """Read all of a file, and check it."""
    document: dict[str, Any] = {}
    counts = dict.fromkeys(_LISTS, 0)
    for key, value in parts_of(path, _LISTS):
        if key not in _LISTS:
            if key != "snapshot_storage":
                document[key] = value
            continue
        counts[key] += 1
        if key != "snapshots":
            _check_item(value, f"{key}[{counts[key] - 1}]")
    other = document.get("session")
    if isinstance(other, dict):
        document = _as_session(other)
    check_id(document.get("session_id"), "session_id")
    check_dict(document, "the session")
    header = ExtendedSessionData.from_dict(document)
    for name in _NAMES:
        if not getattr(header, name):
            setattr(header, name, None)
        check_name(getattr(header, name), name)
    if header.parent_id == header.session_id:
        header.parent_id = None
    session = new_session(header, now)
    if isinstance(other, dict):
        session.agent_id, session.state = other.get("agent_id"), other.get("state")
    check_session(session)
    return _Survey(
        header,
        session,
        archived=counts["archived_messages"],
        messages=counts["messages"],
        snapshots=counts["snapshots"],
    )


def _as_session(session: dict[str, Any]) -> dict[str, Any]:
    """Return the session of a conversation store's file as a session store's has it."""
    times = {
        name: iso(session[name])
        for name in ("created_at", "updated_at")
        if isinstance(session.get(name), int | float)
    }
    known = ("session_id", "user_id", "metadata")
    fields = {name: session.get(name) for name in known} | {"title": session.get("name")}
    return fields | times


def _check_item(item: Any, name: str) -> None:
    if not isinstance(item, dict):
        raise InvalidDataError(f"{name} is no object")
    check_row(_row(item))
    check_message(SessionMessage.from_dict(item))


def _row(item: dict[str, Any]) -> ConversationMessage:
    """Return a message to be stored; one of a conversation store keeps its id."""
    message = SessionMessage.from_dict(item)
    if "timestamp" not in item and "created_at" in item:
        message.timestamp = item["created_at"]
    row = row_of(message)
    if isinstance(item.get("id"), str) and "created_at" in item:
        row.id = item["id"]
    return row


def _store(db: Database, path: Path, survey: _Survey, now: float) -> str:
    """Store a session. Return why it is not; "" if it is."""
    header = survey.header
    stored = db.read(_progress, header.session_id)
    if stored == "whole":
        return "already exists"
    if survey.snapshots:
        # They share messages with the session: both have to be at hand to be stored once.
        session = from_storage(loads(path.read_text("utf-8")))
        session.parent_id = header.parent_id
        db.run(put, session, overwrite=False, now=now, makes_parent=False)
        return ""
    if stored and stored > survey.archived + survey.messages:
        return (
            f"{path.name}: fewer messages than an earlier import stored; delete the session first"
        )
    try:
        for part in _parts(path, survey, stored or 0):
            db.run(_store_part, part, now)
    except _ChangedError:
        raise  # by another import, perhaps: what is stored is its
    except (ConflictError, InvalidDataError):
        db.run(_drop_part, header.session_id)
        raise
    return ""


class _ChangedError(ConflictError):
    """Another wrote to the session that is being imported."""


def _drop_part(connection: sa.Connection, t: Tables, session_id: str) -> None:
    """Delete a session that is not whole and never will be."""
    conversation.lock_session(connection, t, session_id)
    if isinstance(_progress(connection, t, session_id), int):
        conversation.delete_session(connection, t, session_id)


def _parts(path: Path, survey: _Survey, stored: int) -> Iterator[_Part]:
    """Yield what is to be stored, behind the first `stored` messages; something in any case."""
    total = survey.archived + survey.messages
    begin = stored
    for key, offset, count in (
        ("archived_messages", 0, survey.archived),
        ("messages", survey.archived, survey.messages),
    ):
        items = (item for name, item in parts_of(path, _LISTS) if name == key)
        skipped = min(count, max(0, begin - offset))
        for _ in islice(items, skipped):
            pass
        while chunk := list(islice(items, _BATCH)):
            rows = [_row(item) for item in chunk]
            end = begin + len(rows)
            archive = survey.archived if end == survey.archived else 0
            yield _Part(survey, begin, rows, archive, last=end == total)
            begin = end
    if total == stored:
        yield _Part(survey, total, last=True)


def _progress(
    connection: sa.Connection, t: Tables, session_id: str
) -> int | Literal["whole"] | None:
    """Return how many messages of a session are stored; None: there is no such session."""
    s, d = t.sessions.c, t.details.c
    query = (
        sa.select(d.extra)
        .select_from(t.sessions.outerjoin(t.details, d.session_id == s.session_id))
        .where(s.session_id == session_id)
    )
    found = connection.execute(query).one_or_none()
    if found is None:
        return None
    stored = (found.extra or {}).get(_STORED)
    return "whole" if stored is None else int(stored)


def _store_part(connection: sa.Connection, t: Tables, part: _Part, now: float) -> None:
    header, new = part.survey.header, part.survey.session
    session_id, s = header.session_id, t.sessions.c
    is_new = not part.begin and conversation.insert_session(connection, t, new)
    if not is_new:
        conversation.lock_session(connection, t, session_id)
        if _progress(connection, t, session_id) != part.begin:
            raise _ChangedError(f"session {session_id!r} was changed meanwhile: import it again")
    conversation.add_messages(connection, t, session_id, part.rows, now)
    end = part.begin + len(part.rows)
    archive_seq = None
    if part.archive:
        query = sa.select(s.last_seq).where(s.session_id == session_id)
        archive_seq = connection.execute(query).scalar_one()
        history.show(connection, t, session_id, [], now)
    values: dict[str, Any] = {"session_id": session_id, "extra": {_STORED: end}}
    if not is_new:
        d = t.details.c
        known = sa.select(d.archive_seq).where(d.session_id == session_id)
        archive_seq = archive_seq or connection.execute(known).scalar_one()
    values |= {"archive_seq": archive_seq, "fork_seq": None, "last_compaction": None}
    values |= details_row(header)
    if part.last:
        values |= _finished(connection, t, header)
        times = sa.update(t.sessions).where(s.session_id == session_id)
        connection.execute(times.values(updated_at=new.updated_at))
    connection.execute(insert_or_replace(connection, t.details), values)


def _finished(connection: sa.Connection, t: Tables, header: ExtendedSessionData) -> dict[str, Any]:
    """Store what comes behind the messages, and return what of it is for the details."""
    session_id = header.session_id
    states = [
        {"session_id": session_id, "runtime_id": runtime, "turn_id": turn, "state": state}
        for runtime, turns in header.runtime_state.items()
        for turn, state in turns.items()
    ]
    if states:
        connection.execute(sa.insert(t.runtime_states), states)
    checkpoint = header.last_compaction
    stored = None
    if checkpoint is not None:
        index = checkpoint.message_index
        seq = history.seq_at_index(connection, t, session_id, index - 1) if index > 0 else 0
        stored = {**checkpoint.to_dict(), "seq": seq or 0}
    extra = {history.LINK: new_id()}
    if header.forked_from_message_id is not None:
        extra["forked_from"] = header.forked_from_message_id
    return {"last_compaction": stored, "extra": extra}


def _drop_links(connection: sa.Connection, t: Tables, session_ids: Sequence[str]) -> None:
    """Make roots of those of these sessions whose parent is not stored."""
    d = t.details.c
    parent = sa.select(t.sessions.c.session_id).where(t.sessions.c.session_id == d.parent_id)
    for some in conversation.chunks(session_ids):
        lost = sa.update(t.details).where(
            d.session_id.in_(some), d.parent_id.is_not(None), ~parent.exists()
        )
        connection.execute(lost.values(parent_id=None))
