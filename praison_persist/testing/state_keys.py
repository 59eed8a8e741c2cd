"""The contract of keys: values, hashes, finding and clearing them."""

from __future__ import annotations

from typing import Any

import pytest

from praison_persist.errors import InvalidDataError
from praison_persist.protocols import StateStore
from praison_persist.testing.state_contract import StateContract
from praison_persist.testing.state_values import ODD_KEYS

__all__ = ["HashContract", "KeyContract"]

_NAMES = (
    "a",
    "ab",
    "abc",
    "b",
    "a*c",
    "a?c",
    "a[b]c",
    "a\\c",
    "A",
    "a b",
    "a\nb",
    "áb",
    "a-c",
    "]",
)
_GLOBS = {
    "*": set(_NAMES),
    "": set(),
    "a": {"a"},
    "a*": {"a", "ab", "abc", "a*c", "a?c", "a[b]c", "a\\c", "a b", "a\nb", "a-c"},
    "?": {"a", "b", "A", "]"},
    "??": {"ab", "áb"},
    "a?c": {"abc", "a*c", "a?c", "a\\c", "a-c"},
    "a\\*c": {"a*c"},
    "a\\?c": {"a?c"},
    "a[*]c": {"a*c"},
    "a\\\\c": {"a\\c"},
    "a\\[b\\]c": {"a[b]c"},
    "[ab]": {"a", "b"},
    "[a-b]": {"a", "b"},
    "[!a-b]": {"A", "]"},
    "[^a-b]": {"A", "]"},
    "[]]": {"]"},
    "a[-]c": {"a-c"},
    "*b": {"ab", "b", "a b", "a\nb", "áb"},
    "*b*c": {"abc", "a[b]c"},
    "a[b": set(),
    "**": set(_NAMES),
    "%": set(),
    "a_c": set(),
}


class KeyContract(StateContract):
    """Values under keys, and which keys there are."""

    def test_set_replaces_and_delete_forgets(self, store: StateStore) -> None:
        """The type of the old value sticks to the key."""
        for value in (1, "a", [1], {"a": 1}, None, True):
            store.set("k", value)
            assert store.get("k") == value
        assert store.delete("k")
        assert not store.delete("k")
        assert not store.exists("k")
        assert store.get("k") is None

    def test_unknown_keys_are_answered(self, store: StateStore) -> None:
        """A read of nothing raises, or makes something."""
        assert store.get("k") is None
        assert store.get_many(["k"]) == {}
        assert store.get_many([]) == {}
        assert store.ttl("k") is None
        assert not store.expire("k", 10)
        assert not store.expire("k", None)
        assert not store.delete("k")
        assert store.hget("k", "f") is None
        assert store.hgetall("k") == {}
        assert store.hdel("k", "f") == 0
        assert store.clear("k") == 0
        assert store.page_keys("k").keys == []
        assert list(store.scan_prefix("k")) == []
        assert store.keys() == []

    def test_many_are_read_and_written_at_once(self, store: StateStore) -> None:
        """The order is lost, a batch ends at a limit of the engine."""
        values = {f"k{index}": index for index in range(1203)}
        store.set_many(values)
        store.set_many({})
        store.set_many({"k0": "new"})
        wanted = [*reversed(values), "missing", "k1"]
        found = store.get_many(wanted)
        assert list(found) == list(reversed(values))
        assert found == {**values, "k0": "new"}

    def test_globs(self, store: StateStore) -> None:
        """Each engine has a grammar of its own."""
        store.set_many(dict.fromkeys(_NAMES, 1))
        found = {pattern: store.keys(pattern) for pattern in _GLOBS}
        assert found == {pattern: sorted(names) for pattern, names in _GLOBS.items()}

    def test_a_pattern_of_many_stars_takes_no_time(self, store: StateStore) -> None:
        """A regular expression tries every way to split the key."""
        store.set("a" * 480, 1)
        assert store.keys("*a" * 100 + "*b") == []
        assert store.keys("*a" * 100 + "*") == ["a" * 480]

    def test_a_prefix_is_literal(self, store: StateStore) -> None:
        """`a*` scans, or clears, `ab`."""
        store.set_many(dict.fromkeys(ODD_KEYS, 1))
        for prefix in (key for key in ODD_KEYS if len(key) < 5):
            others = [key for key in ODD_KEYS if not key.startswith(prefix)]
            mine = [prefix, f"{prefix}1", f"{prefix}\U0010ffff"]
            store.set_many(dict.fromkeys(mine, 1))
            wanted = sorted({key for key in [*ODD_KEYS, *mine] if key.startswith(prefix)})
            assert sorted(store.scan_prefix(prefix)) == wanted, prefix
            paged = {key for page in _pages(store, prefix, 1000) for key in page}
            assert sorted(paged) == wanted, prefix
            assert store.clear(prefix) == len(wanted), prefix
            assert store.keys() == sorted(others), prefix
            store.set_many(dict.fromkeys(set(ODD_KEYS) - set(others), 1))

    def test_pages_show_each_key_once(self, store: StateStore) -> None:
        """A page repeats keys of the one before, or ends too early."""
        wanted = {f"p:{index}" for index in range(1200)}
        store.set_many(dict.fromkeys([*wanted, "p", "q:1"], 0))
        assert sorted(store.scan_prefix("p:")) == sorted(wanted)
        pages = _pages(store, "p:", 500)
        assert {key for page in pages for key in page} == wanted
        assert len(pages) > 1

    def test_keys_that_stay_are_found_while_others_come_and_go(self, store: StateStore) -> None:
        """A cursor that counts loses its place."""
        store.set_many(dict.fromkeys([f"k{index:04}" for index in range(0, 2600, 2)], 0))
        seen = set()
        for number, key in enumerate(store.scan_prefix("k")):
            seen.add(key)
            if number % 50 == 0:
                store.set(f"k{number:04}+", 0)
                store.delete(f"k{number:04}+")
        assert {f"k{index:04}" for index in range(0, 2600, 2)} <= seen

    def test_the_limit_and_cursor_of_a_page_are_checked(self, store: StateStore) -> None:
        """A page of nothing is asked for, for ever."""
        for limit in (0, -1, None, 1.5, True):
            with pytest.raises(InvalidDataError, match="limit"):
                store.page_keys("", limit=limit)  # type: ignore[arg-type]  # what is refused

    def test_everything_is_cleared_only_on_confirmation(self, store: StateStore) -> None:
        """A prefix that a caller computed was empty."""
        store.set("k", 1)
        with pytest.raises(InvalidDataError, match="confirm"):
            store.clear("")
        assert store.get("k") == 1
        store.hset("h", "f", 1)
        assert store.clear("", confirm=True) == 2
        assert store.keys() == []

    def test_a_thousand_keys_are_cleared(self, store: StateStore) -> None:
        """Only the first page goes."""
        store.set_many(dict.fromkeys([f"k{index}" for index in range(1100)], 0))
        store.set("l", 0)
        assert store.clear("k") == 1100
        assert store.keys() == ["l"]

    def test_another_store_sees_it(self, store: StateStore, second: StateStore) -> None:
        """A store answers from what it read before."""
        assert second.get("k") is None
        store.set("k", 1)
        assert second.get("k") == 1
        second.set("k", 2)
        second.hset("k", "f", 3)
        assert store.get("k") == 2
        assert store.hgetall("k") == {"f": 3}
        store.delete("k")
        assert not second.exists("k")


