"""Taking over the runs and traces that praisonai kept in a state store."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any, Protocol

from praison_persist.connect import Connected
from praison_persist.errors import ConfigurationError, NotFoundError
from praison_persist.models import Run, Span, Trace
from praison_persist.protocols import RunStore
from praison_persist.transfer.report import CopyReport

__all__ = ["Keys", "import_runs"]

_KIND = "runs"


class Keys(Protocol):
    """What is read of a state store."""

    def scan_prefix(self, prefix: str) -> Iterator[str]:
        """Yield the keys that begin with a text."""
        ...

    def get(self, key: str) -> Any:
        """Return the value of a key; None if there is none."""
        ...


def import_runs(state: Keys, target: Connected, *, dry_run: bool = False) -> CopyReport:
    """Store the runs and traces of praisonai's keys run:…, trace:… and span:….

    Runs are stored in the order they began. One that never ended is stored as "interrupted". Runs
    whose session the target lacks are left out, and counted as `runs without a session`. Which
    messages belong to a run is not known. Doing it again changes nothing.

    Args:
        state: praisonai's state store. It is only read.
        target: where runs are to be kept, with the sessions that they belong to.
        dry_run: read only, and report what there is.

    Raises:
        ConfigurationError: the target keeps no runs.
    """
    runs = target.sync_runs
    if runs is None:
        raise ConfigurationError(
            f"{target.address} keeps messages only. Where are runs to be kept? Name a SQL database"
        )
    report = CopyReport(_KIND, dry_run=dry_run)
    _import_runs(state, runs, target, report)
    _import_traces(state, runs, report)
    return report


def _import_runs(state: Keys, runs: RunStore, target: Connected, report: CopyReport) -> None:
    # Only what orders them is held: the store has no order.
    found = sorted(
        (row["session_id"], _time(row.get("started_at")), key)
        for key, row in _rows(state, "run:")
        if isinstance(row.get("session_id"), str) and isinstance(row.get("run_id"), str)
    )
    sessions: dict[str, bool] = {}
    for session_id, _, key in found:
        report.found["runs"] += 1
        if session_id not in sessions:
            known = target.sync_conversation.get_session(session_id) is not None
            sessions = {session_id: known}
        if not sessions[session_id]:
            report.left_out["runs without a session"] += 1
            continue
        row = state.get(key)
        if report.dry_run or not isinstance(row, dict) or _is_known(runs, row):
            continue
        try:
            runs.start_run(_run(row))
        except NotFoundError:  # the session was deleted meanwhile
            report.left_out["runs without a session"] += 1
            continue
        report.written["runs"] += 1


def _is_known(runs: RunStore, row: dict[str, Any]) -> bool:
    return bool(runs.find_runs(row["session_id"], [row["run_id"]]))


def _import_traces(state: Keys, runs: RunStore, report: CopyReport) -> None:
    spans: dict[str, list[str]] = defaultdict(list)
    for key, row in _rows(state, "span:"):
        if isinstance(row.get("trace_id"), str) and isinstance(row.get("span_id"), str):
            spans[row["trace_id"]].append(key)
    for _, row in _rows(state, "trace:"):
        trace_id = row.get("trace_id")
        if not isinstance(trace_id, str):
            continue
        report.found["traces"] += 1
        if report.dry_run:
            continue
        trace = Trace.from_dict(_known(row, started_at=_time(row.get("started_at"))))
        rows = [state.get(key) for key in spans[trace_id]]
        trace.spans = sorted(
            (
                Span.from_dict(_known(each, started_at=_time(each.get("started_at"))))
                for each in rows
                if isinstance(each, dict)
            ),
            key=lambda span: (span.started_at, span.span_id),
        )
        runs.add_trace(trace)
        report.written["traces"] += 1


def _rows(state: Keys, prefix: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for key in state.scan_prefix(prefix):
        row = state.get(key)
        if isinstance(row, dict):
            yield key, row


def _run(row: dict[str, Any]) -> Run:
    run = Run.from_dict(_known(row, started_at=_time(row.get("started_at"))))
    run.messages, run.tool_calls, run.owner, run.seq = [], [], None, None
    if run.status == "running":
        run.status = "interrupted"
    return run


def _known(row: dict[str, Any], **instead: Any) -> dict[str, Any]:
    """Return what the row says, without what is null: the fields' defaults hold."""
    return {name: value for name, value in (row | instead).items() if value is not None}


def _time(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
