"""What is promised when things go wrong: nothing is lost, doubled or reordered, and it is said."""

from __future__ import annotations

import asyncio
import ctypes
import os
import random
import socket
import tempfile
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from praison_persist._adapt import blocking
from praison_persist.errors import PersistError, UnavailableError
from praison_persist.models import ConversationMessage, ConversationSession
from praison_persist.protocols import ConversationStore
from praison_persist.sql.stores import AsyncSQLConversationStore, SQLConversationStore
from praison_persist.testing.contract import race

from .open_engines import checked_out
from .proxying import Losing
from .servers import OwnPostgres, administer, engine, free_port, needs_mysqlclient
from .services.sqld import Sqld
from .writer import Writer, let_write

SECRET = "5ecret%40word"
SYNC = ["sqlite", "postgresql", "mysql", "libsql"]
ASYNC = ["sqlite", "postgresql+asyncpg", "postgresql+psycopg", "mysql", "mysql+asyncmy", "libsql"]
MYSQL_DRIVERS = ["mysql+asyncmy", pytest.param("mysql+mysqldb", marks=needs_mysqlclient)]
SERVERS = ["postgresql+psycopg", "postgresql+asyncpg", "mysql", *MYSQL_DRIVERS]


@pytest.fixture
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database of the kind that the test is parametrized with."""
    kind: str = request.param
    if kind == "sqlite":
        return f"sqlite:///{tmp_path / 'test.db'}"
    if kind == "libsql":
        sqld: Sqld = request.getfixturevalue("own_sqld")
        return sqld.url
    server = "mariadb" if kind.startswith("mysql") else "postgres"
    database: str = request.getfixturevalue(f"{server}_database")
    return kind + database[database.index("://") :]


def session() -> ConversationSession:
    """Return a session of its own: the databases of servers are shared by tests."""
    return ConversationSession()


def message(content: str = "", **fields: Any) -> ConversationMessage:
    return ConversationMessage(role="user", content=content, **fields)


def contents(messages: Sequence[ConversationMessage]) -> list[str]:
    return [m.content or "" for m in messages]


def assert_whole(messages: Sequence[ConversationMessage]) -> None:
    """Every number is there, once and in order."""
    assert [m.seq for m in messages] == list(range(1, len(messages) + 1))


def in_order_of(messages: Sequence[ConversationMessage], writer: str) -> bool:
    mine = [int(text.split("/")[1]) for text in contents(messages) if text.startswith(f"{writer}/")]
    return mine == sorted(mine)


def told(error: BaseException) -> str:
    """Return everything that a log of the error shows, its causes included."""
    found = "".join(traceback.format_exception(error))
    cause: BaseException | None = error
    while cause is not None:
        found += repr(cause) + str(cause) + repr(cause.args)
        cause = cause.__cause__
    return found


# Many writers


@pytest.mark.parametrize("url", SYNC, indirect=True)
def test_threads_tasks_and_processes_share_a_session(url: str) -> None:
    """A write of any of them is lost, doubled or out of order, or an error reaches its caller."""
    done = threading.Event()
    # See docs/conversation/turso.md: sqld may hang if its log reaches four megabytes meanwhile.
    of_thread, of_task, of_process = (3, 1, 10) if url.startswith("libsql") else (6, 3, 20)
    with SQLConversationStore(url) as store:
        mine = store.create_session(session()).session_id

        def watch() -> int:
            earlier: list[ConversationMessage] = []
            reads = 0
            while not done.wait(0.005):
                later = store.get_messages(mine)
                assert later[: len(earlier)] == earlier
                earlier, reads = later, reads + 1
            return reads

        def write(index: int) -> None:
            for number in range(of_thread):
                store.add_message(mine, message(f"thread{index}/{number}"))

        async def awrite() -> None:
            async with AsyncSQLConversationStore(url) as native:

                async def task(index: int) -> None:
                    for number in range(of_task):
                        await native.add_message(mine, message(f"task{index}/{number}"))

                await asyncio.gather(*(task(index) for index in range(64)))

        with ThreadPoolExecutor(1) as watching:
            watched = watching.submit(watch)
            try:
                writers = [
                    Writer(url, mine, f"process{n}", of_process, ["sync", "async"][n % 2])
                    for n in range(4)
                ]
                let_write(writers)
                race(16, write)
                asyncio.run(awrite())
                acknowledged = [writer.end() for writer in writers]
            finally:
                done.set()
            assert watched.result() > 0
        stored = store.get_messages(mine)
        assert_whole(stored)
        assert acknowledged == [[f"process{n}/{i}" for i in range(of_process)] for n in range(4)]
        names = [*(f"thread{n}" for n in range(16)), *(f"task{n}" for n in range(64))]
        expected = {
            f"{name}/{i}"
            for name in names
            for i in range(of_thread if "thread" in name else of_task)
        }
        expected |= {key for keys in acknowledged for key in keys}
        assert len(stored) == len(expected)
        assert set(contents(stored)) == expected
        assert all(
            in_order_of(stored, name) for name in [*names, *(f"process{n}" for n in range(4))]
        )


# Processes that die


@pytest.mark.parametrize("colour", ["sync", "async"])
@pytest.mark.parametrize("url", SYNC, indirect=True)
def test_what_was_acknowledged_survives_the_death_of_its_process(url: str, colour: str) -> None:
    """A message is acknowledged before it is committed, or a dead writer leaves a gap or a lock."""
    with SQLConversationStore(url) as store:
        mine = store.create_session(session()).session_id
        acknowledged: list[str | None] = []
        for round_ in range(3):
            writer = Writer(url, mine, f"w{round_}", 100_000, colour)
            let_write([writer])
            acknowledged += [writer.next() for _ in range(random.randint(5, 25))]
            writer.kill()
            acknowledged += writer.end()
            stored = store.get_messages(mine)
            assert set(acknowledged) <= set(contents(stored))
            assert_whole(stored)
            assert len(stored) <= len(acknowledged) + round_ + 1
        assert store.add_message(mine, message()).seq == len(store.get_messages(mine))


# Servers that die


@pytest.fixture
def own_server(request: pytest.FixtureRequest, driver: str) -> OwnPostgres | Sqld:
    """A server for the driver that the test is parametrized with."""
    name = "own_sqld" if driver == "hrana" else "own_postgres"
    server: OwnPostgres | Sqld = request.getfixturevalue(name)
    return server


@pytest.mark.parametrize("driver", ["psycopg", "asyncpg", "hrana"])
def test_an_outage_loses_nothing_and_ends_by_itself(
    own_server: OwnPostgres | Sqld, driver: str
) -> None:
    """A store stays broken after its server is back, or forgets what it had acknowledged."""
    with _opened(own_server.url, driver) as store:
        mine = store.create_session(session()).session_id
        batch = [message(str(index)) for index in range(20)]
        for one in batch[:10]:
            store.add_message(mine, one)
        own_server.stop()
        for _ in range(2):
            with pytest.raises(UnavailableError) as caught:
                store.add_message(mine, batch[10])
            assert caught.value.attempts == 4
            assert caught.value.elapsed_s < 10
        own_server.start()
        for one in batch[10:]:
            store.add_message(mine, one)
        stored = store.get_messages(mine)
        assert contents(stored) == [str(index) for index in range(20)]
        assert_whole(stored)


@pytest.mark.parametrize("driver", ["psycopg", "asyncpg", "hrana"])
def test_writers_write_through_a_restart(own_server: OwnPostgres | Sqld, driver: str) -> None:
    """A crash in the middle of a commit doubles a message, or loses one that was acknowledged."""
    acknowledged = threading.Semaphore(0)
    over = threading.Event()
    with _opened(own_server.url, driver) as store:
        mine = store.create_session(session()).session_id

        def write(index: int) -> int:
            number = 0
            while not over.is_set():
                one = message(f"{index}/{number}")
                while not over.is_set():
                    try:
                        store.add_message(mine, one)
                    except UnavailableError:
                        continue
                    acknowledged.release()
                    number += 1
                    break
            return number

        def restart() -> int:
            for _ in range(2):
                for _ in range(20):
                    assert acknowledged.acquire(timeout=60)
                own_server.stop()
                own_server.start()
            for _ in range(20):
                assert acknowledged.acquire(timeout=60)
            over.set()
            return 0

        written = race(5, lambda index: restart() if index == 4 else write(index))[:4]
        stored = store.get_messages(mine)
        assert_whole(stored)
        assert len(set(contents(stored))) == len(stored)
        for index, count in enumerate(written):
            assert {f"{index}/{number}" for number in range(count)} <= set(contents(stored))
            assert in_order_of(stored, str(index))


@contextmanager
def _opened(url: str, driver: str) -> Iterator[ConversationStore]:
    """Open a sync store over either colour of driver."""
    if driver == "asyncpg":
        with blocking(AsyncSQLConversationStore(url), ConversationStore) as store:
            yield store
    else:
        with SQLConversationStore(url.replace("://", f"+{driver}://", 1)) as store:
            yield store


# Connections that die


def _kill(url: str, condition: str) -> int:
    """End the connections of a database that meet a condition. Return how many there were."""
    if url.startswith("postgresql"):
        rows = administer(
            url,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
            f"AND datname = current_database() AND {condition}",
        )
        return len(rows)
    name = sa.make_url(url).database
    rows = administer(
        url, f"SELECT id FROM information_schema.processlist WHERE db = '{name}' AND {condition}"
    )
    administer(url, *(f"KILL CONNECTION {row[0]}" for row in rows))
    return len(rows)


@contextmanager
def _by_colour(url: str) -> Iterator[ConversationStore]:
    """Open a store whose driver is the written one, as a sync store."""
    if "asyncpg" in url:
        with blocking(AsyncSQLConversationStore(url), ConversationStore) as store:
            yield store
    else:
        with SQLConversationStore(url) as store:
            yield store


@pytest.mark.parametrize("ping", [True, False])
@pytest.mark.parametrize("url", SERVERS, indirect=True)
def test_a_connection_that_died_idle_is_not_noticed(url: str, ping: bool) -> None:
    """The first request of the morning fails: a firewall or the server cut what was idle."""
    options: dict[str, Any] = {"pool_pre_ping": ping, "retry_delay": 0.01}
    stores: list[ConversationStore] = [
        SQLConversationStore(url, **options),
        blocking(AsyncSQLConversationStore(url, **options), ConversationStore),
    ]
    for store in stores:
        with store:
            mine = store.create_session(session()).session_id
            for number in range(3):
                assert _kill(url, "1 = 1") >= 1
                assert store.add_message(mine, message()).seq == number + 1
                assert _kill(url, "1 = 1") >= 1
                assert store.count(mine) == number + 1


@pytest.mark.parametrize("url", SERVERS, indirect=True)
def test_a_connection_that_dies_at_work_is_replaced(url: str) -> None:
    """A failover in the middle of a statement reaches the caller."""
    waiting = "wait_event_type = 'Lock'" if url.startswith("postgresql") else "state LIKE 'Updat%'"
    stores: list[ConversationStore] = [
        SQLConversationStore(url, retry_delay=0.01),
        blocking(AsyncSQLConversationStore(url, retry_delay=0.01), ConversationStore),
    ]
    own = engine(url, database=True)
    for store in stores:
        with store, ThreadPoolExecutor(1) as pool:
            mine = store.create_session(session()).session_id
            store.add_message(mine, message("before"))
            with own.begin() as holder:
                table, key = sa.table("praison_sessions"), sa.column("session_id", sa.String())
                lock = sa.select(key).select_from(table).where(key == mine).with_for_update()
                holder.execute(lock)
                added = pool.submit(store.add_message, mine, message("during"))
                deadline = time.monotonic() + 30
                while not _kill(url, waiting):
                    assert time.monotonic() < deadline
            assert added.result(60).seq == 2
            assert contents(store.get_messages(mine)) == ["before", "during"]
    own.dispose()


@pytest.mark.parametrize("url", [*SERVERS, "libsql"], indirect=True)
def test_a_message_whose_commit_was_not_answered_is_stored_once(url: str) -> None:
    """The connection is lost between the commit and its answer: the retry doubles the message."""
    target = sa.make_url(url)
    assert target.host is not None
    port = target.port or (5432 if url.startswith("postgresql") else 3306)
    with SQLConversationStore(url) as store:
        mine = store.create_session(session()).session_id
    for colour in (SQLConversationStore, AsyncSQLConversationStore):
        key = colour.__name__
        # Where one statement is the transaction, it has the ids of the messages.
        command = b"COMMIT" if url.startswith("libsql") else f"{key}/".encode()
        with Losing(target.host, port, command, left=1) as proxy:
            # Without TLS, which would hide it.
            query = {"sslmode": "disable"} if url.startswith("postgresql") else {}
            through = target.set(host="127.0.0.1", port=proxy.port).update_query_dict(query)
            # A ping would meet the loss first.
            opened: Any = colour(through, retry_delay=0.01, auto_migrate=False)
            if colour is AsyncSQLConversationStore:
                opened = blocking(opened, ConversationStore)
            with opened as store:
                stored = store.add_messages(
                    mine, [message("one", id=f"{key}/1"), message("two", id=f"{key}/2")]
                )
                assert [m.id for m in stored] == [f"{key}/1", f"{key}/2"]
                assert proxy.left == 0
                proxy.left = 1
                store.add_message(mine, message("three", id=f"{key}/3"))
            assert proxy.left == 0
    with SQLConversationStore(url) as store:
        stored = store.get_messages(mine)
        assert contents(stored) == ["one", "two", "three"] * 2
        assert_whole(stored)


# Tasks that are cancelled


@pytest.mark.parametrize("url", ASYNC, indirect=True)
def test_cancelled_tasks_leave_nothing_half_done(url: str) -> None:
    """A cancelled request leaves a transaction open, a connection in use, or a gap."""

    async def use() -> None:
        async with AsyncSQLConversationStore(url, pool_size=4, max_overflow=0) as store:
            mine = (await store.create_session(session())).session_id
            acknowledged: list[str] = []

            async def write(index: int) -> None:
                for number in range(5_000):
                    stored = await store.add_message(mine, message(f"{index}/{number}"))
                    acknowledged.append(stored.content or "")

            tasks = [asyncio.create_task(write(index)) for index in range(12)]
            for task in random.sample(tasks, 12):
                while len(acknowledged) < 12:
                    await asyncio.sleep(0)
                task.cancel()
                await asyncio.sleep(random.random() * 0.01)
            ended = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(isinstance(error, asyncio.CancelledError) for error in ended)
            assert checked_out() == 0
            stored = await store.get_messages(mine)
            assert_whole(stored)
            assert set(acknowledged) <= set(contents(stored))
            assert len(stored) <= len(acknowledged) + 12
            last = await asyncio.wait_for(store.add_message(mine, message()), 10)
            assert last.seq == len(stored) + 1
            if url.startswith("postgresql"):
                opened = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in %'"
                name = sa.make_url(url).database
                assert administer(url, f"{opened} AND datname = '{name}'") == [(0,)]

    asyncio.run(use())


@pytest.mark.parametrize("url", ASYNC, indirect=True)
def test_cancelled_while_waiting_for_a_connection(url: str) -> None:
    """Who gives up waiting takes the connection with him."""

    async def use() -> None:
        async with AsyncSQLConversationStore(url, pool_size=1, max_overflow=0) as store:
            mine = (await store.create_session(session())).session_id
            for _ in range(5):
                tasks = [asyncio.create_task(store.count(mine)) for _ in range(10)]
                await asyncio.sleep(0)
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
            assert checked_out() == 0
            assert await asyncio.wait_for(store.count(mine), 10) == 0

    asyncio.run(use())


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
def test_a_time_limit_ends_a_call_to_a_server_that_hangs(
    own_postgres: OwnPostgres, driver: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A frozen server holds a request for ever, whatever limit its caller has set."""
    monkeypatch.setattr("praison_persist._flow.GRACE_S", 0.2)
    own = own_postgres.url.replace("://", f"+{driver}://")

    async def use() -> None:
        async with AsyncSQLConversationStore(own) as store:
            mine = (await store.create_session(session())).session_id
            own_postgres.freeze()
            started = time.monotonic()
            try:
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(store.add_message(mine, message("lost")), 0.2)
                assert time.monotonic() - started < 30
            finally:
                own_postgres.thaw()
            assert checked_out() == 0
            await asyncio.wait_for(store.add_message(mine, message("next")), 20)
            stored = await store.get_messages(mine)
            assert contents(stored)[-1] == "next"
            assert_whole(stored)

    asyncio.run(use())


