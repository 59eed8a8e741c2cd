"""`with db.turn(session_id)`: what a block reports of a session is one commit."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import uuid
from contextlib import suppress
from pathlib import Path

import pytest
from local_llm import LocalLLM

from praison_persist import PraisonAIDB, SQLiteConversationStore, UnavailableError, UnsupportedError
from praison_persist.sql.database import Database
from praison_persist.sql.stores import SQLConversationStore
from tests.programs import ROOT
from tests.test_costs import count_commits

from .conftest import Open
from .driving import ACHAT, CHAT, agent, say
from .stored import runs, said
from .test_outage import Behind, behind  # noqa: F401 - a fixture

WHOLE = ["user: Hello", "assistant: You said: Hello"]


def _database(db: PraisonAIDB) -> Database:
    store = db.conversation
    assert isinstance(store, SQLiteConversationStore)
    return store.database


def _report(db: PraisonAIDB, session_id: str, run_id: str = "r") -> None:
    """Report a turn as an Agent does."""
    db.on_run_start(session_id, run_id, "Hello")
    db.on_user_message(session_id, "Hello")
    db.on_tool_call(session_id, "add", {"a": 1}, 1)
    db.on_agent_message(session_id, "You said: Hello")
    db.on_run_end(session_id, run_id, "You said: Hello")


def test_a_turn_is_one_commit(db: PraisonAIDB, llm: LocalLLM) -> None:
    """A turn syncs the disk for each thing that is said in it."""
    db.on_agent_start("A", session_id="s")
    commits: list[str] = []
    count_commits(_database(db), commits)
    with db.turn("s"):
        _report(db, "s")
        assert commits == []
    assert len(commits) == 1
    _report(db, "s", "r2")
    assert [m.content for m in db.get_messages("s")][:4] == [
        m.content for m in db.get_messages("s")
    ][4:]
    (first, second) = db.get_runs("s")
    assert [m.content for m in first.messages] == [m.content for m in second.messages]
    assert [len(run.tool_calls) for run in (first, second)] == [1, 1]


@pytest.mark.parametrize("server", ["sqlite_url", "postgres_database", "mariadb_database"])
@pytest.mark.parametrize("mode", [CHAT, ACHAT])
def test_an_agents_turn_can_be_one_commit(
    request: pytest.FixtureRequest, open_db: Open, llm: LocalLLM, server: str, mode: str
) -> None:
    """What an Agent reports in a block is stored differently from what it reports outside."""
    db = open_db(request.getfixturevalue(server))
    inside, outside = uuid.uuid4().hex, uuid.uuid4().hex
    speaker = agent(db, session_id=inside)
    say(speaker, "Hello", mode)
    with db.turn(inside):
        say(speaker, 'TOOL add {"a":1}', mode)
    other = agent(db, session_id=outside)
    say(other, "Hello", mode)
    say(other, 'TOOL add {"a":1}', mode)
    assert said(db, inside) == said(db, outside)
    assert runs(db, inside) == runs(db, outside)


def test_async_blocks(db: PraisonAIDB) -> None:
    """The other colour gathers, and stores nothing."""

    async def use() -> None:
        await db.aon_agent_start("A", session_id="s")
        async with db.turn("s"):
            await db.aon_run_start("s", "r", "Hello")
            await db.aon_user_message("s", "Hello")
            await db.aon_agent_message("s", "You said: Hello")
            await db.aon_run_end("s", "r", "You said: Hello")
            with SQLConversationStore(_database(db).target.url) as other:
                assert other.count("s") == 0
        assert said(db, "s") == WHOLE
        (run,) = await db.aget_runs("s")
        assert run.status == "completed"

    asyncio.run(use())


def test_what_was_said_before_an_exception_is_kept(db: PraisonAIDB) -> None:
    """A turn that raises takes with it what the user said."""
    db.on_agent_start("A", session_id="s")
    with pytest.raises(ZeroDivisionError), db.turn("s"):
        db.on_user_message("s", "Hello")
        raise ZeroDivisionError
    assert [m.content for m in db.get_messages("s")] == ["Hello"]


def test_a_read_in_the_block_sees_what_was_said_in_it(db: PraisonAIDB) -> None:
    """An agent that reads its own session misses what it just said."""
    db.on_agent_start("A", session_id="s")
    with db.turn("s"):
        db.on_user_message("s", "Hello")
        assert [m.content for m in db.get_messages("s")] == ["Hello"]
        db.on_agent_message("s", "You said: Hello")
    assert said(db, "s") == WHOLE


def test_other_sessions_are_not_held_up(db: PraisonAIDB) -> None:
    """One agent's block delays what another's says."""
    for key in ("a", "b"):
        db.on_agent_start("A", session_id=key)
    with db.turn("a"):
        db.on_user_message("a", "Hello")
        db.on_user_message("b", "Hello")
        with SQLConversationStore(_database(db).target.url) as other:
            assert (other.count("a"), other.count("b")) == (0, 1)


def test_a_read_elsewhere_leaves_the_block_whole(db: PraisonAIDB) -> None:
    """Another task that reads any session stores half of this one's turn."""

    async def use() -> None:
        for key in ("a", "b"):
            await db.aon_agent_start("A", session_id=key)

        async def elsewhere() -> int:
            await db.aget_messages("a")
            await asyncio.to_thread(db.get_messages, "b")
            with SQLConversationStore(_database(db).target.url) as other:
                return other.count("a")

        other = asyncio.create_task(elsewhere())
        async with db.turn("a"):
            await db.aon_user_message("a", "Hello")
            assert await other == 0
        assert [m.content for m in await db.aget_messages("a")] == ["Hello"]

    asyncio.run(use())


