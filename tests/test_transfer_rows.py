"""Long sessions with runs, forks and snapshots are copied by pages, from SQL to SQL."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import sqlalchemy as sa

from praison_persist import SQLSessionStore
from praison_persist.config import create_conversation_store
from praison_persist.errors import ConflictError
from praison_persist.models import (
    ConversationMessage,
    ConversationSession,
    Run,
    Span,
    ToolCall,
    Trace,
)
from praison_persist.sql.schema import Tables
from praison_persist.sql.stores import SQLConversationStore
from praison_persist.transfer import Checkpoint, Progress, copy_conversations

from .programs import environment
from .servers import empty

SMALL: dict[str, Any] = {"page": 7, "whole_up_to": 0}


def fill(store: SQLConversationStore, session_id: str, messages: int, runs: int) -> None:
    """Store a session with messages, and runs each with a tool call, a trace and a span."""
    store.create_session(ConversationSession(session_id, "u", "a", "name", {"k": 1}, {"z": 1}))
    for start in range(0, messages, 5000):
        part = range(start, min(start + 5000, messages))
        store.add_messages(
            session_id,
            [ConversationMessage(id=f"m{i}", role="user", content="x" * 300) for i in part],
        )
    for number in range(runs):
        add_run(store, session_id, number)


def add_run(store: SQLConversationStore, session_id: str, number: int) -> None:
    run_id, trace_id = f"r{number}", f"{session_id}-t{number}"
    store.runs.start_run(Run(run_id, session_id, "agent", input_content="q"))
    store.runs.end_run(session_id, run_id, output_content="a", metrics={"duration_ms": 5.0})
    store.runs.add_tool_call(
        ToolCall("f", {"x": 1}, id=f"c{number}", session_id=session_id, run_id=run_id)
    )
    spans = [Span(f"p{number}", trace_id, "llm", attributes={"prompt_tokens": 3})]
    store.runs.add_trace(Trace(trace_id, session_id, run_id, spans=spans))


def branch(url: str) -> list[str]:
    """Fork, revert, snapshot and annotate the session "s"; return the ids of all sessions."""
    with SQLSessionStore(url) as sessions:
        sessions.create_snapshot("s", label="before")
        sessions.set_runtime_state("s", "native", "t", {"n": 1})
        fork = sessions.fork_session("s", from_message_index=19, title="fork")
        sessions.add_assistant_message(fork, "of the fork")
        deeper = sessions.fork_session(fork, from_message_index=9)
        sessions.add_user_message(deeper, "of the deeper one")
        sessions.revert_to_message("s", 24)
        sessions.add_user_message("s", "after the revert")
        return ["s", fork, deeper]


@pytest.fixture
def source(tmp_path: Path) -> str:
    """The URL of a database with a session of 30 messages and 10 runs, and its forks."""
    url = f"sqlite:///{tmp_path}/source.db"
    with SQLConversationStore(url) as store:
        fill(store, "s", 30, 10)
    branch(url)
    return url


@pytest.fixture(params=["sqlite", "postgres", "mariadb"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/target.db"
        return
    url: str = request.getfixturevalue(f"{request.param}_database")
    yield url
    empty(url)


def dumps(url: str) -> dict[str, Any]:
    """Return all that there is, by session; what a session shows of others is its own."""
    with SQLConversationStore(url) as store:
        ids = [session.session_id for session in store.list_sessions(limit=None)]
        return {session_id: store.dump_session(session_id) for session_id in ids}


def test_runs_forks_and_snapshots_are_copied_as_they_are(source: str, target: str) -> None:
    report = copy_conversations(source, target, verify=True, **SMALL)
    assert report.is_fine, report.differences
    assert report.written == report.found
    assert dumps(target) == dumps(source)
    with SQLSessionStore(source) as own, SQLSessionStore(target) as other:
        for session_id in dumps(source):
            assert other.get_chat_history(session_id) == own.get_chat_history(session_id)
        assert other.as_of("s", seq=30) == own.as_of("s", seq=30)
    assert copy_conversations(source, target, **SMALL).written == {"messages": 0, "sessions": 0}


def test_what_came_later_is_added_and_replaced(source: str, target: str) -> None:
    copy_conversations(source, target, **SMALL)
    with SQLConversationStore(source) as store:
        store.add_message("s", ConversationMessage(id="new", role="user"))
        add_run(store, "s", 10)
        store.runs.end_run("s", "r3", status="error")
    report = copy_conversations(source, target, verify=True, **SMALL)
    assert report.is_fine, report.differences
    assert report.written == {"messages": 1, "sessions": 0}
    assert dumps(target) == dumps(source)


@pytest.mark.parametrize("ends", [("sync", "async"), ("async", "sync"), ("async", "async")])
def test_stores_of_any_colour_are_copied(
    source: str, tmp_path: Path, ends: tuple[str, str]
) -> None:
    other = f"sqlite:///{tmp_path}/target.db"
    stores = [
        create_conversation_store("sqlite", url, mode=mode)
        for url, mode in zip((source, other), ends, strict=True)
    ]
    try:
        assert copy_conversations(*stores, verify=True, **SMALL).is_fine
    finally:
        for store, mode in zip(stores, ends, strict=True):
            closing = store.close()
            if mode == "async":
                asyncio.run(closing)
    assert dumps(other) == dumps(source)


def test_a_copy_of_messages_alone_is_replaced_by_one_of_all(source: str, tmp_path: Path) -> None:
    """Its messages have other numbers than in the source, where some were deleted."""
    other = f"sqlite:///{tmp_path}/target.db"
    with SQLConversationStore(source) as store:
        store.delete_messages("s", ["m3"])
    copy_conversations(source, other, conversation_only=True, **SMALL)
    assert copy_conversations(source, other, verify=True, **SMALL).is_fine
    assert dumps(other) == dumps(source)


def test_what_only_the_target_has_is_left(source: str, tmp_path: Path) -> None:
    other = f"sqlite:///{tmp_path}/target.db"
    copy_conversations(source, other, **SMALL)
    with SQLConversationStore(other) as store:
        add_run(store, "s", 77)
    before = dumps(other)
    with pytest.raises(ConflictError, match="more runs"):
        copy_conversations(source, other, **SMALL)
    assert dumps(other) == before


def test_a_trace_of_another_session_is_left(source: str, tmp_path: Path) -> None:
    """Ids of traces are the database's, not the session's."""
    other = f"sqlite:///{tmp_path}/target.db"
    with SQLConversationStore(other) as store:
        store.create_session(ConversationSession("other"))
        store.runs.add_trace(Trace("s-t3", "other"))
    with pytest.raises(ConflictError, match=r"'s-t3' of session 's' exists .* session 'other'"):
        copy_conversations(source, other, **SMALL)
    with SQLConversationStore(other) as store:
        assert [trace.session_id for trace in store.runs.get_traces("other")] == ["other"]


def _end(store: SQLConversationStore) -> None:
    store.runs.end_run("s", "r0", status="error")


def _call(store: SQLConversationStore) -> None:
    store.runs.add_tool_call(ToolCall("g", id="own", session_id="s"))


def _trace(store: SQLConversationStore) -> None:
    store.runs.end_trace("s-t0", status="error")


def _span(store: SQLConversationStore) -> None:
    store.runs.end_span("p0", status="error")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (_end, "session 's' has other runs"),
        (_call, "session 's' has 11 tool_calls instead of 10"),
        (_trace, "session 's' has other traces"),
        (_span, "session 's' has other spans"),
    ],
)
def test_verifying_compares_what_is_beside_the_messages(
    source: str, tmp_path: Path, change: Callable[[SQLConversationStore], None], says: str
) -> None:
    other, noted = f"sqlite:///{tmp_path}/target.db", tmp_path / "noted.json"
    assert copy_conversations(source, other, verify=True).is_fine
    with SQLConversationStore(other) as store:
        change(store)
    position = {"copied": True, "newest": 9e9}  # as if all had been copied
    checkpoint = Checkpoint(noted)
    checkpoint.save("conversation", source, other, position)
    report = copy_conversations(source, other, verify=True, checkpoint=checkpoint)
    assert report.differences == [says]


def test_verifying_compares_details_snapshots_and_what_is_hidden(
    source: str, tmp_path: Path
) -> None:
    other, noted = f"sqlite:///{tmp_path}/target.db", tmp_path / "noted.json"
    assert copy_conversations(source, other, verify=True).is_fine
    with SQLSessionStore(other) as sessions:
        sessions.set_agent_info("s", agent_name="other")
        sessions.set_runtime_state("s", "native", "t", {"n": 2})
        sessions.create_snapshot("s")
        sessions.erase_history("s")
    checkpoint = Checkpoint(noted)
    checkpoint.save("conversation", source, other, {"copied": True, "newest": 9e9})
    report = copy_conversations(source, other, verify=True, checkpoint=checkpoint)
    told = " / ".join(report.differences)
    for part in ("session_details", "runtime_states", "snapshots"):
        assert part in told


COPY = """
    import sys
    from praison_persist.transfer import Checkpoint, copy_conversations

    def told(progress):
        print(progress.done, flush=True)

    source, target, noted = sys.argv[1:]
    copy_conversations(
        source, target, checkpoint=Checkpoint(noted), on_progress=told, page=20, whole_up_to=50
    )
