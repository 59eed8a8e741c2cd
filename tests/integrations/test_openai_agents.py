"""A session of the OpenAI Agents SDK in our stores does what the SDK's own session does."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from tests.packages import INTEGRATIONS, needs

needs("agents", extra="openai-agents", required_by=INTEGRATIONS)

from agents import (  # noqa: E402 - after the check
    Agent,
    OpenAIResponsesCompactionSession,
    Runner,
    SQLiteSession,
    function_tool,
    set_tracing_disabled,
)
from agents.extensions.memory.encrypt_session import EncryptedSession  # noqa: E402 - after the check
from agents.memory import Session  # noqa: E402 - after the check
from agents.testing import ScriptedModel  # noqa: E402 - after the check
from openai.types.responses import (  # noqa: E402 - after the check
    ResponseFunctionToolCall,
    ResponseOutputMessage,
    ResponseOutputText,
)

from praison_persist import (  # noqa: E402 - after the check
    AsyncSQLiteConversationStore,
    PraisonAIDB,
    create_conversation_store,
)
from praison_persist.errors import (  # noqa: E402 - after the check
    InvalidDataError,
    UnavailableError,
    UnsupportedError,
)
from praison_persist.integrations.openai_agents import PersistSession  # noqa: E402 - after the check
from praison_persist.models import (  # noqa: E402 - after the check
    ConversationMessage,
    ConversationSession,
)
from tests.integrations.places import PLACES, url_of  # noqa: E402 - after the check
from tests.integrations.side_by_side import side_by_side  # noqa: E402 - after the check

set_tracing_disabled(disabled=True)

PROCESS = "tests.integrations.openai_process"
BATCHES = 12  # of each process

ITEMS: list[Any] = [
    {"role": "user", "content": "Ünïcödé \x00 \ud800 " + "x" * 70_000},
    {"content": [{"type": "input_text", "text": "See"}, {"type": "input_image", "image_url": "u"}],
     "role": "user", "type": "message"},
    {"id": "rs_1", "type": "reasoning", "summary": [], "encrypted_content": "gAAA", "status": None},
    {"arguments": '{"city": "Oslo"}', "call_id": "call_1", "name": "weather",
     "type": "function_call", "id": "__fake_id__", "status": "completed"},
    {"call_id": "call_1", "output": [{"type": "input_text", "text": "rain"}],
     "type": "function_call_output"},
    {"call_id": "c" * 300, "output": "long id", "type": "function_call_output"},
    {"type": "web_search_call", "id": "ws_1", "action": {"query": "q", "n": 1.0, "big": 2**70}},
    {"type": "compaction", "id": "cmp_1", "encrypted_content": "summary"},
    {"role": "developer", "content": ""},
    {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}], "z": 0, "a": [None]},
]  # fmt: skip


@pytest.fixture(params=PLACES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return url_of(request.param, request, tmp_path)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/agents.db"


@asynccontextmanager
async def opened(url: str, **options: Any) -> AsyncIterator[PersistSession]:
    """A session of a new id."""
    async with PersistSession(uuid4().hex, url, **options) as session:
        yield session


def user(text: str) -> Any:
    return {"role": "user", "content": text}


def said(text: str) -> ResponseOutputMessage:
    content = ResponseOutputText(text=text, type="output_text", annotations=[])
    return ResponseOutputMessage(
        id="m", type="message", role="assistant", content=[content], status="completed"
    )


def test_items_come_back_byte_for_byte(url: str) -> None:
    async def main() -> None:
        async with opened(url) as session:
            assert isinstance(session, Session)
            await session.add_items(ITEMS)
            async with PersistSession(session.session_id, url) as other:
                assert json.dumps(await other.get_items()) == json.dumps(ITEMS)
                assert await other.pop_item() == ITEMS[-1]

    asyncio.run(main())


@pytest.mark.parametrize(("kind", "steps"), [("sqlite", 250), ("json", 120), ("mariadb", 60)])
def test_answers_are_those_of_the_sdks_own_session(
    kind: str, steps: int, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """The same calls, chosen at random, on both."""
    choose = random.Random(steps)
    url = url_of(kind, request, tmp_path)
    settings = {"limit": 7}

    async def main() -> None:
        theirs = SQLiteSession("s", tmp_path / "theirs.db", session_settings=settings)
        async with opened(url, session_settings=settings) as ours:
            sessions: list[Any] = [ours, theirs]
            for step in range(steps):
                items = [user(f"{step} {n}") for n in range(choose.randrange(4))]
                limit = choose.choice([None, 0, 1, 3, 1000])
                calls: list[tuple[str, list[Any]]] = [
                    ("add_items", [items]),
                    ("pop_item", []),
                    ("get_items", [limit]),
                    ("get_items", [10_000]),
                    ("clear_session", []),
                ]
                name, arguments = choose.choices(calls, [8, 5, 4, 2, 1])[0]
                answers = [await getattr(session, name)(*arguments) for session in sessions]
                assert answers[0] == answers[1]
        theirs.close()

    asyncio.run(main())


def test_tasks_pop_each_another_item(url: str) -> None:
    async def main() -> None:
        async with opened(url) as session:
            await session.add_items([user(str(number)) for number in range(8)])
            popped: list[Any] = await asyncio.gather(*(session.pop_item() for _ in range(12)))
            got = [item["content"] for item in popped if item is not None]
            assert sorted(got) == [str(number) for number in range(8)]
            assert popped.count(None) == 4

    asyncio.run(main())


def test_processes_work_on_one_session(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """No item is lost, none is popped twice, and the order is that of each writer."""
    urls = [url_of(kind, request, tmp_path) for kind in PLACES]
    names = ("red", "blue")
    session_id = uuid4().hex
    said = side_by_side(PROCESS, *((session_id, name, *urls) for name in names), folder=tmp_path)
    for kind, popped in zip(PLACES, zip(*said, strict=True), strict=True):
        texts = [[item["content"] for item in items] for items in popped]
        pairs = {f"{name} {number}" for name in names for number in range(BATCHES)}
        assert sorted(text for got in texts for text in got) == sorted(
            f"{pair} {half}" for pair in pairs for half in "ab"
        )
        for name in names:
            for got in texts:  # newest first, of each writer
                numbers = [int(text.split()[1]) for text in got if text.startswith(name)]
                assert numbers == sorted(numbers, reverse=True), kind


def test_batches_of_tasks_stay_whole(url: str) -> None:
    async def main() -> None:
        async with opened(url) as session:
            batches = [[user(f"{n} {half}") for half in "ab"] for n in range(8)]
            await asyncio.gather(*(session.add_items(batch) for batch in batches))
            items: list[Any] = await session.get_items()
            pairs = [items[index : index + 2] for index in range(0, len(items), 2)]
            assert sorted(pairs, key=str) == batches

    asyncio.run(main())


def test_what_json_cannot_hold_is_refused_and_nothing_of_its_batch_stored(sqlite_url: str) -> None:
    async def main() -> None:
        async with opened(sqlite_url) as session:
            bad: list[Any] = [{"role": "user", "content": float("nan")}, said("hi"), {"a": (1, 2)}]
            for wrong in bad:
                with pytest.raises(InvalidDataError):
                    await session.add_items([user("fine"), wrong])
            with pytest.raises(InvalidDataError, match="limit"):
                await session.get_items(-1)
            assert await session.get_items() == []

    asyncio.run(main())
    with pytest.raises(InvalidDataError, match="session_id"):
        PersistSession("", sqlite_url)


def weather(city: str) -> str:
    """Tell the weather."""
    return f"rain in {city}"


def call(number: int) -> ResponseFunctionToolCall:
    return ResponseFunctionToolCall(
        call_id=f"call_{number}",
        name="weather",
        arguments=json.dumps({"city": "Oslo"}),
        type="function_call",
    )


def test_a_runner_goes_on_and_others_read_what_was_said(url: str) -> None:
    """With the SDK's own loop of an agent, and a resume as an Agent of praisonai has it."""

    async def run(session_id: str, prompt: str, model: ScriptedModel) -> None:
        agent = Agent(name="Forecaster", model=model, tools=[function_tool(weather)])
        async with PersistSession(session_id, url, user_id="ada") as session:
            await Runner.run(agent, prompt, session=session)

    session_id = uuid4().hex
    first = ScriptedModel(steps=[[call(1), call(2)], [said("Rain.")]])
    asyncio.run(run(session_id, "Weather in Oslo?", first))
    second = ScriptedModel(steps=[[said("As I said.")]])
    asyncio.run(run(session_id, "Again?", second))
    handed = second.calls[0].input
    assert isinstance(handed, list)
    kinds = [item.get("type", item.get("role")) for item in handed]
    calls, outputs = ["function_call"] * 2, ["function_call_output"] * 2
    assert kinds == ["user", *calls, *outputs, "message", "user"]

    with PraisonAIDB(url) as db:
        roles = [message.role for message in db.get_messages(session_id)]
        assert roles == [
            "user",
            *["assistant"] * 2,
            *["tool"] * 2,
            "assistant",
            "user",
            "assistant",
        ]
        resumed = db.on_agent_start("Assistant", session_id=session_id)
        assert [message.content for message in resumed] == [
            "Weather in Oslo?", None, "rain in Oslo", None, "rain in Oslo", "Rain.", "Again?",
            "As I said.",
        ]  # fmt: skip
        assert db.get_session(session_id).user_id == "ada"  # type: ignore[union-attr]  # it was just made


