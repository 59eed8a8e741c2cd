"""Objects of any kind that answer prompts: what they are asked and what they answer is kept."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextvars import copy_context
from typing import Any

import pytest

import praison_persist
from praison_persist import (
    ConversationMessage,
    PersistenceOrchestrator,
    PersistentAgent,
    UnavailableError,
    wrap_agent_with_persistence,
)

from .driving import ACHAT, ASTART, CHAT, ITER_STREAM, SESSION, START, say
from .own_stores import AsyncDictStore, DictStore
from .stored import lines, runs

WAYS: dict[str, Callable[..., Any]] = {
    "PersistentAgent": PersistentAgent,
    "wrap": wrap_agent_with_persistence,
}
HELLO = ["user: Hello", "assistant: You said: Hello"]


class Echo:
    """Answers in every way, as agents do: most of its methods call another one."""

    name = "Echo"

    def __init__(self) -> None:
        self.chat_history: list[dict[str, Any]] = []
        self.failure: BaseException | None = None
        self.asked = threading.Event()

    def chat(self, prompt: str, **options: Any) -> Any:
        self.asked.set()
        if self.failure is not None:
            raise self.failure
        return f"You said: {prompt}"

    def start(self, prompt: str, **options: Any) -> Any:
        return self.chat(prompt)

    def run(self, prompt: str) -> Any:
        return self.chat(prompt)

    def iter_stream(self, prompt: str) -> Iterator[str]:
        for word in self.chat(prompt).split(" "):
            yield word if word == "You" else f" {word}"

    async def achat(self, prompt: str) -> Any:
        await asyncio.sleep(0)
        return self.chat(prompt)

    async def astart(self, prompt: str) -> Any:
        return await self.achat(prompt)

    async def arun(self, prompt: str) -> Any:
        return await self.achat(prompt)


def kept(orchestrator: PersistenceOrchestrator) -> list[str]:
    return lines(orchestrator.get_messages(SESSION))


def outcomes(orchestrator: PersistenceOrchestrator) -> list[tuple[str, str | None, list[str]]]:
    adapter = orchestrator.adapter
    assert adapter is not None
    return runs(adapter)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("mode", [CHAT, START, ITER_STREAM, ACHAT, ASTART])
def test_each_turn_is_kept_once_and_resumed(
    orchestrator: PersistenceOrchestrator, way: str, mode: str
) -> None:
    speaker = WAYS[way](Echo(), orchestrator, SESSION, "ada")
    assert say(speaker, "Hello", mode) == "You said: Hello"
    assert say(speaker, "Hello", mode) == "You said: Hello"
    assert kept(orchestrator) == HELLO * 2
    session = orchestrator.get_session(SESSION)
    assert session is not None
    assert (session.user_id, session.agent_id) == ("ada", "Echo")

    echo = Echo()
    say(WAYS[way](echo, orchestrator, SESSION), "Go on", mode)
    assert (
        echo.chat_history
        == [
            {"role": "user", "content": "Hello"},
            {"role": "assistant", "content": "You said: Hello"},
        ]
        * 2
    )


def test_in_every_context(orchestrator: PersistenceOrchestrator) -> None:
    speaker = PersistentAgent(Echo(), orchestrator, SESSION)
    speaker.run("Hello")
    worker = threading.Thread(target=speaker.chat, args=("Hello",))
    worker.start()
    worker.join()

    async def cell() -> None:
        speaker.chat("Hello")
        await speaker.arun("Hello")
        await asyncio.to_thread(speaker.chat, "Hello")

    asyncio.run(cell())
    asyncio.run(cell())
    assert kept(orchestrator) == HELLO * 8


def test_resumed_history_keeps_tool_calls(on_sqlite: PersistenceOrchestrator) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": "{}"}}
    on_sqlite.on_message(SESSION, "user", "Add")
    on_sqlite.on_message(SESSION, "assistant", None, tool_calls=[call])
    on_sqlite.on_message(SESSION, "tool", "0", tool_call_id="c1")
    on_sqlite.on_message(SESSION, "assistant", "Zero")
    echo = Echo()
    PersistentAgent(echo, on_sqlite, SESSION).chat("Go on")
    assert echo.chat_history == [
        {"role": "user", "content": "Add"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "content": "0", "tool_call_id": "c1"},
        {"role": "assistant", "content": "Zero"},
    ]
    fresh = Echo()
    PersistentAgent(fresh, on_sqlite, SESSION, auto_resume=False).chat("Go on")
    assert fresh.chat_history == []


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("mode", [CHAT, START, ITER_STREAM, ACHAT, ASTART])
@pytest.mark.parametrize(
    ("failure", "status"), [(ValueError("no"), "error"), (KeyboardInterrupt(), "cancelled")]
)
def test_a_failed_turn_is_kept_as_such(
    on_sqlite: PersistenceOrchestrator, way: str, mode: str, failure: BaseException, status: str
) -> None:
    if isinstance(failure, KeyboardInterrupt) and mode in (ACHAT, ASTART):
        failure = asyncio.CancelledError()  # what interrupts a coroutine
    echo = Echo()
    speaker = WAYS[way](echo, on_sqlite, SESSION)
    echo.failure = failure
    with pytest.raises(type(failure)):
        say(speaker, "Hello", mode)
    assert outcomes(on_sqlite) == [(status, None, ["user: Hello"])]
    echo.failure = None
    say(speaker, "Hello", mode)
    assert kept(on_sqlite) == ["user: Hello", *HELLO]
    assert lines(on_sqlite.on_agent_start(None, SESSION)) == HELLO


def test_a_turn_that_does_not_get_to_the_agent_ends(on_sqlite: PersistenceOrchestrator) -> None:
    """Else it would be taken for one that still runs, for as long as its process does."""
    speaker = PersistentAgent(Echo(), on_sqlite, SESSION)
    with pytest.raises(TypeError, match="unknown"):
        asyncio.run(speaker.achat("Hello", unknown=1))
    assert outcomes(on_sqlite) == [("error", None, ["user: Hello"])]


def test_a_turn_that_is_cancelled_while_its_question_is_stored_ends() -> None:
    class Slow(AsyncDictStore):
        async def add_message(
            self, session_id: str, message: ConversationMessage
        ) -> ConversationMessage:
            if not asked.is_set():
                asked.set()
                await asyncio.Event().wait()
            return await super().add_message(session_id, message)

    async def cancelled() -> None:
        turn = asyncio.ensure_future(PersistentAgent(Echo(), orchestrator, SESSION).achat("Hello"))
        await asked.wait()
        turn.cancel()
        with pytest.raises(asyncio.CancelledError):
            await turn

    asked = asyncio.Event()
    states = praison_persist.create_state_store("memory")
    with PersistenceOrchestrator(Slow(), state_store=states) as orchestrator:
        asyncio.run(cancelled())
        assert [status for status, _, _ in outcomes(orchestrator)] == ["cancelled"]


@pytest.mark.parametrize("way", WAYS)
def test_a_stream_that_is_left(on_sqlite: PersistenceOrchestrator, way: str) -> None:
    speaker = WAYS[way](Echo(), on_sqlite, SESSION)
    stream = speaker.iter_stream("Hello")
    assert next(stream) == "You"
    stream.close()
    assert [(message.content, message.metadata) for message in on_sqlite.get_messages(SESSION)] == [
        ("Hello", None),
        ("You", {"partial": True}),
    ]
    assert [status for status, _, _ in outcomes(on_sqlite)] == ["cancelled"]
    say(speaker, "Hello")
    assert lines(on_sqlite.on_agent_start(None, SESSION)) == HELLO


def test_two_streams_of_a_session_at_once(on_sqlite: PersistenceOrchestrator) -> None:
    """The one that is left must not end the other."""
    first, second = (PersistentAgent(Echo(), on_sqlite, SESSION) for _ in range(2))
    left, read = first.iter_stream("one"), second.iter_stream("two")
    of_left, of_read = copy_context(), copy_context()  # as those of two requests
    assert of_left.run(next, left) == of_read.run(next, read) == "You"
    left.close()
    assert of_read.run("".join, read) == " said: two"
    found = {status: said for status, _, said in outcomes(on_sqlite)}
    assert found == {
        "cancelled": ["user: one", "assistant: You"],
        "completed": ["user: two", "assistant: You said: two"],
    }


def test_an_answer_of_another_kind() -> None:
    class Odd:
        def chat(self, prompt: str) -> Any:
            return {"answer": 42} if prompt == "a dict" else None

        async def start(self, prompt: str) -> str:
            return "awaited"

        def run(self, prompt: str) -> Iterator[str]:
            yield from ("in ", "pieces")

    with PersistenceOrchestrator(
        praison_persist.create_conversation_store("sqlite", ":memory:")
    ) as on_memory:
        speaker = PersistentAgent(Odd(), on_memory, SESSION)
        assert speaker.chat("a dict") == {"answer": 42}
        assert speaker.chat("nothing") is None
        assert "".join(speaker.run("pieces")) == "in pieces"

        async def ask() -> Any:
            return await speaker.start("await")

        assert asyncio.run(ask()) == "awaited"
        assert asyncio.run(speaker.achat("a dict")) == {"answer": 42}
        assert kept(on_memory) == [
            "user: a dict",
            "assistant: {'answer': 42}",
            "user: nothing",
            "user: pieces",
            "assistant: in pieces",
            "user: await",
            "assistant: awaited",
            "user: a dict",
            "assistant: {'answer': 42}",
        ]
        assert [status for status, _, _ in outcomes(on_memory)].count("error") == 1
        with pytest.raises(AttributeError):
            speaker.iter_stream("Hello")
        assert asyncio.run(_all_of(speaker)) == [{"answer": 42}] * 5
        assert len(kept(on_memory)) == 9 + 10


async def _all_of(speaker: Any) -> list[Any]:
    return list(await asyncio.gather(*(speaker.achat("a dict") for _ in range(5))))


def test_the_agent_answers_while_the_database_is_away() -> None:
    """What was said is stored when it is back."""

    class Away(DictStore):
        is_away = True

        def _note(self) -> None:
            if self.is_away:
                raise UnavailableError("away")

    store = Away()
    with PersistenceOrchestrator(store) as orchestrator:
        speaker = PersistentAgent(Echo(), orchestrator, SESSION, "ada")
        assert speaker.chat("Hello") == "You said: Hello"
        assert asyncio.run(speaker.achat("Hello")) == "You said: Hello"
        with pytest.raises(UnavailableError):
            orchestrator.on_message(SESSION, "user", "lost, and said so")
        store.is_away = False
        adapter = orchestrator.adapter
        assert adapter is not None
        assert adapter.flush_pending_writes()
        assert kept(orchestrator) == HELLO * 2
        session = orchestrator.get_session(SESSION)
        assert session is not None
        assert session.user_id == "ada"
