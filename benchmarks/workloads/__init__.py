"""The workloads: what is asked of the contenders of an engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from benchmarks.contenders import ENGINES, MARIADB, POSTGRESQL, REDIS, SQLITE
from benchmarks.team import Team
from benchmarks.workloads import (
    conversations,
    growth,
    latency,
    start,
    state,
    vectors,
    writes,
)

__all__ = ["WORKLOADS", "Workload"]


@dataclass(frozen=True, slots=True)
class Workload:
    """Something to measure.

    Attributes:
        says: what it is, for tables and `--help`.
        engines: that it is measured on.
        run: measures it and records it in the results of the team.
    """

    says: str
    engines: tuple[str, ...]
    run: Callable[[Team], None]


_SERVERS = POSTGRESQL, MARIADB

WORKLOADS: Final[dict[str, Workload]] = {
    "append": Workload("one message after the other", ENGINES, conversations.append),
    "crowd": Workload("64 agents append at once", ENGINES, conversations.crowd),
    "sweep": Workload("1 to 256 agents append at once", ENGINES, conversations.sweep),
    "batch": Workload("100 and 1000 messages a transaction", ENGINES, conversations.batch),
    "read": Workload(
        "the newest 50, the first and the middle page of a long session",
        ENGINES,
        conversations.read,
    ),
    "turn": Workload("resume a session and store four messages", ENGINES, conversations.turn),
    "latency": Workload(
        "one message after the other, a millisecond from the server", _SERVERS, latency.run
    ),
    "writes": Workload("fsyncs and bytes of an append", ENGINES, writes.run),
    "growth": Workload("what longer sessions, and more of them, cost", ENGINES, growth.run),
    "start": Workload("a process begins, stores a message and ends", (SQLITE,), start.run),
    "state": Workload("state: set and get, one and a hundred", (REDIS, *ENGINES), state.run),
    "vectors": Workload("the ten nearest of many embeddings", (SQLITE, POSTGRESQL), vectors.run),
}
