"""`praison-persist sessions export` and `import`: sessions in files, one JSON object a line."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

from praison_persist._flow import run
from praison_persist.cli.beside import existing, open_all
from praison_persist.cli.options import URL, AsJSON, Schema, StateURL, TablePrefix
from praison_persist.cli.output import print_json, print_line
from praison_persist.cli.times import counted
from praison_persist.connect import Connected
from praison_persist.errors import ConfigurationError, ConflictError, InvalidDataError
from praison_persist.exchange import FORMAT, export_flow, import_flow
from praison_persist.transfer.ends import DUMP_KEYS, End

__all__ = ["export", "import_"]

_PAGE = 500


def export(
    session_ids: Annotated[
        list[str] | None, typer.Argument(metavar="[SESSION]...", help="Ids of sessions.")
    ] = None,
    url: URL = None,
    table_prefix: TablePrefix = None,
    schema: Schema = None,
    state_url: StateURL = None,
    every: Annotated[bool, typer.Option("--all", help="All sessions.")] = False,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Default: session-ID.jsonl, or sessions.jsonl of several; - is stdout.",
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that exists.")] = False,
) -> None:
    """Write sessions to a file, each on a line, with all that belongs to it."""
    names = list(dict.fromkeys(session_ids or []))
    if every == bool(names):
        raise ConfigurationError("Which sessions? Write their ids, or --all")
    with open_all(url, table_prefix, schema, state_url) as connected:
        for name in names:
            existing(connected.sync_conversation, name)
        default = f"session-{names[0]}.jsonl" if len(names) == 1 else "sessions.jsonl"
        path = output or default
        if output is None and Path(default).name != default:
            raise ConfigurationError("The id of the session is no name of a file; write --output")
        with _written(path, force=force) as file:
            count = 0
            for dump in _dumps(connected, names):
                file.write(json.dumps(dump) + "\n")
                count += 1
    if path != "-":
        print_line(f"{counted(count, 'session')} in {path}")


def _dumps(connected: Connected, names: list[str]) -> Iterator[dict[str, Any]]:
    found: Iterator[str] = iter(names)
    if not names:
        pages = End(connected, _PAGE).sessions()
        found = (session.session_id for page, _ in pages for session in page)
    for name in found:
        dump = run(export_flow(connected.sync_stores, name))
        if dump is not None:  # deleted meanwhile
            yield dump


@contextmanager
def _written(path: str, *, force: bool) -> Iterator[TextIO]:
    """Open a file to write; it appears, or is replaced, when all of it is there."""
    if path == "-":
        yield sys.stdout
        return
    place = Path(path)
    if place.exists() and not force:
        raise ConflictError(f"The file {path} exists; name another with --output, or add --force")
    part = place.with_name(f"{place.name}.part")
    with open(part, "w", encoding="utf-8", opener=_private) as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
    part.replace(place)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)  # conversations are nobody else's


def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What export wrote; - is stdin.")],
    url: URL = None,
    table_prefix: TablePrefix = None,
    schema: Schema = None,
    state_url: StateURL = None,
    conversation_only: Annotated[
        bool,
        typer.Option("--conversation-only", help="Leave out runs and traces, for any database."),
    ] = False,
    as_json: AsJSON = False,
) -> None:
    """Store the sessions of a file; those that are stored already stay as they are.

    Each line is a session, as of export here or of praisonai; or the file is one such object.
    """
    ids = []
    with (
        _read(file) as lines,
        open_all(url, table_prefix, schema, state_url, create=True) as connected,
    ):
        for number, found in _objects(lines):
            dump = _only_messages(found) if conversation_only else found
            try:
                ids.append(run(import_flow(connected.sync_stores, dump)))
            except (InvalidDataError, ConflictError) as error:
                done = f"; {counted(len(ids), 'session')} before it were stored" if ids else ""
                raise type(error)(f"{file}, line {number}: {error}{done}") from error
    if as_json:
        print_json({"imported": ids})
    else:
        print_line(f"{counted(len(ids), 'session')} stored")


def _only_messages(dump: Any) -> Any:
    if not isinstance(dump, dict) or dump.get("format") != FORMAT:
        return dump  # of praisonai, which has no more
    return {name: part for name, part in dump.items() if name in DUMP_KEYS}


@contextmanager
def _read(path: Path) -> Iterator[TextIO]:
    if str(path) == "-":
        yield sys.stdin
        return
    with path.open(encoding="utf-8") as file:
        yield file


def _objects(lines: TextIO) -> Iterator[tuple[int, Any]]:
    """Yield the objects of a file of lines, or the one object that is on many lines."""
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            yield number, json.loads(line)
        except ValueError:
            if number > 1:
                raise InvalidDataError(
                    f"Line {number} is no JSON; nothing of it was stored"
                ) from None
            try:
                yield number, json.loads(line + lines.read())
            except ValueError as error:
                raise InvalidDataError(f"The file is no JSON: {error}") from error
