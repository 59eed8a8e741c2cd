"""Traces of turns: what is in them, and that a user's own tracing is left as it was."""

from __future__ import annotations

import asyncio
import gc
import json
import weakref
from typing import Any

import pytest
from local_llm import INPUT_TOKENS, OUTPUT_TOKENS, LocalLLM
from praisonaiagents.trace.context_events import (
    ContextListSink,
    ContextTraceEmitter,
    get_context_emitter,
    trace_context,
)

from praison_persist import PraisonAIDB
from praison_persist.open_turns import open_turns
from praison_persist.recorder import Turn

from .conftest import Open
from .driving import (
    ACHAT,
    CHAT,
    CLIENTS,
    ITER_STREAM,
    LITELLM,
    MODES,
    OPENAI,
    SESSION,
    USER,
    agent,
    say,
)
from .stored import calls, runs, spans

by_client = pytest.mark.parametrize("client", CLIENTS)
PROMPT = 'TOOL add {"a":1}'


@by_client
def test_model_calls_and_tools_are_spans_of_their_run(
    db: PraisonAIDB, llm: LocalLLM, client: str
) -> None:
    say(agent(db, client=client), PROMPT)
    (trace,), (run,) = db.get_traces(SESSION), db.get_runs(SESSION)
    assert (trace.run_id, trace.user_id, trace.agent_name) == (run.run_id, USER, "Ada")
    names = [name for name, _ in spans(db)[0][1]]
    assert names == ["agent Ada", "llm", "tool add"] + (["llm"] if client == LITELLM else [])
    root, *children = trace.spans
    assert root.started_at <= children[0].started_at
    tool = next(span for span in children if span.name == "tool add")
    (call,) = db.get_tool_calls(SESSION)
    assert (tool.attributes["tool_call"], tool.attributes["call_id"]) == (call.id, call.call_id)
    model = next(span for span in children if span.name == "llm")
    assert "gpt-4o-mini" in model.attributes["model"]
    assert model.attributes["completion_tokens"] == OUTPUT_TOKENS
    assert model.attributes["prompt_tokens"] in (0, INPUT_TOKENS)


@by_client
@pytest.mark.parametrize("mode", MODES)
def test_a_trace_holds_no_content(db: PraisonAIDB, llm: LocalLLM, client: str, mode: str) -> None:
    say(agent(db, client=client), 'TOOL a_text {"x":4711}', mode)
    (trace,) = db.get_traces(SESSION)
    text = json.dumps(trace.to_dict())
    assert "4711" not in text
    assert "plain" not in text


def test_traces_can_be_left_out(open_db: Open, llm: LocalLLM) -> None:
    db = open_db(record_traces=False)
    speaker = agent(db)
    for mode in (CHAT, ACHAT, ITER_STREAM):
        say(speaker, PROMPT, mode)
    assert db.get_traces(SESSION) == []
    assert len(runs(db)) == len(calls(db)) == 3
    with pytest.raises(Exception, match="kaboom"):
        say(speaker, "TOOL fails {}", ITER_STREAM)
    db.close()
    assert runs(open_db())[-1][0] == "error"


def kinds(sink: Any) -> list[tuple[str, str, int | None]]:
    """Return the events of a sink: kind, session and the number of the span they are in."""
    return [
        (str(event.event_type.value), event.session_id, event.parent_seq)
        for event in sink.get_events()
    ]


@by_client
@pytest.mark.parametrize("mode", [CHAT, ACHAT])
def test_an_emitter_of_the_user_sees_what_it_saw_without_us(
    db: PraisonAIDB, llm: LocalLLM, client: str, mode: str
) -> None:
    seen = []
    options: list[dict[str, Any]] = [{"memory": None}, {}]
    for option in options:
        sink = ContextListSink()
        emitter = ContextTraceEmitter(sink=sink, session_id="theirs", enabled=True)
        with trace_context(emitter):
            emitter.agent_start("outer", {})
            say(agent(db, client=client, **option), PROMPT, mode)
            emitter.agent_end("outer")
        assert [event.sequence_num for event in sink.get_events()] == list(range(len(sink)))
        # An agent with a memory also searches it; that is its own, and not compared.
        seen.append([kind for kind in kinds(sink) if not kind[0].startswith("memory")])
    numbers = [[parent for *_, parent in events] for events in seen]
    assert [event[:2] for event in seen[0]] == [event[:2] for event in seen[1]]
    assert [parent is None for parent in numbers[0]] == [parent is None for parent in numbers[1]]
    assert spans(db)[0][1][0][0] == "agent Ada"


def test_a_disabled_emitter_of_the_user_stays_silent(db: PraisonAIDB, llm: LocalLLM) -> None:
    sink = ContextListSink()
    with trace_context(ContextTraceEmitter(sink=sink, session_id="x", enabled=False)) as theirs:
        say(agent(db), PROMPT)
        assert get_context_emitter() is theirs
    assert len(sink) == 0


def test_after_a_turn_the_emitter_is_the_users_again(db: PraisonAIDB, llm: LocalLLM) -> None:
    emitter = ContextTraceEmitter(sink=ContextListSink(), session_id="theirs", enabled=True)
    with trace_context(emitter):
        say(agent(db), PROMPT)
        assert get_context_emitter() is emitter


def test_after_an_async_turn_events_still_reach_the_user_and_only_the_user(
    db: PraisonAIDB, llm: LocalLLM
) -> None:
    """The end of such a run is reported in a task of its own, which cannot reset the context."""
    sink = ContextListSink()
    emitter = ContextTraceEmitter(sink=sink, session_id="theirs", enabled=True)

    async def scene() -> None:
        with trace_context(emitter):
            speaker = agent(db, client=LITELLM)
            for _ in range(3):
                await speaker.achat("Hello")
            before = len(sink)
            get_context_emitter().session_start({})
            assert len(sink) == before + 1
        assert get_context_emitter() is not emitter

    asyncio.run(scene())
    assert [[name for name, _ in found] for _, found in spans(db)] == [["agent Ada", "llm"]] * 3


