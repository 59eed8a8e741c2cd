"""PostgreSQL's drivers alone: a prepared statement in autocommit, one round trip an append."""

from __future__ import annotations

import asyncio
import json
import queue
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import asyncpg
import psycopg

from benchmarks.contenders.base import Contender, Place
from benchmarks.messages import METADATA

__all__ = ["NUMBERED", "AsyncNumbered", "Insert", "Numbered", "append_statement"]

_PLAIN = """
CREATE TABLE sessions (
    session_id VARCHAR(255) PRIMARY KEY, user_id VARCHAR(255), agent_id VARCHAR(255),
    name VARCHAR(255), state JSONB, metadata JSONB, created_at DOUBLE PRECISION,
    updated_at DOUBLE PRECISION);
CREATE TABLE messages (
    id VARCHAR(255) PRIMARY KEY, session_id VARCHAR(255) REFERENCES sessions ON DELETE CASCADE,
    role VARCHAR(50), content TEXT, tool_calls JSONB, tool_call_id VARCHAR(255), metadata JSONB,
    created_at DOUBLE PRECISION);
CREATE INDEX messages_session ON messages (session_id);
CREATE INDEX messages_created ON messages (created_at DESC);
"""
NUMBERED = """
CREATE TABLE sessions (
    pk BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, session_id TEXT NOT NULL UNIQUE,
    user_id TEXT, updated_at DOUBLE PRECISION, last_seq BIGINT NOT NULL DEFAULT 0)
    WITH (fillfactor = 70);
CREATE TABLE messages (
    session_pk BIGINT NOT NULL REFERENCES sessions ON DELETE CASCADE, seq BIGINT NOT NULL,
    id UUID NOT NULL, role TEXT NOT NULL, content TEXT, tool_calls JSON, tool_call_id TEXT,
    metadata JSON, created_at DOUBLE PRECISION, PRIMARY KEY (session_pk, seq));
"""
_INSERT = "INSERT INTO messages VALUES (%s, %s, 'user', %s, NULL, NULL, %s, %s)"
_BEGIN = "INSERT INTO sessions (session_id, user_id) VALUES (%s, 'user-1') RETURNING pk"


def append_statement(mark: Sequence[str]) -> str:
    """Return the statement that counts and inserts, with a driver's marks of parameters."""
    time_, key, id_, text, metadata = mark
    return (
        "WITH counted AS (UPDATE sessions SET last_seq = last_seq + 1,"
        f" updated_at = {time_}::float8 WHERE pk = {key}::bigint"
        " RETURNING pk, last_seq, updated_at)"
        " INSERT INTO messages SELECT pk, last_seq, "
        f"{id_}::uuid, 'user', {text}::text, NULL, NULL, {metadata}::json, updated_at FROM counted"
    )


class Insert(Contender):
    """One INSERT a message, into praisonai's tables."""

    def open(self) -> None:
        """Make the tables."""
        self._connection = psycopg.connect(self.place.url, autocommit=True, prepare_threshold=0)
        self._connection.execute(_PLAIN, prepare=False)
        self._cursor = self._connection.cursor()

    def session(self, name: str) -> str:
        """Insert a session."""
        self._cursor.execute("INSERT INTO sessions (session_id) VALUES (%s)", (name,))
        return name

    def append(self, session: str, text: str) -> None:
        """Insert a message, which commits."""
        self._cursor.execute(_INSERT, _row(session, text))

    def append_many(self, session: str, texts: Sequence[str]) -> None:
        """Insert messages in one transaction."""
        with self._connection.transaction():
            self._cursor.executemany(_INSERT, [_row(session, text) for text in texts])

    def read(self, session: str) -> list[str]:
        """Read by time: one connection writes one after the other, microseconds apart."""
        query = "SELECT content FROM messages WHERE session_id = %s ORDER BY created_at"
        return [row[0] for row in self._cursor.execute(query, (session,))]

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