def _pages(store: StateStore, prefix: str, limit: int) -> list[list[str]]:
    page = store.page_keys(prefix, limit=limit)
    pages = [page.keys]
    while page.next_cursor is not None:
        page = store.page_keys(prefix, limit=limit, cursor=page.next_cursor)
        pages.append(page.keys)
    return pages


class HashContract(StateContract):
    """Hashes, and values beside them."""

    def test_fields_come_and_go(self, store: StateStore) -> None:
        """A count is wrong, an empty hash stays."""
        store.hset("h", "a", 1)
        store.hset("h", "b", 2)
        store.hset("h", "a", "new")
        assert store.hgetall("h") == {"a": "new", "b": 2}
        assert store.hdel("h") == 0
        assert store.hdel("h", "b", "c", "b") == 1
        assert store.hgetall("h") == {"a": "new"}
        assert store.exists("h")
        assert store.hdel("h", "a", "b") == 1
        assert not store.exists("h")
        assert store.keys() == []

    def test_a_key_has_a_value_and_a_hash(self, store: StateStore) -> None:
        """One is taken for the other, or overwrites it."""
        store.set("k", {"f": "value"})
        store.hset("k", "f", "field")
        assert store.get("k") == {"f": "value"}
        assert store.hgetall("k") == {"f": "field"}
        store.set("k", 1)
        assert store.hgetall("k") == {"f": "field"}
        assert store.hdel("k", "f") == 1
        assert store.get("k") == 1
        assert store.exists("k")
        store.hset("k", "f", 2)
        assert store.keys() == ["k"]
        assert store.delete("k")
        assert (store.get("k"), store.hgetall("k"), store.exists("k")) == (None, {}, False)

    def test_a_hash_is_no_value(self, store: StateStore) -> None:
        """`get` of a hash returns its storage."""
        store.hset("h", "f", 1)
        missing = object()
        assert store.get("h", missing) is missing
        assert store.get_many(["h"]) == {}
        assert store.exists("h")
        store.set("h", None)
        assert store.get("h", missing) is None

    def test_many_fields(self, store: StateStore) -> None:
        """A page or parameter limit cuts the hash."""
        wanted: dict[str, Any] = {f"f{index}": index for index in range(300)}
        for field, value in wanted.items():
            store.hset("h", field, value)
        assert store.hgetall("h") == wanted
        assert store.hdel("h", *list(wanted)[1:]) == 299
        assert store.hgetall("h") == {"f0": 0}
