"""Whatever an agent is asked, in every mode and over either client, is stored once and in order."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest
from local_llm import LocalLLM

from praison_persist import PraisonAIDB

from .conftest import Open
from .driving import (
    ASYNC_MODES,
    CHAT,
    CLIENTS,
    ITER_STREAM,
    LITELLM,
    MODES,
    OPENAI,
    SESSION,
    START_STREAM,
    STREAMING_MODES,
    agent,
    say,
)
from .stored import calls, runs, said, sent, spans
from .tools import A_DICT, A_LIST, A_TEXT

everywhere = pytest.mark.parametrize(
    ("client", "mode"), [(client, mode) for client in CLIENTS for mode in MODES]
)


@dataclass
class Told:
    """What one turn is told by the database, and what a resumed agent sends of it."""

    answer: Any
    said: list[str]
    sent: list[str]


def tell(
    open_db: Open, llm: LocalLLM, client: str, mode: str, prompt: str, **options: Any
) -> tuple[Told, PraisonAIDB]:
    """Have a prompt answered; then resume with another agent in a fresh adapter."""
    first = open_db()
    answer = say(agent(first, client=client, **options), prompt, mode)
    first.close()
    fresh = open_db()
    told = said(fresh)
    assert say(agent(fresh, client=client), "Go on", CHAT) == "You said: Go on"
    assert sent(llm)[-1] == "user: Go on"
    return Told(answer, told, sent(llm)[:-1]), fresh


def in_words(result: Any, client: str, mode: str) -> str:
    """Return a tool's result as this agent hands it to the model."""
    if client == OPENAI and mode in STREAMING_MODES:
        return str(result)
    if result is None:
        return '{"result": null}' if mode in ASYNC_MODES else "Function returned an empty output"
    return json.dumps(result)


@everywhere
def test_a_plain_turn(open_db: Open, llm: LocalLLM, client: str, mode: str) -> None:
    told, db = tell(open_db, llm, client, mode, "Hello")
    turn = ["user: Hello", "assistant: You said: Hello"]
    assert told == Told("You said: Hello", turn, turn)
    assert runs(db)[0] == ("completed", "You said: Hello", turn)
    assert calls(db) == []
    status, ((root, root_status), *_) = spans(db)[0]
    assert (status, root, root_status) == ("ok", "agent Ada", "ok")


@everywhere
def test_a_tool(open_db: Open, llm: LocalLLM, client: str, mode: str) -> None:
    told, db = tell(open_db, llm, client, mode, 'TOOL add {"a":2,"b":3}')
    turn = [
        'user: TOOL add {"a":2,"b":3}',
        'call: add {"a": 2, "b": 3}',
        "result: 5",
        "assistant: TOOL RESULT: 5",
    ]
    assert told == Told("TOOL RESULT: 5", turn, turn)
    assert runs(db)[0] == ("completed", "TOOL RESULT: 5", turn)
    assert calls(db) == [("add", {"a": 2, "b": 3}, 5, None)]
    run = db.get_runs(SESSION)[-1]
    assert [call.tool_name for call in run.tool_calls] == ["add"]
    assert ("tool add", "ok") in spans(db)[0][1]


@everywhere
def test_two_parallel_tools(open_db: Open, llm: LocalLLM, client: str, mode: str) -> None:
    """The agent's hooks do not tell that the calls were one request: they are stored as two."""
    prompt = 'TOOLS2 add {"a":1,"b":1}|{"a":2,"b":2}'
    told, db = tell(open_db, llm, client, mode, prompt)
    one, two = 'add {"a": 1, "b": 1}', 'add {"a": 2, "b": 2}'
    if client == OPENAI and mode in STREAMING_MODES:
        middle = [f"call: {one} + {two}", "result: 2", "result: 4"]
    else:
        middle = [f"call: {one}", "result: 2", f"call: {two}", "result: 4"]
    turn = [f"user: {prompt}", *middle, "assistant: TOOL RESULT: 2 & 4"]
    assert told == Told("TOOL RESULT: 2 & 4", turn, turn)
    assert runs(db)[0] == ("completed", "TOOL RESULT: 2 & 4", turn)
    assert calls(db) == [("add", {"a": 1, "b": 1}, 2, None), ("add", {"a": 2, "b": 2}, 4, None)]
    assert [name for name, _ in spans(db)[0][1]].count("tool add") == 2


