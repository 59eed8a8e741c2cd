"""What the documents and examples of the adapters show is so."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from local_llm import LocalLLM

from tests.packages import INTEGRATIONS, needs
from tests.programs import ROOT, environment, python
from tests.test_readme import blocks

DOCUMENTS = sorted((ROOT / "docs" / "integrations").glob("*.md"))
_NEEDED = {
    "openai_agents": ("agents", "openai-agents"),
    "google_adk": ("google.adk", "google-adk"),
}
for module, extra in _NEEDED.values():
    needs(module, extra=extra, required_by=INTEGRATIONS)


@pytest.fixture
def variables(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of a program, with a model."""
    with LocalLLM() as llm:
        untraced = {"OPENAI_AGENTS_DISABLE_TRACING": "1"}
        yield {**environment(tmp_path), **llm.environment(), **untraced}


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """The folder that programs run in."""
    (tmp_path / "work").mkdir()
    return tmp_path / "work"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.stem)
def test_programs_print_what_their_comments_say(
    document: Path, variables: dict[str, str], work: Path
) -> None:
    """One after the other in one folder, as a reader would try them."""
    programs = blocks(document, "python")
    assert programs
    for program in programs:
        ended = python("-c", program, cwd=work, variables=variables)
        assert ended.returncode == 0, f"{program}\n{ended.stderr}"
        printed = ended.stdout.splitlines()
        for expected in re.findall(r"^ *print\(.*\)  # (.*)$", program, re.MULTILINE):
            assert expected in printed, program


@pytest.mark.parametrize(
    ("name", "first", "second"),
    [
        ("openai_agents", "0 items are known.", "Your name is Ada."),
        (
            "google_adk",
            "0 events are known, and the state {}.",
            "Your name is Ada. This is turn 2.",
        ),
    ],
)
def test_a_second_process_knows_what_the_first_was_told(
    name: str, first: str, second: str, tmp_path: Path, work: Path
) -> None:
    variables = {**environment(tmp_path), "PRAISON_DEMO_DATA": str(tmp_path / "data")}
    example = ROOT / "examples" / "integrations" / f"{name}.py"
    for expected in (first, second):
        ended = python(example, cwd=work, variables=variables)
        assert ended.returncode == 0, ended.stderr
        assert expected in ended.stdout.splitlines()
    assert not list(work.iterdir())
