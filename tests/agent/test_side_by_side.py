"""Turns that run at the same time, or inside each other: each tool and message finds its own."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from local_llm import LocalLLM
from praisonaiagents import AgentTeam, ExecutionConfig, Task, handoff

from praison_persist import PraisonAIDB

from . import tools
from .conftest import Open
from .driving import ACHAT, CHAT, CLIENTS, ITER_STREAM, OPENAI, SESSION, agent, say
from .stored import calls, lines, runs, said, sent

by_client = pytest.mark.parametrize("client", CLIENTS)

THREE = range(3)


def turn_of(number: int) -> list[str]:
    return [
        f'user: TOOL add {{"a":{number}}}',
        f'call: add {{"a": {number}}}',
        f"result: {number}",
        f"assistant: TOOL RESULT: {number}",
    ]


def check_three(open_db: Open, llm: LocalLLM, db: PraisonAIDB, client: str) -> None:
    """Three turns were recorded, whole and apart, whichever came first."""
    assert sorted(said(db)) == sorted(line for number in THREE for line in turn_of(number))
    by_output = {output: (status, told) for status, output, told in runs(db)}
    for number in THREE:
        assert by_output[f"TOOL RESULT: {number}"] == ("completed", turn_of(number))
    for run in db.get_runs(SESSION):
        assert len(run.tool_calls) == 1
        assert run.output_content == f"TOOL RESULT: {run.tool_calls[0].result}"
    say(agent(open_db(), client=client), "Go on")
    resumed = sent(llm)[:-1]
    # One turn after the other, though their rows are mixed.
    turns = [resumed[start : start + 4] for start in range(0, len(resumed), 4)]
    assert sorted(turns) == [turn_of(number) for number in THREE]


@pytest.mark.parametrize("mode", [CHAT, ACHAT])
@by_client
def test_three_threads_on_one_agent(open_db: Open, llm: LocalLLM, client: str, mode: str) -> None:
    db = open_db()
    speaker = agent(db, client=client)
    with ThreadPoolExecutor(3) as pool:
        prompts = [f'TOOL add {{"a":{number}}}' for number in THREE]
        list(pool.map(lambda prompt: say(speaker, prompt, mode), prompts))
    check_three(open_db, llm, db, client)


@by_client
def test_three_threads_stream_from_one_agent(open_db: Open, llm: LocalLLM, client: str) -> None:
    """Without tools: the agent itself mixes up those of streams that share it."""
    db = open_db()
    speaker = agent(db, client=client)
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda number: say(speaker, f"Hello {number}", ITER_STREAM), THREE))
    turns = [[f"user: Hello {n}", f"assistant: You said: Hello {n}"] for n in THREE]
    assert sorted(told for _, _, told in runs(db)) == turns
    assert {status for status, _, _ in runs(db)} == {"completed"}


@by_client
def test_three_gathered_turns_of_one_agent(open_db: Open, llm: LocalLLM, client: str) -> None:
    db = open_db()
    speaker = agent(db, client=client)

    async def gather() -> list[Any]:
        prompts = [f'TOOL add {{"a":{number}}}' for number in THREE]
        return await asyncio.gather(*[speaker.achat(prompt) for prompt in prompts])

    assert asyncio.run(gather()) == [f"TOOL RESULT: {number}" for number in THREE]
    check_three(open_db, llm, db, client)


@by_client
def test_many_agents_of_one_adapter_in_sessions_of_their_own(
    open_db: Open, llm: LocalLLM, client: str
) -> None:
    db = open_db()
    speakers = [agent(db, client=client, session_id=f"s{number}") for number in range(4)]

    async def gather() -> None:
        await asyncio.gather(
            *[one.achat(f'TOOL add {{"a":{number}}}') for number, one in enumerate(speakers)]
        )

    asyncio.run(gather())
    for number in range(4):
        assert said(db, f"s{number}") == turn_of(number)


@pytest.mark.parametrize("mode", [CHAT, ACHAT])
@by_client
def test_parallel_tools_run_side_by_side(
    open_db: Open, llm: LocalLLM, client: str, mode: str
) -> None:
    """They return in any order; the user's message is still before them, and each has its own."""
    db = open_db()
    options = ExecutionConfig(parallel_tool_calls=True)
    speaker = agent(db, client=client, execution=options)
    prompt = 'TOOLS2 naps {"seconds":0.2,"label":"slow"}|{"seconds":0.0,"label":"fast"}'
    assert say(speaker, prompt, mode) == 'TOOL RESULT: "slow" & "fast"'
    told = said(db)
    assert told[0] == f"user: {prompt}"
    assert told[-1] == 'assistant: TOOL RESULT: "slow" & "fast"'
    pairs = {(told[1], told[2]), (told[3], told[4])}
    assert pairs == {
        ('call: naps {"label": "slow", "seconds": 0.2}', 'result: "slow"'),
        ('call: naps {"label": "fast", "seconds": 0.0}', 'result: "fast"'),
    }
    assert sorted(call[2] for call in calls(db)) == ["fast", "slow"]


