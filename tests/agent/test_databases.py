"""The same turns on each database, from sync and async code, event loops and threads."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from local_llm import LocalLLM

import praison_persist
from praison_persist import PraisonAIDB

from .conftest import Open
from .driving import ACHAT, CHAT, ITER_STREAM, LITELLM, OPENAI, agent, say
from .stored import calls, runs, said, sent

SQLITE, POSTGRESQL, MARIADB = "sqlite", "postgresql", "mariadb"
DATABASES = (SQLITE, POSTGRESQL, MARIADB)
# Of each database, the backend whose store is asynchronous.
ASYNC_BACKENDS = {
    SQLITE: "async_sqlite",
    POSTGRESQL: "async_postgres",
    MARIADB: "async_mysql",
}

HELLO = ["user: Hello", "assistant: You said: Hello"]
SUM = [
    'user: TOOL add {"a":1}',
    'call: add {"a": 1}',
    "result: 1",
    "assistant: TOOL RESULT: 1",
]


@pytest.fixture(params=DATABASES)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def url(request: pytest.FixtureRequest, kind: str) -> str:
    """A database of this kind; a server's is shared by the module."""
    fixtures = {
        SQLITE: "sqlite_url",
        POSTGRESQL: "postgres_database",
        MARIADB: "mariadb_database",
    }
    return str(request.getfixturevalue(fixtures[kind]))


@pytest.fixture
def session_id() -> str:
    return uuid.uuid4().hex


@pytest.fixture(params=["the URL", "an async backend"])
def adapter(request: pytest.FixtureRequest, kind: str, url: str) -> Iterator[PraisonAIDB]:
    options = {"database_backend": ASYNC_BACKENDS[kind]} if request.param != "the URL" else {}
    with praison_persist.db(url, **options) as made:
        yield made


@pytest.mark.parametrize(
    ("client", "mode"), [(OPENAI, CHAT), (OPENAI, ACHAT), (OPENAI, ITER_STREAM), (LITELLM, ACHAT)]
)
def test_turns_are_kept_and_resumed(
    adapter: PraisonAIDB,
    open_db: Open,
    llm: LocalLLM,
    url: str,
    session_id: str,
    client: str,
    mode: str,
) -> None:
    speaker = agent(adapter, client=client, session_id=session_id)
    for prompt in ("Hello", 'TOOL add {"a":1}', "FAIL400"):
        say(speaker, prompt, mode)
    assert said(adapter, session_id) == [*HELLO, *SUM, "user: FAIL400"]
    assert runs(adapter, session_id) == [
        ("completed", "You said: Hello", HELLO),
        ("completed", "TOOL RESULT: 1", SUM),
        ("error", None, ["user: FAIL400"]),
    ]
    assert calls(adapter, session_id) == [("add", {"a": 1}, 1, None)]
    say(agent(open_db(url), client=client, session_id=session_id), "Go on", mode)
    assert sent(llm) == [*HELLO, *SUM, "user: Go on"]


def test_two_event_loops_in_turn(adapter: PraisonAIDB, llm: LocalLLM, session_id: str) -> None:
    """A pool that is bound to the first loop fails on the second."""
    speaker = agent(adapter, session_id=session_id)
    for _ in range(3):
        say(speaker, "Hello", ACHAT)
    assert said(adapter, session_id) == HELLO * 3


def test_a_sync_turn_inside_a_running_loop(
    adapter: PraisonAIDB, llm: LocalLLM, session_id: str
) -> None:
    """As in a notebook."""
    speaker = agent(adapter, session_id=session_id)

    async def cell() -> None:
        speaker.chat("Hello")
        speaker.chat('TOOL add {"a":1}')
        assert [run.status for run in await adapter.aget_runs(session_id)] == ["completed"] * 2

    asyncio.run(cell())
    assert said(adapter, session_id) == [*HELLO, *SUM]


def test_sync_and_async_turns_of_one_agent(
    adapter: PraisonAIDB, llm: LocalLLM, session_id: str
) -> None:
    speaker = agent(adapter, session_id=session_id)

    async def scene() -> None:
        await speaker.achat("Hello")
        await asyncio.to_thread(speaker.chat, "Hello")
        speaker.chat("Hello")

    say(speaker, "Hello")
    asyncio.run(scene())
    assert said(adapter, session_id) == HELLO * 4


def test_worker_threads_beyond_the_pool(
    adapter: PraisonAIDB, llm: LocalLLM, session_id: str
) -> None:
    names = [f"{session_id}-{number % 4}" for number in range(24)]
    for name in names[:4]:
        adapter.on_agent_start("Ada", name)

    def talk(name: str) -> None:
        adapter.on_user_message(name, "Hello")
        adapter.on_agent_message(name, "You said: Hello")

    with ThreadPoolExecutor(24) as pool:
        list(pool.map(talk, names))
    for name in names[:4]:
        assert sorted(said(adapter, name)) == sorted(HELLO * 6)


def test_tasks_beyond_the_pool(adapter: PraisonAIDB, llm: LocalLLM, session_id: str) -> None:
    async def talk(name: str) -> None:
        await adapter.aon_agent_start("Ada", name)
        await adapter.aon_user_message(name, "Hello")
        await adapter.aon_agent_message(name, "You said: Hello")

    async def scene() -> None:
        await asyncio.gather(*[talk(f"{session_id}-{number % 4}") for number in range(40)])

    asyncio.run(scene())
    for number in range(4):
        assert sorted(said(adapter, f"{session_id}-{number}")) == sorted(HELLO * 10)


def test_many_starts_of_one_session_at_once(adapter: PraisonAIDB, session_id: str) -> None:
    """Each finds the session, or makes it; none fails."""
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: adapter.on_agent_start("Ada", session_id), range(16)))
    assert found == [[]] * 16
    assert len(adapter.list_sessions(agent_id="Ada", limit=1000)) >= 1


def test_an_in_memory_database_is_one_for_both_colours(llm: LocalLLM, tmp_path: Path) -> None:
    with praison_persist.db(":memory:") as db:
        speaker = agent(db)
        say(speaker, "Hello")
        say(speaker, "Hello", ACHAT)
        say(agent(db), "Go on", ACHAT)
        assert sent(llm) == [*HELLO, *HELLO, "user: Go on"]
    assert not list(tmp_path.glob("*.db"))


@pytest.mark.parametrize(
    "text", ["😀 ünï", "a\x00b", "'; DROP TABLE praison_messages; --", "\ud800"]
)
def test_text_of_every_kind(
    adapter: PraisonAIDB, llm: LocalLLM, session_id: str, text: str
) -> None:
    adapter.on_user_message(session_id, text)
    adapter.on_agent_message(session_id, text)
    assert said(adapter, session_id) == [f"user: {text}", f"assistant: {text}"]


def test_sessions_whose_ids_resemble_each_other(adapter: PraisonAIDB, session_id: str) -> None:
    ids = [session_id, f"{session_id}:b", f"{session_id} ", session_id.upper(), f"{session_id}%"]
    for number, one in enumerate(ids):
        adapter.on_run_start(one, f"run-{number}")
        adapter.on_user_message(one, one)
        adapter.on_run_end(one, f"run-{number}", "ok")
    found: dict[str, Any] = {one: adapter.get_runs(one) for one in ids}
    assert [[run.run_id for run in found[one]] for one in ids] == [
        [f"run-{number}"] for number in range(len(ids))
    ]
    assert adapter.delete_session(session_id)
    assert adapter.get_runs(session_id) == []
    assert len(adapter.get_runs(f"{session_id}:b")) == 1
