"""All rows that belong to a session, page by page in the order of their keys, and back.

What a session shows of others is read as its own, as in a dump. A page is one short transaction, so
that neither end has to hold a session in memory, or a transaction open for as long as a copy takes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa

from praison_persist._checks import check_id
from praison_persist.errors import ConflictError
from praison_persist.sql import views
from praison_persist.sql.schema import Tables
from praison_persist.sql.statements import insert_new, insert_or_replace

__all__ = [
    "BESIDE",
    "MESSAGES",
    "Row",
    "begin_session",
    "count_rows",
    "finish_session",
    "page_rows",
    "put_messages",
    "put_rows",
    "session_row",
]

Row = dict[str, Any]

MESSAGES = "messages"

# Part of a session -> its table, as the names in a dump are. All but the session and its messages.
_TABLES: dict[str, Callable[[Tables], sa.Table]] = {
    "runs": lambda t: t.runs,
    "tool_calls": lambda t: t.tool_calls,
    "traces": lambda t: t.traces,
    "spans": lambda t: t.spans,
    "ranges": lambda t: t.ranges,
    "snapshots": lambda t: t.snapshots,
    "session_details": lambda t: t.details,
    "runtime_states": lambda t: t.runtime_states,
}
BESIDE = tuple(_TABLES)

_KEYS = 200  # in one OR of comparisons: far below the limits of expressions of all databases


def session_row(connection: sa.Connection, t: Tables, session_id: str) -> Row | None:
    """Return the row of the session itself, with its counters; None if there is none."""
    check_id(session_id, "session_id")
    query = sa.select(t.sessions).where(t.sessions.c.session_id == session_id)
    row = connection.execute(query).one_or_none()
    return None if row is None else dict(row._mapping)


def count_rows(connection: sa.Connection, t: Tables, session_id: str) -> dict[str, int]:
    """Return how many rows each part has, and how many messages are of the session's own."""
    counts = [
        sa.select(sa.literal(part), sa.func.count()).where(*_of(t, part, session_id))
        for part in (MESSAGES, *BESIDE)
    ]
    return {row[0]: row[1] for row in connection.execute(sa.union_all(*counts))}


def page_rows(
    connection: sa.Connection,
    t: Tables,
    session_id: str,
    part: str,
    after: Row | None = None,
    limit: int = 500,
) -> list[Row]:
    """Return the next rows of a part, in the order of their keys.

    Args:
        connection: in a transaction.
        t: the tables.
        session_id: of the session.
        part: `MESSAGES` or one of `BESIDE`. Messages are all that the session has ever shown.
        after: the last row of the page before; None begins.
        limit: how many, at most.
    """
    if part == MESSAGES:
        return _messages(connection, t, session_id, 0 if after is None else after["seq"], limit)
    table = _TABLES[part](t)
    key = _key(table)
    query = sa.select(table).where(*_of(t, part, session_id)).order_by(*key).limit(limit)
    if after is not None:
        query = query.where(_behind(key, after))
    rows = [dict(row._mapping) for row in connection.execute(query)]
    for row in rows if part == "ranges" else ():
        row["source_id"] = session_id
    return rows


def _of(t: Tables, part: str, session_id: str) -> tuple[sa.ColumnElement[bool], ...]:
    """Return what is true of the rows of a part."""
    if part == MESSAGES:
        return (t.messages.c.session_id == session_id,)
    if part == "spans":
        own = sa.select(t.traces.c.trace_id).where(t.traces.c.session_id == session_id)
        return (t.spans.c.trace_id.in_(own),)
    return (_TABLES[part](t).c.session_id == session_id,)


def _key(table: sa.Table) -> list[sa.ColumnElement[Any]]:
    """Return the columns that order the rows of one session."""
    columns: list[sa.ColumnElement[Any]] = [
        column for column in table.primary_key.columns if column.name != "session_id"
    ]
    return columns or list(table.primary_key.columns)


def _behind(key: Sequence[sa.ColumnElement[Any]], after: Row) -> sa.ColumnElement[bool]:
    """Return what is true of rows that come later; not a row constructor, which some scan for."""
    found: list[sa.ColumnElement[bool]] = []
    for number, column in enumerate(key):
        equal = [other == after[str(other.key)] for other in key[:number]]
        found.append(sa.and_(*equal, column > after[str(column.key)]))
    return sa.or_(*found)


def _messages(
    connection: sa.Connection, t: Tables, session_id: str, after_seq: int, limit: int
) -> list[Row]:
    """Return messages of the session's own, and those of others that it shows or has shown."""
    m, r = t.messages, t.ranges.c
    columns = [column for column in m.columns if column.name != "session_id"]

    def read(source_id: str, *where: sa.ColumnElement[bool]) -> list[Row]:
        query = sa.select(*columns).where(m.c.session_id == source_id, m.c.seq > after_seq, *where)
        rows = connection.execute(query.order_by(m.c.seq).limit(limit))
        return [{**row._mapping, "session_id": session_id} for row in rows]

    found = read(session_id)
    others = sa.select(r.source_id).where(r.session_id == session_id, r.source_id != session_id)
    again = m.alias("again")  # a message that the session wrote again is taken as it wrote it
    own = sa.exists().where(again.c.session_id == session_id, again.c.id == m.c.id)
    for source_id in connection.scalars(others.distinct()).all():
        found += read(source_id, views.within(t, r.session_id == session_id, source_id), ~own)
    return sorted(found, key=lambda row: int(row["seq"]))[:limit]


def begin_session(connection: sa.Connection, t: Tables, row: Row) -> None:
    """Insert a session that is about to be filled. Until it is finished it shows all it has."""
    connection.execute(insert_new(connection, t.sessions), row | {"view_seq": None})


def put_messages(connection: sa.Connection, t: Tables, rows: Sequence[Row]) -> None:
    """Insert messages under the numbers that they have; those that are there stay."""
    connection.execute(insert_new(connection, t.messages), list(rows))


def put_rows(connection: sa.Connection, t: Tables, part: str, rows: Sequence[Row]) -> None:
    """Insert the rows of one of `BESIDE`, and replace those that differ.

    Raises:
        ConflictError: a trace of the same id belongs to another session.
    """
    table = _TABLES[part](t)
    key = list(table.primary_key.columns)
    there: dict[tuple[Any, ...], Row] = {}
    for start in range(0, len(rows), _KEYS):
        wanted = [
            sa.and_(*[column == row[column.name] for column in key])
            for row in rows[start : start + _KEYS]
        ]
        for found in connection.execute(sa.select(table).where(sa.or_(*wanted))):
            stored = dict(found._mapping)
            there[tuple(stored[column.name] for column in key)] = stored
    changed = []
    for row in rows:
        stored_row = there.get(tuple(row[column.name] for column in key))
        if stored_row == row:
            continue
        if stored_row is not None and stored_row.get("session_id") != row.get("session_id"):
            raise ConflictError(
                f"The trace {row['trace_id']!r} of session {row['session_id']!r} exists in the "
                f"target as one of session {stored_row['session_id']!r}; delete that session there"
            )
        changed.append(row)
    if changed:
        connection.execute(insert_or_replace(connection, table), changed)


def finish_session(connection: sa.Connection, t: Tables, row: Row) -> None:
    """Give the session its fields, counters and view, as they are in `row`."""
    c = t.sessions.c
    values = {name: value for name, value in row.items() if name != "session_id"}
    connection.execute(
        sa.update(t.sessions).where(c.session_id == row["session_id"]).values(values)
    )
