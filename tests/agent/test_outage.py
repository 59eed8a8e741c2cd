"""While its database is away an agent answers; what it says is stored once, when it is back."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa
from local_llm import LocalLLM

import praison_persist
from praison_persist import PraisonAIDB, UnavailableError

from .conftest import Open
from .driving import ACHAT, CHAT, ITER_STREAM, USER, agent, say
from .processes import run
from .proxy import Proxy
from .stored import calls, runs, said

HELLO = ["user: Hello", "assistant: You said: Hello"]
SUM = [
    'user: TOOL add {"a":1}',
    'call: add {"a": 1}',
    "result: 1",
    "assistant: TOOL RESULT: 1",
]


@dataclass
class Behind:
    """A database behind a proxy."""

    proxy: Proxy
    url: str
    direct: str


@pytest.fixture(params=["postgres_database", "mariadb_database"])
def behind(request: pytest.FixtureRequest) -> Iterator[Behind]:
    direct = sa.make_url(request.getfixturevalue(request.param))
    assert direct.port is not None
    with Proxy(direct.port) as proxy:
        url = direct.set(host="127.0.0.1", port=proxy.port)
        yield Behind(
            proxy,
            url.render_as_string(hide_password=False),
            direct.render_as_string(hide_password=False),
        )


@pytest.fixture
def session_id() -> str:
    return uuid.uuid4().hex


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what this package has logged as an error."""
    return [
        record.getMessage()
        for record in caplog.records
        if record.levelno >= logging.ERROR and record.name.startswith("praison_persist")
    ]


