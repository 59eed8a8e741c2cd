"""Every way to hand an adapter to an Agent keeps the conversation, its tools included."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import praisonaiagents
import pytest
from local_llm import LocalLLM
from praisonaiagents import MemoryConfig
from praisonaiagents.hooks import HookEvent, HookRegistry, HookResult, get_default_registry

import praison_persist
from praison_persist import ConfigurationError, PraisonAIDB

from .conftest import Open
from .driving import MODELS, OPENAI, SESSION, USER, say
from .stored import calls, runs, said, sent
from .tools import TOOLS

TURN = [
    'user: TOOL add {"a":1}',
    'call: add {"a": 1}',
    "result: 1",
    "assistant: TOOL RESULT: 1",
]
BASICS: dict[str, Any] = {
    "name": "Ada",
    "instructions": "Be brief.",
    "model": MODELS[OPENAI],
    "tools": TOOLS,
}


def core_agent(**options: Any) -> Any:
    return praisonaiagents.Agent(**BASICS | options)


def our_agent(**options: Any) -> Any:
    return praison_persist.Agent(**BASICS | options)


WAYS: dict[str, Callable[[PraisonAIDB], Any]] = {
    "MemoryConfig": lambda db: core_agent(memory=MemoryConfig(db=db, session_id=SESSION)),
    "a dict": lambda db: core_agent(memory={"db": db, "session_id": SESSION}),
    "praison_persist.memory": lambda db: core_agent(memory=praison_persist.memory(db, SESSION)),
    "praison_persist.Agent": lambda db: our_agent(db=db, session_id=SESSION),
    "praison_persist.Agent(memory=)": lambda db: our_agent(
        memory=praison_persist.memory(db, SESSION)
    ),
    "a store": lambda db: our_agent(conversation_store=db.conversation, session_id=SESSION),
    "an async store": lambda db: our_agent(conversation_store=db.aconversation, session_id=SESSION),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_turn_is_kept_and_resumed(open_db: Open, llm: LocalLLM, way: str) -> None:
    db = open_db()
    make = WAYS[way]
    say(make(db), 'TOOL add {"a":1}')
    assert said(db) == TURN
    assert calls(db) == [("add", {"a": 1}, 1, None)]
    assert runs(db) == [("completed", "TOOL RESULT: 1", TURN)]
    say(make(open_db()), "Go on")
    assert sent(llm) == [*TURN, "user: Go on"]


def test_an_adapter_itself_as_the_memory(open_db: Open, llm: LocalLLM) -> None:
    """The core takes it only for its `database_url`, and gives the session an id of its own."""
    db = open_db()
    say(core_agent(memory=db), 'TOOL add {"a":1}')
    (session,) = db.list_sessions()
    assert said(db, session.session_id) == TURN
    assert calls(db, session.session_id) == [("add", {"a": 1}, 1, None)]


def test_a_url_instead_of_an_adapter(sqlite_url: str, open_db: Open, llm: LocalLLM) -> None:
    ours = our_agent(db=sqlite_url, session_id=SESSION)
    say(ours, "Hello")
    memory = praison_persist.memory(sqlite_url, SESSION)
    say(core_agent(memory=memory), "Go on")
    assert sent(llm) == ["user: Hello", "assistant: You said: Hello", "user: Go on"]
    assert isinstance(ours.db, PraisonAIDB)
    ours.db.close()
    memory.db.close()
    open_db(Path(sqlite_url.removeprefix("sqlite:///"))).close()


def test_the_session_tells_who_it_belongs_to(db: PraisonAIDB, llm: LocalLLM) -> None:
    say(our_agent(db=db, session_id=SESSION, user_id=USER), "Hello")
    session = db.get_session(SESSION)
    assert session is not None
    assert (session.user_id, session.agent_id) == (USER, "Ada")
    assert (session.metadata or {})["role"]
    assert db.get_traces(user_id=USER)[0].session_id == SESSION


def test_without_a_session_id_each_agent_has_a_session_of_its_own(
    db: PraisonAIDB, llm: LocalLLM
) -> None:
    for _ in range(2):
        say(our_agent(db=db), "Hello")
    assert len(db.list_sessions()) == 2


def test_a_session_id_alone_is_left_to_the_core(llm: LocalLLM) -> None:
    ours = our_agent(session_id="alone", user_id=USER)
    assert ours.db is None
    assert say(ours, "Hello") == "You said: Hello"


def test_nothing_is_written_beside_the_database(
    db: PraisonAIDB, llm: LocalLLM, tmp_path: Path
) -> None:
    """The core's own memory would repeat every turn in clear text."""
    say(our_agent(db=db, session_id=SESSION, user_id=USER), "Hello")
    files = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert files <= {"agent.db", "agent.db-wal", "agent.db-shm"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"db": ":memory:", "conversation_store": object()}, "not both"),
        ({"db": ":memory:", "memory": True}, "not both"),
        ({"session_id": "s", "memory": True}, "praison_persist.memory"),
    ],
)
def test_arguments_that_contradict_each_other(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        our_agent(**options)


def test_hooks_of_ones_own_report_tools_too(open_db: Open, llm: LocalLLM) -> None:
    """Such an agent does not use the core's default registry."""
    seen: list[str] = []
    db = open_db()
    for number, make in enumerate((core_agent, our_agent)):
        hooks = HookRegistry()

        def see(data: Any) -> None:
            seen.append(data.tool_name)

        hooks.register_function(HookEvent.BEFORE_TOOL, see)
        session_id = f"s{number}"
        if make is our_agent:
            speaker = make(db=db, session_id=session_id, hooks=hooks)
        else:
            speaker = make(memory=praison_persist.memory(db, session_id), hooks=hooks)
            db.install(hooks)
            db.install(hooks)
        say(speaker, 'TOOL add {"a":1}')
        assert said(db, session_id) == TURN
        assert calls(db, session_id) == [("add", {"a": 1}, 1, None)]
    assert seen == ["add", "add"]


def test_a_cleared_registry_reports_tools_again(db: PraisonAIDB, llm: LocalLLM) -> None:
    speaker = our_agent(db=db, session_id=SESSION)
    say(speaker, "Hello")
    get_default_registry().clear()
    say(speaker, 'TOOL add {"a":1}')
    assert calls(db) == [("add", {"a": 1}, 1, None)]


def test_tool_hooks_are_installed_once_whoever_is_first(db: PraisonAIDB, llm: LocalLLM) -> None:
    """A second pair would record every call twice."""
    registry = get_default_registry()
    for _ in range(20):
        registry.clear()
        start = threading.Barrier(4)

        def install() -> None:
            start.wait()  # noqa: B023 - joined below
            db.install(registry)

        threads = [threading.Thread(target=install) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(registry.get_hooks(HookEvent.BEFORE_TOOL)) == 1
        assert len(registry.get_hooks(HookEvent.AFTER_TOOL)) == 1


def test_a_tool_that_a_hook_forbids(db: PraisonAIDB, llm: LocalLLM) -> None:
    hooks = HookRegistry()
    hooks.register_function(
        HookEvent.BEFORE_TOOL, lambda _data: HookResult(decision="deny", reason="not today")
    )
    say(our_agent(db=db, session_id=SESSION, hooks=hooks), 'TOOL add {"a":1}')
    assert runs(db)[0][0] == "completed"
    ((name, arguments, result, _error),) = calls(db)
    assert (name, arguments, result) == ("add", {"a": 1}, None)


def test_start_is_awaited_in_async_mode(db: PraisonAIDB, llm: LocalLLM) -> None:
    speaker = our_agent(db=db, session_id=SESSION, async_mode=True)
    assert speaker.start("Hello") == "You said: Hello"  # outside an event loop: as always

    async def scene() -> None:
        async with speaker.db:
            assert await speaker.start("Hi") == "You said: Hi"
            assert await speaker.run_async("Bye") == "You said: Bye"

    asyncio.run(scene())


def test_a_resumed_agent_knows_what_was_said(open_db: Open, llm: LocalLLM) -> None:
    say(our_agent(db=open_db(), session_id="user-123"), "My name is Alice")
    answer = say(our_agent(db=open_db(), session_id="user-123"), "What's my name?")
    assert answer == "Your name is Alice."
