"""Answers that the agent changes, refuses or shapes, and prompts that are not plain text."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from local_llm import LocalLLM
from praisonaiagents import GuardrailConfig
from praisonaiagents.hooks import HookEvent, HookRegistry, HookResult
from pydantic import BaseModel

from .conftest import Open
from .driving import ACHAT, CHAT, CLIENTS, ITER_STREAM, OPENAI, SESSION, agent, say
from .stored import runs, said, sent

by_client = pytest.mark.parametrize("client", CLIENTS)
by_mode = pytest.mark.parametrize("mode", [CHAT, ACHAT])

PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGA"
    "WjR9awAAAABJRU5ErkJggg=="
)
RETRY = (
    "You said: Previous response failed validation due to: too short. "
    "Please provide an improved response."
)


def second_only() -> Callable[[Any], tuple[bool, Any]]:
    """Return a guardrail that refuses the first answer and lets the second pass."""
    seen: list[Any] = []

    def check(output):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202 - the core reads them
        seen.append(output)
        return len(seen) > 1, output if len(seen) > 1 else "too short"

    return check


def resume(open_db: Open, llm: LocalLLM, client: str) -> list[str]:
    """Return what a resumed agent sends before its own prompt."""
    say(agent(open_db(), client=client), "Go on")
    assert sent(llm)[-1] == "user: Go on"
    return sent(llm)[:-1]


@by_mode
def test_the_accepted_answer_takes_the_place_of_the_refused_one(
    open_db: Open, llm: LocalLLM, mode: str
) -> None:
    """The agent reports only the refused one."""
    db = open_db()
    speaker = agent(db, guardrails=second_only(), tools=[])
    assert say(speaker, "Hello", mode) == RETRY
    assert said(db) == ["user: Hello", "assistant: You said: Hello", f"assistant: {RETRY}"]
    assert runs(db)[0][:2] == ("completed", RETRY)
    assert resume(open_db, llm, OPENAI) == ["user: Hello", f"assistant: {RETRY}"]


@by_client
@by_mode
def test_an_answer_that_is_refused_for_good(
    open_db: Open, llm: LocalLLM, client: str, mode: str
) -> None:
    db = open_db()
    never = GuardrailConfig(validator=lambda _output: (False, "never"), max_retries=0)
    speaker = agent(db, client=client, guardrails=never, tools=[])
    say(speaker, "Hello", mode)
    assert runs(db)[0][0] == "error"
    assert resume(open_db, llm, client) == []


@by_client
@pytest.mark.parametrize("mode", [CHAT, ACHAT, ITER_STREAM])
def test_reflection(open_db: Open, llm: LocalLLM, client: str, mode: str) -> None:
    """With it, the agent may report the answer only as the output of its run."""
    db = open_db()
    answer = say(agent(db, client=client, reflection=True, tools=[]), "Hello", mode)
    turn = ["user: Hello", f"assistant: {answer}"]
    assert answer == "You said: Hello"
    assert said(db) == turn
    assert runs(db)[0] == ("completed", answer, turn)
    assert resume(open_db, llm, client) == turn


class Person(BaseModel):
    name: str


@by_client
@by_mode
def test_a_structured_answer_is_kept_as_the_json_that_the_model_wrote(
    open_db: Open, llm: LocalLLM, client: str, mode: str
) -> None:
    """The agent returns an object, and reports the text of that as its output."""
    db = open_db()
    ask = agent(db, client=client, tools=[])
    prompt = 'ECHO {"name": "Ada"}'

    async def wait() -> Any:
        return await ask.achat(prompt, output_pydantic=Person)

    answer = ask.chat(prompt, output_pydantic=Person) if mode == CHAT else asyncio.run(wait())
    assert answer == Person(name="Ada")
    assert runs(db)[0][0] == "completed"
    question, told = resume(open_db, llm, client)
    assert question == f"user: {prompt}"
    assert '{"name": "Ada"}' in told
    assert said(db)[:2] == [question, told]


@by_client
@pytest.mark.parametrize("mode", [CHAT, ACHAT, ITER_STREAM])
def test_of_a_multimodal_prompt_its_text_is_kept(
    open_db: Open, llm: LocalLLM, client: str, mode: str
) -> None:
    """Runs are started with the Python text of the whole list."""
    db = open_db()
    prompt = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": PIXEL}},
    ]
    answer = say(agent(db, client=client, tools=[]), prompt, mode)
    turn = ["user: What is this?", f"assistant: {answer}"]
    assert said(db) == turn
    assert [run[::2] for run in runs(db)] == [("completed", turn)]
    assert resume(open_db, llm, client) == turn


@by_client
@pytest.mark.parametrize("mode", [CHAT, ACHAT, ITER_STREAM])
@pytest.mark.parametrize("text", ["Two\n\nlines \n", "  indented", "ünï 😀 \x7f", "{'a': 1}"])
def test_an_answer_is_kept_once_whatever_its_white_space(
    open_db: Open, llm: LocalLLM, client: str, mode: str, text: str
) -> None:
    """Agents strip what they return; that is not another answer."""
    db = open_db()
    say(agent(db, client=client, tools=[]), f"ECHO {text}", mode)
    told = said(db)
    assert len(told) == 2, told
    assert text.strip() in told[1]
    assert resume(open_db, llm, client) == told


@by_client
@by_mode
def test_a_prompt_that_a_hook_changed(open_db: Open, llm: LocalLLM, client: str, mode: str) -> None:
    """Of the OpenAI client in achat only the prompt is known that the user wrote."""
    hooks = HookRegistry()

    def politely(data: Any) -> HookResult:
        return HookResult(decision="allow", modified_input={"prompt": f"{data.prompt}, please"})

    hooks.register_function(HookEvent.BEFORE_AGENT, politely)
    db = open_db()
    say(agent(db, client=client, hooks=hooks, tools=[]), "Help", mode)
    prompt = "Help" if (client, mode) == (OPENAI, ACHAT) else "Help, please"
    turn = [f"user: {prompt}", "assistant: You said: Help, please"]
    assert said(db) == turn
    assert [run.input_content for run in db.get_runs(SESSION)] == ["Help"]
    assert resume(open_db, llm, client) == turn
