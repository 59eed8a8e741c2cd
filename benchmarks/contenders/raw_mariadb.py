"""MariaDB's drivers alone."""

from __future__ import annotations

import importlib
import json
import queue
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from benchmarks.contenders.base import Contender, Place
from benchmarks.messages import METADATA

__all__ = ["Insert", "Numbered"]

_PLAIN = (
    """CREATE TABLE sessions (
    session_id VARCHAR(255) PRIMARY KEY, user_id VARCHAR(255), agent_id VARCHAR(255),
    name VARCHAR(255), state JSON, metadata JSON, created_at DOUBLE, updated_at DOUBLE)""",
    """CREATE TABLE messages (
    id VARCHAR(255) PRIMARY KEY, session_id VARCHAR(255) NOT NULL, role VARCHAR(50) NOT NULL,
    content TEXT, tool_calls JSON, tool_call_id VARCHAR(255), metadata JSON, created_at DOUBLE,
    INDEX (session_id), INDEX (session_id, created_at),
    FOREIGN KEY (session_id) REFERENCES sessions (session_id) ON DELETE CASCADE)""",
)
_NUMBERED = (
    """CREATE TABLE sessions (
    pk BIGINT AUTO_INCREMENT PRIMARY KEY, session_id VARCHAR(191) NOT NULL UNIQUE,
    user_id VARCHAR(191), updated_at DOUBLE, last_seq BIGINT NOT NULL DEFAULT 0)""",
    """CREATE TABLE messages (
    session_pk BIGINT NOT NULL, seq BIGINT NOT NULL, id BINARY(16) NOT NULL,
    role VARCHAR(50) NOT NULL, content LONGTEXT, tool_calls LONGTEXT, tool_call_id VARCHAR(191),
    metadata LONGTEXT, created_at DOUBLE, PRIMARY KEY (session_pk, seq),
    FOREIGN KEY (session_pk) REFERENCES sessions (pk) ON DELETE CASCADE)""",
)
_INSERT = "INSERT INTO messages VALUES (%s, %s, 'user', %s, NULL, NULL, %s, %s)"
_COUNT = (
    "UPDATE sessions SET last_seq = LAST_INSERT_ID(last_seq + 1), updated_at = %s WHERE pk = %s"
)
_ADD = "INSERT INTO messages VALUES (%s, LAST_INSERT_ID(), %s, 'user', %s, NULL, NULL, %s, %s)"


def _connect(place: Place, driver: str) -> Any:
    url = urlsplit(place.url)
    where = {
        "host": url.hostname,
        "port": url.port or 3306,
        "user": url.username,
        "password": url.password or "",
        "database": url.path.lstrip("/"),
        "charset": "utf8mb4",
        "autocommit": True,
    }
    module = importlib.import_module({"mysqlclient": "MySQLdb"}.get(driver, driver))
    return module.connect(**where)


class Insert(Contender):
    """One INSERT a message, into praisonai's tables.

    Args:
        driver: "pymysql" or "mysqlclient".
    """

    def __init__(self, place: Place, driver: str = "pymysql") -> None:
        super().__init__(place)
        self._driver = driver

    def open(self) -> None:
        """Make the tables."""
        self._connection = _connect(self.place, self._driver)
        self._cursor = self._connection.cursor()
        for statement in _PLAIN:
            self._cursor.execute(statement)

    def session(self, name: str) -> str:
        """Insert a session."""
        self._cursor.execute("INSERT INTO sessions (session_id) VALUES (%s)", (name,))
        return name

    def append(self, session: str, text: str) -> None:
        """Insert a message, which commits."""
        self._cursor.execute(_INSERT, _row(session, text))

    def append_many(self, session: str, texts: Sequence[str]) -> None:
        """Insert messages in one transaction."""
        self._connection.begin()
        self._cursor.executemany(_INSERT, [_row(session, text) for text in texts])
        self._connection.commit()

    def read(self, session: str) -> list[str]:
        """Read by time: one connection writes one after the other, microseconds apart."""
        query = "SELECT content FROM messages WHERE session_id = %s ORDER BY created_at"
        self._cursor.execute(query, (session,))
        return [row[0] for row in self._cursor.fetchall()]

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


