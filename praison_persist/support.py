"""The parts of documents that are data: `python -m praison_persist.support README.md docs`.

Which backends there are, how each is verified, and what each is made with.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from praison_persist import backends
from praison_persist._constructors import Option, options_of
from praison_persist.registry import Backend, Tested

__all__ = ["Supported", "page_of", "supported", "written", "written_into"]

_KINDS = {
    "conversation": ("conversations", backends.CONVERSATION),
    "knowledge": ("knowledge", backends.KNOWLEDGE),
    "state": ("state", backends.STATE),
}
_OPTIONS_PAGE = "../options.md"
_COLUMNS = "| option | default | unit | meaning |\n|---|---|---|---|\n"


@dataclass(frozen=True, slots=True)
class Supported:
    """A backend with all its rows, one for each colour.

    Attributes:
        kind: "conversation", "knowledge" or "state".
        rows: the first has the title, and says how it is tested.
    """

    kind: str
    rows: tuple[Backend, ...]

    @property
    def first(self) -> Backend:
        """The row that speaks for all of them."""
        return self.rows[0]

    @property
    def tested(self) -> Tested:
        """What its tests run against."""
        if self.first.tested is None:
            raise LookupError(f"The backend {self.first.name!r} does not say what it is tested on")
        return self.first.tested

    @property
    def names(self) -> list[str]:
        """All names and aliases."""
        return [name for row in self.rows for name in (row.name, *row.aliases)]


def supported() -> Iterator[Supported]:
    """Yield all built-in backends.

    Raises:
        LookupError: the rows of a kind begin with one that has no title.
    """
    for kind, (_, rows) in _KINDS.items():
        group: list[Backend] = []
        for row in rows:
            if row.title and group:
                yield Supported(kind, tuple(group))
                group = []
            if not row.title and not group:
                raise LookupError(f"The backend {row.name!r} has no title")
            group.append(row)
        if group:
            yield Supported(kind, tuple(group))


def page_of(backend: Supported) -> str:
    """Return where its page is, in the folder of the documents."""
    return f"{backend.kind}/{backend.first.name}.md"


def written_into(document: str, folder: str = "docs/") -> str:
    """Return a document with the table of all backends between its two marks.

    Args:
        document: its text.
        folder: that of the documents, seen from this one.
    """
    lines = ["| keeps | backend | names | tested on | | not tested |", "|---|---|---|---|---|---|"]
    for each in supported():
        tested = each.tested
        link = f"[{each.first.title}]({folder}{page_of(each)})"
        row = (_KINDS[each.kind][0], link, _shown(each.names), tested.on, tested.versions)
        lines.append(f"| {' | '.join((*row, tested.untested))} |".replace("|  |", "| |"))
    return _between(document, "support", "\n".join(lines))


def written(page: str, backend: Supported) -> str:
    """Return the page of a backend with what is data in it between its marks."""
    page = _between(page, "facts", "\n".join(_facts(backend)))
    rows = "\n".join(_row(option) for option in options_of(backend.first.path))
    return _between(page, "options", _COLUMNS + rows)


def _facts(backend: Supported) -> Iterator[str]:
    classes: list[str] = []
    for row in backend.rows:
        module, _, name = row.path.partition(":")
        classes.append(f"`{name}`" if classes else f"`{name}` of `{module}`")
    yield "| | |"
    yield "|---|---|"
    yield f"| names | {_shown(backend.names)} |"
    yield f"| classes | {', '.join(classes)} |"
    extra = backend.first.extra
    yield f"| extra | {f'`{extra}`' if extra else 'none'} |"
    yield f"| tested on | {backend.tested.on}: {backend.tested.versions} |"
    yield f"| not tested | {backend.tested.untested or 'nothing that is known'} |"


def _row(option: Option) -> str:
    meaning = option.meaning
    if option.name == "**options":
        meaning = f"those of the [SQL stores]({_OPTIONS_PAGE}#of-the-sql-stores)"
        if "connections and retries" in option.meaning:
            meaning += " that are of connections and retries"
    default = f"`{option.default}`" if option.default else ""
    cells = (f"`{option.name}`", default, option.unit, meaning)
    return f"| {' | '.join(cells)} |".replace("|  |", "| |").replace("|  |", "| |")


def _shown(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _between(document: str, name: str, text: str) -> str:
    """Return a document with a text between the two marks of a name.

    Raises:
        ValueError: it has no such marks.
    """
    first, last = f"<!-- {name}: written by make support -->\n", f"<!-- end of {name} -->\n"
    before, begin, rest = document.partition(first)
    _, end, after = rest.partition(last)
    if not (begin and end):
        raise ValueError(f"There are no lines {first.strip()!r} and {last.strip()!r}")
    return f"{before}{begin}\n{text}\n\n{end}{after}"


def _main(readme: Path, documents: Path) -> None:
    """Write all of it."""
    index = documents / "backends.md"
    tables = ((readme, "docs/"), (index, ""))
    for path, folder in tables:
        path.write_text(written_into(path.read_text(encoding="utf-8"), folder), encoding="utf-8")
    for backend in supported():
        page = documents / page_of(backend)
        page.write_text(written(page.read_text(encoding="utf-8"), backend), encoding="utf-8")


if __name__ == "__main__":
    _main(*map(Path, sys.argv[1:]))
