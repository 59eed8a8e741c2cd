"""What an append costs the disk: fsyncs and bytes, counted, so that no other load disturbs them.

SQLite's writer and PostgreSQL's backends are watched with strace, where it may; PostgreSQL's log is
measured by its position, MariaDB counts by itself. Nothing else may write to the servers meanwhile.
"""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from benchmarks.contenders import POSTGRESQL, SQLITE
from benchmarks.databases import server_url
from benchmarks.process import Worker, WorkerError
from benchmarks.results import Failure, Measurement
from benchmarks.team import Team
from benchmarks.workloads.conversations import NUMBERED, RAW
from tests.servers import administer

__all__ = ["Counts", "counts_of", "run"]

_WAIT_S = 10.0
_SETTLED_S = 0.3  # strace writes what it saw a little later
_CALL = re.compile(r"\b(fsync|fdatasync|pwrite64)\((.*)")
_NAMES = (
    *("ours", "ours-async", "ours-normal", "praisonai", "praisonai-async", "openai"),
    *("openai-sqlalchemy", "adk", "agno", "langgraph-sqlite", "langchain"),
)


@dataclass(slots=True)
class Counts:
    """What was written: how often it was made durable, and bytes."""

    syncs: float | None = None
    written: float | None = None


def counts_of(log: str) -> Counts:
    """Return what strace's log has of fsync, fdatasync and pwrite64; a call may be in two lines."""
    found = Counts(0.0, 0.0)
    assert found.syncs is not None
    assert found.written is not None
    for line in log.splitlines():
        match = _CALL.search(line) or re.search(r"<\.\.\. (pwrite64) resumed>(.*)", line)
        if match is None:
            continue
        if match[1] != "pwrite64":
            found.syncs += 1
        elif told := re.search(r"= (\d+)$", line):
            found.written += int(told[1])
    return found


def run(team: Team) -> None:
    """Count for each contender alone: single appends, and 64 agents at once."""
    names = [RAW[team.engine], NUMBERED[team.engine], *_NAMES]
    for name in dict.fromkeys(names):
        if team.has(name):
            with Team(team.engine, team.form, team.results, team.folder, team.only) as lone:
                _measure(lone, name)


def _measure(team: Team, name: str) -> None:
    with _Watch(team) as trace:
        try:
            worker = team.worker(name)
            worker.call("append", seconds=0.05)  # what is prepared or copied first is not counted
            counts, done = trace.counted(worker, lambda: _appends(worker, team.form.appends))
            _record(team, name, "append", counts, done)
            if name.startswith("ours") or name == RAW[team.engine]:
                counts, done = trace.counted(worker, lambda: _crowd(worker, team))
                _record(team, name, "append of many agents", counts, done)
        except WorkerError as error:
            team.failed("writes", name, error)


def _appends(worker: Worker, count: int) -> float:
    done = 0
    while done < count:
        done += worker.call("append", seconds=60, most=count - done)["operations"]
    return float(done)


def _crowd(worker: Worker, team: Team) -> float:
    form = team.form
    answer = worker.call("crowd", agents=form.agents, seconds=form.crowd_s)
    return float(answer["operations"])


def _record(team: Team, name: str, of: str, counts: Counts, done: float) -> None:
    for metric, value in ((f"fsyncs/{of}", counts.syncs), (f"bytes/{of}", counts.written)):
        if value is not None:
            team.results.measurements.append(
                Measurement("writes", team.engine, name, metric, value / max(1.0, done))
            )


class _Watch:
    """Counts what the engine of a team writes. A server is watched from before its clients connect.

    Args:
        team: of one contender, not yet started.
    """

    def __init__(self, team: Team) -> None:
        self._team = team
        self._log = team.folder / "strace.log"
        self._server: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        if self._team.engine == POSTGRESQL:
            self._server = self._attach(_postmaster(server_url(POSTGRESQL)))
        return self

    def __exit__(self, *_: object) -> None:
        self._detach(self._server)

    def counted(self, worker: Worker, work: Callable[[], float]) -> tuple[Counts, float]:
        """Do the work; return what was written meanwhile, and what the work returned."""
        if self._team.engine == SQLITE:
            tracer = self._attach(worker.pid)
            done = work()
            self._detach(tracer)
            return (counts_of(self._log.read_text()) if tracer else Counts()), done
        before = self._snapshot()
        done = work()
        after = self._snapshot()
        return (
            Counts(
                None if before.syncs is None or after.syncs is None else after.syncs - before.syncs,
                (after.written or 0.0) - (before.written or 0.0),
            ),
            done,
        )

    def _snapshot(self) -> Counts:
        url = server_url(self._team.engine)
        if self._team.engine != POSTGRESQL:
            query = "SHOW GLOBAL STATUS WHERE variable_name IN "
            query += "('Innodb_data_fsyncs', 'Innodb_os_log_written')"
            found = {name.lower(): float(value) for name, value in administer(url, query)}
            return Counts(found["innodb_data_fsyncs"], found["innodb_os_log_written"])
        ((position,),) = administer(url, "SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn")
        if self._server is None:
            return Counts(None, float(position))
        time.sleep(_SETTLED_S)
        return Counts(counts_of(self._log.read_text()).syncs, float(position))

    def _attach(self, pid: int | None) -> subprocess.Popen[bytes] | None:
        """Watch a process and those it starts from now on; None where that is not allowed."""
        if pid is None or shutil.which("strace") is None:
            self._not_counted("no strace, or the server runs elsewhere")
            return None
        self._log.unlink(missing_ok=True)
        what = "trace=fsync,fdatasync,pwrite64"
        tracer = subprocess.Popen(
            ["strace", "-f", "-qq", "-e", what, "-o", str(self._log), "-p", str(pid)],
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + _WAIT_S
        while _tracer(pid) != tracer.pid:
            if tracer.poll() is not None or time.monotonic() > deadline:
                self._detach(tracer)
                self._not_counted("strace may not watch the process")
                return None
            time.sleep(0.01)
        return tracer

    def _not_counted(self, reason: str) -> None:
        told = Failure("writes", self._team.engine, "fsyncs", reason)
        if told not in self._team.results.failures:
            self._team.results.failures.append(told)

    @staticmethod
    def _detach(tracer: subprocess.Popen[bytes] | None) -> None:
        if tracer is not None:
            tracer.send_signal(signal.SIGINT)
            tracer.wait(_WAIT_S)


def _tracer(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    (tracer,) = re.findall(r"^TracerPid:\s*(\d+)", status, re.MULTILINE)
    return int(tracer)


def _postmaster(url: str) -> int | None:
    """Return the process that starts a server's backends, if it runs here."""
    ((path,),) = administer(url, "SHOW data_directory")
    file = Path(path) / "postmaster.pid"
    try:
        pid = int(file.read_text(encoding="utf-8").splitlines()[0])
    except OSError:
        return None
    return pid if Path(f"/proc/{pid}").exists() else None
