"""Forks and reverts of SQL sessions, seen through the conversation stores of both colours."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from praison_persist._adapt import blocking
from praison_persist.errors import ConflictError, InvalidDataError, NotFoundError
from praison_persist.models import ConversationMessage, ConversationSession, Run
from praison_persist.protocols import ConversationStore
from praison_persist.sql import conversation, history
from praison_persist.sql.conversation import messages_after
from praison_persist.sql.schema import Tables
from praison_persist.sql.stores import AsyncSQLConversationStore, SQLConversationStore
from praison_persist.testing import ReferenceConversationStore
from praison_persist.testing.contract import message, race, session
from tests.servers import empty
from tests.services.cockroach import Cockroach
from tests.services.sqld import Sqld

Views = SQLConversationStore


def contents(store: ConversationStore, session_id: str = "s") -> list[str | None]:
    return [one.content for one in store.get_messages(session_id)]


def write(store: ConversationStore, words: str, session_id: str = "s") -> list[ConversationMessage]:
    new = [message(word) for word in words.split()]
    return store.add_messages(session_id, new)


def fork(store: Views, parent: str, child: str, seq: int | None = None) -> int:
    return store.database.run(history.fork, parent, session(child), seq, 5.0)


def snap(store: Views, session_id: str, name: str, at: float = 5.0, **more: Any) -> int:
    new = history.Snapshot(name, 0, 0, None, more.get("label"), more.get("metadata"), at)
    return store.database.run(history.create_snapshot, session_id, new).seq


def rows(store: Views, session_id: str | None = None) -> int:
    """How many rows of messages are stored, shown or not."""

    def count(connection: sa.Connection, t: Tables) -> int:
        query = sa.select(sa.func.count()).select_from(t.messages)
        if session_id is not None:
            query = query.where(t.messages.c.session_id == session_id)
        return connection.execute(query).scalar_one()

    return store.database.read(count)


def ranges(store: Views) -> list[tuple[object, ...]]:
    def read(connection: sa.Connection, t: Tables) -> list[tuple[object, ...]]:
        r = t.ranges.c
        query = sa.select(r.session_id, r.at_seq, r.source_id, r.first_seq, r.last_seq)
        return [tuple(row) for row in connection.execute(query.order_by(*t.ranges.primary_key))]

    return store.database.read(read)


_SERVERS = {
    "postgresql": "postgres_database",
    "mariadb": "mariadb_database",
    "singlestore": "singlestore_database",
}


@pytest.fixture(params=["sqlite", *_SERVERS, "cockroachdb", "libsql"])
def url(request: pytest.FixtureRequest, tmp_path: Path, sqlite_template: Path) -> Iterator[str]:
    if request.param == "sqlite":
        shutil.copy(sqlite_template, tmp_path / "test.db")
        yield f"sqlite:///{tmp_path / 'test.db'}"
    elif request.param == "libsql":
        server: Sqld = request.getfixturevalue("own_sqld")
        yield server.url
    elif request.param == "cockroachdb":
        cockroach: Cockroach = request.getfixturevalue("cockroach")
        yield cockroach.url
        empty(cockroach.behind)
    else:
        database: str = request.getfixturevalue(_SERVERS[request.param])
        yield database
        empty(database)


@pytest.fixture
def store(url: str) -> Iterator[Views]:
    with SQLConversationStore(url, clock=lambda: 9.0) as store:
        store.create_session(session())
        yield store


@pytest.fixture
def other(url: str, store: Views) -> Iterator[ConversationStore]:
    """The same database in the other colour."""
    with blocking(AsyncSQLConversationStore(url), ConversationStore) as other:
        yield other


def test_a_fork_shows_its_parent_and_copies_nothing(store: Views, other: ConversationStore) -> None:
    before = write(store, "a b c")
    assert fork(store, "s", "f") == 3
    assert rows(store) == 3
    for one in (store, other):
        shown = one.get_messages("f")
        assert [(m.id, m.content, m.seq) for m in shown] == [
            (m.id, m.content, m.seq) for m in before
        ]
        assert one.count("f") == 3


def test_what_is_written_to_either_is_not_seen_by_the_other(
    store: Views, other: ConversationStore
) -> None:
    write(store, "a b")
    fork(store, "s", "f")
    write(store, "c")
    write(other, "d e", "f")
    write(store, "x")
    for one in (store, other):
        assert contents(one) == ["a", "b", "c", "x"]
        assert contents(one, "f") == ["a", "b", "d", "e"]
        assert [m.content for m in one.get_messages("f", limit=3)] == ["b", "d", "e"]
        assert [m.content for m in one.get_messages("f", limit=1)] == ["e"]
        assert one.count("f") == 4


def test_pages_run_across_the_fork_both_ways(store: Views, other: ConversationStore) -> None:
    write(store, "a b c")
    fork(store, "s", "f", 2)
    write(store, "d e", "f")
    for one in (store, other):
        for backward in (False, True):
            found: list[str | None] = []
            cursor: str | None = None
            while True:
                page = one.page_messages("f", limit=1, cursor=cursor, backward=backward)
                words = [m.content for m in page.messages]
                found = words + found if backward else found + words
                cursor = page.next_cursor
                if cursor is None:
                    break
            assert found == ["a", "b", "d", "e"]


def test_a_fork_of_part_and_of_nothing(store: Views) -> None:
    write(store, "a b c")
    assert fork(store, "s", "half", 1) == 1
    assert fork(store, "s", "none", 0) == 0
    assert fork(store, "s", "all", 99) == 3
    assert contents(store, "half") == ["a"]
    assert contents(store, "none") == []
    assert contents(store, "all") == ["a", "b", "c"]
    write(store, "n", "none")
    assert contents(store, "none") == ["n"]


def test_a_fork_of_a_fork(store: Views) -> None:
    write(store, "a b")
    fork(store, "s", "f")
    write(store, "c d", "f")
    fork(store, "f", "g", 3)
    write(store, "e", "g")
    fork(store, "g", "h")
    write(store, "x")
    write(store, "x", "f")
    assert contents(store, "g") == ["a", "b", "c", "e"]
    assert contents(store, "h") == ["a", "b", "c", "e"]
    assert {row[2] for row in ranges(store) if row[0] == "h"} == {"s", "f", "g", "h"}


def test_a_fork_of_no_session_or_to_one_that_exists_changes_nothing(store: Views) -> None:
    write(store, "a")
    with pytest.raises(NotFoundError, match="'none'"):
        fork(store, "none", "f")
    store.create_session(session("f"))
    write(store, "mine", "f")
    with pytest.raises(ConflictError, match="'f'"):
        fork(store, "s", "f")
    with pytest.raises(InvalidDataError):
        fork(store, "s", "f", -1)
    assert contents(store, "f") == ["mine"]
    assert ranges(store) == []


def test_deleting_the_parent_leaves_its_forks_whole(store: Views, other: ConversationStore) -> None:
    shown = [(m.id, m.seq, m.content) for m in write(store, "a b c")]
    fork(store, "s", "f", 2)
    write(store, "d", "f")
    fork(store, "f", "g")
    assert other.delete_session("s")
    assert store.get_session("s") is None
    for name in ("f", "g"):
        assert contents(store, name) == ["a", "b", "d"]
        assert [(m.id, m.seq, m.content) for m in other.get_messages(name)][:2] == shown[:2]
    assert rows(store) == 5
    write(store, "e", "g")
    assert store.delete_session("f")
    assert contents(store, "g") == ["a", "b", "d", "e"]
    assert rows(store) == 4
    assert store.delete_session("g")
    assert (rows(store), ranges(store)) == (0, [])


def test_messages_deleted_from_the_parent_stay_in_its_fork(store: Views) -> None:
    a, b, _ = write(store, "a b c")
    fork(store, "s", "f", 2)
    assert store.delete_messages("s", [b.id, "none"]) == 1
    assert contents(store) == ["a", "c"]
    assert contents(store, "f") == ["a", "b"]
    assert store.delete_messages("s") == 2
    assert contents(store, "f") == ["a", "b"]
    assert store.delete_messages("f", [a.id]) == 1
    assert contents(store, "f") == ["b"]


def test_deleting_what_no_fork_shows_copies_nothing(store: Views) -> None:
    *_, c = write(store, "a b c")
    fork(store, "s", "f", 2)
    assert store.delete_messages("s", [c.id]) == 1
    assert rows(store) == 2


def test_messages_deleted_from_a_fork_stay_in_its_parent(store: Views) -> None:
    a, *_ = write(store, "a b")
    fork(store, "s", "f")
    write(store, "c", "f")
    assert store.delete_messages("f", [a.id]) == 1
    assert contents(store, "f") == ["b", "c"]
    assert store.delete_messages("f") == 2
    assert contents(store, "f") == []
    assert store.count("f") == 0
    assert contents(store) == ["a", "b"]
    assert (rows(store), ranges(store)) == (2, [])
    write(store, "d", "f")
    assert contents(store, "f") == ["d"]


def test_a_revert_hides_and_is_undone_by_another(store: Views, other: ConversationStore) -> None:
    run = store.database.run
    write(store, "a b c")
    seq = snap(store, "s", "snap", label="label", metadata={"k": [1]})
    write(store, "d e")
    later = snap(store, "s", "later", 6.0)
    run(history.revert, "s", 2, 7.0)
    assert contents(other) == ["a", "b"]
    write(other, "f")
    assert contents(store) == ["a", "b", "f"]
    run(history.revert, "s", later, 8.0)
    assert contents(store) == ["a", "b", "c", "d", "e"]
    run(history.revert, "s", seq, 8.0)
    assert contents(other) == ["a", "b", "c"]
    assert rows(store) == 6
    found = store.database.read(history.get_snapshots, "s")
    assert found == [
        ("snap", seq, 3, None, "label", {"k": [1]}, 5.0),
        ("later", later, 5, None, None, None, 6.0),
    ]


def test_what_a_session_showed_is_told_by_number_and_by_time(store: Views) -> None:
    run, read = store.database.run, store.database.read
    for at, word in enumerate("abcd", 1):
        store.add_message("s", message(word, created_at=float(at)))
    run(history.revert, "s", 2, 5.0)
    store.add_message("s", message("e", created_at=6.0))
    run(history.fork, "s", session("f"), None, 7.0)
    store.add_message("f", message("g", created_at=8.0))
    expected = {0.5: "", 1.0: "a", 4.5: "abcd", 5.0: "ab", 6.0: "abe", 99.0: "abe"}
    for time, words in expected.items():
        seq = read(history.seq_at_time, "s", time)
        assert [m.content for m in read(history.messages_as_of, "s", seq)] == list(words)
    for time, words in {1.0: "a", 6.5: "abe", 8.0: "abeg"}.items():
        seq = read(history.seq_at_time, "f", time)
        assert [m.content for m in read(history.messages_as_of, "f", seq)] == list(words)
    assert contents(store, "f") == list("abeg")


def test_an_index_is_one_of_what_is_shown(store: Views) -> None:
    write(store, "a b c d")
    store.database.run(history.revert, "s", 2, 5.0)
    write(store, "e f")
    fork(store, "s", "g")
    write(store, "h", "g")
    found = [store.database.read(history.seq_at_index, "g", index) for index in range(6)]
    assert found == [1, 2, 6, 7, 8, None]


def test_clearing_erases_what_nothing_else_shows(store: Views) -> None:
    run = store.database.run
    write(store, "a b c d e f")
    fork(store, "s", "f", 2)
    run(history.revert, "s", 4, 5.0)
    snap(store, "s", "snap")
    run(history.clear, "s", 7.0)
    assert contents(store) == []
    assert rows(store) == 4  # the snapshot shows them, two of them the fork
    assert contents(store, "f") == ["a", "b"]
    write(store, "g")
    assert contents(store) == ["g"]
    (snapshot,) = store.database.read(history.get_snapshots, "s")
    run(history.revert, "s", snapshot.seq, 8.0)
    assert contents(store) == ["a", "b", "c", "d"]
    run(history.clear, "f", 9.0)
    assert (contents(store, "f"), rows(store)) == ([], 5)


def test_a_cleared_session_without_snapshots_is_plain_again(store: Views) -> None:
    write(store, "a b")
    store.database.run(history.clear, "s", 5.0)
    assert (rows(store), ranges(store)) == (0, [])
    write(store, "c")
    assert contents(store) == ["c"]


def test_erasing_removes_what_reverts_hid(store: Views) -> None:
    write(store, "a b c")
    store.database.run(history.revert, "s", 1, 5.0)
    write(store, "d")
    assert store.database.run(history.erase_history, "s") == 2
    assert store.database.run(history.erase_history, "s") == 0
    assert contents(store) == ["a", "d"]
    assert rows(store) == 2


def test_a_run_has_the_messages_that_the_session_shows(store: Views) -> None:
    store.runs.start_run(Run(run_id="r", session_id="s"))
    store.add_messages("s", [message("a", run_id="r"), message("b", run_id="r")])
    fork(store, "s", "f")
    store.runs.start_run(Run(run_id="r2", session_id="f"))
    store.add_message("f", message("c", run_id="r2"))
    store.database.run(history.revert, "s", 1, 5.0)
    (run,) = store.runs.get_runs("s")
    assert [m.content for m in run.messages] == ["a"]
    (forked,) = store.runs.get_runs("f")
    assert [m.content for m in forked.messages] == ["c"]
    found = store.runs.find_runs("f", ["r", "r2", "none"])
    assert {run_id: run.session_id for run_id, run in found.items()} == {"r": "s", "r2": "f"}
    after = store.database.read(messages_after, "f", 1)
    assert [m.content for m in after] == ["b", "c"]


def test_a_dump_of_a_fork_is_whole_and_loads_back_exactly(store: Views) -> None:
    write(store, "a b c")
    fork(store, "s", "f", 2)
    write(store, "d e", "f")
    snap(store, "f", "snap", label="x", metadata={})
    store.database.run(history.revert, "f", 3, 6.0)
    shown = store.get_messages("f")
    dump = store.dump_session("f")
    assert dump is not None
    dump = json.loads(json.dumps(dump))
    store.delete_session("f")
    store.delete_session("s")
    assert store.load_session(dump) == "f"
    assert store.load_session(dump) == "f"
    assert store.get_messages("f") == shown
    assert store.dump_session("f") == dump
    (snapshot,) = store.database.read(history.get_snapshots, "f")
    found = store.database.read(history.messages_as_of, "f", snapshot.seq)
    assert [m.content for m in found] == ["a", "b", "d", "e"]


def test_a_message_that_a_fork_wrote_again_is_dumped_once(store: Views) -> None:
    """A dump with an id twice is one that no store loads."""
    a, b = write(store, "a b")
    fork(store, "s", "c")
    c, _ = store.add_messages("c", [message("c"), b])
    dump = store.dump_session("c")
    assert dump is not None
    store.delete_session("c")
    store.load_session(dump)
    assert [one.id for one in store.get_messages("c")] == [a.id, c.id, b.id]
    assert store.dump_session("c") == dump


def test_a_revert_to_behind_the_end_hides_nothing_and_shows_nothing_twice(store: Views) -> None:
    write(store, "a b")
    store.database.run(history.revert, "s", 100, 6.0)
    write(store, "c")
    assert contents(store) == ["a", "b", "c"]


def test_a_dump_with_a_view_that_is_none_is_refused(store: Views) -> None:
    write(store, "a b")
    store.database.run(history.revert, "s", 1, 5.0)
    dump = store.dump_session("s")
    assert dump is not None
    store.delete_session("s")
    changes: tuple[dict[str, Any], ...] = (
        {"ranges": []},
        {"ranges": [{}]},
        {"session": dump["session"] | {"view_seq": "x"}},
        {"ranges": [dump["ranges"][0] | {"first_seq": "x"}]},
    )
    for change in changes:
        with pytest.raises(InvalidDataError):
            store.load_session(dump | change)
    assert store.get_session("s") is None


def test_a_plain_session_has_a_plain_dump(store: Views) -> None:
    """Dumps of other backends, and of releases before views, have no such keys."""
    write(store, "a")
    dump = store.dump_session("s")
    assert dump is not None
    assert set(dump) == {
        *("format", "session", "messages", "runs", "tool_calls", "traces", "spans")
    }
    assert "view_seq" not in dump["session"]


def test_threads_that_fork_and_append_agree(store: Views, other: ConversationStore) -> None:
    """A fork shows the parent's messages up to one moment, without holes."""
    write(store, "0")

    def work(index: int) -> list[str | None]:
        if index % 2:
            return [one.content for one in write(other, f"a{index} b{index}")]
        fork(store, "s", f"f{index}")
        write(other, f"own{index}", f"f{index}")
        return contents(other, f"f{index}")

    found = race(16, work)
    parent = contents(store)
    assert len(parent) == 17
    for index in range(0, 16, 2):
        *inherited, own = found[index]
        assert own == f"own{index}"
        assert inherited == parent[: len(inherited)]
        assert contents(store, f"f{index}") == found[index]


