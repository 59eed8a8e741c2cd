from __future__ import annotations

import shlex
from pathlib import Path

from local_llm import LocalLLM

from praison_persist.cli import app
from praison_persist.cli.examination import Verdict
from tests.documents import cells, code, commands
from tests.programs import ROOT, environment, python

DOCUMENT = ROOT / "docs" / "cli.md"


def test_the_commands_that_are_shown_do_what_is_said(tmp_path: Path) -> None:
    """One after the other in one folder, as a reader would try them."""
    with LocalLLM() as llm:
        variables = {**environment(tmp_path), **llm.environment()}
        for line in commands(DOCUMENT):
            words = shlex.split(line)[1:]
            ended = python("-m", "praison_persist", *words, cwd=Path.cwd(), variables=variables)
            assert ended.returncode == 0, f"{line}\n{ended.stderr}"


def test_the_tables_are_those_of_the_code() -> None:
    known = {row.name for row in app.COMMANDS}
    assert {code(cell[0]) for cell in cells(DOCUMENT, "| command | what it does |")} <= known
    shown = [code(cell[0]) for cell in cells(DOCUMENT, "| verdict | what it means |")]
    assert shown == [verdict.value for verdict in Verdict]
