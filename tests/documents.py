"""Documents as tests read them: their programs, commands and tables.

`python -m tests.documents FILE` runs the programs of a JSON file, and prints what each printed.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import io
import json
import re
import sys
import time
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path

from praison_persist._constructors import options_of
from praison_persist._lazy import load

from .programs import ROOT, python

__all__ = [
    "DOCS",
    "DOCUMENTS",
    "Fence",
    "blocks",
    "cells",
    "check_options",
    "check_printed",
    "code",
    "commands",
    "fences",
    "name_of",
    "printed_by",
    "run_in_one_process",
]

DOCS = ROOT / "docs"
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted(DOCS.glob("**/*.md"))]


@dataclass(frozen=True, slots=True)
class Fence:
    """A block of code.

    Attributes:
        language: behind the backticks; "" where there is none.
        line: of the first backticks, from 1.
    """

    language: str
    text: str
    line: int


def name_of(document: Path) -> str:
    """Return the path of a document in the checkout."""
    return document.relative_to(ROOT).as_posix()


def fences(document: Path) -> list[Fence]:
    """Return all blocks of code."""
    text = document.read_text(encoding="utf-8")
    found = re.finditer(r"^```(.*)\n((?:.*\n)*?)^```$", text, re.MULTILINE)
    return [Fence(each[1], each[2], text.count("\n", 0, each.start()) + 1) for each in found]


def blocks(document: Path, language: str) -> list[str]:
    """Return the code blocks of a language."""
    return [fence.text for fence in fences(document) if fence.language == language]


def commands(document: Path) -> list[str]:
    """Return the lines of the blocks of shell commands."""
    return [line for block in blocks(document, "sh") for line in block.splitlines() if line]


def cells(document: Path, header: str) -> list[list[str]]:
    """Return the rows of the table that begins with `header`, without the first two lines."""
    text = document.read_text(encoding="utf-8")
    table = text[text.index(header) :].partition("\n\n")[0]
    return [
        [cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]
    ]


def code(cell: str) -> str:
    """Return what a cell has between its first backticks."""
    return cell.split("`")[1]


def printed_by(program: str) -> list[str]:
    """Run a program here; return the lines that it printed. It may await, as a notebook's cells."""
    compiled = compile(
        program, "<a document>", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True
    )
    with redirect_stdout(io.StringIO()) as printed:
        ended = eval(compiled, {"__name__": "__main__"})
        if inspect.iscoroutine(ended):
            asyncio.run(ended)
    return printed.getvalue().splitlines()


def check_printed(program: str, printed: Sequence[str]) -> None:
    """Fail unless a program printed what the comments behind its prints say."""
    for expected in re.findall(r"^ *(?:print\(.*)?\)  # (.*)$", program, re.MULTILINE):
        assert expected in printed, f"{expected!r} is not among {list(printed)}, of:\n{program}"


def check_options(path: str) -> None:
    """Fail unless what is read of a constructor's source is its signature."""
    read = {option.name.strip("*"): option.default for option in options_of(path)}
    signature = inspect.signature(load(path, name=path))
    kept = {
        name: "" if parameter.default is parameter.empty else parameter.default
        for name, parameter in signature.parameters.items()
    }
    assert list(read) == list(kept)
    for name, default in kept.items():
        assert read[name] in (repr(default), f"{default}", "time.time"), name
        assert (read[name] == "time.time") == (default is time.time)


def run_in_one_process(programs: Sequence[str], work: Path, variables: dict[str, str]) -> None:
    """Run programs one after the other in a new process, and check what each prints."""
    listed = work.parent / "programs.json"
    listed.write_text(json.dumps(programs), encoding="utf-8")
    ended = python("-m", "tests.documents", listed, cwd=work, variables=variables)
    assert ended.returncode == 0, ended.stderr
    for program, printed in zip(programs, json.loads(ended.stdout), strict=True):
        check_printed(program, printed)


if __name__ == "__main__":
    json.dump([printed_by(each) for each in json.loads(Path(sys.argv[1]).read_text())], sys.stdout)
