"""Real graphs: interrupted, resumed by another process, gone back in time, with subgraphs."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from praison_persist.protocols import KeyPage
from tests.integrations.langgraph.conftest import Location
from tests.packages import INTEGRATIONS, needs
from tests.programs import ROOT, environment, python

needs("langgraph", extra="langgraph", required_by=INTEGRATIONS)

from langgraph.checkpoint.base import BaseCheckpointSaver, empty_checkpoint  # noqa: E402 - after the check
from langgraph.checkpoint.memory import InMemorySaver  # noqa: E402 - as above
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer  # noqa: E402 - as above
from langgraph.types import Command  # noqa: E402 - as above

from praison_persist.integrations.langgraph import PersistSaver  # noqa: E402 - as above
from tests.integrations.langgraph.graphs import CONFIG, approval, deltas, many  # noqa: E402 - as above

ASKED = ["begin", "first", "before"]


def in_a_process(location: Location, step: str, folder: Path) -> Any:
    given = json.dumps(location, default=str)
    words = ("-m", "tests.integrations.langgraph.graphs", given, step)
    ended = python(*words, cwd=ROOT, variables=environment(folder))
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def test_another_process_answers_what_one_asked(location: Location, tmp_path: Path) -> None:
    began = in_a_process(location, "begin", tmp_path)
    assert began["asked"] == [{"asked": "May I?", "after": ASKED}]
    assert began["items"] == []
    ended = in_a_process(location, "yes", tmp_path)
    # The subgraph hands back all of its steps, which the graph adds to its own.
    steps = ["begin", "first", *ASKED, "answer True", "done"]
    assert ended == {"steps": steps, "asked": [], "items": [{"count": len(steps) - 1}]}


def story(saver: BaseCheckpointSaver[Any]) -> list[Any]:
    """Run the approval to its end, go back to before it was asked, and answer otherwise."""
    graph = approval(saver)
    graph.invoke({"steps": ["begin"]}, CONFIG)
    (task,) = graph.get_state(CONFIG, subgraphs=True).tasks
    seen: list[Any] = [task.state.values, task.state.next, [each.value for each in task.interrupts]]
    seen.append(graph.invoke(Command(resume=True), CONFIG))
    history = list(graph.get_state_history(CONFIG))
    seen += [(each.values, each.next, each.metadata["step"]) for each in history]
    before = next(each for each in history if each.next == ("first",))
    fork = graph.update_state(before.config, {"steps": ["changed"]}, as_node="__start__")
    seen.append(graph.invoke(None, fork)["__interrupt__"][0].value)
    seen.append(graph.invoke(Command(resume=False), CONFIG))
    seen.append([each.metadata["source"] for each in graph.get_state_history(CONFIG, limit=3)])
    seen.append(graph.get_state(before.config).values)
    return seen


def test_time_travel_is_as_with_langgraphs_own(everywhere: Location) -> None:
    with PersistSaver(**everywhere) as saver:
        assert story(saver) == story(InMemorySaver())


def test_an_async_graph_is_as_a_sync_one(everywhere: Location) -> None:
    async def run(saver: BaseCheckpointSaver[Any]) -> list[Any]:
        graph = approval(saver)
        await graph.ainvoke({"steps": ["begin"]}, CONFIG)
        ended = await graph.ainvoke(Command(resume=True), CONFIG)
        history = [each async for each in graph.aget_state_history(CONFIG)]
        return [ended, [(each.values, each.next) for each in history]]

    async def ours() -> list[Any]:
        async with PersistSaver(**everywhere) as saver:
            return await run(saver)

    assert asyncio.run(ours()) == asyncio.run(run(InMemorySaver()))


def test_what_parallel_tasks_wrote_is_kept_though_one_failed(location: Location) -> None:
    """Tasks that had ended are not run again."""
    ran: list[str] = []
    failing = {"work 3"}

    with PersistSaver(**location) as saver:
        graph = many(saver, 8)
        work = graph.nodes["work"].bound.func

        def observed(sent: Any) -> Any:
            result = work(sent)
            ran.append(result["steps"][0])
            if result["steps"][0] in failing:
                raise OSError("out of luck")
            return result

        graph.nodes["work"].bound.func = observed
        with pytest.raises(OSError, match="luck"):
            graph.invoke({"steps": ["begin"]}, CONFIG)
        failing.clear()
        graph.invoke(None, CONFIG)
        steps = graph.get_state(CONFIG).values["steps"]
        assert sorted(steps) == sorted(["begin", *(f"work {number}" for number in range(8))])
        assert ran.count("work 3") == 2


@pytest.mark.parametrize("rounds", [3, 10])
def test_delta_channels_are_replayed_also_after_pruning(rounds: int) -> None:
    """What they are replayed from lies in older checkpoints."""
    logs = []
    for saver in (PersistSaver("memory"), InMemorySaver()):
        graph = deltas(saver)
        for number in range(rounds):
            graph.invoke({"number": number}, CONFIG)
        if isinstance(saver, PersistSaver):
            before = len(list(saver.list(CONFIG)))
            saver.prune(["t"])
            assert len(list(saver.list(CONFIG))) < before or rounds == 3
            graph.invoke({"number": rounds}, CONFIG)
            saver.copy_thread("t", "copy")
            saver.delete_thread("t")
            graph.invoke({"number": rounds + 1}, {"configurable": {"thread_id": "copy"}})
            logs.append(graph.get_state({"configurable": {"thread_id": "copy"}}).values)
        else:
            graph.invoke({"number": rounds}, CONFIG)
            graph.invoke({"number": rounds + 1}, CONFIG)
            logs.append(graph.get_state(CONFIG).values)
    assert logs[0] == logs[1]
    assert logs[0]["log"] == [f"entry {number}" for number in range(rounds + 2)]


def test_the_allowlist_of_a_graph_reaches_the_serializer() -> None:
    """LangGraph clones the checkpointer with another serializer."""
    saver = PersistSaver("memory", serde=JsonPlusSerializer(allowed_msgpack_modules=[]))
    clone = saver.with_allowlist([(KeyPage.__module__, KeyPage.__qualname__)])
    page = KeyPage(["key"], None)
    put: Any = {**empty_checkpoint(), "channel_values": {"a": page}, "channel_versions": {"a": "1"}}
    place: Any = {"configurable": {"thread_id": "t", "checkpoint_ns": ""}}
    saver.put(place, put, {}, {"a": "1"})
    for opened, expected in ((saver, {"keys": ["key"], "next_cursor": None}), (clone, page)):
        found = opened.get_tuple(CONFIG)
        assert found is not None
        assert found.checkpoint["channel_values"] == {"a": expected}
