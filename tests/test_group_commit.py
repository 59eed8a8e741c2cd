"""What many append at once is one commit, and each is told what became of its own."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from praison_persist.errors import ConflictError, NotFoundError, PersistError, UnavailableError
from praison_persist.models import ConversationMessage, ConversationSession
from praison_persist.sql import group_commit
from praison_persist.sql.stores import AsyncSQLConversationStore, SQLConversationStore
from praison_persist.testing.contract import message

from .programs import ROOT
from .servers import OwnPostgres
from .test_costs import count_commits


@pytest.fixture
def path(sqlite_template: Path, tmp_path: Path) -> str:
    """A file with empty tables."""
    return shutil.copy(str(sqlite_template), str(tmp_path / "agent.db"))


@contextmanager
def _locked(path: str) -> Iterator[None]:
    """Hold the lock of a file's writers, so that callers gather."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")
        connection.close()


def _gathered(store: SQLConversationStore, count: int) -> None:
    """Wait until so many callers wait behind the one that leads."""
    commits = store.database.commits
    assert commits is not None
    deadline = time.monotonic() + 30
    while len(commits._queue) < count:
        assert time.monotonic() < deadline
        time.sleep(0.001)


def _outcome(store: SQLConversationStore, key: str, one: ConversationMessage) -> Any:
    try:
        return store.add_message(key, one).seq
    except PersistError as error:
        return type(error)


def test_who_waits_goes_with_the_next_commit(path: str) -> None:
    """Twenty threads wait for twenty commits."""
    with SQLConversationStore(path) as store, ThreadPoolExecutor(20) as threads:
        store.ensure_session(ConversationSession("s"))
        commits: list[str] = []
        count_commits(store.database, commits)
        with _locked(path):
            waiting = [threads.submit(_outcome, store, "s", message()) for _ in range(20)]
            _gathered(store, 19)
        assert sorted(w.result() for w in waiting) == list(range(1, 21))
        assert len(commits) == 2


def test_it_can_be_turned_off(path: str) -> None:
    """An option that is heeded nowhere."""
    with SQLConversationStore(path, group_commit=False) as store, ThreadPoolExecutor(4) as threads:
        store.ensure_session(ConversationSession("s"))
        commits: list[str] = []
        count_commits(store.database, commits)
        list(threads.map(lambda _: store.add_message("s", message()), range(12)))
        assert len(commits) == 12

    async def use() -> None:
        async with AsyncSQLConversationStore(path, group_commit=False) as store:
            await asyncio.gather(*(store.add_message("s", message()) for _ in range(12)))
            assert await store.count("s") == 24

    asyncio.run(use())


@pytest.mark.parametrize("server", ["path", "postgres_database", "mariadb_database"])
@pytest.mark.parametrize("colour", ["sync", "async"])
def test_one_at_fault_does_not_fail_its_neighbours(
    request: pytest.FixtureRequest, server: str, colour: str
) -> None:
    """A batch is rolled back, and with it what others were told is stored."""
    url = request.getfixturevalue(server)
    keys = [f"{colour}{number}" for number in range(4)]
    appends = [
        (keys[number % 4], message(str(number), id=f"{colour}/{number}")) for number in range(64)
    ]
    appends[7] = ("nobody", message("7"))
    appends[30] = (keys[2], message("other", id=f"{colour}/known"))
    appends[31] = (keys[2], message("known", id=f"{colour}/known"))
    with SQLConversationStore(url) as store:
        for key in keys:
            store.ensure_session(ConversationSession(key))
        store.add_message(keys[2], message("known", id=f"{colour}/known"))
        if colour == "sync":
            with ThreadPoolExecutor(64) as threads:
                outcomes = list(threads.map(lambda append: _outcome(store, *append), appends))
        else:

            async def use() -> list[Any]:
                async with AsyncSQLConversationStore(url) as native:
                    return await asyncio.gather(
                        *(native.add_message(key, one) for key, one in appends),
                        return_exceptions=True,
                    )

            outcomes = [
                one.seq if isinstance(one, ConversationMessage) else type(one)
                for one in asyncio.run(use())
            ]
        assert outcomes[7] is NotFoundError
        assert outcomes[30] is ConflictError
        assert outcomes[31] == 1
        del appends[30:32], outcomes[30:32], appends[7], outcomes[7]
        for key in keys:
            stored = store.get_messages(key)
            assert [m.seq for m in stored] == list(range(1, len(stored) + 1))
            told = {
                one.content: seq
                for (of, one), seq in zip(appends, outcomes, strict=True)
                if of == key
            }
            assert {m.content: m.seq for m in stored if m.content != "known"} == told


