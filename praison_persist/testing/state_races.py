"""The contract of versions and counters, alone and among many threads, and of closed stores."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from praison_persist.errors import (
    ConflictError,
    InvalidDataError,
    PersistError,
    UnsupportedError,
)
from praison_persist.protocols import StateCapability, StateStore
from praison_persist.testing.contract import race, trying
from praison_persist.testing.state_contract import OpenState, StateContract, needs_state

__all__ = ["StateCloseContract", "StateRaceContract", "VersionContract"]

_USES: dict[StateCapability, list[Callable[[StateStore], object]]] = {
    StateCapability.VERSIONS: [
        lambda store: store.get_versioned("k"),
        lambda store: store.set("k", 1, expected_version=0),
    ],
    StateCapability.SET_IF_ABSENT: [lambda store: store.set_if_absent("k", 1)],
    StateCapability.COUNTERS: [lambda store: store.incr("k"), lambda store: store.decr("k")],
}


class VersionContract(StateContract):
    """What stores declare beyond the mandatory methods."""

    def test_what_is_not_declared_is_refused(self, store: StateStore) -> None:
        """It is emulated, badly."""
        for capability, uses in _USES.items():
            if capability not in store.capabilities:
                for use in uses:
                    with pytest.raises(UnsupportedError, match=capability.name):
                        use(store)
                assert store.keys() == []

    @needs_state(StateCapability.VERSIONS)
    def test_every_write_has_a_version_of_its_own(self, store: StateStore) -> None:
        """A key that was deleted and made again begins at the version that somebody holds."""
        assert store.get_versioned("k") is None
        seen = []
        for value in (1, 1, 2):
            written = store.set("k", value)
            found = store.get_versioned("k")
            assert found is not None
            assert (found.value, found.version) == (value, written)
            seen.append(written)
        store.delete("k")
        seen.append(store.set("k", 1))
        store.set_many({"k": 1})
        found = store.get_versioned("k")
        assert found is not None
        seen.append(found.version)
        store.hset("k", "f", 1)
        store.expire("k", 100)
        assert store.get_versioned("k") == found
        if StateCapability.COUNTERS in store.capabilities:
            store.incr("k")
            found = store.get_versioned("k")
            assert found is not None
            seen.append(found.version)
        assert len(set(seen)) == len(seen)
        assert min(seen) > 0

    @needs_state(StateCapability.VERSIONS)
    def test_only_the_expected_version_is_replaced(self, store: StateStore) -> None:
        """The second of two writers wins without having seen the first."""
        first = store.set("k", 1, ttl=100)
        store.hset("k", "f", 1)
        second = store.set("k", 2, ttl=200, expected_version=first)
        assert (store.get("k"), store.ttl("k"), store.hgetall("k")) == (2, 200, {"f": 1})
        for expected in (first, 0, second + 1):
            with pytest.raises(ConflictError, match="'k'"):
                store.set("k", 3, expected_version=expected)
        assert (store.get("k"), store.ttl("k")) == (2, 200)
        store.set("k", 4, expected_version=second)
        assert store.ttl("k") is None
        store.delete("k")
        with pytest.raises(ConflictError):
            store.set("k", 5, expected_version=second)
        assert not store.exists("k")

    @needs_state(StateCapability.VERSIONS)
    def test_version_zero_is_no_value(self, store: StateStore) -> None:
        """There is no way to create only."""
        store.hset("k", "f", 1)
        store.expire("k", 100)
        version = store.set("k", None, expected_version=0)
        assert (store.exists("k"), store.ttl("k"), store.hgetall("k")) == (True, None, {"f": 1})
        with pytest.raises(ConflictError):
            store.set("k", 1, expected_version=0)
        store.set("k", 1, expected_version=version)

    @needs_state(StateCapability.VERSIONS)
    def test_what_is_no_version_is_refused(self, store: StateStore) -> None:
        """It never matches, and each write is a conflict that nobody understands."""
        wrong: list[Any] = [-1, 1.0, "1", True]
        for version in wrong:
            with trying(version), pytest.raises(InvalidDataError, match="expected_version"):
                store.set("k", 1, expected_version=version)
        assert not store.exists("k")

    @needs_state(StateCapability.SET_IF_ABSENT)
    def test_what_is_there_is_not_set(self, store: StateStore) -> None:
        """None counts as absent."""
        store.set("k", None, ttl=100)
        store.hset("h", "f", 1)
        assert not store.set_if_absent("k", 1)
        assert (store.get("k", "default"), store.ttl("k")) == (None, 100)
        assert store.set_if_absent("h", 1)
        assert (store.get("h"), store.hgetall("h")) == (1, {"f": 1})
        assert store.set_if_absent("l", None)
        assert store.exists("l")

    @needs_state(StateCapability.COUNTERS)
    def test_counters_count(self, store: StateStore) -> None:
        """The number comes back as text, or only from the counter's own methods."""
        assert store.incr("k") == 1
        assert store.incr("k", 41) == 42
        assert store.decr("k") == 41
        assert store.decr("k", -1) == 42
        assert store.incr("k", 0) == 42
        assert repr(store.get("k")) == "42"
        store.set("k", -5)
        assert store.incr("k") == -4
        assert store.decr("l") == -1
        store.hset("h", "f", 1)
        assert store.incr("h") == 1
        assert store.hgetall("h") == {"f": 1}

    @needs_state(StateCapability.COUNTERS)
    def test_what_is_no_counter_is_left_alone(self, store: StateStore) -> None:
        """It is replaced by 1."""
        others: list[Any] = [None, True, 1.0, "1", "", [], {}, 2**63, 10**30]
        for value in others:
            with trying(value):
                store.set("k", value)
                with pytest.raises(ConflictError, match="'k'"):
                    store.incr("k")
                assert repr(store.get("k")) == repr(value)

    @needs_state(StateCapability.COUNTERS)
    def test_counters_end_at_64_bits(self, store: StateStore) -> None:
        """They wrap around, or lose their last digits in a double."""
        store.set("k", 2**53)
        assert store.incr("k") == 2**53 + 1
        assert store.incr("k", 2**62) == 2**62 + 2**53 + 1
        store.set("k", 2**63 - 2)
        assert store.incr("k") == 2**63 - 1
        with pytest.raises(InvalidDataError, match="'k'"):
            store.incr("k")
        assert store.get("k") == 2**63 - 1
        assert store.decr("l", 2**63 - 1) == -(2**63) + 1
        assert store.decr("l") == -(2**63)
        for amount in (2**63, -(2**63) - 1):
            with pytest.raises(InvalidDataError):
                store.incr("m", amount)

    @needs_state(StateCapability.COUNTERS)
    def test_what_is_no_amount_is_refused(self, store: StateStore) -> None:
        """A counter becomes a float."""
        wrong: list[Any] = [1.0, "1", None, True]
        for amount in wrong:
            with trying(amount), pytest.raises(InvalidDataError, match="amount"):
                store.incr("k", amount)
        assert not store.exists("k")


