"""SQL dialects as their authors write them, over plain database drivers."""

from __future__ import annotations

import queue
import sqlite3
from typing import Any

import psycopg
from praison_persist.compat.persistence.conversation._sql_base import _SQLConversationStoreBase
from psycopg.rows import dict_row

Connection = psycopg.AsyncConnection[dict[str, Any]]


class RawSQLite(_SQLConversationStoreBase):  # type: ignore[misc]  # of a module made at run time
    """As the original's base class is written for: sync hooks, parameters as a tuple."""

    _id_type = "TEXT"
    _json_type = "TEXT"
    _float_type = "REAL"
    _param = "?"

    def __init__(self, path: str, **options: Any) -> None:
        self.path = path
        self.idle: queue.SimpleQueue[sqlite3.Connection] = queue.SimpleQueue()
        super().__init__(**options)

    @property
    def _transient_errors(self) -> tuple[type[BaseException], ...]:
        return (sqlite3.OperationalError,)

    def _connect(self) -> None:
        self._put_conn(self._open())

    def _open(self) -> sqlite3.Connection:
        conn = sqlite3.connect(self.path, timeout=30, check_same_thread=False)
        conn.row_factory = sqlite3.Row
        return conn

    def _get_conn(self) -> sqlite3.Connection:
        try:
            return self.idle.get_nowait()
        except queue.Empty:
            return self._open()

    def _put_conn(self, conn: sqlite3.Connection, close: bool = False) -> None:
        if close:
            conn.close()
        else:
            self.idle.put(conn)

    def _execute(self, conn: sqlite3.Connection, sql: str, params: tuple[Any, ...] = ()) -> int:
        return conn.execute(sql, params).rowcount

    def _fetchone(
        self, conn: sqlite3.Connection, sql: str, params: tuple[Any, ...] = ()
    ) -> dict[str, Any] | None:
        row = conn.execute(sql, params).fetchone()
        return dict(row) if row else None

    def _fetchall(
        self, conn: sqlite3.Connection, sql: str, params: tuple[Any, ...] = ()
    ) -> list[dict[str, Any]]:
        return [dict(row) for row in conn.execute(sql, params)]

    def close(self) -> None:
        while not self.idle.empty():
            self.idle.get().close()


class RawPostgres(_SQLConversationStoreBase):  # type: ignore[misc]  # as above
    """As the documentation shows it: async hooks, `_param` a method, parameters one by one."""

    _id_type = 'VARCHAR(255) COLLATE "C"'
    _json_type = "JSON"
    _serverless_hosts = (".example.cloud",)

    def __init__(self, url: str, **options: Any) -> None:
        self.url = url
        self.idle: list[Connection] = []
        super().__init__(url=url, **options)

    def _param(self, n: int) -> str:
        return "%s" if n else ""

    @property
    def _transient_errors(self) -> tuple[type[BaseException], ...]:
        return (psycopg.OperationalError,)

    async def _connect(self, **options: Any) -> None:
        assert options["url"] == self.url
        self.idle.append(await self._get_conn())

    async def _get_conn(self) -> Connection:
        if self.idle:
            return self.idle.pop()
        return await Connection.connect(self.url, row_factory=dict_row)

    async def _put_conn(self, conn: Connection) -> None:
        self.idle.append(conn)

    async def _execute(self, conn: Connection, query: Any, *args: Any) -> None:
        await conn.execute(query, args)

    async def _fetchone(self, conn: Connection, query: Any, *args: Any) -> dict[str, Any] | None:
        return await (await conn.execute(query, args)).fetchone()

    async def _fetchall(self, conn: Connection, query: Any, *args: Any) -> list[dict[str, Any]]:
        return await (await conn.execute(query, args)).fetchall()

    async def close(self) -> None:
        while self.idle:
            await self.idle.pop().close()