def test_the_same_message_from_all_at_once_is_one(path: str) -> None:
    """In one batch it meets itself."""
    with SQLConversationStore(path) as store, ThreadPoolExecutor(16) as threads:
        store.ensure_session(ConversationSession("s"))
        with _locked(path):
            waiting = [
                threads.submit(_outcome, store, "s", message("same", id="same")) for _ in range(16)
            ]
            _gathered(store, 15)
        assert {w.result() for w in waiting} == {1}
        assert store.count("s") == 1


def test_threads_and_tasks_of_one_file_share_commits(path: str) -> None:
    """The colours write past each other, and one waits for the other's lock."""

    async def use(store: SQLConversationStore, threads: ThreadPoolExecutor) -> None:
        async with AsyncSQLConversationStore(path) as native:
            await native.connect()
            commits: list[str] = []
            count_commits(store.database, commits)
            with _locked(path):
                waiting = [threads.submit(_outcome, store, "s", message()) for _ in range(10)]
                tasks = [
                    asyncio.ensure_future(native.add_message("s", message())) for _ in range(10)
                ]
                # Who leads is a thread, or tasks that began together.
                await asyncio.to_thread(_gathered, store, 10)
            found = [(await task).seq for task in tasks]
            found += [await asyncio.wrap_future(thread) for thread in waiting]
            assert sorted(seq or 0 for seq in found) == list(range(1, 21))
            assert len(commits) <= 3

    with SQLConversationStore(path) as store, ThreadPoolExecutor(10) as threads:
        store.ensure_session(ConversationSession("s"))
        asyncio.run(use(store, threads))


@pytest.mark.parametrize("server", ["path", "postgres_database", "mariadb_database"])
def test_cancelled_tasks_lose_nobody_elses_messages(
    request: pytest.FixtureRequest, server: str
) -> None:
    """A task that leads, or waits, is cancelled: the others wait for ever, or lose theirs."""
    url = request.getfixturevalue(server)
    key = f"cancelled-{server}"

    async def use() -> None:
        async with AsyncSQLConversationStore(url) as store:
            await store.ensure_session(ConversationSession(key))

            async def agent(name: int) -> list[str]:
                told = []
                for number in range(20):
                    one = f"{name}/{number}"
                    await store.add_message(key, message(one))
                    told.append(one)
                return told

            agents = [asyncio.ensure_future(agent(name)) for name in range(32)]
            for victim in agents[::2]:
                await asyncio.sleep(0.002)
                victim.cancel()
            ended = await asyncio.wait_for(
                asyncio.gather(*agents, return_exceptions=True), timeout=60
            )
            stored = [m async for m in store.iter_messages(key)]
            assert [m.seq for m in stored] == list(range(1, len(stored) + 1))
            contents = [m.content for m in stored]
            for name, told in enumerate(ended):
                mine = [one for one in contents if one and one.startswith(f"{name}/")]
                if isinstance(told, list):
                    assert mine == told == [f"{name}/{number}" for number in range(20)]
                else:  # what it was told, and perhaps the one that it was cancelled in
                    assert mine == [f"{name}/{number}" for number in range(len(mine))]

    asyncio.run(use())


