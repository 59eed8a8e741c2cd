"""What the parts of the state suite share: stores, time that passes, tests of a capability."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from praison_persist.protocols import StateCapability, StateStore

__all__ = ["Advance", "Clock", "OpenState", "StateContract", "needs_state"]

OpenState = Callable[[], StateStore]
Advance = Callable[[float], None]


class Clock:
    """Time that passes when a test says so."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class StateContract:
    """The fixtures of the suite. A backend's suite defines `open_state`."""

    @pytest.fixture
    def clock(self) -> Clock:
        """The clock that `open_state` gives to each store."""
        return Clock()

    @pytest.fixture
    def open_state(self, clock: Clock) -> OpenState:
        """Return a function that opens a store; each call opens the same, at first empty, data."""
        raise NotImplementedError(f"{type(self).__name__} has to define the fixture open_state")

    @pytest.fixture
    def advance(self, clock: Clock) -> Advance:
        """Return a function that lets seconds pass. Overridden where the server tells the time."""

        def advance(seconds: float) -> None:
            clock.now += seconds

        return advance

    @pytest.fixture
    def store(self, open_state: OpenState) -> Iterator[StateStore]:
        """The store under test, closed after it."""
        with open_state() as store:
            yield store

    @pytest.fixture
    def second(self, store: StateStore, open_state: OpenState) -> Iterator[StateStore]:
        """Another store of the same data, opened after `store`."""
        assert store is not None
        with open_state() as second:
            yield second


def needs_state(
    capability: StateCapability,
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Run a test only on stores that declare the capability.

    That the others raise UnsupportedError is a test of its own.
    """

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(test)
        def wrapper(self: object, **fixtures: Any) -> None:
            store: StateStore = fixtures["store"]
            if capability not in store.capabilities:
                pytest.skip(f"{store!r} does not declare {capability.name}")
            test(self, **fixtures)

        return wrapper

    return decorate
