"""Runs, traces and state in a store of their own: what is read back is what SQL would give."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from local_llm import LocalLLM

import praison_persist
from praison_persist import PraisonAIDB
from praison_persist._adapt import offload
from praison_persist.errors import ConfigurationError, InvalidDataError, UnavailableError
from praison_persist.protocols import AsyncStateStore
from praison_persist.state.memory import MemoryStateStore
from tests.state.services import namespace

from .conftest import Open
from .driving import ACHAT, CHAT, ITER_STREAM, SESSION, USER, agent, say
from .stored import calls, runs, said, sent, spans

PROMPT = 'TOOL add {"a":1}'


@pytest.fixture(params=["memory", "redis", "sqlite", "a store", "an async store"])
def apart(
    request: pytest.FixtureRequest, open_db: Open, sqlite_template: Path, tmp_path: Path
) -> Iterator[PraisonAIDB]:
    """An adapter whose runs, traces and state are kept in a store of their own."""
    kind: str = request.param
    if kind == "redis":
        with namespace() as (url, prefix):
            yield open_db(state_url=url, state_options={"prefix": prefix})
        return
    if kind == "sqlite":
        shutil.copy(sqlite_template, tmp_path / "state.db")
        yield open_db(state_url=f"sqlite:///{tmp_path / 'state.db'}")
        return
    store: Any = MemoryStateStore()
    if kind == "an async store":
        store = offload(store, AsyncStateStore)
    yield open_db(state_url="memory://" if kind == "memory" else store)


@pytest.mark.parametrize("mode", [CHAT, ACHAT, ITER_STREAM])
def test_a_conversation_has_the_runs_and_traces_it_has_in_sql(
    apart: PraisonAIDB, db: PraisonAIDB, llm: LocalLLM, mode: str
) -> None:
    for adapter in (apart, db):
        speaker = agent(adapter, session_id="one")
        for prompt in (PROMPT, "Bye"):
            say(speaker, prompt, mode)
    for read in (said, runs, calls, spans):
        assert read(apart, "one") == read(db, "one"), read.__name__


def test_runs_are_not_in_the_sql_tables(apart: PraisonAIDB, llm: LocalLLM, open_db: Open) -> None:
    say(agent(apart), PROMPT)
    assert [run[0] for run in runs(apart)] == ["completed"]
    beside = open_db()
    assert said(beside) == said(apart)
    assert [runs(beside), calls(beside), beside.get_traces(SESSION)] == [[], [], []]


def test_a_failed_turn_is_hidden_on_resume(apart: PraisonAIDB, llm: LocalLLM) -> None:
    say(agent(apart), "Hello")
    say(agent(apart), "FAIL400", CHAT)
    say(agent(apart), "Again")
    assert not any("FAIL400" in line for line in sent(llm))
    assert [run[0] for run in runs(apart)] == ["completed", "error", "completed"]


def test_what_is_known_of_the_agent(apart: PraisonAIDB, llm: LocalLLM) -> None:
    assert apart.get_agent_state(SESSION) is None
    apart.on_agent_start("Ada", SESSION, USER, {"role": "r"})
    started = apart.get_agent_state(SESSION)
    assert started is not None
    assert (started["agent_name"], started["status"]) == ("Ada", "started")
    apart.on_agent_end(SESSION, {"mood": "good"})
    ended = asyncio.run(apart.aget_agent_state(SESSION))
    assert ended is not None
    assert ended["status"] == "ended"
    assert ended["ended_at"] >= started["started_at"]
    assert ended["metadata"].items() >= {"role": "r", "mood": "good"}.items()
    apart.on_agent_start("Ada", SESSION, USER)
    resumed = apart.get_agent_state(SESSION)
    assert resumed is not None
    assert (resumed["status"], resumed["ended_at"]) == ("started", None)


def test_deleting_a_session_deletes_what_is_kept_apart(apart: PraisonAIDB, llm: LocalLLM) -> None:
    for session_id in (SESSION, "other"):
        say(agent(apart, session_id=session_id), PROMPT)
        apart.update_state(session_id, {"step": 1, "user:name": "Ada", "app:theme": "dark"})
    assert apart.delete_session(SESSION)
    assert not asyncio.run(apart.adelete_session(SESSION))
    assert [runs(apart), calls(apart), apart.get_traces(SESSION)] == [[], [], []]
    assert apart.get_agent_state(SESSION) is None
    assert apart.get_state(SESSION) == {"app:theme": "dark"}
    assert len(runs(apart, "other")) == 1
    assert apart.get_state("other") == {"app:theme": "dark", "user:name": "Ada", "step": 1}


def test_an_export_has_all_of_it_and_goes_anywhere(
    apart: PraisonAIDB, llm: LocalLLM, open_db: Open, tmp_path: Path
) -> None:
    speaker = agent(apart)
    for prompt in (PROMPT, "Bye"):
        say(speaker, prompt)
    export = apart.export_session(SESSION)
    in_sql = open_db(f"sqlite:///{tmp_path / 'sql.db'}")
    elsewhere = open_db(f"sqlite:///{tmp_path / 'elsewhere.db'}", state_url="memory://")
    for target in (in_sql, elsewhere):
        for _ in range(2):
            assert target.import_session(export) == SESSION
        for read in (said, runs, calls, spans):
            assert read(target) == read(apart)
    again = asyncio.run(in_sql.aexport_session(SESSION))
    back = open_db(f"sqlite:///{tmp_path / 'back.db'}", state_url="memory://")
    asyncio.run(back.aimport_session(again))
    assert back.get_runs(SESSION) == in_sql.get_runs(SESSION)
    assert back.get_traces(SESSION) == in_sql.get_traces(SESSION)
    say(agent(back), "More")
    assert [run[0] for run in runs(back)] == ["completed"] * 3


class TestScopes:
    """State of a session, of its user in all sessions, of the app for all users."""

    @pytest.fixture(params=["beside the conversation", "apart"])
    def db(self, request: pytest.FixtureRequest, open_db: Open) -> PraisonAIDB:
        return open_db() if request.param != "apart" else open_db(state_url="memory://")

    @pytest.fixture(autouse=True)
    def _sessions(self, db: PraisonAIDB) -> None:
        for session_id, user_id in (("s1", "ada"), ("s2", "ada"), ("s3", "bob"), ("s4", None)):
            db.on_agent_start("Ada", session_id, user_id)

    def test_each_scope_is_seen_where_it_should(self, db: PraisonAIDB) -> None:
        db.update_state("s1", {"step": 1, "user:name": "Ada", "app:theme": "dark"})
        assert db.get_state("s1") == {"step": 1, "user:name": "Ada", "app:theme": "dark"}
        assert db.get_state("s2") == {"user:name": "Ada", "app:theme": "dark"}
        assert db.get_state("s3") == {"app:theme": "dark"}
        assert db.get_state("s4") == {"app:theme": "dark"}
        assert db.get_state("unknown", user_id="ada") == db.get_state("s2")

    def test_a_merge_leaves_other_names_alone(self, db: PraisonAIDB) -> None:
        db.update_state("s1", {"a": 1, "user:a": 1})
        asyncio.run(db.aupdate_state("s1", {"b": {"x": None}, "user:b": 2}))
        assert db.get_state("s1") == {"a": 1, "b": {"x": None}, "user:a": 1, "user:b": 2}
        assert db.delete_state("s1", "a", "user:a", "app:none") == 2
        assert asyncio.run(db.adelete_state("s1", "b")) == 1
        assert asyncio.run(db.aget_state("s2")) == {"user:b": 2}

    def test_who_sets_other_names_at_the_same_time_loses_nothing(self, db: PraisonAIDB) -> None:
        def work(number: int) -> None:
            for step in range(5):
                db.update_state(f"s{number % 2 + 1}", {f"n{number}": step, f"user:n{number}": step})

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(work, range(8)))
        users = {f"user:n{number}": 4 for number in range(8)}
        for session_id, parity in (("s1", 0), ("s2", 1)):
            own = {f"n{number}": 4 for number in range(8) if number % 2 == parity}
            assert db.get_state(session_id) == own | users

    def test_names_that_look_like_a_scope(self, db: PraisonAIDB) -> None:
        names = {"session:user:x": 1, "other:y": 2, "a:b:c": 3, "user:app:z": 4}
        db.update_state("s1", names)
        assert db.get_state("s1") == names
        db.update_state("s1", {"session:plain": 5})
        assert db.get_state("s1") == names | {"plain": 5}

    def test_a_user_that_is_not_known_is_told_and_nothing_is_changed(self, db: PraisonAIDB) -> None:
        with pytest.raises(InvalidDataError, match="pass user_id="):
            db.update_state("s4", {"a": 1, "user:name": "?"})
        assert db.get_state("s4") == {}
        db.update_state("s4", {"user:name": "Bob"}, user_id="bob")
        assert db.get_state("s3") == {"user:name": "Bob"}
        with pytest.raises(InvalidDataError):
            db.update_state("s1", {"a": object()})

    def test_apps_do_not_share_state(self, open_db: Open, db: PraisonAIDB) -> None:
        here, there = open_db(app_name="here"), open_db(app_name="there")
        here.update_state("s1", {"app:x": 1, "user:y": 2}, user_id="ada")
        assert there.get_state("s1", user_id="ada") == {}
        assert here.get_state("s9", user_id="ada") == {"app:x": 1, "user:y": 2}


def test_the_state_store_itself(open_db: Open) -> None:
    with open_db() as db:
        db.state_store.set("k", [1])
        assert asyncio.run(db.astate_store.get("k")) == [1]
    with open_db(state_url="memory://") as db:
        asyncio.run(db.astate_store.set("k", 2))
        assert db.state_store.get("k") == 2


def test_what_is_no_state_store_is_refused(open_db: Open) -> None:
    for wrong in (object(), {}, 5):
        with pytest.raises(ConfigurationError, match="no state store"):
            open_db(state_url=wrong)
    with pytest.raises(ConfigurationError, match="exists already"):
        open_db(state_url=MemoryStateStore(), state_backend="memory")
    with pytest.raises(UnavailableError):
        praison_persist.db(
            "sqlite://",
            state_url="redis://127.0.0.1:1",
            state_options={"max_retries": 0},
            strict=True,
        )


def test_a_state_store_that_is_down_is_waited_for(sqlite_url: str, llm: LocalLLM) -> None:
    """The agent answers; what could not be stored is kept, and said."""
    db = praison_persist.db(
        sqlite_url, state_url="redis://127.0.0.1:1", state_options={"max_retries": 0}
    )
    assert say(agent(db), "Hello") == "You said: Hello"
    assert not db.health().ok
    assert db.health().pending_writes
    with pytest.raises(UnavailableError):
        db.close()
