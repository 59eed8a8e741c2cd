"""Chat stores of LlamaIndex do what its own do, on stores of every kind, and lose nothing."""

from __future__ import annotations

import asyncio
import random
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.packages import INTEGRATIONS, needs

needs("llama_index", extra="llamaindex", required_by=INTEGRATIONS)

from llama_index.core.agent.workflow import FunctionAgent  # noqa: E402 - after the check
from llama_index.core.base.llms.types import (  # noqa: E402 - as above
    ChatMessage,
    ImageBlock,
    MessageRole,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)
from llama_index.core.chat_engine import SimpleChatEngine  # noqa: E402 - as above
from llama_index.core.llms import MockFunctionCallingLLM, MockLLM  # noqa: E402 - as above
from llama_index.core.memory import ChatMemoryBuffer  # noqa: E402 - as above
from llama_index.core.storage.chat_store import SimpleChatStore  # noqa: E402 - as above

from praison_persist import SQLConversationStore, cli, create_conversation_store  # noqa: E402 - as above
from praison_persist.config import detect_backend  # noqa: E402 - as above
from praison_persist.errors import InvalidDataError, PersistError  # noqa: E402 - as above
from praison_persist.integrations.llama_index import PersistChatStore  # noqa: E402 - as above
from praison_persist.models import ConversationMessage, ConversationSession  # noqa: E402 - as above
from praison_persist.sql import history  # noqa: E402 - as above
from tests.servers import empty  # noqa: E402 - as above

from .places import PLACES, SQL, url_of  # noqa: E402 - as above
from .two_processes import in_two_processes  # noqa: E402 - as above

CALL = ToolCallBlock(tool_call_id="call-1", tool_name="add", tool_kwargs={"a": 1, "b": 2.5})
CONVERSATION = [
    ChatMessage("Be brief.", role="system"),
    ChatMessage("1 + 2.5?"),
    ChatMessage(role="assistant", blocks=[ThinkingBlock(content="Hm."), CALL]),
    ChatMessage("3.5", role="tool", additional_kwargs={"tool_call_id": "call-1"}),
    ChatMessage(
        role="assistant", blocks=[TextBlock(text="It is"), TextBlock(text="3.5 \N{WATER WAVE}")]
    ),
    ChatMessage(blocks=[ImageBlock(image=b"\x89PNG\r\n\x1a\n", detail="low"), TextBlock(text="?")]),
    ChatMessage("", role="chatbot"),
    ChatMessage("Mind the gap.", role="developer"),
]


