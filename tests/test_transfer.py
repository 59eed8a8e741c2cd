"""Copies are equal, go on where they were interrupted, and never lose anything silently."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from praison_persist.config import (
    create_conversation_store,
    create_knowledge_store,
    detect_backend,
)
from praison_persist.config import create_state_store as state_store
from praison_persist.errors import (
    ConfigurationError,
    ConflictError,
    InvalidDataError,
    UnsupportedError,
)
from praison_persist.models import (
    ConversationMessage,
    ConversationSession,
    KnowledgeDocument,
    Run,
    Span,
    ToolCall,
    Trace,
)
from praison_persist.protocols import ConversationStore
from praison_persist.sql.stores import SQLConversationStore
from praison_persist.transfer import (
    Checkpoint,
    Progress,
    copy_conversations,
    copy_knowledge,
    copy_state,
)

from .programs import environment
from .servers import empty
from .state.services import namespace

MESSAGES = [
    ConversationMessage(id="m1", role="user", content="a\x00b 😀", metadata={"n": 1.0, "b": True}),
    ConversationMessage(
        id="m2",
        role="assistant",
        content=None,
        tool_calls=[{"id": "k", "function": {"name": "f", "arguments": "{}"}}],
        created_at=1_700_000_000.125,
    ),
    ConversationMessage(id="m3", role="tool", content="", tool_call_id="k", run_id="r"),
]


def fill(store: ConversationStore, sessions: int = 3, messages: int = 0) -> None:
    """Store sessions with some messages of every kind, and `messages` more."""
    for number in range(sessions):
        session_id = f"s{number}"
        store.create_session(
            ConversationSession(
                session_id, "u", "a", f"name {number}", {"k": [1]}, {"z": 1, "a": None}
            )
        )
        more = [ConversationMessage(id=f"x{i}", role="user", content="x") for i in range(messages)]
        store.add_messages(session_id, [*MESSAGES, *more])


def add_runs(store: SQLConversationStore, session_id: str) -> None:
    store.runs.start_run(Run("r", session_id, "agent", input_content="q"))
    store.runs.end_run(session_id, "r", output_content="a", metrics={"duration_ms": 5.0})
    store.runs.add_tool_call(ToolCall("f", {"x": 1}, id="c", session_id=session_id, run_id="r"))
    spans = [Span("p", f"t-{session_id}", "llm", attributes={"prompt_tokens": 3})]
    store.runs.add_trace(Trace(f"t-{session_id}", session_id, "r", spans=spans))


@pytest.fixture
def source(tmp_path: Path) -> Iterator[SQLConversationStore]:
    with SQLConversationStore(tmp_path / "source.db") as store:
        fill(store)
        yield store


@pytest.fixture(params=["sqlite", "json", "postgres"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty place."""
    if request.param == "postgres":
        database = request.getfixturevalue("postgres_database")
        yield database
        empty(database)
    else:
        yield (
            f"sqlite:///{tmp_path}/target.db" if request.param == "sqlite" else f"json:{tmp_path}/t"
        )


def contents(url: str) -> list[Any]:
    """Return all sessions and messages of a place, but what every place has of its own."""
    with create_conversation_store(detect_backend(url), url) as store:
        found = []
        for session in store.list_sessions(limit=None):
            messages = [m.to_dict() | {"seq": None} for m in store.get_messages(session.session_id)]
            found.append((session.to_dict() | {"updated_at": 0, "version": 0}, messages))
    return sorted(found, key=lambda each: str(each[0]["session_id"]))


@pytest.mark.parametrize("whole_up_to", [0, 5000])
def test_a_copy_has_all_sessions_and_messages_as_they_were(
    source: SQLConversationStore, target: str, tmp_path: Path, whole_up_to: int
) -> None:
    report = copy_conversations(source, target, verify=True, page=2, whole_up_to=whole_up_to)
    assert report.is_fine, report.differences
    assert report.verified
    assert report.found == report.written == {"sessions": 3, "messages": 9}
    assert contents(target) == contents(f"sqlite:///{tmp_path}/source.db")


def test_a_copy_and_its_copy_back_are_one(
    source: SQLConversationStore, target: str, tmp_path: Path
) -> None:
    copy_conversations(source, target)
    back = f"sqlite:///{tmp_path}/back.db"
    report = copy_conversations(target, back, verify=True)
    assert report.is_fine
    assert contents(back) == contents(f"sqlite:///{tmp_path}/source.db")