"""


def test_a_copy_that_was_killed_in_a_session_goes_on_in_it(target: str, tmp_path: Path) -> None:
    """Half of a reverted session shows what the whole one hides, and is no other session."""
    url, noted = f"sqlite:///{tmp_path}/source.db", tmp_path / "noted.json"
    with SQLConversationStore(url) as store:
        fill(store, "s", 3000, 30)
        fill(store, "first", 10, 0)  # written to last, so that it is copied first
    with SQLSessionStore(url) as sessions:
        sessions.fork_session("s", from_message_index=2900)
        sessions.revert_to_message("s", 1499)
    words = [sys.executable, "-c", dedent(COPY), url, target, str(noted)]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, text=True, env=environment(tmp_path), cwd=tmp_path
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) > 800:
                process.kill()
                break
    assert process.returncode == -signal.SIGKILL
    told: list[Progress] = []
    report = copy_conversations(
        url,
        target,
        checkpoint=Checkpoint(noted),
        verify=True,
        page=20,
        whole_up_to=50,
        on_progress=told.append,
    )
    assert report.is_fine, report.differences
    assert dumps(target) == dumps(url)
    assert not noted.exists()
    done = [each.done for each in told if each.phase == "copy"]
    assert done == sorted(done)


MEASURED = """
    import resource, sys
    from praison_persist.transfer import copy_conversations
    source, target = sys.argv[1:]
    report = copy_conversations(source, target, page=1000, verify=True)
    assert report.is_fine, report.differences
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def repeat_run(connection: sa.Connection, t: Tables, times: int) -> None:
    """Store a run, its tool call, trace and span again and again, in one transaction."""
    for table, ids in (
        (t.runs, ("run_id",)),
        (t.tool_calls, ("id",)),
        (t.traces, ("trace_id",)),
        (t.spans, ("trace_id", "span_id")),
    ):
        first = connection.execute(sa.select(table)).one()._asdict()
        rows = []
        for number in range(2, times + 1):
            row = first | {name: f"{first[name]}-{number}" for name in ids}
            rows.append(row | ({"seq": number} if table is t.runs else {}))
        connection.execute(sa.insert(table), rows)
    connection.execute(sa.update(t.sessions).values(last_run_seq=times))


@pytest.mark.timeout(300)
def test_memory_does_not_grow_with_the_messages_of_runs_and_forks(tmp_path: Path) -> None:
    """60,000 messages and 3,000 runs, twice over with the fork: 200 MB as objects."""

    def peak_kib(messages: int, runs: int) -> int:
        url = f"sqlite:///{tmp_path}/s{messages}.db"
        with SQLConversationStore(url, synchronous="NORMAL") as store:
            fill(store, "s", messages, 1)
            store.database.run(repeat_run, runs)
        with SQLSessionStore(url) as sessions:
            sessions.fork_session("s", from_message_index=messages - 10)
        done = subprocess.run(
            [sys.executable, "-c", dedent(MEASURED), url, f"sqlite:///{tmp_path}/t{messages}.db"],
            env=environment(tmp_path),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
        return int(done.stdout)

    assert peak_kib(60_000, 3_000) - peak_kib(6_000, 300) < 15_000