@pytest.fixture(params=PLACES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return emptied(request.param, request, tmp_path)


@pytest.fixture(params=SQL)
def sql_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return emptied(request.param, request, tmp_path)


def emptied(kind: str, request: pytest.FixtureRequest, folder: Path) -> str:
    found = url_of(kind, request, folder)
    if kind in ("postgresql", "mariadb"):
        empty(found)
    return found


@pytest.fixture
def chats(url: str) -> Iterator[PersistChatStore]:
    with PersistChatStore(url, user_id="ada", agent_id="calculator") as opened:
        yield opened


def texts(messages: list[ChatMessage]) -> list[str | None]:
    return [message.content for message in messages]


def said(*words: str) -> list[ChatMessage]:
    return [ChatMessage(word) for word in words]


def test_messages_come_back_as_they_were(url: str, chats: PersistChatStore) -> None:
    for message in CONVERSATION[:4]:
        chats.add_message("s", message)
    for message in CONVERSATION[4:]:
        asyncio.run(chats.async_add_message("s", message))
    assert chats.get_messages("s") == CONVERSATION
    with PersistChatStore(url) as again:
        assert asyncio.run(again.aget_messages("s")) == CONVERSATION
        assert again.get_keys() == ["s"]


def test_a_conversation_is_readable_without_llamaindex(
    url: str, chats: PersistChatStore, capsys: pytest.CaptureFixture[str]
) -> None:
    chats.set_messages("s", CONVERSATION)
    with create_conversation_store(detect_backend(url), url) as store:
        session = store.get_session("s")
        rows = store.get_messages("s")
    assert (session.user_id, session.agent_id) == ("ada", "calculator")
    assert [(row.role, row.content) for row in rows] == [
        ("system", "Be brief."),
        ("user", "1 + 2.5?"),
        ("assistant", None),
        ("tool", "3.5"),
        ("assistant", "It is\n3.5 \N{WATER WAVE}"),
        ("user", "?"),
        ("assistant", ""),
        ("system", "Mind the gap."),
    ]
    function = {"name": "add", "arguments": '{"a":1,"b":2.5}'}
    assert rows[2].tool_calls == [{"id": "call-1", "type": "function", "function": function}]
    assert rows[3].tool_call_id == "call-1"
    assert cli.main(["sessions", "show", "s", "--url", url]) == 0
    assert "1 + 2.5?" in capsys.readouterr().out


def test_a_conversation_moves_with_copy(url: str, chats: PersistChatStore, tmp_path: Path) -> None:
    chats.set_messages("s", CONVERSATION)
    target = f"json:{tmp_path}/copied"
    assert cli.main(["copy", url, target, "--verify"]) == 0
    with PersistChatStore(target) as copied:
        assert copied.get_messages("s") == CONVERSATION


def test_what_an_agent_stored_is_read_and_stays(url: str, chats: PersistChatStore) -> None:
    function = {"name": "add", "arguments": '{"a": 1}'}
    rows = [
        ConversationMessage(id="1", role="user", content="1 + 2?", run_id="run"),
        ConversationMessage(
            id="2",
            role="assistant",
            content=None,
            tool_calls=[{"id": "c", "type": "function", "function": function}],
        ),
        ConversationMessage(id="3", role="tool", content="3", tool_call_id="c"),
        ConversationMessage(id="4", role="narrator", content="Time passes."),
    ]
    with create_conversation_store(detect_backend(url), url) as store:
        store.create_session(ConversationSession("s"))
        for row in rows:
            store.add_message("s", row)
        call = ToolCallBlock(tool_call_id="c", tool_name="add", tool_kwargs={"a": 1})
        read = chats.get_messages("s")
        assert read == [
            ChatMessage("1 + 2?"),
            ChatMessage(role="assistant", blocks=[call]),
            ChatMessage("3", role="tool", additional_kwargs={"tool_call_id": "c"}),
            ChatMessage("Time passes."),
        ]
        chats.set_messages("s", [*read, ChatMessage("And?")])
        assert [row.id for row in store.get_messages("s")][:4] == ["1", "2", "3", "4"]
        assert store.get_messages("s")[0].run_id == "run"


@pytest.mark.parametrize(
    "message",
    [
        ChatMessage("x", additional_kwargs={"o": object()}),
        ChatMessage("x", additional_kwargs={"score": float("inf")}),
        "x",
    ],
    ids=["object", "infinity", "string"],
)
def test_what_would_change_is_refused(tmp_path: Path, message: Any) -> None:
    with PersistChatStore(f"json:{tmp_path}/x") as chats:
        chats.set_messages("s", said("first"))
        with pytest.raises(InvalidDataError):
            chats.set_messages("s", [ChatMessage("second"), message])
        with pytest.raises(InvalidDataError):
            chats.add_message("s", message)
        assert texts(chats.get_messages("s")) == ["first"]


class Both:
    """A chat store and LlamaIndex's own, of which the same is asked."""

    def __init__(self, ours: PersistChatStore, runner: asyncio.Runner) -> None:
        self.ours, self.theirs, self.runner = ours, SimpleChatStore(), runner
        self.draw = random.Random(1)
        self.count = 0

    def new(self, least: int = 1) -> list[ChatMessage]:
        made = []
        for _ in range(self.draw.randint(least, 4)):
            self.count += 1
            role = self.draw.choice(list(MessageRole))
            made.append(ChatMessage(f"message {self.count}", role=role))
        return made

    def step(self, key: str) -> tuple[str, Any, Any]:
        """Do something in both; return what it was, and what each returned."""
        stored = self.theirs.get_messages(key)
        wanted = self.draw.choice(
            ["add_message", "set_messages", "delete_message", "delete_last_message", "extend"]
            + ["delete_messages"] * (self.draw.random() < 0.3)
        )
        arguments: list[Any] = [key]
        if wanted == "add_message":
            arguments.append(self.new()[0])
        elif wanted == "set_messages":
            arguments.append(self.new(least=0))
        elif wanted == "extend":  # as memories do: what was read, and more
            wanted = "set_messages"
            arguments.append([*stored[: self.draw.randint(0, len(stored))], *self.new(least=0)])
        elif wanted == "delete_message":
            arguments.append(self.draw.randint(-len(stored), len(stored) + 1) if stored else 0)
        elif wanted == "delete_last_message" and not stored:
            return wanted, self.ours.delete_last_message(key), None  # theirs is an IndexError
        if self.draw.random() < 0.5:
            mine = getattr(self.ours, wanted)(*arguments)
        else:
            name = "async_add_message" if wanted == "add_message" else f"a{wanted}"
            mine = self.runner.run(getattr(self.ours, name)(*arguments))
        copies = [list(each) if isinstance(each, list) else each for each in arguments]
        return wanted, mine, getattr(self.theirs, wanted)(*copies)


def test_whatever_is_asked_it_answers_as_their_own(url: str) -> None:
    with PersistChatStore(url) as ours, asyncio.Runner() as runner:
        both = Both(ours, runner)
        for _ in range(80):
            key = both.draw.choice(["a", "b"])
            asked, mine, theirs = both.step(key)
            assert mine == theirs, asked
            assert ours.get_messages(key) == both.theirs.get_messages(key), asked
            assert runner.run(ours.aget_messages(key)) == both.theirs.get_messages(key), asked
            assert set(runner.run(ours.aget_keys())) == set(ours.get_keys())
            assert set(ours.get_keys()) == set(both.theirs.get_keys()), asked


def test_keys_are_those_of_the_user(url: str, chats: PersistChatStore) -> None:
    chats.add_message("of-ada", ChatMessage("hi"))
    with PersistChatStore(url, user_id="bob") as of_bob, PersistChatStore(url) as of_all:
        of_bob.add_message("of-bob", ChatMessage("hi"))
        assert (chats.get_keys(), of_bob.get_keys()) == (["of-ada"], ["of-bob"])
        assert sorted(of_all.get_keys()) == ["of-ada", "of-bob"]


def test_setting_what_is_there_writes_only_what_is_new(url: str, chats: PersistChatStore) -> None:
    """A memory sets all its messages again with each turn."""
    chats.set_messages("s", CONVERSATION)
    with create_conversation_store(detect_backend(url), url) as store:
        before = store.get_messages("s")
        chats.set_messages("s", [*CONVERSATION, ChatMessage("more")])
        after = store.get_messages("s")
        assert after[:-1] == before
        chats.set_messages("s", [*CONVERSATION[:2], ChatMessage("other")])
        cut = store.get_messages("s")
        assert cut[:2] == before[:2]
        assert (cut[2].content, len(cut)) == ("other", 3)
        assert (cut[2].seq or 0) > (after[-1].seq or 0)


def test_a_reader_sees_the_old_conversation_or_the_new_one(sql_url: str) -> None:
    conversations = [[f"{name}{number}" for number in range(6)] for name in "ab"]
    with PersistChatStore(sql_url) as chats:
        chats.set_messages("s", said(*conversations[0]))
        seen: list[list[str | None]] = []
        ended = threading.Event()

        def read() -> None:
            while not ended.is_set():
                seen.append(texts(chats.get_messages("s")))

        with ThreadPoolExecutor(1) as threads:
            reading = threads.submit(read)
            try:
                for number in range(20):
                    chats.set_messages("s", said(*conversations[number % 2]))
            finally:
                ended.set()
            reading.result()
    assert all(each in conversations for each in seen)


def test_of_those_who_set_at_the_same_time_one_is_last(sql_url: str) -> None:
    conversations = [[f"{name}{number}" for number in range(5)] for name in "abcdef"]
    with PersistChatStore(sql_url) as chats, ThreadPoolExecutor(6) as threads:
        for _ in range(3):
            list(threads.map(lambda words: chats.set_messages("s", said(*words)), conversations))
            assert texts(chats.get_messages("s")) in conversations


def test_elsewhere_nothing_is_lost_by_those_who_set_at_the_same_time(tmp_path: Path) -> None:
    """As documented: the last message of each is there, once, whatever became of the others."""
    conversations = [[f"{name}{number}" for number in range(5)] for name in "abcd"]
    with PersistChatStore(f"json:{tmp_path}/x") as chats, ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda words: chats.set_messages("s", said(*words)), conversations))
        left = texts(chats.get_messages("s"))
        assert len(left) == len(set(left))
        assert any(words == [each for each in left if each in words] for words in conversations)
        chats.set_messages("s", said("alone"))
        assert texts(chats.get_messages("s")) == ["alone"]


