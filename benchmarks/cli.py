"""The command line: measure, plot, and write the tables of the documents."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from benchmarks.contenders import CONTENDERS, ENGINES, REDIS
from benchmarks.forms import FORMS
from benchmarks.machine import file_system
from benchmarks.process import ROOT
from benchmarks.report import summary, text, write_into
from benchmarks.results import Results
from benchmarks.running import measured
from benchmarks.workloads import WORKLOADS

__all__ = ["main"]

RESULTS = ROOT / "docs" / "benchmarks" / "results.json"
PAGE = ROOT / "docs" / "benchmarks.md"
_IN_MEMORY = ("tmpfs", "ramfs")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return the status of the process."""
    given = _parser().parse_args(arguments)
    if given.command == "plot":
        _written(Results.load(given.results), given.results.parent)
        return 0
    if given.command == "report":
        print(text(Results.load(given.results), given.results.parent))
        return 0
    names = list(WORKLOADS) if given.command == "all" else [given.command, *given.more]
    if unknown := set(names) - set(WORKLOADS):
        raise SystemExit(
            f"no workload {', '.join(sorted(unknown))}; there are: {', '.join(WORKLOADS)}"
        )
    folder = given.folder or Path(tempfile.gettempdir())
    if (kind := file_system(folder)) in _IN_MEMORY:
        raise SystemExit(
            f"{folder} is in memory ({kind}), where fsync costs nothing: give --folder"
        )
    path: Path | None = given.json
    save = None if path is None else partial(Results.save, path=path)
    form, contenders = FORMS[given.form], given.contender
    results = measured(names, given.engine, form, folder, contenders, save)
    if given.json is not None:
        print(f"{given.json}: {len(results.measurements)} measurements", file=sys.stderr)
    if given.plots is not None:
        _written(results, given.plots)
    if given.json is None:
        print(text(results))
    return int(any(each.contender == "all" for each in results.failures))


def _written(results: Results, folder: Path) -> None:
    """Draw the plots into a folder, and write the tables where the documents have their marks."""
    from benchmarks.plots import draw  # noqa: PLC0415 - needs Matplotlib, which measuring does not

    draw(results, folder)
    if folder.resolve() == RESULTS.parent:
        write_into(PAGE, text(results, PAGE.parent))
        write_into(ROOT / "README.md", summary(results))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    lines = [f"  {name:8} {each.says}" for name, each in WORKLOADS.items()]
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = "workloads:\n" + "\n".join(lines)
    commands = parser.add_subparsers(
        dest="command", required=True, metavar="WORKLOAD|all|plot|report"
    )
    for name in ("all", *WORKLOADS):
        command = commands.add_parser(name)
        command.add_argument("more", nargs="*", help="further workloads")
        command.add_argument(
            "--engine",
            action="append",
            choices=(*ENGINES, REDIS),
            help="only this one; may be given again",
        )
        command.add_argument(
            "--contender",
            action="append",
            choices=CONTENDERS,
            metavar="NAME",
            help="only this one, by its name in the results; may be given again",
        )
        command.add_argument("--form", choices=FORMS, default="short")
        command.add_argument("--json", type=Path, help="where the results are written")
        command.add_argument("--plots", type=Path, help="the folder that plots are drawn into")
        command.add_argument(
            "--folder", type=Path, help="where SQLite's files are made; not in memory"
        )
    for name in ("plot", "report"):
        command = commands.add_parser(name)
        command.add_argument("results", type=Path, nargs="?", default=RESULTS)
    return parser
