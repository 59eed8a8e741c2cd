"""A turn that failed is kept with its status, and hidden from the model ever after."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from local_llm import LocalLLM

from . import tools
from .conftest import Open
from .driving import (
    ACHAT,
    ASYNC_MODES,
    CHAT,
    CLIENTS,
    ITER_STREAM,
    LITELLM,
    MODES,
    SESSION,
    START_STREAM,
    STREAMING_MODES,
    agent,
    say,
)
from .stored import calls, runs, said, sent, spans

SYNC_MODES = [mode for mode in MODES if mode not in ASYNC_MODES]
by_client = pytest.mark.parametrize("client", CLIENTS)

HELLO = ["user: Hello", "assistant: You said: Hello"]


def raises(work: Any, *args: Any) -> str:
    """Return the text of what is raised, whatever the core wraps it in."""
    with pytest.raises(Exception, match=r".") as caught:
        work(*args)
    return str(caught.value)


def check_hidden(open_db: Open, llm: LocalLLM, client: str, before: list[str]) -> None:
    """What a resumed agent sends is what was said before the turn that failed."""
    say(agent(open_db(), client=client), "Go on")
    assert sent(llm) == [*before, "user: Go on"]


@pytest.mark.parametrize("mode", MODES)
@by_client
def test_a_refused_request(open_db: Open, llm: LocalLLM, client: str, mode: str) -> None:
    db = open_db()
    speaker = agent(db, client=client)
    say(speaker, "Hello", mode)
    say(speaker, "FAIL400", mode)
    assert said(db) == [*HELLO, "user: FAIL400"]
    assert runs(db)[1] == ("error", None, ["user: FAIL400"])
    assert spans(db)[1][0] == "error"
    check_hidden(open_db, llm, client, HELLO)
    say(speaker, "Bye", mode)
    assert said(db)[-2:] == ["user: Bye", "assistant: You said: Bye"]
    assert runs(db)[-1][0] == "completed"


@pytest.mark.parametrize("mode", [CHAT, ACHAT])
@by_client
def test_a_refusal_after_a_tool(open_db: Open, llm: LocalLLM, client: str, mode: str) -> None:
    db = open_db()
    speaker = agent(db, client=client)
    say(speaker, "Hello", mode)
    say(speaker, 'TOOL add {"a":1} THEN FAIL400', mode)
    turn = ['user: TOOL add {"a":1} THEN FAIL400', 'call: add {"a": 1}', "result: 1"]
    assert said(db) == [*HELLO, *turn]
    assert runs(db)[1] == ("error", None, turn)
    assert calls(db) == [("add", {"a": 1}, 1, None)]
    check_hidden(open_db, llm, client, HELLO)


@pytest.mark.parametrize("mode", SYNC_MODES)
@by_client
def test_a_raising_tool_ends_a_sync_turn(
    open_db: Open, llm: LocalLLM, client: str, mode: str
) -> None:
    """The agent reports neither the end of the tool nor, in a stream, that of the turn."""
    db = open_db()
    speaker = agent(db, client=client)
    say(speaker, "Hello", mode)
    assert "kaboom" in raises(say, speaker, 'TOOL fails {"x":1}', mode)
    db.close()
    db = open_db()
    assert said(db)[:3] == [*HELLO, 'user: TOOL fails {"x":1}']
    assert runs(db)[1][:2] == ("error", None)
    # A LiteLLM stream that fails is tried again as a chat.
    tries = 2 if client == LITELLM and mode in STREAMING_MODES else 1
    assert [call[:3] for call in calls(db)] == [("fails", {"x": 1}, None)] * tries
    assert all("kaboom" in str(error) for *_, error in calls(db))
    assert ("tool fails", "error") in spans(db)[1][1]
    check_hidden(open_db, llm, client, HELLO)


@pytest.mark.parametrize("mode", ASYNC_MODES)
@by_client
def test_a_raising_tool_is_an_answer_in_async_modes(
    open_db: Open, llm: LocalLLM, client: str, mode: str
) -> None:
    db = open_db()
    answer = say(agent(db, client=client), 'TOOL fails {"x":1}', mode)
    error = "Error executing fails: kaboom"
    assert error in answer
    turn = [
        'user: TOOL fails {"x":1}',
        'call: fails {"x": 1}',
        f'result: {{"error": "{error}"}}',
        f"assistant: {answer}",
    ]
    assert said(db) == turn
    assert calls(db) == [("fails", {"x": 1}, {"error": error}, error)]
    assert runs(db)[0] == ("completed", answer, turn)
    say(agent(open_db(), client=client), "Go on")
    assert sent(llm) == [*turn, "user: Go on"]


@pytest.mark.parametrize("mode", [ITER_STREAM, START_STREAM])
@by_client
def test_an_abandoned_stream(open_db: Open, llm: LocalLLM, client: str, mode: str) -> None:
    db = open_db()
    speaker = agent(db, client=client)
    say(speaker, "Hello", mode)
    stream = speaker.iter_stream("One two three four five six")
    next(stream)
    stream.close()
    turn = ["user: One two three four five six"]
    assert said(db) == [*HELLO, *turn]
    assert runs(db)[1] == ("running", None, turn)
    check_hidden(open_db, llm, client, HELLO)
    # The next turn shows that nobody waits for the answer any more.
    say(speaker, "Bye", mode)
    assert [run[0] for run in runs(db)] == ["completed", "cancelled", "completed", "completed"]
    say(agent(open_db(), client=client), "Again")
    assert [line for line in sent(llm) if "three" in line] == []


def test_a_stream_left_open_is_cancelled_when_the_adapter_closes(
    open_db: Open, llm: LocalLLM
) -> None:
    db = open_db()
    stream = agent(db).iter_stream("One two three")
    next(stream)
    db.close()
    assert runs(open_db()) == [("cancelled", None, ["user: One two three"])]


def test_a_stream_whose_steps_run_in_contexts_of_their_own(open_db: Open, llm: LocalLLM) -> None:
    """Web servers take each step of a generator in a worker thread, with a copy of the context."""
    db = open_db()
    stream = agent(db).iter_stream('TOOL add {"a":1}')

    async def serve() -> str:
        parts = []
        while (part := await asyncio.to_thread(next, stream, None)) is not None:
            parts.append(part)
        return "".join(parts)

    assert asyncio.run(serve()) == "TOOL RESULT: 1"
    turn = [
        'user: TOOL add {"a":1}',
        'call: add {"a": 1}',
        "result: 1",
        "assistant: TOOL RESULT: 1",
    ]
    assert runs(db) == [("completed", "TOOL RESULT: 1", turn)]
    assert calls(db) == [("add", {"a": 1}, 1, None)]


async def cancel(speaker: Any, prompt: str, when: Any) -> None:
    """Start a turn, wait for `when`, cancel it, and see it end."""
    turn = asyncio.create_task(speaker.achat(prompt))
    await when()
    turn.cancel()
    with pytest.raises(asyncio.CancelledError):
        await turn


@by_client
def test_cancelled_while_the_model_thinks(open_db: Open, llm: LocalLLM, client: str) -> None:
    db = open_db()
    speaker = agent(db, client=client)
    say(speaker, "Hello", ACHAT)

    async def asked() -> None:
        while not any("SLOW" in str(request["messages"]) for request in llm.chat_requests):
            await asyncio.sleep(0.01)

    asyncio.run(cancel(speaker, "SLOW 2 Too late", asked))
    assert said(db) == [*HELLO, "user: SLOW 2 Too late"]
    assert runs(db)[1] == ("cancelled", None, ["user: SLOW 2 Too late"])
    check_hidden(open_db, llm, client, HELLO)
    say(speaker, "Bye", ACHAT)
    assert said(db)[-2:] == ["user: Bye", "assistant: You said: Bye"]


@by_client
def test_cancelled_while_a_tool_runs(open_db: Open, llm: LocalLLM, client: str) -> None:
    """The tool returns later, when its turn has ended."""
    tools.waiting.clear()
    tools.may_return.clear()
    db = open_db()
    speaker = agent(db, client=client)
    say(speaker, "Hello", ACHAT)

    async def called() -> None:
        await asyncio.to_thread(tools.waiting.wait, 10)

    async def scene() -> None:
        await cancel(speaker, 'TOOL wait_for_it {"x":1}', called)
        tools.may_return.set()
        await asyncio.sleep(0.2)

    asyncio.run(scene())
    assert said(db) == [*HELLO, 'user: TOOL wait_for_it {"x":1}']
    assert runs(db)[1] == ("cancelled", None, ['user: TOOL wait_for_it {"x":1}'])
    assert calls(db) == [("wait_for_it", {"x": 1}, None, "the turn ended before the tool returned")]
    check_hidden(open_db, llm, client, HELLO)


@by_client
def test_a_turn_that_another_thread_is_still_in_is_hidden(
    open_db: Open, llm: LocalLLM, client: str
) -> None:
    tools.waiting.clear()
    tools.may_return.clear()
    db = open_db()
    speaker = agent(db, client=client)
    say(speaker, "Hello")
    turn = threading.Thread(target=say, args=(speaker, 'TOOL wait_for_it {"x":1}'))
    turn.start()
    assert tools.waiting.wait(10)
    check_hidden(open_db, llm, client, HELLO)
    assert runs(db)[1][0] == "running"
    tools.may_return.set()
    turn.join()
    assert sorted(run[0] for run in runs(db)) == ["completed"] * 3


def test_a_failed_turn_of_one_session_hides_nothing_of_another(
    open_db: Open, llm: LocalLLM
) -> None:
    db = open_db()
    say(agent(db, session_id="other"), "Hello")
    say(agent(db, session_id=SESSION), "FAIL400")
    say(agent(db, session_id="other"), "Go on")
    assert sent(llm) == [*HELLO, "user: Go on"]