def test_forking_while_the_parent_is_deleted_loses_nothing(
    store: Views, other: ConversationStore
) -> None:
    """A fork whose parent goes at the same time shows everything, or does not exist."""
    for turn in range(4):
        write(store, "a b c")

        def work(index: int, turn: int = turn) -> bool:
            if index == 0:
                return other.delete_session("s")
            try:
                fork(store, "s", f"f{turn}-{index}")
            except NotFoundError:
                return False
            fork(store, f"f{turn}-{index}", f"g{turn}-{index}")
            return True

        forked = race(5, work)
        for index in range(1, 5):
            if forked[index]:
                assert contents(other, f"f{turn}-{index}") == ["a", "b", "c"]
                assert contents(other, f"g{turn}-{index}") == ["a", "b", "c"]
        store.create_session(ConversationSession(session_id="s"))


def test_deleting_a_fork_and_its_parent_at_once_is_no_deadlock(
    store: Views, caplog: pytest.LogCaptureFixture
) -> None:
    """The parent's deletion must wait for the fork's before it locks what that locks later."""
    write(store, "a b")
    for parent, child, created_at in (("s", "c", 10.0), ("c", "b", 11.0)):
        new = replace(session(child), created_at=created_at)
        store.database.run(history.fork, parent, new, None, created_at)
    begun = threading.Event()

    def delete_fork(connection: sa.Connection, t: Tables) -> bool:
        conversation.lock_session(connection, t, "c")
        begun.set()
        ended.wait(1.0)  # long enough for the other to lock what it locks first
        return conversation.delete_session(connection, t, "c")

    def delete_parent() -> bool:
        begun.wait()
        try:
            return store.delete_session("s")
        finally:
            ended.set()

    ended = threading.Event()
    works = (lambda: store.database.run(delete_fork), delete_parent)
    with caplog.at_level("WARNING"):
        assert race(2, lambda index: works[index]()) == [True, True]
    # CockroachDB has one of two that overlap begin again, whatever they lock first.
    assert not caplog.records or store.database.target.dialect.name == "cockroachdb"
    assert contents(store, "b") == ["a", "b"]
    assert rows(store) == 2