@pytest.mark.parametrize("mode", [CHAT, ACHAT, ITER_STREAM])
def test_an_outage_between_turns(
    behind: Behind,
    open_db: Open,
    llm: LocalLLM,
    session_id: str,
    mode: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    # A try that took long would put off the next one; a busy machine makes several tries long.
    db = open_db(behind.url, max_retries=0)
    speaker = agent(db, session_id=session_id)
    say(speaker, "Hello", mode)
    assert db.health().ok
    behind.proxy.down()
    assert say(speaker, "Hello", mode) == "You said: Hello"
    assert say(speaker, 'TOOL add {"a":1}', mode) == "TOOL RESULT: 1"
    (error,) = errors(caplog)
    assert "kept in memory" in error
    health = db.health()
    assert (health.ok, health.dropped_writes) == (False, 0)
    assert health.pending_writes >= 4
    assert health.since is not None
    assert health.since <= time.time()
    behind.proxy.up()
    say(speaker, "Hello", mode)
    health = db.health()
    assert (health.ok, health.pending_writes, health.last_error) == (True, 0, None)
    assert said(db, session_id) == [*HELLO, *HELLO, *SUM, *HELLO]
    assert [status for status, *_ in runs(db, session_id)] == ["completed"] * 4
    assert [told for *_, told in runs(db, session_id)] == [HELLO, HELLO, SUM, HELLO]
    assert calls(db, session_id) == [("add", {"a": 1}, 1, None)]
    assert len(errors(caplog)) == 1


@pytest.mark.parametrize("mode", [CHAT, ACHAT])
def test_an_outage_from_the_start(
    behind: Behind, open_db: Open, llm: LocalLLM, session_id: str, mode: str
) -> None:
    """Whose session it is would be lost with the first hook, which only reads otherwise."""
    behind.proxy.down()
    db = open_db(behind.url)
    speaker = agent(db, session_id=session_id)
    assert say(speaker, "Hello", mode) == "You said: Hello"
    behind.proxy.up()
    assert db.flush_pending_writes()
    assert said(db, session_id) == HELLO
    session = db.get_session(session_id)
    assert session is not None
    assert (session.user_id, session.agent_id) == (USER, "Ada")


def test_cut_connections_are_no_outage(
    behind: Behind,
    open_db: Open,
    llm: LocalLLM,
    session_id: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """As after a restart of the server: each pooled connection is dead, and replaced."""
    db = open_db(behind.url)
    speaker = agent(db, session_id=session_id)
    for mode in (CHAT, ACHAT) * 2:
        say(speaker, "Hello", mode)
        behind.proxy.cut()
    assert said(db, session_id) == HELLO * 4
    assert errors(caplog) == []


def test_what_waits_is_stored_at_close(
    behind: Behind, llm: LocalLLM, session_id: str, open_db: Open
) -> None:
    db = praison_persist.db(behind.url)
    speaker = agent(db, session_id=session_id)
    say(speaker, "Hello")
    behind.proxy.down()
    say(speaker, "Hello")
    behind.proxy.up()
    db.close()
    db.close()
    assert said(open_db(behind.direct), session_id) == HELLO * 2


@pytest.mark.parametrize("how", ["close", "aclose"])
def test_closing_during_an_outage_says_what_is_lost(
    behind: Behind, llm: LocalLLM, session_id: str, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    db = praison_persist.db(behind.url)
    speaker = agent(db, session_id=session_id)
    say(speaker, "Hello")
    behind.proxy.down()
    say(speaker, "Hello")
    waiting = db.health().pending_writes
    caplog.clear()
    with pytest.raises(UnavailableError):
        if how == "close":
            db.close()
        else:
            asyncio.run(db.aclose())
    (error,) = errors(caplog)
    assert error.startswith(f"{waiting} writes are lost")
    assert db.health().dropped_writes == waiting
    db.close()


def test_an_unreachable_database_is_reported_where_it_is_used(
    behind: Behind, open_db: Open, session_id: str
) -> None:
    behind.proxy.down()
    db = open_db(behind.url)
    with pytest.raises(UnavailableError, match="unavailable"):
        db.on_agent_start("Ada", session_id)
    with pytest.raises(UnavailableError):
        db.on_user_message(session_id, "Hello")
    with pytest.raises(UnavailableError):
        db.get_messages(session_id)
    with pytest.raises(UnavailableError):
        asyncio.run(db.aon_agent_message(session_id, "You said: Hello"))
    with pytest.raises(UnavailableError):
        db.connect()
    assert not db.flush_pending_writes()
    assert not db.check_schema_compatibility()[0]
    behind.proxy.up()
    assert db.flush_pending_writes()
    assert said(db, session_id) == HELLO


def test_strict_reports_it_at_once(behind: Behind) -> None:
    behind.proxy.down()
    with pytest.raises(UnavailableError):
        praison_persist.db(behind.url, strict=True)


def test_strict_connects_at_once(behind: Behind) -> None:
    praison_persist.db(behind.url, strict=True).close()
    for backend in ("async_postgres", "async_mysql"):
        if (backend == "async_postgres") == behind.url.startswith("postgresql"):
            db = praison_persist.db(behind.url, database_backend=backend, strict=True)
            db.close()


def test_many_threads_wait_for_one_try_and_not_for_each_others(
    behind: Behind, open_db: Open, session_id: str
) -> None:
    db = open_db(behind.url, max_retries=1, retry_delay=0.4)
    db.on_user_message(session_id, "before")
    behind.proxy.down()

    def speak(number: int) -> None:
        with pytest.raises(UnavailableError):
            db.on_user_message(session_id, f"{number}")

    speak(0)
    threads = [threading.Thread(target=speak, args=(number,)) for number in range(1, 13)]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # One after the other would be 12 tries of at least 0.2 s each.
    assert time.monotonic() - started < 2.0
    behind.proxy.up()
    assert db.flush_pending_writes()
    told = said(db, session_id)
    assert told[:2] == ["user: before", "user: 0"]
    assert sorted(told[2:]) == sorted(f"user: {number}" for number in range(1, 13))


def test_threads_and_tasks_store_each_thing_once_through_an_outage(
    behind: Behind, open_db: Open, session_id: str
) -> None:
    """Connections are cut at random; every message of every speaker is there once, in its order."""
    db = open_db(behind.url, max_retries=1, retry_delay=0.01)
    names = [f"{session_id}-{number}" for number in range(6)]
    stop = threading.Event()

    def sync_speaker(name: str) -> None:
        for number in range(12):
            try:
                db.on_user_message(name, f"{number}", {})
            except UnavailableError:
                time.sleep(0.005)

    async def async_speakers(speakers: list[str]) -> None:
        async def speak(name: str) -> None:
            for number in range(12):
                try:
                    await db.aon_user_message(name, f"{number}", {})
                except UnavailableError:
                    await asyncio.sleep(0.005)

        await asyncio.gather(*map(speak, speakers))

    def trouble() -> None:
        while not stop.wait(0.03):
            behind.proxy.down()
            stop.wait(0.05)
            behind.proxy.up()

    for name in names:
        db.on_agent_start("Ada", name)
    threads = [threading.Thread(target=sync_speaker, args=(name,)) for name in names[:3]]
    threads.append(threading.Thread(target=lambda: asyncio.run(async_speakers(names[3:]))))
    saboteur = threading.Thread(target=trouble)
    saboteur.start()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stop.set()
    saboteur.join()
    behind.proxy.down()
    behind.proxy.up()
    assert db.flush_pending_writes()
    for name in names:
        assert said(db, name) == [f"user: {number}" for number in range(12)]


AT_EXIT = """
    from praison_persist import UnavailableError, db

    keeper = db(sys.argv[1], max_retries=0)
    try:
        keeper.on_user_message("s", "Hello")
    except UnavailableError:
        print("away")
"""


def test_a_process_that_ends_in_an_outage_says_what_is_lost(tmp_path: Path) -> None:
    """It neither closed its adapter nor raised."""
    output, logged = run(AT_EXIT, "postgresql://postgres@127.0.0.1:9/none")
    assert output == "away\n"
    assert "1 writes are lost" in logged


def test_an_outage_of_a_file(tmp_path: Path, llm: LocalLLM, open_db: Open) -> None:
    """The directory of an SQLite file is not there yet."""
    folder = tmp_path / "later"
    db = open_db(f"sqlite:///{folder / 'agent.db'}")
    speaker = agent(db)
    assert say(speaker, "Hello") == "You said: Hello"
    assert not db.health().ok
    folder.mkdir()
    say(speaker, "Hello")
    assert said(db) == HELLO * 2
    assert db.health().ok


def test_health_of_an_adapter_that_was_not_used(db: PraisonAIDB) -> None:
    health = db.health()
    assert (health.ok, health.pending_writes, health.dropped_writes) == (True, 0, 0)
    assert (health.last_error, health.since) == (None, None)
    assert db.flush_pending_writes(timeout=0.0)