class Numbered(Contender):
    """A number without gaps in its session, the session's time, and the message, in a transaction.

    Args:
        connections: that agents share; one at a time has each.
        driver: "pymysql" or "mysqlclient".
    """

    def __init__(self, place: Place, connections: int = 1, driver: str = "pymysql") -> None:
        super().__init__(place)
        self._count, self._driver = connections, driver
        self._free: queue.LifoQueue[Any] = queue.LifoQueue()
        self._position = 0

    def open(self) -> None:
        """Make the tables."""
        first = _connect(self.place, self._driver)
        for statement in _NUMBERED:
            first.cursor().execute(statement)
        self._free.put(first)

    def gather(self, agents: int) -> None:
        """Connect for each, up to the number that they share."""
        for _ in range(min(agents, self._count) - self._free.qsize()):
            self._free.put(_connect(self.place, self._driver))

    def part(self) -> None:
        """Keep one connection."""
        while self._free.qsize() > 1:
            self._free.get().close()

    @contextmanager
    def _connection(self) -> Iterator[Any]:
        connection = self._free.get()
        try:
            yield connection
        finally:
            self._free.put(connection)

    def session(self, name: str) -> int:
        """Insert a session; return its key."""
        with self._connection() as connection, connection.cursor() as cursor:
            query = "INSERT INTO sessions (session_id, user_id) VALUES (%s, 'user-1')"
            cursor.execute(query, (name,))
            return int(cursor.lastrowid)

    def append(self, session: int, text: str) -> None:
        """Count and insert."""
        self.append_many(session, [text])

    def append_many(self, session: int, texts: Sequence[str]) -> None:
        """Count and insert each, in one transaction."""
        with self._connection() as connection, connection.cursor() as cursor:
            connection.begin()
            for text in texts:
                now, metadata = time.time(), json.dumps(METADATA)
                cursor.execute(_COUNT, (now, session))
                cursor.execute(_ADD, (session, uuid.uuid4().bytes, text, metadata, now))
            connection.commit()

    def fill(self, session: int, texts: Sequence[str]) -> None:
        """Insert with numbers of its own."""
        with self._connection() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT last_seq FROM sessions WHERE pk = %s", (session,))
            ((last,),) = cursor.fetchall()
            query = "INSERT INTO messages VALUES (%s, %s, %s, 'user', %s, NULL, NULL, %s, %s)"
            metadata, now = json.dumps(METADATA), time.time()
            rows = [
                (session, last + place, uuid.uuid4().bytes, text, metadata, now)
                for place, text in enumerate(texts, 1)
            ]
            connection.begin()
            cursor.executemany(query, rows)
            cursor.execute(
                "UPDATE sessions SET last_seq = %s WHERE pk = %s", (last + len(texts), session)
            )
            connection.commit()

    def read(self, session: int) -> list[str]:
        """Read in their order."""
        query = "SELECT content FROM messages WHERE session_pk = %s ORDER BY seq"
        with self._connection() as connection, connection.cursor() as cursor:
            cursor.execute(query, (session,))
            return [row[0] for row in cursor.fetchall()]

    def newest(self, session: int, limit: int) -> list[str]:
        """Read all columns of the newest, as every store does."""
        query = "SELECT * FROM messages WHERE session_pk = %s ORDER BY seq DESC LIMIT %s"
        return self._decoded(query, session, limit)[::-1]

    def seek(self, session: int, position: int) -> None:  # noqa: ARG002 - of every session
        """Remember the position."""
        self._position = position

    def page(self, session: int, limit: int) -> list[str]:
        """Read after the position, by the key: unforced, MariaDB reads from the beginning."""
        query = (
            "SELECT * FROM messages FORCE INDEX (PRIMARY)"
            " WHERE session_pk = %s AND seq > %s ORDER BY seq LIMIT %s"
        )
        return self._decoded(query, session, self._position, limit)

    def _decoded(self, query: str, *arguments: int) -> list[str]:
        with self._connection() as connection, connection.cursor() as cursor:
            cursor.execute(query, arguments)
            rows = cursor.fetchall()
        found = [(row[4], json.loads(row[7]) if row[7] else None) for row in rows]
        return [text for text, _ in found]

    def close(self) -> None:
        """Close the connections."""
        while not self._free.empty():
            self._free.get().close()


def _row(session: str, text: str) -> tuple[Any, ...]:
    return (str(uuid.uuid4()), session, text, json.dumps(METADATA), time.time())