def test_more_callers_than_places_are_all_served(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who finds the queue full is turned away, or forgotten."""
    monkeypatch.setattr(group_commit, "QUEUED_MAX", 8)
    monkeypatch.setattr("praison_persist.sql.group_commit_threads.QUEUED_MAX", 8)

    async def use(store: SQLConversationStore) -> None:
        async with AsyncSQLConversationStore(path) as native:
            commits = store.database.commits
            assert commits is not None
            with _locked(path):
                tasks = [
                    asyncio.ensure_future(native.add_message("s", message())) for _ in range(100)
                ]
                while commits._free:
                    await asyncio.sleep(0.001)
                await asyncio.sleep(0.05)
                assert not commits._queue  # eight are being written, and the others wait outside
            assert len(await asyncio.gather(*tasks)) == 100

    with SQLConversationStore(path) as store:
        store.ensure_session(ConversationSession("s"))
        asyncio.run(use(store))
        assert store.count("s") == 100


def test_a_child_of_a_fork_writes_on_its_own(path: str) -> None:
    """The child waits for a leader that is a thread of its parent."""
    with SQLConversationStore(path) as store, ThreadPoolExecutor(2) as threads:
        store.ensure_session(ConversationSession("s"))
        with _locked(path):
            waiting = [threads.submit(_outcome, store, "s", message("parent")) for _ in range(2)]
            _gathered(store, 1)
            child = os.fork()
            if child == 0:
                signal.alarm(60)
                commits = store.database.commits
                free = commits is not None and commits._free == 1 and not commits._queue
                os._exit(0 if free else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert sorted(w.result() for w in waiting) == [1, 2]


def test_an_interrupted_leader_tells_the_others(path: str) -> None:
    """Ctrl-C in the thread that writes for others leaves these waiting for ever."""
    program = """
import sys, threading, time
from praison_persist.errors import UnavailableError
from praison_persist.models import ConversationMessage, ConversationSession
from praison_persist.sql.stores import SQLConversationStore

import sqlite3
blocker = sqlite3.connect(sys.argv[1], isolation_level=None, check_same_thread=False)
with SQLConversationStore(sys.argv[1]) as store:
    store.ensure_session(ConversationSession("s"))
    blocker.execute("BEGIN IMMEDIATE")
    told = []
    def follow():
        try:
            told.append(store.add_message("s", ConversationMessage(role="user")).seq)
        except UnavailableError as error:
            told.append(type(error).__name__)
    followers = [threading.Thread(target=follow) for _ in range(4)]
    def later():
        while len(store.database.commits._queue) < 4:
            time.sleep(0.01)
        print("waiting", flush=True)
        sys.stdin.readline()
        blocker.execute("ROLLBACK")
    def start():
        while store.database.commits._free:
            time.sleep(0.01)
        for follower in followers:
            follower.start()
        threading.Thread(target=later).start()
    threading.Thread(target=start).start()
    try:
        store.add_message("s", ConversationMessage(role="user", id="leader"))
    except KeyboardInterrupt:
        print("interrupted", flush=True)
    for follower in followers:
        follower.join(60)
    assert len(told) == 4, told
    assert store.add_message("s", ConversationMessage(role="user", content="after")).seq
    print("went on", flush=True)
"""
    running = subprocess.Popen(
        [sys.executable, "-c", program, path],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with running:
        assert running.stdout is not None
        assert running.stdout.readline() == "waiting\n"
        running.send_signal(signal.SIGINT)
        out, errors = running.communicate("go\n", timeout=90)
    assert running.returncode == 0, errors
    assert out.splitlines()[-1] == "went on"


_LOAD = """
import asyncio, os, sys
from praison_persist.errors import PersistError
from praison_persist.models import ConversationMessage, ConversationSession
from praison_persist.sql.stores import AsyncSQLConversationStore, SQLConversationStore

url, colour, name = sys.argv[1:]

def tell(key):
    os.write(1, key.encode() + b"\\n")

def one(agent, number):
    key = f"{name}/{agent}/{number}"
    return ConversationMessage(id=key, role="user", content=key)

async def tasks():
    async with AsyncSQLConversationStore(url) as store:
        await store.connect()
        tell("ready")
        async def agent(index):
            for number in range(1_000_000):
                message = one(index, number)
                while True:
                    try:
                        await store.add_message(f"s{index % 16}", message)
                        break
                    except PersistError:
                        await asyncio.sleep(0.01)
                tell(message.id)
        await asyncio.gather(*(agent(index) for index in range(64)))

def threads():
    import threading, time
    with SQLConversationStore(url) as store:
        store.connect()
        tell("ready")
        def agent(index):
            for number in range(1_000_000):
                message = one(index, number)
                while True:
                    try:
                        store.add_message(f"s{index % 16}", message)
                        break
                    except PersistError:
                        time.sleep(0.01)
                tell(message.id)
        running = [threading.Thread(target=agent, args=(index,)) for index in range(64)]
        [thread.start() for thread in running]
        [thread.join() for thread in running]

asyncio.run(tasks()) if colour == "async" else threads()
"""


class _Load:
    """Sixty-four writers in a process of their own, and what they were told."""

    def __init__(self, url: str, colour: str, name: str) -> None:
        self.told: list[str] = []
        self._process = subprocess.Popen(
            [sys.executable, "-c", _LOAD, url, colour, name], cwd=ROOT, stdout=subprocess.PIPE
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                if line.endswith(b"\n"):  # a process that was killed may have begun another
                    self.told.append(line.decode().strip())

    def wait_for(self, count: int) -> None:
        """Wait until it was told so many more."""
        target, deadline = len(self.told) + count, time.monotonic() + 60
        while len(self.told) < target:
            assert time.monotonic() < deadline
            time.sleep(0.005)

    def kill(self) -> list[str]:
        """End it as the kernel would. Return what it was told."""
        self._process.kill()
        self._process.wait()
        self._reader.join()
        return self.told[1:]


def _check(store: SQLConversationStore, told: list[str]) -> None:
    """Nothing that was acknowledged is lost, doubled or out of order."""
    stored: list[str] = []
    for number in range(16):
        messages = list(store.iter_messages(f"s{number}"))
        assert [m.seq for m in messages] == list(range(1, len(messages) + 1))
        stored += [m.id for m in messages]
    assert len(set(stored)) == len(stored)
    assert set(told) <= set(stored)
    last: dict[str, int] = {}
    for key in stored:
        writer, _, count = key.rpartition("/")
        assert int(count) == last.get(writer, -1) + 1
        last[writer] = int(count)


@pytest.mark.parametrize("server", ["path", "postgres_database", "mariadb_database"])
@pytest.mark.parametrize("colour", ["sync", "async"])
def test_what_was_acknowledged_survives_the_death_of_its_process(
    request: pytest.FixtureRequest, server: str, colour: str
) -> None:
    """Callers are told before the commit that has their messages."""
    url = request.getfixturevalue(server)
    with SQLConversationStore(url) as store:
        for number in range(16):
            store.delete_session(f"s{number}")
            store.ensure_session(ConversationSession(f"s{number}"))
        told: list[str] = []
        for turn in range(3):
            load = _Load(url, colour, f"{colour}{turn}")
            try:
                load.wait_for(100 + 37 * turn)
            finally:
                told += load.kill()
            _check(store, told)


@pytest.mark.parametrize("colour", ["sync", "async"])
def test_what_was_acknowledged_survives_the_death_of_its_server(
    own_postgres: OwnPostgres, colour: str
) -> None:
    """A batch whose commit was not answered is counted as stored, or written twice."""
    with SQLConversationStore(own_postgres.url) as store:
        for number in range(16):
            store.delete_session(f"s{number}")
            store.ensure_session(ConversationSession(f"s{number}"))
        load = _Load(own_postgres.url, colour, colour)
        try:
            for _ in range(3):
                load.wait_for(300)
                own_postgres.stop()
                own_postgres.start()
            load.wait_for(300)
        finally:
            told = load.kill()
        _check(store, told)


def test_an_outage_is_everybodys_at_once(own_postgres: OwnPostgres) -> None:
    """Each of a batch finds out on its own, one after the other, that the server is away."""
    options: dict[str, Any] = {"max_retries": 1, "retry_delay": 0.01}
    with (
        SQLConversationStore(own_postgres.url, **options) as store,
        ThreadPoolExecutor(16) as threads,
    ):
        store.ensure_session(ConversationSession("s"))
        own_postgres.stop()
        started = time.monotonic()
        try:
            outcomes = list(threads.map(lambda _: _outcome(store, "s", message()), range(64)))
        finally:
            own_postgres.start()
        assert set(outcomes) == {UnavailableError}
        assert time.monotonic() - started < 30
        assert store.add_message("s", message()).seq == 1
