"""The store against LangGraph's own in memory, and where that one promises nothing."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from praison_persist.errors import InvalidDataError
from praison_persist.state.memory import MemoryStateStore
from praison_persist.testing.contract import race
from tests.integrations.langgraph.conftest import Location
from tests.packages import INTEGRATIONS, needs

needs("langgraph.store", extra="langgraph", required_by=INTEGRATIONS)

from langgraph.store.base import (  # noqa: E402 - after the check
    GetOp,
    IndexConfig,
    Item,
    ListNamespacesOp,
    MatchCondition,
    PutOp,
    SearchOp,
)
from langgraph.store.memory import InMemoryStore  # noqa: E402 - as above

from praison_persist.integrations.langgraph import PersistSaver, PersistStore  # noqa: E402 - as above
from tests.integrations.langgraph.graphs import CONFIG, many  # noqa: E402 - as above

NAMESPACES = [("users",), ("users", "a:b"), ("users2",), ("users", "%/é", "x"), ("docs", "x")]
LETTERS = "abcdefgh"


def embed(texts: Sequence[str]) -> list[list[float]]:
    """How often each of some letters is in a text."""
    return [[float(text.count(letter)) for letter in LETTERS] for text in texts]


INDEX: IndexConfig = {"dims": len(LETTERS), "embed": embed, "fields": ["text", "tags[*]"]}


class Clock:
    """A clock that tests set."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def store() -> Iterator[PersistStore]:
    with PersistStore("memory") as opened:
        yield opened


def shown(result: Any) -> Any:
    """What two stores have in common: not the times, nor the order of what is not ranked."""
    if isinstance(result, Item):
        score = getattr(result, "score", None)
        return result.namespace, result.key, repr(result.value), score and round(score, 9)
    if isinstance(result, list):
        return sorted(map(shown, result), key=repr)
    return result


def operations(seed: int) -> Iterator[list[Any]]:
    """Batches of all kinds of operations."""
    choose = random.Random(seed)
    filters: list[Any] = [
        {"color": "red"},
        {"number": {"$gte": 3, "$lt": 7}},
        {"color": {"$ne": "red"}},
        {"nested": {"a": 1}},
        {"tags": ["a", "b"]},
        {"number": {"$eq": 4}},
    ]
    paths: list[Any] = [("users",), ("*", "a:b"), ("x",), ("docs",), ("users", "*", "x")]
    for number in range(60):
        batch: list[Any] = []
        for part in range(choose.randint(1, 4)):
            place, key = choose.choice(NAMESPACES), choose.choice(["k", "a:b/c", "%41", "l" * 600])
            value = {
                "color": choose.choice(["red", "blue", None]),
                "number": choose.randrange(9),
                "nested": {"a": choose.randrange(2), "b": [1.5, None]},
                "tags": choose.sample("ab", 2),
                # LangGraph's own cannot embed one text for two items of a batch.
                "text": choose.choice(["abc", "hé\x00 fed", "ggg"]) + f" {number}.{part}",
            }
            kind = choose.choice(["put", "put", "get", "search", "list", "delete"])
            if kind == "put":
                batch.append(PutOp(place, key, value))
            elif kind == "delete":
                batch.append(PutOp(place, key, None))
            elif kind == "get":
                batch.append(GetOp(place, key))
            elif kind == "search":
                prefix = place[: choose.randint(0, len(place))]
                batch.append(SearchOp(prefix, choose.choice([None, *filters]), 100))
            else:
                condition = MatchCondition(
                    choose.choice(["prefix", "suffix"]), choose.choice(paths)
                )
                depth = choose.choice([None, 1, 2])
                batch.append(ListNamespacesOp((condition,), depth, 100))
        yield batch


def without_empty(results: list[Any], theirs: InMemoryStore) -> list[Any]:
    """LangGraph's own goes on listing namespaces whose items were all deleted."""
    filled = {place for place, items in theirs._data.items() if items}
    return [
        [each for each in result if any(place[: len(each)] == each for place in filled)]
        if isinstance(result, list) and result and isinstance(result[0], tuple)
        else result
        for result in results
    ]


@pytest.mark.parametrize("indexed", [False, True])
def test_it_answers_as_langgraphs_own(everywhere: Location, *, indexed: bool) -> None:
    index: IndexConfig | None = {**INDEX, "fields": ["text"]} if indexed else None
    theirs = InMemoryStore(index=index)
    with PersistStore(**everywhere, index=index) as ours:
        for batch in operations(11):
            expected = without_empty(theirs.batch(batch), theirs)
            assert shown(ours.batch(batch)) == shown(expected), batch
        asked = SearchOp(("users",), None, 50, query="abc a")
        assert shown(ours.batch([asked])) == shown(theirs.batch([asked]))


def test_both_colours_see_the_same(everywhere: Location) -> None:
    async def run(store: PersistStore) -> Any:
        await store.aput(("users", "1"), "k", {"a": 1})
        await store.aput(("users", "1"), "gone", {"a": 2})
        await store.adelete(("users", "1"), "gone")
        found = await store.asearch(("users",), query="a")
        return await store.aget(("users", "1"), "k"), found, await store.alist_namespaces()

    with PersistStore(**everywhere, index=INDEX) as store:
        item, found, namespaces = asyncio.run(run(store))
        assert store.get(("users", "1"), "k") == item
        assert [each.key for each in found] == ["k"]
        assert namespaces == store.list_namespaces() == [("users", "1")]


def test_pages_of_a_search_are_of_one_order(store: PersistStore) -> None:
    for number in range(450):
        store.put(("n", str(number % 3)), f"{number:03}", {"even": number % 2 == 0})
    pages = [
        store.search(("n",), filter={"even": True}, limit=50, offset=offset)
        for offset in range(0, 300, 50)
    ]
    keys = [(item.namespace, item.key) for page in pages for item in page]
    assert len(keys) == len(set(keys)) == 225
    assert keys == sorted(keys)


