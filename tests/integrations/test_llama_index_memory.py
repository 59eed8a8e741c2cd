"""The store of LlamaIndex's Memory does what its own does, and archiving writes no message."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.packages import INTEGRATIONS, needs

needs("llama_index", extra="llamaindex", required_by=INTEGRATIONS)

from llama_index.core.base.llms.types import ChatMessage  # noqa: E402 - after the check
from llama_index.core.chat_engine import SimpleChatEngine  # noqa: E402 - as above
from llama_index.core.llms import MockLLM  # noqa: E402 - as above
from llama_index.core.memory import Memory  # noqa: E402 - as above
from llama_index.core.storage.chat_store.base_db import MessageStatus  # noqa: E402 - as above
from llama_index.core.storage.chat_store.sql import SQLAlchemyChatStore  # noqa: E402 - as above
from sqlalchemy.ext.asyncio import create_async_engine  # noqa: E402 - as above

from praison_persist import cli, create_conversation_store  # noqa: E402 - as above
from praison_persist.config import detect_backend  # noqa: E402 - as above
from praison_persist.errors import UnsupportedError  # noqa: E402 - as above
from praison_persist.integrations.llama_index import PersistMemoryStore  # noqa: E402 - as above
from tests.servers import empty  # noqa: E402 - as above

from .places import PLACES, url_of  # noqa: E402 - as above
from .two_processes import in_two_processes  # noqa: E402 - as above

ACTIVE, ARCHIVED = MessageStatus.ACTIVE, MessageStatus.ARCHIVED


@pytest.fixture(params=PLACES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    found = url_of(request.param, request, tmp_path)
    if request.param in ("postgresql", "mariadb"):
        empty(found)
    return found


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as running:
        yield running


def said(*words: str) -> list[ChatMessage]:
    return [ChatMessage(word) for word in words]


def texts(messages: list[ChatMessage]) -> list[str | None]:
    return [message.content for message in messages]


class Both:
    """Our store and LlamaIndex's own, of which the same is asked."""

    def __init__(self, ours: PersistMemoryStore, theirs: SQLAlchemyChatStore) -> None:
        self.ours, self.theirs = ours, theirs
        self.draw = random.Random(2)
        self.count = 0

    def new(self) -> list[ChatMessage]:
        self.count += 3
        return said(*(f"message {self.count - left}" for left in range(self.draw.randint(1, 3))))

    def asked(self, stored: list[ChatMessage]) -> tuple[str, tuple[Any, ...]]:
        """Return the name of a method and its arguments behind the key."""
        status, number = self.draw.choice([ACTIVE, ARCHIVED]), self.draw.randint(0, 3)
        kept = stored[: self.draw.randint(0, len(stored))]
        return self.draw.choice(
            [
                ("add_message", (self.new()[0], status)),
                ("add_messages", (self.new(), ACTIVE)),
                ("set_messages", (self.new(), status)),
                ("set_messages", ([*kept, *self.new()], ACTIVE)),
                ("archive_oldest_messages", (number,)),
                ("archive_oldest_messages", (number,)),
                ("delete_oldest_messages", (number,)),
                ("delete_messages", (status,)),
                ("get_messages", (status, number, 1)),
            ]
        )

    async def compare(self, steps: int) -> None:
        for _ in range(steps):
            key = self.draw.choice(["a", "b"])
            name, arguments = self.asked(await self.theirs.get_messages(key))
            mine = await getattr(self.ours, name)(key, *arguments)
            assert mine == await getattr(self.theirs, name)(key, *arguments), name
            for status in (ACTIVE, ARCHIVED, None):
                expected = await self.theirs.get_messages(key, status)
                assert await self.ours.get_messages(key, status) == expected, (name, status)
                assert await self.ours.count_messages(key, status) == len(expected), name
        for key in await self.theirs.get_keys():
            assert key in await self.ours.get_keys()
            await self.ours.delete_messages(key)
            await self.theirs.delete_messages(key)
        assert await self.theirs.get_keys() == []


def test_whatever_is_asked_it_answers_as_their_own(
    url: str, runner: asyncio.Runner, tmp_path: Path
) -> None:
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/theirs.db")
    theirs = SQLAlchemyChatStore(table_name="messages", async_engine=engine)
    with PersistMemoryStore(url) as ours:
        runner.run(Both(ours, theirs).compare(40))
    runner.run(engine.dispose())


