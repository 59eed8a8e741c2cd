"""The checkpointer against LangGraph's own in memory, and where that one promises nothing."""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import pytest

from praison_persist.errors import ConfigurationError, InvalidDataError
from praison_persist.protocols import StateStore
from praison_persist.state.memory import MemoryStateStore
from praison_persist.testing.contract import race
from tests.integrations.langgraph.conftest import Location
from tests.packages import INTEGRATIONS, needs

needs("langgraph.checkpoint", extra="langgraph", required_by=INTEGRATIONS)

from langchain_core.runnables import RunnableConfig  # noqa: E402 - after the check
from langgraph.checkpoint.base import (  # noqa: E402 - as above
    BaseCheckpointSaver,
    Checkpoint,
    CheckpointTuple,
    empty_checkpoint,
)
from langgraph.checkpoint.base.id import uuid6  # noqa: E402 - as above
from langgraph.checkpoint.memory import InMemorySaver  # noqa: E402 - as above

from praison_persist.integrations.langgraph import PersistSaver  # noqa: E402 - as above

THREADS, NAMESPACES = ("a", "a:b", "ü%3A"), ("", "child:1", "x|" * 90)


def checkpoint(values: Mapping[str, Any], versions: Mapping[str, Any]) -> Checkpoint:
    return {
        **empty_checkpoint(),
        "id": str(uuid6()),
        "channel_values": dict(values),
        "channel_versions": dict(versions),
        "versions_seen": {"node": dict(versions)},
    }


def config(thread: str, namespace: str = "", id_: str | None = None) -> RunnableConfig:
    named = {"thread_id": thread, "checkpoint_ns": namespace}
    return {"configurable": named if id_ is None else {**named, "checkpoint_id": id_}}


def shown(found: CheckpointTuple | None) -> Any:
    """What two savers have in common: LangGraph's own returns the config that it was given."""
    if found is None:
        return None
    configurable = found.config.get("configurable", {})
    named = configurable["thread_id"], configurable["checkpoint_ns"]
    parent = (found.parent_config or {}).get("configurable")
    return named, found.checkpoint, found.metadata, parent, found.pending_writes


