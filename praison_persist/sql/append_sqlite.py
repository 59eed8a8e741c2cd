"""Appending on SQLite: BEGIN IMMEDIATE, read the counters, insert, write the counters, COMMIT."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.pool import PoolProxiedConnection

from praison_persist.sql.appends import (
    MESSAGE_COLUMNS,
    Append,
    Irregular,
    encoders,
    number,
    row,
    totals,
)
from praison_persist.sql.direct import Cursor, Prepared
from praison_persist.sql.schema import Tables

__all__ = ["SQLiteAppender"]


class SQLiteAppender:
    """See `Appender`."""

    def __init__(self, t: Tables, dialect: sa.Dialect, touch_interval: float) -> None:
        self._dialect = dialect
        c = t.sessions.c
        key = c.session_id == sa.bindparam("key")
        count = (
            sa.update(t.sessions)
            .where(key)
            .values(last_seq=c.last_seq + sa.bindparam("count"))
            .returning(c.last_seq, c.updated_at)
        )
        self._count = Prepared(count, dialect)
        # Apart: SQLite writes the entry of an index whenever its column is assigned, also as it is.
        touch = sa.update(t.sessions).where(key).values(updated_at=sa.bindparam("now"))
        self._touch = Prepared(touch, dialect)
        self._insert = Prepared(sa.insert(t.messages), dialect, list(MESSAGE_COLUMNS))
        self._encoded = encoders(t, dialect)
        self._touch_interval = touch_interval

    def __call__(self, connection: PoolProxiedConnection, appends: Sequence[Append]) -> list[bool]:
        """See `Appender`."""
        try:
            with Cursor(connection, self._dialect) as cursor:
                cursor.execute("BEGIN IMMEDIATE")
                try:
                    stored = self._append(cursor, appends)
                    cursor.execute("COMMIT")
                except BaseException:
                    # A COMMIT that met a full disk has ended the transaction already.
                    if connection.dbapi_connection.in_transaction:  # type: ignore[union-attr]  # sqlite3's
                        cursor.execute("ROLLBACK")
                    raise
        except exc.IntegrityError as error:
            raise Irregular from error
        return stored

    def _append(self, cursor: Any, appends: Sequence[Append]) -> list[bool]:
        bases: dict[str, int] = {}
        for session_id, (count, now) in totals(appends).items():
            cursor.execute(self._count.sql, self._count.parameters(key=session_id, count=count))
            found = cursor.fetchone()
            if found is None:
                continue
            last_seq, updated_at = found
            bases[session_id] = last_seq - count
            if now > updated_at and now - updated_at >= self._touch_interval:
                cursor.execute(self._touch.sql, self._touch.parameters(key=session_id, now=now))
        stored, messages = number(appends, bases)
        rows = [row(message, self._encoded) for message in messages]
        if len(rows) == 1:
            cursor.execute(self._insert.sql, rows[0])
        else:
            cursor.executemany(self._insert.sql, rows)
        return stored