def test_a_second_copy_writes_nothing(source: SQLConversationStore, target: str) -> None:
    copy_conversations(source, target)
    before = contents(target)
    report = copy_conversations(source, target, verify=True)
    assert report.is_fine
    assert not report.written.total()
    assert contents(target) == before


def test_a_second_copy_appends_what_is_new(source: SQLConversationStore, target: str) -> None:
    copy_conversations(source, target)
    source.add_message("s1", ConversationMessage(id="new", role="user", content="more"))
    source.create_session(ConversationSession("s9"))
    report = copy_conversations(source, target, verify=True)
    assert report.is_fine
    assert report.written == {"sessions": 1, "messages": 1}


def test_runs_and_traces_go_from_sql_to_sql(source: SQLConversationStore, tmp_path: Path) -> None:
    add_runs(source, "s1")
    with SQLConversationStore(tmp_path / "t.db") as target:
        # None of the session's messages fit into `whole_up_to`: what it has beside them decides.
        copy_conversations(source, target, verify=True, whole_up_to=0)
        assert target.dump_session("s1") == source.dump_session("s1")
        assert target.runs.get_traces("s1") == source.runs.get_traces("s1")
        source.runs.start_run(Run("r2", "s1"))
        source.add_message("s1", ConversationMessage(id="n", role="user", run_id="r2"))
        assert copy_conversations(source, target, verify=True).is_fine
        assert target.dump_session("s1") == source.dump_session("s1")


def test_what_a_target_cannot_hold_is_refused_before_anything_is_written(
    source: SQLConversationStore, tmp_path: Path
) -> None:
    add_runs(source, "s0")
    folder = tmp_path / "t"
    with pytest.raises(UnsupportedError, match=r"'s0' of .* has runs, tool_calls, traces"):
        copy_conversations(source, f"json:{folder}")
    assert not list(folder.glob("*"))
    with pytest.raises(UnsupportedError, match="conversation_only"):
        copy_conversations(source, f"json:{folder}", dry_run=True)


def test_what_is_left_out_is_counted(source: SQLConversationStore, tmp_path: Path) -> None:
    add_runs(source, "s0")
    add_runs(source, "s1")
    url = f"json:{tmp_path}/t"
    for dry_run in (True, False):
        report = copy_conversations(
            source, url, conversation_only=True, verify=True, dry_run=dry_run
        )
        assert report.left_out == {"runs": 2, "tool_calls": 2, "traces": 2}
    assert contents(url) == contents(f"sqlite:///{tmp_path}/source.db")


def test_a_dry_run_makes_nothing(source: SQLConversationStore, tmp_path: Path) -> None:
    for url in (f"json:{tmp_path}/t", f"sqlite:///{tmp_path}/t.db"):
        report = copy_conversations(source, url, dry_run=True)
        assert report.found == {"sessions": 3, "messages": 9}
        assert report.dry_run
        assert not report.written
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("t")] == []


@pytest.mark.parametrize(
    "change",
    [
        lambda store: store.create_session(ConversationSession("s1")),
        lambda store: (
            store.create_session(ConversationSession("s1", created_at=0.0)),
            store.add_messages("s1", MESSAGES),
        ),
    ],
)
def test_another_session_of_the_same_id_is_not_touched(
    source: SQLConversationStore,
    tmp_path: Path,
    change: Callable[[ConversationStore], object],
) -> None:
    with SQLConversationStore(tmp_path / "t.db") as target:
        change(target)
        before = target.dump_session("s1")
        with pytest.raises(ConflictError, match=r"'s1' exists in .* with other content"):
            copy_conversations(source, target)
        assert target.dump_session("s1") == before


def test_a_longer_session_of_the_target_is_not_touched(
    source: SQLConversationStore, tmp_path: Path
) -> None:
    with SQLConversationStore(tmp_path / "t.db") as target:
        copy_conversations(source, target)
        target.add_message("s2", ConversationMessage(id="own", role="user"))
        with pytest.raises(ConflictError, match="'s2'"):
            copy_conversations(source, target)
        assert target.count("s2") == 4


def test_runs_that_only_the_target_has_are_not_replaced(
    source: SQLConversationStore, tmp_path: Path
) -> None:
    add_runs(source, "s0")
    with SQLConversationStore(tmp_path / "t.db") as target:
        copy_conversations(source, target)
        target.runs.start_run(Run("own", "s0"))
        with pytest.raises(ConflictError, match="more runs"):
            copy_conversations(source, target)
        assert [run.run_id for run in target.runs.get_runs("s0")] == ["own", "r"]


