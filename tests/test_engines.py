"""Connections: shared by stores, waited for in turn, one set for each event loop and process."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from praison_persist._adapt import blocking, offload
from praison_persist.errors import PersistError, UnavailableError
from praison_persist.models import ConversationMessage, ConversationSession
from praison_persist.protocols import AsyncConversationStore, ConversationStore
from praison_persist.sql.pool import FairPool
from praison_persist.sql.schema import Tables
from praison_persist.sql.stores import AsyncSQLConversationStore, SQLConversationStore
from praison_persist.testing.contract import race

from .servers import administer

SYNC = ["sqlite", "postgresql", "mysql"]
ASYNC = ["sqlite", "postgresql+asyncpg", "postgresql+psycopg", "mysql", "mysql+asyncmy"]


@pytest.fixture
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database of the kind that the test is parametrized with."""
    kind: str = request.param
    if kind == "sqlite":
        return f"sqlite:///{tmp_path / 'test.db'}"
    server = "mariadb" if kind.startswith("mysql") else "postgres"
    database: str = request.getfixturevalue(f"{server}_database")
    return kind + database[database.index("://") :]


def session() -> ConversationSession:
    """Return a session of its own: the databases of servers are shared by tests."""
    return ConversationSession()


def message(content: str = "") -> ConversationMessage:
    return ConversationMessage(role="user", content=content)


