"""What SQLSessionStore does beyond the contract of session stores."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from praison_persist.errors import (
    ConfigurationError,
    ConflictError,
    InvalidDataError,
    NotFoundError,
    UnavailableError,
)
from praison_persist.sessions import sql_open
from praison_persist.sessions.files import HierarchicalSessionStore
from praison_persist.sessions.primitives import OpenSession
from praison_persist.sessions.sql import SQLSessionStore
from praison_persist.sql.schema import Tables
from praison_persist.sql.stores import SQLConversationStore
from praison_persist.testing.contract import message, race
from tests.servers import empty


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def url(request: pytest.FixtureRequest, tmp_path: Path, sqlite_template: Path) -> Iterator[str]:
    if request.param == "sqlite":
        shutil.copy(sqlite_template, tmp_path / "test.db")
        yield f"sqlite:///{tmp_path / 'test.db'}"
        return
    name = "postgres_database" if request.param == "postgresql" else "mariadb_database"
    database: str = request.getfixturevalue(name)
    yield database
    empty(database)


@pytest.fixture
def store(url: str) -> Iterator[SQLSessionStore]:
    with SQLSessionStore(url) as store:
        yield store


@pytest.fixture
def conversations(url: str) -> Iterator[SQLConversationStore]:
    with SQLConversationStore(url) as conversations:
        yield conversations


def said(store: SQLSessionStore, session_id: str = "s", limit: int | None = 0) -> list[Any]:
    return [one["content"] for one in store.get_chat_history(session_id, limit)]


def talk(store: SQLSessionStore, words: str, session_id: str = "s") -> None:
    for word in words.split():
        assert store.add_user_message(session_id, word)


def rows(store: SQLSessionStore) -> int:
    def count(connection: sa.Connection, t: Tables) -> int:
        query = sa.select(sa.func.count()).select_from(t.messages)
        return connection.execute(query).scalar_one()

    return store.database.read(count)


@contextmanager
def statements() -> Iterator[list[str]]:
    """Yield the statements that are executed meanwhile."""
    seen: list[str] = []

    def note(*arguments: Any) -> None:
        seen.append(arguments[2].strip().split()[0].upper())

    event.listen(sa.Engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(sa.Engine, "before_cursor_execute", note)


def test_both_kinds_of_store_read_what_the_other_wrote(
    store: SQLSessionStore, conversations: SQLConversationStore
) -> None:
    talk(store, "a")
    store.add_message("s", "assistant", None, tool_calls=[{"id": "c"}])
    store.add_message("s", "tool", [{"type": "text", "text": "sunny"}], tool_call_id="c")
    found = conversations.get_messages("s")
    assert [(m.role, m.content) for m in found] == [
        ("user", "a"),
        ("assistant", None),
        ("tool", "sunny"),
    ]
    conversations.add_message("s", message("b", metadata={"k": 1}))
    last = store.get_session("s").messages[-1]
    assert (last.content, last.metadata) == ("b", {"k": 1})
    store.rename_session("s", "Title")
    store.set_agent_info("s", user_id="u")
    (session,) = conversations.list_sessions(user_id="u")
    assert session.name == "Title"
    assert [one["title"] for one in store.list_sessions()] == ["Title"]


def test_content_in_parts_comes_back_as_it_went_in(store: SQLSessionStore) -> None:
    parts = [{"type": "text", "text": "hi"}, {"type": "image_url", "image_url": {"url": "x"}}]
    store.add_message("s", "user", parts, metadata={"m": 1})
    (stored,) = store.get_session("s").messages
    assert (stored.content, stored.metadata) == (parts, {"m": 1})


def test_an_append_is_the_same_few_statements_at_any_length(store: SQLSessionStore) -> None:
    talk(store, "first")
    with statements() as few:
        talk(store, "second")
    store.set_chat_history("s", [{"role": "user", "content": str(n)} for n in range(500)])
    with statements() as many:
        talk(store, "last")
    assert many == few
    assert [one for one in few if one in ("UPDATE", "INSERT")] == ["UPDATE", "INSERT"]


def test_a_fork_copies_no_message_and_reads_none(store: SQLSessionStore) -> None:
    store.set_chat_history("s", [{"role": "user", "content": str(n)} for n in range(50)])
    before = rows(store)
    child = store.fork_session("s")
    assert rows(store) == before
    assert said(store, child) == [str(n) for n in range(50)]
    store.add_user_message(child, "child")
    talk(store, "parent")
    assert said(store, child)[-2:] == ["49", "child"]
    assert said(store)[-2:] == ["49", "parent"]


def test_a_history_is_bounded_by_the_stores_max_messages(url: str) -> None:
    with SQLSessionStore(url, max_messages=2) as store:
        talk(store, "a b c d")
        assert said(store, limit=None) == ["c", "d"]
        assert said(store, limit=3) == ["b", "c", "d"]
        assert said(store, limit=0) == ["a", "b", "c", "d"]
        assert [one["content"] for one in store.get_working_history("s")] == ["c", "d"]
        assert len(store.get_session("s").messages) == 4


def test_a_working_history_reads_no_more_than_it_returns(store: SQLSessionStore) -> None:
    talk(store, "a b c")
    store.append_compaction_checkpoint("s", "so far")
    talk(store, "d e")
    found = store.get_working_history("s")
    assert [one["content"] for one in found] == ["so far", "d", "e"]
    child = store.fork_session("s")
    store.add_user_message(child, "f")
    assert [one["content"] for one in store.get_working_history(child)] == [
        *("so far", "d", "e", "f")
    ]
    early = store.fork_session("s", 1)
    assert [one["content"] for one in store.get_working_history(early)] == ["a", "b"]
    with statements() as executed:
        store.get_working_history("s", 2)
    assert executed.count("SELECT") == 2


def test_what_a_session_showed_can_be_asked_for(store: SQLSessionStore) -> None:
    history = [{"role": "user", "content": word, "timestamp": n} for n, word in enumerate("abcd")]
    store.set_chat_history("s", history)
    assert store.revert_to_message("s", 1)
    talk(store, "e")
    assert said(store) == ["a", "b", "e"]
    assert [one.content for one in store.as_of("s", time=2.5)] == ["a", "b", "c"]
    assert [one.content for one in store.as_of("s", time=1e12)] == ["a", "b", "e"]
    numbers = [[one.content for one in store.as_of("s", seq=seq)] for seq in range(9)]
    assert ["a", "b", "c", "d"] in numbers
    assert store.as_of("none", seq=3) == []
    assert store.erase_history("s") == 2
    assert [one.content for one in store.as_of("s", time=2.5)] == ["a", "b"]
    wrong: list[dict[str, Any]] = [
        {},
        {"seq": 1, "time": 1.0},
        {"seq": -1},
        {"seq": "1"},
        {"time": float("nan")},
    ]
    for bad in wrong:
        with pytest.raises(InvalidDataError):
            store.as_of("s", **bad)


def test_clearing_a_session_leaves_nothing_behind(store: SQLSessionStore) -> None:
    """Who clears a conversation expects it to be gone from the disk, too."""
    talk(store, "a secret")
    assert store.clear_session("s")
    assert (rows(store), said(store)) == (0, [])
    assert store.session_exists("s")
    talk(store, "b")
    assert said(store) == ["b"]


def test_a_partial_answer_is_one_row_until_it_is_finished(store: SQLSessionStore) -> None:
    talk(store, "question")
    for text in ("w", "wor", "words"):
        store.upsert_partial_assistant_message("s", text)
    assert rows(store) == 2
    store.upsert_partial_assistant_message("s", "words.", finalize=True)
    store.upsert_partial_assistant_message("s", "next", finalize=True)
    assert said(store) == ["question", "words.", "next"]
    store.upsert_partial_assistant_message("s", "never")
    assert store.discard_partial_assistant_message("s")
    assert rows(store) == 3


def test_a_partial_answer_that_a_fork_shows_stays_as_the_fork_saw_it(
    store: SQLSessionStore,
) -> None:
    talk(store, "question")
    store.upsert_partial_assistant_message("s", "half")
    child = store.fork_session("s")
    snapshot = store.create_snapshot("s")
    store.upsert_partial_assistant_message("s", "half and half")
    store.upsert_partial_assistant_message("s", "whole", finalize=True)
    assert said(store) == ["question", "whole"]
    assert said(store, child) == ["question", "half"]
    assert store.revert_to_snapshot("s", snapshot)
    assert said(store) == ["question", "half"]
    assert store.discard_partial_assistant_message(child)
    assert (said(store, child), said(store)) == (["question"], ["question", "half"])


def test_a_session_moves_from_files_and_back_unchanged(
    store: SQLSessionStore, tmp_path: Path
) -> None:
    files = HierarchicalSessionStore(str(tmp_path / "files"), max_messages=100, active_window=3)
    for n in range(6):
        files.add_user_message("s", f"m{n}")
        if n == 4:
            files.create_snapshot("s", "early", {"n": n})
    files.fork_session("s", 1, "fork")
    files.set_runtime_state("s", "r", "t", {"k": [1]})
    files.append_compaction_checkpoint("s", "summary")
    files.add_user_message("s", "after")
    payload = files.export_all()
    assert store.import_sessions(payload).imported == 2

    def by_id(exported: dict[str, Any]) -> list[dict[str, Any]]:
        return sorted(exported["sessions"], key=lambda one: str(one["session_id"]))

    for there, here in zip(by_id(payload), by_id(store.export_all()), strict=True):
        for snapshot in [*there["snapshots"], *here["snapshots"]]:
            snapshot["transcript"].pop("archived_messages")
        assert here == there
    again = store.import_sessions(payload)
    assert (again.imported, again.skipped_count) == (0, 2)
    assert store.import_sessions(payload, overwrite=True).imported == 2
    assert store.get_children("s") == files.get_children("s")
    assert store.clear_session("s")
    assert store.get_session("s").archived_messages == []


def test_a_failed_change_leaves_the_session_as_it_was(store: SQLSessionStore) -> None:
    talk(store, "a")
    with pytest.raises(InvalidDataError):
        store.add_message("s", "user", "x", metadata={"k": object()})
    with pytest.raises(NotFoundError):
        store.create_snapshot("none")
    assert not store.session_exists("none")
    with pytest.raises(ConflictError):
        store.create_session("s")
    with pytest.raises(InvalidDataError):
        store.fork_session("s", 1)
    assert said(store) == ["a"]
    assert store.get_children("s") == []


def test_threads_that_change_one_session_lose_nothing(store: SQLSessionStore, url: str) -> None:
    with SQLSessionStore(url) as second:

        def work(index: int) -> None:
            mine = (store, second)[index % 2]
            for n in range(3):
                mine.add_user_message("s", f"{index}-{n}")
                mine.update_session_metadata("s", **{f"k{index}-{n}": n})
                mine.set_runtime_state("s", f"r{index}", str(n), {"n": n})

        race(6, work)
    found = store.get_session("s")
    names = {f"{index}-{n}" for index in range(6) for n in range(3)}
    assert {str(one.content) for one in found.messages} == names
    assert set(found.metadata) == {f"k{name}" for name in names}
    assert {len(turns) for turns in found.runtime_state.values()} == {3}


def test_two_threads_that_begin_one_session_make_one(store: SQLSessionStore) -> None:
    race(8, lambda index: store.add_user_message("s", str(index)))
    assert sorted(said(store)) == [str(index) for index in range(8)]


def test_changes_and_appends_race_without_deadlock(store: SQLSessionStore) -> None:
    talk(store, "a b")
    over = threading.Event()

    def work(index: int) -> None:
        if index == 0:
            for _ in range(10):
                store.revert_to_message("s", 0)
                store.fork_session("s")
            over.set()
        while not over.is_set():
            store.add_user_message("s", "x")

    race(3, work)
    assert said(store)[0] == "a"
    assert len(store.get_children("s")) == 10


def test_a_change_does_not_bring_back_the_link_to_a_parent_deleted_meanwhile(
    store: SQLSessionStore,
) -> None:
    store.create_session("p")
    store.create_session("c", parent_id="p")
    read, deleted = threading.Event(), threading.Event()

    def rename(session: OpenSession) -> None:
        read.set()
        deleted.wait(1.0)  # in vain where a writer keeps all others waiting
        session.header.agent_name = "Ada"

    def change() -> None:
        store.database.run(sql_open.change_session, "c", rename, 1.0)

    def delete() -> None:
        read.wait()
        store.delete_session("p")
        deleted.set()

    works = (change, delete)
    race(2, lambda index: works[index]())
    found = store.get_extended_session("c")
    assert (found.agent_name, found.parent_id) == ("Ada", None)


def test_an_outage_raises(tmp_path: Path) -> None:
    with (
        SQLSessionStore("postgresql://nobody@127.0.0.1:1/none", max_retries=0) as store,
        pytest.raises(UnavailableError),
    ):
        store.add_user_message("s", "a")


def test_an_unknown_option_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="retention"):
        SQLSessionStore(":memory:", retention="truncate")


def test_a_store_in_memory_keeps_sessions() -> None:
    with SQLSessionStore(":memory:") as store:
        talk(store, "a")
        assert said(store, store.fork_session("s")) == ["a"]


def test_a_search_with_the_index_finds_the_same_words(
    store: SQLSessionStore, conversations: SQLConversationStore
) -> None:
    talk(store, "apple naïve", "a")
    talk(store, "pear foo-bar", "b")
    child = store.fork_session("a")
    store.revert_to_message("b", 0)

    def found(query: str) -> list[str]:
        return sorted(hit.session_id for hit in store.search(query))

    expected = {
        "APPLE": sorted(["a", child]),
        "naïve": sorted(["a", child]),
        "pear apple": sorted(["a", "b", child]),
        "foo-bar": [],
        "plum": [],
        "?!": [],
    }
    assert {query: found(query) for query in expected} == expected
    conversations.create_search_index()
    assert {query: found(query) for query in expected} == expected
    conversations.drop_search_index()


def test_a_list_counts_all_at_once(store: SQLSessionStore) -> None:
    talk(store, "a b c", "plain")
    talk(store, "a b", "reverted")
    child = store.fork_session("plain", 1)
    talk(store, "x", child)
    store.revert_to_message("reverted", 0)
    store.create_session("empty")
    with statements() as executed:
        lines = {line["session_id"]: line["message_count"] for line in store.list_sessions()}
    assert lines == {"plain": 3, child: 3, "reverted": 1, "empty": 0}
    assert executed.count("SELECT") == 3


def test_a_session_that_is_written_to_meanwhile_is_exported(url: str) -> None:
    """Of pages in the order of writes, one that moves to their front would be in none."""
    ids = [f"s{number:03}" for number in range(201)]
    clock = count(1)
    with SQLSessionStore(url, clock=lambda: float(next(clock))) as store:
        for session_id in ids:
            store.add_user_message(session_id, "hello")
        sessions = store._all()
        found = [next(sessions).session_id]
        store.add_user_message(ids[0], "once more")
        found += [one.session_id for one in sessions]
    assert sorted(found) == ids