def test_verifying_tells_what_differs(source: SQLConversationStore, tmp_path: Path) -> None:
    class Forgetful(SQLConversationStore):
        """Loses the last message of a page, and says nothing."""

        def add_messages(
            self,
            session_id: str,
            messages: Sequence[ConversationMessage],
        ) -> list[ConversationMessage]:
            return super().add_messages(session_id, messages[:-1])

    with Forgetful(tmp_path / "t.db") as target:
        report = copy_conversations(source, target, verify=True, whole_up_to=0)
    assert not report.is_fine
    assert report.different == 3
    assert "session 's0' has 2 messages instead of 3" in report.differences


def test_progress_reaches_the_total(source: SQLConversationStore, target: str) -> None:
    told: list[Progress] = []
    copy_conversations(source, target, on_progress=told.append, verify=True, page=1, whole_up_to=0)
    for phase in ("copy", "verify"):
        done = [each.done for each in told if each.phase == phase]
        assert done == sorted(done)
        assert done[-1] == 9
    assert {each.total for each in told} == {9}


def test_what_is_written_meanwhile_is_copied_too(tmp_path: Path) -> None:
    """A session that is written to moves to a page that was read already."""
    with SQLConversationStore(tmp_path / "s.db") as source:
        fill(source, sessions=150)
        seen: list[str] = []

        def write(progress: Progress) -> None:
            if len(seen) == 110:  # on the second page of sessions
                source.add_message("s0", ConversationMessage(id="late", role="user"))
                source.create_session(ConversationSession("later"))
            seen.append(progress.name)

        with SQLConversationStore(tmp_path / "t.db") as target:
            report = copy_conversations(source, target, on_progress=write, verify=True)
            assert report.is_fine, report.differences
            assert target.count("s0") == 4


def test_async_stores_are_copied(source: SQLConversationStore, tmp_path: Path) -> None:
    target = create_conversation_store("json", f"json:{tmp_path}/t", "async")
    assert copy_conversations(source, target, verify=True).is_fine
    assert len(list((tmp_path / "t").iterdir())) >= 3


def test_both_ends_may_not_be_one(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/one.db"
    with pytest.raises(ConfigurationError, match="source and target"):
        copy_conversations(url, url)


@pytest.mark.parametrize("wrong", [{"page": 0}, {"page": "1"}, {"whole_up_to": -1}])
def test_arguments_are_checked(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidDataError):
        copy_conversations(":memory:", ":memory:", **wrong)


# Interrupted


COPY = """
    import sys
    from praison_persist.transfer import Checkpoint, copy_conversations
    source, target, noted = sys.argv[1:]
    def told(progress):
        print(progress.done, flush=True)
    copy_conversations(
        source, target, checkpoint=Checkpoint(noted), on_progress=told, page=20, whole_up_to=50
    )
"""


def test_a_killed_copy_goes_on_and_ends_equal(target: str, tmp_path: Path) -> None:
    url, noted = f"sqlite:///{tmp_path}/source.db", tmp_path / "noted.json"
    with SQLConversationStore(url) as source:
        fill(source, sessions=104, messages=5)
        source.create_session(ConversationSession("long"))
        many = [ConversationMessage(id=f"l{i}", role="user", content="x") for i in range(2000)]
        source.add_messages("long", many)
        source.add_message("s0", ConversationMessage(id="last", role="user"))  # now the newest one
    words = [sys.executable, "-c", dedent(COPY), url, target, str(noted)]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, text=True, env=environment(tmp_path), cwd=tmp_path
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) > 500:
                process.kill()
                break
    assert process.returncode == -signal.SIGKILL
    interrupted = contents(target)
    assert 0 < len(interrupted) < 105

    report = copy_conversations(
        url, target, checkpoint=Checkpoint(noted), verify=True, page=20, whole_up_to=50
    )
    assert report.is_fine, report.differences
    assert report.found == {"sessions": 105, "messages": 104 * 8 + 2001}
    assert report.written["messages"] < report.found["messages"]
    assert contents(target) == contents(url)
    assert not noted.exists()


