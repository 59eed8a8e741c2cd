# /// script
# requires-python = ">=3.11"
# dependencies = [
#   "aiomysql>=0.3",
#   "aiosqlite>=0.22",
#   "asyncpg>=0.31",
#   "mysql-connector-python>=9",
#   "psycopg2-binary>=2.9",
#   "psycopg[binary]>=3.2",
#   "pymysql>=1.1",
# ]
# ///
"""Write the adoption assets: databases filled by the conversation stores of the real `praisonai`.

Run by hand, once for each release in `RELEASES`; a run makes the assets of the release that is
installed and leaves the others as they are::

    uv run --with praisonai==4.7.19 make_assets.py
    uv run --with praisonai==4.6.34 make_assets.py

(or `python make_assets.py` where `praisonai` and the packages named above are installed; names
of assets as arguments restrict the run). It needs `pg_dump` and `mariadb-dump` on the PATH and
two servers on which it may create and drop databases called `legacy_*`:

* PRAISON_TEST_POSTGRES_URL, default postgresql://postgres@127.0.0.1:5432
* PRAISON_TEST_MARIADB_URL, default mysql://root@127.0.0.1:3306

Every id and every timestamp is fixed, so that a second run changes no byte of a dump. Each asset
is loaded again into an empty database and compared before its expectation is written.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self
from urllib.parse import unquote, urlsplit

import psycopg
import pymysql
import pymysql.cursors
from psycopg import sql
from psycopg.rows import dict_row

_log = logging.getLogger(__name__)

FOLDER = Path(__file__).parent
CURRENT = "4.7.19"
BEFORE_1597 = "4.6.34"  # the last release whose async stores made tables without `state`
RELEASES = (CURRENT, BEFORE_1597)

STORES = {
    "sqlite": "SQLiteConversationStore",
    "sync_sqlite": "SyncSQLiteConversationStore",
    "async_sqlite": "AsyncSQLiteConversationStore",
    "postgres": "PostgresConversationStore",
    "async_postgres": "AsyncPostgresConversationStore",
    "mysql": "MySQLConversationStore",
    "async_mysql": "AsyncMySQLConversationStore",
}

Row = dict[str, Any]
Call = Callable[..., Any]

SESSION_FIELDS = (
    "session_id",
    "user_id",
    "agent_id",
    "name",
    "state",
    "metadata",
    "created_at",
    "updated_at",
)
MESSAGE_FIELDS = (
    "id",
    "session_id",
    "role",
    "content",
    "tool_calls",
    "tool_call_id",
    "metadata",
    "created_at",
)
NEW_YEAR = 1_767_225_600.0  # 2026-01-01T00:00:00Z, seconds since the epoch
JSON_FIELDS = frozenset({"state", "metadata", "tool_calls"})


@dataclass(frozen=True, slots=True)
class Dataset:
    """What is written, in the order in which the store is called.

    `deleted` names sessions that are deleted through the store after everything was written.
    """

    sessions: list[Row]
    messages: list[Row]
    deleted: list[str] = field(default_factory=list)


def _session(**values: Any) -> Row:
    return {**dict.fromkeys(SESSION_FIELDS), **values}


def _message(**values: Any) -> Row:
    return {**dict.fromkeys(MESSAGE_FIELDS), **values}


def standard(long_content: int = 0) -> Dataset:
    """The five sessions of `dataset.json`; `long_content` adds a message of that many bytes."""
    rows = json.loads((FOLDER / "dataset.json").read_text("utf-8"))
    sessions = [_session(**row) for row in rows["sessions"]]
    messages = [_message(**row) for row in rows["messages"]]
    if long_content:
        line = "The quick brown fox jumps over the lazy dog.\n"
        lines = (f"{number:05d} {line}" for number in range(long_content // len(line) + 1))
        messages.append(
            _message(
                id="long",
                session_id=sessions[0]["session_id"],
                role="assistant",
                content="".join(lines)[:long_content],
                created_at=messages[0]["created_at"] + 3600,
            )
        )
    return Dataset(sessions, messages)


def latin1() -> Dataset:
    """The part of the standard data set that a MariaDB `latin1` (cp1252) column can hold."""

    def fits(row: Row) -> bool:
        texts = (value for name, value in row.items() if name not in JSON_FIELDS)
        try:
            "".join(text for text in texts if isinstance(text, str)).encode("cp1252")
        except UnicodeEncodeError:
            return False
        return True

    whole = standard()
    return Dataset(list(filter(fits, whole.sessions)), list(filter(fits, whole.messages)))


def spellings() -> Dataset:
    """One session whose messages name it as only a case-insensitive collation accepts."""
    return Dataset(
        [
            _session(session_id=name, user_id=user, created_at=NEW_YEAR, updated_at=NEW_YEAR + at)
            for at, (name, user) in enumerate([("alice", "Alice"), ("bob", "alice")])
        ],
        [
            _message(
                id=f"spelling-{at}",
                session_id=name,
                role="user",
                content=f"sent to {name!r}",
                created_at=NEW_YEAR + at,
            )
            for at, name in enumerate(["alice", "Alice", "ALICE", "alice ", "alicé"])
        ],
    )


def orphans() -> Dataset:
    """The standard data set and a session deleted while SQLite did not enforce foreign keys."""
    whole = standard()
    deleted = "deleted-session"
    session = _session(session_id=deleted, created_at=NEW_YEAR, updated_at=NEW_YEAR)
    left_behind = [
        _message(
            id=f"orphan-{at}",
            session_id=deleted,
            role="user",
            content=f"left behind {at}",
            created_at=NEW_YEAR + at,
        )
        for at in range(3)
    ]
    return Dataset([*whole.sessions, session], [*whole.messages, *left_behind], deleted=[deleted])


@dataclass(frozen=True, slots=True)
class Asset:
    """One file, and how it comes about.

    `prefix` is what the tables are expected to be called; the store is told so only when
    `options` says it, so that the default of the release is used and seen. `charset` is the
    default character set of the MariaDB database in which the store makes its tables.
    """

    store: str
    release: str
    variant: str = ""
    prefix: str = "praison_"
    options: Row = field(default_factory=dict)
    data: Callable[[], Dataset] = standard
    charset: str = "utf8mb4"

    @property
    def name(self) -> str:
        """The name of the file, without what follows the dot."""
        return "-".join(part for part in (self.store, self.release, self.variant) if part)

    @property
    def engine(self) -> str:
        """The database management system the store writes to."""
        return _ENGINES[self.store.removeprefix("async_").removeprefix("sync_")]

    @property
    def file(self) -> str:
        """The name of the file: a SQLite database, or a dump in SQL."""
        return f"{self.name}.{'db' if self.engine == 'sqlite' else 'sql'}"


_ENGINES = {"sqlite": "sqlite", "postgres": "postgresql", "mysql": "mariadb"}
_OLD_PREFIX: Row = {"table_prefix": "praisonai_"}

# TEXT of MariaDB ends at 65,535 bytes ("TEXT", MariaDB Knowledge Base); the stores made no larger
# column, and a longer message was refused.
ASSETS = (
    Asset("sqlite", CURRENT, data=lambda: standard(100_000)),
    Asset("sync_sqlite", CURRENT),
    Asset("async_sqlite", CURRENT),
    Asset("sqlite", CURRENT, "praisonai", prefix="praisonai_", options=_OLD_PREFIX),
    Asset("postgres", CURRENT, data=lambda: standard(100_000)),
    Asset("async_postgres", CURRENT),
    Asset("postgres", CURRENT, "praisonai", prefix="praisonai_", options=_OLD_PREFIX),
    Asset("mysql", CURRENT, data=lambda: standard(65_535)),
    Asset("mysql", CURRENT, "spellings", data=spellings),
    Asset("async_mysql", CURRENT),
    Asset("async_mysql", CURRENT, "latin1", data=latin1, charset="latin1"),
    Asset("async_sqlite", BEFORE_1597, prefix="praisonai_"),
    Asset("async_sqlite", BEFORE_1597, "orphans", prefix="praisonai_", data=orphans),
    Asset("async_postgres", BEFORE_1597, prefix="praisonai_"),
    Asset("async_mysql", BEFORE_1597, prefix="praisonai_"),
    Asset("postgres", BEFORE_1597),
)


def statements(dump: str) -> list[str]:
    """Split the text of an asset; no value in it has a semicolon at the end of a line."""
    return [statement for statement in dump.split(";\n") if statement.strip()]


def _plain(dump: str) -> str:
    """Keep what defines and fills the tables; drop settings, comments and client commands."""
    kept = []
    for statement in statements(dump):
        lines = statement.split("\n")
        while lines and (not lines[0] or lines[0].startswith(("--", "\\"))):
            del lines[0]
        text = "\n".join(lines)
        if text.startswith(("CREATE TABLE", "CREATE INDEX", "ALTER TABLE", "INSERT INTO")):
            kept.append(text)
    return "".join(f"{statement};\n" for statement in kept)


class SQLiteDatabase:
    """A file in a temporary directory; `options` tells a store where it is."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.options: Row = {"path": str(path)}

    @classmethod
    @contextmanager
    def scratch(cls, asset: Asset) -> Iterator[Self]:
        """Yield an empty database and remove it afterwards."""
        with TemporaryDirectory() as directory:
            yield cls(Path(directory, asset.file))

    def load(self, path: Path) -> None:
        """Copy the asset, which is a database already."""
        shutil.copyfile(path, self._path)

    def rows(self, table: str) -> list[Row]:
        """Return every row, by column name."""
        with closing(sqlite3.connect(self._path)) as connection:
            connection.row_factory = sqlite3.Row
            cursor = connection.execute(f"SELECT * FROM {table}")
            return [dict(row) for row in cursor]

    def save(self, path: Path) -> None:
        """Copy the database as the store left it."""
        shutil.copyfile(self._path, path)