def test_a_fork_goes_on_showing_what_was_replaced(sql_url: str) -> None:
    with SQLConversationStore(sql_url) as store, PersistChatStore(store) as chats:
        chats.set_messages("s", said("one", "two"))
        store.database.run(history.fork, "s", ConversationSession("child"), None, 1.0)
        chats.set_messages("s", said("one", "three"))
        assert texts(chats.get_messages("s")) == ["one", "three"]
        assert texts(chats.get_messages("child")) == ["one", "two"]
        chats.set_messages("child", said("four"))
        assert texts(chats.get_messages("child")) == ["four"]
        assert texts(chats.get_messages("s")) == ["one", "three"]
        assert texts(chats.delete_messages("s") or []) == ["one", "three"]
        assert texts(chats.get_messages("child")) == ["four"]


def test_each_of_several_gets_another_last_message(chats: PersistChatStore) -> None:
    chats.set_messages("s", said(*map(str, range(12))))
    with ThreadPoolExecutor(6) as threads:
        taken = list(threads.map(lambda _: chats.delete_last_message("s"), range(14)))
    assert sorted(int(each.content or "") for each in taken if each) == list(range(12))
    assert taken.count(None) == 2
    assert chats.get_messages("s") == []


def _take(url: str, name: str) -> list[str | None]:
    with PersistChatStore(url) as chats:
        taken = []
        for number in range(10):
            chats.add_message("added", ChatMessage(f"{name}{number}"))
            taken.append(chats.delete_last_message("taken"))
        chats.set_messages("set", said(*(f"{name}{number}" for number in range(5))))
        return texts([message for message in taken if message is not None])


