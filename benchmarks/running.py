"""A run: workloads, on engines, one after the other."""

from __future__ import annotations

import datetime as dt
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from benchmarks.contenders import ENGINES, MARIADB, POSTGRESQL, REDIS
from benchmarks.databases import server_url
from benchmarks.forms import Form
from benchmarks.machine import describe, server_durability, versions
from benchmarks.results import Failure, Results
from benchmarks.team import Team
from benchmarks.workloads import WORKLOADS

__all__ = ["measured"]


def measured(
    names: Sequence[str],
    engines: Sequence[str] | None,
    form: Form,
    folder: Path | None = None,
    contenders: Sequence[str] | None = None,
    save: Callable[[Results], object] | None = None,
) -> Results:
    """Measure workloads on engines; all engines and contenders if none is named.

    A server that is not there, and a workload that failed, are among the failures.
    `save` is given the results after each workload: a run is long.
    """
    only = frozenset(contenders) if contenders else None
    now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    results = Results(date=now, form=form.name)
    with tempfile.TemporaryDirectory(dir=folder, ignore_cleanup_errors=True) as made:
        place = Path(made)
        results.machine, results.versions = describe(place), versions()
        for engine in (*ENGINES, REDIS):
            mine = [name for name in names if engine in WORKLOADS[name].engines]
            if not mine or (engines and engine not in engines) or not _ready(engine, results):
                continue
            for name in mine:
                # Another team each: connections of a server are few, and tables are to be empty.
                with Team(engine, form, results, place, only) as team:
                    _run(name, team)
                if save is not None:
                    save(results)
    return results


def _ready(engine: str, results: Results) -> bool:
    """Return whether an engine is there; record what its server promises, or that it is not."""
    if engine not in (POSTGRESQL, MARIADB):
        return True
    try:
        results.durability[engine] = {"server": server_durability(engine, server_url(engine))}
    except (SQLAlchemyError, RuntimeError) as error:
        results.failures.append(Failure("all", engine, "server", str(error).partition("\n")[0]))
        print(f"    {engine}: {error}", file=sys.stderr, flush=True)
        return False
    return True


def _run(name: str, team: Team) -> None:
    print(f"{name} on {team.engine} …", file=sys.stderr, flush=True)
    start = time.monotonic()
    try:
        WORKLOADS[name].run(team)
    except Exception as error:  # noqa: BLE001 - told; the others are still to be measured
        traceback.print_exc()
        reason = f"{type(error).__name__}: {error}".partition("\n")[0]
        team.results.failures.append(Failure(name, team.engine, "all", reason))
    team.results.seconds[f"{name} {team.engine}"] = time.monotonic() - start
