"""A whole session as JSON values, and back: nothing lost, nothing changed, all or nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sa

from praison_persist._checks import (
    check_id,
    check_integer,
    check_message,
    check_optional_id,
    check_run,
    check_seqs,
    check_span,
    check_text,
    check_time,
    check_tool_call,
    check_trace,
)
from praison_persist._json import check_json
from praison_persist.errors import ConflictError, InvalidDataError
from praison_persist.models import (
    ConversationMessage,
    ConversationSession,
    Run,
    Span,
    ToolCall,
    Trace,
)
from praison_persist.sql import conversation, views
from praison_persist.sql.dialects import DIALECTS
from praison_persist.sql.replica import about_all
from praison_persist.sql.schema import Tables
from praison_persist.sql.shown import shown

__all__ = ["FORMAT", "dump_session", "load_session"]

FORMAT = "praison_persist.session/1"

# Parts that a session has only if a view was made of it, or a session store wrote it.
_OPTIONAL = {
    "ranges": "ranges",
    "snapshots": "snapshots",
    "session_details": "details",
    "runtime_states": "runtime_states",
}


@about_all
def dump_session(connection: sa.Connection, t: Tables, session_id: str) -> dict[str, Any] | None:
    """See ConversationStore.dump_session. The keys are the names of tables and columns.

    What the session shows of others is dumped as its own. What it does not show now is apart, so
    that a store without views loads what this one shows.
    """
    check_id(session_id, "session_id")
    if not DIALECTS[connection.dialect.name].snapshots:
        conversation.lock_session(connection, t, session_id)
    sessions = _rows(connection, t.sessions, t.sessions.c.session_id == session_id)
    if not sessions:
        return None
    traces = _rows(connection, t.traces, t.traces.c.session_id == session_id)
    in_traces = t.spans.c.trace_id.in_(
        sa.select(t.traces.c.trace_id).where(t.traces.c.session_id == session_id)
    )
    dump: dict[str, Any] = {
        "format": FORMAT,
        "session": sessions[0],
        "messages": _messages_of(connection, t, session_id),
        "runs": _rows(connection, t.runs, t.runs.c.session_id == session_id),
        "tool_calls": _rows(connection, t.tool_calls, t.tool_calls.c.session_id == session_id),
        "traces": traces,
        "spans": _rows(connection, t.spans, in_traces),
    }
    if sessions[0]["view_seq"] is None:
        del sessions[0]["view_seq"]
    else:
        now = {message.seq for message in shown(connection, t, session_id)}
        hidden = [row for row in dump["messages"] if row["seq"] not in now]
        dump["messages"] = [row for row in dump["messages"] if row["seq"] in now]
        if hidden:
            dump["hidden_messages"] = hidden
    for part, attribute in _OPTIONAL.items():
        table: sa.Table = getattr(t, attribute)
        if rows := _rows(connection, table, table.c.session_id == session_id):
            dump[part] = rows
    for row in dump.get("ranges", []):
        row["source_id"] = session_id
    return dump


def _messages_of(connection: sa.Connection, t: Tables, session_id: str) -> list[dict[str, Any]]:
    """Return all messages of the session's own, and those of others that it shows or has shown."""
    r = t.ranges.c
    sources = sa.select(r.source_id).where(r.session_id == session_id, r.source_id != session_id)
    found = _rows(connection, t.messages, t.messages.c.session_id == session_id)
    # A message that the session wrote again under the same id is dumped as it wrote it: its own
    # copy would not be made either, and no store takes an id twice.
    own = {row["id"] for row in found}
    for source_id in connection.scalars(sources.distinct()).all():
        within = views.within(t, r.session_id == session_id, source_id)
        rows = _rows(connection, t.messages, t.messages.c.session_id == source_id, within)
        found += [row | {"session_id": session_id} for row in rows if row["id"] not in own]
        own |= {row["id"] for row in rows}
    return sorted(found, key=lambda row: int(row["seq"]))


