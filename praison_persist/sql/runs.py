"""Operations on what agents did: runs, tool calls, traces and spans."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from praison_persist._checks import (
    check_id,
    check_ids,
    check_limit,
    check_optional_id,
    check_run,
    check_run_end,
    check_span,
    check_span_end,
    check_tool_call,
    check_trace,
    check_trace_end,
)
from praison_persist.errors import InvalidDataError, NotFoundError
from praison_persist.models import ConversationMessage, Run, Span, ToolCall, Trace
from praison_persist.sql.alone import alone, needs_snapshot
from praison_persist.sql.conversation import chunks, delete_runs, lock_session, messages_after
from praison_persist.sql.dialects import DIALECTS
from praison_persist.sql.replica import about_all, about_session
from praison_persist.sql.schema import Tables
from praison_persist.sql.statements import Unchanged, advance, insert_new, insert_or_replace

__all__ = [
    "add_tool_call",
    "add_trace",
    "delete_session",
    "end_run",
    "end_span",
    "end_trace",
    "find_runs",
    "get_runs",
    "get_tool_calls",
    "get_traces",
    "running",
    "start_run",
    "start_span",
    "start_trace",
]

_RUN_FIELDS = (
    "run_id",
    "session_id",
    "agent_name",
    "started_at",
    "ended_at",
    "status",
    "input_content",
    "output_content",
    "metadata",
    "metrics",
    "owner",
    "seq",
)
_TRACE_FIELDS = (
    "trace_id",
    "session_id",
    "run_id",
    "agent_name",
    "user_id",
    "started_at",
    "ended_at",
    "status",
    "metadata",
)
_SPAN_FIELDS = (
    "span_id",
    "trace_id",
    "name",
    "started_at",
    "ended_at",
    "parent_span_id",
    "status",
    "attributes",
    "events",
)


@about_session
def start_run(connection: sa.Connection, t: Tables, run: Run) -> Run:
    """See RunStore.start_run."""
    check_run(run)
    c = t.sessions.c
    key = c.session_id == run.session_id
    seq = advance(connection, t.sessions, key, c.last_run_seq, 1, {})
    if seq is None:
        raise NotFoundError(f"There is no session {run.session_id!r}; create it before its runs")
    after_seq = connection.execute(sa.select(c.last_seq).where(key)).scalar_one()
    row = {name: getattr(run, name) for name in _RUN_FIELDS}
    row |= {"seq": seq, "after_seq": after_seq}
    if connection.execute(insert_new(connection, t.runs), row).rowcount:
        return replace(run, seq=seq)
    raise Unchanged(find_runs(connection, t, run.session_id, [run.run_id])[run.run_id])


@about_session
def end_run(
    connection: sa.Connection,
    t: Tables,
    session_id: str,
    run_id: str,
    status: str,
    output_content: str | None,
    metrics: dict[str, Any],
    metadata: dict[str, Any],
    ended_at: float,
) -> bool:
    """See RunStore.end_run."""
    check_id(session_id, "session_id")
    check_id(run_id, "run_id")
    check_run_end(status, output_content, metrics, metadata, ended_at)
    c = t.runs.c
    key = sa.and_(c.session_id == session_id, c.run_id == run_id)
    query = sa.select(c.metrics, c.metadata).where(key).with_for_update()
    row = connection.execute(query).one_or_none()
    if row is None:
        return False
    last_seq = (
        sa.select(t.sessions.c.last_seq)
        .where(t.sessions.c.session_id == session_id)
        .scalar_subquery()
    )
    values = {
        "status": status,
        "output_content": output_content,
        "metrics": {**(row.metrics or {}), **metrics},
        "metadata": {**(row.metadata or {}), **metadata},
        "ended_at": ended_at,
        "until_seq": last_seq,
    }
    connection.execute(sa.update(t.runs).where(key).values(values))
    return True


@about_session
def get_runs(
    connection: sa.Connection, t: Tables, session_id: str, limit: int | None = None
) -> list[Run]:
    """See RunStore.get_runs."""
    check_id(session_id, "session_id")
    check_limit(limit)
    runs = _runs(connection, t, session_id=session_id, newest=limit)
    calls: dict[str, list[ToolCall]] = {}
    messages: dict[str, list[ConversationMessage]] = {}
    if runs:
        ids = {run.run_id for run in runs}
        for some in chunks(list(ids)):
            for call in _tool_calls(connection, t, session_id, t.tool_calls.c.run_id.in_(some)):
                calls.setdefault(call.run_id or "", []).append(call)
        for message in messages_after(connection, t, session_id, _start_of(connection, t, runs)):
            if message.run_id in ids:
                messages.setdefault(message.run_id or "", []).append(message)
    return [
        replace(run, messages=messages.get(run.run_id, []), tool_calls=calls.get(run.run_id, []))
        for run in runs
    ]


def _start_of(connection: sa.Connection, t: Tables, runs: Sequence[Run]) -> int:
    """Return the seq behind which the messages of these runs lie.

    They have no end: a message may be stored after its run has ended.
    """
    c = t.runs.c
    query = sa.select(sa.func.min(c.after_seq)).where(
        c.session_id == runs[0].session_id, c.seq >= min(run.seq or 0 for run in runs)
    )
    return int(connection.execute(query).scalar_one())


def _runs(
    connection: sa.Connection,
    t: Tables,
    *where: sa.ColumnElement[bool],
    session_id: str,
    newest: int | None = None,
) -> list[Run]:
    """Return runs, newest first, without their messages and tool calls."""
    c = t.runs.c
    query = sa.select(*[c[name] for name in _RUN_FIELDS]).where(c.session_id == session_id, *where)
    query = query.order_by(c.seq.desc())
    if newest is not None:
        query = query.limit(newest)
    return [_run(dict(row._mapping)) for row in connection.execute(query)]


def _run(row: dict[str, Any]) -> Run:
    row["metadata"], row["metrics"] = row["metadata"] or {}, row["metrics"] or {}
    return Run(**row)


@alone
@about_session
def find_runs(
    connection: sa.Connection, t: Tables, session_id: str, run_ids: Sequence[str]
) -> dict[str, Run]:
    """See RunStore.find_runs."""
    check_id(session_id, "session_id")
    check_ids(run_ids, "run_ids")
    found: dict[str, Run] = {}
    for index, ids in enumerate(chunks(list(run_ids))):
        if index:
            needs_snapshot(connection)
        for run in _runs(connection, t, t.runs.c.run_id.in_(ids), session_id=session_id):
            found[run.run_id] = run
    missing = [run_id for run_id in run_ids if run_id not in found]
    if missing:
        needs_snapshot(connection)
        found |= _inherited_runs(connection, t, session_id, missing)
    return found


def _inherited_runs(
    connection: sa.Connection, t: Tables, session_id: str, run_ids: Sequence[str]
) -> dict[str, Run]:
    """Return runs of the sessions whose messages a fork shows: whether they failed counts there."""
    r, c = t.ranges.c, t.runs.c
    sources = sa.select(r.source_id).where(r.session_id == session_id, r.source_id != session_id)
    query = sa.select(*[c[name] for name in _RUN_FIELDS]).where(c.session_id.in_(sources))
    found: dict[str, Run] = {}
    for ids in chunks(run_ids):
        for row in connection.execute(query.where(c.run_id.in_(ids))):
            found[row.run_id] = _run(dict(row._mapping))
    return found


@alone
@about_session
def running(connection: sa.Connection, t: Tables, session_id: str) -> list[Run]:
    """See RunStore.running."""
    check_id(session_id, "session_id")
    return _runs(connection, t, t.runs.c.status == "running", session_id=session_id)[::-1]


@about_session
def add_tool_call(connection: sa.Connection, t: Tables, call: ToolCall) -> ToolCall:
    """See RunStore.add_tool_call."""
    check_tool_call(call)
    row = asdict(call)
    row["started_at"] = row.pop("timestamp")
    checked = DIALECTS[connection.dialect.name].foreign_keys
    if not checked and not lock_session(connection, t, call.session_id):
        raise _no_session(call.session_id)
    try:
        connection.execute(insert_or_replace(connection, t.tool_calls), row)
    except IntegrityError as error:  # the session is all that a tool call refers to
        raise _no_session(call.session_id) from error
    return replace(call)


def _no_session(session_id: str) -> NotFoundError:
    return NotFoundError(f"There is no session {session_id!r}; create it before its tool calls")


@alone
@about_session
def get_tool_calls(
    connection: sa.Connection,
    t: Tables,
    session_id: str,
    run_id: str | None = None,
    limit: int | None = None,
) -> list[ToolCall]:
    """See RunStore.get_tool_calls."""
    check_id(session_id, "session_id")
    check_optional_id(run_id, "run_id")
    check_limit(limit)
    where = [] if run_id is None else [t.tool_calls.c.run_id == run_id]
    return _tool_calls(connection, t, session_id, *where, newest=limit)


def _tool_calls(
    connection: sa.Connection,
    t: Tables,
    session_id: str,
    *where: sa.ColumnElement[bool],
    newest: int | None = None,
) -> list[ToolCall]:
    c = t.tool_calls.c
    # Ids are made when a call begins and grow with time.
    query = sa.select(t.tool_calls).where(c.session_id == session_id, *where).order_by(c.id.desc())
    if newest is not None:
        query = query.limit(newest)
    rows = [dict(row._mapping) for row in connection.execute(query)]
    return [ToolCall(timestamp=row.pop("started_at"), **row) for row in reversed(rows)]


@about_all
def start_trace(connection: sa.Connection, t: Tables, trace: Trace) -> None:
    """See RunStore.start_trace."""
    check_trace(trace)
    row = {name: getattr(trace, name) for name in _TRACE_FIELDS}
    connection.execute(insert_new(connection, t.traces), row)


@about_all
def end_trace(
    connection: sa.Connection,
    t: Tables,
    trace_id: str,
    status: str,
    metadata: dict[str, Any],
    ended_at: float,
) -> bool:
    """See RunStore.end_trace."""
    check_id(trace_id, "trace_id")
    check_trace_end(status, metadata, ended_at)
    return _end(
        connection,
        t.traces,
        t.traces.c.trace_id == trace_id,
        "metadata",
        metadata,
        status,
        ended_at,
    )


@about_all
def start_span(connection: sa.Connection, t: Tables, span: Span) -> None:
    """See RunStore.start_span."""
    check_span(span)
    row = {name: getattr(span, name) for name in _SPAN_FIELDS}
    connection.execute(insert_new(connection, t.spans), row)


@about_all
def end_span(
    connection: sa.Connection,
    t: Tables,
    span_id: str,
    status: str,
    attributes: dict[str, Any],
    ended_at: float,
) -> bool:
    """See RunStore.end_span."""
    check_id(span_id, "span_id")
    check_span_end(status, attributes, ended_at)
    return _end(
        connection,
        t.spans,
        t.spans.c.span_id == span_id,
        "attributes",
        attributes,
        status,
        ended_at,
    )


def _end(
    connection: sa.Connection,
    table: sa.Table,
    key: sa.ColumnElement[bool],
    document: str,
    changes: dict[str, Any],
    status: str,
    ended_at: float,
) -> bool:
    """End a trace or span, merging `changes` into its JSON column `document`."""
    query = sa.select(table.c[document]).where(key).with_for_update()
    row = connection.execute(query).first()
    if row is None:
        return False
    values = {"status": status, "ended_at": ended_at, document: {**(row[0] or {}), **changes}}
    connection.execute(sa.update(table).where(key).values(values))
    return True


@about_session
def delete_session(connection: sa.Connection, t: Tables, session_id: str) -> None:
    """See RunStore.delete_session."""
    check_id(session_id, "session_id")
    delete_runs(connection, t, session_id)


@about_all
def add_trace(connection: sa.Connection, t: Tables, trace: Trace) -> None:
    """See RunStore.add_trace."""
    check_trace(trace)
    for span in trace.spans:
        check_span(span)
        if span.trace_id != trace.trace_id:
            raise InvalidDataError(
                f"span.trace_id is {span.trace_id!r} in the trace {trace.trace_id!r}"
            )
    row = {name: getattr(trace, name) for name in _TRACE_FIELDS}
    connection.execute(insert_or_replace(connection, t.traces), row)
    connection.execute(sa.delete(t.spans).where(t.spans.c.trace_id == trace.trace_id))
    if trace.spans:
        spans = [{name: getattr(span, name) for name in _SPAN_FIELDS} for span in trace.spans]
        connection.execute(sa.insert(t.spans), spans)


@about_all
def get_traces(
    connection: sa.Connection,
    t: Tables,
    session_id: str | None = None,
    user_id: str | None = None,
    limit: int | None = None,
) -> list[Trace]:
    """See RunStore.get_traces."""
    check_optional_id(session_id, "session_id")
    check_optional_id(user_id, "user_id")
    check_limit(limit)
    c = t.traces.c
    query = sa.select(*[c[name] for name in _TRACE_FIELDS])
    if session_id is not None:
        query = query.where(c.session_id == session_id)
    if user_id is not None:
        query = query.where(c.user_id == user_id)
    query = query.order_by(c.started_at.desc(), c.trace_id.desc())
    if limit is not None:
        query = query.limit(limit)
    found = connection.execute(query).all()
    spans = _spans(connection, t, [row.trace_id for row in found])
    return [
        Trace(
            **dict(row._mapping)
            | {"metadata": row.metadata or {}, "spans": spans.get(row.trace_id, [])}
        )
        for row in found
    ]


def _spans(connection: sa.Connection, t: Tables, trace_ids: Sequence[str]) -> dict[str, list[Span]]:
    """Return the spans of these traces, in the order they began."""
    c = t.spans.c
    query = sa.select(*[c[name] for name in _SPAN_FIELDS])
    by_trace: dict[str, list[Span]] = {}
    for ids in chunks(trace_ids):
        page = query.where(c.trace_id.in_(ids)).order_by(c.started_at, c.span_id)
        for row in connection.execute(page):
            span = Span(
                **dict(row._mapping)
                | {"attributes": row.attributes or {}, "events": row.events or []}
            )
            by_trace.setdefault(span.trace_id, []).append(span)
    return by_trace