def connections(url: str) -> int:
    """Return how many connections a server's database has, but this one."""
    if url.startswith("postgresql"):
        rows = administer(
            url,
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
    else:
        name = sa.make_url(url).database
        rows = administer(
            url, f"SELECT count(*) FROM information_schema.processlist WHERE db = '{name}'"
        )
    return int(rows[0][0])


def eventually(condition: Callable[[], bool]) -> bool:
    """Whether the condition comes true: a server takes its time to notice that a client left."""
    deadline = time.monotonic() + 20
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


# Sharing


@pytest.mark.parametrize("url", ["postgresql", "mysql"], indirect=True)
def test_stores_of_one_database_share_its_connections(url: str) -> None:
    """Twenty idle adapters hold twenty connections."""
    stores = [SQLConversationStore(url) for _ in range(20)]
    for store in stores:
        assert store.get_session("unknown") is None
    assert eventually(lambda: connections(url) == 1)
    for store in stores[1:]:
        store.close()
    assert stores[0].get_session("unknown") is None
    stores[0].close()
    assert eventually(lambda: connections(url) == 0)


@pytest.mark.parametrize("url", ASYNC[1:], indirect=True)
def test_async_stores_of_one_database_share_its_connections(url: str) -> None:
    """See above."""

    async def use() -> None:
        stores = [AsyncSQLConversationStore(url) for _ in range(20)]
        for store in stores:
            assert await store.get_session("unknown") is None
        assert eventually(lambda: connections(url) == 1)
        for store in stores[1:]:
            await store.close()
        assert await stores[0].get_session("unknown") is None
        await stores[0].close()

    asyncio.run(use())
    assert eventually(lambda: connections(url) == 0)


def test_in_memory_databases_are_not_shared() -> None:
    """Two programs in one process read each other's conversations."""
    with SQLConversationStore(":memory:") as one, SQLConversationStore(":memory:") as two:
        one.create_session(ConversationSession(session_id="s"))
        assert two.get_session("s") is None


def test_an_in_memory_database_is_one_for_both_colours() -> None:
    """A hook of the other colour writes into a database of its own."""
    with SQLConversationStore(":memory:") as store:
        beside = AsyncSQLConversationStore.beside(store)

        async def write() -> None:
            await beside.create_session(ConversationSession(session_id="s"))
            await beside.close()
            with pytest.raises(PersistError, match="closed"):
                await beside.get_session("s")

        asyncio.run(write())
        assert store.get_session("s") is not None


# Waiting


def test_callers_are_served_in_the_order_they_came() -> None:
    """The thread that returns a connection takes it again, and others wait until they fail."""
    opened = sa.create_engine("sqlite://", poolclass=FairPool, pool_size=1, max_overflow=0)
    order: list[int] = []
    first = opened.connect()
    waiting: list[threading.Thread] = []
    pool: Any = opened.pool

    def wait(index: int) -> None:
        with opened.connect():
            order.append(index)

    for index in range(8):
        waiting.append(threading.Thread(target=wait, args=(index,)))
        waiting[-1].start()
        assert eventually(lambda: len(pool._turns._waiting) == len(waiting))
    first.close()
    for thread in waiting:
        thread.join()
    assert order == list(range(8))
    assert pool.checkedout() == 0
    opened.dispose()


@pytest.mark.parametrize("url", SYNC, indirect=True)
def test_callers_beyond_the_pool_wait(url: str) -> None:
    """With more callers than connections, most writes are lost to "pool exhausted"."""
    with SQLConversationStore(url, pool_size=1, max_overflow=0) as store:
        mine = store.create_session(session()).session_id
        race(16, lambda _: [store.add_message(mine, message()) for _ in range(8)])
        assert store.count(mine) == 128


@pytest.mark.parametrize("url", ASYNC, indirect=True)
def test_tasks_beyond_the_pool_wait(url: str) -> None:
    """See above."""

    async def use() -> None:
        async with AsyncSQLConversationStore(url, pool_size=1, max_overflow=0) as store:
            mine = (await store.create_session(session())).session_id

            async def write() -> None:
                for _ in range(4):
                    await store.add_message(mine, message())

            await asyncio.gather(*(write() for _ in range(32)))
            assert await store.count(mine) == 128

    asyncio.run(use())


@pytest.mark.parametrize("url", SYNC, indirect=True)
def test_who_waits_too_long_is_told_which_option_to_raise(url: str) -> None:
    """A hang without an end, or an error that names no remedy."""
    with SQLConversationStore(url, pool_size=1, max_overflow=0, pool_timeout=0.1) as store:
        store.connect()
        holding, done = threading.Event(), threading.Event()

        def hold(_connection: sa.Connection, _t: Tables) -> None:
            holding.set()
            assert done.wait(30)

        with ThreadPoolExecutor(1) as pool:
            held = pool.submit(store.database.run, hold)
            assert holding.wait(30)
            with pytest.raises(UnavailableError, match="pool_timeout") as caught:
                store.create_session(session())
            assert caught.value.attempts == 1
            done.set()
            held.result()
        store.create_session(session())


@pytest.mark.parametrize("url", SYNC, indirect=True)
def test_short_lived_threads_leave_no_more_connections_than_the_pool(url: str) -> None:
    """Each dead thread leaves its connection behind: 201 of them for 200 threads."""
    with SQLConversationStore(url, pool_size=3, max_overflow=2) as store:
        mine = store.create_session(session()).session_id
        for _ in range(10):
            race(20, lambda _: store.add_message(mine, message()))
        assert store.count(mine) == 200
        gc.collect()
        if url.startswith("sqlite"):
            path = sa.make_url(url).database
            held = [
                str(link.readlink()) for link in Path("/proc/self/fd").iterdir() if link.exists()
            ]
            assert 0 < held.count(str(path)) <= 4
        else:
            assert eventually(lambda: 0 < connections(url) <= 3)


# Event loops


@pytest.mark.parametrize("url", ASYNC, indirect=True)
def test_one_async_store_serves_one_loop_after_the_other(url: str) -> None:
    """The second asyncio.run meets connections of a loop that is closed."""
    store = AsyncSQLConversationStore(url)

    async def write() -> int:
        mine = (await store.ensure_session(ConversationSession(session_id="loops"))).session_id
        await asyncio.gather(*(store.add_message(mine, message()) for _ in range(5)))
        return await store.count(mine)

    assert [asyncio.run(write()) for _ in range(3)] == [5, 10, 15]
    if not url.startswith("sqlite"):
        assert eventually(lambda: connections(url) == 0)

    async def end() -> None:
        await store.delete_session("loops")
        await store.close()

    asyncio.run(end())


@pytest.mark.parametrize("url", ASYNC, indirect=True)
def test_one_async_store_serves_loops_of_many_threads(url: str) -> None:
    """A connection of one loop is used on another: "attached to a different loop"."""
    store = AsyncSQLConversationStore(url, pool_size=2, max_overflow=0)
    mine = session()

    async def write() -> None:
        await store.ensure_session(mine)
        await asyncio.gather(*(store.add_message(mine.session_id, message()) for _ in range(5)))

    race(4, lambda _: asyncio.run(write()))

    async def end() -> int:
        async with store:
            return await store.count(mine.session_id)

    assert asyncio.run(end()) == 20


@pytest.mark.parametrize("url", ASYNC, indirect=True)
def test_a_loop_that_ends_without_shutting_down_does_no_harm(url: str) -> None:
    """A program that ends its loop by hand hangs at its end, or prints riddles there."""
    mine = session().session_id
    program = f"""
import asyncio
from praison_persist import AsyncSQLConversationStore, ConversationMessage, ConversationSession

store = AsyncSQLConversationStore({url!r})

async def write():
    session = await store.ensure_session(ConversationSession({mine!r}))
    await store.add_message(session.session_id, ConversationMessage(role="user"))
    return await store.count(session.session_id)

loop = asyncio.new_event_loop()
print(loop.run_until_complete(write()))
loop.close()
del loop
print(asyncio.run(write()))
"""
    found = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        cwd=Path(__file__).parent.parent,
    )
    assert (found.returncode, found.stdout, found.stderr) == (0, "1\n2\n", "")


@pytest.mark.parametrize("url", ASYNC, indirect=True)
def test_an_async_store_can_be_blocked_on_inside_a_running_loop(url: str) -> None:
    """In a notebook, or a request handler, nothing is stored."""
    store = AsyncSQLConversationStore(url)
    mine = session()

    async def handler() -> int:
        native = await store.ensure_session(mine)
        with blocking(store, ConversationStore) as blocked:
            blocked.add_message(native.session_id, message())
            race(4, lambda _: blocked.add_message(native.session_id, message()))
            await asyncio.to_thread(blocked.add_message, native.session_id, message())
            return blocked.count(native.session_id)

    assert asyncio.run(handler()) == 6