@everywhere
def test_a_result_of_each_type(open_db: Open, llm: LocalLLM, client: str, mode: str) -> None:
    """Stored as data, and resumed in the words that the model was told at the time."""
    db = open_db()
    speaker = agent(db, client=client)
    results = {"a_dict": A_DICT, "a_list": A_LIST, "a_text": A_TEXT, "nothing": None, "zero": 0}
    expected: list[str] = []
    for tool, result in results.items():
        answer = say(speaker, f"TOOL {tool} {{}}", mode)
        words = f"result: {in_words(result, client, mode)}"
        assert sent(llm)[-1] == words
        expected += [f"user: TOOL {tool} {{}}", f"call: {tool} {{}}", words, f"assistant: {answer}"]
    assert said(db) == expected
    if mode in ASYNC_MODES:
        results["nothing"] = {"result": None}  # the agent itself wraps it
    assert calls(db) == [(tool, {}, result, None) for tool, result in results.items()]
    say(agent(db, client=client), "Go on")
    assert sent(llm)[:-1] == expected


@everywhere
def test_tools_in_two_rounds(open_db: Open, llm: LocalLLM, client: str, mode: str) -> None:
    prompt = 'TOOL add {"a":1} THEN TOOL add {"a":2} THEN Done'
    told, db = tell(open_db, llm, client, mode, prompt)
    turn = [f"user: {prompt}", 'call: add {"a": 1}', "result: 1"]
    if client == OPENAI and mode in STREAMING_MODES:
        turn += ["assistant: TOOL RESULT: 1"]  # such a stream has one round
    else:
        turn += ['call: add {"a": 2}', "result: 2", "assistant: You said: Done"]
    assert (told.said, told.sent) == (turn, turn)
    assert runs(db)[0][2] == turn


@everywhere
def test_a_second_turn_of_the_same_agent(
    open_db: Open, llm: LocalLLM, client: str, mode: str
) -> None:
    db = open_db()
    speaker = agent(db, client=client)
    say(speaker, "My name is Grace", mode)
    assert say(speaker, "What is my name?", mode) == "Your name is Grace."
    told = said(db)
    assert told[0] == "user: My name is Grace"
    assert told[2:] == ["user: What is my name?", "assistant: Your name is Grace."]
    assert [run[0] for run in runs(db)] == ["completed", "completed"]
    assert sent(llm) == told[:-1]


@everywhere
def test_the_same_prompt_twice(open_db: Open, llm: LocalLLM, client: str, mode: str) -> None:
    db = open_db()
    speaker = agent(db, client=client)
    for _ in range(2):
        say(speaker, "Hello", mode)
    turn = ["user: Hello", "assistant: You said: Hello"]
    assert said(db) == [*turn, *turn]
    assert [run[2] for run in runs(db)] == [turn, turn]


def test_modes_follow_each_other_in_one_session(open_db: Open, llm: LocalLLM) -> None:
    db = open_db()
    expected: list[str] = []
    for client in CLIENTS:
        speaker = agent(db, client=client)
        for mode in MODES:
            prompt = f"By {client} {mode}"
            say(speaker, prompt, mode)
            expected += [f"user: {prompt}", f"assistant: You said: {prompt}"]
            assert said(db) == expected
    assert len(runs(db)) == len(CLIENTS) * len(MODES)
    say(agent(db, client=LITELLM), "Go on", ITER_STREAM)
    assert sent(llm) == [*expected, "user: Go on"]


@pytest.mark.parametrize("mode", [ITER_STREAM, START_STREAM])
def test_a_stream_has_a_run_with_prompt_output_and_duration(
    db: PraisonAIDB, llm: LocalLLM, mode: str
) -> None:
    """The agent reports none."""
    say(agent(db), "Hello", mode)
    (run,) = db.get_runs(SESSION)
    assert (run.agent_name, run.input_content, run.status) == ("Ada", "Hello", "completed")
    assert run.metrics["duration_ms"] > 0
    assert run.ended_at is not None