@dataclass(frozen=True, slots=True)
class Server:
    """Where a server listens, and as whom to log in."""

    host: str
    port: int
    user: str
    password: str

    @classmethod
    def from_environment(cls, variable: str, default: str) -> Self:
        """Read a URL; its database and its driver are of no interest here."""
        url = urlsplit(os.environ.get(variable, default))
        standard_port = urlsplit(default).port or 0
        return cls(
            host=url.hostname or "127.0.0.1",
            port=url.port or standard_port,
            user=unquote(url.username or ""),
            password=unquote(url.password or ""),
        )


class PostgresDatabase:
    """A database on the PostgreSQL server; `options` tells a store where it is."""

    def __init__(self, server: Server, name: str) -> None:
        self._server = server
        self._name = name
        self.options: Row = {**asdict(server), "database": name}

    @classmethod
    @contextmanager
    def scratch(cls, asset: Asset) -> Iterator[Self]:
        """Yield an empty database and drop it afterwards."""
        server = Server.from_environment(
            "PRAISON_TEST_POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432"
        )
        name = _database_name(asset)
        drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
        create = sql.SQL("CREATE DATABASE {} ENCODING 'UTF8' TEMPLATE template0")
        with cls(server, "postgres").connect() as connection:
            connection.execute(drop)
            connection.execute(create.format(sql.Identifier(name)))
            try:
                yield cls(server, name)
            finally:
                connection.execute(drop)

    def connect(self) -> psycopg.Connection[Row]:
        """Open a connection that commits each statement."""
        return psycopg.Connection[Row].connect(
            host=self._server.host,
            port=self._server.port,
            user=self._server.user,
            password=self._server.password,
            dbname=self._name,
            autocommit=True,
            row_factory=dict_row,
        )

    def load(self, path: Path) -> None:
        """Run an asset's statements, one by one."""
        with self.connect() as connection:
            for statement in statements(path.read_text("utf-8")):
                connection.execute(statement.encode())  # as bytes: not a literal of this program

    def rows(self, table: str) -> list[Row]:
        """Return every row, by column name."""
        with self.connect() as connection:
            query = sql.SQL("SELECT * FROM {}").format(sql.Identifier(table))
            return connection.execute(query).fetchall()

    def save(self, path: Path) -> None:
        """Write what `pg_dump` says, without what only psql or one release understands."""
        server = self._server
        dump = _output(
            [
                "pg_dump",
                f"--host={server.host}",
                f"--port={server.port}",
                f"--username={server.user}",
                "--no-password",
                "--encoding=UTF8",
                "--inserts",
                "--no-owner",
                "--no-privileges",
                "--no-comments",
                self._name,
            ],
            {"PGPASSWORD": server.password},
        )
        path.write_text(_plain(dump), "utf-8")