class Numbered(Contender):
    """A number without gaps in its session, the session's time, and the message, in a statement.

    Args:
        connections: that agents share; one at a time has each.
    """

    def __init__(self, place: Place, connections: int = 1) -> None:
        super().__init__(place)
        self._count = connections
        self._free: queue.LifoQueue[psycopg.Connection[Any]] = queue.LifoQueue()
        self._statement = append_statement(["%s"] * 5).encode()
        self._position = 0

    def open(self) -> None:
        """Make the tables."""
        self._connect()
        with self._connection() as connection:
            connection.execute(NUMBERED, prepare=False)

    def _connect(self) -> None:
        self._free.put(psycopg.connect(self.place.url, autocommit=True, prepare_threshold=0))

    def gather(self, agents: int) -> None:
        """Connect for each, up to the number that they share."""
        for _ in range(min(agents, self._count) - self._free.qsize()):
            self._connect()

    def part(self) -> None:
        """Keep one connection."""
        while self._free.qsize() > 1:
            self._free.get().close()

    @contextmanager
    def _connection(self) -> Iterator[psycopg.Connection[Any]]:
        connection = self._free.get()
        try:
            yield connection
        finally:
            self._free.put(connection)

    def session(self, name: str) -> int:
        """Insert a session; return its key."""
        with self._connection() as connection:
            row = connection.execute(_BEGIN, (name,)).fetchone()
        assert row is not None
        return int(row[0])

    def append(self, session: int, text: str) -> None:
        """Count and insert."""
        with self._connection() as connection:
            connection.execute(self._statement, _numbered_row(session, text))

    def append_many(self, session: int, texts: Sequence[str]) -> None:
        """Count and insert each, in one transaction."""
        with self._connection() as connection, connection.transaction():
            rows = [_numbered_row(session, text) for text in texts]
            connection.cursor().executemany(self._statement, rows)

    def read(self, session: int) -> list[str]:
        """Read in their order."""
        query = "SELECT content FROM messages WHERE session_pk = %s ORDER BY seq"
        with self._connection() as connection:
            return [row[0] for row in connection.execute(query, (session,))]

    def newest(self, session: int, limit: int) -> list[str]:
        """Read all columns of the newest, as every store does."""
        query = "SELECT * FROM messages WHERE session_pk = %s ORDER BY seq DESC LIMIT %s"
        with self._connection() as connection:
            return [row[4] for row in connection.execute(query, (session, limit))][::-1]

    def seek(self, session: int, position: int) -> None:  # noqa: ARG002 - of every session
        """Remember the position."""
        self._position = position

    def page(self, session: int, limit: int) -> list[str]:
        """Read after the position, by the key."""
        query = "SELECT * FROM messages WHERE session_pk = %s AND seq > %s ORDER BY seq LIMIT %s"
        with self._connection() as connection:
            found = connection.execute(query, (session, self._position, limit))
            return [row[4] for row in found]

    def close(self) -> None:
        """Close the connections."""
        while not self._free.empty():
            self._free.get().close()


class AsyncNumbered(Contender):
    """As `Numbered`, over asyncpg.

    Args:
        connections: that tasks share; one at a time has each.
    """

    def __init__(self, place: Place, connections: int = 1) -> None:
        super().__init__(place)
        self._count = connections
        self._statement = append_statement([f"${number}" for number in range(1, 6)])

    async def open(self) -> None:
        """Make the tables. asyncpg's own pool would add a round trip."""
        self._free: asyncio.LifoQueue[Any] = asyncio.LifoQueue()
        first = await asyncpg.connect(self.place.url)
        await first.execute(NUMBERED)
        await self._keep(first)

    async def _keep(self, connection: Any) -> None:
        self._free.put_nowait((connection, await connection.prepare(self._statement)))

    async def gather(self, agents: int) -> None:
        """Connect for each, up to the number that they share."""
        for _ in range(min(agents, self._count) - self._free.qsize()):
            await self._keep(await asyncpg.connect(self.place.url))

    async def part(self) -> None:
        """Keep one connection."""
        while self._free.qsize() > 1:
            connection, _ = self._free.get_nowait()
            await connection.close()

    async def session(self, name: str) -> int:
        """Insert a session; return its key."""
        connection, statement = await self._free.get()
        key = await connection.fetchval(_BEGIN.replace("%s", "$1"), name)
        self._free.put_nowait((connection, statement))
        return int(key)

    async def append(self, session: int, text: str) -> None:
        """Count and insert."""
        connection, statement = await self._free.get()
        try:
            await statement.fetch(*_numbered_row(session, text))
        finally:
            self._free.put_nowait((connection, statement))

    async def read(self, session: int) -> list[str]:
        """Read in their order."""
        connection, statement = await self._free.get()
        query = "SELECT content FROM messages WHERE session_pk = $1 ORDER BY seq"
        found = await connection.fetch(query, session)
        self._free.put_nowait((connection, statement))
        return [row[0] for row in found]

    async def close(self) -> None:
        """Close the connections."""
        while not self._free.empty():
            await self._free.get_nowait()[0].close()


def _row(session: str, text: str) -> tuple[Any, ...]:
    return (str(uuid.uuid4()), session, text, json.dumps(METADATA), time.time())


def _numbered_row(session: int, text: str) -> tuple[Any, ...]:
    return (time.time(), session, str(uuid.uuid4()), text, json.dumps(METADATA))