def test_two_processes_work_on_one_conversation(sql_url: str) -> None:
    numbers = [str(number) for number in range(20)]
    with PersistChatStore(sql_url) as chats:
        chats.set_messages("taken", said(*numbers))
        first, second = in_two_processes(_take, sql_url)
        assert sorted(first + second) == sorted(numbers)
        assert chats.get_messages("taken") == []
        added = texts(chats.get_messages("added"))
        for name in "ab":
            own = [f"{name}{number}" for number in range(10)]
            assert [each for each in added if each in own] == own
        assert texts(chats.get_messages("set")) in [
            [f"{name}{number}" for number in range(5)] for name in "ab"
        ]


def test_a_chat_engine_remembers(url: str) -> None:
    for question, length in (("My name is Ada.", 2), ("What is my name?", 4)):
        with PersistChatStore(url) as chats:  # each time as a new process would
            memory = ChatMemoryBuffer.from_defaults(
                chat_store=chats, chat_store_key="ada", token_limit=10_000
            )
            engine = SimpleChatEngine.from_defaults(llm=MockLLM(max_tokens=3), memory=memory)
            engine.chat(question)
            assert len(memory.get_all()) == length
    with PersistChatStore(url) as chats:
        assert [message.role.value for message in chats.get_messages("ada")] == [
            *("user", "assistant"),
            *("user", "assistant"),
        ]


def add(a: int = 1, b: int = 2) -> int:
    """Add two numbers."""
    return a + b


@pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecationWarning")
def test_an_agent_with_tools_remembers(url: str) -> None:
    async def ask(question: str) -> None:
        async with PersistChatStore(url) as chats:
            memory = ChatMemoryBuffer.from_defaults(
                chat_store=chats, chat_store_key="s", token_limit=10_000
            )
            agent = FunctionAgent(tools=[add], llm=MockFunctionCallingLLM())
            await agent.run(question, memory=memory)

    asyncio.run(ask("1 + 2?"))
    with PersistChatStore(url) as chats:
        first = chats.get_messages("s")
    assert [message.role.value for message in first][:3] == ["user", "assistant", "tool"]
    assert first[-1].role == MessageRole.ASSISTANT
    asyncio.run(ask("And again?"))
    with PersistChatStore(url) as chats:
        assert chats.get_messages("s")[: len(first)] == first
        assert "And again?" in texts(chats.get_messages("s"))


def test_a_memory_that_is_serialised_shows_no_url(tmp_path: Path) -> None:
    with PersistChatStore(f"sqlite:///{tmp_path}/secret.db") as chats:
        memory = ChatMemoryBuffer.from_defaults(chat_store=chats)
        for shown in (memory.to_string(), repr(chats), str(chats.to_dict())):
            assert "secret" not in shown
        assert chats.class_name() == "PersistChatStore"


def test_a_url_is_closed_and_a_store_is_not(tmp_path: Path) -> None:
    key = uuid.uuid4().hex
    with SQLConversationStore(tmp_path / "x.db") as store:
        with PersistChatStore(store) as chats:
            chats.add_message(key, ChatMessage("kept"))
            asyncio.run(chats.aset_messages(key, said("kept", "too")))
        assert store.count(key) == 2
    chats = PersistChatStore(f"sqlite:///{tmp_path}/x.db")
    assert texts(chats.get_messages(key)) == ["kept", "too"]
    chats.close()
    with pytest.raises(PersistError, match="closed"):
        chats.get_messages(key)


def test_an_async_store_serves_both_colours(tmp_path: Path) -> None:
    async def write() -> None:
        url = f"sqlite:///{tmp_path}/x.db"
        async with create_conversation_store("sqlite", url, "async") as store:
            chats = PersistChatStore(store)
            await chats.aset_messages("s", said("a", "b"))
            await asyncio.to_thread(chats.set_messages, "s", said("a", "c"))
            assert texts(await chats.aget_messages("s")) == ["a", "c"]
            assert await chats.adelete_last_message("s") == ChatMessage("c")
            assert await chats.adelete_message("s", 0) == ChatMessage("a")
            assert await chats.adelete_messages("s") == []
            assert await chats.adelete_messages("s") is None

    asyncio.run(write())
