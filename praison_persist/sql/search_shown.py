"""Which messages a search may find: those that a session shows now; see views.py."""

from __future__ import annotations

import sqlalchemy as sa

from praison_persist.sql import views
from praison_persist.sql.schema import Tables

__all__ = ["session_that_shows", "shown", "shown_in"]


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


def session_that_shows(connection: sa.Connection, t: Tables, session_id: str, seq: int) -> str:
    """Return the session whose message it is if that shows it, else the first fork that does."""
    r = t.ranges.c
    query = (
        sa.select(r.session_id)
        .join(t.sessions, _current(t, t.sessions))
        .where(r.source_id == session_id, r.first_seq <= seq)
        .where(sa.or_(r.last_seq.is_(None), r.last_seq >= seq))
        .order_by(r.session_id)
    )
    found = connection.scalars(query).all()
    return session_id if session_id in found or not found else found[0]