def test_what_others_said_is_read_as_items(sqlite_url: str) -> None:
    """A message may be several items: a limit counts items, and none is popped of several."""
    requests = [
        {"id": f"call_{n}", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
        for n in (1, 2)
    ]
    answers = [
        ConversationMessage(role="tool", content=f"rain {n}", tool_call_id=f"call_{n}")
        for n in (1, 2)
    ]
    messages = [
        ConversationMessage(role="system", content="Be kind."),
        ConversationMessage(role="user", content="Weather?"),
        ConversationMessage(role="assistant", content=None, tool_calls=requests),
        *answers,
        ConversationMessage(role="assistant", content=None),
    ]

    async def main() -> None:
        async with create_conversation_store("sqlite", sqlite_url, "async") as store:
            await store.create_session(ConversationSession("s"))
            await store.add_messages("s", messages)
            session = PersistSession("s", store)
            calls = [
                {
                    "type": "function_call",
                    "call_id": f"call_{n}",
                    "name": "weather",
                    "arguments": "{}",
                }
                for n in (1, 2)
            ]
            outputs = [
                {"type": "function_call_output", "call_id": f"call_{n}", "output": f"rain {n}"}
                for n in (1, 2)
            ]
            everything = [
                {"role": "system", "content": "Be kind."},
                user("Weather?"),
                *calls,
                *outputs,
            ]
            assert await session.get_items() == everything
            assert await session.get_items(3) == [calls[1], *outputs]
            assert [await session.pop_item(), await session.pop_item()] == outputs[::-1]
            with pytest.raises(UnsupportedError, match="2 items"):
                await session.pop_item()
            assert await session.get_items() == everything[:4]
            await session.close()
            assert await store.count("s") == 4  # the store is still open

    asyncio.run(main())


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_a_given_store_stays_open(mode: str, sqlite_url: str) -> None:
    store = create_conversation_store("sqlite", sqlite_url, mode)

    async def main() -> None:
        async with PersistSession("s", store) as session:
            await session.add_items([user("hi")])
        async with PersistSession("s", store) as session:
            assert await session.get_items() == [user("hi")]
        if mode == "async":
            await store.close()

    asyncio.run(main())
    if mode == "sync":
        assert store.count("s") == 1
        store.close()


def test_clearing_keeps_the_session_itself(sqlite_url: str) -> None:
    async def main() -> None:
        async with create_conversation_store("sqlite", sqlite_url, "async") as store:
            await store.create_session(ConversationSession("s", name="Trip", state={"a": 1}))
            session = PersistSession("s", store)
            await session.add_items([user("hi")])
            await session.clear_session()
            assert await session.get_items() == []
            assert (await store.get_session("s")).state == {"a": 1}

    asyncio.run(main())


SUMMARY: Any = {"type": "compaction", "id": "cmp_1", "encrypted_content": "short"}


class Compactor:
    """What OpenAI's client offers of compaction: it sums up, while `meanwhile` is awaited."""

    def __init__(self, meanwhile: Callable[[], Any]) -> None:
        self.responses, self._meanwhile = self, meanwhile

    async def compact(self, **request: Any) -> Any:
        await self._meanwhile()
        return SimpleNamespace(output=[SUMMARY], usage=None)


def test_a_compaction_replaces_what_it_summed_up(url: str) -> None:
    async def main() -> None:
        async with opened(url) as session:

            async def nothing() -> None:
                assert len(await session.get_items()) == 12

            client: Any = Compactor(nothing)
            compacting: Any = OpenAIResponsesCompactionSession(
                session.session_id, session, client=client
            )
            await compacting.add_items([user(str(number)) for number in range(12)])
            await compacting.run_compaction({"force": True, "compaction_mode": "input"})
            assert await session.get_items() == [SUMMARY]

    asyncio.run(main())


def test_a_replacement_loses_nothing(sqlite_url: str) -> None:
    """Neither what others add while it runs, nor, where it fails, what it was to replace."""

    class Racing(AsyncSQLiteConversationStore):
        fails = True

        async def add_messages(self, session_id: str, messages: Any) -> Any:
            if messages[0].metadata["openai_agents"] == SUMMARY:
                if self.fails:
                    raise UnavailableError("away")
                late = ConversationMessage(content="late", role="user")
                await super().add_messages(session_id, [late])
            return await super().add_messages(session_id, messages)

    async def main() -> None:
        async with Racing(sqlite_url) as store:
            session = PersistSession("s", store)
            await session.add_items([user("a"), user("b")])
            with pytest.raises(UnavailableError):
                await session._atomic_replace_items([SUMMARY])
            assert await session.get_items() == [user("a"), user("b")]
            store.fails = False
            assert await session._atomic_replace_items([SUMMARY])
            assert await session.get_items() == [user("late"), SUMMARY]

    asyncio.run(main())


def test_items_may_be_encrypted(sqlite_url: str) -> None:
    async def main() -> None:
        async with opened(sqlite_url) as inner:
            underlying: Any = inner
            session = EncryptedSession(inner.session_id, underlying, "secret-key")
            await session.add_items([user("my PIN is 1234")])
            assert "1234" not in json.dumps(await inner.get_items())
            assert await session.get_items() == [user("my PIN is 1234")]
            assert await session.pop_item() == user("my PIN is 1234")

    asyncio.run(main())
