"""A whole session as JSON values, and back: nothing lost, nothing changed, all or nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sa

from praison_persist._checks import (
    check_id,
    check_integer,
    check_message,
    check_run,
    check_seqs,
    check_span,
    check_tool_call,
    check_trace,
)
from praison_persist.errors import ConflictError, InvalidDataError
from praison_persist.models import (
    ConversationMessage,
    ConversationSession,
    Run,
    Span,
    ToolCall,
    Trace,
)
from praison_persist.sql import conversation
from praison_persist.sql.dialects import DIALECTS
from praison_persist.sql.replica import about_all
from praison_persist.sql.schema import Tables

__all__ = ["FORMAT", "dump_session", "load_session"]

FORMAT = "praison_persist.session/1"

_COUNTERS = ("last_seq", "last_run_seq")


@about_all
def dump_session(connection: sa.Connection, t: Tables, session_id: str) -> dict[str, Any] | None:
    """See ConversationStore.dump_session. The keys are the names of tables and columns."""
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
    return {
        "format": FORMAT,
        "session": sessions[0],
        "messages": _rows(connection, t.messages, t.messages.c.session_id == session_id),
        "runs": _rows(connection, t.runs, t.runs.c.session_id == session_id),
        "tool_calls": _rows(connection, t.tool_calls, t.tool_calls.c.session_id == session_id),
        "traces": traces,
        "spans": _rows(connection, t.spans, in_traces),
    }


def _rows(
    connection: sa.Connection, table: sa.Table, where: sa.ColumnElement[bool]
) -> list[dict[str, Any]]:
    query = sa.select(table).where(where).order_by(*table.primary_key.columns)
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
    }
    counters = {
        "last_seq": _counter(dump, "last_seq", [message.seq or 0 for message in messages]),
        "last_run_seq": _counter(dump, "last_run_seq", [run["seq"] for run in runs]),
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
    messages = [
        ConversationMessage.from_dict({"id": None} | row) for row in _rows_of(dump, "messages")
    ]
    check_seqs([message.seq for message in messages])
    for seq, message in enumerate(messages, 1):
        check_message(message)
        message.seq = message.seq or seq
    return messages


def _check_contained(
    connection: sa.Connection, t: Tables, session_id: str, messages: list[ConversationMessage]
) -> None:
    stored = {m.id: m for m in conversation.get_messages(connection, t, session_id)}
    for message in messages:
        if message.id not in stored:
            raise ConflictError(
                f"Session {session_id!r} exists without message {message.id!r} of the dump; "
                "delete it first, or load the dump under another session_id"
            )
        conversation.check_same(stored[message.id], message)
