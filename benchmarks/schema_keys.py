"""What the keys and indexes of sessions and messages cost, measured on the raw drivers.

Keys cannot change after a release; migrations/NOTES.md holds the figures this printed and the
decision. Each append is one durable transaction: count on the session's row, touch, insert.

    python benchmarks/schema_keys.py            # about ten minutes
    python benchmarks/schema_keys.py --quick    # under two, for trends only

Servers are those of PRAISON_TEST_POSTGRES_URL (default postgresql://postgres@127.0.0.1:5432) and
PRAISON_TEST_MARIADB_URL (default mysql://root@127.0.0.1:3306). A database `praison_schema_keys` is
created and dropped on each; the role must be allowed to, and to CHECKPOINT. Bytes are counted for
the whole server, so nothing else may use it meanwhile. Bytes on SQLite need Linux (/proc/self/io).
"""

from __future__ import annotations

import argparse
import gc
import os
import random
import sqlite3
import statistics
import sys
import tempfile
import time
import uuid
from abc import ABC, abstractmethod
from collections import Counter
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

import psycopg
import pymysql
import sqlalchemy as sa
from psycopg import sql
from pymysql.constants import CLIENT
from sqlalchemy.dialects import mysql, postgresql
from sqlalchemy.dialects.mysql.pymysql import MySQLDialect_pymysql
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.schema import CreateIndex, CreateTable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from sqlalchemy.sql.elements import CompilerElement
    from sqlalchemy.types import TypeEngine

Row = dict[str, Any]
Columns = tuple[str, ...]

SCRATCH: Final = "praison_schema_keys"
LAST: Final = 50  # messages of a resumed session
PAGE: Final = 100  # sessions of a listed page
BATCH: Final = 64  # sessions that append in one commit
USERS: Final = 20
AGENTS: Final = 10
USUAL: Final = 100  # messages of each session but the first, which has half of all
RUN_ID: Final = "0199d2a0-7c00-7000-8000-0123456789ab"
TOUCH_S: Final = 1  # a lazy touch moves updated_at at most so often
NOISY: Final = 0.6  # a round whose baseline is slower than this share of its median is discarded

# What the writer of the product sets, so that the batch statement keeps its nested loops
# (otherwise PostgreSQL scans a small sessions table).
WRITER_SETTINGS: Final = {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_mergejoin": "off",
    "random_page_cost": "1.1",
    "jit": "off",
}


# -- what is compared ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Shape:
    """One physical layout.

    Attributes:
        name: as the tables print it.
        primary, unique: columns of messages; "session" stands for the session's key column.
        integer: messages refer to the session by an integer, not by its text id.
        rowid: on SQLite: an ordinary table; False: WITHOUT ROWID.
        page_size: on SQLite, bytes; SQLite's own default is 4096.
        collation: of id columns; None: the database's default.
        session_indexes: secondary indexes of sessions.
        message_indexes: further, not unique indexes of messages.
        touch: when updated_at moves. "exact": at each append. "case": when it is `TOUCH_S` old, by
            a CASE in the one UPDATE. "read": the same, by a second UPDATE (for SQLite: it rewrites
            the indexes of a column that is named in SET, even if its value stays).
        counted: an append counts and touches; False: a bare INSERT without `seq`.
        fillfactor: of sessions on PostgreSQL.
    """

    name: str
    primary: Columns = ("session", "seq")
    unique: Columns = ()
    integer: bool = False
    rowid: bool = True
    page_size: int = 4096
    collation: str | None = None
    session_indexes: tuple[Columns, ...] = (("user_id", "updated_at", "session_id"),)
    message_indexes: tuple[Columns, ...] = ()
    touch: Literal["exact", "case", "read"] = "case"
    counted: bool = True
    fillfactor: int | None = None

    @property
    def key(self) -> str:
        """The column that refers to the session."""
        return "session_pk" if self.integer else "session_id"


A = Shape("A", unique=("id", "session"))
B = replace(A, name="B", integer=True)
KEYS = (
    A,
    replace(A, name="A2", unique=("session", "id")),
    replace(A, name="A3", unique=("id",)),
    replace(A, name="A0", unique=()),
    B,
    replace(B, name="B0", unique=()),
    replace(A, name="C", primary=("id",), unique=("session", "seq")),
)
# The package that is replaced, its indexes included: a bare INSERT.
OLD = Shape(
    "old, raw INSERT",
    primary=("id",),
    session_indexes=(("user_id",), ("agent_id",)),
    message_indexes=(("session",), ("session", "created_at")),
    counted=False,
)
INDEXES: tuple[tuple[str, tuple[Columns, ...]], ...] = (
    ("none", ()),
    ("user", (("user_id", "updated_at", "session_id"),)),
    (
        "user, updated",
        (("user_id", "updated_at", "session_id"), ("updated_at", "session_id")),
    ),
    (
        "user, updated, agent",
        (
            ("user_id", "updated_at", "session_id"),
            ("updated_at", "session_id"),
            ("agent_id", "updated_at", "session_id"),
        ),
    ),
)


def session_shapes(base: Shape, *lazy: Literal["case", "read"]) -> list[Shape]:
    """`base` under each set of session indexes, touched exactly and in each of the lazy ways."""
    touches: tuple[Literal["exact", "case", "read"], ...] = ("exact", *lazy)
    return [
        replace(base, name=f"{name}; {touch}", session_indexes=columns, touch=touch)
        for touch in touches
        for name, columns in INDEXES
    ]


# -- the data --------------------------------------------------------------------------------------


def uuid7(milliseconds: int, entropy: random.Random) -> str:
    """A UUIDv7 of 36 characters (RFC 9562, section 5.7)."""
    bits = entropy.getrandbits(74)
    value = milliseconds << 80 | 0x7 << 76 | bits >> 62 << 64 | 0b10 << 62 | bits & (1 << 62) - 1
    return str(uuid.UUID(int=value))