def test_blocks_of_several_sessions_survive_an_outage(behind: Behind, open_db: Open) -> None:  # noqa: F811 - the fixture
    """What one block could not store takes the other's with it."""
    first, second = uuid.uuid4().hex, uuid.uuid4().hex
    db = open_db(behind.url, max_retries=0)
    for key in (first, second):
        db.on_agent_start("A", session_id=key)
    units = [db.turn(first), db.turn(second)]
    for key, unit in zip((first, second), units, strict=True):
        unit.__enter__()
        db.on_user_message(key, "Hello")
    behind.proxy.down()
    with pytest.raises(UnavailableError):
        db.get_messages(first)
    for unit in units:
        with suppress(UnavailableError):  # of the one that is gathered still
            unit.__exit__(None, None, None)
    behind.proxy.up()
    assert db.flush_pending_writes()
    for key in (first, second):
        assert [m.content for m in db.get_messages(key)] == ["Hello"]


def test_a_block_in_a_block_is_a_part_of_it(db: PraisonAIDB) -> None:
    """A helper's block stores the first half of its caller's."""
    db.on_agent_start("A", session_id="s")
    commits: list[str] = []
    count_commits(_database(db), commits)
    with db.turn("s"):
        with db.turn("s"):
            db.on_user_message("s", "Hello")
        assert commits == []
        db.on_agent_message("s", "You said: Hello")
    assert len(commits) == 1
    assert said(db, "s") == WHOLE


def test_a_message_that_is_stored_already_does_not_undo_the_block(db: PraisonAIDB) -> None:
    """One write of the block that finds its work done takes the others back."""
    db.on_agent_start("A", session_id="s")
    db.on_run_start("s", "r", "Hello")
    with db.turn("s"):
        db.on_run_start("s", "r", "Hello")
        db.on_user_message("s", "Hello")
        db.on_agent_message("s", "You said: Hello")
        db.on_run_end("s", "r", "You said: Hello")
    assert said(db, "s") == WHOLE
    (run,) = db.get_runs("s")
    assert (run.run_id, run.status) == ("r", "completed")


def test_an_outage_at_the_end_of_a_block(behind: Behind, open_db: Open) -> None:  # noqa: F811 - the fixture
    """The whole turn is lost, or half of it is written when the database is back."""
    key = uuid.uuid4().hex
    db = open_db(behind.url, max_retries=0)
    db.on_agent_start("A", session_id=key)
    unit = db.turn(key)
    with pytest.raises(UnavailableError), unit:
        _report(db, key)
        behind.proxy.down()
    assert db.health().pending_writes == 1
    behind.proxy.up()
    assert db.flush_pending_writes()
    assert len(db.get_messages(key)) == 4
    (run,) = db.get_runs(key)
    assert run.status == "completed"


def test_a_process_that_dies_in_a_block_leaves_nothing_of_it(
    sqlite_url: str, tmp_path: Path
) -> None:
    """Half a turn is stored, which no resume can make sense of."""
    program = """
import os, sys
from praison_persist import db
store = db(sys.argv[1])
store.on_agent_start("A", session_id="s")
with store.turn("s"):
    store.on_user_message("s", "Hello")
    os._exit(9)
"""
    ended = subprocess.run([sys.executable, "-c", program, sqlite_url], cwd=ROOT, check=False)
    assert ended.returncode == 9
    connection = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))
    assert connection.execute("SELECT count(*) FROM praison_messages").fetchone() == (0,)
    connection.close()


def test_stores_that_cannot_commit_together_say_so(open_db: Open, tmp_path: Path) -> None:
    """A block that promises one commit writes as ever."""
    db = open_db(f"json:{tmp_path / 'folder'}")
    with pytest.raises(UnsupportedError, match="one SQL database"):
        db.turn("s")
