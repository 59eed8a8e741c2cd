"""The support table of the README: `python -m praison_persist.support README.md` writes it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from praison_persist import backends
from praison_persist.registry import Backend

__all__ = ["support_table", "written_into"]

_BEGIN, _END = "<!-- support: written by make support -->\n", "<!-- end of support -->\n"
_KINDS = {
    "conversations": backends.CONVERSATION,
    "knowledge": backends.KNOWLEDGE,
    "state": backends.STATE,
}


def support_table() -> str:
    """Return a Markdown table of all built-in backends and of what their tests run against."""
    lines = ["| keeps | backend | names | tested on | | not tested |", "|---|---|---|---|---|---|"]
    for keeps, rows in _KINDS.items():
        for first, names in _grouped(rows):
            if first.tested is None:
                raise LookupError(f"The backend {first.name!r} does not say what it is tested on")
            tested = first.tested
            shown = ", ".join(f"`{name}`" for name in names)
            row = (keeps, first.title, shown, tested.on, tested.versions, tested.untested)
            lines.append(f"| {' | '.join(row)} |".replace("|  |", "| |"))
    return "\n".join(lines) + "\n"


def _grouped(rows: tuple[Backend, ...]) -> Iterator[tuple[Backend, list[str]]]:
    """Yield each backend that has a title with all names of it and of the rows that follow."""
    group: tuple[Backend, list[str]] | None = None
    for row in rows:
        if row.title:
            if group is not None:
                yield group
            group = (row, [])
        if group is None:
            raise LookupError(f"The backend {row.name!r} has no title")
        group[1].extend([row.name, *row.aliases])
    if group is not None:
        yield group


def written_into(document: str) -> str:
    """Return a document with the table of today between its two marks.

    Raises:
        ValueError: it has no such marks.
    """
    before, begin, rest = document.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not (begin and end):
        raise ValueError(f"There are no lines {_BEGIN.strip()!r} and {_END.strip()!r}")
    return f"{before}{begin}\n{support_table()}\n{end}{after}"


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(written_into(path.read_text(encoding="utf-8")), encoding="utf-8")