@by_client
def test_an_async_tool(open_db: Open, llm: LocalLLM, client: str) -> None:
    db = open_db()
    say(agent(db, client=client), 'TOOL naps_async {"label":"done"}', ACHAT)
    assert said(db)[1:3] == ['call: naps_async {"label": "done"}', 'result: "done"']


def test_two_agents_share_a_session(open_db: Open, llm: LocalLLM) -> None:
    db = open_db()
    ada, bob = agent(db, name="Ada"), agent(db, name="Bob")
    say(ada, "My name is Grace")
    say(bob, "Hello")
    say(ada, 'TOOL add {"a":1}')
    told = said(db)
    assert [line for line in told if line.startswith("user")] == [
        "user: My name is Grace",
        "user: Hello",
        'user: TOOL add {"a":1}',
    ]
    assert [run.agent_name for run in reversed(db.get_runs(SESSION))] == ["Ada", "Bob", "Ada"]
    say(agent(open_db(), name="Eve"), "What is my name?")
    assert sent(llm) == [*told, "user: What is my name?"]


@pytest.mark.parametrize("how", ["start", "astart"])
@by_client
def test_a_team_of_agents_with_memories_of_their_own(
    open_db: Open, llm: LocalLLM, client: str, how: str
) -> None:
    db = open_db()
    ada = agent(db, client=client, name="Ada", session_id="ada")
    bob = agent(db, client=client, name="Bob", session_id="bob")
    tasks = [
        Task(name="sum", description='TOOL add {"a":1}', expected_output="a sum", agent=ada),
        Task(name="word", description="Say it", expected_output="a word", agent=bob),
    ]
    team = AgentTeam(agents=[ada, bob], tasks=tasks)
    if how == "start":
        team.start()
    else:

        async def start() -> Any:
            return await team.astart()

        asyncio.run(start())
    first, second = said(db, "ada"), said(db, "bob")
    assert [line.partition(":")[0] for line in first] == ["user", "call", "result", "assistant"]
    assert [line.partition(":")[0] for line in second] == ["user", "assistant"]
    for session_id in ("ada", "bob"):
        assert [run[0] for run in runs(db, session_id)] == ["completed"]
    assert calls(db, "ada") == [("add", {"a": 1}, 1, None)]
    say(agent(open_db(), client=client, session_id="ada"), "Go on")
    assert sent(llm) == [*first, "user: Go on"]


@pytest.mark.parametrize("mode", [CHAT, ACHAT, ITER_STREAM])
@pytest.mark.parametrize("session_id", ["bob", SESSION])
@by_client
def test_a_handoff(open_db: Open, llm: LocalLLM, client: str, mode: str, session_id: str) -> None:
    """The inner agent's turn is within a tool call of the outer one, perhaps in its session."""
    db = open_db()
    bob = agent(db, client=client, name="Bob", session_id=session_id, tools=[])
    ada = agent(db, client=client, name="Ada", handoffs=[handoff(bob)])
    prompt = 'TOOL transfer_to_bob {"task":"Say hello"}'
    answer = say(ada, prompt, mode)
    by_agent = {run.agent_name: run for run in [*db.get_runs(SESSION), *db.get_runs(session_id)]}
    outer, inner = by_agent["Ada"], by_agent["Bob"]
    assert outer.status == "completed"
    if (client, mode) == (OPENAI, ITER_STREAM):
        # The agent hands its own unfinished tool call over, which the model refuses.
        assert inner.status == "error"
    else:
        assert inner.status == "completed"
        assert [line.partition(":")[0] for line in lines(inner.messages)] == ["user", "assistant"]
    assert (outer.session_id, inner.session_id) == (SESSION, session_id)
    told = lines(outer.messages)
    assert told[0] == f"user: {prompt}"
    assert told[1] == 'call: transfer_to_bob {"task": "Say hello"}'
    assert told[3] == f"assistant: {answer}"
    assert len(told) == 4
    assert [call.tool_name for call in outer.tool_calls] == ["transfer_to_bob"]
    assert inner.tool_calls == []
    say(agent(open_db(), client=client), "Go on")
    assert sent(llm)[-1] == "user: Go on"
    assert set(told) <= set(sent(llm))


