"""Folders of JSON sessions taken into a SQL database."""

from __future__ import annotations

import json
import shutil
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from praison_persist.errors import NotFoundError, UnavailableError
from praison_persist.sessions import sql_import
from praison_persist.sessions.files import HierarchicalSessionStore
from praison_persist.sessions.json_stream import parts_of
from praison_persist.sessions.sql import SQLSessionStore
from praison_persist.sql.stores import SQLConversationStore


@pytest.fixture
def url(tmp_path: Path, sqlite_template: Path) -> str:
    shutil.copy(sqlite_template, tmp_path / "test.db")
    return f"sqlite:///{tmp_path / 'test.db'}"


@pytest.fixture
def store(url: str) -> Iterator[SQLSessionStore]:
    with SQLSessionStore(url) as store:
        yield store


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "sessions"
    folder.mkdir()
    return folder


def write(folder: Path, name: str, document: Any) -> None:
    text = document if isinstance(document, str) else json.dumps(document, indent=2)
    (folder / f"{name}.json").write_text(text, "utf-8")


def said(count: int, begin: int = 0) -> list[dict[str, Any]]:
    return [
        {"role": "user", "content": f"m{n}é😀", "timestamp": float(n), "metadata": {"n": n}}
        for n in range(begin, begin + count)
    ]


def test_a_session_arrives_as_it_is(store: SQLSessionStore, folder: Path) -> None:
    files = HierarchicalSessionStore(str(folder), active_window=3)
    for n in range(6):
        files.add_user_message("user/1", f"m{n}")
    files.create_snapshot("user/1", "before")
    files.add_message("user/1", "user", [{"type": "text", "text": "parts"}])
    child = files.fork_session("user/1", 1, "Child")
    files.set_runtime_state(child, "r", "t", {"k": 1})
    files.set_gateway_info(child, "g", "ga")
    files.append_compaction_checkpoint(child, "summary")
    files.add_user_message(child, "after")
    report = store.import_json(folder)
    assert (report.imported, report.skipped) == (2, [])
    for name in ("user/1", child):
        there, here = files.get_extended_session(name), store.get_extended_session(name)
        for snapshot in there.snapshots:
            snapshot.transcript = None
        assert here == there
        assert store.get_working_history(name) == files.get_working_history(name)
    exported = store.export_all()
    again = store.import_json(str(folder))
    assert (again.imported, [skip["reason"] for skip in again.skipped]) == (
        0,
        ["already exists"] * 2,
    )
    assert store.export_all() == exported


def test_sessions_of_the_original_packages_are_read(
    store: SQLSessionStore, folder: Path, url: str
) -> None:
    original = pytest.importorskip("praisonaiagents.session.hierarchy", reason="reads its files")
    files = original.HierarchicalSessionStore(str(folder))
    files.add_user_message("s", "hello")
    files.add_assistant_message("s", "hi")
    files.create_snapshot("s", label="early")
    files.add_user_message("s", "more")
    write(
        folder,
        "c",
        {
            "session": {
                "session_id": "c",
                "user_id": "u",
                "agent_id": "a",
                "name": "Name",
                "state": {"k": 1},
                "metadata": {"m": 1},
                "created_at": 1.5,
                "updated_at": 2.5,
            },
            "messages": [
                {"id": "m1", "session_id": "c", "role": "user", "content": "x", "created_at": 1.75}
            ],
        },
    )
    write(folder, "_sessions_index", {"sessions": {}})
    report = store.import_json(folder)
    assert (report.imported, report.skipped) == (2, [])
    assert [m.content for m in store.get_session("s").messages] == ["hello", "hi", "more"]
    (snapshot,) = store.get_snapshots("s")
    assert store.revert_to_snapshot("s", snapshot.id)
    assert [m.content for m in store.get_session("s").messages] == ["hello", "hi"]
    with SQLConversationStore(url) as conversations:
        found = conversations.get_session("c")
        assert found is not None
        assert (found.user_id, found.agent_id, found.name) == ("u", "a", "Name")
        assert (found.state, found.metadata) == ({"k": 1}, {"m": 1})
        assert (found.created_at, found.updated_at) == (1.5, 2.5)
        (message,) = conversations.get_messages("c")
        assert (message.id, message.content, message.created_at) == ("m1", "x", 1.75)


def test_a_long_session_is_stored_in_batches(
    store: SQLSessionStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sql_import, "_BATCH", 7)
    document = {
        "session_id": "s",
        "messages": said(30, 10),
        "archived_messages": said(10),
        "last_compaction": {"summary": "so far", "message_index": 25},
        "created_at": "2024-01-01T00:00:00",
        "updated_at": "2024-01-02T00:00:00+00:00",
    }
    write(folder, "s", document)
    assert store.import_json(folder).imported == 1
    found = store.get_session("s")
    assert [m.to_dict() for m in found.messages] == document["messages"]
    assert [m.to_dict() for m in found.archived_messages] == document["archived_messages"]
    assert found.updated_at == "2024-01-02T00:00:00.000000+00:00"
    history = [m["content"] for m in store.get_working_history("s")]
    assert history == ["so far", *(m["content"] for m in said(5, 35))]


class Gone(Exception):  # noqa: N818 - stands for a process that ends
    """The process ends."""


