"""Two processes on one thread and one item: nothing is lost."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.integrations.langgraph.conftest import Location
from tests.packages import INTEGRATIONS, needs
from tests.programs import ROOT, environment

needs("langgraph", extra="langgraph", required_by=INTEGRATIONS)

from praison_persist.integrations.langgraph import PersistSaver, PersistStore  # noqa: E402 - after the check

_EACH = 30
_CHILD = """
import json, sys
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.checkpoint.base.id import uuid6
from praison_persist.integrations.langgraph import PersistSaver, PersistStore

location, name, each = json.loads(sys.argv[1]), sys.argv[2], int(sys.argv[3])
place = {"configurable": {"thread_id": "t", "checkpoint_ns": ""}}
shared = {"configurable": {"thread_id": "t", "checkpoint_ns": "", "checkpoint_id": "shared"}}
with PersistSaver(**location) as saver, PersistStore(**location) as store:
    for number in range(each):
        made = {**empty_checkpoint(), "id": str(uuid6()), "channel_values": {name: number}}
        made["channel_versions"] = {name: f"{number}.{name}"}
        saver.put(place, made, {"source": "loop", "by": name}, made["channel_versions"])
        saver.put_writes(shared, [("x", name)], f"task {number}")
        store.put(("n",), f"{name} {number}", {"number": number})
        store.put(("n",), "shared", {"by": name})
"""


def test_two_processes_lose_nothing(location: Location, tmp_path: Path) -> None:
    given = json.dumps(location, default=str)
    with PersistSaver(**location) as saver:  # makes the tables
        assert list(saver.list(None)) == []
    running = [
        subprocess.Popen(
            [sys.executable, "-c", _CHILD, given, name, str(_EACH)],
            cwd=ROOT,
            env=environment(tmp_path),
        )
        for name in ("one", "other")
    ]
    assert [each.wait(60) for each in running] == [0, 0]
    with PersistSaver(**location) as saver, PersistStore(**location) as store:
        found = list(saver.list({"configurable": {"thread_id": "t"}}))
        ids = [each.checkpoint["id"] for each in found]
        assert ids == sorted(ids, reverse=True)
        kept = sorted(next(iter(each.checkpoint["channel_values"].items())) for each in found)
        expected = [(name, number) for name in ("one", "other") for number in range(_EACH)]
        assert kept == expected
        assert len(store.search(("n",), limit=1000)) == 2 * _EACH + 1
        (checkpoint, *_) = found
        saver.put(
            {"configurable": {"thread_id": "t", "checkpoint_ns": ""}},
            {**checkpoint.checkpoint, "id": "shared"},
            {},
            {},
        )
        shared = saver.get_tuple({"configurable": {"thread_id": "t", "checkpoint_id": "shared"}})
        assert shared is not None
        # One write for each task: that of the process that came first.
        assert shared.pending_writes is not None
        assert len(shared.pending_writes) == _EACH
