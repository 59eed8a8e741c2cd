"""What commands print: lines, tables, and JSON; never what a terminal would obey."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

__all__ = ["console", "print_json", "print_line", "print_table", "visible"]

_UNLIMITED = 100_000  # columns, where no terminal says how many there are
_KEPT = "\n\t"


def visible(text: str) -> str:
    """Return `text` with control characters escaped: a message could steer the terminal."""
    return "".join(
        character
        if character in _KEPT or (character >= " " and not "\x7f" <= character <= "\x9f")
        else f"\\x{ord(character):02x}"
        for character in text
    )


def print_line(line: str = "") -> None:
    """Print a line on stdout, as it is but for control characters."""
    typer.echo(visible(line))


def print_json(value: Any) -> None:
    """Print a value on stdout as one JSON document: on one line, or indented on a terminal.

    Dataclasses become objects; paths and other values become their text.
    """
    indent = 2 if sys.stdout.isatty() else None
    # In ASCII: any terminal and any program that reads on can take it.
    typer.echo(json.dumps(value, indent=indent, default=_plain))


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    return str(value)


def console(*, stderr: bool = False) -> Console:
    """Return a rich console that breaks no line where no terminal is: a file or a pipe."""
    made = Console(stderr=stderr, highlight=False, markup=False, emoji=False)
    if not made.is_terminal:
        made.width = _UNLIMITED
    return made


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], *, right: Iterable[str] = ()
) -> None:
    """Print rows under their headings.

    Args:
        columns: the headings.
        rows: a cell for each column; None is empty.
        right: headings of columns of numbers.
    """
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    numbers = set(right)
    for column in columns:
        table.add_column(column, justify="right" if column in numbers else "left")
    for row in rows:
        table.add_row(*(Text("" if cell is None else visible(str(cell))) for cell in row))
    made = console()
    with made.capture() as drawn:
        made.print(table)
    for line in drawn.get().splitlines():
        typer.echo(line.rstrip())