def test_items_without_embeddings_come_last(store: PersistStore) -> None:
    with PersistStore("memory", index=INDEX) as indexed:
        indexed.put(("d",), "1", {"text": "aab"})
        indexed.put(("d",), "2", {"text": "b"})
        indexed.put(("d",), "3", {"text": "a"}, index=False)
        indexed.put(("d",), "4", {"other": "a"}, index=["other"])
        found = indexed.search(("d",), query="a")
        assert [(item.key, item.score) for item in found] == [
            ("4", 1.0),
            ("1", pytest.approx(2 / 5**0.5)),
            ("2", 0.0),
            ("3", None),
        ]
        rest = indexed.search(("d",), query="a", limit=2, offset=2)
        assert [item.key for item in rest] == ["2", "3"]
    store.put(("d",), "1", {"text": "a"})
    assert [item.score for item in store.search(("d",), query="a")] == [None]


def test_a_replaced_item_is_found_by_what_it_is(store: PersistStore) -> None:
    """The embeddings of the old value would find it under what it no longer says."""
    with MemoryStateStore() as state:
        indexed = PersistStore(state, index=INDEX)
        indexed.put(("d",), "1", {"text": "a"})
        indexed.put(("d",), "1", {"text": "b"})
        assert [each.score for each in indexed.search(("d",), query="b")] == [1.0]
        assert len(state.keys("*vectors*")) == 1
        indexed.delete(("d",), "1")
        assert state.keys("*") == []


def test_an_item_keeps_when_it_was_created() -> None:
    clock = Clock()
    with PersistStore("memory", clock=clock) as store:
        store.put(("n",), "k", {"a": 1})
        clock.now += 60
        store.put(("n",), "k", {"a": 2})
        item = store.get(("n",), "k")
        assert item is not None
        assert item.created_at == datetime.fromtimestamp(clock.now - 60, UTC)
        assert item.updated_at == datetime.fromtimestamp(clock.now, UTC)


def test_items_expire_after_minutes_and_reading_them_begins_anew() -> None:
    clock = Clock()
    with MemoryStateStore(clock=clock) as state:
        store = PersistStore(state, index=INDEX, ttl={"default_ttl": 10}, clock=clock)
        store.put(("n",), "read", {"text": "a"})
        store.put(("n",), "unread", {"text": "a"}, ttl=5)
        store.put(("n",), "for ever", {"text": "a"}, ttl=None)
        clock.now += 4 * 60
        assert store.get(("n",), "unread", refresh_ttl=False) is not None
        assert store.get(("n",), "read") is not None
        clock.now += 2 * 60
        assert store.get(("n",), "unread") is None
        clock.now += 7 * 60
        assert [item.key for item in store.search(("n",), query="a")] == ["for ever", "read"]
        clock.now += 10 * 60
        assert [item.key for item in store.search(("n",))] == ["for ever"]
        assert len(state.keys("*")) == 2
        state.clear("", confirm=True)
        store.put(("n",), "read", {"text": "a"})
        clock.now += 10 * 60
        assert store.list_namespaces() == []


def test_a_value_that_json_cannot_hold_is_refused(store: PersistStore) -> None:
    with pytest.raises(InvalidDataError, match="datetime"):
        store.put(("n",), "k", {"at": datetime.now(UTC)})
    with pytest.raises(InvalidDataError, match="shorten"):
        store.put(("n" * 480,), "k", {"a": 1})
    with pytest.raises(InvalidDataError, match=r"\$near"):
        store.search(("n",), filter={"a": {"b": {"$near": 1}}})
    with pytest.raises(InvalidDataError, match="below 0"):
        store.search(("n",), limit=-1)


def test_an_embedder_that_miscounts_is_refused() -> None:
    with (
        PersistStore("memory", index={"dims": 3, "embed": embed}) as store,
        pytest.raises(InvalidDataError, match="dims=3"),
    ):
        store.put(("n",), "k", {"text": "a"})
    with (
        PersistStore("memory", index={"dims": 8, "embed": lambda _: []}) as store,
        pytest.raises(InvalidDataError, match="0 embeddings for 1"),
    ):
        store.put(("n",), "k", {"text": "a"})


def test_an_incomparable_value_does_not_match(store: PersistStore) -> None:
    for key, value in (("none", None), ("text", "2026-11-22"), ("number", 7), ("digits", "8")):
        store.put(("n",), key, {"a": value})
    store.put(("n",), "missing", {})
    above = [item.key for item in store.search(("n",), filter={"a": {"$gt": 5}})]
    assert above == ["digits", "number"]
    since = [item.key for item in store.search(("n",), filter={"a": {"$gte": "2026-01-01"}})]
    assert since == ["digits", "text"]


def test_threads_that_put_one_item_leave_one_of_them(location: Location) -> None:
    with PersistStore(**location, index=INDEX) as store:
        race(4, lambda index: store.put(("n",), "k", {"text": LETTERS[index]}))
        (item,) = store.search(("n",))
        (found,) = store.search(("n",), query=item.value["text"])
        assert found.score == 1.0


def test_savers_and_stores_of_one_database_do_not_meet() -> None:
    with MemoryStateStore() as state:
        saver, store = PersistSaver(state), PersistStore(state)
        store.put(("t",), "k", {"a": 1})
        many(saver, 2).invoke({"steps": []}, CONFIG)
        assert [item.key for item in store.search(())] == ["k"]
        assert {
            found.config.get("configurable", {})["thread_id"] for found in saver.list(None)
        } == {"t"}
        saver.delete_thread("t")
        assert store.get(("t",), "k") is not None
