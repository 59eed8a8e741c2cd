"""The contract of expiry: a key is there until its time, and for nobody after it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from praison_persist.errors import ConflictError, InvalidDataError
from praison_persist.protocols import StateCapability, StateStore
from praison_persist.testing.contract import trying
from praison_persist.testing.state_contract import Advance, StateContract, needs_state

__all__ = ["ExpiryContract"]


class ExpiryContract(StateContract):
    """Times to live."""

    def test_a_key_is_there_until_its_time(self, store: StateStore, advance: Advance) -> None:
        """Each method has its own idea of the moment, or one has none."""
        store.set("k", 1, ttl=100)
        store.hset("k", "f", 2)
        store.set("other", 3)
        advance(99)
        assert store.ttl("k") == 1
        assert (store.get("k"), store.hgetall("k"), store.exists("k")) == (1, {"f": 2}, True)
        assert store.keys() == ["k", "other"]
        advance(1)
        _assert_gone(store, "k")
        assert store.keys() == ["other"]

    def test_ttl_is_rounded_up(self, store: StateStore, advance: Advance) -> None:
        """A key with half a second left has 0, which means none."""
        store.set("k", 1, ttl=100)
        assert store.ttl("k") == 100
        advance(0.5)
        assert store.ttl("k") == 100
        advance(99.4)
        assert store.ttl("k") == 1

    def test_a_fraction_of_a_second_is_a_time(self, store: StateStore, advance: Advance) -> None:
        """It is rounded down to nothing."""
        store.set("k", 1, ttl=0.9)
        assert store.ttl("k") == 1
        advance(1)
        _assert_gone(store, "k")

    def test_set_decides_anew(self, store: StateStore, advance: Advance) -> None:
        """A key inherits the expiry of the value before."""
        store.set("k", 1, ttl=10)
        store.set("k", 2)
        assert store.ttl("k") is None
        store.set("k", 3, ttl=20)
        assert store.ttl("k") == 20
        store.set_many({"k": 4, "l": 5}, ttl=30)
        assert (store.ttl("k"), store.ttl("l")) == (30, 30)
        store.set_many({"k": 6})
        advance(30)
        assert store.get("k") == 6
        _assert_gone(store, "l")

    def test_the_expiry_is_that_of_value_and_hash(
        self, store: StateStore, advance: Advance
    ) -> None:
        """The hash outlives the value, or a field the key."""
        store.hset("k", "f", 1)
        assert store.ttl("k") is None
        store.set("k", 1, ttl=10)
        store.hset("k", "g", 2)
        assert store.ttl("k") == 10
        assert store.expire("k", 20)
        assert store.ttl("k") == 20
        store.set("k", 2)
        assert store.ttl("k") is None
        assert store.expire("k", 5)
        store.hdel("k", "f")
        advance(5)
        _assert_gone(store, "k")

    def test_a_hash_alone_expires(self, store: StateStore, advance: Advance) -> None:
        """Expiry belongs to values only."""
        store.hset("h", "f", 1)
        assert store.expire("h", 10)
        store.hset("h", "g", 2)
        assert store.ttl("h") == 10
        advance(10)
        _assert_gone(store, "h")

    def test_expire_can_be_taken_back(self, store: StateStore, advance: Advance) -> None:
        """There is no way to keep a key."""
        store.set("k", 1, ttl=10)
        assert store.expire("k", None)
        assert store.ttl("k") is None
        assert store.expire("k", None)
        advance(1000)
        assert store.get("k") == 1

    def test_what_expired_takes_no_part_in_what_comes_next(
        self, store: StateStore, advance: Advance
    ) -> None:
        """The old hash, value or expiry comes back with the next write."""
        keys = ("set", "many", "hset", "delete", "expire", "hdel", "clear")
        for key in keys:
            store.set(key, "old", ttl=10)
            store.hset(key, "old", 1)
        advance(10)
        store.set("set", 1)
        store.set_many({"many": 1})
        store.hset("hset", "f", 1)
        assert not store.delete("delete")
        assert not store.expire("expire", 10)
        assert not store.expire("expire", None)
        assert store.hdel("hdel", "old") == 0
        assert store.clear("clear") == 0
        assert store.keys() == ["hset", "many", "set"]
        assert (store.hgetall("set"), store.hgetall("many")) == ({}, {})
        assert (store.get("hset"), store.hgetall("hset")) == (None, {"f": 1})
        assert [store.ttl(key) for key in keys] == [None] * len(keys)
        advance(1000)
        assert store.keys() == ["hset", "many", "set"]

    @needs_state(StateCapability.COUNTERS)
    def test_a_counter_keeps_its_expiry(self, store: StateStore, advance: Advance) -> None:
        """A rate limit that each request extends never ends."""
        store.set("k", 5, ttl=10)
        store.hset("k", "f", 1)
        assert store.incr("k") == 6
        assert store.ttl("k") == 10
        advance(10)
        assert store.incr("k") == 1
        assert store.ttl("k") is None
        assert store.hgetall("k") == {}

    @needs_state(StateCapability.SET_IF_ABSENT)
    def test_what_expired_is_absent(self, store: StateStore, advance: Advance) -> None:
        """A lock whose holder died is held for ever."""
        assert store.set_if_absent("k", 1, ttl=10)
        assert not store.set_if_absent("k", 2, ttl=1000)
        assert store.ttl("k") == 10
        store.hset("k", "f", 1)
        advance(10)
        assert store.set_if_absent("k", 3, ttl=20)
        assert (store.get("k"), store.ttl("k"), store.hgetall("k")) == (3, 20, {})

    @needs_state(StateCapability.VERSIONS)
    def test_what_expired_has_no_version(self, store: StateStore, advance: Advance) -> None:
        """A holder whose lease has ended overwrites the next one's."""
        version = store.set("k", 1, ttl=10)
        advance(10)
        assert store.get_versioned("k") is None
        with pytest.raises(ConflictError):
            store.set("k", 2, expected_version=version)
        assert not store.exists("k")
        store.set("k", 3, ttl=10, expected_version=0)
        assert store.ttl("k") == 10

    def test_what_is_no_time_to_live_is_refused(self, store: StateStore) -> None:
        """0 is for ever in one store and at once in the other."""
        wrong: list[Any] = [0, -1, -0.5, float("nan"), float("inf"), 1e11, "10", True]
        uses: list[Callable[[Any], object]] = [
            lambda ttl: store.set("k", 2, ttl=ttl),
            lambda ttl: store.set_many({"k": 2}, ttl=ttl),
            lambda ttl: store.set_json("k", 2, ttl=ttl),
            lambda ttl: store.expire("k", ttl),
        ]
        if StateCapability.SET_IF_ABSENT in store.capabilities:
            uses.append(lambda ttl: store.set_if_absent("l", 2, ttl=ttl))
        store.set("k", 1, ttl=10)
        for ttl in wrong:
            with trying(ttl):
                for use in uses:
                    with pytest.raises(InvalidDataError, match="ttl"):
                        use(ttl)
                assert (store.get("k"), store.ttl("k"), store.keys()) == (1, 10, ["k"])


def _assert_gone(store: StateStore, key: str) -> None:
    missing = object()
    assert store.get(key, missing) is missing
    assert store.get_many([key]) == {}
    assert not store.exists(key)
    assert store.ttl(key) is None
    assert store.keys().count(key) == 0
    assert key not in store.keys(key[:1] + "*")
    assert key not in list(store.scan_prefix(key))
    assert key not in store.page_keys(key).keys
    assert store.hget(key, "f", missing) is missing
    assert store.hgetall(key) == {}
