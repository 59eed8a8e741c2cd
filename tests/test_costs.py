"""What an operation costs, counted: round trips, syncs, bytes. Times would depend on machines."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from praison_persist import _adapt
from praison_persist.models import ConversationSession
from praison_persist.protocols import ConversationStore
from praison_persist.sql.database import Database
from praison_persist.sql.offloaded import WriterThreadDatabase
from praison_persist.sql.stores import AsyncSQLConversationStore, SQLConversationStore
from praison_persist.testing.contract import message

from .programs import ROOT
from .proxying import Counting
from .servers import OwnPostgres, administer, missing

_APPENDS = 200
_DRIVERS = {
    "psycopg": "postgresql+psycopg",
    "asyncpg": "postgresql+asyncpg",
    "pymysql": "mysql+pymysql",
    "aiomysql": "mysql+aiomysql",
    "asyncmy": "mysql+asyncmy",
}


@pytest.fixture(params=_DRIVERS)
def counted(
    request: pytest.FixtureRequest,
) -> Iterator[tuple[ConversationStore, Counting]]:
    """A store, behind a proxy that counts, with the session "s"."""
    driver: str = request.param
    server = "postgres_database" if "pg" in driver else "mariadb_database"
    target = sa.make_url(request.getfixturevalue(server))
    assert target.host is not None
    port = target.port or (5432 if server == "postgres_database" else 3306)
    with Counting(target.host, port) as proxy:
        through: Any = target.set(drivername=_DRIVERS[driver], host="127.0.0.1", port=proxy.port)
        if server == "postgres_database":
            through = through.update_query_dict({"sslmode": "disable"})
        if driver in ("psycopg", "pymysql"):
            store: ConversationStore = SQLConversationStore(through)
        else:
            store = _adapt.blocking(AsyncSQLConversationStore(through), ConversationStore)
        with store:
            store.ensure_session(ConversationSession("s"))
            for _ in range(10):  # statements are prepared, connections made
                store.add_message("s", message())
                store.get_messages("s", limit=5)
            yield store, proxy


def test_an_append_is_one_round_trip(counted: tuple[ConversationStore, Counting]) -> None:
    """Each further one is paid by every message, at the distance of the server."""
    store, proxy = counted
    before = proxy.trips
    for _ in range(_APPENDS):
        store.add_message("s", message())
    assert proxy.trips - before == _APPENDS


def test_a_batch_is_one_round_trip(counted: tuple[ConversationStore, Counting]) -> None:
    """A batch costs as many round trips as it has messages."""
    store, proxy = counted
    store.add_messages("s", [message("one"), message("two")])  # prepares the statement
    before = proxy.trips
    store.add_messages("s", [message(str(number)) for number in range(100)])
    assert proxy.trips - before == 1


def test_a_read_is_one_round_trip(counted: tuple[ConversationStore, Counting]) -> None:
    """A transaction is begun and ended around a single statement."""
    store, proxy = counted
    for read in (
        lambda: store.get_messages("s", limit=5),
        lambda: store.page_messages("s", limit=5),
        lambda: store.get_session("s"),
        lambda: store.list_sessions(limit=5),
        lambda: store.page_sessions(limit=5),
        lambda: store.count("s"),
        lambda: store.ensure_session(ConversationSession("s")),
    ):
        read()
        before = proxy.trips
        read()
        assert proxy.trips - before == 1


@pytest.fixture(scope="module")
def strace() -> str:
    """The program that counts calls of the system."""
    found = shutil.which("strace")
    if found is None:
        missing("PATH", "strace is not installed")
    return found


_PROGRAM = """
import asyncio, os, sys
from praison_persist.models import ConversationMessage, ConversationSession
from praison_persist.sql.stores import AsyncSQLConversationStore, SQLConversationStore

def message():
    return ConversationMessage(role="user", content="x" * 60)

def mark():
    os.write(1, b"MARK\\n")

def alone(path, count):
    with SQLConversationStore(path) as store:
        store.ensure_session(ConversationSession("s"))
        store.add_message("s", message())
        mark()
        for _ in range(count):
            store.add_message("s", message())
        mark()

async def together(path, agents, count):
    async with AsyncSQLConversationStore(path) as store:
        for agent in range(agents):
            await store.ensure_session(ConversationSession(str(agent)))
        async def agent(key):
            for _ in range(count):
                await store.add_message(key, message())
        mark()
        await asyncio.gather(*(agent(str(number)) for number in range(agents)))
        mark()

