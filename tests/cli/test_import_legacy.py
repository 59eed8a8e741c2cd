"""The command `import-legacy`: what praisonai kept in JSON files and in state stores."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import redis

from praison_persist.config import create_state_store
from praison_persist.connect import connect
from praison_persist.errors import ConfigurationError
from praison_persist.models import ConversationSession
from praison_persist.sql.stores import SQLConversationStore
from praison_persist.transfer import import_runs
from tests.state.services import namespace, own_redis

from .conversations import Program


@pytest.fixture
def sessions(tmp_path: Path) -> Path:
    """A folder as praisonaiagents' DefaultSessionStore keeps it."""
    folder = tmp_path / "sessions"
    folder.mkdir()
    for name in ("one", "two"):
        messages = [{"role": "user", "content": f"I am {name}", "timestamp": 1.0, "metadata": {}}]
        data = {
            "session_id": name,
            "messages": messages,
            "created_at": "2026-01-01T00:00:00+00:00",
            "updated_at": "2026-01-01T00:00:00+00:00",
            "agent_name": "Ann",
        }
        (folder / f"{name}.json").write_text(json.dumps(data))
    return folder


def fill_runs(url: str, **options: Any) -> None:
    """Store what praisonai's adapter stores: three runs, one of an unknown session, one trace."""
    with create_state_store(url.partition(":")[0], url, **options) as store:
        for number, run_id in enumerate(("b", "a")):
            store.set(
                f"run:s:{run_id}",
                {
                    "run_id": run_id,
                    "session_id": "s",
                    "started_at": 100.0 + number,
                    "input_content": "question",
                    "status": "running",
                    "metadata": {"agent_name": "Ann"},
                },
            )
        ended = {"ended_at": 105.0, "output_content": "answer", "status": "completed"}
        store.set("run:s:b", store.get("run:s:b") | ended | {"metrics": {"duration_ms": 5.0}})
        store.set("run:gone:r", {"run_id": "r", "session_id": "gone", "started_at": 1.0})
        store.set(
            "trace:t",
            {
                "trace_id": "t",
                "session_id": "s",
                "run_id": "b",
                "started_at": 100.0,
                "status": "ok",
                "spans": [],
                "metadata": {},
            },
        )
        for number, name in enumerate(("second", "first")):
            store.set(
                f"span:{name}",
                {
                    "span_id": name,
                    "trace_id": "t",
                    "name": name,
                    "parent_span_id": None,
                    "started_at": 102.0 - number,
                    "status": "ok",
                    "attributes": {"n": number},
                    "events": [],
                },
            )
        store.set("agent:s", {"agent_name": "Ann"})
        store.set("run:odd", "no run")


def test_sessions_of_a_folder_are_stored(program: Program, sessions: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/own.db"
    assert program.json("import-legacy", sessions, "--url", url)["imported"] == 2
    found = program.json("sessions", "show", "one", "--url", url)
    assert [each["content"] for each in found["messages"]] == ["I am one"]
    assert program("import-legacy", sessions, "--url", url) == 0
    assert "0 sessions stored, 2 not" in program.out
    assert program.json("sessions", "show", "one", "--url", url) == found


def test_what_is_no_folder_is_said(program: Program, sessions: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/own.db"
    assert "no folder" in program.fails(1, "import-legacy", tmp_path / "no", "--url", url)
    assert not (tmp_path / "own.db").exists()
    assert "SQL" in program.fails(1, "import-legacy", sessions, "--url", f"json:{tmp_path}/j")
    assert "--dry-run" in program.fails(1, "import-legacy", sessions, "--dry-run", "--url", url)


def test_runs_and_traces_are_stored_in_the_order_they_began(
    program: Program, tmp_path: Path
) -> None:
    state, url = f"sqlite:///{tmp_path}/state.db", f"sqlite:///{tmp_path}/own.db"
    fill_runs(state)
    with SQLConversationStore(tmp_path / "own.db") as store:
        store.create_session(ConversationSession("s"))
        assert program("import-legacy", state, "--url", url, "--dry-run") == 1
        assert "3 runs found, 0 stored" in program.out
        assert store.runs.get_runs("s") == []

        for stored in (2, 0):
            assert program("import-legacy", state, "--url", url) == 1
            assert f"3 runs found, {stored} stored" in program.out
            assert "1 runs without a session left out" in program.out
        newest, oldest = store.runs.get_runs("s")
        assert (newest.run_id, newest.status) == ("a", "interrupted")
        assert (oldest.run_id, oldest.status, oldest.output_content) == ("b", "completed", "answer")
        assert (oldest.started_at, oldest.ended_at) == (100.0, 105.0)
        assert oldest.metrics == {"duration_ms": 5.0}
        (trace,) = store.runs.get_traces("s")
        assert [span.name for span in trace.spans] == ["first", "second"]
        assert store.runs.running("s") == []


def test_runs_of_redis_are_stored_in_another_state_store(tmp_path: Path) -> None:
    with namespace() as (redis, prefix):
        fill_runs(redis, prefix=prefix)
        conversations = connect(f"json:{tmp_path}/folder", None, {})
        with create_state_store("redis", redis, prefix=prefix) as state:
            with pytest.raises(ConfigurationError, match="messages only"):
                import_runs(state, conversations)
            conversations.use_state(create_state_store("memory"))
            conversations.sync_conversation.create_session(ConversationSession("s"))
            try:
                report = import_runs(state, conversations)
                assert report.written == {"runs": 2, "traces": 1}
                assert conversations.sync_runs is not None
                assert [r.run_id for r in conversations.sync_runs.get_runs("s")] == ["a", "b"]
            finally:
                conversations.close()


def test_keys_that_praisonai_wrote_to_redis_are_read(program: Program, tmp_path: Path) -> None:
    """They are strings, as praisonai 4.7.19 writes them; this package keeps hashes there."""
    times = {"started_at": 1795309856.9, "ended_at": 1795309857.0}
    own = {"session_id": "s", "run_id": "r"}
    keys: dict[str, dict[str, Any]] = {
        "run:s:r": {**own, **times, "input_content": "q", "status": "completed", "metadata": {}},
        "trace:t": {**own, **times, "trace_id": "t", "status": "ok", "spans": [], "metadata": {}},
        "span:p": {**times, "span_id": "p", "trace_id": "t", "name": "llm", "status": "ok"},
    }
    url = f"sqlite:///{tmp_path}/own.db"
    with SQLConversationStore(url) as store, own_redis(tmp_path / "redis") as server:
        store.create_session(ConversationSession("s"))
        with redis.Redis.from_url(server.url) as client:
            for key, value in keys.items():
                client.set(f"praison:{key}", json.dumps(value))
        assert program("import-legacy", server.url, "--url", url) == 0, program.err
        (run,), (trace,) = store.runs.get_runs("s"), store.runs.get_traces("s")
    assert (run.input_content, run.status) == ("q", "completed")
    assert [span.name for span in trace.spans] == ["llm"]