class Corpus:
    """The same sessions and messages for every shape.

    Session 0 gets every second message; the others have `USUAL` each and arrive as on a busy
    server, 64 conversations at a time.
    """

    def __init__(
        self, messages: int, sessions: int, content_size: int, run_id: str | None = RUN_ID
    ) -> None:
        self._run_id = run_id
        self._entropy = random.Random(7)
        self._now = time.time()
        self.ids = [
            str(uuid.UUID(int=self._entropy.getrandbits(128), version=4)) for _ in range(sessions)
        ]
        self._contents = [self._text(content_size) for _ in range(256)]
        self.arrivals = [
            (number, seq, uuid7(int(at * 1000), self._entropy), at)
            for number, seq, at in self._arrive(messages)
        ]
        self.counts = Counter(number for number, *_ in self.arrivals)
        rank = [count for number, count in self.counts.most_common(BATCH + 1) if number]
        least = min(LAST, rank[BATCH - 1])
        written = [number for number, count in self.counts.items() if number and count >= least]
        self.active = self._entropy.sample(written, BATCH)

    def _text(self, size: int) -> str:
        words = [
            "".join(self._entropy.choices("abcdefghiklmnoprstuvw", k=6)) for _ in range(size // 7)
        ]
        return " ".join(words)

    def _arrive(self, messages: int) -> Iterator[tuple[int, int, float]]:
        slots, following = list(range(1, BATCH + 1)), BATCH + 1
        seqs: Counter[int] = Counter()
        for position in range(messages):
            number = 0
            if position % 2:
                slot = self._entropy.randrange(BATCH)
                if seqs[slots[slot]] == USUAL:
                    slots[slot], following = following, following + 1
                number = slots[slot]
            seqs[number] += 1
            yield number, seqs[number], self._now - (messages - position) * 10

    def session_rows(self) -> Iterator[Row]:
        """Every session; those after the ones with messages are older and empty."""
        for number, session_id in enumerate(self.ids):
            at = self._now - 3600 - number * 60
            yield {
                "session_pk": number + 1,
                "session_id": session_id,
                "user_id": f"user-{number % USERS:03}",
                "agent_id": f"agent-{number % AGENTS:03}",
                "name": None,
                "state": '{"step": "refund", "cart": [{"sku": "A-1", "qty": 2}]}',
                "metadata": None,
                "created_at": at,
                "updated_at": at,
                "version": 1,
                "last_seq": self.counts[number],
            }

    def message_rows(self) -> Iterator[Row]:
        """Every message in the order of arrival."""
        for number, seq, message_id, at in self.arrivals:
            row = self._row(message_id, at)
            row.update(session_pk=number + 1, session_id=self.ids[number], seq=seq)
            yield row

    def new_message(self) -> Row:
        """A message of now, without its session and its seq."""
        at = time.time()
        return self._row(uuid7(int(at * 1000), self._entropy), at)

    def _row(self, message_id: str, at: float) -> Row:
        return {
            "id": message_id,
            "run_id": self._run_id,
            "role": "assistant",
            "content": self._contents[hash(message_id) & 255],
            "tool_calls": None,
            "tool_call_id": None,
            "metadata": '{"model": "gpt-4o-mini", "tokens": 123}',
            "created_at": at,
        }


# -- tables and statements: Core, compiled once, executed by the raw driver ------------------------


class Tables:
    """The two tables of a shape and what every dialect asks them."""

    def __init__(self, shape: Shape, number: int) -> None:
        self.shape = shape
        self.metadata = sa.MetaData()
        self._id: TypeEngine[str] = sa.String(255, collation=shape.collation)
        if shape.collation == "ascii_bin":
            self._id = mysql.VARCHAR(255, charset="ascii", collation=shape.collation)
        options = {
            "mysql_engine": "InnoDB",
            "mysql_default_charset": "utf8mb4",
            "postgresql_with": {"fillfactor": shape.fillfactor} if shape.fillfactor else {},
        }
        self.sessions = self._sessions(f"s{number}", options)
        self.messages = self._messages(f"m{number}", options)
        for position, columns in enumerate(shape.session_indexes):
            sa.Index(f"ix_s{number}_{position}", *(self.sessions.c[name] for name in columns))
        for position, columns in enumerate(shape.message_indexes):
            names = self._resolve(columns)
            sa.Index(f"ix_m{number}_{position}", *(self.messages.c[name] for name in names))

    def _resolve(self, columns: Columns) -> Columns:
        return tuple(self.shape.key if name == "session" else name for name in columns)

    def _sessions(self, name: str, options: Mapping[str, Any]) -> sa.Table:
        integer = self.shape.integer
        serial = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
        key = [sa.Column("session_pk", serial, primary_key=True)] if integer else []
        return sa.Table(
            name,
            self.metadata,
            *key,
            sa.Column(
                "session_id", self._id, primary_key=not integer, unique=integer, nullable=False
            ),
            sa.Column("user_id", self._id),
            sa.Column("agent_id", self._id),
            sa.Column("name", _long_text()),
            sa.Column("state", _json()),
            sa.Column("metadata", _json()),
            sa.Column("created_at", sa.Double(), nullable=False),
            sa.Column("updated_at", sa.Double(), nullable=False),
            sa.Column("version", sa.BigInteger(), nullable=False, server_default="1"),
            sa.Column("last_seq", sa.BigInteger(), nullable=False, server_default="0"),
            **options,
        )

    def _messages(self, name: str, options: Mapping[str, Any]) -> sa.Table:
        shape, key = self.shape, self.shape.key
        reference = sa.ForeignKey(self.sessions.c[key], ondelete="CASCADE")
        constraints: list[sa.Constraint] = [sa.PrimaryKeyConstraint(*self._resolve(shape.primary))]
        if shape.unique:
            constraints.append(sa.UniqueConstraint(*self._resolve(shape.unique)))
        counted = [sa.Column("seq", sa.BigInteger(), nullable=False, autoincrement=False)]
        new = [sa.Column("run_id", self._id)]
        return sa.Table(
            name,
            self.metadata,
            sa.Column(
                key, sa.BigInteger() if shape.integer else self._id, reference, nullable=False
            ),
            *(counted if shape.counted else ()),
            sa.Column("id", self._id, nullable=False),
            *(new if shape.counted else ()),
            sa.Column("role", sa.String(50), nullable=False),
            sa.Column("content", _long_text()),
            sa.Column("tool_calls", _json()),
            sa.Column("tool_call_id", self._id),
            sa.Column("metadata", _json()),
            sa.Column("created_at", sa.Double(), nullable=False),
            *constraints,
            sqlite_with_rowid=shape.rowid,
            **{name: value for name, value in options.items() if name != "postgresql_with"},
        )

    @property
    def key(self) -> sa.Column[Any]:
        """The key of a session, as messages refer to it."""
        return self.sessions.c[self.shape.key]

    @property
    def columns(self) -> list[str]:
        """The columns of messages."""
        return [column.name for column in self.messages.c]

    @property
    def touched(self) -> sa.ColumnElement[float]:
        """The new updated_at at the time `b_now`."""
        now: sa.ColumnElement[float] = sa.bindparam("b_now", type_=sa.Double())
        if self.shape.touch != "case":
            return now
        old = self.sessions.c.updated_at
        return sa.case((old > now - _literal(TOUCH_S), old), else_=now)

    def count(self, wrap: Callable[[Any], Any] = lambda value: value) -> sa.Update:
        """Allocate one seq, and touch unless that is a second statement."""
        update = sa.update(self.sessions).values(
            last_seq=wrap(self.sessions.c.last_seq + _literal(1))
        )
        return update if self.shape.touch == "read" else update.values(updated_at=self.touched)

    def of_one(self) -> sa.ColumnElement[bool]:
        """The session `b_session`."""
        return self.sessions.c.session_id == sa.bindparam("b_session", type_=sa.Text())

    def of_batch(self) -> sa.ColumnElement[bool]:
        """The sessions `b_0` to `b_63`."""
        names = [sa.bindparam(f"b_{number}", type_=sa.Text()) for number in range(BATCH)]
        return self.sessions.c.session_id.in_(names)

    def last(self) -> sa.Select[Any]:
        """The newest messages of one session."""
        key: Any = sa.bindparam("b_session", type_=sa.Text())
        if self.shape.integer:
            key = sa.select(self.key).where(self.of_one()).scalar_subquery()
        m = self.messages.c
        selected = [m[name] for name in self.columns if name != self.shape.key]
        order = m.seq if self.shape.counted else m.created_at
        query = sa.select(*selected).where(m[self.shape.key] == key)
        return query.order_by(order.desc()).limit(_literal(LAST)).offset(_literal(0))

    def page(self, column: str | None) -> sa.Select[Any]:
        """The newest sessions: of one user, of one agent, or (None) of all."""
        s = self.sessions.c
        query = sa.select(self.sessions).order_by(s.updated_at.desc(), s.session_id.desc())
        if column is not None:
            query = query.where(s[column] == sa.bindparam("b_owner", type_=sa.Text()))
        return query.limit(_literal(PAGE)).offset(_literal(0))


def _literal(number: int) -> sa.ColumnElement[int]:
    # A number in the text: the raw drivers are given only the parameters that are named here.
    return sa.literal_column(str(number), sa.Integer())


def _long_text() -> sa.types.TypeEngine[str]:
    return sa.Text().with_variant(mysql.LONGTEXT(), "mysql")


def _json() -> sa.types.TypeEngine[Any]:
    return (
        sa.Text()
        .with_variant(mysql.LONGTEXT(), "mysql")
        .with_variant(postgresql.JSON(), "postgresql")
    )


# -- contenders ------------------------------------------------------------------------------------


class Contender(ABC):
    """A shape in a database, filled; one connection, single-threaded."""

    dialect: sa.Dialect

    def __init__(self, shape: Shape, number: int, corpus: Corpus) -> None:
        self.name = shape.name
        self.shape = shape
        self.corpus = corpus
        self.tables = Tables(shape, number)
        self._rotation = cycle(corpus.active)
        self._last = self._compile(self.tables.last())
        self._pages = {
            column: self._compile(self.tables.page(column))
            for column in ("user_id", "agent_id", None)
        }
        self._insert = self._compile(sa.insert(self.tables.messages), self.tables.columns)
        self._prepare()
        for table in self.tables.metadata.sorted_tables:
            self._run(self._compile(CreateTable(table)))
            for index in sorted(table.indexes, key=lambda index: str(index.name)):
                self._run(self._compile(CreateIndex(index)))
        self._load(self.tables.sessions, corpus.session_rows())
        self._empty_bytes = self._stored()
        self._load(self.tables.messages, corpus.message_rows())
        self._settle()

    def _compile(self, statement: CompilerElement, names: Sequence[str] = ()) -> str:
        options: Row = {"column_keys": list(names)} if names else {}
        return str(statement.compile(dialect=self.dialect, **options))

    def append(self, number: int | None = None) -> None:
        """Append one message: to the next active session, or to the session `number`."""
        session_id = self.corpus.ids[next(self._rotation) if number is None else number]
        message = self.corpus.new_message()
        if self.shape.counted:
            self._append(session_id, message)
        else:
            self._run(self._insert, {**message, "session_id": session_id})

    def append_batch(self) -> None:
        """Append one message to each active session, all in one transaction."""
        self._append_batch(
            {self.corpus.ids[n]: self.corpus.new_message() for n in self.corpus.active}
        )

    def last(self, number: int | None = None) -> None:
        """Read the newest messages: of the next active session, or of the session `number`."""
        session_id = self.corpus.ids[next(self._rotation) if number is None else number]
        self._expect(LAST, self._run(self._last, {"b_session": session_id}))

    def page(self, column: str | None, owner: str = "") -> None:
        """Read the first page of sessions."""
        self._expect(PAGE, self._run(self._pages[column], {"b_owner": owner} if column else {}))

    def _expect(self, least: int, rows: Sequence[Any]) -> None:
        if len(rows) < least:
            raise RuntimeError(f"{self.name}: {len(rows)} rows instead of {least}")

    def message_bytes(self) -> float:
        """Table and indexes, bytes for each loaded message."""
        return (self._stored() - self._empty_bytes) / len(self.corpus.arrivals)

    @abstractmethod
    def _prepare(self) -> None:
        """Compile what only this dialect needs."""

    @abstractmethod
    def _run(self, statement: str, parameters: Row | None = None) -> Sequence[Any]:
        """Execute in a transaction of its own, return the rows."""

    @abstractmethod
    def _load(self, table: sa.Table, rows: Iterable[Row]) -> None:
        """Insert many rows in the order given."""

    @abstractmethod
    def _settle(self) -> None:
        """Statistics are true and the load is on disk."""

    @abstractmethod
    def _append(self, session_id: str, message: Row) -> None:
        """Count, touch, insert, commit."""

    @abstractmethod
    def _append_batch(self, messages: Mapping[str, Row]) -> None:
        """Append one message to each session of the mapping and commit once."""

    @abstractmethod
    def _stored(self) -> int:
        """Bytes of the messages and their indexes (SQLite: of the file)."""

    @abstractmethod
    def written(self, number: int | None, repeats: int) -> Row:
        """Bytes written for an append to the active sessions or to the session `number`."""


class OnSQLite(Contender):
    """A file of its own in WAL mode; synchronous=FULL: one fdatasync a commit."""

    dialect = SQLiteDialect_pysqlite(paramstyle="named")

    def __init__(self, shape: Shape, number: int, corpus: Corpus, *, folder: Path) -> None:
        path = folder / f"{uuid.uuid4()}.db"
        self._connection = sqlite3.connect(path, isolation_level=None, cached_statements=256)
        for pragma in (
            f"page_size={shape.page_size}",
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            "cache_size=-16384",
        ):
            self._connection.execute("PRAGMA " + pragma)
        super().__init__(shape, number, corpus)

    def _prepare(self) -> None:
        t = self.tables
        if not self.shape.counted:
            return
        c = t.sessions.c
        count = t.count().where(t.of_one()).returning(t.key, c.last_seq, c.updated_at)
        self._count = self._compile(count)
        read = sa.select(c.session_id, t.key, c.last_seq, c.updated_at).where(t.of_batch())
        self._read = self._compile(read)
        key = sa.bindparam("b_key", type_=t.key.type)
        self._store = self._compile(t.count().where(t.key == key))
        touch = sa.update(t.sessions).values(updated_at=t.touched)
        self._touch = self._compile(touch.where(t.key == key))
        self._reads = self.shape.touch == "read"

    def _run(self, statement: str, parameters: Row | None = None) -> Sequence[Any]:
        return self._connection.execute(statement, parameters or {}).fetchall()

    def _load(self, table: sa.Table, rows: Iterable[Row]) -> None:
        statement = self._compile(sa.insert(table), [column.name for column in table.c])
        self._connection.execute("BEGIN")
        self._connection.executemany(statement, rows)
        self._connection.execute("COMMIT")

    def _settle(self) -> None:
        self._connection.execute("ANALYZE")
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _append(self, session_id: str, message: Row) -> None:
        execute = self._connection.execute
        execute("BEGIN IMMEDIATE")
        now = message["created_at"]
        bound = {"b_session": session_id, "b_now": now}
        key, message["seq"], updated_at = execute(self._count, bound).fetchall()[0]
        message[self.shape.key] = key
        execute(self._insert, message)
        if self._reads and updated_at <= now - TOUCH_S:
            execute(self._touch, {"b_key": key, "b_now": now})
        execute("COMMIT")

    def _append_batch(self, messages: Mapping[str, Row]) -> None:
        execute = self._connection.execute
        execute("BEGIN IMMEDIATE")
        names = {f"b_{number}": session_id for number, session_id in enumerate(messages)}
        counters, now = [], time.time()
        for session_id, key, seq, updated_at in execute(self._read, names).fetchall():
            messages[session_id].update({self.shape.key: key, "seq": seq + 1})
            counters.append({"b_key": key, "b_now": now, "old": updated_at})
        self._connection.executemany(self._insert, messages.values())
        self._connection.executemany(self._store, counters)
        if self._reads:
            stale = (counter for counter in counters if counter["old"] <= now - TOUCH_S)
            self._connection.executemany(self._touch, stale)
        execute("COMMIT")

    def _stored(self) -> int:
        (pages,), (size,) = (
            self._connection.execute("PRAGMA " + name).fetchone()
            for name in ("page_count", "page_size")
        )
        return int(pages * size)

    def written(self, number: int | None, repeats: int) -> Row:
        """Count what was handed to write(2), WAL and checkpoints, and what reached the disk."""
        before = _process_io()
        for _ in range(repeats):
            self.append(number)
        after = _process_io()
        return {name: (after[name] - before[name]) / repeats for name in ("wchar", "write_bytes")}


def _process_io() -> dict[str, int]:
    """Counters of this process since its start, bytes (proc(5), /proc/pid/io)."""
    lines = Path("/proc/self/io").read_text(encoding="ascii").splitlines()
    return {name: int(value) for name, value in (line.split(": ") for line in lines)}


class OnPostgres(Contender):
    """An append is one statement and one round trip, server-side prepared."""

    dialect: sa.Dialect = PGDialect_psycopg()  # type: ignore[no-untyped-call]  # SQLAlchemy's

    def __init__(
        self, shape: Shape, number: int, corpus: Corpus, *, connection: psycopg.Connection[Any]
    ) -> None:
        self._connection = connection
        self._cursor = connection.cursor()
        super().__init__(shape, number, corpus)

    def _prepare(self) -> None:
        t, c = self.tables, self.tables.sessions.c
        if not self.shape.counted:
            return
        counted = t.count().where(t.of_one()).returning(t.key, c.last_seq).cte("counted")
        given = {"seq": counted.c.last_seq, self.shape.key: counted.c[self.shape.key]}
        values = [
            given.get(name, sa.bindparam(name, type_=t.messages.c[name].type)) for name in t.columns
        ]
        one = sa.insert(t.messages).from_select(t.columns, sa.select(*values))
        self._one = self._compile(one.returning(t.messages.c.seq))
        self._many = self._compile(self._batch())

    def _batch(self) -> sa.Insert:
        t, c = self.tables, self.tables.sessions.c
        names = [name for name in t.columns if name not in {"seq", self.shape.key}]
        types = {name: postgresql.ARRAY(t.messages.c[name].type) for name in names}
        arrays = [sa.bindparam(f"b_{name}", type_=types[name]) for name in names]
        sessions = sa.bindparam("b_sessions", type_=postgresql.ARRAY(sa.Text()))
        rows = (
            sa.func.unnest(sessions, *arrays)
            .table_valued(
                "sid", *(sa.column(name, t.messages.c[name].type) for name in names), name="d"
            )
            .render_derived()
        )
        wanted = sa.func.unnest(sessions).table_valued("sid", name="w").render_derived()
        count = t.count().where(c.session_id == wanted.c.sid)
        counted = count.returning(t.key, wanted.c.sid, c.last_seq).cte("counted")
        given = {"seq": counted.c.last_seq, self.shape.key: counted.c[self.shape.key]}
        values = [given[name] if name in given else rows.c[name] for name in t.columns]
        joined = sa.select(*values).select_from(rows.join(counted, counted.c.sid == rows.c.sid))
        return sa.insert(t.messages).from_select(t.columns, joined)

    def _run(self, statement: str, parameters: Row | None = None) -> Sequence[Any]:
        cursor = self._cursor.execute(statement.encode(), parameters)
        return cursor.fetchall() if cursor.description else ()

    def _load(self, table: sa.Table, rows: Iterable[Row]) -> None:
        names = [column.name for column in table.c]
        columns = sql.SQL(", ").join(map(sql.Identifier, names))
        statement = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table.name), columns)
        with self._cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row([row[name] for name in names])

    def _settle(self) -> None:
        # Also sets the hint bits, which would otherwise be written by the first reader.
        for table in (self.tables.sessions, self.tables.messages):
            statement = sql.SQL("VACUUM (ANALYZE) {}").format(sql.Identifier(table.name))
            self._cursor.execute(statement)

    def _append(self, session_id: str, message: Row) -> None:
        message.update(b_session=session_id, b_now=message["created_at"])
        self._expect(1, self._cursor.execute(self._one.encode(), message).fetchall())

    def _append_batch(self, messages: Mapping[str, Row]) -> None:
        ordered = sorted(messages)
        names = messages[ordered[0]]
        bound: Row = {f"b_{name}": [messages[key][name] for key in ordered] for name in names}
        bound.update(b_sessions=ordered, b_now=max(bound["b_created_at"]))
        self._cursor.execute(self._many.encode(), bound)
        if self._cursor.rowcount != len(ordered):
            raise RuntimeError(f"{self.name}: {self._cursor.rowcount} rows of {len(ordered)}")

    def _stored(self) -> int:
        name = self.tables.messages.name
        return int(
            self._cursor.execute("SELECT pg_total_relation_size(%s)", (name,)).fetchall()[0][0]
        )

    def _position(self) -> int:
        query = "SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn"
        return int(self._cursor.execute(query).fetchall()[0][0])

    def written(self, number: int | None, repeats: int) -> Row:
        """Count WAL: right after a checkpoint (whole pages are logged), and warm."""
        self._cursor.execute("CHECKPOINT")
        cold = _window(self._position, partial(self.append, number), 200)
        warm = _median_window(self._position, partial(self.append, number), repeats)
        return {"cold": cold, "warm": warm}


