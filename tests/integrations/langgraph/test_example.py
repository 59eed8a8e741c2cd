"""The example resumes in a second process."""

from __future__ import annotations

from pathlib import Path

from tests.packages import INTEGRATIONS, needs
from tests.programs import ROOT, environment, python

needs("langgraph", extra="langgraph", required_by=INTEGRATIONS)


def test_the_second_process_answers_what_the_first_asked(tmp_path: Path) -> None:
    variables = {**environment(tmp_path), "PRAISON_DEMO_DATA": str(tmp_path / "data")}
    program = ROOT / "examples" / "integrations" / "langgraph_approval.py"
    printed = []
    for _ in range(2):
        ended = python(program, cwd=tmp_path, variables=variables)
        assert ended.returncode == 0, ended.stderr
        printed.append(ended.stdout)
    first, second = printed
    assert "asks:      Send two chairs?" in first
    assert "has the checkpoints of steps [0, -1]" in first
    assert "was asked: Send two chairs?" in second
    assert "ended:     {'order': 'two chairs', 'approved': True}" in second
    assert "remembers: two chairs {'approved': True}" in second
    assert "has the checkpoints of steps [2, 1, 0, -1]" in second
