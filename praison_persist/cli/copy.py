"""`praison-persist copy`: conversations, state and knowledge from one backend to another."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bar

from praison_persist.cli.options import AsJSON, Schema, TablePrefix
from praison_persist.cli.output import console, print_json, print_line
from praison_persist.cli.stores import open_conversations
from praison_persist.connect import connect_store, knowledge_pair, state_pair
from praison_persist.errors import ConfigurationError, NotFoundError
from praison_persist.transfer import (
    Checkpoint,
    CopyReport,
    Progress,
    copy_conversations,
    copy_knowledge,
    copy_state,
)
from praison_persist.transfer.checkpoint import address

__all__ = ["copy"]


class Kind(StrEnum):
    """What is copied."""

    conversation = "conversation"
    state = "state"
    knowledge = "knowledge"
    all = "all"


def copy(
    source: Annotated[str, typer.Argument(metavar="SRC", help="The URL to copy from.")],
    target: Annotated[str, typer.Argument(metavar="DST", help="The URL to copy to.")],
    kind: Annotated[Kind, typer.Option(help="What to copy.")] = Kind.conversation,
    table_prefix: TablePrefix = None,
    schema: Schema = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Compare counts and hashes at the end.")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where an interrupted copy stopped.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only count what would be copied.")
    ] = False,
    conversation_only: Annotated[
        bool,
        typer.Option(
            "--conversation-only", help="Leave out runs, traces and views, and say how many."
        ),
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace keys and documents that differ.")
    ] = False,
    checkpoint: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Where to note how far it is. Default: by the URLs."),
    ] = None,
    as_json: AsJSON = False,
) -> None:
    """Copy conversations, state or knowledge between any two backends.

    What the target has already is not written again. Nothing is copied twice, and nothing that
    differs is replaced unasked. Status 1 if --verify finds a difference.
    """
    if overwrite and kind == Kind.conversation:
        raise ConfigurationError("--overwrite is for state and knowledge; messages never change")
    if source == target:
        raise ConfigurationError(f"{address(source)} is source and target; name two places")
    noted = _checkpoint(checkpoint, source, target, resume=resume, dry_run=dry_run)
    kinds = [Kind.conversation, Kind.state, Kind.knowledge] if kind == Kind.all else [kind]
    reports: list[CopyReport] = []
    with _progress(as_json) as on_progress:
        common: dict[str, Any] = {
            "verify": verify,
            "dry_run": dry_run,
            "checkpoint": noted,
            "on_progress": on_progress,
        }
        for one in kinds:
            if one == Kind.conversation:
                with (
                    open_conversations(source, table_prefix, schema) as own,
                    open_conversations(target, table_prefix, schema, create=True) as other,
                ):
                    copied = copy_conversations(
                        own, other, conversation_only=conversation_only, **common
                    )
            else:
                run = copy_state if one == Kind.state else copy_knowledge
                with (
                    _store(one.value, source, table_prefix, schema, read=True) as first,
                    _store(one.value, target, table_prefix, schema, read=False) as second,
                ):
                    copied = run(first, second, overwrite=overwrite, **common)
            reports.append(copied)
    if as_json:
        print_json([report.to_dict() for report in reports])
    else:
        for report in reports:
            _print(report)
    if not all(report.is_fine for report in reports):
        raise typer.Exit(1)


@contextmanager
def _store(
    kind: str, url: str, table_prefix: str | None, schema: str | None, *, read: bool
) -> Iterator[Any]:
    """Open a state or knowledge store; what is to be read is not made."""
    named = {"table_prefix": table_prefix, "schema": schema}
    options = {name: value for name, value in named.items() if value is not None}
    store = connect_store(kind, url, None, options)
    pair = state_pair(store) if kind == Kind.state else knowledge_pair(store)
    with pair[0]:
        if read and hasattr(store, "database"):
            with open_conversations(url, table_prefix, schema):
                pass  # it is there, and has the tables
        yield pair[0]


def _checkpoint(
    path: Path | None, source: str, target: str, *, resume: bool, dry_run: bool
) -> Checkpoint | None:
    if dry_run:
        return None
    pair = f"{address(source)}\n{address(target)}"
    place = path or Path(f"praison-copy-{hashlib.sha256(pair.encode()).hexdigest()[:12]}.json")
    if resume and not place.exists():
        raise NotFoundError(
            f"There is no checkpoint {place} here to go on from: leave out --resume, or name the "
            "file with --checkpoint. What the target has already is not written again"
        )
    noted = Checkpoint(place)
    if not resume:
        noted.remove()
    return noted


@contextmanager
def _progress(as_json: bool) -> Iterator[Callable[[Progress], None] | None]:
    """Show a bar on stderr, with rate and time left, where that is a terminal."""
    terminal = console(stderr=True)
    if as_json or not terminal.is_terminal:
        yield None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=terminal, transient=True) as bar:
        tasks: dict[str, Any] = {}

        def show(progress: Progress) -> None:
            name = f"{progress.phase} {progress.kind}"
            if name not in tasks:
                tasks[name] = bar.add_task(name, total=progress.total, rate="")
            task = bar.tasks[tasks[name]]
            rate = f"{task.speed:,.0f}/s" if task.speed else ""
            bar.update(tasks[name], completed=progress.done, total=progress.total, rate=rate)

        yield show


def _print(report: CopyReport) -> None:
    found = _counts(report.found) or "nothing"
    if report.dry_run:
        print_line(f"{report.kind}: {found} to copy; nothing was written")
    else:
        written = _counts({name: report.written[name] for name in report.found}) or "nothing"
        print_line(f"{report.kind}: {found} in the source; {written} written")
    if report.left_out:
        verb = "would be" if report.dry_run else "were"
        print_line(f"{report.kind}: of sessions, {verb} left out: {_counts(report.left_out)}")
    if report.verified:
        print_line(f"{report.kind}: {'verified, equal' if report.is_fine else 'NOT equal'}")
    for difference in report.differences:
        print_line(f"  {difference}")
    if report.different > len(report.differences):
        print_line(f"  and {report.different - len(report.differences)} more")


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.items() if count)