def test_archiving_changes_no_message(
    url: str, runner: asyncio.Runner, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def archive() -> None:
        async with PersistMemoryStore(url) as store:
            await store.add_messages("s", said("one", "two", "three"))
            assert texts(await store.archive_oldest_messages("s", 2)) == ["one", "two"]
            assert await store.archive_oldest_messages("unknown", 2) == []

    async def look(place: str) -> None:
        async with PersistMemoryStore(place) as store:
            assert texts(await store.get_messages("s")) == ["three"]
            assert texts(await store.get_messages("s", ARCHIVED)) == ["one", "two"]
            assert texts(await store.get_messages("s", None)) == ["one", "two", "three"]

    runner.run(archive())
    runner.run(look(url))
    with create_conversation_store(detect_backend(url), url) as store:
        assert [row.content for row in store.get_messages("s")] == ["one", "two", "three"]
    assert cli.main(["sessions", "show", "s", "--url", url]) == 0
    assert "one" in capsys.readouterr().out
    target = f"json:{tmp_path}/copied"
    assert cli.main(["copy", url, target, "--verify"]) == 0
    runner.run(look(target))


def test_a_message_is_deleted_by_its_number(url: str, runner: asyncio.Runner) -> None:
    async def delete() -> None:
        async with PersistMemoryStore(url) as store:
            await store.add_messages("s", said("one", "two", "three"))
            assert await store.delete_message("s", 2) == ChatMessage("two")
            assert await store.delete_message("s", 2) is None
            assert texts(await store.get_messages("s")) == ["one", "three"]

    runner.run(delete())


def test_those_who_archive_at_the_same_time_get_other_messages(
    url: str, runner: asyncio.Runner
) -> None:
    async def archive() -> None:
        async with PersistMemoryStore(url) as store:
            await store.add_messages("s", said(*map(str, range(12))))
            got = await asyncio.gather(
                *(store.archive_oldest_messages("s", 2) for _ in range(4)),
                *(store.delete_oldest_messages("s", 1) for _ in range(2)),
            )
            taken = [int(each.content or "") for messages in got for each in messages]
            assert len(taken) == len(set(taken)) == 10
            assert len(await store.get_messages("s")) == 2

    runner.run(archive())


def _archive(url: str, name: str) -> list[str | None]:
    async def archive() -> list[str | None]:
        async with PersistMemoryStore(url) as store:
            taken: list[ChatMessage] = []
            for number in range(5):
                await store.add_message("s", ChatMessage(f"{name}{number}"))
                taken += await store.archive_oldest_messages("s", 1)
            return texts(taken)

    return asyncio.run(archive())


def test_two_processes_archive_one_conversation(url: str, runner: asyncio.Runner) -> None:
    first, second = in_two_processes(_archive, url)
    taken = first + second
    assert len(taken) == len(set(taken)) == 10

    async def look() -> None:
        async with PersistMemoryStore(url) as store:
            assert await store.get_messages("s") == []
            assert set(texts(await store.get_messages("s", ARCHIVED))) == set(taken)

    runner.run(look())


def test_a_memory_over_its_limit_archives_what_is_oldest(url: str) -> None:
    """Twice opened, as by two processes; the sync methods run loops of their own."""
    for turn in range(2):
        with PersistMemoryStore(url) as store:
            memory = Memory.from_defaults(
                session_id="s", token_limit=60, token_flush_size=20, chat_store=store
            )
            engine = SimpleChatEngine.from_defaults(llm=MockLLM(max_tokens=4), memory=memory)
            for number in range(5):
                engine.chat(f"question {turn} {number}")
            active, everything = memory.get(), memory.get_all()
            assert len(everything) == 10 * (turn + 1)
            assert 2 <= len(active) < len(everything)
            assert everything[-len(active) :] == active
    with PersistMemoryStore(url) as store:
        Memory.from_defaults(session_id="s", chat_store=store).reset()
        assert asyncio.run(store.get_keys()) == []


class Forgetful:
    """A store of somebody's own, which only appends and reads."""

    def __init__(self) -> None:
        self.kept: list[Any] = []

    def add_message(self, session_id: str, message: Any) -> Any:
        self.kept.append(message)
        return message

    def get_messages(self, session_id: str, limit: int | None = None) -> list[Any]:
        return list(self.kept)


def test_a_store_that_cannot_archive_says_so(runner: asyncio.Runner) -> None:
    async def archive() -> None:
        store = PersistMemoryStore(Forgetful())
        await store.add_message("s", ChatMessage("one"))
        assert texts(await store.get_messages("s")) == ["one"]
        with pytest.raises(UnsupportedError, match="EXPECTED_VERSION"):
            await store.archive_oldest_messages("s", 1)

    runner.run(archive())