def _rows(
    connection: sa.Connection, table: sa.Table, *where: sa.ColumnElement[bool]
) -> list[dict[str, Any]]:
    query = sa.select(table).where(*where).order_by(*table.primary_key.columns)
    return [dict(row._mapping) for row in connection.execute(query)]


def load_session(connection: sa.Connection, t: Tables, dump: Mapping[str, Any]) -> str:
    """See ConversationStore.load_session."""
    session, messages = _session(dump), _messages(dump)
    if conversation.insert_session(connection, t, session):
        _insert_all(connection, t, dump, session.session_id, messages)
    else:
        _check_contained(connection, t, session.session_id, messages)
    return session.session_id


def _insert_all(
    connection: sa.Connection,
    t: Tables,
    dump: Mapping[str, Any],
    session_id: str,
    messages: list[ConversationMessage],
) -> None:
    runs = _checked(dump, "runs", t.runs, _check_run)
    rows: dict[sa.Table, list[dict[str, Any]]] = {
        t.messages: [message.to_dict() for message in messages],
        t.runs: runs,
        t.tool_calls: _checked(dump, "tool_calls", t.tool_calls, _check_tool_call),
        t.traces: _checked(dump, "traces", t.traces, _check_trace),
        t.spans: _checked(dump, "spans", t.spans, _check_span),
        t.ranges: _checked(dump, "ranges", t.ranges, _check_range),
        t.snapshots: _checked(dump, "snapshots", t.snapshots, _check_snapshot),
        t.details: _checked(dump, "session_details", t.details, _check_details),
        t.runtime_states: _checked(dump, "runtime_states", t.runtime_states, _check_state),
    }
    for row in rows[t.ranges]:
        row["source_id"] = session_id
    used = [message.seq or 0 for message in messages] + [row["at_seq"] for row in rows[t.ranges]]
    counters = {
        "last_seq": _counter(dump, "last_seq", used),
        "last_run_seq": _counter(dump, "last_run_seq", [run["seq"] for run in runs]),
        "view_seq": _view(dump, rows[t.ranges]),
    }
    connection.execute(
        sa.update(t.sessions).where(t.sessions.c.session_id == session_id).values(counters)
    )
    for table, found in rows.items():
        own = {"session_id": session_id} if "session_id" in table.columns else {}
        if found:
            connection.execute(sa.insert(table), [row | own for row in found])


def _counter(dump: Mapping[str, Any], name: str, used: list[int]) -> int:
    value = dump["session"].get(name) or 0
    check_integer(value, f"session.{name}", 0)
    return max([value, *used])


def _view(dump: Mapping[str, Any], ranges: list[dict[str, Any]]) -> int | None:
    view: int | None = dump["session"].get("view_seq")
    if view is not None and all(row["at_seq"] != view for row in ranges):
        raise InvalidDataError(f"The dump's session shows view {view!r}, which it has no ranges of")
    return view


def _checked(
    dump: Mapping[str, Any],
    part: str,
    table: sa.Table,
    check: Callable[[dict[str, Any]], None],
) -> list[dict[str, Any]]:
    """Return the rows of a part of the dump, all columns in each."""
    rows = _rows_of(dump, part)
    for row in rows:
        unknown = row.keys() - table.columns.keys()
        absent = {c.name for c in table.columns if not c.nullable} - row.keys()
        if unknown or absent:
            raise InvalidDataError(
                f"The dump's {part} have a row that is none: "
                f"unknown {sorted(unknown)}, missing {sorted(absent)}"
            )
        check(row)
    return [{c.name: row.get(c.name) for c in table.columns} for row in rows]


def _rows_of(dump: Mapping[str, Any], part: str) -> list[dict[str, Any]]:
    rows = dump.get(part) or []
    if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
        raise InvalidDataError(f"The dump's {part} are not a list of objects")
    return [dict(row) for row in rows]


def _check_run(row: dict[str, Any]) -> None:
    check_run(Run.from_dict(row))
    check_integer(row["seq"], "run.seq", 1)
    check_integer(row["after_seq"], "run.after_seq", 0)
    if row.get("until_seq") is not None:
        check_integer(row["until_seq"], "run.until_seq", 0)


