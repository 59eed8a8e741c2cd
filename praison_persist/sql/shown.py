"""Reading messages: rows as they are, or what a session shows of its own and others' rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from praison_persist.models import ConversationMessage
from praison_persist.sql import views
from praison_persist.sql.alone import needs_snapshot
from praison_persist.sql.schema import Tables

__all__ = ["MESSAGE_FIELDS", "rows", "shown", "shown_in"]

MESSAGE_FIELDS = (
    "id",
    "session_id",
    "role",
    "content",
    "tool_calls",
    "tool_call_id",
    "metadata",
    "created_at",
    "run_id",
    "seq",
)


def select_messages(t: Tables, *where: sa.ColumnElement[bool]) -> sa.Select[Any]:
    return sa.select(*[t.messages.c[name] for name in MESSAGE_FIELDS]).where(*where)


def rows(
    connection: sa.Connection,
    t: Tables,
    *where: sa.ColumnElement[bool],
    limit: int | None = None,
    backward: bool = False,
) -> list[ConversationMessage]:
    """Return messages in their order, or from the last one backward."""
    seq = t.messages.c.seq
    query = select_messages(t, *where).order_by(seq.desc() if backward else seq)
    if limit is not None:
        query = query.limit(limit)
    return [ConversationMessage(*row) for row in connection.execute(query)]


def shown(
    connection: sa.Connection,
    t: Tables,
    session_id: str,
    *where: sa.ColumnElement[bool],
    limit: int | None = None,
    backward: bool = False,
) -> list[ConversationMessage]:
    """Return what the session shows, in order or from the last one backward.

    One statement if it is plain and there is something.
    """
    own = t.messages.c.session_id == session_id
    plain = views.is_plain(t, session_id)
    found = rows(connection, t, own, plain, *where, limit=limit, backward=backward)
    if found:
        return found
    needs_snapshot(connection)
    parts = views.current(connection, t, session_id)
    return shown_in(connection, t, session_id, parts, *where, limit=limit, backward=backward)


def shown_in(
    connection: sa.Connection,
    t: Tables,
    session_id: str,
    parts: Sequence[views.Part],
    *where: sa.ColumnElement[bool],
    limit: int | None = None,
    backward: bool = False,
) -> list[ConversationMessage]:
    """Return the messages of these parts, in order or from the last one backward, as its own."""
    found: list[ConversationMessage] = []
    for part in reversed(parts) if backward else parts:
        if limit is not None and len(found) >= limit:
            break
        rest = None if limit is None else limit - len(found)
        where_part = (part.condition(t), *where)
        found += rows(connection, t, *where_part, limit=rest, backward=backward)
    for message in found:
        message.session_id = session_id
    return found