@pytest.mark.parametrize("mode", [CHAT, ACHAT, ITER_STREAM])
def test_an_agent_without_a_database_inside_a_tool(open_db: Open, llm: LocalLLM, mode: str) -> None:
    """Its tools and answers are nobody's."""

    def ask_helper(question: str = "") -> str:
        """Ask another agent."""
        helper = agent(None, tools=[tools.add, tools.fails], memory=None, name="Helper")
        return str(helper.chat(question))

    db = open_db()
    speaker = agent(db, tools=[ask_helper, tools.add])
    say(speaker, 'TOOL ask_helper {"question": "TOOL add {\\"a\\":40}"}', mode)
    assert [call[0] for call in calls(db)] == ["ask_helper"]
    kinds = [line.partition(":")[0] for line in said(db)]
    assert kinds == ["user", "call", "result", "assistant"]


def test_a_stream_that_pauses_for_a_turn_of_another_agent(open_db: Open, llm: LocalLLM) -> None:
    """A generator shares the context of who takes its steps."""
    db = open_db()
    ada, bob = agent(db, session_id="ada"), agent(db, session_id="bob")
    stream = ada.iter_stream('TOOL add {"a":1}')
    parts = [next(stream)]
    say(bob, 'TOOL add {"a":2}')
    parts += list(stream)
    assert "".join(parts) == "TOOL RESULT: 1"
    assert said(db, "ada") == turn_of(1)
    assert said(db, "bob") == turn_of(2)
    assert [run[0] for run in runs(db, "ada") + runs(db, "bob")] == ["completed"] * 2


def test_two_streams_in_turn(open_db: Open, llm: LocalLLM) -> None:
    db = open_db()
    streams = [
        agent(db, session_id=name).iter_stream(f"One two three from {name}") for name in "ab"
    ]
    left = list(streams)
    while left:
        left = [stream for stream in left if next(stream, None) is not None]
    for name in "ab":
        prompt = f"One two three from {name}"
        assert said(db, name) == [f"user: {prompt}", f"assistant: You said: {prompt}"]
        assert runs(db, name)[0][0] == "completed"


def test_two_adapters_keep_one_conversation_each(
    open_db: Open, llm: LocalLLM, tmp_path: Any
) -> None:
    """They use the same session id, in different databases, in the same context."""
    here, there = open_db(), open_db(f"sqlite:///{tmp_path / 'other.db'}")
    first, second = agent(here), agent(there)
    for number, speaker in enumerate((first, second, first)):
        say(speaker, f'TOOL add {{"a":{number}}}')
    assert said(here) == turn_of(0) + turn_of(2)
    assert said(there) == turn_of(1)


@pytest.mark.parametrize("mode", [CHAT, ACHAT])
def test_a_hundred_turns_at_once_lose_nothing(open_db: Open, llm: LocalLLM, mode: str) -> None:
    db = open_db()
    speakers = [agent(db, session_id=f"s{number % 3}", client=OPENAI) for number in range(6)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: say(speakers[n % 6], f"Hello {n}", mode), range(30)))
    told = [line for number in range(3) for line in said(db, f"s{number}")]
    expected = [f"user: Hello {n}" for n in range(30)]
    expected += [f"assistant: You said: Hello {n}" for n in range(30)]
    assert sorted(told) == sorted(expected)
    for number in range(3):
        assert {(status, len(rows)) for status, _, rows in runs(db, f"s{number}")} == {
            ("completed", 2)
        }
