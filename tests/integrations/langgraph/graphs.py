"""Graphs that tests run; as a program, one step of the approval's in a process of its own."""

from __future__ import annotations

import json
import operator
import sys
from collections.abc import Sequence
from typing import Annotated, Any, TypedDict

from langgraph.channels.delta import DeltaChannel
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from langgraph.store.base import BaseStore
from langgraph.types import Command, Send, interrupt

from praison_persist.integrations.langgraph import PersistSaver, PersistStore

CONFIG: Any = {"configurable": {"thread_id": "t"}}


class State(TypedDict):
    steps: Annotated[list[str], operator.add]
    approved: bool


def first(state: State) -> dict[str, Any]:
    return {"steps": ["first"]}


def before(state: State) -> dict[str, Any]:
    return {"steps": ["before"]}


def ask(state: State) -> dict[str, Any]:
    answer = interrupt({"asked": "May I?", "after": state["steps"]})
    return {"approved": answer, "steps": [f"answer {answer}"]}


def remember(state: State, runtime: Runtime[None]) -> dict[str, Any]:
    if runtime.store is not None:
        runtime.store.put(("steps", "of t"), "last", {"count": len(state["steps"])})
    return {"steps": ["done"]}


def approval(saver: BaseCheckpointSaver[Any], store: BaseStore | None = None) -> Any:
    """A graph whose subgraph stops and asks."""
    child = StateGraph(State)
    child.add_node("before", before)
    child.add_node("ask", ask)
    child.add_edge(START, "before")
    child.add_edge("before", "ask")
    graph = StateGraph(State)
    graph.add_node("first", first)
    graph.add_node("child", child.compile())
    graph.add_node("remember", remember)
    graph.add_edge(START, "first")
    graph.add_edge("first", "child")
    graph.add_edge("child", "remember")
    graph.add_edge("remember", END)
    return graph.compile(checkpointer=saver, store=store)


def work(state: Any) -> dict[str, Any]:
    return {"steps": [f"work {state['number']}"]}


def many(saver: BaseCheckpointSaver[Any], count: int) -> Any:
    """A graph that sends `count` tasks at a time."""
    graph = StateGraph(State)
    graph.add_node("work", work)
    graph.add_conditional_edges(
        START, lambda _: [Send("work", {"number": number}) for number in range(count)]
    )
    return graph.compile(checkpointer=saver)


def joined(state: list[str], writes: Sequence[list[str]]) -> list[str]:
    return [*state, *(text for write in writes for text in write)]


class Deltas(TypedDict):
    log: Annotated[list[str], DeltaChannel(joined, snapshot_frequency=4)]
    number: int


def log(state: Deltas) -> dict[str, Any]:
    return {"log": [f"entry {state['number']}"]}


def deltas(saver: BaseCheckpointSaver[Any]) -> Any:
    """A graph whose log is kept as what was added to it."""
    graph = StateGraph(Deltas)
    graph.add_node("log", log)
    graph.add_edge(START, "log")
    return graph.compile(checkpointer=saver)


def main(location: dict[str, Any], step: str) -> None:
    """Begin the approval, or answer it; print what is known then."""
    with PersistSaver(**location) as saver, PersistStore(**location) as store:
        graph = approval(saver, store)
        given: Any = {"steps": ["begin"]} if step == "begin" else Command(resume=step == "yes")
        found = graph.invoke(given, CONFIG)
        items = [item.value for item in store.search(("steps",))]
        asked = [each.value for each in found.get("__interrupt__", [])]
    print(json.dumps({"steps": found["steps"], "asked": asked, "items": items}))  # noqa: T201 - for the test


if __name__ == "__main__":
    main(json.loads(sys.argv[1]), sys.argv[2])
