"""Stores that users wrote, of either colour, with hooks of either colour, in threads and loops."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from local_llm import LocalLLM

from praison_persist import (
    ConfigurationError,
    ConversationMessage,
    PraisonAIDB,
    UnsupportedError,
)

from .driving import ACHAT, CHAT, CLIENTS, ITER_STREAM, SESSION, agent, say
from .own_stores import (
    AsyncContentStore,
    AsyncDictStore,
    ContentStore,
    DictStore,
    MixedContentStore,
)
from .stored import lines, sent

HELLO = ["user: Hello", "assistant: You said: Hello"]
SUM = [
    'user: TOOL add {"a":1}',
    'call: add {"a": 1}',
    "result: 1",
    "assistant: TOOL RESULT: 1",
]


@pytest.mark.parametrize("make", [DictStore, AsyncDictStore])
@pytest.mark.parametrize("mode", [CHAT, ACHAT, ITER_STREAM])
@pytest.mark.parametrize("client", CLIENTS)
def test_a_subclass_keeps_a_conversation(llm: LocalLLM, make: Any, mode: str, client: str) -> None:
    store = make()
    with PraisonAIDB(store) as db:
        speaker = agent(db, client=client)
        say(speaker, "Hello", mode)
        say(speaker, 'TOOL add {"a":1}', mode)
        assert lines(db.get_messages(SESSION)) == [*HELLO, *SUM]
        say(agent(db, client=client), "Go on", mode)
        assert sent(llm) == [*HELLO, *SUM, "user: Go on"]
    assert getattr(store, "inner", store).is_closed


@pytest.mark.parametrize("make", [DictStore, AsyncDictStore])
def test_inside_a_running_loop(llm: LocalLLM, make: Any) -> None:
    """As in a notebook: a sync turn, and then an async one."""
    with PraisonAIDB(make()) as db:
        speaker = agent(db)

        async def cell() -> None:
            speaker.chat("Hello")
            await speaker.achat("Hello")
            await asyncio.to_thread(speaker.chat, "Hello")

        asyncio.run(cell())
        asyncio.run(cell())
        assert lines(db.get_messages(SESSION)) == HELLO * 6


def test_a_sync_store_is_offloaded_by_async_hooks() -> None:
    """It may block; the event loop must not."""
    store = DictStore()

    async def scene() -> None:
        async with PraisonAIDB(store) as db:
            await db.aon_agent_start("Ada", SESSION)
            await db.aon_user_message(SESSION, "Hello")
            await db.aon_agent_message(SESSION, "Hi")
            await db.aon_agent_end(SESSION)

    asyncio.run(scene())
    assert store.threads
    assert threading.current_thread().name not in store.threads


def test_an_async_store_is_awaited_by_async_hooks() -> None:
    store = AsyncDictStore()

    async def scene() -> None:
        async with PraisonAIDB(store) as db:
            await db.aon_user_message(SESSION, "Hello")

    asyncio.run(scene())
    assert store.loops == {threading.current_thread().name}


def test_an_async_store_runs_on_a_loop_of_its_own_for_sync_hooks() -> None:
    store = AsyncDictStore()

    async def scene() -> None:
        with PraisonAIDB(store) as db:
            db.on_user_message(SESSION, "Hello")

    asyncio.run(scene())
    assert store.loops
    assert threading.current_thread().name not in store.loops


def test_the_documented_sync_store() -> None:
    """add_message(content, metadata), and nothing else."""
    store = ContentStore()

    async def scene() -> None:
        async with PraisonAIDB(store) as db:
            await db.aon_user_message("session_1", "Hello", {"k": 1})

    asyncio.run(scene())
    with PraisonAIDB(store) as db:
        db.on_agent_message("session_1", "Hi")
        assert db.get_messages("session_1") == []
        assert db.get_session("session_1") is None
    assert store.rows == [("Hello", {"k": 1}), ("Hi", None)]
    assert store.threads[0] != threading.current_thread().name == store.threads[1]


def test_the_documented_async_store() -> None:
    store = AsyncContentStore()

    async def scene() -> None:
        async with PraisonAIDB(store) as db:
            await db.aon_user_message("session_1", "Hello")
            db.on_agent_message("session_1", "Hi")

    asyncio.run(scene())
    assert store.rows == [("async", "Hello", None), ("async", "Hi", None)]


def test_the_documented_store_of_both_colours() -> None:
    store = MixedContentStore()

    async def scene() -> None:
        async with PraisonAIDB(store) as db:
            await db.aon_user_message("session_1", "Hello")
            db.on_agent_message("session_1", "Hi")

    asyncio.run(scene())
    assert store.rows == [("async", "Hello", None), ("sync", "Hi", None)]


@pytest.mark.parametrize("mode", [CHAT, ACHAT])
def test_an_agent_with_a_documented_store(llm: LocalLLM, mode: str) -> None:
    store = ContentStore()
    with PraisonAIDB(store) as db:
        assert say(agent(db), "Hello", mode) == "You said: Hello"
    assert [content for content, _ in store.rows] == ["Hello", "You said: Hello"]


def test_add_message_takes_what_it_names() -> None:
    rows: list[Any] = []

    class Store:
        database = "my own attribute"

        def add_message(
            self, role: str, content: str, *more: Any, session_id: str, **others: Any
        ) -> None:
            rows.append((role, content, more, session_id, others))

    with PraisonAIDB(Store()) as db:
        db.on_user_message("s", "Hello")
        assert db.database_url == "<Store>"
    assert rows == [("user", "Hello", (), "s", {})]


@pytest.mark.parametrize("as_dict", [True, False])
def test_a_store_may_return_messages_of_its_own_kind(llm: LocalLLM, as_dict: bool) -> None:
    class Row:
        def __init__(self, role: str, content: str) -> None:
            self.role, self.content = role, content

    class Store:
        def __init__(self) -> None:
            self.rows: list[Any] = []

        def add_message(self, session_id: str, message: ConversationMessage) -> None:
            row = {"role": message.role, "content": message.content}
            self.rows.append(row if as_dict else Row(message.role, str(message.content)))

        def get_messages(self, session_id: str) -> list[Any]:
            return self.rows

    store = Store()
    with PraisonAIDB(store) as db:
        say(agent(db), "Hello")
        say(agent(db), "Go on")
    assert sent(llm) == [*HELLO, "user: Go on"]


def test_what_a_documented_store_lacks_is_empty() -> None:
    with PraisonAIDB(ContentStore()) as db:
        assert db.on_agent_start("Ada", SESSION) == []
        assert db.list_sessions() == []
        assert not db.delete_session(SESSION)
        db.on_agent_end(SESSION)
        store = db.conversation
        assert store.delete_messages(SESSION) == 0
        session = store.get_session(SESSION)
        assert session is None
        with pytest.raises(UnsupportedError):
            store.page_messages(SESSION)


def test_a_store_with_nothing_to_keep_messages_with() -> None:
    class Store:
        def get_messages(self, session_id: str) -> list[Any]:
            return []

    with pytest.raises(ConfigurationError, match="Store cannot keep a conversation"):
        PraisonAIDB(Store())


def test_an_error_of_a_store_does_not_stop_the_agent(llm: LocalLLM) -> None:
    class Store:
        def add_message(self, session_id: str, message: ConversationMessage) -> None:
            raise RuntimeError("broken")

    with PraisonAIDB(Store()) as db:
        assert say(agent(db), 'TOOL add {"a":1}') == "TOOL RESULT: 1"
        with pytest.raises(RuntimeError, match="broken"):
            db.on_user_message(SESSION, "Hello")