def test_a_checkpoint_skips_what_was_read(tmp_path: Path) -> None:
    noted = tmp_path / "noted.json"
    with (
        SQLConversationStore(tmp_path / "s.db") as source,
        SQLConversationStore(tmp_path / "t.db") as target,
    ):
        fill(source, sessions=150)
        seen: list[str] = []

        def stop(progress: Progress) -> None:
            seen.append(progress.name)
            if len(seen) == 120:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            copy_conversations(source, target, checkpoint=Checkpoint(noted), on_progress=stop)
        assert "password" not in noted.read_text()
        again: list[str] = []
        report = copy_conversations(
            source,
            target,
            checkpoint=Checkpoint(noted),
            on_progress=lambda progress: again.append(progress.name),
        )
        assert report.found == {"sessions": 150, "messages": 450}
        assert len(set(again)) == 50


def test_a_checkpoint_of_another_copy_is_refused(
    source: SQLConversationStore, tmp_path: Path
) -> None:
    noted = tmp_path / "noted.json"
    checkpoint = Checkpoint(noted)
    checkpoint.save("conversation", "here", "there", {})
    with pytest.raises(ConfigurationError, match="from here to there"):
        copy_conversations(source, f"json:{tmp_path}/t", checkpoint=Checkpoint(noted))
    for text in ("", "[]", '{"format": "x"}'):
        noted.write_text(text)
        with pytest.raises(ConfigurationError, match="no checkpoint"):
            Checkpoint(noted)


# Memory


