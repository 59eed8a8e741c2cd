"""Any sequence of calls, made on a state store and on the reference: both answer the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from praison_persist.errors import PersistError
from praison_persist.protocols import StateCapability, StateStore
from praison_persist.testing.state_contract import Advance, Clock
from praison_persist.testing.state_reference import ReferenceStateStore

__all__ = ["StateMachine", "state_agrees_with_reference"]

# Few, so that calls meet; each a neighbour of another.
_KEYS = st.sampled_from(["a", "A", "a*", "a:b", "😀"])
_FIELDS = st.sampled_from(["f", "F", "f.g", "v", "n"])
_TEXT = st.text(st.characters() | st.sampled_from("\x00\ud800'\"\\%"), max_size=10)
_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=4,
)
# So far apart that a server's own clock makes no difference.
_TTLS = st.sampled_from([None, None, 10_000, 20_000])
_STEPS = st.sampled_from([7_000, 14_000])


class StateMachine(RuleBasedStateMachine):
    """Calls one method a step. `store` is the one under test, `advance` lets its time pass."""

    store: ClassVar[StateStore]
    advance: ClassVar[Advance]

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.reference = ReferenceStateStore(self.clock)
        type(self).store.clear("", confirm=True)

    def agree(self, call: Callable[[StateStore], Any]) -> None:
        """Make a call on both; compare what they return or the kind of their error."""
        expected, found = _outcome(call, self.reference), _outcome(call, type(self).store)
        assert repr(found) == repr(expected), f"{found!r} instead of {expected!r}"

    def can(self, capability: StateCapability) -> bool:
        """Whether the store under test declares the capability."""
        return capability in type(self).store.capabilities

    @rule(key=_KEYS, value=_VALUES, ttl=_TTLS)
    def set(self, key: str, value: Any, ttl: float | None) -> None:
        """Set a value."""
        self.agree(lambda store: store.set(key, value, ttl) > -1)

    @rule(values=st.dictionaries(_KEYS, _VALUES, max_size=3), ttl=_TTLS)
    def set_many(self, values: dict[str, Any], ttl: float | None) -> None:
        """Set some values."""
        self.agree(lambda store: store.set_many(values, ttl))

    @rule(key=_KEYS, field=_FIELDS, value=_VALUES)
    def hset(self, key: str, field: str, value: Any) -> None:
        """Set a field."""
        self.agree(lambda store: store.hset(key, field, value))

    @rule(key=_KEYS, fields=st.lists(_FIELDS, unique=True, max_size=3))
    def hdel(self, key: str, fields: list[str]) -> None:
        """Delete fields."""
        self.agree(lambda store: store.hdel(key, *fields))

    @rule(key=_KEYS)
    def delete(self, key: str) -> None:
        """Delete a key."""
        self.agree(lambda store: store.delete(key))

    @rule(key=_KEYS, ttl=_TTLS)
    def expire(self, key: str, ttl: float | None) -> None:
        """Set or end an expiry."""
        self.agree(lambda store: store.expire(key, ttl))

    @rule(prefix=_KEYS)
    def clear(self, prefix: str) -> None:
        """Delete by prefix."""
        self.agree(lambda store: store.clear(prefix))

    @rule(seconds=_STEPS)
    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.now += seconds
        type(self).advance(seconds)

    @precondition(lambda self: self.can(StateCapability.SET_IF_ABSENT))
    @rule(key=_KEYS, value=_VALUES, ttl=_TTLS)
    def set_if_absent(self, key: str, value: Any, ttl: float | None) -> None:
        """Set if there is no value."""
        self.agree(lambda store: store.set_if_absent(key, value, ttl))

    @precondition(lambda self: self.can(StateCapability.COUNTERS))
    @rule(key=_KEYS, amount=st.integers(-3, 3))
    def incr(self, key: str, amount: int) -> None:
        """Count."""
        self.agree(lambda store: store.incr(key, amount))

    @precondition(lambda self: self.can(StateCapability.VERSIONS))
    @rule(key=_KEYS, value=_VALUES, stale=st.booleans())
    def compare_and_set(self, key: str, value: Any, *, stale: bool) -> None:
        """Set over the version that is there, or over another."""

        def call(store: StateStore) -> bool:
            found = store.get_versioned(key)
            version = found.version if found else 0
            return store.set(key, value, expected_version=version + stale) > 0

        self.agree(call)

    @invariant()
    def looks_the_same(self) -> None:
        """Compare everything there is to read."""
        keys = ("a", "A", "a*", "a:b", "😀")
        self.agree(lambda store: (store.keys(), store.get_many(keys)))
        for key in keys:
            self.agree(
                lambda store, key=key: (  # type: ignore[misc]  # bound now
                    sorted(store.hgetall(key).items()),
                    _roughly(store.ttl(key)),
                )
            )


def _roughly(ttl: int | None) -> int | None:
    """Return a time to live in thousands: a server's own clock does not stand still."""
    return None if ttl is None else round(ttl / 1000)


def _outcome(call: Callable[[StateStore], Any], store: StateStore) -> Any:
    try:
        return call(store)
    except PersistError as error:
        return type(error).__name__


def state_agrees_with_reference(store: StateStore, advance: Advance, examples: int = 6) -> None:
    """Compare a store with the reference over any sequence of calls."""
    machine = type("Machine", (StateMachine,), {"store": store, "advance": staticmethod(advance)})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=25,
            deadline=None,
            database=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )
