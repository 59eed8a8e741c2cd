"""The orchestrator: what it stores, what it tells, and that it never writes back what is old."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import praison_persist
from praison_persist import (
    ConfigurationError,
    ConversationMessage,
    ConversationSession,
    InvalidDataError,
    KnowledgeDocument,
    MemoryStateStore,
    NotFoundError,
    PersistenceConfig,
    PersistenceOrchestrator,
    PersistError,
    create_persistent_session,
)
from praison_persist.testing.state_reference import ReferenceStateStore

from .driving import SESSION
from .own_stores import AsyncDictStore, ContentStore, DictStore
from .stored import lines

STORES = ["sqlite", "async_sqlite", "a sync store", "an async store"]


class Ada:
    """As much of an agent as the orchestrator looks at."""

    name = "Ada"


class Called:
    """Calls a method of an orchestrator in one colour, whichever it is."""

    def __init__(self, orchestrator: PersistenceOrchestrator, colour: str) -> None:
        self.orchestrator, self.colour = orchestrator, colour

    def __getattr__(self, name: str) -> Callable[..., Any]:
        sync: Callable[..., Any] = getattr(self.orchestrator, name)
        if self.colour == "sync":
            return sync
        method = getattr(self.orchestrator, f"a{name}")
        if self.colour == "async":
            return lambda *args, **options: asyncio.run(_awaited(method(*args, **options)))
        return lambda *args, **options: asyncio.run(_called(sync, *args, **options))


async def _awaited(coroutine: Any) -> Any:
    return await coroutine


async def _called(method: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """Call a sync method inside a running event loop."""
    return method(*args, **options)


def make_store(name: str, url: str) -> Any:
    if name == "a sync store":
        return DictStore()
    if name == "an async store":
        return AsyncDictStore()
    return praison_persist.create_conversation_store(name, url)


@pytest.fixture
def knowledge(tmp_path: Path) -> Any:
    store = praison_persist.create_knowledge_store("sql", f"sqlite:///{tmp_path / 'k.db'}")
    store.create_collection("default", 2)
    return store


@pytest.fixture(params=STORES)
def orchestrator(
    request: pytest.FixtureRequest, sqlite_url: str, knowledge: Any
) -> Iterator[PersistenceOrchestrator]:
    store = make_store(request.param, sqlite_url)
    with PersistenceOrchestrator(store, knowledge, MemoryStateStore()) as made:
        yield made


@pytest.fixture(params=["sync", "async", "sync in a loop"])
def called(request: pytest.FixtureRequest, orchestrator: PersistenceOrchestrator) -> Any:
    return Called(orchestrator, request.param)


@pytest.fixture
def on_sqlite(sqlite_url: str) -> Iterator[PersistenceOrchestrator]:
    store = praison_persist.create_conversation_store("sqlite", sqlite_url)
    with PersistenceOrchestrator(store) as made:
        yield made


def talk(orchestrator: Any, turns: int, session_id: str = SESSION) -> None:
    for number in range(turns):
        orchestrator.on_message(session_id, "user", f"Q{number}")
        orchestrator.on_message(session_id, "assistant", f"A{number}")


def test_a_conversation(called: Any) -> None:
    assert called.on_agent_start(Ada(), SESSION, "user-1") == []
    message = called.on_message(SESSION, "user", "Hello", metadata={"k": 1})
    assert (message.role, message.content, message.metadata) == ("user", "Hello", {"k": 1})
    called.on_message(SESSION, "assistant", "Hi")
    called.on_agent_end(Ada(), SESSION, {"mood": "good"})
    session = called.get_session(SESSION)
    assert (session.user_id, session.agent_id) == ("user-1", "Ada")
    assert session.metadata["mood"] == "good"
    assert session.metadata["agent_type"] == "Ada"
    assert lines(called.get_messages(SESSION)) == ["user: Hello", "assistant: Hi"]
    assert lines(called.get_messages(SESSION, 1)) == ["assistant: Hi"]
    assert lines(called.on_agent_start(Ada(), SESSION)) == ["user: Hello", "assistant: Hi"]
    assert [found.session_id for found in called.list_sessions("user-1")] == [SESSION]
    assert called.delete_session(SESSION)
    assert not called.delete_session(SESSION)
    assert called.get_session(SESSION) is None


def test_a_session_without_an_id_is_a_new_one(called: Any) -> None:
    called.on_agent_start(Ada())
    first = called.orchestrator.current_session_id
    called.on_agent_start(Ada())
    assert first != called.orchestrator.current_session_id
    assert called.get_session(first).session_id == first


def test_an_existing_session_that_is_not_to_be_resumed(called: Any) -> None:
    called.on_agent_start(Ada(), SESSION, "user-1")
    talk(called, 1)
    assert called.on_agent_start(Ada(), SESSION, "other", resume=False) == []
    talk(called, 1)
    assert len(called.get_messages(SESSION)) == 4
    assert called.get_session(SESSION).user_id == "user-1"


def test_a_message_to_a_session_that_does_not_exist_creates_it(called: Any) -> None:
    called.on_message("unknown", "user", "Hello")
    assert lines(called.get_messages("unknown")) == ["user: Hello"]


def test_a_message_that_cannot_be_stored(on_sqlite: PersistenceOrchestrator) -> None:
    with pytest.raises(InvalidDataError):
        on_sqlite.on_message(SESSION, "user", "Hello", metadata={"k": object()})
    assert on_sqlite.get_messages(SESSION) == []


def test_the_end_of_a_session_that_does_not_exist_is_nothing(called: Any) -> None:
    called.on_agent_end(Ada(), "unknown", {"k": 1})
    assert called.get_session("unknown") is None


def test_the_context_is_the_newest_of_the_conversation(called: Any) -> None:
    talk(called, 15)
    history = called.build_context(SESSION)["history"]
    assert [entry["content"] for entry in history] == [
        f"{who}{number}" for number in range(5, 15) for who in "QA"
    ]
    assert called.build_context(SESSION, history_limit=4)["history"] == history[-4:]
    assert called.build_context(SESSION, history_limit=0)["history"] == []
    assert called.build_context("unknown") == {"history": [], "knowledge": []}


def test_the_context_keeps_tool_calls_whole(called: Any) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": "{}"}}
    talk(called, 1)
    called.on_message(SESSION, "user", "Add")
    called.on_message(SESSION, "assistant", None, tool_calls=[call])
    called.on_message(SESSION, "tool", "0", tool_call_id="c1")
    called.on_message(SESSION, "assistant", "Zero")
    assert called.build_context(SESSION, history_limit=4)["history"] == [
        {"role": "user", "content": "Add"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "content": "0", "tool_call_id": "c1"},
        {"role": "assistant", "content": "Zero"},
    ]
    # Not a result without its call.
    assert [
        entry["content"] for entry in called.build_context(SESSION, history_limit=3)["history"]
    ] == ["Zero"]


def test_knowledge(called: Any) -> None:
    near = KnowledgeDocument("near", "cats", embedding=[1.0, 0.0], metadata={"lang": "en"})
    far = KnowledgeDocument("far", "dogs", embedding=[0.0, 1.0], metadata={"lang": "de"})
    assert called.add_knowledge([near, far]) == ["near", "far"]
    assert called.add_knowledge([near]) == ["near"]
    assert [found.id for found in called.retrieve_knowledge([1.0, 0.1], limit=1)] == ["near"]
    german = called.retrieve_knowledge([1.0, 0.1], filters={"lang": "de"})
    assert [found.id for found in german] == ["far"]
    assert called.build_context(SESSION, [0.0, 1.0], knowledge_limit=1) == {
        "history": [],
        "knowledge": [{"content": "dogs", "metadata": {"lang": "de"}}],
    }
    with pytest.raises(NotFoundError):
        called.add_knowledge([near], "nosuch")


def test_state(called: Any) -> None:
    called.set_state("k", {"a": [1]})
    assert called.get_state("k") == {"a": [1]}
    called.set_state("soon gone", 1, 60)
    assert called.orchestrator.state.ttl("soon gone") is not None
    assert called.delete_state("k")
    assert not called.delete_state("k")
    assert called.get_state("k") is None


@pytest.mark.parametrize("colour", ["sync", "async"])
def test_what_there_is_no_store_for(colour: str) -> None:
    """Nothing is found, and what would be lost is refused."""
    with PersistenceOrchestrator() as nothing:
        called = Called(nothing, colour)
        assert called.on_agent_start(Ada(), SESSION) == []
        assert called.on_message(SESSION, "user", "Hello") is None
        called.on_agent_end(Ada(), SESSION)
        assert called.get_session(SESSION) is None
        assert called.list_sessions() == called.get_messages(SESSION) == []
        assert not called.delete_session(SESSION)
        assert called.build_context(SESSION, [1.0]) == {"history": [], "knowledge": []}
        assert called.retrieve_knowledge([1.0]) == []
        assert called.get_state("k") is None
        assert not called.delete_state("k")
        with pytest.raises(ValueError, match="No knowledge store"):
            called.add_knowledge([])
        with pytest.raises(ConfigurationError, match="No state store"):
            called.set_state("k", 1)


def test_the_end_keeps_what_others_changed(on_sqlite: PersistenceOrchestrator) -> None:
    on_sqlite.on_agent_start(Ada(), SESSION)
    stored = on_sqlite.conversation.get_session(SESSION)
    stored.state, stored.metadata, stored.name = {"step": 2}, {"theirs": 1}, "Renamed"
    on_sqlite.conversation.update_session(stored)
    on_sqlite.on_agent_end(Ada(), SESSION, {"ours": 1})
    found = on_sqlite.get_session(SESSION)
    assert found is not None
    assert (found.state, found.name) == ({"step": 2}, "Renamed")
    assert found.metadata is not None
    assert found.metadata.items() >= {"theirs": 1, "ours": 1}.items()


def test_ends_that_race_all_count(on_sqlite: PersistenceOrchestrator) -> None:
    on_sqlite.on_agent_start(Ada(), SESSION)
    start = threading.Barrier(4)

    def end(number: int) -> None:
        start.wait()
        on_sqlite.on_agent_end(Ada(), SESSION, {f"k{number}": number})

    threads = [threading.Thread(target=end, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    session = on_sqlite.get_session(SESSION)
    assert session is not None
    assert session.metadata is not None
    assert session.metadata.items() >= {f"k{number}": number for number in range(4)}.items()


def test_a_session_is_read_from_the_store(on_sqlite: PersistenceOrchestrator) -> None:
    on_sqlite.on_agent_start(Ada(), SESSION)
    stored = on_sqlite.conversation.get_session(SESSION)
    stored.name = "Renamed"
    on_sqlite.conversation.update_session(stored)
    cached = on_sqlite.cached_session(SESSION)
    assert cached is not None
    assert cached.name == f"Session {SESSION}"
    session = on_sqlite.get_session(SESSION)
    assert session is not None
    assert session.name == "Renamed"
    cached = on_sqlite.cached_session(SESSION)
    assert cached is not None
    assert cached.name == "Renamed"
    on_sqlite.conversation.delete_session(SESSION)
    assert on_sqlite.get_session(SESSION) is None
    assert on_sqlite.cached_session(SESSION) is None


def test_what_is_cached_is_nobodys_to_change(on_sqlite: PersistenceOrchestrator) -> None:
    on_sqlite.on_agent_start(Ada(), SESSION)
    session = on_sqlite.get_session(SESSION)
    for found in (session, on_sqlite.cached_session(SESSION)):
        assert found is not None
        assert found.metadata is not None
        found.metadata["changed"] = True
        found.user_id = "changed"
    cached = on_sqlite.cached_session(SESSION)
    assert cached is not None
    assert (cached.user_id, cached.metadata) == (None, {"agent_type": "Ada"})


@pytest.mark.parametrize("variable", ["PRAISON_SESSION_CACHE_MAX", "PRAISONAI_SESSION_CACHE_MAX"])
def test_the_cache_is_bounded(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "2")
    with PersistenceOrchestrator(DictStore()) as orchestrator:
        for name in ("a", "b"):
            orchestrator.on_agent_start(Ada(), name)
        assert orchestrator.cached_session("a") is not None  # now the last used
        orchestrator.on_agent_start(Ada(), "c")
        cached = [name for name in "abc" if orchestrator.cached_session(name) is not None]
        assert cached == ["a", "c"]
        assert orchestrator.get_session("b") is not None
    assert orchestrator.cached_session("a") is None


@pytest.mark.parametrize("value", ["0", "-1", "many", "1.5", "²"])
def test_a_bound_that_cannot_be(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("PRAISON_SESSION_CACHE_MAX", value)
    with pytest.raises(ConfigurationError, match="SESSION_CACHE_MAX"):
        PersistenceOrchestrator()


def test_threads_share_an_orchestrator(on_sqlite: PersistenceOrchestrator) -> None:
    start = threading.Barrier(4)
    errors: list[BaseException] = []

    def work(number: int) -> None:
        try:
            start.wait()
            for turn in range(5):
                session_id = f"s{(number + turn) % 3}"
                on_sqlite.on_agent_start(Ada(), session_id)
                on_sqlite.on_message(session_id, "user", f"{number}-{turn}")
                on_sqlite.get_session(session_id)
                on_sqlite.cached_session(session_id)
        except BaseException as error:  # noqa: BLE001 - of another thread
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    found = [message for name in ("s0", "s1", "s2") for message in on_sqlite.get_messages(name)]
    assert len({message.content for message in found}) == 20


class SlowStore(DictStore):
    """Answers only when it is allowed to."""

    def __init__(self) -> None:
        super().__init__()
        self.may_answer = threading.Event()

    def _note(self) -> None:
        assert self.may_answer.wait(30)
        super()._note()


def test_a_slow_sync_store_does_not_hold_the_event_loop() -> None:
    """The loop alone lets the store answer: one that is held would never get to it."""
    store = SlowStore()

    async def scene() -> list[ConversationMessage]:
        async with PersistenceOrchestrator(store) as orchestrator:
            for step in (
                orchestrator.aon_agent_start(Ada(), SESSION),
                orchestrator.aon_message(SESSION, "user", "Hello"),
                orchestrator.aget_session(SESSION),
                orchestrator.aon_agent_end(Ada(), SESSION),
                orchestrator.abuild_context(SESSION),
            ):
                store.may_answer.clear()
                task = asyncio.ensure_future(step)
                await asyncio.sleep(0)
                store.may_answer.set()
                await task
            return await orchestrator.aget_messages(SESSION)

    assert lines(asyncio.run(scene())) == ["user: Hello"]
    assert threading.current_thread().name not in store.threads


def test_a_slow_state_store_does_not_either() -> None:
    may_answer = threading.Event()

    class Slow(ReferenceStateStore):
        def get(self, key: str, default: Any = None) -> Any:
            assert may_answer.wait(30)
            return super().get(key, default)

    async def scene() -> Any:
        async with PersistenceOrchestrator(state_store=Slow(time.time)) as orchestrator:
            await orchestrator.aset_state("k", 1)
            task = asyncio.ensure_future(orchestrator.aget_state("k"))
            await asyncio.sleep(0)
            may_answer.set()
            return await task

    assert asyncio.run(scene()) == 1


def test_closing_closes_all_stores_once() -> None:
    conversation, state = DictStore(), MemoryStateStore()
    orchestrator = PersistenceOrchestrator(conversation, state_store=state)
    orchestrator.close()
    orchestrator.close()
    assert conversation.is_closed
    with pytest.raises(PersistError, match="closed"):
        orchestrator.on_message(SESSION, "user", "Hello")
    with pytest.raises(PersistError, match="closed"):
        orchestrator.get_state("k")


def test_closing_in_a_loop() -> None:
    async def scene(store: Any) -> None:
        async with PersistenceOrchestrator(store, state_store=MemoryStateStore()) as orchestrator:
            await orchestrator.aon_message(SESSION, "user", "Hello")
        await orchestrator.aclose()

    sync, other = DictStore(), AsyncDictStore()
    asyncio.run(scene(sync))
    asyncio.run(scene(other))
    assert sync.is_closed
    assert other.inner.is_closed


def test_stores_without_a_conversation_are_closed_too(knowledge: Any) -> None:
    with PersistenceOrchestrator(None, knowledge, MemoryStateStore()) as orchestrator:
        orchestrator.set_state("k", 1)
        assert repr(orchestrator) == (
            "PersistenceOrchestrator(knowledge=SQLKnowledgeStore, state=MemoryStateStore)"
        )

    async def scene() -> None:
        async with PersistenceOrchestrator(state_store=MemoryStateStore()) as other:
            await other.aset_state("k", 1)

    asyncio.run(scene())


def test_a_store_of_the_documentation() -> None:
    store = ContentStore()
    with PersistenceOrchestrator(store) as orchestrator:
        assert orchestrator.on_agent_start(Ada(), SESSION) == []
        orchestrator.on_message(SESSION, "user", "Hello")
        orchestrator.on_agent_end(Ada(), SESSION)
    assert store.rows == [("Hello", None)]


@pytest.mark.parametrize("kind", ["conversation_store", "knowledge_store", "state_store"])
def test_what_is_no_store(kind: str) -> None:
    options: dict[str, Any] = {kind: object()}
    with pytest.raises(ConfigurationError, match="object"):
        PersistenceOrchestrator(**options)


def test_a_configuration(tmp_path: Path) -> None:
    config = PersistenceConfig(
        conversation_url=f"sqlite:///{tmp_path / 'c.db'}",
        state_store="memory",
        session_id="from-config",
        user_id="ada",
    )
    with PersistenceOrchestrator.from_config(config) as orchestrator:
        orchestrator.on_agent_start(Ada())
        assert orchestrator.current_session_id == "from-config"
        session = orchestrator.get_session("from-config")
        assert session is not None
        assert session.user_id == "ada"
        orchestrator.set_state("k", 1)
        assert orchestrator.config is config
    with pytest.raises(ConfigurationError, match="Which conversation store"):
        PersistenceOrchestrator(DictStore(), config=config)
    mixed = {"state_store": "memory"}
    with PersistenceOrchestrator(DictStore(), config=mixed) as orchestrator:
        orchestrator.set_state("k", 1)
        orchestrator.on_message(SESSION, "user", "Hello")


def test_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRAISON_CONVERSATION_URL", f"sqlite:///{tmp_path / 'c.db'}")
    monkeypatch.setenv("PRAISONAI_STATE_STORE", "memory")
    with PersistenceOrchestrator.from_env() as orchestrator:
        orchestrator.on_message(SESSION, "user", "Hello")
        orchestrator.set_state("k", 1)
    assert (tmp_path / "c.db").exists()


def test_history_is_limited(sqlite_url: str) -> None:
    store = praison_persist.create_conversation_store("sqlite", sqlite_url)
    with PersistenceOrchestrator(store, history_limit=2) as orchestrator:
        talk(orchestrator, 3)
        assert lines(orchestrator.on_agent_start(Ada(), SESSION)) == ["user: Q2", "assistant: A2"]
        assert len(orchestrator.get_messages(SESSION)) == 6


def test_a_session_for_a_block(orchestrator: PersistenceOrchestrator) -> None:
    with create_persistent_session(orchestrator, SESSION, "ada") as session:
        message = session.persist_message("user", "Hello", metadata={"k": 1})
        assert message is not None
        session.persist_message("assistant", "Hi")
        assert lines(session.get_messages(limit=1)) == ["assistant: Hi"]
        assert session.start() == []
    stored = session.get_session()
    assert isinstance(stored, ConversationSession)
    assert stored.metadata is not None
    assert (stored.user_id, "ended_at" in stored.metadata) == ("ada", True)

    async def scene() -> None:
        async with create_persistent_session(orchestrator, SESSION) as again:
            await again.apersist_message("user", "Hello")
            assert len(await again.aget_messages()) == 3
            assert await again.aget_session() is not None
            assert await again.astart() == []
            assert repr(again) == f"PersistentSession({SESSION!r})"

    asyncio.run(scene())
    new = create_persistent_session(orchestrator)
    assert new.session_id.startswith("session-")
    new.end()
    assert new.get_session() is None
    assert lines(new.start(Ada())) == []
