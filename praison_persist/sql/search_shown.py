"""Which messages a search may find: those that a session shows now; see views.py."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from praison_persist.models import ConversationMessage
from praison_persist.sql import views
from praison_persist.sql.conversation import chunks
from praison_persist.sql.schema import Tables

__all__ = ["shown", "shown_in", "where_shown"]


def shown(t: Tables) -> sa.ColumnElement[bool]:
    """Return a condition on messages: a session shows it, its own or a fork."""
    # An alias: the search may have joined the sessions, and would be asked about those.
    sessions, m = t.sessions.alias(), t.messages.c
    s = sessions.c
    plain = sa.exists().where(s.session_id == m.session_id, s.view_seq.is_(None))
    in_view = views.within(t, _current(t, sessions), m.session_id)
    return sa.or_(plain.correlate(t.messages), in_view.correlate(t.messages))


def _current(t: Tables, sessions: sa.FromClause) -> sa.ColumnElement[bool]:
    """Return a condition on ranges: it is of a session's current view."""
    r, s = t.ranges.c, sessions.c
    return sa.and_(r.session_id == s.session_id, r.at_seq == s.view_seq)


def shown_in(connection: sa.Connection, t: Tables, session_id: str) -> sa.ColumnElement[bool]:
    """Return a condition on messages: the session shows it."""
    parts = views.current(connection, t, session_id)
    if not parts:
        return t.messages.c.session_id == session_id
    return sa.or_(*(part.condition(t) for part in parts))


def where_shown(connection: sa.Connection, t: Tables, found: Sequence[ConversationMessage]) -> None:
    """Give each message that its own session does not show to the first fork that does.

    One statement, where all of their sessions are plain.
    """
    s, ids = t.sessions.c, {message.session_id for message in found}
    viewed: set[str] = set()
    for some in chunks(sorted(ids)):
        query = sa.select(s.session_id).where(s.session_id.in_(some), s.view_seq.is_not(None))
        viewed.update(connection.scalars(query))
    for message in found:
        if message.session_id in viewed:
            message.session_id = _session_that_shows(connection, t, message)


def _session_that_shows(connection: sa.Connection, t: Tables, message: ConversationMessage) -> str:
    r, seq = t.ranges.c, message.seq or 0
    query = (
        sa.select(r.session_id)
        .join(t.sessions, _current(t, t.sessions))
        .where(r.source_id == message.session_id, r.first_seq <= seq)
        .where(sa.or_(r.last_seq.is_(None), r.last_seq >= seq))
        .order_by(r.session_id)
    )
    found = connection.scalars(query).all()
    return message.session_id if message.session_id in found or not found else found[0]