def test_a_search_finds_what_is_shown_where_it_is_shown(
    store: Views, other: ConversationStore
) -> None:
    def found(query: str, session_id: str | None = None) -> list[tuple[str, int]]:
        answers = []
        for one in (store, other):
            hits = one.search_messages(query, session_id=session_id)
            answers.append(sorted((hit.session_id, hit.seq) for hit in hits))
        assert answers[0] == answers[1]
        return answers[0]

    write(store, "apple pear plum")
    fork(store, "s", "f", 2)
    write(store, "apple", "f")
    store.database.run(history.revert, "s", 1, 5.0)
    assert found("apple") == [("f", 3), ("s", 1)]
    assert found("apple", "f") == [("f", 1), ("f", 3)]
    assert found("pear") == [("f", 2)]  # hidden in its own session
    assert found("pear", "s") == []
    assert found("pear", "f") == [("f", 2)]
    assert found("plum") == []
    has_index = store.database.target.dialect.name in ("sqlite", "libsql", "postgresql", "mysql")
    if has_index:
        store.create_search_index()
    assert found("apple") == [("f", 3), ("s", 1)]
    assert found("pear", "f") == [("f", 2)]
    store.delete_session("s")
    assert found("apple") == [("f", 1), ("f", 3)]
    if has_index:
        store.drop_search_index()


def test_a_dump_shows_stores_without_views_what_is_shown(store: Views) -> None:
    """What was reverted or cleared comes back where a dump is loaded into another database."""
    write(store, "a b c")
    fork(store, "s", "f", 2)
    store.database.run(history.revert, "s", 1, 5.0)
    write(store, "d")
    reference = ReferenceConversationStore()
    for name, words in {"s": ["a", "d"], "f": ["a", "b"]}.items():
        dump = store.dump_session(name)
        assert dump is not None
        reference.load_session(dump)
        assert contents(reference, name) == words