@pytest.mark.parametrize("parts", range(1, 7))
def test_an_interrupted_import_is_continued(
    store: SQLSessionStore, folder: Path, monkeypatch: pytest.MonkeyPatch, parts: int
) -> None:
    """A half imported session is taken for a whole one, or its messages come twice."""
    monkeypatch.setattr(sql_import, "_BATCH", 7)
    write(folder, "s", {"session_id": "s", "messages": said(30), "archived_messages": said(9)})
    run, calls = store.database.run, 0

    def dying(op: Any, *args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > parts:
            raise Gone
        return run(op, *args, **kwargs)

    monkeypatch.setattr(store.database, "run", dying)
    with pytest.raises(Gone):
        store.import_json(folder)
    monkeypatch.setattr(store.database, "run", run)
    assert store.import_json(folder).imported == 1
    found = store.get_session("s")
    assert [m.to_dict() for m in found.messages] == said(30)
    assert [m.to_dict() for m in found.archived_messages] == said(9)
    assert store.import_json(folder).imported == 0


def test_a_file_that_contradicts_itself_leaves_nothing_behind(
    store: SQLSessionStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its first batches are stored before the message that cannot be is read."""
    monkeypatch.setattr(sql_import, "_BATCH", 2)
    messages = [
        {"id": str(n), "role": "user", "content": f"m{n}", "created_at": float(n)} for n in range(5)
    ]
    again = {**messages[0], "content": "another"}
    write(folder, "a", {"session": {"session_id": "a"}, "messages": [*messages, again]})
    for _ in range(2):
        (skipped,) = store.import_json(folder).skipped
        assert "stored with another content" in skipped["reason"]
        assert not store.session_exists("a")


def test_a_file_that_lost_messages_since_an_interrupted_import_is_not_stored_as_whole(
    store: SQLSessionStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sql_import, "_BATCH", 2)
    write(folder, "a", {"session_id": "a", "messages": said(6)})
    with monkeypatch.context() as ends, pytest.raises(Gone):
        ends.setattr(sql_import, "_finished", gone)
        store.import_json(folder)
    write(folder, "a", {"session_id": "a", "messages": said(3)})
    report = store.import_json(folder)
    assert report.imported == 0
    assert "fewer messages" in report.skipped[0]["reason"]
    write(folder, "a", {"session_id": "a", "messages": said(6)})
    assert store.import_json(folder).imported == 1
    assert len(store.get_chat_history("a", 0)) == 6


def gone(*_: Any) -> None:
    raise Gone


def test_what_cannot_be_stored_is_told_and_the_rest_is_stored(
    store: SQLSessionStore, folder: Path
) -> None:
    write(folder, "a-cut", '{"session_id": "x", "messages": [{"role": "user", "content": "y"}')
    write(folder, "b-list", [])
    write(folder, "c-empty", "")
    write(folder, "d-no-id", {"messages": []})
    write(folder, "e-message", {"session_id": "e", "messages": ["text"]})
    write(folder, "f-nan", '{"session_id": "f", "messages": [{"timestamp": NaN}]}')
    write(folder, "g-role", {"session_id": "g", "messages": [{"role": "x" * 99}]})
    write(folder, "h-more", '{"session_id": "h", "messages": []} x')
    (folder / "i-bytes.json").write_bytes(b'{"session_id": "\xff"}')
    write(folder, "j-good", {"session_id": "j", "messages": said(1), "parent_id": "gone"})
    write(folder, "k-none", {"session_id": "k"})
    report = store.import_json(folder)
    assert report.imported == 2
    assert [skip["session_id"][0] for skip in report.skipped] == list("abcdefghi")
    assert all(skip["reason"].startswith(skip["session_id"]) for skip in report.skipped)
    assert sorted(one["session_id"] for one in store.list_sessions()) == ["j", "k"]
    assert store.get_parent("j") is None
    with pytest.raises(NotFoundError):
        store.import_json(folder / "none")


def test_an_outage_ends_the_import(folder: Path) -> None:
    write(folder, "s", {"session_id": "s"})
    with (
        SQLSessionStore("postgresql://nobody@127.0.0.1:1/none", max_retries=0) as gone,
        pytest.raises(UnavailableError),
    ):
        gone.import_json(folder)


@pytest.mark.parametrize("indent", [None, 2])
def test_a_file_is_read_in_parts_as_in_whole(tmp_path: Path, indent: int | None) -> None:
    """A number or a text that lies across two readings is read as two."""
    path = tmp_path / "x.json"
    long = 'x\\"{[é😀' * 30_000
    document = {
        "n": 12345678901234567890,
        "list": [{"t": long}, [], -1.5e-7, None, True, "", {"a": {"b": [1, 2]}}] * 3,
        "none": [],
        "other": [1, 2],
        "last": 7,
    }
    path.write_text(json.dumps(document, indent=indent, ensure_ascii=False), "utf-8")
    found: dict[str, Any] = {}
    for key, value in parts_of(path, {"list", "none"}):
        if key == "list":
            found.setdefault(key, []).append(value)
        else:
            found[key] = value
    assert found == {key: value for key, value in document.items() if key != "none"}


def test_the_memory_of_an_import_does_not_grow_with_the_file(
    store: SQLSessionStore, folder: Path
) -> None:
    def peak(count: int) -> int:
        write(folder, "s", {"session_id": str(count), "messages": said(count)})
        tracemalloc.start()
        assert store.import_json(folder).imported == 1
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return used

    assert peak(20_000) < 2 * peak(2_000)
