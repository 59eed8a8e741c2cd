from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from local_llm import LocalLLM

from praison_persist.cli.history import last_turns
from praison_persist.cli.stores import open_conversations
from praison_persist.models import ConversationMessage, ConversationSession
from tests.programs import environment, python

from .commands import tell

Command = Callable[..., "subprocess.CompletedProcess[str]"]

URL = ["--url", "sqlite:///agent.db"]


@pytest.fixture
def command(tmp_path: Path) -> Iterator[Command]:
    """Runs `praison-persist` with a scripted model, in a process and in the test's folder."""
    with LocalLLM() as llm:
        variables = {**environment(tmp_path), **llm.environment()}

        def run(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
            given = {name: value for name, value in {**variables, **more}.items() if value}
            return python("-m", "praison_persist", *words, cwd=Path.cwd(), variables=given)

        yield run


def messages(session_id: str) -> list[tuple[str, str | None]]:
    with open_conversations("agent.db") as opened:
        found = opened.sync_conversation.get_messages(session_id)
    return [(message.role, message.content) for message in found]


def stored(*told: ConversationMessage, session_id: str = "s-1") -> None:
    """Store messages in a session of agent.db."""
    with open_conversations("agent.db", create=True) as opened:
        store = opened.sync_conversation
        store.ensure_session(ConversationSession(session_id=session_id, user_id="ada"))
        store.add_messages(session_id, told)


# With an agent


def test_what_was_said_is_known_when_the_session_goes_on(command: Command) -> None:
    first = command("run", "My name is Ada.", *URL, "--session-id", "s-1", "--user-id", "ada")
    assert (first.returncode, first.stdout) == (0, "You said: My name is Ada.\n")
    assert first.stderr.startswith("Session s-1, kept in sqlite:///")
    on = command("resume", "--session-id", "s-1", *URL, "--continue", "What is my name?")
    assert (on.returncode, on.stderr) == (0, "")
    assert on.stdout == "Session s-1, user ada: 2 messages\nYour name is Ada.\n"
    again = command("run", "What is my name?", *URL, "--session-id", "s-1", "--json")
    assert json.loads(again.stdout) == {
        "session_id": "s-1",
        "user_id": "default",
        "answer": "Your name is Ada.",
    }
    assert [role for role, _content in messages("s-1")] == ["user", "assistant"] * 3


def test_a_model_that_fails_is_one_line_and_status_1(command: Command) -> None:
    """A script takes an empty answer for an answer."""
    ended = command("run", "FAIL400", *URL, "--session-id", "s-1")
    assert (ended.returncode, ended.stdout) == (1, "")
    (line,) = ended.stderr.splitlines()
    assert line.startswith("praison-persist: The model gave no answer: ")
    assert "scripted failure 400" in line
    assert messages("s-1") == [("user", "FAIL400")]


def test_a_key_that_is_missing_is_named(command: Command) -> None:
    without = dict.fromkeys(("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_API_BASE"), "")
    ended = command("run", "hello", *URL, **without)
    assert (ended.returncode, ended.stdout) == (2, "")
    (line,) = ended.stderr.splitlines()
    assert "OPENAI_API_KEY" in line


def test_without_a_database_no_model_is_asked(command: Command) -> None:
    """An answer that is paid for, and lost."""
    ended = command("run", "hello", "--url", "postgresql://me:s3cret@127.0.0.1:1/x")
    assert (ended.returncode, ended.stdout) == (1, "")
    (line,) = ended.stderr.splitlines()
    assert "unavailable" in line
    assert "s3cret" not in ended.stderr


def test_without_the_knowledge_no_model_is_asked(command: Command) -> None:
    url = "redis://me:s3cret@127.0.0.1:1/0"
    ended = command("run", "hello", *URL, "--session-id", "s", "--knowledge-url", url)
    assert (ended.returncode, ended.stdout) == (1, "")
    (line,) = ended.stderr.splitlines()
    assert line.startswith("praison-persist: redis")
    assert "Check" in line
    assert "s3cret" not in line
    assert not Path("agent.db").exists()


def test_an_agent_that_is_not_installed_is_named(command: Command, tmp_path: Path) -> None:
    (tmp_path / "hidden" / "praisonaiagents.py").write_text(
        "raise ImportError('hidden', name='praisonaiagents')", "utf-8"
    )
    path = os.pathsep.join([str(tmp_path / "hidden"), environment(tmp_path)["PYTHONPATH"]])
    ended = command("run", "hello", *URL, PYTHONPATH=path)
    assert ended.returncode == 1
    assert "pip install 'praison-persist[agents]'" in ended.stderr


# Without one


def test_a_dry_run_touches_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRAISON_SESSION_ID", "s-9")
    told = tell(capsys, "run", "hello", *URL, "--dry-run", "--json")
    assert told.status == 0
    assert told.json == {
        "conversations": f"sqlite:///{Path('agent.db').absolute()}",
        "session_id": "s-9",
        "user_id": "default",
        "agent": "Assistant",
        "prompt": "hello",
    }
    assert not list(Path().iterdir())


@pytest.mark.parametrize("more", [[], ["--show-history"], ["--continue", "hello"], ["--json"]])
def test_a_session_that_does_not_exist_is_not_begun(
    more: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """A mistyped id begins a conversation that knows nothing, and says so politely."""
    stored(ConversationMessage(role="user", content="hi"), session_id="user-123")
    told = tell(capsys, "resume", "--session-id", "user-132", *URL, *more)
    assert (told.status, told.out) == (1, "")
    assert "no session 'user-132'" in told.err
    assert "'user-123'" in told.err
    with open_conversations("agent.db") as opened:
        assert opened.sync_conversation.get_session("user-132") is None


def test_the_history_is_drawn_with_its_tool_calls(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")  # what is drawn is UTC all the same
    time.tzset()
    calls = [
        {"id": "c1", "function": {"name": "weather", "arguments": '{"city": "Ulm"}'}},
        {"id": "c2", "name": "clock", "arguments": {"zone": "CET"}},
        "odd",
    ]
    stored(
        ConversationMessage(role="user", content="first"),
        ConversationMessage(role="assistant", content="one"),
        ConversationMessage(
            role="user", content="second [bold]\x1b[2J", created_at=1_769_860_800.0
        ),
        ConversationMessage(role="assistant", content=None, tool_calls=calls),
        ConversationMessage(role="tool", content="rain", tool_call_id="c1"),
        ConversationMessage(role="tool", content="x" * 600, tool_call_id="c2"),
        ConversationMessage(role="assistant", content="two\nlines"),
    )
    told = tell(capsys, "resume", "--session-id", "s-1", *URL, "--show-history", "--turns", "1")
    assert (told.status, told.err) == (0, "")
    heads = [line for line in told.out.splitlines() if line[:4] in ("user", "assi")]
    assert heads[0] == "user  2026-01-31 12:00:00 UTC"
    lines = [line for line in told.out.splitlines() if line[:4] not in ("user", "assi")]
    assert lines == [
        "Session s-1, user ada: 7 messages",
        "…",
        "  second [bold]\\x1b[2J",
        '  → weather({"city": "Ulm"})',
        '  → clock({"zone": "CET"})',
        "  → odd()",
        "  ← weather: rain",
        f"  ← clock: {'x' * 500}… (600 characters)",
        "  two",
        "  lines",
    ]
    told = tell(capsys, "resume", "--session-id", "s-1", *URL, "--show-history", "--json")
    assert [one["role"] for one in told.json["history"]][:3] == ["user", "assistant", "user"]
    assert told.json["messages"] == 7


@pytest.mark.parametrize(
    ("turns", "first", "older"), [(1, "u9", True), (3, "u7", True), (10, "u0", False)]
)
def test_turns_are_counted_however_long_they_are(turns: int, first: str, older: bool) -> None:
    told = []
    for turn in range(10):
        told.append(ConversationMessage(role="user", content=f"u{turn}"))
        told += [ConversationMessage(role="assistant", content="…") for _ in range(30)]
    stored(*told)
    with open_conversations("agent.db") as opened:
        found, has_older = last_turns(opened.sync_conversation, "s-1", turns)
    assert (found[0].content, has_older) == (first, older)


def test_a_folder_of_json_is_resumed_too(capsys: pytest.CaptureFixture[str]) -> None:
    with open_conversations("json:folder", create=True) as opened:
        store = opened.sync_conversation
        store.ensure_session(ConversationSession(session_id="s"))
        store.add_message("s", ConversationMessage(role="user", content="hi"))
    told = tell(capsys, "resume", "--session-id", "s", "--url", "json:folder", "--show-history")
    assert told.status == 0
    assert "  hi" in told.out.splitlines()
