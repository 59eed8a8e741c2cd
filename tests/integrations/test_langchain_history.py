"""Chat message histories of LangChain keep what LangChain hands over, on stores of every kind."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.packages import INTEGRATIONS, needs

needs("langchain_core", extra="langchain", required_by=INTEGRATIONS)

from langchain_core.documents import Document  # noqa: E402 - after the check
from langchain_core.language_models.fake_chat_models import (  # noqa: E402 - as above
    FakeListChatModel,
    GenericFakeChatModel,
)
from langchain_core.messages import (  # noqa: E402 - as above
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder  # noqa: E402 - as above
from langchain_core.runnables import Runnable, RunnableLambda  # noqa: E402 - as above
from langchain_core.runnables.history import RunnableWithMessageHistory  # noqa: E402 - as above

from praison_persist import cli, create_conversation_store  # noqa: E402 - as above
from praison_persist.config import detect_backend  # noqa: E402 - as above
from praison_persist.conversation.json_file import (  # noqa: E402 - as above
    AsyncJSONConversationStore,
)
from praison_persist.errors import (  # noqa: E402 - as above
    ConfigurationError,
    ConflictError,
    InvalidDataError,
    PersistError,
)
from praison_persist.integrations.langchain import (  # noqa: E402 - as above
    PersistChatHistories,
    PersistChatMessageHistory,
)
from praison_persist.models import ConversationMessage, ConversationSession  # noqa: E402 - as above
from praison_persist.sql.stores import SQLConversationStore  # noqa: E402 - as above
from tests.servers import empty  # noqa: E402 - as above

from .places import PLACES, url_of  # noqa: E402 - as above
from .two_processes import in_two_processes  # noqa: E402 - as above

CALL = {"name": "add", "args": {"a": 1, "b": [2.5, None]}, "id": "call-1", "type": "tool_call"}
IMAGE = {"url": "data:image/png;base64,AA=="}
USAGE = {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}
CONVERSATION: list[BaseMessage] = [
    SystemMessage("Be brief."),
    HumanMessage("1 + 2.5?", name="ada", id="q-1"),
    AIMessage("", tool_calls=[CALL], usage_metadata=USAGE, id="run-1"),
    ToolMessage("3.5", tool_call_id="call-1", artifact={"exact": True}, status="success"),
    AIMessage(
        ["It is ", {"type": "text", "text": "3.5 \N{GLOBE WITH MERIDIANS}"}],
        response_metadata={"model_name": "m", "logprobs": None},
    ),
    HumanMessage([{"type": "text", "text": "This?"}, {"type": "image_url", "image_url": IMAGE}]),
    AIMessage("", invalid_tool_calls=[{"name": "f", "args": "{", "id": "call-2", "error": "cut"}]),
    ChatMessage(content="Hm.", role="critic"),
    FunctionMessage(content="7", name="old"),
    AIMessageChunk(content="3.5", chunk_position="last"),
]


@pytest.fixture(params=PLACES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    found = url_of(request.param, request, tmp_path)
    if request.param in ("postgresql", "mariadb"):
        empty(found)
    return found


@pytest.fixture
def histories(url: str) -> Iterator[PersistChatHistories]:
    with PersistChatHistories(url, user_id="ada", agent_id="calculator") as opened:
        yield opened


def test_messages_come_back_as_they_were(url: str, histories: PersistChatHistories) -> None:
    histories("s").add_messages(CONVERSATION[:4])
    asyncio.run(histories("s").aadd_messages(CONVERSATION[4:]))
    assert histories("s").messages == CONVERSATION
    with PersistChatMessageHistory("s", url) as again:
        assert asyncio.run(again.aget_messages()) == CONVERSATION
        assert [type(each) for each in again.messages] == [type(each) for each in CONVERSATION]


def test_a_conversation_is_readable_without_langchain(
    url: str, histories: PersistChatHistories, capsys: pytest.CaptureFixture[str]
) -> None:
    histories("s").add_messages(CONVERSATION)
    with create_conversation_store(detect_backend(url), url) as store:
        session = store.get_session("s")
        rows = store.get_messages("s")
    assert (session.user_id, session.agent_id) == ("ada", "calculator")
    assert [(row.role, row.content) for row in rows[:6]] == [
        ("system", "Be brief."),
        ("user", "1 + 2.5?"),
        ("assistant", ""),
        ("tool", "3.5"),
        ("assistant", "It is 3.5 \N{GLOBE WITH MERIDIANS}"),
        ("user", "This?"),
    ]
    function = {"name": "add", "arguments": '{"a":1,"b":[2.5,null]}'}
    assert rows[2].tool_calls == [{"id": "call-1", "type": "function", "function": function}]
    assert rows[3].tool_call_id == "call-1"
    assert [row.seq for row in rows] == list(range(1, len(CONVERSATION) + 1))
    assert cli.main(["sessions", "show", "s", "--url", url]) == 0
    assert "It is 3.5" in capsys.readouterr().out


def test_a_conversation_moves_with_copy(
    url: str, histories: PersistChatHistories, tmp_path: Path
) -> None:
    histories("s").add_messages(CONVERSATION)
    target = f"json:{tmp_path}/copied"
    assert cli.main(["copy", url, target, "--verify"]) == 0
    with PersistChatMessageHistory("s", target) as copied:
        assert copied.messages == CONVERSATION


def test_an_id_is_written_once(histories: PersistChatHistories) -> None:
    """A chain that tries again would say everything twice."""
    history = histories("s")
    history.add_messages(CONVERSATION[1:3])
    history.add_messages(CONVERSATION[1:3])
    assert history.messages == CONVERSATION[1:3]
    with pytest.raises(ConflictError, match="q-1"):
        history.add_messages([HumanMessage("new"), HumanMessage("1 + 3?", id="q-1")])
    assert history.messages == CONVERSATION[1:3]


def test_equal_messages_without_ids_are_all_kept(histories: PersistChatHistories) -> None:
    history = histories("s")
    history.add_user_message("yes")
    history.add_user_message("yes")
    history.add_messages([])
    history.add_ai_message("fine")
    assert [each.content for each in history.messages] == ["yes", "yes", "fine"]


def test_clearing_leaves_the_session(url: str, histories: PersistChatHistories) -> None:
    history = histories("s")
    history.clear()
    history.add_messages(CONVERSATION)
    history.clear()
    assert history.messages == []
    history.add_user_message("again")
    asyncio.run(history.aclear())
    assert asyncio.run(history.aget_messages()) == []
    with create_conversation_store(detect_backend(url), url) as store:
        assert store.get_session("s").user_id == "ada"


@pytest.mark.parametrize(
    "message",
    [
        ToolMessage("x", tool_call_id="c", artifact=object()),
        HumanMessage("x", additional_kwargs={"score": float("nan")}),
        HumanMessage("x", additional_kwargs={"pair": (1, 2)}),
        "x",
    ],
    ids=["object", "nan", "tuple", "string"],
)
def test_what_would_change_is_refused(tmp_path: Path, message: Any) -> None:
    with PersistChatMessageHistory("s", f"json:{tmp_path}/x") as history:
        with pytest.raises(InvalidDataError):
            history.add_messages([HumanMessage("first"), message])
        assert history.messages == []


def test_an_object_with_a_json_form_comes_back_as_that(tmp_path: Path) -> None:
    found = Document("text", id="d")
    with PersistChatMessageHistory("s", f"json:{tmp_path}/x") as history:
        history.add_messages([ToolMessage("x", tool_call_id="c", artifact=[found])])
        (read,) = history.messages
    assert isinstance(read, ToolMessage)
    assert read.artifact == [found.model_dump()]


def test_what_an_agent_stored_is_read(histories: PersistChatHistories, url: str) -> None:
    function = {"name": "add", "arguments": '{"a": 1}'}
    rows = [
        ConversationMessage(id="1", role="user", content="1 + 2?"),
        ConversationMessage(
            id="2",
            role="assistant",
            content=None,
            tool_calls=[{"id": "c", "type": "function", "function": function}],
        ),
        ConversationMessage(id="3", role="tool", content="3", tool_call_id="c"),
        ConversationMessage(id="4", role="system", content="Be brief."),
        ConversationMessage(id="5", role="narrator", content="Time passes."),
    ]
    with create_conversation_store(detect_backend(url), url) as store:
        store.create_session(ConversationSession("s"))
        for row in rows:
            store.add_message("s", row)
    call = {"name": "add", "args": {"a": 1}, "id": "c", "type": "tool_call"}
    assert histories("s").messages == [
        HumanMessage("1 + 2?", id="1"),
        AIMessage("", tool_calls=[call], id="2"),
        ToolMessage("3", tool_call_id="c", id="3"),
        SystemMessage("Be brief.", id="4"),
        ChatMessage(content="Time passes.", role="narrator", id="5"),
    ]


def test_tool_calls_of_another_shape_are_named(tmp_path: Path) -> None:
    url = f"json:{tmp_path}/x"
    with create_conversation_store("json", url) as store:
        store.create_session(ConversationSession("s"))
        store.add_message("s", ConversationMessage(id="m", role="assistant", tool_calls=["add"]))
    with (
        PersistChatMessageHistory("s", url) as history,
        pytest.raises(InvalidDataError, match="'m' of session 's'"),
    ):
        _ = history.messages


def with_history(
    runnable: Any, histories: PersistChatHistories, **keys: Any
) -> Runnable[Any, BaseMessage]:
    with pytest.warns(match="RunnableWithMessageHistory"):
        return RunnableWithMessageHistory(runnable, histories, **keys)


def of_session(session_id: str) -> Any:
    return {"configurable": {"session_id": session_id}}


def test_a_chain_remembers(histories: PersistChatHistories) -> None:
    seen: list[list[str]] = []

    def answer(messages: list[BaseMessage]) -> AIMessage:
        seen.append([str(each.content) for each in messages])
        return AIMessage(f"answer {len(messages)}")

    chain = with_history(RunnableLambda(answer), histories)
    chain.invoke([HumanMessage("one")], config=of_session("a"))
    chain.invoke([HumanMessage("else")], config=of_session("b"))
    asyncio.run(chain.ainvoke([HumanMessage("two")], config=of_session("a")))
    assert seen == [["one"], ["else"], ["one", "answer 1", "two"]]
    assert [each.content for each in histories("a").messages] == [
        *("one", "answer 1"),
        *("two", "answer 3"),
    ]


def test_a_streamed_answer_is_kept_whole(histories: PersistChatHistories) -> None:
    model = GenericFakeChatModel(messages=iter([AIMessage("an answer in parts")]))
    chain = with_history(model, histories)
    parts = list(chain.stream("go", config=of_session("s")))
    assert len(parts) > 1
    assert [each.content for each in histories("s").messages] == ["go", "an answer in parts"]


def test_runs_at_the_same_time_lose_nothing(histories: PersistChatHistories) -> None:
    prompt = ChatPromptTemplate.from_messages(
        [MessagesPlaceholder("history"), ("human", "{question}")]
    )
    chain = with_history(
        prompt | FakeListChatModel(responses=["yes"]),
        histories,
        input_messages_key="question",
        history_messages_key="history",
    )

    async def ask() -> None:
        questions = [f"q{number}" for number in range(8)]
        await asyncio.gather(
            *(chain.ainvoke({"question": each}, config=of_session("s")) for each in questions)
        )

    asyncio.run(ask())
    kept = [each.content for each in histories("s").messages]
    assert sorted(kept[0::2]) == [f"q{number}" for number in range(8)]
    assert kept[1::2] == ["yes"] * 8  # each question is followed by its answer


def test_threads_write_to_one_session(histories: PersistChatHistories) -> None:
    """They race for its creation, too."""
    pairs = [
        [HumanMessage(f"q{number}"), AIMessage(f"a{number}", id=f"run-{number}")]
        for number in range(12)
    ]
    with ThreadPoolExecutor(6) as threads:
        list(threads.map(lambda pair: histories("s").add_messages(pair), pairs))
    kept = [str(each.content) for each in histories("s").messages]
    assert sorted(kept[0::2]) == sorted(f"q{number}" for number in range(12))
    assert [each[1:] for each in kept[0::2]] == [each[1:] for each in kept[1::2]]


def _write(url: str, name: str) -> None:
    with PersistChatMessageHistory("s", url) as history:
        for number in range(10):
            history.add_messages([HumanMessage(f"{name}{number}"), AIMessage(f"to {name}{number}")])


def test_two_processes_write_to_one_session(url: str) -> None:
    in_two_processes(_write, url)
    with PersistChatMessageHistory("s", url) as history:
        kept = [str(each.content) for each in history.messages]
    for name in "ab":
        assert [each for each in kept if each.startswith(name)] == [
            f"{name}{number}" for number in range(10)
        ]
    assert kept[1::2] == [f"to {each}" for each in kept[0::2]]


def test_a_url_is_closed_and_a_store_is_not(tmp_path: Path) -> None:
    with SQLConversationStore(tmp_path / "x.db") as store:
        with PersistChatMessageHistory("s", store) as history:
            history.add_user_message("kept")
            assert asyncio.run(history.aget_messages()) == history.messages
        assert store.count("s") == 1
    history = PersistChatMessageHistory("s", f"sqlite:///{tmp_path}/x.db")
    assert [each.content for each in history.messages] == ["kept"]
    history.close()
    history.close()
    with pytest.raises(PersistError, match="closed"):
        _ = history.messages
    with (
        pytest.raises(ConfigurationError, match="options"),
        SQLConversationStore(":memory:") as new,
    ):
        PersistChatMessageHistory("s", new, backend="sqlite")


def test_an_async_store_serves_both_colours(tmp_path: Path) -> None:
    async def write() -> None:
        async with (
            AsyncJSONConversationStore(str(tmp_path / "x")) as store,
            PersistChatHistories(store) as histories,
        ):
            await histories("s").aadd_messages([HumanMessage("one")])
            await asyncio.to_thread(histories("s").add_messages, [AIMessage("two")])
            assert await asyncio.to_thread(lambda: histories("s").messages) == [
                HumanMessage("one"),
                AIMessage("two"),
            ]

    asyncio.run(write())
