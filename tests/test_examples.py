"""Every example runs on its own, says what it should, and leaves nothing beside its folder."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from local_llm import MODEL, LocalLLM

from .programs import ROOT, environment, python

EXAMPLES = ROOT / "examples"
STAND_IN = "the model is examples/local_llm.py, a scripted one"

Run = Callable[..., str]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run an example in an empty folder, without a key of a model; return what it printed."""
    work, data = tmp_path / "work", tmp_path / "data"
    work.mkdir()
    usual = {**environment(tmp_path), "PRAISON_DEMO_DATA": str(data)}

    def run(name: str, **variables: str) -> str:
        ended = python(EXAMPLES / name, cwd=work, variables={**usual, **variables})
        assert (ended.returncode, ended.stderr) == (0, ""), ended.stdout + ended.stderr
        assert not list(work.iterdir())
        assert not list((tmp_path / "home").iterdir())
        return ended.stdout

    return run


def test_every_example_is_run_here() -> None:
    modules = {"local_llm.py", "surroundings.py"}
    scripts = {path.name for path in EXAMPLES.glob("*.py")} - modules
    source = Path(__file__).read_text(encoding="utf-8")
    assert {name for name in scripts if f'run("{name}"' not in source} == set()


def test_the_demo_resumes_in_another_process(run: Run) -> None:
    printed = run("demo.py")
    assert STAND_IN in printed
    first, second = re.findall(r"Process (\d+)", printed)
    assert first != second
    resumed = printed.partition(f"Process {second} resumes it")[2]
    assert "It was handed 4 messages" in resumed
    assert "user       My name is Ada." in resumed
    assert "assistant  Your name is Ada." in resumed
    assert len(printed.splitlines()) <= 30

    # Again, on a new file, with a key: the model is then the one that the key is for.
    with LocalLLM() as llm:
        printed = run(
            "demo.py",
            OPENAI_API_KEY="key",
            OPENAI_BASE_URL=llm.base_url,
            OPENAI_MODEL_NAME=MODEL,
        )
        assert len(llm.chat_requests) == 3
    assert STAND_IN not in printed
    assert "It was handed 4 messages" in printed
    assert "assistant  Your name is Ada." in printed


def test_the_demo_fails_without_the_history(tmp_path: Path) -> None:
    with LocalLLM() as llm:
        variables = {**environment(tmp_path), **llm.environment()}
        ended = python(EXAMPLES / "demo.py", "resume", cwd=tmp_path, variables=variables)
    assert ended.returncode == 1
    assert "was not handed what the first was told" in ended.stderr


def test_the_quickstart_knows_more_the_second_time(run: Run) -> None:
    assert "    4  assistant  Your name is Ada." in run("sqlite_quickstart.py")
    assert "    8  assistant  Your name is Ada." in run("sqlite_quickstart.py")


def test_an_agent_on_postgresql(run: Run, postgres_database: str) -> None:
    printed = run("postgres.py", PRAISONAI_CONVERSATION_URL=postgres_database)
    assert "ada: Your name is Ada." in printed
    assert "bob: Your name is Bob." in printed
    assert "Session chat-ada of ada: 4 messages" in printed


def test_tasks_write_to_one_session(run: Run) -> None:
    printed = run("async_store.py")
    assert "15 messages, numbered without a gap: True" in printed
    assert "Your name is Ada." in printed
    assert "17 messages" in printed


def test_an_agent_of_praisonaiagents(run: Run) -> None:
    assert "Your name is Ada." in run("own_agent_memory.py")


def test_a_session_moves_to_another_database(run: Run) -> None:
    printed = run("export_import.py")
    assert printed.count("Imported: 2 messages") == 2
    assert "Your name is Ada." in printed


def test_an_orchestrator_tells_one_agent_what_another_was_told(run: Run) -> None:
    printed = run("orchestrator.py")
    assert "Your name is Ada." in printed
    assert "4 messages, 1 document near, seen 2 times" in printed