class Pair:
    """The same calls to two savers."""

    def __init__(self, *savers: BaseCheckpointSaver[str]) -> None:
        self.savers = savers
        self.random = random.Random(7)
        self.ids: dict[tuple[str, str], list[str]] = {}
        self.state: dict[tuple[str, str, str], tuple[dict[str, Any], dict[str, str]]] = {}

    def put(self, thread: str, namespace: str) -> None:
        ids = self.ids.setdefault((thread, namespace), [])
        parent = self.random.choice([None, *ids[-3:]]) if ids else None
        values, versions = self.state.get((thread, namespace, parent or ""), ({}, {}))
        values, versions, new = dict(values), dict(versions), {}
        for channel in self.random.sample(["messages", "a:b", "%", "branch:to:x"], 2):
            version = self.savers[0].get_next_version(versions.get(channel), None)
            versions[channel] = new[channel] = version
            values.pop(channel, None)
            if self.random.random() < 0.7:
                values[channel] = self.random.choice(
                    [None, b"\x00\xff", [("user", "hé\x00")], {"n": {1, 2}}, 1.5, uuid6()]
                )
        made = checkpoint(values, versions)
        source = self.random.choice(["loop", "input"])
        metadata: dict[str, Any] = {"source": source, "step": len(ids), "extra": (1, None)}
        for saver in self.savers:
            saver.put(config(thread, namespace, parent), made, cast("Any", metadata), new)
        ids.append(made["id"])
        self.state[thread, namespace, made["id"]] = values, versions

    def put_writes(self, thread: str, namespace: str) -> None:
        id_ = self.random.choice(self.ids.get((thread, namespace)) or ["unknown"])
        task = self.random.choice(["t1", "t2", "t" * 250])
        channels = self.random.choices(["x", "y", "__interrupt__", "__error__"], k=3)
        writes = [(channel, self.random.randrange(9)) for channel in channels]
        for saver in self.savers:
            saver.put_writes(config(thread, namespace, id_), writes, task, f"~path:{task[:2]}")

    def check(self) -> None:
        for (thread, namespace), ids in self.ids.items():
            for id_ in (None, ids[0], ids[-1], "unknown"):
                asked = config(thread, namespace, id_)
                first, second = (shown(saver.get_tuple(asked)) for saver in self.savers)
                assert first == second
            before = config(thread, namespace, ids[len(ids) // 2])
            options: Any
            for options in (
                {},
                {"limit": 2},
                {"before": before},
                {"filter": {"source": "input"}, "limit": 3},
                {"filter": {"step": 1, "source": "loop"}, "before": before},
            ):
                listed = [
                    [shown(each) for each in saver.list(config(thread, namespace), **options)]
                    for saver in self.savers
                ]
                assert listed[0] == listed[1]


@pytest.fixture
def saver() -> Iterator[PersistSaver]:
    with PersistSaver("memory") as opened:
        yield opened


def chain(saver: PersistSaver, thread: str, count: int, **metadata: Any) -> list[str]:
    """Put checkpoints, each the child of the one before; return their ids."""
    ids: list[str] = []
    latest = saver.get_tuple(config(thread))
    versions: dict[str, Any] = dict(latest.checkpoint["channel_versions"]) if latest else {}
    parent = latest.checkpoint["id"] if latest else None
    for number in range(count):
        versions["n"] = saver.get_next_version(versions.get("n"), None)
        if "kept" not in versions:
            versions["kept"] = saver.get_next_version(None, None)
        made = checkpoint({"n": number, "kept": "from the first"}, versions)
        new = {name: versions[name] for name in (["n"] if parent else ["n", "kept"])}
        kept = cast("Any", {"source": "loop", "step": number, **metadata})
        saver.put(config(thread, "", parent), made, kept, new)
        parent = made["id"]
        ids.append(parent)
    return ids


def listed(saver: PersistSaver, thread: str, **options: Any) -> list[str]:
    return [each.checkpoint["id"] for each in saver.list(config(thread), **options)]


def test_it_answers_as_langgraphs_own(everywhere: Location) -> None:
    with PersistSaver(**everywhere) as ours:
        pair = Pair(ours, InMemorySaver())
        for _ in range(80):
            place = pair.random.choice(THREADS), pair.random.choice(NAMESPACES)
            pair.random.choice([pair.put, pair.put_writes])(*place)
        pair.check()
        for each in pair.savers:
            each.delete_thread("a")
        pair.check()
        assert ours.get_tuple(config("a:b")) is not None


def test_both_colours_see_the_same(everywhere: Location) -> None:
    with PersistSaver(**everywhere) as saver:
        ids = chain(saver, "t", 3)

        async def read() -> tuple[Any, list[Any]]:
            found = await saver.aget_tuple(config("t"))
            await saver.aput_writes(config("t", "", ids[-1]), [("x", 1)], "task")
            return found, [each async for each in saver.alist(config("t"), limit=2)]

        found, two = asyncio.run(read())
        assert shown(found)[:4] == shown(saver.get_tuple(config("t")))[:4]
        assert [each.checkpoint["id"] for each in two] == ids[:0:-1]
        assert two[0].pending_writes == [("task", "x", 1)]


def test_a_long_thread_keeps_its_order(saver: PersistSaver) -> None:
    """Its index has several chunks."""
    ids = chain(saver, "t", 200)
    assert listed(saver, "t") == ids[::-1]
    assert listed(saver, "t", before=config("t", "", ids[150]), limit=3) == ids[149:146:-1]
    assert [each.checkpoint["id"] for each in saver.list(config("t"), filter={"step": 3})] == [
        ids[3]
    ]


@pytest.mark.parametrize("seed", range(5))
def test_ids_that_come_out_of_order_are_listed_in_order(saver: PersistSaver, seed: int) -> None:
    """Clocks of two machines differ."""
    made = [checkpoint({}, {}) for _ in range(300)]
    late = random.Random(seed)
    places = [number + late.gauss(0, 5**seed) for number in range(len(made))]
    shuffled = [made[at] for at in sorted(range(len(made)), key=places.__getitem__)]
    for each in shuffled:
        saver.put(config("t"), each, {"source": "loop"}, {})
    ids = sorted(each["id"] for each in made)
    assert listed(saver, "t") == ids[::-1]
    latest = saver.get_tuple(config("t"))
    assert latest is not None
    assert latest.checkpoint["id"] == ids[-1]


def test_putting_and_getting_cost_the_same_on_a_long_thread() -> None:
    """Reading or writing what is older would make a long conversation slower with every step."""
    touched: list[str] = []
    with MemoryStateStore() as state:
        call = state._flows.call

        def counted(action: str, hook: Any) -> Any:
            touched.append(action)
            return call(action, hook)

        state._flows.call = counted  # type: ignore[method-assign]  # calls it, and counts
        saver = PersistSaver(state)
        costs = []
        for length in (3, 200):
            chain(saver, "t", length)
            touched.clear()
            chain(saver, "t", 1)
            put = len(touched)
            touched.clear()
            saver.get_tuple(config("t"))
            costs.append((put, len(touched)))
        assert costs[0] == costs[1]
        assert max(costs[0]) < 12


def test_threads_of_one_process_lose_no_checkpoint(location: Location) -> None:
    with PersistSaver(**location) as saver:

        def work(index: int) -> Sequence[str]:
            made = [checkpoint({"x": index}, {"x": f"1.{index}"}) for _ in range(10)]
            for each in made:
                saver.put(config("t"), each, {"source": "loop"}, {"x": f"1.{index}"})
                saver.put_writes(config("t", "", "shared"), [("x", index)], f"task-{index}")
            return [each["id"] for each in made]

        ids = sorted(each for of_thread in race(4, work) for each in of_thread)
        assert listed(saver, "t") == ids[::-1]
        saver.put(config("t"), {**checkpoint({}, {}), "id": "shared"}, {"source": "loop"}, {})
        found = saver.get_tuple(config("t", "", "shared"))
        assert found is not None
        assert found.pending_writes == [(f"task-{index}", "x", index) for index in range(4)]


def test_of_two_that_write_for_one_task_the_first_counts(saver: PersistSaver) -> None:
    place = config("t", "", chain(saver, "t", 1)[0])

    def work(index: int) -> None:
        saver.put_writes(place, [("x", index), ("y", index)], "task")

    race(8, work)
    found = saver.get_tuple(place)
    assert found is not None
    assert found.pending_writes is not None
    assert len({value for _, _, value in found.pending_writes}) == 1
    before = found.pending_writes
    saver.put_writes(place, [("x", "late"), ("y", "late"), ("z", "more")], "task")
    found = saver.get_tuple(place)
    assert found is not None
    assert found.pending_writes == [*before, ("task", "z", "more")]


def test_all_threads_are_listed(saver: PersistSaver) -> None:
    long = "thread" * 50
    ids = [chain(saver, thread, 2) for thread in ("a", "b:c", long)]
    found = list(saver.list(None))
    named = [each.config.get("configurable", {}) for each in found]
    assert {each["thread_id"] for each in named} == {"a", "b:c", long}
    assert {each["checkpoint_id"] for each in named} == {each for of in ids for each in of}
    assert len(list(saver.list(None, limit=3))) == 3


def test_namespaces_of_a_thread_are_listed_together_newest_first(saver: PersistSaver) -> None:
    made = [checkpoint({}, {}) for _ in range(6)]
    for number, each in enumerate(made):
        saver.put(config("t", ("", "child:1")[number % 2]), each, {"source": "loop"}, {})
    found = [each.checkpoint["id"] for each in saver.list({"configurable": {"thread_id": "t"}})]
    assert found == [each["id"] for each in reversed(made)]


def keys_left(saver: PersistSaver) -> list[str]:
    return saver._opened.sync.keys("*")


def test_a_deleted_thread_leaves_nothing(saver: PersistSaver) -> None:
    """What is left would be found by who reads the database, and is paid for."""
    for thread in ("t", "t" * 300):
        ids = chain(saver, thread, 130, run_id="r")
        saver.put_writes(config(thread, "", ids[-1]), [("x", 1)], "task")
        saver.put(config(thread, "c|" * 200), checkpoint({"a": 1}, {"a": "1"}), {}, {"a": "1"})
    saver.delete_thread("t")
    assert listed(saver, "t") == []
    assert len(listed(saver, "t" * 300)) == 130
    saver.delete_thread("t" * 300)
    assert keys_left(saver) == []
    chain(saver, "t", 70)
    assert len(listed(saver, "t")) == 70


def test_pruning_keeps_the_values_of_the_latest(saver: PersistSaver) -> None:
    ids = chain(saver, "t", 150)
    saver.put_writes(config("t", "", ids[3]), [("x", 1)], "task")
    saver.prune(["t"])
    latest = saver.get_tuple(config("t"))
    assert latest is not None
    assert latest.checkpoint["id"] == ids[-1]
    assert latest.checkpoint["channel_values"] == {"n": 149, "kept": "from the first"}
    assert [key for key in keys_left(saver) if ":blob:" in key or ":checkpoint:" in key] == [
        key for key in keys_left(saver) if ids[-1] in key or ":blob:" in key
    ]
    assert len([key for key in keys_left(saver) if ":blob:" in key]) == 2
    assert not [key for key in keys_left(saver) if ":writes:" in key or ":tasks:" in key]
    more = chain(saver, "t", 100)
    assert listed(saver, "t") == [*more[::-1], ids[-1]]


def test_an_unknown_strategy_is_refused(saver: PersistSaver) -> None:
    with pytest.raises(InvalidDataError, match="'keep_latest', 'delete'"):
        saver.prune(["t"], strategy="keep_some")


def test_checkpoints_of_a_run_go_and_those_that_share_values_stay_whole(
    saver: PersistSaver,
) -> None:
    first = chain(saver, "t", 2, run_id="r1")
    second = chain(saver, "t", 2, run_id="r2")
    third = chain(saver, "t", 2, run_id="r3")
    saver.delete_for_runs(["r2", "never"])
    assert listed(saver, "t") == [*third[::-1], *first[::-1]]
    assert saver.get_tuple(config("t", "", second[0])) is None
    for id_ in (*first, *third):
        found = saver.get_tuple(config("t", "", id_))
        assert found is not None
        assert found.checkpoint["channel_values"]["kept"] == "from the first"
        assert "n" in found.checkpoint["channel_values"]
    saver.delete_for_runs(["r1", "r3"])
    assert [key for key in keys_left(saver) if ":blob:" in key or "-runs:" in key] == []


def test_a_copy_is_whole_and_goes_its_own_way(everywhere: Location) -> None:
    with PersistSaver(**everywhere) as saver:
        ids = chain(saver, "t", 5, run_id="r")
        saver.put_writes(config("t", "", ids[-1]), [("x", 1), ("__error__", "no")], "task")
        saver.put(config("t", "child:1"), checkpoint({"a": 1}, {"a": "1"}), {}, {"a": "1"})
        for _ in range(2):  # one that was interrupted is repeated
            saver.copy_thread("t", "copy")
        chain(saver, "t", 1)
        saver.delete_thread("t")
        assert listed(saver, "copy") == ids[::-1]
        latest = saver.get_tuple(config("copy"))
        assert latest is not None
        assert latest.checkpoint["channel_values"] == {"n": 4, "kept": "from the first"}
        assert latest.pending_writes == [("task", "__error__", "no"), ("task", "x", 1)]
        assert saver.get_tuple(config("copy", "child:1")) is not None
        saver.delete_for_runs(["r"])
        assert listed(saver, "copy") == []
        with pytest.raises(InvalidDataError, match="onto itself"):
            saver.copy_thread("copy", "copy")


def test_savers_of_two_prefixes_do_not_meet() -> None:
    with MemoryStateStore() as state:
        one, other = PersistSaver(state), PersistSaver(state, key_prefix="other")
        chain(one, "t", 1)
        assert other.get_tuple(config("t")) is None
        assert list(other.list(None)) == []


def test_a_store_that_was_given_stays_open() -> None:
    with MemoryStateStore() as state:
        with PersistSaver(state) as saver:
            chain(saver, "t", 1)
        asyncio.run(PersistSaver(state).aclose())
        assert listed(PersistSaver(state), "t")


def test_what_cannot_be_right_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="key_prefix"):
        PersistSaver("memory", key_prefix="a:b")
    with pytest.raises(ConfigurationError, match="kafka"):
        PersistSaver("kafka://host/topic")
    with pytest.raises(ConfigurationError, match="int is no state store"):
        PersistSaver(7)  # type: ignore[arg-type]  # refused
    with MemoryStateStore() as state, pytest.raises(ConfigurationError, match="path"):
        PersistSaver(state, path="x")
    saver = PersistSaver("memory")
    with pytest.raises(InvalidDataError, match="thread_id"):
        saver.get_tuple({"configurable": {}})
    with pytest.raises(InvalidDataError, match="checkpoint_id"):
        saver.put_writes(config("t"), [("x", 1)], "task")
    with pytest.raises(InvalidDataError, match="limit"):
        list(saver.list(None, limit=-1))


def test_the_driver_of_one_colour_serves_both(
    postgres_for_graphs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of PostgreSQL's drivers, asyncpg alone is installed."""
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with PersistSaver(postgres_for_graphs, key_prefix="asyncpg") as saver:
        ids = chain(saver, "t", 2)

        async def latest() -> Any:
            return await saver.aget_tuple(config("t"))

        assert asyncio.run(latest()).checkpoint["id"] == ids[-1]


def test_a_store_without_compare_and_set_is_refused() -> None:
    plain: StateStore = MemoryStateStore()
    plain.capabilities = frozenset()
    with pytest.raises(ConfigurationError, match="VERSIONS, SET_IF_ABSENT"):
        PersistSaver(plain)
