"""The command `stats`, and the adding up under it."""

from __future__ import annotations

from pathlib import Path

import pytest

from praison_persist.connect import connect
from praison_persist.errors import ConfigurationError
from praison_persist.models import ConversationSession, Run, Span, Trace
from praison_persist.sql.stores import SQLConversationStore
from praison_persist.usage import Usage, usage

from .conversations import Program


def test_runs_are_added_up_by_agent(program: Program, url: str) -> None:
    ann, bob = program.json("stats", "--url", url)
    assert ann == {
        "key": "Ann",
        "runs": 2,
        "failed": 1,
        "prompt_tokens": 200,
        "completion_tokens": 40,
        "cost_usd": 0.5,
        "duration_s": 3.0,
        "longest_s": 1.5,
    }
    assert (bob["key"], bob["runs"]) == ("Bob", 1)


def test_runs_are_added_up_by_user_and_day(program: Program, url: str) -> None:
    users = program.json("stats", "--url", url, "--by", "user")
    assert [(each["key"], each["runs"]) for each in users] == [("user0", 2), ("user1", 1)]
    days = program.json("stats", "--url", url, "--by", "day")
    assert [each["key"] for each in days] == ["2026-01-01", "2026-01-02", "2026-01-03"]
    later = program.json("stats", "--url", url, "--by", "day", "--since", "2026-01-02")
    assert [each["key"] for each in later] == ["2026-01-02", "2026-01-03"]


@pytest.mark.parametrize("plot", ["tokens", "cost", "duration", "runs"])
def test_the_longest_bar_is_the_largest_value(program: Program, url: str, plot: str) -> None:
    assert program("stats", "--url", url, "--plot", plot) == 0
    heading, ann, bob = program.out.splitlines()
    assert plot.upper() in heading
    assert ann.count("█") == 30
    assert bob.count("█") == 15


def test_an_empty_database_has_no_runs(program: Program, tmp_path: Path) -> None:
    with SQLConversationStore(tmp_path / "empty.db") as store:
        store.connect()
    assert program("stats", "--url", f"sqlite:///{tmp_path}/empty.db") == 0
    assert program.out == "No runs\n"
    assert program.json("stats", "--url", f"sqlite:///{tmp_path}/empty.db") == []


def test_where_no_runs_are_kept_is_said(program: Program, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    assert "--state-url" in program.fails(2, "stats", "--url", f"json:{tmp_path}/folder")


def test_tokens_come_from_metrics_where_no_trace_has_any(tmp_path: Path) -> None:
    path = tmp_path / "own.db"
    with SQLConversationStore(path) as store:
        store.create_session(ConversationSession("s"))
        for name, metrics in (
            ("metrics", {"input_tokens": 5, "output_tokens": 2, "cost": 1, "tokens": True}),
            ("both", {"prompt_tokens": 1000}),
            ("odd", {"prompt_tokens": "many", "duration_ms": None}),
        ):
            store.runs.start_run(Run(name, "s", started_at=10.0))
            store.runs.end_run("s", name, metrics=metrics, ended_at=12.0)
        spans = [Span("p", "t", "llm", attributes={"prompt_tokens": 7})]
        store.runs.add_trace(Trace("t", "s", "both", spans=spans))
        store.runs.add_trace(Trace("alone", "s", None, "Other", started_at=10.0))
    connected = connect(path, None, {})
    try:
        total, other = usage(connected)
        with pytest.raises(ConfigurationError, match="'week'"):
            usage(connected, "week")
    finally:
        connected.close()
    assert total == Usage("", 3, 0, 12, 2, 1.0, 6.0, 2.0)
    assert total.tokens == 14
    assert other == Usage("Other")