def test_without_an_emitter_there_is_none_afterwards(db: PraisonAIDB, llm: LocalLLM) -> None:
    async def scene() -> None:
        speaker = agent(db)
        await speaker.achat("Hello")
        assert not get_context_emitter().enabled

    assert not get_context_emitter().enabled
    say(agent(db), "Hello")
    assert not get_context_emitter().enabled
    asyncio.run(scene())


def test_nested_turns_have_traces_of_their_own(db: PraisonAIDB, llm: LocalLLM) -> None:
    helper = agent(db, session_id="inner", name="Helper", client=LITELLM)

    def ask_helper(question: str = "") -> str:
        """Ask another agent."""
        return str(helper.chat(question))

    outer = agent(db, tools=[ask_helper], name="Outer", client=LITELLM)
    say(outer, 'TOOL ask_helper {"question": "TOOL add {\\"a\\":1}"}')
    (_, inner_spans), (_, outer_spans) = spans(db, "inner")[0], spans(db)[0]
    assert [name for name, _ in inner_spans] == ["agent Helper", "llm", "tool add", "llm"]
    assert outer_spans[0][0] == "agent Outer"
    assert "tool add" not in [name for name, _ in outer_spans]


def test_a_turn_with_very_many_events_is_cut(
    db: PraisonAIDB, llm: LocalLLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("praison_persist.recorder._EVENTS", 4)
    say(agent(db, client=LITELLM), "TOOL add {} THEN TOOL add {} THEN TOOL add {} THEN Done")
    (trace,) = db.get_traces(SESSION)
    assert trace.metadata["dropped_events"] > 0
    assert len(calls(db)) == 3


class TestMemory:
    """A long-lived process keeps what is open, and nothing of what has ended."""

    def turns_alive(self) -> int:
        gc.collect()
        return sum(isinstance(found, Turn) for found in gc.get_objects())

    def test_ended_turns_are_let_go(self, db: PraisonAIDB, llm: LocalLLM) -> None:
        speaker = agent(db)
        modes = (CHAT, ACHAT, ITER_STREAM)
        for mode in modes:
            say(speaker, PROMPT, mode)
        before = self.turns_alive()
        for mode in modes * 3:
            say(speaker, PROMPT, mode)
        assert self.turns_alive() <= before + 1
        assert list(open_turns()) == []

    def test_ended_turns_of_one_long_task_let_go_of_what_was_said(
        self, db: PraisonAIDB, llm: LocalLLM
    ) -> None:
        """An event loop keeps the contexts of timers for minutes after they were cancelled."""

        async def scene() -> list[Turn]:
            speaker = agent(db, client=LITELLM)
            for _ in range(4):
                await speaker.achat(PROMPT)
            return [found for found in gc.get_objects() if isinstance(found, Turn)]

        for turn in asyncio.run(scene()):
            assert turn.closed
            assert (turn.prompt, turn.user, turn.answers, turn.open_calls) == (None, None, [], [])
            assert (turn.llm_spans, turn.tool_spans, turn.events) == ([], [], [])

    def test_failed_and_abandoned_turns_are_let_go(self, db: PraisonAIDB, llm: LocalLLM) -> None:
        speaker = agent(db)

        def trouble() -> None:
            say(speaker, "FAIL400", ITER_STREAM)
            stream = speaker.iter_stream("One two three")
            next(stream)
            stream.close()
            # The HTTP client's end of the stream must not be collected within one of its locks.
            gc.collect()
            with pytest.raises(Exception, match="kaboom"):
                say(speaker, "TOOL fails {}", ITER_STREAM)
            with pytest.raises(Exception, match="kaboom"):
                say(speaker, "TOOL fails {}", CHAT)

        trouble()
        before = self.turns_alive()
        for _ in range(4):
            trouble()
        say(speaker, "Hello")
        assert self.turns_alive() <= before + 1

    def test_messages_by_hand_that_nobody_answers_do_not_pile_up(self, db: PraisonAIDB) -> None:
        for number in range(50):
            db.on_user_message(f"s{number}", "Hello?", {})
        assert len(list(open_turns())) <= 1

    def test_sessions_are_forgotten_beyond_a_limit(
        self, open_db: Open, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("praison_persist._adapter.core._SESSIONS", 10)
        db = open_db()
        for number in range(30):
            db.on_agent_start("Ada", f"s{number}", "u", {"role": "r", "goal": "g"})
        assert len(db._sessions) == 10

    def test_a_closed_adapter_is_let_go(self, sqlite_url: str, llm: LocalLLM) -> None:
        def use() -> weakref.ref[PraisonAIDB]:
            db = PraisonAIDB(sqlite_url)
            db.on_user_message(SESSION, "Hello")
            db.on_agent_message(SESSION, "Hi")
            db.close()
            return weakref.ref(db)

        reference = use()
        gc.collect()
        assert reference() is None


def test_a_session_that_was_forgotten_still_streams(
    open_db: Open, llm: LocalLLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a run then, which only an agent's session gets."""
    monkeypatch.setattr("praison_persist._adapter.core._SESSIONS", 1)
    db = open_db()
    speaker = agent(db)
    say(speaker, "Hello", ITER_STREAM)
    say(agent(db, session_id="other"), "Hello")
    say(speaker, "Hello", ITER_STREAM)
    assert len(db.get_messages(SESSION)) == 4
    assert len(runs(db)) == 1
    assert db.get_traces(SESSION)[0].user_id == USER
    assert OPENAI
