"""The contract of stored values: what goes in comes back equal, or is refused by name."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest

from praison_persist.errors import InvalidDataError
from praison_persist.protocols import StateCapability, StateStore
from praison_persist.testing.contract import trying
from praison_persist.testing.state_contract import StateContract, needs_state
from praison_persist.testing.values import TEXTS

__all__ = ["ODD_KEYS", "StateValueContract"]

_VALUES: dict[str, Any] = {
    "None": None,
    "true": True,
    "false": False,
    "zero": 0,
    "one": 1,
    "float one": 1.0,
    "float": -0.1,
    "minus zero": -0.0,
    "tiny": 5e-324,
    "64 bits": 2**63 - 1,
    "more bits": -(2**64),
    "many digits": 10**40,
    "digits": "123",
    "a float as text": "1.0",
    "quoted": '"123"',
    "words": "true",
    "a date as text": "2026-11-21T00:00:00Z",
    "empty list": [],
    "empty dict": {},
    "list": [1, 1.0, True, None, "", [], {}],
    "dict": {"z": 1, "a": {"b": [None]}, "": 0, "a.b": 1, "$x": 2, "\x00": 3, "\ud800": 4},
    "wrapped": {"value": 1, "__wrapped__": True},
    **{f"text: {name}": text for name, text in TEXTS.items()},
}
# What JSON would change or cannot carry.
_REFUSED: dict[str, tuple[Any, str]] = {
    "bytes": (b"a", "bytes"),
    "bytearray": (bytearray(b"a"), "bytearray"),
    "datetime": (datetime(2026, 11, 21, tzinfo=UTC), "datetime"),
    "date": (date(2026, 11, 21), "date"),
    "NaN": (float("nan"), "nan"),
    "infinity": (float("inf"), "inf"),
    "tuple": ((1,), "tuple"),
    "set": ({1}, "set"),
    "object": (object(), "object"),
    "inside": ({"a": [b"x"]}, "bytes"),
    "key of another type": ({1: 2}, "key 1"),
}
ODD_KEYS = (
    *("a", "A", "a ", " a", "á", "a\u0301", "😀", "a:b", "a:", ":", "a.b", ".", "..", "a/b", "/"),
    *("a*", "a?", "[a]", "{a}", "a\\", "\\", "a%", "a_b", "aXb", "a'b", 'a"b', "a;--", "a\n", "\t"),
    *("$where", "__proto__", "null", "0", "00", "v", "n", "f:a", "value", "a#b", "a|b", "a,b", "~"),
    *("\x01", "\u2028", "\U0010ffff", "日本語", "a" * 480, "b" * 479 + "😀"),
)


class StateValueContract(StateContract):
    """Values and the names they have."""

    def test_any_value_comes_back_as_it_was(self, store: StateStore) -> None:
        """A string of digits comes back as a number, None as missing, 1.0 as 1."""
        missing = object()
        for name, value in _VALUES.items():
            store.set("k", value)
            store.set_many({"m": value})
            store.set_json("j", value)
            store.hset("h", "f", value)
            found = [
                store.get("k", missing),
                store.get_json("j", missing),
                store.get_many(["k", "m"])["m"],
                store.hget("h", "f", missing),
                store.hgetall("h")["f"],
            ]
            # 1 and 1.0 and True are equal.
            assert [repr(each) for each in found] == [repr(value)] * len(found), name

    @needs_state(StateCapability.VERSIONS)
    def test_a_versioned_value_is_the_same(self, store: StateStore) -> None:
        """It goes through another path of the driver."""
        store.set("k", 0)
        for name, value in _VALUES.items():
            before = store.get_versioned("k")
            assert before is not None, name
            store.set("k", value, expected_version=before.version)
            found = store.get_versioned("k")
            assert found is not None, name
            assert repr(found.value) == repr(value), name

    def test_what_json_cannot_hold_is_refused_and_nothing_changes(self, store: StateStore) -> None:
        """It is stored as its repr, or the write fails half way and every later one with it."""
        writes: list[Callable[[Any], object]] = [
            lambda value: store.set("old", value),
            lambda value: store.set_json("old", value),
            lambda value: store.set_many({"new": 1, "old": value}),
            lambda value: store.hset("old", "f", value),
        ]
        store.set("old", 1)
        store.hset("old", "f", 1)
        for name, (value, word) in _REFUSED.items():
            with trying(name):
                for write in writes:
                    with pytest.raises(InvalidDataError, match="old") as caught:
                        write(value)
                    assert word in str(caught.value)
                assert store.get("old") == 1
                assert store.hgetall("old") == {"f": 1}
                assert store.keys() == ["old"]

    def test_a_megabyte_comes_back(self, store: StateStore) -> None:
        """A column or a limit of the protocol cuts it."""
        text = "łódź 😀" * 150_000
        store.set("k", text)
        store.hset("k", "f", text)
        assert store.get("k") == text
        assert store.hget("k", "f") == text

    def test_what_is_read_is_a_copy(self, store: StateStore) -> None:
        """A caller that changes its value changes what others read."""
        value = {"a": [1]}
        store.set("k", value)
        store.hset("k", "f", value)
        value["a"].append(2)
        reads: list[Callable[[], Any]] = [
            lambda: store.get("k"),
            lambda: store.hget("k", "f"),
            lambda: store.hgetall("k")["f"],
            lambda: store.get_many(["k"])["k"],
        ]
        for read in reads:
            read()["a"].append(3)
            assert read() == {"a": [1]}

    def test_none_is_a_value_and_missing_is_none(self, store: StateStore) -> None:
        """What is not there and what is known to be nothing are different things to an agent."""
        store.set("k", None)
        store.hset("h", "f", None)
        assert store.get("k", "default") is None
        assert store.exists("k")
        assert store.get_many(["k", "other"]) == {"k": None}
        assert store.hget("h", "f", "default") is None
        assert store.hgetall("h") == {"f": None}
        assert store.get("other") is None
        assert store.get("other", "default") == "default"
        assert store.hget("h", "other", "default") == "default"
        assert store.hget("other", "f", "default") == "default"

    def test_any_key_and_field_is_itself(self, store: StateStore) -> None:
        """Keys are folded, trimmed, taken for patterns, paths or statements."""
        fields = [key[:255] for key in ODD_KEYS]
        store.set_many({key: f"value of {key}" for key in ODD_KEYS})
        for key in ODD_KEYS:
            store.hset("hash", key[:255], key)
            store.hset(key, "f", key)
        assert store.keys() == sorted({*ODD_KEYS, "hash"})
        assert store.hgetall("hash") == dict(zip(fields, ODD_KEYS, strict=True))
        for key in ODD_KEYS:
            assert store.get(key) == f"value of {key}"
            assert store.hget("hash", key[:255]) == key
            assert store.hgetall(key) == {"f": key}
        for index, key in enumerate(ODD_KEYS):
            assert store.delete(key)
            assert not store.exists(key)
            assert store.hdel("hash", key[:255]) == 1
            assert len(store.hgetall("hash")) == len(ODD_KEYS) - index - 1
        assert store.keys() == []

    def test_what_cannot_be_a_key_is_refused(self, store: StateStore) -> None:
        """It is cut, or becomes the key of something else."""
        wrong: list[Any] = ["", None, 1, b"a", "a\x00", "\ud800", "a" * 481]
        uses: list[Callable[[Any], object]] = [
            store.get,
            lambda key: store.get_many(["a", key]),
            lambda key: store.set(key, 1),
            lambda key: store.set_many({"a": 1, key: 1}),
            store.delete,
            store.exists,
            store.ttl,
            lambda key: store.expire(key, 1),
            lambda key: store.hget(key, "f"),
            lambda key: store.hset(key, "f", 1),
            store.hgetall,
            lambda key: store.hdel(key, "f"),
            lambda key: store.hget("a", key),
            lambda key: store.hset("a", key, 1),
            lambda key: store.hdel("a", key),
        ]
        for key in wrong:
            with trying(key):
                for use in uses:
                    with pytest.raises(InvalidDataError, match=r"key|field"):
                        use(key)
                assert store.keys() == []

    def test_a_string_is_no_list_of_keys(self, store: StateStore) -> None:
        """Its characters are looked up."""
        with pytest.raises(InvalidDataError, match="keys"):
            store.get_many("abc")