# Servers that are not there


@pytest.mark.parametrize("scheme", [*SERVERS, "singlestoredb"])
def test_an_unreachable_server_is_reported_soon(scheme: str) -> None:
    """A request hangs, or the error is the driver's."""
    for place in (f"127.0.0.1:{free_port()}", "no-such-host.invalid"):
        url = f"{scheme}://u:{SECRET}@{place}/db"
        for error in _errors_of(url, retry_delay=0.01):
            assert isinstance(error, UnavailableError)
            assert error.attempts == 4
            assert 0 < error.elapsed_s < 10
            assert place in str(error)
            assert "5ecret" not in told(error)


@pytest.mark.parametrize("scheme", [*SERVERS, "singlestoredb"])
def test_a_server_that_says_nothing_is_given_up(scheme: str) -> None:
    """A host that accepts and never answers holds a request for ever."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        url = f"{scheme}://u:{SECRET}@127.0.0.1:{port}/db?connect_timeout=2"
        for error in _errors_of(url, max_retries=0):
            assert isinstance(error, UnavailableError)
            assert error.elapsed_s < 10
            assert "5ecret" not in told(error)


def _errors_of(url: str, **options: Any) -> list[PersistError]:
    """Return what a first use raises, in both colours."""

    async def use() -> PersistError:
        async with AsyncSQLConversationStore(url, **options) as store:
            with pytest.raises(PersistError) as caught:
                await store.get_session("s")
            return caught.value

    with SQLConversationStore(url, **options) as store, pytest.raises(PersistError) as caught:
        store.get_session("s")
    return [caught.value, asyncio.run(use())]


def test_a_wrong_password_is_not_told(own_postgres: OwnPostgres, mariadb_database: str) -> None:
    """It is in the message, or in the text of a cause, and so in the log."""
    user = f"praison_{os.getpid()}"
    administer(own_postgres.url, f"CREATE ROLE {user} LOGIN PASSWORD 'right'")
    own_postgres.ask_password_of(user)
    server = sa.make_url(mariadb_database)
    place = f"{server.host}:{server.port or 3306}/{server.database}"
    schemes = ["mysql", "mysql+asyncmy", *(["mysql+mysqldb"] if find_spec("MySQLdb") else [])]
    administer(mariadb_database, f"CREATE USER {user}@'%' IDENTIFIED BY 'right'")
    try:
        for url in (
            f"postgresql+psycopg://{user}:{SECRET}@127.0.0.1:{own_postgres.port}/postgres",
            f"postgresql+asyncpg://{user}:{SECRET}@127.0.0.1:{own_postgres.port}/postgres",
            *(f"{scheme}://{user}:{SECRET}@{place}" for scheme in schemes),
        ):
            for error in _errors_of(url, retry_delay=0.01):
                assert isinstance(error, UnavailableError)
                assert user in str(error)
                assert "5ecret" not in told(error)
    finally:
        administer(mariadb_database, f"DROP USER {user}@'%'")


# Disks and files


@pytest.mark.parametrize("colour", ["sync", "async"])
def test_a_full_disk_loses_nothing_that_was_stored(tmp_path: Path, colour: str) -> None:
    """The database is damaged, or a message is half there."""
    path = tmp_path / "x.db"

    async def limit(store: AsyncSQLConversationStore, pages: int) -> None:
        await store.database.run(_limit, pages)

    native = AsyncSQLConversationStore(path)
    if colour == "async":
        store: ConversationStore = blocking(native, ConversationStore)
    else:
        store = SQLConversationStore(path)

    def set_limit(pages: int) -> None:
        if isinstance(store, SQLConversationStore):
            store.database.run(_limit, pages)
        else:
            from praison_persist._adapt import background_loop  # noqa: PLC0415 - not before a test needs its thread

            background_loop().call(limit(native, pages))

    with store:
        mine = store.create_session(session()).session_id
        store.add_message(mine, message("before"))
        set_limit(1)
        added = 1
        with pytest.raises(UnavailableError, match="full") as caught:
            for _ in range(1000):
                store.add_message(mine, message("x" * 1000))
                added += 1
        assert caught.value.attempts == 1
        assert store.count(mine) == added
        set_limit(1_000_000)
        assert store.add_message(mine, message("after")).seq == added + 1
        assert_whole(store.get_messages(mine))


def _limit(connection: sa.Connection, _t: object, pages: int) -> None:
    # Not below the present size, which a smaller limit means.
    connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")


@contextmanager
def _unprivileged() -> Iterator[None]:
    """Let this thread meet the permissions of files, which root does not."""
    if os.geteuid() != 0:
        yield
        return
    libc = ctypes.CDLL(None)
    libc.setfsuid(65_534)
    try:
        yield
    finally:
        libc.setfsuid(0)


def test_a_read_only_file_is_reported() -> None:
    """A write is acknowledged that went nowhere, or the error is the driver's."""
    with tempfile.TemporaryDirectory(prefix="praison-ro-") as folder:
        path = Path(folder) / "x.db"
        with SQLConversationStore(path) as store:
            store.create_session(ConversationSession(session_id="s"))
            store.add_message("s", message("kept"))
        path.chmod(0o444)
        Path(folder).chmod(0o555)
        try:
            with _unprivileged(), SQLConversationStore(path) as store:
                with pytest.raises(UnavailableError, match=r"x\.db") as caught:
                    store.add_message("s", message("refused"))
                assert caught.value.attempts == 1
        finally:
            Path(folder).chmod(0o755)
            path.chmod(0o644)
        with SQLConversationStore(path) as store:
            assert contents(store.get_messages("s")) == ["kept"]


@pytest.mark.parametrize("colour", ["sync", "async"])
def test_a_connection_that_may_not_write_is_reported(tmp_path: Path, colour: str) -> None:
    """See above."""
    path = tmp_path / "x.db"
    native = AsyncSQLConversationStore(path)
    store: ConversationStore = SQLConversationStore(path)
    if colour == "async":
        store.close()
        store = blocking(native, ConversationStore)
    with store:
        store.create_session(ConversationSession(session_id="s"))

        def forbid(connection: sa.Connection, _t: object) -> None:
            connection.exec_driver_sql("PRAGMA query_only=ON")

        if isinstance(store, SQLConversationStore):
            store.database.run(forbid)
        else:
            from praison_persist._adapt import background_loop  # noqa: PLC0415 - not before a test needs its thread

            background_loop().call(native.database.run(forbid))
        with pytest.raises(UnavailableError, match="readonly") as caught:
            store.add_message("s", message())
        assert caught.value.attempts == 1
        assert store.count("s") == 0