class MariaDBDatabase:
    """A database on the MariaDB server; `options` tells a store where it is."""

    def __init__(self, server: Server, name: str) -> None:
        self._server = server
        self._name = name
        self.options: Row = {**asdict(server), "database": name}

    @classmethod
    @contextmanager
    def scratch(cls, asset: Asset) -> Iterator[Self]:
        """Yield an empty database and drop it afterwards."""
        server = Server.from_environment("PRAISON_TEST_MARIADB_URL", "mysql://root@127.0.0.1:3306")
        name = _database_name(asset)
        with (
            closing(cls(server, "information_schema").connect()) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(f"DROP DATABASE IF EXISTS `{name}`")
            collation = {"utf8mb4": "utf8mb4_general_ci", "latin1": "latin1_swedish_ci"}
            cursor.execute(
                f"CREATE DATABASE `{name}` CHARACTER SET {asset.charset}"
                f" COLLATE {collation[asset.charset]}"
            )
            try:
                yield cls(server, name)
            finally:
                cursor.execute(f"DROP DATABASE `{name}`")

    def connect(self) -> pymysql.Connection[pymysql.cursors.DictCursor]:
        """Open a connection that commits each statement."""
        return pymysql.connect(
            **asdict(self._server),
            database=self._name,
            charset="utf8mb4",
            autocommit=True,
            cursorclass=pymysql.cursors.DictCursor,
        )

    def load(self, path: Path) -> None:
        """Run an asset's statements, one by one."""
        with closing(self.connect()) as connection, connection.cursor() as cursor:
            for statement in statements(path.read_text("utf-8")):
                cursor.execute(statement)

    def rows(self, table: str) -> list[Row]:
        """Return every row, by column name."""
        with closing(self.connect()) as connection, connection.cursor() as cursor:
            cursor.execute(f"SELECT * FROM {table}")
            return list(cursor.fetchall())

    def save(self, path: Path) -> None:
        """Write what `mariadb-dump` says, the sessions first, because messages refer to them."""
        server = self._server
        dump = _output(
            [
                "mariadb-dump",
                f"--host={server.host}",
                f"--port={server.port}",
                f"--user={server.user}",
                "--protocol=TCP",
                "--default-character-set=utf8mb4",
                "--compact",
                "--skip-extended-insert",
                "--order-by-primary",
                self._name,
                *sorted(self._tables(), reverse=True),
            ],
            {"MYSQL_PWD": server.password},
        )
        path.write_text(_plain(dump), "utf-8")

    def _tables(self) -> list[str]:
        with closing(self.connect()) as connection, connection.cursor() as cursor:
            cursor.execute("SHOW TABLES")
            return [name for row in cursor.fetchall() for name in row.values()]


def _database_name(asset: Asset) -> str:
    return "legacy_" + "".join(c if c.isalnum() else "_" for c in asset.name)


def _output(command: Sequence[str], environment: dict[str, str]) -> str:
    """Return what a program prints; passwords reach it by the environment only."""
    result = subprocess.run(
        command, env=os.environ | environment, stdout=subprocess.PIPE, check=True
    )
    return result.stdout.decode("utf-8")


Database = SQLiteDatabase | PostgresDatabase | MariaDBDatabase
DATABASES: dict[str, type[Database]] = {
    "sqlite": SQLiteDatabase,
    "postgresql": PostgresDatabase,
    "mariadb": MariaDBDatabase,
}


@contextmanager
def opened(asset: Asset, options: Row) -> Iterator[Call]:
    """Yield a function that runs the named method of the old store to its end."""
    module = import_module(f"praisonai.persistence.conversation.{asset.store}")
    with asyncio.Runner() as runner:
        store = getattr(module, STORES[asset.store])(**options)

        def call(method: str, *arguments: Any) -> Any:
            result = getattr(store, method)(*arguments)
            return runner.run(result) if asyncio.iscoroutine(result) else result

        try:
            yield call
        finally:
            call("close")


def write(call: Call, data: Dataset) -> None:
    """Give the old store everything, one call for each row."""
    base = import_module("praisonai.persistence.conversation.base")
    for session in data.sessions:
        call("create_session", base.ConversationSession(**session))
    for message in data.messages:
        call("add_message", message["session_id"], base.ConversationMessage(**message))
    for session_id in data.deleted:
        call("delete_session", session_id)


def read(call: Call) -> tuple[list[Row], dict[str, list[Row]]]:
    """Return the sessions and their messages as the old store sees them."""
    sessions = [asdict(session) for session in call("list_sessions")]
    messages = {
        session["session_id"]: [asdict(row) for row in call("get_messages", session["session_id"])]
        for session in sessions
    }
    return sessions, messages


def _stored(rows: Iterable[Row], fields: Sequence[str]) -> list[Row]:
    """Return what the table holds, with documents decoded and absent columns as None."""

    def value(row: Row, name: str) -> Any:
        stored = row.get(name)
        return json.loads(stored) if name in JSON_FIELDS and isinstance(stored, str) else stored

    return [{name: value(row, name) for name in fields} for row in rows]


def _differences(key: str, written: list[Row], stored: list[Row]) -> list[Row]:
    """Return each field in which a table disagrees with what its store was given."""
    tables = {row[key]: row for row in stored}
    return [
        {key: row[key], "field": name, "written": value, "stored": tables[row[key]][name]}
        for row in written
        if row[key] in tables
        for name, value in row.items()
        if tables[row[key]][name] != value
    ]


def _require_equal(what: str, left: object, right: object) -> None:
    if left != right:
        raise RuntimeError(f"{what}: {left!r:.2000} != {right!r:.2000}")


def _content(database: Database, prefix: str) -> tuple[list[Row], list[Row]]:
    """Return the sessions by id, and the messages by (created_at, id)."""
    sessions = _stored(database.rows(f"{prefix}sessions"), SESSION_FIELDS)
    messages = _stored(database.rows(f"{prefix}messages"), MESSAGE_FIELDS)
    sessions.sort(key=lambda row: str(row["session_id"]))
    messages.sort(key=lambda row: (row["created_at"], row["id"]))
    return sessions, messages


def make(asset: Asset) -> Row:
    """Write one asset and return what a reader has to find in it.

    Raises:
        RuntimeError: the old store reads something else than its tables hold, or the asset,
            loaded again, is not the database it was made from.
    """
    path = FOLDER / asset.file
    data = asset.data()
    scratch = DATABASES[asset.engine].scratch
    with scratch(asset) as database:
        with opened(asset, database.options | asset.options) as call:
            write(call, data)
            seen_sessions, seen_messages = read(call)
        sessions, messages = _content(database, asset.prefix)
        database.save(path)

    by_id = {row["id"]: row for row in messages}
    seen_sessions.sort(key=lambda row: str(row["session_id"]))
    _require_equal(f"{asset.name}: sessions read and stored", seen_sessions, sessions)
    for row in (row for rows in seen_messages.values() for row in rows):
        _require_equal(f"{asset.name}: message read and stored", row, by_id[row["id"]])

    with scratch(asset) as database, TemporaryDirectory() as directory:
        database.load(path)
        _require_equal(
            f"{asset.name}: content after loading",
            _content(database, asset.prefix),
            (sessions, messages),
        )
        again = Path(directory, asset.file)
        database.save(again)
        _require_equal(f"{asset.name}: second dump", again.read_bytes(), path.read_bytes())

    owner = {row["id"]: sid for sid, rows in seen_messages.items() for row in rows}
    session_ids = [row["session_id"] for row in sessions]
    return {
        "engine": asset.engine,
        "store": STORES[asset.store],
        "release": asset.release,
        "prefix": asset.prefix,
        "sessions": sessions,
        "messages": {
            session_id: [row for row in messages if owner.get(row["id"]) == session_id]
            for session_id in session_ids
        },
        "orphans": [row for row in messages if row["id"] not in owner],
        "differences": {
            "sessions": _differences("session_id", data.sessions, sessions),
            "messages": _differences("id", data.messages, messages),
        },
    }


def main() -> None:
    """Make the assets of the installed release and bring `expected.json` up to date."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    _log.setLevel(logging.INFO)
    release = version("praisonai")
    assets = {asset.name: asset for asset in ASSETS if asset.release == release}
    if not assets:
        raise SystemExit(f"praisonai {release} is installed; assets are made by {RELEASES}")
    parser = argparse.ArgumentParser(description="Make the adoption assets of one release.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(assets))
    names = parser.parse_args().names or list(assets)
    if unknown := sorted(set(names) - set(assets)):
        parser.error(f"unknown assets: {', '.join(unknown)}")

    expected_path = FOLDER / "expected.json"
    expected: Row = json.loads(expected_path.read_text("utf-8")) if expected_path.exists() else {}
    for name in names:
        asset = assets[name]
        expected[asset.file] = make(asset)
        _log.info("%s: %d bytes", asset.file, (FOLDER / asset.file).stat().st_size)
    text = json.dumps(expected, ensure_ascii=False, indent=1, sort_keys=True)
    expected_path.write_text(f"{text}\n", "utf-8")


if __name__ == "__main__":
    main()
