"""Python's sqlite3 alone, in WAL mode with synchronous=FULL: each append is one fdatasync."""

from __future__ import annotations

import json
import queue
import sqlite3
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from benchmarks.contenders.base import Contender, Place
from benchmarks.messages import METADATA

__all__ = ["Insert", "Numbered"]

_COLUMNS = "id, session_id, role, content, tool_calls, tool_call_id, metadata, created_at"
_INSERT = f"INSERT INTO messages ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_PLAIN = """
CREATE TABLE sessions (
    session_id TEXT PRIMARY KEY, user_id TEXT, agent_id TEXT, name TEXT, state TEXT,
    metadata TEXT, created_at REAL, updated_at REAL);
CREATE TABLE messages (
    id TEXT PRIMARY KEY, session_id TEXT NOT NULL REFERENCES sessions ON DELETE CASCADE,
    role TEXT NOT NULL, content TEXT, tool_calls TEXT, tool_call_id TEXT, metadata TEXT,
    created_at REAL);
CREATE INDEX messages_session ON messages (session_id);
CREATE INDEX messages_created ON messages (session_id, created_at);
"""
_NUMBERED = """
CREATE TABLE sessions (
    pk INTEGER PRIMARY KEY, session_id TEXT NOT NULL UNIQUE, user_id TEXT, updated_at REAL,
    last_seq INTEGER NOT NULL DEFAULT 0);
CREATE INDEX sessions_user ON sessions (user_id, updated_at);
CREATE TABLE messages (
    session_pk INTEGER NOT NULL REFERENCES sessions ON DELETE CASCADE, seq INTEGER NOT NULL,
    id TEXT NOT NULL, role TEXT NOT NULL, content TEXT, tool_calls TEXT, tool_call_id TEXT,
    metadata TEXT, created_at REAL, UNIQUE (session_pk, seq));
"""
_COUNT = (
    "UPDATE sessions SET last_seq = last_seq + 1, updated_at = ? WHERE pk = ? RETURNING last_seq"
)
_ADD = "INSERT INTO messages VALUES (?, ?, ?, 'user', ?, NULL, NULL, ?, ?)"


def _connect(place: Place) -> sqlite3.Connection:
    connection = sqlite3.connect(
        place.path, isolation_level=None, check_same_thread=False, timeout=60
    )
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


class Insert(Contender):
    """One INSERT a message, into praisonai's tables."""

    def open(self) -> None:
        """Make the tables."""
        self._connection = _connect(self.place)
        self._connection.executescript(_PLAIN)

    def session(self, name: str) -> str:
        """Insert a session."""
        self._connection.execute("INSERT INTO sessions (session_id) VALUES (?)", (name,))
        return name

    def append(self, session: str, text: str) -> None:
        """Insert a message, which commits."""
        self._connection.execute(_INSERT, _row(session, text))

    def append_many(self, session: str, texts: Sequence[str]) -> None:
        """Insert messages in one transaction."""
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.executemany(_INSERT, [_row(session, text) for text in texts])
        self._connection.execute("COMMIT")

    def read(self, session: str) -> list[str]:
        """Read in the order of insertion."""
        return _first(
            self._connection.execute(
                "SELECT content FROM messages WHERE session_id = ? ORDER BY rowid", (session,)
            )
        )

    def durability(self) -> dict[str, Any]:
        """Ask the connection."""
        return _settings(self._connection)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


class Numbered(Contender):
    """A number without gaps in its session, the session's time, and the message, in a transaction.

    Args:
        connections: that agents share; one at a time has each.
    """

    def __init__(self, place: Place, connections: int = 1) -> None:
        super().__init__(place)
        self._count = connections
        self._free: queue.LifoQueue[sqlite3.Connection] = queue.LifoQueue()
        self._position = 0

    def open(self) -> None:
        """Make the tables."""
        first = _connect(self.place)
        first.executescript(_NUMBERED)
        self._free.put(first)

    def gather(self, agents: int) -> None:
        """Connect for each, up to the number that they share."""
        for _ in range(min(agents, self._count) - self._free.qsize()):
            self._free.put(_connect(self.place))

    def part(self) -> None:
        """Keep one connection."""
        while self._free.qsize() > 1:
            self._free.get().close()

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        connection = self._free.get()
        try:
            yield connection
        finally:
            self._free.put(connection)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    def session(self, name: str) -> int:
        """Insert a session; return its key."""
        with self._connection() as connection:
            made = connection.execute(
                "INSERT INTO sessions (session_id, user_id) VALUES (?, 'user-1')", (name,)
            )
        assert made.lastrowid is not None
        return made.lastrowid

    def append(self, session: int, text: str) -> None:
        """Count and insert."""
        self.append_many(session, [text])

    def append_many(self, session: int, texts: Sequence[str]) -> None:
        """Count and insert each, in one transaction."""
        with self._transaction() as connection:
            for text in texts:
                now = time.time()
                ((seq,),) = connection.execute(_COUNT, (now, session)).fetchall()
                row = (session, seq, uuid.uuid4().hex, text, json.dumps(METADATA), now)
                connection.execute(_ADD, row)

    def read(self, session: int) -> list[str]:
        """Read in their order."""
        query = "SELECT content FROM messages WHERE session_pk = ? ORDER BY seq"
        with self._connection() as connection:
            return _first(connection.execute(query, (session,)))

    def newest(self, session: int, limit: int) -> list[str]:
        """Read all columns of the newest, as every store does."""
        query = "SELECT * FROM messages WHERE session_pk = ? ORDER BY seq DESC LIMIT ?"
        with self._connection() as connection:
            return _decoded(connection.execute(query, (session, limit)))[::-1]

    def seek(self, session: int, position: int) -> None:  # noqa: ARG002 - of every session
        """Remember the position."""
        self._position = position

    def page(self, session: int, limit: int) -> list[str]:
        """Read after the position, by the key."""
        query = "SELECT * FROM messages WHERE session_pk = ? AND seq > ? ORDER BY seq LIMIT ?"
        with self._connection() as connection:
            return _decoded(connection.execute(query, (session, self._position, limit)))

    def durability(self) -> dict[str, Any]:
        """Ask a connection."""
        with self._connection() as connection:
            return _settings(connection)

    def close(self) -> None:
        """Close the connections."""
        while not self._free.empty():
            self._free.get().close()


def _row(session: str, text: str) -> tuple[Any, ...]:
    metadata = json.dumps(METADATA)
    return (str(uuid.uuid4()), session, "user", text, None, None, metadata, time.time())


def _first(rows: sqlite3.Cursor) -> list[str]:
    return [row[0] for row in rows]


def _decoded(rows: sqlite3.Cursor) -> list[str]:
    """Decode as a store has to."""
    found = [(row[4], json.loads(row[7]) if row[7] else None) for row in rows.fetchall()]
    return [text for text, _ in found]


def _settings(connection: sqlite3.Connection) -> dict[str, Any]:
    return {
        name: connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("journal_mode", "synchronous")
    }