class StateRaceContract(StateContract):
    """Sixteen threads on one key."""

    @needs_state(StateCapability.COUNTERS)
    def test_no_increment_is_lost(self, store: StateStore, second: StateStore) -> None:
        """Read, add, write: two threads read the same."""
        stores = (store, second)
        results = race(16, lambda i: [stores[i % 2].incr("k", 1) for _ in range(10)])
        assert sorted(n for some in results for n in some) == list(range(1, 161))
        assert store.get("k") == 160

    @needs_state(StateCapability.VERSIONS)
    def test_no_compared_write_is_lost(self, store: StateStore, second: StateStore) -> None:
        """Both of two writers of one version succeed."""
        stores = (store, second)

        def append(index: int) -> None:
            mine = stores[index % 2]
            for number in range(3):
                while True:
                    found = mine.get_versioned("k")
                    value = [*(found.value if found else []), [index, number]]
                    try:
                        mine.set("k", value, expected_version=found.version if found else 0)
                        break
                    except ConflictError:
                        continue

        race(16, append)
        wanted = [[index, number] for index in range(16) for number in range(3)]
        assert sorted(store.get("k")) == wanted

    @needs_state(StateCapability.SET_IF_ABSENT)
    def test_one_of_many_is_first(self, store: StateStore, second: StateStore) -> None:
        """Two workers hold the same lock."""
        stores = (store, second)
        for round_ in range(5):
            key = f"lock{round_}"
            won = race(16, lambda i, key=key: stores[i % 2].set_if_absent(key, i))  # type: ignore[misc]  # bound now
            assert won.count(True) == 1
            assert store.get(key) == won.index(True)

    def test_fields_of_many_threads_stay(self, store: StateStore, second: StateStore) -> None:
        """A hash that is written as a whole loses the fields of others."""
        stores = (store, second)

        def work(index: int) -> None:
            for number in range(6):
                stores[index % 2].hset("h", f"{index}/{number}", number)
            stores[index % 2].hdel("h", f"{index}/0", f"{index}/1")
            stores[index % 2].set("h", index)

        race(16, work)
        assert store.hgetall("h") == {f"{i}/{n}": n for i in range(16) for n in range(2, 6)}

    def test_batches_of_the_same_keys_do_not_block_each_other(
        self, store: StateStore, second: StateStore
    ) -> None:
        """Two batches lock the same keys in two orders."""
        stores, keys = (store, second), [f"k{index}" for index in range(20)]

        def work(index: int) -> None:
            mine = stores[index % 2]
            for _ in range(4):
                mine.set_many(dict.fromkeys(keys if index % 3 else keys[::-1], index))
                found = mine.get_many(keys)
                assert all(value in range(8) for value in found.values())

        race(8, work)
        assert set(store.get_many(keys)) == set(keys)

    def test_deleting_while_others_write_leaves_nothing_odd(
        self, store: StateStore, second: StateStore
    ) -> None:
        """A field survives its key, which then cannot be seen or deleted."""

        def work(index: int) -> None:
            for number in range(8):
                if index == 0:
                    store.delete("k")
                elif index == 1:
                    store.clear("k")
                elif index == 2:
                    second.set("k", number, ttl=1000)
                else:
                    second.hset("k", str(index), number)

        race(8, work)
        store.delete("k")
        assert (store.exists("k"), store.hgetall("k"), store.keys()) == (False, {}, [])
        store.hset("k", "new", 1)
        assert (store.hgetall("k"), store.ttl("k"), store.get("k")) == ({"new": 1}, None, None)


