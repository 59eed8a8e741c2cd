"""Which checkpoint a RunnableConfig of LangGraph means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from langchain_core.runnables import RunnableConfig

from praison_persist.errors import InvalidDataError

__all__ = ["Place", "optional_id", "place_of", "runnable_config"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a checkpoint is.

    Attributes:
        checkpoint_id: None: the latest.
    """

    thread_id: str
    namespace: str
    checkpoint_id: str | None


def place_of(config: RunnableConfig) -> Place:
    """Return what the config names; the namespace is the root one if it names none.

    Raises:
        InvalidDataError: it names no thread.
    """
    named = config.get("configurable") or {}
    if named.get("thread_id") in (None, ""):
        raise InvalidDataError(
            "The config has no thread; pass config={'configurable': {'thread_id': '…'}}"
        )
    namespace = named.get("checkpoint_ns")
    return Place(
        str(named["thread_id"]), "" if namespace is None else str(namespace), optional_id(config)
    )


def optional_id(config: RunnableConfig | None) -> str | None:
    """Return the id of the checkpoint that the config names, None if it names none."""
    named: dict[str, Any] = (config or {}).get("configurable") or {}
    found = named.get("checkpoint_id")
    return str(found) if found else None


def runnable_config(thread_id: str, namespace: str, checkpoint_id: str) -> RunnableConfig:
    """Return the config that names this checkpoint."""
    configurable = {
        "thread_id": thread_id,
        "checkpoint_ns": namespace,
        "checkpoint_id": checkpoint_id,
    }
    return {"configurable": configurable}
