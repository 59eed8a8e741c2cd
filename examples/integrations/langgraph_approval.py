"""A graph of LangGraph that stops to ask, and goes on in the process that brings the answer.

Run it twice: `python examples/integrations/langgraph_approval.py`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, TypedDict

from langgraph.graph import START, StateGraph
from langgraph.runtime import Runtime
from langgraph.types import Command, interrupt

from praison_persist.integrations.langgraph import PersistSaver, PersistStore

sys.path.insert(0, str(Path(__file__).parent.parent))
from surroundings import surroundings

DATABASE = "sqlite:///langgraph.db"
THREAD: Any = {"configurable": {"thread_id": "order-7"}}


class State(TypedDict):
    """What the graph knows of an order."""

    order: str
    approved: bool


def ask(state: State) -> dict[str, bool]:
    """Stop until somebody answers."""
    return {"approved": bool(interrupt(f"Send {state['order']}?"))}


def remember(state: State, runtime: Runtime[None]) -> State:
    """Keep the decision for all threads."""
    if runtime.store is not None:
        runtime.store.put(("orders",), state["order"], {"approved": state["approved"]})
    return state


def main() -> None:
    """Ask in the first process; answer in the second."""
    builder = StateGraph(State)
    builder.add_node("ask", ask)
    builder.add_node("remember", remember)
    builder.add_edge(START, "ask")
    builder.add_edge("ask", "remember")
    with surroundings(), PersistSaver(DATABASE) as saver, PersistStore(DATABASE) as store:
        graph = builder.compile(checkpointer=saver, store=store)
        print(f"Process {os.getpid()}")
        asked = graph.get_state(THREAD).interrupts
        if asked:
            print(f"was asked: {asked[0].value}")
            print(f"ended:     {graph.invoke(Command(resume=True), THREAD)}")
        else:
            graph.invoke({"order": "two chairs"}, THREAD)
            print(f"asks:      {graph.get_state(THREAD).interrupts[0].value}")
        for item in store.search(("orders",)):
            print(f"remembers: {item.key} {item.value}")
        steps = [found.metadata["step"] for found in saver.list(THREAD)]
        print(f"has the checkpoints of steps {steps}")


if __name__ == "__main__":
    main()