MEASURED = """
    import resource, sys
    from praison_persist.transfer import copy_conversations
    source, target = sys.argv[1:]
    copy_conversations(source, target, page=1000)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_memory_does_not_grow_with_the_messages(tmp_path: Path) -> None:
    """100,000 messages of 300 bytes in one session: 30 MB as text, 150 MB as objects."""

    def peak_kib(messages: int) -> int:
        url = f"sqlite:///{tmp_path}/s{messages}.db"
        with SQLConversationStore(url) as source:
            source.create_session(ConversationSession("s"))
            for start in range(0, messages, 10_000):
                part = range(start, min(start + 10_000, messages))
                source.add_messages(
                    "s",
                    [ConversationMessage(id=f"m{i}", role="user", content="x" * 300) for i in part],
                )
        done = subprocess.run(
            [sys.executable, "-c", dedent(MEASURED), url, f"sqlite:///{tmp_path}/t{messages}.db"],
            env=environment(tmp_path),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
        return int(done.stdout)

    assert peak_kib(100_000) - peak_kib(6_000) < 15_000


# State


def fill_state(url: str, **options: Any) -> None:
    with state_store(url.partition(":")[0], url, **options) as store:
        store.set("plain", "text")
        store.set("none", None)
        store.set("number", 1.0)
        store.set("document", {"b": [1, True], "a": "\x00😀"})
        store.set("leaving", 1, ttl=1000)
        store.hset("both", "f", {"x": 1})
        store.set("both", 2)
        store.hset("hash", "f", None)
        store.hset("hash", "g", 1)
        store.expire("hash", 500)


def test_state_is_copied_between_sql_and_redis(tmp_path: Path) -> None:
    with namespace() as (redis, prefix):
        own, other = f"sqlite:///{tmp_path}/a.db", f"sqlite:///{tmp_path}/b.db"
        fill_state(own)
        with state_store("redis", redis, prefix=prefix) as between:
            there = copy_state(own, between, verify=True, page=2)
            back = copy_state(between, other, verify=True, page=2)
            assert copy_state(own, between).written == {}
        for report in (there, back):
            assert report.is_fine, report.differences
            assert report.found == report.written == {"keys": 7}
        with state_store("sqlite", other) as store:
            assert store.get("number") == 1.0
            assert isinstance(store.get("number"), float)
            assert store.get("document") == {"b": [1, True], "a": "\x00😀"}
            assert store.get("none", "missing") is None
            assert store.hgetall("hash") == {"f": None, "g": 1}
            assert (store.get("both"), store.hgetall("both")) == (2, {"f": {"x": 1}})
            assert 900 < (store.ttl("leaving") or 0) <= 1000
            assert 400 < (store.ttl("hash") or 0) <= 500
            assert store.ttl("plain") is None


def test_a_key_with_another_content_is_refused_or_replaced(tmp_path: Path) -> None:
    own, other = f"sqlite:///{tmp_path}/a.db", f"sqlite:///{tmp_path}/b.db"
    fill_state(own)
    with state_store("sqlite", other) as store:
        store.set("plain", "mine")
        with pytest.raises(ConflictError, match=r"'plain' .* another content"):
            copy_state(own, store)
        assert store.get("plain") == "mine"
        report = copy_state(own, store, overwrite=True, verify=True)
        assert report.is_fine
        assert store.get("plain") == "text"


def test_half_a_key_of_an_interrupted_copy_is_completed(tmp_path: Path) -> None:
    own, other = f"sqlite:///{tmp_path}/a.db", f"sqlite:///{tmp_path}/b.db"
    fill_state(own)
    with state_store("sqlite", other) as store:
        store.hset("hash", "f", None)  # without "g" and the expiry
        store.hset("both", "f", {"x": 1})
        store.set("leaving", 1)
        assert copy_state(own, store, verify=True).is_fine
        assert store.hgetall("hash") == {"f": None, "g": 1}
        assert store.ttl("hash") is not None
        assert store.ttl("leaving") is not None


def test_state_is_looked_at_and_chosen_by_prefix(tmp_path: Path) -> None:
    own, other = f"sqlite:///{tmp_path}/a.db", f"sqlite:///{tmp_path}/b.db"
    fill_state(own)
    assert copy_state(own, other, dry_run=True).found == {"keys": 7}
    assert not (tmp_path / "b.db").exists()
    assert copy_state(own, other, prefix="n").written == {"keys": 2}


def test_state_is_verified(tmp_path: Path) -> None:
    own, other = f"sqlite:///{tmp_path}/a.db", f"sqlite:///{tmp_path}/b.db"
    fill_state(own)
    noted = Checkpoint(tmp_path / "noted.json")
    where = ("state", own, other)
    noted.save(*where, {"copied": True, "cursor": None})  # as if all had been copied
    report = copy_state(own, other, verify=True, checkpoint=noted)
    assert report.different == 7
    assert "key 'plain' is missing" in report.differences


# Knowledge


def fill_knowledge(url: str) -> None:
    with create_knowledge_store("sqlite", url) as store:
        store.create_collection("first", 3, metadata={"m": 1})
        store.create_collection("second", 2, "euclidean")
        store.insert(
            "first",
            [
                KnowledgeDocument(f"d{i}", f"text {i}", [1.0, 0.25, float(i)], {"i": i})
                for i in range(1200)
            ],
        )
        store.insert("second", [KnowledgeDocument("only", "", [0.0, -2.0])])


def test_knowledge_is_copied_with_embeddings(tmp_path: Path) -> None:
    own, other = f"sqlite:///{tmp_path}/a.db", f"sqlite:///{tmp_path}/b.db"
    fill_knowledge(own)
    told: list[Progress] = []
    noted = tmp_path / "noted.json"
    report = copy_knowledge(
        own, other, verify=True, on_progress=told.append, checkpoint=Checkpoint(noted)
    )
    assert report.is_fine, report.differences
    assert report.found == report.written == {"collections": 2, "documents": 1201}
    assert told[-1].done == told[-1].total == 1201
    assert not noted.exists()
    with create_knowledge_store("sqlite", other) as store:
        found = store.get_collection("second")
        assert found is not None
        assert (found.dimension, found.distance) == (2, "euclidean")
        assert store.search("first", [1.0, 0.25, 7.0], limit=1)[0].metadata == {"i": 7}
    assert copy_knowledge(own, other).written["documents"] == 0


def test_documents_with_another_content_are_refused_or_replaced(tmp_path: Path) -> None:
    own, other = f"sqlite:///{tmp_path}/a.db", f"sqlite:///{tmp_path}/b.db"
    fill_knowledge(own)
    with create_knowledge_store("sqlite", other) as store:
        store.create_collection("second", 2, "euclidean")
        store.insert("second", [KnowledgeDocument("only", "mine", [1.0, 1.0])])
        with pytest.raises(ConflictError, match="'only'"):
            copy_knowledge(own, store)
        assert store.get("second", ["only"])[0].content == "mine"
        assert copy_knowledge(own, store, overwrite=True, verify=True).is_fine


def test_an_interrupted_copy_of_knowledge_goes_on(tmp_path: Path) -> None:
    own, other = f"sqlite:///{tmp_path}/a.db", f"sqlite:///{tmp_path}/b.db"
    fill_knowledge(own)
    noted = tmp_path / "noted.json"

    def stop(progress: Progress) -> None:
        raise KeyboardInterrupt(progress.name)

    with pytest.raises(KeyboardInterrupt):
        copy_knowledge(own, other, checkpoint=Checkpoint(noted), on_progress=stop)
    assert json.loads(noted.read_text())["copies"]["knowledge"]["position"]
    report = copy_knowledge(own, other, checkpoint=Checkpoint(noted), verify=True)
    assert report.is_fine, report.differences
    assert report.found == {"collections": 2, "documents": 1201}
