"""A Galera cluster under load: nodes are killed and rejoin, and nothing acknowledged is lost."""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa

from praison_persist.errors import UnavailableError
from praison_persist.models import ConversationMessage, ConversationSession
from praison_persist.sql import lease, migrate
from praison_persist.sql.schema import tables
from praison_persist.sql.stores import AsyncSQLConversationStore, SQLConversationStore

from .migrations.test_concurrent import run_rounds
from .services.galera import Galera, galera
from .writer import Writer, let_write

# The cluster is started for the first test that a process runs, which takes a while.
pytestmark = pytest.mark.timeout(300)
ROUNDS = 2
COUNT = 60  # messages of each writer


@pytest.fixture(scope="module")
def cluster() -> Iterator[Galera]:
    with galera() as running:
        running.nodes[0].ask("CREATE DATABASE agents")
        yield running


def urls_of(cluster: Galera, query: str = "") -> list[str]:
    """Return URLs of all nodes, one that begins with each."""
    nodes = cluster.nodes
    return [
        cluster.url("agents", nodes[first:] + nodes[:first], query) for first in range(len(nodes))
    ]


def message(content: str) -> ConversationMessage:
    return ConversationMessage(role="user", content=content)


def test_upgrades_through_several_nodes_at_once(cluster: Galera) -> None:
    """GET_LOCK is of one node: two programs that are deployed together create the same tables."""
    prefixes = [f"round{number}_" for number in range(ROUNDS)]
    context = multiprocessing.get_context("spawn")
    urls = urls_of(cluster)
    barrier, errors = context.Barrier(len(urls)), context.Queue()
    processes = [
        context.Process(target=run_rounds, args=(url, work, prefixes, barrier, errors))
        for url, work in zip(urls, ("upgrade", "first_use", "upgrade"), strict=True)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(240)
    found = []
    while not errors.empty():
        found.append(errors.get())
    errors.close()
    errors.join_thread()
    assert found == []
    for prefix in prefixes:
        assert migrate.check(urls[0], table_prefix=prefix) == []


def test_a_migration_lock_outlives_nobody(cluster: Galera, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that died while it migrated locks the tables for ever, or two have the lock."""
    first = cluster.nodes[0]
    url, ours = cluster.url("agents", [first]), tables("locked_")
    ((_, here),) = first.ask("SHOW STATUS LIKE 'wsrep_gcomm_uuid'")

    def hold(server: str) -> None:
        first.ask(
            f"UPDATE locked_migration_lock SET server = '{server}', beats = beats + 1",
            database="agents",
        )

    def one(connection: sa.Connection) -> int:
        return int(connection.execute(sa.select(1)).scalar_one())

    assert migrate.exclusively(url, ours, one) == 1
    hold(here)  # it cannot be alive: the node's own lock is free
    assert migrate.exclusively(url, ours, one) == 1
    hold("of another node")
    monkeypatch.setattr(lease, "_STALE_S", 0.2)
    assert migrate.exclusively(url, ours, one) == 1

    monkeypatch.setattr(lease, "_BEAT_S", 0)

    def lose(connection: sa.Connection) -> int:
        hold("of another node")
        return one(connection)

    with pytest.raises(UnavailableError, match="took it over"):
        migrate.exclusively(url, ours, lose)


@pytest.mark.parametrize("colour", ["sync", "async"])
def test_a_read_through_another_node_sees_the_write(cluster: Galera, colour: str) -> None:
    """A message that was acknowledged is missing, where a node is slow to apply it."""
    write_url, read_url, _ = urls_of(cluster)

    def read(session_id: str) -> int:
        if colour == "sync":
            with SQLConversationStore(read_url) as store:
                return store.count(session_id)

        async def count() -> int:
            async with AsyncSQLConversationStore(read_url) as store:
                return await store.count(session_id)

        return asyncio.run(count())

    with SQLConversationStore(write_url) as store, ThreadPoolExecutor(1) as thread:
        mine = store.create_session(ConversationSession()).session_id
        slow = cluster.nodes[1]
        with slow.paused():
            store.add_message(mine, message("seen"))
            query = f"SELECT count(*) FROM praison_messages WHERE session_id = '{mine}'"
            assert slow.ask(query, database="agents") == [(0,)]
            reading = thread.submit(read, mine)
            assert not reading.done()
        assert reading.result(60) == 1


def test_a_node_dies_under_load_and_rejoins(cluster: Galera) -> None:
    """A message is lost, doubled or out of order, or an error reaches its writer."""
    urls = urls_of(cluster)
    # In twos on a session, through different nodes: their commits conflict.
    sessions = ["a", "b", "c"]
    with SQLConversationStore(urls[0]) as store:
        for session_id in sessions:
            store.create_session(ConversationSession(session_id))
    writers = {
        f"{session_id}{number}": Writer(
            urls[(index + number) % 3], session_id, f"{session_id}{number}", COUNT, colour
        )
        for index, session_id in enumerate(sessions)
        for number, colour in enumerate(("sync", "async"))
    }
    let_write(list(writers.values()))
    acknowledged = {name: [writer.next() for _ in range(10)] for name, writer in writers.items()}
    victim = cluster.nodes[0]
    victim.kill()
    cluster.rejoin(victim)
    for name, writer in writers.items():
        assert [*acknowledged[name], *writer.end()] == [f"{name}/{n}" for n in range(COUNT)]
    for node in cluster.nodes:
        with SQLConversationStore(cluster.url("agents", [node])) as store:
            for session_id in sessions:
                assert_whole(store.get_messages(session_id), [f"{session_id}0", f"{session_id}1"])


def assert_whole(messages: Sequence[ConversationMessage], writers: Sequence[str]) -> None:
    """All that these writers wrote is there, once, without gaps, and in the order of each."""
    missing = {f"{w}/{n}" for w in writers for n in range(COUNT)} - {m.id for m in messages}
    assert not missing
    assert [m.seq for m in messages] == list(range(1, COUNT * len(writers) + 1))
    for writer in writers:
        mine = [m.id for m in messages if m.id.startswith(f"{writer}/")]
        assert mine == [f"{writer}/{n}" for n in range(COUNT)]


def test_a_node_without_a_majority_is_left(cluster: Galera) -> None:
    """A node that is cut off refuses all, and its connections are used again and again."""
    first = cluster.nodes[0]
    options: dict[str, Any] = {"pool_size": 1, "max_overflow": 0}
    alone = SQLConversationStore(cluster.url("agents", [first]), max_retries=1, **options)
    with SQLConversationStore(cluster.url("agents"), **options) as store, alone:
        mine = store.create_session(ConversationSession()).session_id
        assert alone.count(mine) == 0
        first.leave()
        try:
            store.add_message(mine, message("elsewhere"))
            assert [m.content for m in store.get_messages(mine)] == ["elsewhere"]
            with pytest.raises(UnavailableError, match="1047"):
                alone.count(mine)
        finally:
            first.return_()
