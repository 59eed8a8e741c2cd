"""The template of conversation stores keeps the contract over the least of drivers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from praison_persist._adapt import blocking
from praison_persist.conversation.base import (
    AsyncBaseConversationStore,
    BaseConversationStore,
    in_thread,
)
from praison_persist.errors import (
    ConflictError,
    NotFoundError,
    UnavailableError,
    UnsupportedError,
)
from praison_persist.models import ConversationMessage, ConversationSession
from praison_persist.protocols import Capability, ConversationStore
from praison_persist.testing import ConversationStoreContract
from praison_persist.testing.contract import OpenStore, message, session

from .memory_driver import MemoryDriver, Shelf


def _sync(shelf: Shelf) -> ConversationStore:
    return BaseConversationStore(MemoryDriver(shelf, time.sleep, is_async=False))


def _async(shelf: Shelf) -> ConversationStore:
    driver = MemoryDriver(shelf, asyncio.sleep, is_async=True)
    return blocking(AsyncBaseConversationStore(driver), ConversationStore)


def _threads(shelf: Shelf) -> ConversationStore:
    driver = MemoryDriver(shelf, time.sleep, is_async=False)
    return blocking(AsyncBaseConversationStore(driver, drive=in_thread), ConversationStore)


COLOURS: dict[str, Callable[[Shelf], ConversationStore]] = {
    "sync": _sync,
    "async": _async,
    "threads": _threads,
}


@pytest.fixture(params=list(COLOURS))
def colour(request: pytest.FixtureRequest) -> Callable[[Shelf], ConversationStore]:
    return COLOURS[request.param]


class TestBase(ConversationStoreContract):
    @pytest.fixture
    def open_store(self, colour: Callable[[Shelf], ConversationStore]) -> OpenStore:
        shelf = Shelf()
        return lambda: colour(shelf)


class _Least(MemoryDriver):
    capabilities = frozenset()


class TestWithoutCapabilities(ConversationStoreContract):
    @pytest.fixture
    def open_store(self) -> OpenStore:
        shelf = Shelf()
        return lambda: BaseConversationStore(_Least(shelf, time.sleep, is_async=False))


class TestLostAnswers:
    """What is tried again because its answer was lost was done already."""

    @pytest.fixture
    def shelf(self) -> Shelf:
        return Shelf()

    @pytest.fixture
    def store(
        self, shelf: Shelf, colour: Callable[[Shelf], ConversationStore]
    ) -> ConversationStore:
        return colour(shelf)

    def test_a_session_is_created_once(self, store: ConversationStore, shelf: Shelf) -> None:
        """The second try finds the session of the first and calls it a conflict."""
        shelf.lost = 1
        assert store.create_session(session(name="mine")).name == "mine"
        shelf.lost = 1
        with pytest.raises(ConflictError, match="exists"):
            store.create_session(session(name="other"))
        assert [found.name for found in store.list_sessions()] == ["mine"]

    def test_an_update_of_a_version_is_done_once(
        self, store: ConversationStore, shelf: Shelf
    ) -> None:
        """The second try finds the version of the first and calls it a conflict."""
        store.create_session(session())
        shelf.lost = 1
        assert store.update_session(session(name="a"), expected_version=1).version == 2
        shelf.lost = 1
        with pytest.raises(ConflictError, match="has version 2, not 1"):
            store.update_session(session(name="b"), expected_version=1)
        found = store.get_session("s")
        assert found is not None
        assert (found.name, found.version) == ("a", 2)

    def test_messages_are_appended_once(self, store: ConversationStore, shelf: Shelf) -> None:
        """The second try numbers them again."""
        store.create_session(session())
        shelf.lost = 2
        batch = [message("a"), message("b")]
        assert [m.seq for m in store.add_messages("s", batch)] == [1, 2]
        assert store.count("s") == 2

    def test_a_dump_is_loaded_once(self, store: ConversationStore, shelf: Shelf) -> None:
        """The second try finds the session and calls it a conflict."""
        store.create_session(session())
        store.add_message("s", message("a"))
        dump = store.dump_session("s")
        assert dump is not None
        store.delete_session("s")
        shelf.lost = 1
        assert store.load_session(dump) == "s"
        assert store.dump_session("s") == dump

    def test_tries_come_to_an_end(self, store: ConversationStore, shelf: Shelf) -> None:
        """A server that is gone is asked for ever."""
        shelf.lost = 100
        with pytest.raises(UnavailableError, match="after 3 attempts"):
            store.get_session("s")


def test_a_driver_is_closed_once() -> None:
    """A client that is closed twice raises."""
    driver = MemoryDriver(Shelf(), time.sleep, is_async=False)
    store = BaseConversationStore(driver)
    store.close()
    store.close()
    assert driver.closed == 1


@pytest.mark.parametrize("part", ["runs", "tool_calls", "traces", "spans"])
def test_a_dump_with_runs_is_not_loaded_without_them(part: str) -> None:
    """What an agent did is dropped on the way, without a word."""
    store = _sync(Shelf())
    dump: dict[str, Any] = {
        "format": "praison_persist.session/1",
        "session": session().to_dict(),
        "messages": [],
    }
    with pytest.raises(UnsupportedError, match=f"the dump has {part}: .*state_url"):
        store.load_session({**dump, part: [{}]})
    assert store.list_sessions() == []
    assert store.load_session({**dump, part: []}) == "s"


def test_a_driver_gets_plain_rows() -> None:
    """A vendor's encoder meets a subclass of str, or a dict that the caller changes meanwhile."""

    class Name(str):
        __slots__ = ()

    shelf = Shelf()
    store = _sync(shelf)
    state = {"n": [1]}
    store.create_session(ConversationSession("s", name=Name("x"), state=state))
    store.add_message("s", ConversationMessage(id=Name("m"), role=Name("user"), metadata=state))
    state["n"].append(2)
    row, messages = shelf.sessions["s"]
    assert (type(row["name"]), row["state"]) == (str, {"n": [1]})
    assert (type(messages["m"]["role"]), messages["m"]["metadata"]) == (str, {"n": [1]})


def test_errors_name_the_object_and_the_remedy() -> None:
    """A user learns that something is wrong, and not what."""
    store = _sync(Shelf())
    with pytest.raises(NotFoundError, match="no session 's'; create it before"):
        store.add_message("s", message())
    store.create_session(session())
    with pytest.raises(ConflictError, match="Session 's' exists; it was left as it is"):
        store.create_session(session())
    stored = store.add_message("s", message("a"))
    with pytest.raises(ConflictError, match="another content: give a new message a new id"):
        store.add_message("s", message("b", id=stored.id))


def test_the_capabilities_are_those_of_the_driver() -> None:
    """A store claims what its driver cannot do."""
    assert _sync(Shelf()).capabilities == frozenset(Capability) - {Capability.SEARCH}
    least = BaseConversationStore(_Least(Shelf(), time.sleep, is_async=False))
    assert least.capabilities == frozenset()
