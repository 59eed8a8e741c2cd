"""LangGraph's checkpointers: a checkpoint after each message holds all messages of its thread."""

from __future__ import annotations

import importlib
import sqlite3
import uuid
from typing import Any, ClassVar

from benchmarks.contenders.base import Contender

__all__ = ["Checkpoints"]


class Checkpoints(Contender):
    """`SqliteSaver` or `PostgresSaver`."""

    capacity: ClassVar[int | None] = 100

    def open(self) -> None:
        """Connect and make the tables."""
        if self.place.engine == "sqlite":
            connection = sqlite3.connect(self.place.path, check_same_thread=False)
            self._saver = importlib.import_module("langgraph.checkpoint.sqlite").SqliteSaver(
                connection
            )
        else:
            psycopg, rows = map(importlib.import_module, ("psycopg", "psycopg.rows"))
            connection = psycopg.connect(
                self.place.url, autocommit=True, prepare_threshold=0, row_factory=rows.dict_row
            )
            self._saver = importlib.import_module("langgraph.checkpoint.postgres").PostgresSaver(
                connection
            )
        self._saver.setup()
        self._message = importlib.import_module("langchain_core.messages").HumanMessage
        self._empty = importlib.import_module("langgraph.checkpoint.base").empty_checkpoint()
        self._id = importlib.import_module("langgraph.checkpoint.base.id").uuid6

    def session(self, name: str) -> dict[str, Any]:
        """Begin a thread."""
        config = {"configurable": {"thread_id": name, "checkpoint_ns": ""}}
        return {"config": config, "thread": config, "messages": []}

    def append(self, session: dict[str, Any], text: str) -> None:
        """Put a checkpoint with one message more, as its loop does after a step."""
        session["messages"].append(self._message(text, id=str(uuid.uuid4())))
        step = len(session["messages"])
        version = f"{step:032}.0"
        checkpoint = {
            **self._empty,
            "id": str(self._id(clock_seq=step)),
            "channel_values": {"messages": [*session["messages"]]},
            "channel_versions": {"messages": version},
        }
        metadata = {"source": "loop", "step": step, "parents": {}}
        session["config"] = self._saver.put(
            session["config"], checkpoint, metadata, {"messages": version}
        )

    def read(self, session: dict[str, Any]) -> list[str]:
        """Get the newest checkpoint."""
        found = self._saver.get_tuple(session["thread"])
        if found is None:
            return []
        return [message.content for message in found.checkpoint["channel_values"]["messages"]]