class StateCloseContract(StateContract):
    """Stores that are closed."""

    def test_closing_twice_is_closing_once(self, open_state: OpenState) -> None:
        """A `finally` after a `with` raises."""
        store = open_state()
        store.set("k", 1)
        store.close()
        store.close()

    def test_an_unused_store_can_be_closed(self, open_state: OpenState) -> None:
        """Closing connects."""
        open_state().close()

    def test_a_closed_store_says_so(self, open_state: OpenState) -> None:
        """It opens itself again and leaks, or dies in the driver with a riddle."""
        with open_state() as store:
            store.set("k", 1)
        uses: dict[str, Callable[[], object]] = {
            "get": lambda: store.get("k"),
            "set": lambda: store.set("k", 1),
            "delete": lambda: store.delete("k"),
            "keys": store.keys,
            "ttl": lambda: store.ttl("k"),
            "hset": lambda: store.hset("k", "f", 1),
            "hgetall": lambda: store.hgetall("k"),
            "scan": lambda: list(store.scan_prefix("k")),
        }
        for name, use in uses.items():
            with trying(name), pytest.raises(PersistError, match="closed"):
                use()

    def test_closing_one_store_leaves_the_others(
        self, store: StateStore, second: StateStore
    ) -> None:
        """Stores that share connections close them for each other."""
        store.set("k", 1)
        second.close()
        assert store.get("k") == 1
