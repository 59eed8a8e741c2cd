"""Agents of praisonaiagents that exist already: whatever they are asked, and however, is kept."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import praisonaiagents
import pytest
from local_llm import LocalLLM

import praison_persist
from praison_persist import (
    ConfigurationError,
    PersistenceOrchestrator,
    PersistentAgent,
    wrap_agent_with_persistence,
)

from .driving import (
    ACHAT,
    ASTART,
    BLOCKING_MODES,
    CLIENTS,
    ITER_STREAM,
    MODELS,
    MODES,
    OPENAI,
    SESSION,
    START_STREAM,
    say,
)
from .provider import complaint
from .stored import calls, lines, runs, said, sent
from .tools import TOOLS

Wrap = Callable[..., Any]
WAYS: dict[str, Wrap] = {
    "PersistentAgent": PersistentAgent,
    "wrap": wrap_agent_with_persistence,
}
HELLO = ["user: Hello", "assistant: You said: Hello"]
SUM = [
    'user: TOOL add {"a":1}',
    'call: add {"a": 1}',
    "result: 1",
    "assistant: TOOL RESULT: 1",
]


def agent(client: str = OPENAI, **options: Any) -> Any:
    """Return an Agent of the core that keeps nothing."""
    arguments: dict[str, Any] = {
        "name": "Ada",
        "instructions": "Be brief.",
        "model": MODELS[client],
        "tools": TOOLS,
    }
    return praisonaiagents.Agent(**arguments | options)


def kept(orchestrator: PersistenceOrchestrator, session_id: str = SESSION) -> list[str]:
    return lines(orchestrator.get_messages(session_id))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("client", CLIENTS)
def test_every_mode_is_kept_once_and_resumed(
    on_sqlite: PersistenceOrchestrator, llm: LocalLLM, way: str, mode: str, client: str
) -> None:
    speaker = WAYS[way](agent(client), on_sqlite, SESSION, "user-1")
    say(speaker, "Hello", mode)
    say(speaker, 'TOOL add {"a":1}', mode)
    assert kept(on_sqlite) == [*HELLO, *SUM]
    adapter = on_sqlite.adapter
    assert adapter is not None
    assert said(adapter) == [*HELLO, *SUM]
    assert calls(adapter) == [("add", {"a": 1}, 1, None)]
    assert [status for status, _, _ in runs(adapter)] == ["completed"] * 2
    session = on_sqlite.get_session(SESSION)
    assert session is not None
    assert (session.user_id, session.agent_id) == ("user-1", "Ada")

    say(WAYS[way](agent(client), on_sqlite, SESSION), "Go on", mode)
    assert sent(llm) == [*HELLO, *SUM, "user: Go on"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("mode", [*BLOCKING_MODES[:1], ACHAT, ITER_STREAM])
def test_any_store_will_do(
    orchestrator: PersistenceOrchestrator, llm: LocalLLM, way: str, mode: str
) -> None:
    say(WAYS[way](agent(), orchestrator, SESSION), 'TOOL add {"a":1}', mode)
    say(WAYS[way](agent(), orchestrator, SESSION), "Go on", mode)
    assert sent(llm) == [*SUM, "user: Go on"]


@pytest.mark.parametrize("name", ["run", "arun"])
def test_run_is_kept_too(on_sqlite: PersistenceOrchestrator, llm: LocalLLM, name: str) -> None:
    speaker = PersistentAgent(agent(), on_sqlite, SESSION)
    if name == "run":
        assert speaker.run("Hello") == "You said: Hello"
    else:
        assert asyncio.run(speaker.arun("Hello")) == "You said: Hello"
    assert kept(on_sqlite) == HELLO


def test_in_every_context(orchestrator: PersistenceOrchestrator, llm: LocalLLM) -> None:
    """A plain script, a worker thread, and inside a running event loop."""
    speaker = PersistentAgent(agent(), orchestrator, SESSION)
    speaker.chat("Hello")
    worker = threading.Thread(target=speaker.chat, args=("Hello",))
    worker.start()
    worker.join()

    async def cell() -> None:
        speaker.chat("Hello")
        await speaker.achat("Hello")
        await asyncio.to_thread(speaker.chat, "Hello")

    asyncio.run(cell())
    asyncio.run(cell())
    assert kept(orchestrator) == HELLO * 8


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("mode", [ITER_STREAM, START_STREAM])
def test_what_was_said_of_a_stream_that_was_left_is_kept(
    on_sqlite: PersistenceOrchestrator, llm: LocalLLM, way: str, mode: str
) -> None:
    speaker = WAYS[way](agent(), on_sqlite, SESSION)
    prompt = "one two three four five"
    if mode == ITER_STREAM:
        stream = speaker.iter_stream(prompt)
    else:
        stream = speaker.start(prompt, stream=True)
    first = ""
    while not first:
        first = str(next(stream))
    stream.close()
    assert first != f"You said: {prompt}"
    user, partial = on_sqlite.get_messages(SESSION)
    assert (user.role, user.content) == ("user", prompt)
    assert (partial.role, partial.content, partial.metadata) == (
        "assistant",
        first,
        {"partial": True},
    )
    adapter = on_sqlite.adapter
    assert adapter is not None
    assert [run.status for run in adapter.get_runs(SESSION)] == ["cancelled"]

    say(speaker, "Hello")
    assert kept(on_sqlite)[2:] == HELLO
    say(PersistentAgent(agent(), on_sqlite, SESSION), "Go on")
    assert sent(llm) == [*HELLO, "user: Go on"]


def test_a_stream_that_is_never_read_was_never_asked(
    on_sqlite: PersistenceOrchestrator, llm: LocalLLM
) -> None:
    stream = PersistentAgent(agent(), on_sqlite, SESSION).iter_stream("Hello")
    stream.close()
    assert kept(on_sqlite) == []


@pytest.mark.parametrize("mode", [BLOCKING_MODES[0], ACHAT])
def test_a_failed_turn_is_kept_as_such(
    on_sqlite: PersistenceOrchestrator, llm: LocalLLM, mode: str
) -> None:
    """And is not handed to the model again."""
    speaker = PersistentAgent(agent(), on_sqlite, SESSION)
    assert say(speaker, "FAIL400", mode) is None
    adapter = on_sqlite.adapter
    assert adapter is not None
    assert runs(adapter) == [("error", None, ["user: FAIL400"])]
    say(PersistentAgent(agent(), on_sqlite, SESSION), "Go on")
    assert sent(llm) == ["user: Go on"]


def test_nothing_is_resumed_if_not_wanted(
    on_sqlite: PersistenceOrchestrator, llm: LocalLLM
) -> None:
    say(PersistentAgent(agent(), on_sqlite, SESSION), "Hello")
    for mode in (ACHAT, BLOCKING_MODES[0]):
        speaker = PersistentAgent(agent(), on_sqlite, SESSION, auto_resume=False)
        say(speaker, "Again", mode)
        assert sent(llm) == ["user: Again"]
    assert kept(on_sqlite) == [*HELLO, *["user: Again", "assistant: You said: Again"] * 2]


def test_the_history_that_an_agent_gets_is_valid_for_providers(
    on_sqlite: PersistenceOrchestrator, llm: LocalLLM
) -> None:
    on_sqlite.on_message(SESSION, "tool", "of no call", tool_call_id="call_x")
    on_sqlite.on_message(SESSION, "system", "You are a cat.")
    call = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": "{}"}}
    on_sqlite.on_message(SESSION, "user", "Add")
    on_sqlite.on_message(SESSION, "assistant", None, tool_calls=[call])
    on_sqlite.on_message(SESSION, "tool", "0", tool_call_id="c1")
    on_sqlite.on_message(SESSION, "assistant", "Zero")
    history = on_sqlite.on_agent_start(None, SESSION)
    assert complaint(history) is None
    speaker = PersistentAgent(agent(), on_sqlite, SESSION)
    say(speaker, "Go on")
    assert sent(llm) == ["user: Add", "call: add {}", "result: 0", "assistant: Zero", "user: Go on"]
    assert [entry["role"] for entry in speaker.chat_history[:4]] == [
        "user",
        "assistant",
        "tool",
        "assistant",
    ]


def test_an_agent_keeps_one_session_in_one_place(
    on_sqlite: PersistenceOrchestrator, llm: LocalLLM
) -> None:
    """Else one user would be told what another one said."""
    shared = agent()
    speaker = PersistentAgent(shared, on_sqlite, SESSION)
    say(speaker, "Hello")
    again = PersistentAgent(shared, on_sqlite, SESSION)
    say(again, "Hello")
    assert kept(on_sqlite) == HELLO * 2
    with pytest.raises(ConfigurationError, match="'session-1' already"):
        PersistentAgent(shared, on_sqlite, "other")
    with pytest.raises(ConfigurationError, match="PersistentAgent already"):
        PersistentAgent(speaker, on_sqlite, SESSION)
    wrapped = wrap_agent_with_persistence(agent(), on_sqlite, SESSION)
    with pytest.raises(ConfigurationError, match="wrap it once"):
        wrap_agent_with_persistence(wrapped, on_sqlite, SESSION)
    with praison_persist.db(":memory:") as db:
        own = agent(memory=praison_persist.memory(db, "own"))
        with pytest.raises(ConfigurationError, match="'own' already"):
            PersistentAgent(own, on_sqlite, SESSION)


def test_what_a_persistent_agent_offers(on_sqlite: PersistenceOrchestrator, llm: LocalLLM) -> None:
    speaker = PersistentAgent(agent(), on_sqlite, user_id="ada")
    assert speaker.session_id.startswith("session-")
    assert speaker.name == "Ada"
    assert "PersistentAgent" in repr(speaker)
    with pytest.raises(AttributeError):
        _ = speaker.nosuch
    say(speaker, "Hello")
    assert lines(speaker.get_messages(limit=1)) == HELLO[1:]
    speaker.end_session({"mood": "good"})

    async def ask() -> None:
        assert lines(await speaker.aget_messages()) == HELLO
        await speaker.aend_session({"weather": "bad"})
        session = await speaker.aget_session()
        assert session is not None
        assert session.metadata is not None
        assert session.metadata.items() >= {"mood": "good", "weather": "bad"}.items()

    asyncio.run(ask())
    session = speaker.get_session()
    assert session is not None
    assert session.user_id == "ada"


def test_what_a_wrapped_agent_offers(on_sqlite: PersistenceOrchestrator, llm: LocalLLM) -> None:
    plain = agent()
    speaker = wrap_agent_with_persistence(plain, on_sqlite, SESSION)
    assert speaker is plain
    assert speaker._persistence_orchestrator is on_sqlite
    assert speaker._persistence_session_id == SESSION
    say(speaker, "Hello", ASTART)
    assert lines(speaker.get_messages()) == HELLO
    speaker.end_session()
    asyncio.run(speaker.aend_session())
    assert "ended_at" in speaker.get_session().metadata


def test_without_a_conversation_store_the_agent_just_answers(llm: LocalLLM) -> None:
    with PersistenceOrchestrator() as nothing:
        speaker = PersistentAgent(agent(), nothing, SESSION)
        for mode in MODES:
            assert say(speaker, "Hello", mode) == "You said: Hello"
        assert speaker.get_messages() == []
        assert speaker.get_session() is None


def test_custom_hooks_report_tool_calls_too(
    on_sqlite: PersistenceOrchestrator, llm: LocalLLM
) -> None:
    """A registry without hooks is false, and still the agent's."""
    from praisonaiagents.hooks import HookRegistry  # noqa: PLC0415 - of this test alone

    say(PersistentAgent(agent(hooks=HookRegistry()), on_sqlite, SESSION), 'TOOL add {"a":1}')
    assert kept(on_sqlite) == SUM
