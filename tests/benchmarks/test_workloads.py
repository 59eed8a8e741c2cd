"""Each workload runs, in its smallest form, with what is installed for the tests."""

from __future__ import annotations

import dataclasses
import importlib
import json
from pathlib import Path

import pytest

from benchmarks import cli, process
from benchmarks.contenders import CONTENDERS, POSTGRESQL, SQLITE
from benchmarks.contenders.base import Place
from benchmarks.forms import SMOKE
from benchmarks.process import NotInstalledError, Worker, WorkerError
from benchmarks.results import Failure, Results
from benchmarks.running import measured
from benchmarks.workloads import WORKLOADS
from tests.servers import missing

OWN = (
    *("ours", "ours-alone", "ours-async", "ours-batched", "ours-db", "ours-state", "ours-vectors"),
    *("sqlite3", "sqlite3-numbered", "sqlite3-pool", "numpy"),
)
_EXPECTED = {  # a contender and a metric of each
    "append": ("ours", "appends/s"),
    "crowd": ("ours-alone", "appends/s"),
    "sweep": ("ours-async", "appends/s"),
    "batch": ("ours", "messages/s"),
    "read": ("ours", "middle pages/s"),
    "turn": ("ours-db", "turns/s"),
    "writes": ("ours", "bytes/append"),
    "growth": ("ours", "page of sessions, ms"),
    "start": ("ours", "ms"),
    "state": ("ours-state", "get_many, keys/s"),
    "vectors": ("ours-vectors", "recall of 10"),
}


@pytest.mark.parametrize("workload", _EXPECTED)
def test_it_measures_and_loses_nothing(
    workload: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if workload == "vectors":
        pytest.importorskip("numpy", reason="the extra numpy")
    # A busy machine would have rounds discarded, of which there are few here.
    monkeypatch.setattr("benchmarks.pairing.LEAST", 0.0)
    results = measured([workload], [SQLITE], SMOKE, tmp_path, OWN)
    contender, metric = _EXPECTED[workload]
    watched = not any(each.contender == "fsyncs" for each in results.failures)
    assert [each for each in results.failures if each.contender != "fsyncs"] == []
    if workload == "writes" and not watched:
        pytest.skip(f"fsyncs: {results.failures[0].reason}")
    found = results.find(workload, SQLITE, contender, metric=metric)
    assert found
    assert all(each.value > 0 for each in found)
    for each in results.measurements:
        tally = each.tally or {"lost": 0, "duplicated": 0, "out_of_order": 0, "errors": {}}
        wrong = {name: tally[name] for name in ("lost", "duplicated", "out_of_order", "errors")}
        assert wrong == {"lost": 0, "duplicated": 0, "out_of_order": 0, "errors": {}}


def test_all_workloads_of_sqlite_are_among_these() -> None:
    assert {name for name, each in WORKLOADS.items() if SQLITE in each.engines} == {*_EXPECTED}


@pytest.mark.parametrize("workload", ["append", "latency"])
def test_a_server_is_measured_too(
    workload: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.pairing.LEAST", 0.0)
    names = ("psycopg", "psycopg-numbered", "ours", "ours-async")
    results = measured([workload], [POSTGRESQL], SMOKE, tmp_path, names)
    if any(each.contender == "server" for each in results.failures):
        missing("PRAISON_TEST_POSTGRES_URL", results.failures[0].reason)
    assert results.failures == []
    assert results.durability[POSTGRESQL]["server"]["fsync"] == "on"
    assert results.find(workload, POSTGRESQL, "ours-async", baseline="psycopg")
    if workload == "latency":
        (raw,) = results.find(workload, POSTGRESQL, "psycopg", metric="round trips/append")
        assert raw.value == 1.0


def test_durability_is_what_the_connection_tells(tmp_path: Path) -> None:
    results = measured(["append"], [SQLITE], SMOKE, tmp_path, ["sqlite3", "ours"])
    settings = {"journal_mode": "wal", "synchronous": 2}  # FULL
    assert results.durability[SQLITE] == {"sqlite3": settings, "ours": settings}


@pytest.mark.parametrize("name", CONTENDERS)
def test_contenders_can_be_imported_without_their_packages(name: str) -> None:
    """So that types are checked, and what is missing is told as that."""
    if name in ("numpy", "ours-vectors"):
        pytest.importorskip("numpy", reason="the extra numpy")
    module, _, contender = CONTENDERS[name].target.partition(":")
    assert hasattr(importlib.import_module(f"benchmarks.contenders.{module}"), contender)


def test_an_environment_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.prefix", "/nowhere/venv")
    with pytest.raises(NotInstalledError, match="no environment venv-peers"):
        process.interpreter("peers")


def test_what_a_contender_raises_is_told(tmp_path: Path) -> None:
    place = Place(SQLITE, f"sqlite:///{tmp_path}/missing/folder.db")
    worker = Worker(CONTENDERS["sqlite3"], place)
    try:
        with pytest.raises(WorkerError, match="unable to open database file"):
            worker.call("open")
    finally:
        worker.end()


def test_a_contender_that_hangs_is_ended(tmp_path: Path) -> None:
    worker = Worker(CONTENDERS["sqlite3"], Place(SQLITE, f"sqlite:///{tmp_path}/file.db"))
    worker.call("open")
    with pytest.raises(WorkerError, match="did not end in 0 s"):
        worker.call("append", seconds=30, limit_s=0.2)
    with pytest.raises(WorkerError):
        worker.call("verify")
    worker.end()


def test_the_command_line_writes_results(tmp_path: Path) -> None:
    path = tmp_path / "out" / "results.json"
    arguments = ["append", "--engine", "sqlite", "--form", "smoke", "--folder", str(Path.cwd())]
    contenders = ["--contender", "ours", "--contender", "sqlite3"]
    assert cli.main([*arguments, *contenders, "--json", str(path)]) == 0
    results = Results.load(path)
    assert results.form == "smoke"
    assert json.loads(path.read_text())["machine"]["cores"] >= 1


def test_what_a_workload_raises_is_told_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_team: object) -> None:
        raise ZeroDivisionError("by zero")

    monkeypatch.setitem(WORKLOADS, "batch", dataclasses.replace(WORKLOADS["batch"], run=broken))
    saved: list[Results] = []
    names = ["batch", "append"]
    results = measured(
        names, [SQLITE], SMOKE, tmp_path, ["sqlite3", "sqlite3-numbered"], saved.append
    )
    assert results.failures == [Failure("batch", SQLITE, "all", "ZeroDivisionError: by zero")]
    assert results.find("append", SQLITE, "sqlite3")
    assert saved == [results, results]
