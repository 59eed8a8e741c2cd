"""A database with conversations, runs and traces, and the command line called in this process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from praison_persist.cli.app import main
from praison_persist.models import ConversationMessage, ConversationSession, Run, Span, Trace
from praison_persist.sql.stores import SQLConversationStore

CALL = {"id": "k", "type": "function", "function": {"name": "weather", "arguments": '{"at": 1}'}}


class Program:
    """Runs commands, and tells what they printed."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.out, self.err = "", ""

    def __call__(self, *words: object) -> int:
        """Run a command; return its exit status."""
        self._capsys.readouterr()
        status = main([str(word) for word in words])
        self.out, self.err = self._capsys.readouterr()
        return status

    def json(self, *words: object) -> Any:
        """Run a command that succeeds, and return what it printed as JSON."""
        assert self(*words, "--json") == 0, self.err
        return json.loads(self.out)

    def fails(self, status: int, *words: object) -> str:
        """Run a command that fails; return the one line that it said."""
        assert self(*words) == status, self.out
        assert self.err.count("\n") == 1
        assert self.err.startswith("praison-persist: ")
        return self.err


def fill(path: Path) -> str:
    """Make a SQLite database with three sessions; return its URL."""
    with SQLConversationStore(path) as store:
        for number in range(3):
            session_id, at = f"s{number}", 1_767_225_600.0 + 86_400 * number  # 2026-01-01
            store.create_session(
                ConversationSession(session_id, f"user{number % 2}", name=f"about {number}")
            )
            store.runs.start_run(Run("r", session_id, "Ann" if number else "Bob", started_at=at))
            store.add_messages(
                session_id,
                [
                    ConversationMessage(id="m1", role="user", content=f"weather in {number}?"),
                    ConversationMessage(id="m2", role="assistant", content=None, tool_calls=[CALL]),
                    ConversationMessage(id="m3", role="tool", content="21", tool_call_id="k"),
                    ConversationMessage(
                        id="m4", role="assistant", content="21 \x1b[31mdegrees", run_id="r"
                    ),
                ],
            )
            status = "error" if number == 2 else "completed"
            store.runs.end_run(session_id, "r", status=status, metrics={"duration_ms": 1500.0})
            attributes = {"prompt_tokens": 100, "completion_tokens": 20, "cost_usd": 0.25}
            spans = [Span("p", f"t{number}", "llm", attributes=attributes)]
            trace = Trace(f"t{number}", session_id, "r", "Ann", f"user{number % 2}", spans=spans)
            store.runs.add_trace(trace)
    return f"sqlite:///{path}"