class OnMariaDB(Contender):
    """An append is one packet of four statements; seq travels in LAST_INSERT_ID()."""

    dialect = MySQLDialect_pymysql(paramstyle="pyformat")

    def __init__(
        self, shape: Shape, number: int, corpus: Corpus, *, connection: pymysql.Connection[Any]
    ) -> None:
        self._connection = connection
        self._cursor = connection.cursor()
        super().__init__(replace(shape, collation=shape.collation or "utf8mb4_bin"), number, corpus)

    def _prepare(self) -> None:
        t, c = self.tables, self.tables.sessions.c
        if not self.shape.counted:
            return
        count = t.count(sa.func.last_insert_id).where(t.of_one())
        given: dict[str, Any] = (
            {"seq": sa.func.last_insert_id(), "session_pk": c.session_pk}
            if (self.shape.integer)
            else {"seq": sa.func.last_insert_id(), "session_id": sa.bindparam("b_session")}
        )
        values = {name: given.get(name, sa.bindparam(name)) for name in t.columns}
        insert = sa.insert(t.messages).values(values)
        if self.shape.integer:
            found = sa.select(*values.values()).where(t.of_one())
            insert = sa.insert(t.messages).from_select(t.columns, found)
        one = (self._compile(count), self._compile(insert))
        self._one = "; ".join(("BEGIN", *one, "COMMIT"))
        read = sa.select(c.session_id, t.key, c.last_seq).where(t.of_batch()).with_for_update()
        self._read = self._compile(read)
        self._many = self._compile(t.count().where(t.of_batch()))

    def _run(self, statement: str, parameters: Row | None = None) -> Sequence[Any]:
        self._cursor.execute(statement, parameters)
        rows: Sequence[Any] = self._cursor.fetchall()
        return rows

    def _load(self, table: sa.Table, rows: Iterable[Row]) -> None:
        statement = self._compile(sa.insert(table), [column.name for column in table.c])
        self._connection.begin()
        self._cursor.executemany(statement, rows)
        self._connection.commit()

    def _settle(self) -> None:
        for table in (self.tables.sessions, self.tables.messages):
            self._run("ANALYZE TABLE " + table.name)
            # Writes the dirty pages, which else are written while others are measured.
            self._run("FLUSH TABLES " + table.name + " FOR EXPORT")
            self._run("UNLOCK TABLES")

    def _append(self, session_id: str, message: Row) -> None:
        message.update(b_session=session_id, b_now=message["created_at"])
        self._cursor.execute(self._one, message)
        while self._cursor.nextset():
            pass

    def _append_batch(self, messages: Mapping[str, Row]) -> None:
        names: Row = {
            f"b_{number}": session_id for number, session_id in enumerate(sorted(messages))
        }
        self._connection.begin()
        self._cursor.execute(self._read, names)
        for session_id, key, seq in self._cursor.fetchall():
            messages[session_id].update({self.shape.key: key, "seq": seq + 1})
        self._cursor.executemany(self._insert, messages.values())
        self._cursor.execute(self._many, {**names, "b_now": time.time()})
        self._connection.commit()

    def _stored(self) -> int:
        name = self.tables.messages.name
        self._run("ANALYZE TABLE " + name)
        query = (
            "SELECT data_length + index_length FROM information_schema.tables "
            "WHERE table_schema = %(schema)s AND table_name = %(name)s"
        )
        return int(self._run(query, {"schema": SCRATCH, "name": name})[0][0])

    def _position(self) -> int:
        return int(self._run("SHOW GLOBAL STATUS LIKE 'Innodb_os_log_written'")[0][1])

    def written(self, number: int | None, repeats: int) -> Row:
        """Count the redo log; data pages and their double write are not in it."""
        return {"warm": _median_window(self._position, partial(self.append, number), repeats)}


