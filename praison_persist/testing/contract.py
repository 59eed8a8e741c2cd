"""What the parts of a conformance suite share: stores to test, tests that need a capability."""

from __future__ import annotations

import functools
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import pytest

from praison_persist.errors import InvalidDataError, UnsupportedError
from praison_persist.models import ConversationMessage, ConversationSession
from praison_persist.protocols import Capability, ConversationStore

__all__ = ["OpenStore", "StoreContract", "message", "needs", "race", "refused", "session", "trying"]

OpenStore = Callable[[], ConversationStore]
R = TypeVar("R")


class StoreContract:
    """The fixtures of a conformance suite. A backend's suite defines `open_store`."""

    @pytest.fixture
    def open_store(self) -> OpenStore:
        """Return a function that opens a store; each call opens the same, at first empty, data."""
        raise NotImplementedError(f"{type(self).__name__} has to define the fixture open_store")

    @pytest.fixture
    def store(self, open_store: OpenStore) -> Iterator[ConversationStore]:
        """The store under test, closed after it."""
        with open_store() as store:
            yield store

    @pytest.fixture
    def second(
        self, store: ConversationStore, open_store: OpenStore
    ) -> Iterator[ConversationStore]:
        """Another store of the same data, opened after `store`."""
        assert store is not None
        with open_store() as second:
            yield second


def needs(capability: Capability) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make a test pass on stores that declare the capability; others have to raise in it."""

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(test)
        def wrapper(self: object, **fixtures: Any) -> None:
            store: ConversationStore = fixtures["store"]
            if capability in store.capabilities:
                test(self, **fixtures)
                return
            with pytest.raises(UnsupportedError, match=capability.name):
                test(self, **fixtures)

        return wrapper

    return decorate


def refused(values: Iterable[Any], call: Callable[[Any], object], says: str) -> None:
    """Expect each value to make `call` raise an InvalidDataError that matches `says`."""
    for value in values:
        try:
            call(value)
        except InvalidDataError as error:
            found: str | None = str(error)
        else:
            found = None
        assert found is not None, f"{value!r} was not refused"
        assert re.search(says, found)


@contextmanager
def trying(value: object) -> Iterator[None]:
    """Name the value with which a test failed that tries several."""
    try:
        yield
    except BaseException as error:
        error.add_note(f"This was tried: {value!r}")
        raise


def session(session_id: str = "s", **fields: Any) -> ConversationSession:
    """Return a session to create."""
    return ConversationSession(session_id=session_id, **fields)


def message(content: str | None = "", role: str = "user", **fields: Any) -> ConversationMessage:
    """Return a message to add."""
    return ConversationMessage(role=role, content=content, **fields)


def race(threads: int, work: Callable[[int], R]) -> list[R]:
    """Run `work(0)`, `work(1)` … in as many threads, begun together. Return their results.

    The first exception of any of them is raised here.
    """
    begin = threading.Barrier(threads)
    results: dict[int, R] = {}
    errors: list[BaseException] = []

    def run(index: int) -> None:
        try:
            begin.wait()
            results[index] = work(index)
        except BaseException as error:  # noqa: BLE001 - raised in the test's own thread below
            errors.append(error)

    running = [threading.Thread(target=run, args=(index,)) for index in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    if errors:
        raise errors[0]
    return [results[index] for index in range(threads)]