def test_blocking_inside_an_async_store_says_so() -> None:
    """A loop that waits for itself hangs for ever."""
    inner: list[ConversationStore] = []

    class Reentrant(AsyncSQLConversationStore):
        async def get_session(self, session_id: str) -> ConversationSession | None:
            return inner[0].get_session(session_id)

    with blocking(Reentrant(":memory:"), ConversationStore) as store:
        inner.append(store)
        with pytest.raises(PersistError, match="await the async one"):
            store.get_session("s")


@pytest.mark.parametrize("url", SYNC, indirect=True)
def test_a_sync_store_can_be_offloaded(url: str) -> None:
    """A sync store blocks the event loop."""

    async def use() -> int:
        async with offload(SQLConversationStore(url), AsyncConversationStore) as store:
            mine = (await store.create_session(session())).session_id
            await asyncio.gather(*(store.add_message(mine, message()) for _ in range(16)))
            return await store.count(mine)

    assert asyncio.run(use()) == 16


# Processes


def in_child(work: Callable[[], object]) -> None:
    """Run `work` in a fork of this process; an exception or a hang there fails the test."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    deadline = time.monotonic() + 60
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            break
        assert time.monotonic() < deadline, "the child hangs"
        time.sleep(0.02)
    assert os.waitstatus_to_exitcode(status) == 0


@pytest.mark.parametrize("url", SYNC, indirect=True)
def test_a_sync_store_goes_on_in_parent_and_child_of_a_fork(url: str) -> None:
    """Both talk over one socket, and read each other's answers."""
    with SQLConversationStore(url) as store:
        mine = store.create_session(session()).session_id
        store.add_message(mine, message("before"))
        for _ in range(2):
            in_child(lambda: [store.add_message(mine, message("child")) for _ in range(3)])
            store.add_message(mine, message("parent"))
        contents = [m.content for m in store.get_messages(mine)]
    assert contents == ["before", *(["child"] * 3 + ["parent"]) * 2]


@pytest.mark.parametrize("url", ASYNC, indirect=True)
def test_an_async_store_goes_on_in_parent_and_child_of_a_fork(url: str) -> None:
    """See above."""
    store = AsyncSQLConversationStore(url)
    with blocking(store, ConversationStore) as blocked:
        mine = blocked.create_session(session()).session_id

        def child() -> None:
            asyncio.run(store.add_message(mine, message("loop")))
            blocked.add_message(mine, message("blocked"))

        in_child(child)
        blocked.add_message(mine, message("parent"))
        asyncio.run(store.add_message(mine, message("parent loop")))
        contents = [m.content for m in blocked.get_messages(mine)]
    assert contents == ["loop", "blocked", "parent", "parent loop"]


# SQLite


def test_a_commit_is_on_disk_and_readers_do_not_wait(tmp_path: Path) -> None:
    """What was acknowledged is lost when the power fails; a writer locks all readers out."""
    wanted = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}

    def pragmas(connection: sa.Connection, _t: Tables) -> dict[str, object]:
        return {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in wanted}

    path = tmp_path / "x.db"
    with SQLConversationStore(path) as store:
        store.create_session(ConversationSession(session_id="s"))
        assert store.database.run(pragmas) == store.database.read(pragmas) == wanted

        def read_meanwhile(connection: sa.Connection, t: Tables) -> int:
            connection.execute(sa.delete(t.sessions))
            with ThreadPoolExecutor(1) as pool:
                return len(pool.submit(store.list_sessions).result(10))

        assert store.database.run(read_meanwhile) == 1

    async def use() -> None:
        async with AsyncSQLConversationStore(path) as again:
            assert await again.database.run(pragmas) == wanted
            assert await again.database.read(pragmas) == wanted

    asyncio.run(use())
    with SQLConversationStore(path, synchronous="normal") as store:
        assert store.database.run(pragmas)["synchronous"] == 1


def test_a_writer_waits_for_the_lock_of_another_program(tmp_path: Path) -> None:
    """ "database is locked" reaches a caller who only came second."""
    path = tmp_path / "x.db"
    other = sa.create_engine(f"sqlite:///{path}", connect_args={"check_same_thread": False})
    with SQLConversationStore(path) as store, other.connect() as holder:
        store.create_session(ConversationSession(session_id="s"))
        holder.exec_driver_sql("BEGIN IMMEDIATE")
        with ThreadPoolExecutor(1) as pool:
            added = pool.submit(store.add_message, "s", message())
            assert store.count("s") == 0
            holder.exec_driver_sql("COMMIT")
            assert added.result(30).seq == 1
    with (
        SQLConversationStore(f"sqlite:///{path}?timeout=0.05", retry_delay=0.01) as store,
        other.connect() as holder,
    ):
        store.connect()
        holder.exec_driver_sql("BEGIN IMMEDIATE")
        with pytest.raises(UnavailableError, match="database is locked") as caught:
            store.add_message("s", message())
        assert caught.value.attempts == 4
        holder.exec_driver_sql("ROLLBACK")
        assert store.add_message("s", message()).seq == 2
    other.dispose()
