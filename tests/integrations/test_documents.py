"""The programs of docs/integrations run, one after the other, and print what they say."""

from __future__ import annotations

from pathlib import Path

import pytest
from local_llm import LocalLLM

from tests.documents import blocks, check_printed
from tests.packages import INTEGRATIONS, needs
from tests.programs import ROOT, environment, python

needs(
    "agents",
    "google.adk",
    "langchain_core",
    "langgraph",
    "llama_index",
    extra="integrations",
    required_by=INTEGRATIONS,
)

DOCUMENTS = sorted((ROOT / "docs" / "integrations").glob("*.md"))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.stem)
def test_programs_print_what_their_comments_say(document: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    programs = blocks(document, "python")
    assert programs
    with LocalLLM() as llm:
        variables = {**environment(tmp_path), **llm.environment()}
        for program in programs:
            ended = python("-c", program, cwd=work, variables=variables)
            assert ended.returncode == 0, f"{program}\n{ended.stderr}"
            check_printed(program, ended.stdout.splitlines())