def _window(position: Callable[[], int], operation: Callable[[], None], repeats: int) -> float:
    before = position()
    for _ in range(repeats):
        operation()
    return (position() - before) / repeats


def _median_window(
    position: Callable[[], int], operation: Callable[[], None], repeats: int
) -> float:
    """Bytes of one operation; the median of windows, since others may use the server too."""
    windows = (_window(position, operation, 128) for _ in range(repeats // 256 + 1))
    return statistics.median(windows)


# -- measuring -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Timing:
    """`ratio` is speed against the first contender: more is faster."""

    p50_us: float
    per_s: float
    ratio: float


def race(
    contenders: Sequence[Contender],
    operation: Callable[[Contender], None],
    *,
    rounds: int,
    turns: int,
    repeats: int,
) -> dict[str, Timing]:
    """Time short slices of `repeats` operations, all contenders in each turn, in rotated order.

    The ratio is taken within a round of `turns` turns, so that drift of the machine cancels; the
    median of the rounds is returned. Rounds disturbed by others are left out.
    """
    samples: dict[str, list[list[int]]] = {c.name: [[] for _ in range(rounds)] for c in contenders}
    for contender in contenders:
        for _ in range(repeats):
            operation(contender)
    gc.collect()
    gc.disable()
    for turn in range(rounds * turns):
        shift = turn % len(contenders)
        order = [*contenders[shift:], *contenders[:shift]]
        for contender in order if turn // len(contenders) % 2 else reversed(order):
            slice_ = samples[contender.name][turn // turns]
            for _ in range(repeats):
                start = time.perf_counter_ns()
                operation(contender)
                slice_.append(time.perf_counter_ns() - start)
    gc.enable()
    base = [sum(slice_) for slice_ in samples[contenders[0].name]]
    quiet = [n for n, total in enumerate(base) if total <= statistics.median(base) / NOISY]
    return {
        name: Timing(
            p50_us=statistics.median(ns for n in quiet for ns in slices[n]) / 1000,
            per_s=1e9 * len(quiet) * turns * repeats / sum(sum(slices[n]) for n in quiet),
            ratio=statistics.median(base[n] / sum(slices[n]) for n in quiet),
        )
        for name, slices in samples.items()
    }


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is loaded and how long it is measured."""

    messages: int
    sessions: int
    rounds: int
    appends: int  # for a count of bytes; 1500 see several checkpoints of SQLite
    studies: bool  # also page sizes and long messages on SQLite


FULL = Effort(messages=200_000, sessions=10_000, rounds=9, appends=1500, studies=True)
QUICK = Effort(messages=20_000, sessions=2_000, rounds=2, appends=300, studies=False)


class Fill(Protocol):
    """Make a shape's tables in a database and fill them."""

    def __call__(self, shape: Shape, number: int, corpus: Corpus) -> Contender:
        """Return the contender for `shape`; `number` tells its tables apart."""
        ...


def compare_keys(
    title: str, fill: Fill, shapes: Sequence[Shape], corpus: Corpus, effort: Effort
) -> None:
    """Print what each layout of messages costs."""
    rounds = effort.rounds
    contenders = [fill(shape, number, corpus) for number, shape in enumerate(shapes)]
    sizes = {c.name: c.message_bytes() for c in contenders}
    counted = [c for c in contenders if c.shape.counted]
    written = {
        c.name: (c.written(1, effort.appends), c.written(None, effort.appends)) for c in contenders
    }
    single = race(contenders, Contender.append, rounds=rounds, turns=8, repeats=32)
    batch = race(counted, Contender.append_batch, rounds=rounds, turns=6, repeats=2)
    long = race(counted, partial(_last, number=0), rounds=rounds, turns=4, repeats=24)
    usual = race(counted, Contender.last, rounds=rounds, turns=4, repeats=24)
    page = race(counted, partial(_page, "user_id", "user-003"), rounds=rounds, turns=4, repeats=8)
    rows = []
    for c in contenders:
        n = c.name
        row: Row = {"keys": n, **_append_cells(single[n]), **_byte_cells(*written[n])}
        if n in batch:
            row |= {
                "batch us/row": f"{batch[n].p50_us / BATCH:.1f} ({batch[n].ratio:.2f})",
                "last 50 of a long session us": f"{long[n].p50_us:.0f} ({long[n].ratio:.2f})",
                "last 50 of a usual one us": f"{usual[n].p50_us:.0f} ({usual[n].ratio:.2f})",
                "page of 100 us": f"{page[n].p50_us:.0f}",
            }
        rows.append(row | {"B stored/message": f"{sizes[n]:.0f}"})
    _print_table(title, rows)


def compare_with_goals(title: str, fill: Fill, shapes: Sequence[Shape], effort: Effort) -> None:
    """Print bytes and speed as the goals of single appends were taken: against the raw INSERT.

    That is: new tables, one session, messages of 300 B without a run.
    """
    corpus = Corpus(1000, 1000, 300, run_id=None)
    contenders = [fill(shape, 200 + number, corpus) for number, shape in enumerate(shapes)]
    written = {c.name: c.written(1, effort.appends) for c in contenders}
    single = race(contenders, _append_to_first, rounds=effort.rounds, turns=8, repeats=32)
    rows = [
        {"keys": c.name, **_append_cells(single[c.name])}
        | {BYTE_TITLES[name]: f"{value:.0f}" for name, value in written[c.name].items()}
        for c in contenders
    ]
    _print_table(title, rows)


def compare_session_indexes(
    title: str, fill: Fill, shapes: Sequence[Shape], corpus: Corpus, effort: Effort
) -> None:
    """Print what each index of sessions costs an append, and what it saves a list."""
    rounds = effort.rounds
    contenders = [fill(shape, 100 + number, corpus) for number, shape in enumerate(shapes)]
    written = {
        c.name: (c.written(1, effort.appends), c.written(None, effort.appends)) for c in contenders
    }
    single = race(contenders, Contender.append, rounds=rounds, turns=8, repeats=32)
    pages = {
        title: race(contenders, partial(_page, column, owner), rounds=3, turns=2, repeats=4)
        for title, column, owner in (
            ("of a user", "user_id", "user-003"),
            ("of all", None, ""),
            ("of an agent", "agent_id", "agent-003"),
        )
    }
    rows = [
        {
            "session indexes; touch": c.name,
            **_append_cells(single[c.name]),
            **_byte_cells(*written[c.name]),
        }
        | {f"page {name} us": f"{timing[c.name].p50_us:.0f}" for name, timing in pages.items()}
        for c in contenders
    ]
    _print_table(title, rows)


def _append_to_first(contender: Contender) -> None:
    contender.append(1)


def _last(contender: Contender, number: int) -> None:
    contender.last(number)


def _page(column: str | None, owner: str, contender: Contender) -> None:
    contender.page(column, owner)


def _append_cells(timing: Timing) -> Row:
    return {
        "append p50 us": f"{timing.p50_us:.0f}",
        "append/s": f"{timing.per_s:.0f}",
        "ratio": f"{timing.ratio:.2f}",
    }


BYTE_TITLES: Final = {
    "wchar": "B written/append",
    "write_bytes": "B to disk/append",
    "warm": "B log/append",
    "cold": "B log/append after a checkpoint",
}


def _byte_cells(one: Row, active: Row) -> Row:
    """Bytes in one session / round 64 sessions."""
    return {BYTE_TITLES[name]: f"{one[name]:.0f} / {active[name]:.0f}" for name in one}


def _print_table(title: str, rows: Sequence[Row]) -> None:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    print(f"\n### {title}\n")
    print("|", " | ".join(columns), "|")
    print("|", " | ".join("---" for _ in columns), "|")
    for row in rows:
        print("|", " | ".join(str(row.get(name, "")) for name in columns), "|", flush=True)


# -- databases -------------------------------------------------------------------------------------


def on_sqlite(folder: Path, effort: Effort) -> None:
    """Compare on SQLite; also with long messages, which a WITHOUT ROWID table spills."""
    fill: Fill = partial(OnSQLite, folder=folder)
    version = f"SQLite {sqlite3.sqlite_version}"
    both = {"A", "A0", "B", "B0"}
    shapes = [
        variant
        for shape in (replace(shape, touch="read") for shape in KEYS)
        for variant in (shape, replace(shape, name=f"{shape.name} WITHOUT ROWID", rowid=False))
        if variant.rowid or shape.name in both
    ]
    corpus = Corpus(effort.messages, effort.sessions, 400)
    compare_keys(f"{version}: keys", fill, [*shapes, OLD], corpus, effort)
    compare_with_goals(f"{version}: against the raw INSERT", fill, [OLD, *shapes], effort)
    if effort.studies:
        fewer = replace(effort, messages=effort.messages // 4, rounds=effort.rounds // 3)
        _study_pages(fill, version, shapes, fewer)
    corpus = Corpus(effort.messages // 10, effort.sessions, 400)
    shapes = session_shapes(A, "case", "read")
    compare_session_indexes(f"{version}: indexes of sessions", fill, shapes, corpus, effort)


def _study_pages(fill: Fill, version: str, shapes: Sequence[Shape], effort: Effort) -> None:
    """Compare sizes of pages, and messages that fill one."""
    sized = [
        replace(shape, name=f"{shape.name}, pages of {size} B", page_size=size)
        for shape in shapes
        if shape.name in {"A", "A0"}
        for size in (4096, 2048, 1024)
    ]
    compare_with_goals(
        f"{version}: page sizes, against the raw INSERT", fill, [OLD, *sized], effort
    )
    for size in (400, 3000):
        corpus = Corpus(effort.messages, effort.sessions, size)
        title = f"{version}: page sizes, messages of {size} B"
        compare_keys(title, fill, [*sized, OLD], corpus, effort)
    some = {"A", "A WITHOUT ROWID", "A0", "B", "B0"}
    whole = [shape for shape in shapes if shape.name in some]
    for size in (1200, 3000):
        corpus = Corpus(effort.messages, effort.sessions, size)
        compare_keys(f"{version}: messages of {size} B", fill, [*whole, OLD], corpus, effort)


def on_postgres(url: sa.URL, effort: Effort) -> None:
    """Compare on PostgreSQL; also collations of the ids."""
    name = sql.Identifier(SCRATCH)
    with (
        closing(_postgres(url, url.database or "postgres")) as admin,
        _scratch(
            partial(admin.execute, sql.SQL("CREATE DATABASE {}").format(name)),
            partial(admin.execute, sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name)),
        ),
        closing(_postgres(url, SCRATCH)) as connection,
    ):
        connection.prepare_threshold = 0
        for key, value in WRITER_SETTINGS.items():
            connection.execute("SELECT set_config(%s, %s, false)", (key, value))
        default = connection.execute(
            "SELECT datcollate FROM pg_database WHERE datname = %s", (SCRATCH,)
        )
        major, minor = divmod(connection.info.server_version, 10_000)
        version = f"PostgreSQL {major}.{minor}"
        fill: Fill = partial(OnPostgres, connection=connection)
        shapes = [
            *KEYS,
            replace(A, name='A COLLATE "C"', collation="C"),
            replace(A, name="A COLLATE en-x-icu", collation="en-x-icu"),
            replace(OLD, message_indexes=(("session",), ("created_at",))),
        ]
        title = f"{version} (default collation {default.fetchall()[0][0]}): keys"
        corpus = Corpus(effort.messages, effort.sessions, 400)
        compare_keys(title, fill, shapes, corpus, effort)
        goal = f"{version}: against the raw INSERT"
        compare_with_goals(goal, fill, [shapes[-1], *shapes[:-1]], effort)
        corpus = Corpus(effort.messages // 10, effort.sessions, 400)
        base = replace(A, collation="C")
        both = INDEXES[2][1]
        shapes = [
            *session_shapes(base, "case"),
            replace(
                base, name="user, updated; case; fillfactor 70", session_indexes=both, fillfactor=70
            ),
        ]
        compare_session_indexes(f"{version}: indexes of sessions", fill, shapes, corpus, effort)


def on_mariadb(url: sa.URL, effort: Effort) -> None:
    """Compare on MariaDB; also ids of one byte a character."""
    with (
        closing(_mariadb(url, None)) as admin,
        _scratch(
            partial(admin.cursor().execute, "CREATE DATABASE " + SCRATCH),
            partial(admin.cursor().execute, "DROP DATABASE IF EXISTS " + SCRATCH),
        ),
        closing(_mariadb(url, SCRATCH)) as connection,
    ):
        with connection.cursor() as cursor:
            cursor.execute("SELECT substring_index(version(), '-', 1)")
            version = f"MariaDB {cursor.fetchall()[0][0]}"
        fill: Fill = partial(OnMariaDB, connection=connection)
        shapes = [*KEYS, replace(A, name="A ascii_bin", collation="ascii_bin"), OLD]
        corpus = Corpus(effort.messages, effort.sessions, 400)
        compare_keys(f"{version}: keys", fill, shapes, corpus, effort)
        goal = f"{version}: against the raw INSERT"
        compare_with_goals(goal, fill, [shapes[-1], *shapes[:-1]], effort)
        corpus = Corpus(effort.messages // 10, effort.sessions, 400)
        shapes = session_shapes(A, "case")
        compare_session_indexes(f"{version}: indexes of sessions", fill, shapes, corpus, effort)


@contextmanager
def _scratch(create: Callable[[], object], drop: Callable[[], object]) -> Iterator[None]:
    drop()
    create()
    try:
        yield
    finally:
        drop()


def _postgres(url: sa.URL, database: str) -> psycopg.Connection[Any]:
    return psycopg.connect(
        host=url.host,
        port=url.port or 5432,
        user=url.username,
        password=url.password,
        dbname=database,
        autocommit=True,
    )


def _mariadb(url: sa.URL, database: str | None) -> pymysql.Connection[Any]:
    return pymysql.connect(
        host=url.host or "127.0.0.1",
        port=url.port or 3306,
        user=url.username,
        password=url.password or "",
        database=database,
        charset="utf8mb4",
        autocommit=True,
        client_flag=CLIENT.MULTI_STATEMENTS,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what was asked for; tables go to standard output as Markdown."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    environ = os.environ.get
    parser.add_argument("--quick", action="store_true", help="little data, few rounds: trends only")
    parser.add_argument("--only", choices=("sqlite", "postgresql", "mariadb"), action="append")
    parser.add_argument(
        "--postgres-url",
        type=sa.make_url,
        default=environ("PRAISON_TEST_POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432"),
    )
    parser.add_argument(
        "--mariadb-url",
        type=sa.make_url,
        default=environ("PRAISON_TEST_MARIADB_URL", "mysql://root@127.0.0.1:3306"),
    )
    parser.add_argument(
        "--folder",
        type=Path,
        help="where SQLite's files go: a real disk, or fsync costs nothing (default: TMPDIR)",
    )
    options = parser.parse_args(arguments)
    effort = QUICK if options.quick else FULL
    only = options.only or ("sqlite", "postgresql", "mariadb")
    started = time.monotonic()
    if "sqlite" in only:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            on_sqlite(Path(folder), effort)
    if "postgresql" in only:
        on_postgres(options.postgres_url, effort)
    if "mariadb" in only:
        on_mariadb(options.mariadb_url, effort)
    print(f"\n{time.monotonic() - started:.0f} s", file=sys.stderr)
    return 0


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        sys.exit(main())
