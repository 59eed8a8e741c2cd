"""What the examples of two adapters tell a first process, a second one knows."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.packages import INTEGRATIONS, needs
from tests.programs import ROOT, environment, python

needs("agents", "google.adk", extra="integrations", required_by=INTEGRATIONS)


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
    name: str, first: str, second: str, tmp_path: Path
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    variables = {**environment(tmp_path), "PRAISON_DEMO_DATA": str(tmp_path / "data")}
    example = ROOT / "examples" / "integrations" / f"{name}.py"
    for expected in (first, second):
        ended = python(example, cwd=work, variables=variables)
        assert ended.returncode == 0, ended.stderr
        assert expected in ended.stdout.splitlines()
    assert not list(work.iterdir())