path, agents, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
alone(path, count) if agents == 1 else asyncio.run(together(path, agents, count))
"""


def _traced(strace: str, folder: Path, agents: int, count: int) -> tuple[float, float]:
    """Return syncs and bytes written for each append."""
    log = folder / "calls"
    calls = "trace=fsync,fdatasync,pwrite64,write"
    subprocess.run(
        [
            *(strace, "-f", "-e", calls, "-o", str(log), sys.executable, "-c", _PROGRAM),
            *(str(folder / "agent.db"), str(agents), str(count)),
        ],
        check=True,
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
    )
    _, timed, _ = log.read_text(errors="replace").split("MARK\\n")
    written = re.findall(r"pwrite64\(.*= (\d+)$|pwrite64 resumed.*= (\d+)$", timed, re.MULTILINE)
    syncs = len(re.findall(r"f(?:data)?sync\(", timed))
    appends = agents * count
    return syncs / appends, sum(int(one or other) for one, other in written) / appends


def test_an_append_to_a_file_is_one_sync(strace: str, tmp_path: Path) -> None:
    """A commit that syncs twice takes twice as long; pages that did not change are written."""
    syncs, size = _traced(strace, tmp_path, 1, 1000)
    assert syncs <= 1.05
    assert size <= 18.5 * 1024


def test_who_appends_together_shares_a_sync(strace: str, tmp_path: Path) -> None:
    """Sixty-four agents wait for sixty-four syncs."""
    syncs, _ = _traced(strace, tmp_path, 64, 30)
    assert syncs <= 0.1


@pytest.mark.parametrize("colour", ["sync", "async"])
def test_an_append_logs_little_on_postgresql(own_postgres: OwnPostgres, colour: str) -> None:
    """An index is written that did not change, or a session's row is not updated in place."""
    url = own_postgres.url
    store: ConversationStore = SQLConversationStore(url)
    if colour == "async":
        store = _adapt.blocking(AsyncSQLConversationStore(url), ConversationStore)
    with store:
        store.ensure_session(ConversationSession(colour))

        def logged() -> int:
            ((position,),) = administer(
                url, "SELECT CAST(pg_current_wal_insert_lsn() - '0/0' AS bigint)"
            )
            return int(position)

        for _ in range(200):  # the first change of a page after a checkpoint logs all of it
            store.add_message(colour, message("x" * 60))
        before = logged()
        for _ in range(500):
            store.add_message(colour, message("x" * 60))
        assert (logged() - before) / 500 <= 1.1 * 1024


def test_reads_stay_alone_only_with_one_statement(sqlite_template: Path, tmp_path: Path) -> None:
    """A session that shows a view is read by two statements, which see different states."""
    path = shutil.copy(sqlite_template, tmp_path / "view.db")
    with SQLConversationStore(path) as store:
        store.ensure_session(ConversationSession("empty"))
        seen: list[str] = []
        reader = store.database.engines.get().reader

        def record(_c: Any, _k: Any, statement: str, *_rest: Any) -> None:
            seen.append(statement.split(maxsplit=1)[0])

        event.listen(reader, "before_cursor_execute", record)
        assert store.get_messages("empty") == []
        assert seen == ["SELECT", "BEGIN", "SELECT", "SELECT"]


def count_commits(database: Database, commits: list[str]) -> None:
    """Have the commits of the connection that writes to an SQLite file noted."""
    connection: Any = database.engines.get().writer.raw_connection()
    connection.dbapi_connection.set_trace_callback(
        lambda statement: commits.append(statement) if statement == "COMMIT" else None
    )
    connection.close()


def test_asyncio_appends_do_not_wait_for_each_other(tmp_path: Path) -> None:
    """A hundred tasks take a hundred commits."""

    async def use() -> tuple[int, int]:
        async with AsyncSQLConversationStore(tmp_path / "a.db") as store:
            await store.ensure_session(ConversationSession("s"))
            commits: list[str] = []
            assert isinstance(store.database, WriterThreadDatabase)
            count_commits(store.database._writing, commits)
            await asyncio.gather(*(store.add_message("s", message()) for _ in range(100)))
            return len(commits), await store.count("s")

    commits, count = asyncio.run(use())
    assert count == 100
    assert commits <= 2
