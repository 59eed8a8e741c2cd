"""The examples of LangChain and LlamaIndex resume in a second process."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.packages import INTEGRATIONS, needs
from tests.programs import ROOT, environment, python

needs("langchain_core", extra="langchain", required_by=INTEGRATIONS)
needs("llama_index", extra="llamaindex", required_by=INTEGRATIONS)


@pytest.mark.parametrize("name", ["langchain_history", "llama_index_memory"])
def test_a_second_process_knows_what_the_first_was_told(name: str, tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    variables = {**environment(tmp_path), "PRAISON_DEMO_DATA": str(tmp_path / "data")}
    program = ROOT / "examples" / "integrations" / f"{name}.py"
    printed = []
    for _ in range(2):
        ended = python(program, cwd=work, variables=variables)
        assert ended.returncode == 0, ended.stderr
        printed.append(ended.stdout.splitlines())
    assert printed[0][0] == "0 messages are known."
    assert printed[1][:2] == ["2 messages are known.", "Your name is Ada."]
    assert printed[1][-1] == "    4  assistant  Your name is Ada."
    assert not list(work.iterdir())
