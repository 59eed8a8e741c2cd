"""The bridge between the colours: every sync method is safe in each context that there is.

Contexts are a plain script, a worker thread, and inside a running event loop.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from praison_persist import (
    AsyncConversationStore,
    AsyncKnowledgeStore,
    AsyncRunStore,
    AsyncSQLiteConversationStore,
    AsyncStateStore,
    ConversationMessage,
    ConversationSession,
    ConversationStore,
    KnowledgeStore,
    PersistError,
    PraisonAIDB,
    RunStore,
    StateStore,
)
from praison_persist._adapt import blocking, offload

from .stored import lines

PAIRS: list[tuple[type, type]] = [
    (ConversationStore, AsyncConversationStore),
    (RunStore, AsyncRunStore),
    (StateStore, AsyncStateStore),
    (KnowledgeStore, AsyncKnowledgeStore),
]


def methods(contract: type) -> list[str]:
    return [
        name
        for name, found in inspect.getmembers(contract, inspect.isfunction)
        if not name.startswith(("_", "iter_"))  # these are made of the others
    ]


SYNC = [(sync, name) for sync, _ in PAIRS for name in methods(sync)]
ASYNC = [(other, name) for _, other in PAIRS for name in methods(other)]


class Anything:
    """Has every method, in one colour; each notes its thread and returns what it was given."""

    capabilities = frozenset[Any]()

    def __init__(self, *, is_async: bool) -> None:
        self.is_async = is_async
        self.threads: list[str] = []

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def note(*args: Any, **options: Any) -> Any:
            self.threads.append(threading.current_thread().name)
            return name, args, options

        async def anote(*args: Any, **options: Any) -> Any:
            await asyncio.sleep(0)
            return note(*args, **options)

        return anote if self.is_async else note


def plainly(call: Callable[[], Any]) -> Any:
    return call()


def in_a_thread(call: Callable[[], Any]) -> Any:
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(call()), name="a worker")
    thread.start()
    thread.join()
    return found[0]


def in_a_loop(call: Callable[[], Any]) -> Any:
    async def scene() -> Any:
        return call()

    return asyncio.run(scene())


def in_a_thread_of_a_loop(call: Callable[[], Any]) -> Any:
    return asyncio.run(asyncio.to_thread(call))


CONTEXTS = [plainly, in_a_thread, in_a_loop, in_a_thread_of_a_loop]


@pytest.mark.parametrize("context", CONTEXTS)
@pytest.mark.parametrize(
    ("contract", "name"), SYNC, ids=[f"{contract.__name__}.{name}" for contract, name in SYNC]
)
def test_each_method_of_a_blocking_store(
    contract: type, name: str, context: Callable[[Callable[[], Any]], Any]
) -> None:
    """It runs on the loop of the bridge, whatever loop there is."""
    inner = Anything(is_async=True)
    store: Any = blocking(inner, contract)
    assert context(lambda: getattr(store, name)(1, k=2)) == (name, (1,), {"k": 2})
    assert inner.threads == ["praison_persist"]


@pytest.mark.parametrize(
    ("contract", "name"), ASYNC, ids=[f"{contract.__name__}.{name}" for contract, name in ASYNC]
)
def test_each_method_of_an_offloaded_store(contract: type, name: str) -> None:
    """It does not run on the thread of the event loop."""
    inner = Anything(is_async=False)
    store: Any = offload(inner, contract)

    async def scene() -> Any:
        return await getattr(store, name)(1, k=2)

    assert asyncio.run(scene()) == (name, (1,), {"k": 2})
    assert inner.threads != [threading.current_thread().name]


def test_both_colours_of_a_contract_have_the_same_methods() -> None:
    for sync, other in PAIRS:
        assert methods(sync) == methods(other)
        assert all(inspect.iscoroutinefunction(getattr(other, name)) for name in methods(other))
        assert not any(inspect.iscoroutinefunction(getattr(sync, name)) for name in methods(sync))


def test_a_sync_method_inside_an_async_store_would_wait_for_itself() -> None:
    """Which is said instead."""
    found: list[BaseException] = []

    class Wrong(Anything):
        async def get_session(self, session_id: str) -> None:
            with pytest.raises(PersistError, match="inside an async store") as raised:
                sync.get_session(session_id)
            found.append(raised.value)

    sync = blocking(Wrong(is_async=True), ConversationStore)
    sync.get_session("s")
    assert len(found) == 1


def test_an_exception_comes_back_as_it_is() -> None:
    class Failing(Anything):
        async def get_session(self, session_id: str) -> None:
            raise KeyError(session_id)

    sync = blocking(Failing(is_async=True), ConversationStore)
    for context in CONTEXTS[:1] + CONTEXTS[2:]:
        with pytest.raises(KeyError, match="'s'"):
            context(lambda: sync.get_session("s"))


def test_adapters_share_one_store_in_several_loops(tmp_path: Path) -> None:
    """Each loop has connections of its own, and all of them see one conversation."""
    store = AsyncSQLiteConversationStore(str(tmp_path / "shared.db"))
    first, second = PraisonAIDB(store), PraisonAIDB(store)

    async def say(db: PraisonAIDB, text: str) -> None:
        await db.aon_user_message("s", text, {})
        db.on_agent_message("s", f"{text}!", {})

    errors: list[BaseException] = []

    def work(db: PraisonAIDB, text: str) -> None:
        try:
            asyncio.run(say(db, text))
        except BaseException as error:  # noqa: BLE001 - of another thread
            errors.append(error)

    threads = [
        threading.Thread(target=work, args=(db, text)) for db, text in ((first, "a"), (second, "b"))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    asyncio.run(say(first, "c"))
    second.on_user_message("s", "d", {})
    found = blocking(store, ConversationStore).get_messages("s")
    assert sorted(lines(found)) == sorted(
        [
            *("user: a", "assistant: a!", "user: b", "assistant: b!"),
            *("user: c", "assistant: c!", "user: d"),
        ]
    )
    assert [message.seq for message in found] == list(range(1, 8))
    second.close()
    first.close()


def test_many_threads_call_one_blocking_store(tmp_path: Path) -> None:
    store = AsyncSQLiteConversationStore(str(tmp_path / "shared.db"))
    with blocking(store, ConversationStore) as sync:
        sync.ensure_session(ConversationSession("s"))
        contents = [f"{number}" for number in range(20)]

        def write(content: str) -> None:
            sync.add_message("s", ConversationMessage(role="user", content=content))

        threads = [threading.Thread(target=write, args=(content,)) for content in contents]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(str(found.content) for found in sync.get_messages("s")) == sorted(contents)
