"""The commands that docs/copying.md shows do what it says."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

from praison_persist.models import ConversationMessage, ConversationSession
from praison_persist.sql.stores import SQLConversationStore
from tests.documents import cells, code, commands
from tests.programs import ROOT

from .conversations import Program

DOCUMENT = ROOT / "docs" / "copying.md"


def test_the_commands_that_are_shown_succeed(program: Program, tmp_path: Path) -> None:
    """One after the other in one folder, as a reader would try them."""
    with SQLConversationStore(tmp_path / "agent.db") as store:
        store.create_session(ConversationSession("user-123", "ada"))
        said = [("user", "My name is Ada."), ("assistant", "Hello, Ada."), ("user", "Hm?")]
        store.add_messages("user-123", [ConversationMessage(role=r, content=c) for r, c in said])
    shown = commands(DOCUMENT)
    assert len(shown) > 10
    printed = {}
    for line in shown:
        assert program(*shlex.split(line)[1:]) == 0, f"{line}\n{program.err}"
        printed[line] = program.out
    assert len(json.loads(next(out for line, out in printed.items() if "search" in line))) == 1
    assert "verified, equal" in next(out for line, out in printed.items() if "copy.db --v" in line)


def test_the_options_that_are_shown_exist(program: Program) -> None:
    program("copy", "--help")
    for cell in cells(DOCUMENT, "| option | meaning |"):
        assert code(cell[0]) in program.out
