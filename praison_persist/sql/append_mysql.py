"""Appending on MariaDB and MySQL: a transaction of several statements, sent in one round trip."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

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
from praison_persist.sql.dialects import MYSQL
from praison_persist.sql.direct import Cursor, Prepared
from praison_persist.sql.schema import Tables

__all__ = ["MySQLAppender"]

# Of one packet, in characters; a server takes 16 MiB by default (max_allowed_packet), and ends the
# connection of who sends more.
_TEXT_MAX: Final = 2 << 20
_MEMBER: Final = "praison_member"
_SEQ: Final = MESSAGE_COLUMNS.index("seq")


class MySQLAppender:
    """See `Appender`. The connection commits each statement that is in no transaction.

    Each session's last number before is kept in a variable of the connection. Where there is no
    such session, it is NULL and the foreign key refuses its messages.
    """

    def __init__(self, t: Tables, dialect: sa.Dialect, touch_interval: float) -> None:
        self._dialect = dialect
        c = t.sessions.c
        # Parameters by position: each session has statements of its own.
        positional: sa.Dialect = type(dialect)(paramstyle="format")  # type: ignore[call-arg]  # of any default dialect
        now: sa.BindParameter[float] = sa.bindparam("now", type_=sa.Double())
        recent = c.updated_at > now - sa.literal_column(repr(float(touch_interval)))
        last_seq = c.last_seq + sa.bindparam("count", type_=sa.BigInteger())
        count = sa.update(t.sessions).where(c.session_id == sa.bindparam("key"))
        # LAST_INSERT_ID(expr) keeps the value for the next statement
        # (MySQL manual, "Information Functions").
        self._count = Prepared(
            count.values(
                last_seq=sa.func.last_insert_id(last_seq),
                updated_at=sa.case((recent, c.updated_at), else_=now),
            ),
            positional,
        )
        insert = Prepared(sa.insert(t.messages), positional, list(MESSAGE_COLUMNS))
        self._insert, _, places = insert.sql.partition(" VALUES ")
        self._places = places.strip("()").split(", ")
        self._encoded = encoders(t, dialect)

    def __call__(self, connection: PoolProxiedConnection, appends: Sequence[Append]) -> list[bool]:
        """See `Appender`."""
        if self._is_member(connection):
            raise Irregular
        sessions = totals(appends)
        statements, given = ["BEGIN"], []
        for index, (session_id, (count, now)) in enumerate(sessions.items()):
            statements += [
                self._count.sql,
                f"SET @praison_{index} = IF(ROW_COUNT() > 0, LAST_INSERT_ID() - {count}, NULL)",
            ]
            given += self._count.parameters(key=session_id, count=count, now=now)
        insert, values = self._inserting(appends, list(sessions))
        names = ", ".join(f"@praison_{index}" for index in range(len(sessions)))
        statements += [insert, f"SELECT {names}", "COMMIT"]
        try:
            with Cursor(connection, self._dialect) as cursor:
                bases = self._executed(cursor, statements, [*given, *values])
        except exc.IntegrityError as error:
            raise Irregular from error
        return number(appends, dict(zip(sessions, bases, strict=True)))[0]

    def _is_member(self, connection: PoolProxiedConnection) -> bool:
        """Whether this is a server of a cluster, asked once for each connection.

        Galera may abort a transaction at any moment for one of another server, and tells so in
        answer to the next packet: in the middle of several statements nobody would be told.
        """
        info, cluster = connection.info, MYSQL.cluster
        if _MEMBER not in info and cluster is not None:
            with Cursor(connection, self._dialect) as cursor:
                cursor.execute(cluster.is_member)
                info[_MEMBER] = bool(cursor.fetchall())
        return bool(info.get(_MEMBER))

    def _inserting(self, appends: Sequence[Append], sessions: list[str]) -> tuple[str, list[Any]]:
        """Return the INSERT of all messages, and its parameters."""
        variables = {session_id: index for index, session_id in enumerate(sessions)}
        ranks = dict.fromkeys(sessions, 0)
        rows, values, size = [], [], 0
        for append in appends:
            places = self._places.copy()
            places[_SEQ] = f"@praison_{variables[append.session_id]} + %s"
            place = f"({', '.join(places)})"
            for message in append.messages:
                ranks[append.session_id] += 1
                message.seq = ranks[append.session_id]
                encoded = row(message, self._encoded)
                size += sum(len(value) for value in encoded if isinstance(value, str))
                rows.append(place)
                values += encoded
        if size > _TEXT_MAX:
            raise Irregular
        return f"{self._insert} VALUES {', '.join(rows)}", values

    def _executed(self, cursor: Any, statements: list[str], given: list[Any]) -> list[int]:
        """Send the statements at once. Return the numbers that the last but one selects."""
        try:
            cursor.execute("; ".join(statements), given)
            for _ in statements[:-2]:
                cursor.nextset()
            bases: list[int] = list(cursor.fetchone())
            cursor.nextset()  # the answer to COMMIT
        except self._dialect.loaded_dbapi.Error as error:
            # The statements behind the one that failed were not executed.
            if not self._dialect.is_disconnect(error, None, cursor):
                cursor.execute("ROLLBACK")
            raise
        return bases
