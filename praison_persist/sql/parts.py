"""What a session has beside its messages: runs, traces, and all else that hangs on its id."""

from __future__ import annotations

import sqlalchemy as sa

from praison_persist._checks import check_id
from praison_persist.sql.schema import Tables

__all__ = ["beside_messages"]


def beside_messages(connection: sa.Connection, t: Tables, session_id: str) -> list[str]:
    """Return the names of the tables, without prefix, that have rows of the session; sorted.

    Those of its messages and of the session itself are left out.
    """
    check_id(session_id, "session_id")
    rows = [
        sa.select(sa.literal(table.name.removeprefix(t.prefix))).where(
            sa.exists().where(table.c.session_id == session_id)
        )
        for table in t.metadata.sorted_tables
        if "session_id" in table.c and table not in (t.sessions, t.messages)
    ]
    return sorted(connection.scalars(sa.union_all(*rows)))
