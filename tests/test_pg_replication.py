"""A PostgreSQL primary with a standby: reads from the standby, and its promotion under load."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from praison_persist import db
from praison_persist._adapt import blocking
from praison_persist.models import ConversationMessage, ConversationSession, Trace
from praison_persist.newest import newest
from praison_persist.protocols import ConversationStore
from praison_persist.sql.stores import AsyncSQLConversationStore, SQLConversationStore

from .servers import free_port
from .services.pg_replication import Replication, replication
from .test_galera import COUNT, assert_whole
from .writer import Writer, let_write

DRIVERS = ["psycopg", "asyncpg"]


@pytest.fixture(scope="module")
def pair() -> Iterator[Replication]:
    with replication() as running:
        with SQLConversationStore(running.primary.url) as store:
            store.connect()
        running.catch_up()
        yield running


def message(content: str = "", **fields: Any) -> ConversationMessage:
    return ConversationMessage(role="user", content=content, **fields)


def opened(pair: Replication, driver: str, **options: Any) -> Any:
    """Return a store of the pair, of either colour, that reads from the standby."""
    url = pair.url(f"postgresql+{driver}")
    options = {"replica_url": pair.standby.url, "touch_interval": 0, **options}
    if driver == "psycopg":
        return SQLConversationStore(url, **options)
    return blocking(AsyncSQLConversationStore(url, **options), ConversationStore)


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_session_is_read_as_it_was_written(pair: Replication, driver: str) -> None:
    """What was just written is missing from the next read, because the standby is behind."""
    with opened(pair, driver) as store:
        mine = store.create_session(ConversationSession()).session_id
        other = store.create_session(ConversationSession()).session_id
        assert (store.count(mine), store.count(other)) == (0, 0)  # from the primary
        pair.catch_up()
        with pair.replay_paused():
            for number in (1, 2, 3):
                store.add_message(mine, message(str(number)))
                assert [m.seq for m in store.get_messages(mine)] == list(range(1, number + 1))
                assert store.count(mine) == number
                assert store.list_sessions(limit=None)[0].session_id == mine
            # The standby answers where this process wrote nothing lately: it does not know more.
            with SQLConversationStore(pair.primary.url) as elsewhere:
                elsewhere.add_message(other, message("unseen"))
            assert store.count(other) == 0
            with newest():
                assert store.count(other) == 1
        pair.catch_up()
        assert (store.count(mine), store.count(other)) == (3, 1)


@pytest.mark.parametrize("driver", DRIVERS)
def test_what_many_stores_write_is_seen_by_all(pair: Replication, driver: str) -> None:
    """The other colour of an adapter, or a second store, reads what was before the write."""
    with opened(pair, "psycopg") as writing, opened(pair, driver) as reading:
        mine = writing.create_session(ConversationSession()).session_id
        reading.get_session(mine)
        pair.catch_up()
        with pair.replay_paused():
            writing.add_message(mine, message())
            assert reading.count(mine) == 1


def test_an_agent_is_handed_the_newest(pair: Replication) -> None:
    """An agent resumes without what another process stored a moment before."""
    url = pair.url()
    with pair.replay_paused():
        with SQLConversationStore(pair.primary.url) as elsewhere:
            mine = elsewhere.create_session(ConversationSession()).session_id
            elsewhere.add_message(mine, message("from elsewhere"))
        adapter = db(url, replica_url=pair.standby.url)
        try:
            adapter.connect()
            assert adapter.get_messages(mine) == []  # a query, which the standby answers
            assert [m.content for m in adapter.on_agent_start("a", mine)] == ["from elsewhere"]
            assert [m.content for m in asyncio.run(adapter.aon_agent_start("a", mine))] == [
                "from elsewhere"
            ]
        finally:
            adapter.close()


def test_traces_are_read_as_they_were_written(pair: Replication) -> None:
    """A write that is about no session is forgotten."""
    with SQLConversationStore(pair.primary.url, replica_url=pair.standby.url) as store:
        store.connect()
        with pair.replay_paused():
            store.runs.add_trace(Trace("t1", session_id="s1", started_at=1.0))
            assert [t.trace_id for t in store.runs.get_traces(session_id="s1")] == ["t1"]


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_replica_that_is_away_is_done_without(
    pair: Replication, driver: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Reads fail, or each of them waits for a host that is not there, or nobody is told."""
    away = f"postgresql://postgres:5ecret@127.0.0.1:{free_port()}/postgres"
    with opened(pair, driver, replica_url=away) as store, caplog.at_level(logging.WARNING):
        mine = store.create_session(ConversationSession()).session_id
        assert store.count(mine) == 0
        assert [store.count("unknown") for _ in range(5)] == [0] * 5
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 1
    assert "the primary answers" in told[0]
    assert "5ecret" not in told[0]


class Repair(logging.Handler):
    """Lets a read-only primary take writes when a store has been refused twice."""

    def __init__(self, pair: Replication) -> None:
        super().__init__()
        self.pair, self.told = pair, 0

    def emit(self, record: logging.LogRecord) -> None:
        self.told += 1
        if self.told == 2:
            self.pair.take_writes()


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_primary_that_is_read_only_is_left(pair: Replication, driver: str) -> None:
    """Its connections are used again and again, though it takes writes no more."""
    logger, repair = logging.getLogger("praison_persist.sql.database"), Repair(pair)
    with opened(pair, driver, pool_size=1, max_overflow=0) as store:
        mine = store.create_session(ConversationSession()).session_id
        written = 0
        logger.addHandler(repair)
        try:
            pair.refuse_writes()
            # The server tells its sessions when it likes to: some writes may still go through.
            while not repair.told:
                written += 1
                assert store.add_message(mine, message()).seq == written
        finally:
            logger.removeHandler(repair)
            pair.take_writes()
        # The connection was given up, and the next one was refused as no primary's.
        assert repair.told >= 2


@pytest.mark.timeout(300)
def test_a_standby_is_promoted_under_load() -> None:
    """A message is lost, doubled or out of order, or an error reaches its writer."""
    with replication() as own, opened(own, "psycopg") as reading:
        with SQLConversationStore(own.url()) as store:
            store.create_session(ConversationSession("s"))
        reading.connect()
        kinds = [("psycopg", "sync"), ("asyncpg", "async"), ("psycopg", "async")]
        writers = {
            f"{driver}-{colour}": Writer(
                own.url(f"postgresql+{driver}"), "s", f"{driver}-{colour}", COUNT, colour
            )
            for driver, colour in kinds
        }
        let_write(list(writers.values()))
        acknowledged = {
            name: [writer.next() for _ in range(10)] for name, writer in writers.items()
        }
        own.primary.kill()
        assert reading.count("s") >= 10 * len(writers)
        own.fail_over()
        for name, writer in writers.items():
            assert [*acknowledged[name], *writer.end()] == [f"{name}/{n}" for n in range(COUNT)]
        with SQLConversationStore(own.standby.url) as store:
            assert_whole(store.get_messages("s"), list(writers))