def _check_tool_call(row: dict[str, Any]) -> None:
    check_tool_call(ToolCall.from_dict(row | {"timestamp": row["started_at"]}))


def _check_trace(row: dict[str, Any]) -> None:
    check_trace(Trace.from_dict(row))


def _check_span(row: dict[str, Any]) -> None:
    check_span(Span.from_dict(row))


def _check_range(row: dict[str, Any]) -> None:
    check_integer(row["at_seq"], "range.at_seq", 0)
    check_integer(row["first_seq"], "range.first_seq", 1)
    if row.get("last_seq") is not None:
        check_integer(row["last_seq"], "range.last_seq", 0)
    check_time(row["created_at"], "range.created_at")


def _check_snapshot(row: dict[str, Any]) -> None:
    check_id(row["snapshot_id"], "snapshot.snapshot_id")
    check_integer(row["seq"], "snapshot.seq", -1)
    check_integer(row["message_count"], "snapshot.message_count", 0)
    check_json(row.get("last_compaction"), "snapshot.last_compaction")
    check_text(row.get("label"), "snapshot.label")
    check_json(row.get("metadata"), "snapshot.metadata")
    check_time(row["created_at"], "snapshot.created_at")


def _check_details(row: dict[str, Any]) -> None:
    for name in ("agent_name", "gateway_session_id", "gateway_agent_id", "parent_id"):
        check_optional_id(row.get(name), f"details.{name}")
    for name in ("fork_seq", "archive_seq"):
        if row.get(name) is not None:
            check_integer(row[name], f"details.{name}", 0)
    check_integer(row["is_shared"], "details.is_shared", 0)
    for name in ("last_compaction", "extra"):
        check_json(row.get(name), f"details.{name}")


def _check_state(row: dict[str, Any]) -> None:
    check_id(row["runtime_id"], "runtime_state.runtime_id")
    check_id(row["turn_id"], "runtime_state.turn_id")
    check_json(row.get("state"), "runtime_state.state")


def _session(dump: Mapping[str, Any]) -> ConversationSession:
    if not isinstance(dump, Mapping) or dump.get("format") != FORMAT:
        found = dump.get("format") if isinstance(dump, Mapping) else type(dump).__name__
        raise InvalidDataError(f"Not a session dump: its format is {found!r}, not {FORMAT!r}")
    session = dump.get("session")
    if not isinstance(session, Mapping) or "session_id" not in session:
        raise InvalidDataError("The dump has no session with a session_id")
    return ConversationSession.from_dict(dict(session))


def _messages(dump: Mapping[str, Any]) -> list[ConversationMessage]:
    """Return the messages, numbered; a dump made by hand may leave that to us."""
    if "messages" not in dump:
        raise InvalidDataError("The dump has no messages; an empty list says that there are none")
    rows = _rows_of(dump, "messages")
    if hidden := _rows_of(dump, "hidden_messages"):
        check_seqs([row.get("seq") for row in hidden])
        check_seqs([row.get("seq") for row in rows])
        rows = sorted(rows + hidden, key=lambda row: row.get("seq") or 0)
    messages = [ConversationMessage.from_dict({"id": None} | row) for row in rows]
    check_seqs([message.seq for message in messages])
    for seq, message in enumerate(messages, 1):
        check_message(message)
        message.seq = message.seq or seq
    return messages


def _check_contained(
    connection: sa.Connection, t: Tables, session_id: str, messages: list[ConversationMessage]
) -> None:
    stored = {
        row["id"]: ConversationMessage.from_dict(row)
        for row in _messages_of(connection, t, session_id)
    }
    for message in messages:
        if message.id not in stored:
            raise ConflictError(
                f"Session {session_id!r} exists without message {message.id!r} of the dump; "
                "delete it first, or load the dump under another session_id"
            )
        conversation.check_same(stored[message.id], message)
