"""What session files do beyond the suite: names, damage, failed writes, folders, caches."""

from __future__ import annotations

import json
import logging
import math
import os
import stat
import tracemalloc
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import filelock
import pytest

from praison_persist import (
    BackendError,
    ConfigurationError,
    DefaultSessionStore,
    UnavailableError,
    get_default_session_store,
    get_hierarchical_session_store,
)
from praison_persist.sessions.file_locks import locked
from praison_persist.sessions.spill import Spill, Spilled
from praison_persist.testing.session_contract import said, say


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "sessions"


@pytest.fixture
def store(folder: Path, tmp_path: Path) -> DefaultSessionStore:
    return DefaultSessionStore(folder, spill_dir=tmp_path / "spill")


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".lock"))


def no_space(*arguments: Any, **options: Any) -> None:
    raise OSError(28, "No space left on device")


class TestNames:
    def test_a_plain_id_is_its_own_name(self, store: DefaultSessionStore, folder: Path) -> None:
        say(store, "chat-1_a", "x")
        assert files(folder) == ["chat-1_a.json"]

    def test_no_two_names_differ_by_case_alone(
        self, store: DefaultSessionStore, folder: Path
    ) -> None:
        """On some file systems they would be one file."""
        ids = ["a", "A", "ab", "aB", "Ab", "AB", "é", "É", "con", "CON", "user_1", "user/1"]
        for session_id in ids:
            say(store, session_id, session_id)
        names = {name.casefold() for name in files(folder)}
        assert len(names) == len(ids)
        assert all(name.isascii() for name in names)
        assert "con.json" not in names, "Windows reserves it"

    def test_nothing_is_written_outside(self, store: DefaultSessionStore, tmp_path: Path) -> None:
        before = {path for path in tmp_path.rglob("*") if "sessions" not in path.parts}
        for session_id in ("../../x", "/tmp/x", "..", "a/../../x"):
            say(store, session_id, "x")
            assert store.delete_session(session_id)
        assert {p for p in tmp_path.rglob("*") if "sessions" not in p.parts} == before

    def test_others_may_not_read_it(self, store: DefaultSessionStore, folder: Path) -> None:
        say(store, "s", "x")
        assert (folder / "s.json").stat().st_mode & 0o077 == 0


class TestDamage:
    @pytest.mark.parametrize("damage", [b"", b"{", b"[1]", b"\xff\xfe", b'{"a": ' * 5000])
    def test_a_damaged_file_is_set_aside(
        self,
        store: DefaultSessionStore,
        folder: Path,
        caplog: pytest.LogCaptureFixture,
        damage: bytes,
    ) -> None:
        """Writing on would destroy what somebody might still mend."""
        say(store, "s", "lost?")
        (folder / "s.json").write_bytes(damage)
        assert said(store, "s") == []
        (kept,) = folder.glob("s.json.corrupt-*")
        assert kept.read_bytes() == damage
        assert kept.name in caplog.text
        say(store, "s", "new")
        (folder / "s.json").write_bytes(damage)
        assert store.add_user_message("s", "newer")
        assert said(store, "s") == ["newer"]
        assert len(list(folder.glob("s.json.corrupt-*"))) == 2

    def test_lists_go_on_and_backups_do_not(
        self, store: DefaultSessionStore, folder: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        say(store, "s", "needle")
        (folder / "bad.json").write_text("{")
        assert [line["session_id"] for line in store.list_sessions()] == ["s"]
        assert [hit.session_id for hit in store.search("needle")] == ["s"]
        assert "bad.json" in caplog.text
        with pytest.raises(BackendError, match="cannot all be read"):
            store.export_all()
        assert (folder / "bad.json").read_text() == "{"

    def test_values_of_wrong_types_become_defaults(
        self, store: DefaultSessionStore, folder: Path
    ) -> None:
        messages = [None, "x", 7, {"role": "user", "content": "good"}, {"role": 5, "content": {}}]
        document = {
            "session_id": "s",
            "messages": messages,
            "metadata": [],
            "runtime_state": "x",
            "created_at": 5,
            "children_ids": "x",
            "snapshots": [1],
            "title": 5,
            "last_compaction": {"summary": "so far", "message_index": 4},
        }
        (folder / "s.json").write_text(json.dumps(document))
        assert said(store, "s") == ["good", "{}"]
        assert [m["content"] for m in store.get_working_history("s")] == ["so far", "{}"]
        assert store.get_extended_session("s").children_ids == []

    def test_numbers_that_json_does_not_have_become_their_names(
        self, store: DefaultSessionStore, folder: Path
    ) -> None:
        """Python writes them all the same: a session with one could never be written to again."""
        message = {
            "role": "user",
            "content": "x",
            "timestamp": math.nan,
            "metadata": {"p": -math.inf},
        }
        document = {"session_id": "s", "messages": [message], "metadata": {"cost": math.nan}}
        (folder / "s.json").write_text(json.dumps(document))
        assert store.add_user_message("s", "y")
        session = store.get_session("s")
        assert session.metadata == {"cost": "NaN"}
        assert session.messages[0].metadata == {"p": "-Infinity"}
        assert math.isfinite(session.messages[0].timestamp)
        copy = json.dumps(store.export_all(), allow_nan=False)
        assert store.import_sessions(json.loads(copy), overwrite=True).skipped == []

    def test_a_file_that_cannot_be_read_is_not_taken_for_none(
        self, store: DefaultSessionStore, folder: Path
    ) -> None:
        """An empty history would look like a new session."""
        (folder / "s.json").mkdir()
        with pytest.raises(BackendError, match="'s' cannot be read"):
            store.get_chat_history("s")
        assert not store.add_user_message("s", "x")
        assert (folder / "s.json").is_dir()


class TestSpill:
    @pytest.fixture
    def full(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> Any:
        """Says whether the disk with the sessions is full; test_file_processes has a real one."""
        replace = Path.replace

        class Disk:
            is_full = False

        def checked(path: Path, target: Any) -> Any:
            if Disk.is_full and path.parent == folder:
                no_space()
            return replace(path, target)

        monkeypatch.setattr(Path, "replace", checked)
        return Disk

    def test_what_is_not_stored_is_taken_in_later(
        self,
        store: DefaultSessionStore,
        full: Any,
        tmp_path: Path,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        say(store, "s", "a")
        full.is_full = True
        calls = [{"id": "c"}]
        assert not store.add_message("s", "assistant", "b", {"m": 1}, tool_calls=calls)
        assert not store.add_user_message("s", "c")
        assert "No space left" in caplog.text
        assert len(list((tmp_path / "spill").iterdir())) == 2
        assert said(store, "s") == ["a", "b", "c"], "reading shows them already"
        assert not store.set_agent_info("s", "Ada")
        full.is_full = False
        assert store.add_user_message("s", "d")
        assert said(store, "s") == ["a", "b", "c", "d"]
        message = store.get_session("s").messages[1]
        assert (message.metadata, message.tool_calls) == ({"m": 1}, calls)
        assert list((tmp_path / "spill").iterdir()) == []

    def test_any_change_takes_it_in_and_once(self, store: DefaultSessionStore, full: Any) -> None:
        full.is_full = True
        assert not store.add_user_message("new", "a")
        full.is_full = False
        assert store.session_exists("new")
        assert store.set_agent_info("new", "Ada")
        assert store.set_agent_info("new", "Bob")
        assert said(store, "new") == ["a"]

    def test_what_was_stored_after_all_is_not_taken_in_twice(
        self, store: DefaultSessionStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The file is in place before its folder is made to last, which can fail."""
        say(store, "s", "a")
        failing = "praison_persist.sessions.documents.sync_folder"
        calls = []

        def once(folder: Path) -> None:
            calls.append(folder)
            if len(calls) == 1:
                no_space()

        monkeypatch.setattr(failing, once)
        assert not store.add_user_message("s", "b")
        assert said(store, "s") == ["a", "b"]
        assert store.add_user_message("s", "c")
        assert said(store, "s") == ["a", "b", "c"]

    def test_a_finished_answer_takes_the_place_of_its_part(
        self, store: DefaultSessionStore, full: Any
    ) -> None:
        say(store, "s", "question")
        assert store.upsert_partial_assistant_message("s", "Hel")
        full.is_full = True
        assert not store.upsert_partial_assistant_message("s", "Hello", finalize=True)
        full.is_full = False
        assert said(store, "s") == ["question", "Hello"]
        assert store.add_user_message("s", "next")
        assert said(store, "s") == ["question", "Hello", "next"]

    def test_an_answer_that_grows_is_spilled_once(
        self, store: DefaultSessionStore, full: Any, tmp_path: Path
    ) -> None:
        say(store, "s", "question")
        full.is_full = True
        for text in ("H", "He", "Hel"):
            assert not store.upsert_partial_assistant_message("s", text)
            assert said(store, "s") == ["question", text]
            assert len(list((tmp_path / "spill").iterdir())) == 1
        full.is_full = False
        assert store.upsert_partial_assistant_message("s", "Hello", finalize=True)
        assert said(store, "s") == ["question", "Hello"]

    def test_a_deleted_session_does_not_come_back(
        self, store: DefaultSessionStore, full: Any
    ) -> None:
        say(store, "s", "a")
        full.is_full = True
        assert not store.add_user_message("s", "b")
        full.is_full = False
        assert store.delete_session("s")
        assert not store.session_exists("s")

    @pytest.mark.parametrize(
        "change",
        [
            lambda store: store.clear_session("s"),
            lambda store: store.delete_session("s"),
            lambda store: store.import_sessions(store.export_session("s"), overwrite=True),
        ],
    )
    def test_nobody_takes_in_what_is_being_taken_in(
        self, folder: Path, tmp_path: Path, full: Any, change: Callable[[Any], Any]
    ) -> None:
        """Another writer, let in before it is removed, would bring back what was cleared."""
        store = DefaultSessionStore(folder, lock_timeout=0, spill_dir=tmp_path / "spill")
        others = ThreadPoolExecutor(1)
        tries: list[bool] = []

        class Watched(Spill):
            def remove(self, spilled: Iterable[Spilled]) -> None:
                tries.append(others.submit(is_free).result(60))
                super().remove(spilled)

        def is_free() -> bool:
            try:
                with locked(folder / "s.json", 0):
                    return True
            except UnavailableError:
                return False

        say(store, "s", "a")
        full.is_full = True
        assert not store.add_user_message("s", "b")
        full.is_full = False
        store._spill = Watched(tmp_path / "spill", folder, is_default=False)
        assert change(store)
        others.shutdown()
        assert tries == [False]

    def test_another_folders_session_takes_nothing_in(
        self, store: DefaultSessionStore, full: Any, tmp_path: Path
    ) -> None:
        """The two may belong to different people."""
        full.is_full = True
        assert not store.add_user_message("s", "mine")
        other = DefaultSessionStore(tmp_path / "other", spill_dir=tmp_path / "spill")
        say(other, "s", "theirs")
        assert said(other, "s") == ["theirs"]
        assert said(store, "s") == ["mine"]

    def test_what_cannot_be_spilled_is_said(
        self, folder: Path, tmp_path: Path, full: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        (tmp_path / "file").touch()
        store = DefaultSessionStore(folder, spill_dir=tmp_path / "file" / "spill")
        full.is_full = True
        assert not store.add_user_message("s", "x")
        assert "could not be spilled" in caplog.text

    def test_a_damaged_spill_file_is_set_aside(
        self, store: DefaultSessionStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        (tmp_path / "spill").mkdir()
        (tmp_path / "spill" / "s.1.2.3.json").write_text("{")
        say(store, "s", "a")
        assert said(store, "s") == ["a"]
        assert "s.1.2.3.json.corrupt-" in caplog.text


class TestLocks:
    def test_waiting_ends(self, folder: Path, tmp_path: Path) -> None:
        store = DefaultSessionStore(folder, lock_timeout=0.05, spill_dir=tmp_path / "spill")
        say(store, "s", "a")
        with locked(folder / "s.json", 1):
            with pytest.raises(UnavailableError, match="lock") as raised:
                store.add_user_message("s", "b")
            with pytest.raises(UnavailableError):
                store.get_chat_history("s")
            say(store, "other", "is not locked")
        assert raised.value.elapsed_s >= 0.05
        assert said(store, "s") == ["a"]

    def test_the_file_of_a_lock_stays(self, store: DefaultSessionStore, folder: Path) -> None:
        """Else one waits for the file that another has deleted, and a third makes a new one."""
        say(store, "s", "a")
        before = (folder / "s.json.lock").stat().st_ino
        say(store, "s", "b")
        assert (folder / "s.json.lock").stat().st_ino == before

    def test_without_a_lock_sessions_are_read_and_messages_spilled(
        self, store: DefaultSessionStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """On a read-only disk there is no file to lock."""
        say(store, "s", "a")
        with monkeypatch.context() as patch:
            patch.setattr(filelock.FileLock, "acquire", no_space)
            assert said(store, "s") == ["a"]
            assert not store.add_user_message("s", "b")
            assert not store.set_agent_info("s", "Ada")
            assert not store.delete_session("s")
            with pytest.raises(BackendError):
                store.create_session("new")
            with pytest.raises(BackendError):
                store.fork_session("s")
        say(store, "s", "c")
        assert said(store, "s") == ["a", "b", "c"]


def test_what_is_stored_survives_a_power_failure(
    store: DefaultSessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new file has to be on disk before it takes the place of the old one, its name after."""
    events: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def synced(descriptor: int) -> None:
        events.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        fsync(descriptor)

    def replaced(path: Path, target: Any) -> Any:
        events.append("replace")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", replaced)
    say(store, "s", "a")
    assert events == ["file", "replace", "folder"]
    events.clear()
    assert store.delete_session("s")
    assert events == ["folder"]


class TestOptions:
    def test_the_folder_is_found_as_praisonaiagents_finds_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("PRAISON_HOME", raising=False)
        monkeypatch.setenv("PRAISONAI_HOME", str(tmp_path / "a"))
        assert DefaultSessionStore().session_dir == str(tmp_path / "a" / "sessions")
        monkeypatch.setenv("PRAISON_HOME", str(tmp_path / "b"))
        with pytest.raises(ConfigurationError, match="PRAISONAI_HOME"):
            DefaultSessionStore()
        monkeypatch.delenv("PRAISONAI_HOME")
        assert DefaultSessionStore().session_dir == str(tmp_path / "b" / "sessions")
        monkeypatch.delenv("PRAISON_HOME")
        monkeypatch.delenv("XDG_DATA_HOME", raising=False)
        monkeypatch.setenv("HOME", str(tmp_path))
        assert DefaultSessionStore().session_dir == str(tmp_path / ".praisonai" / "sessions")

    def test_the_store_of_the_process(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("PRAISONAI_HOME", raising=False)  # agents' tests have one
        monkeypatch.setenv("PRAISON_HOME", str(tmp_path / "a"))
        first = get_default_session_store()
        assert get_default_session_store() is first
        assert type(get_hierarchical_session_store()) is not type(first)
        monkeypatch.setenv("PRAISON_HOME", str(tmp_path / "b"))
        assert get_default_session_store() is not first
        monkeypatch.setenv("PRAISONAI_SESSION_RETENTION", "keep_all")
        monkeypatch.setenv("PRAISONAI_SESSION_ACTIVE_WINDOW", "7")
        store = get_default_session_store()
        assert (store.retention, store.active_window) == ("keep_all", 7)
        monkeypatch.setenv("PRAISONAI_SESSION_RETENTION", "")
        monkeypatch.setenv("PRAISON_SESSION_RETENTION", "truncate")
        assert get_default_session_store().retention == "truncate"
        monkeypatch.setenv("PRAISONAI_SESSION_ACTIVE_WINDOW", "many")
        with pytest.raises(ConfigurationError, match="ACTIVE_WINDOW"):
            get_default_session_store()

    @pytest.mark.parametrize(
        "options", [{"lock_timeout": -1}, {"cache_maxsize": -1}, {"retention": "x"}]
    )
    def test_options_that_cannot_be_right(self, folder: Path, options: Any) -> None:
        with pytest.raises(ConfigurationError):
            DefaultSessionStore(folder, **options)

    def test_a_folder_that_cannot_be_made(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(ConfigurationError, match="session_dir"):
            DefaultSessionStore(tmp_path / "file" / "sessions")

    @pytest.mark.parametrize("size", [0, 1, 256])
    def test_a_cache_never_shows_what_is_not_stored(
        self, folder: Path, tmp_path: Path, size: int
    ) -> None:
        """Neither the size nor the time of the file need to change."""
        store = DefaultSessionStore(folder, cache_maxsize=size, spill_dir=tmp_path / "spill")
        for session_id in ("a", "b"):
            say(store, session_id, "one")
            assert said(store, session_id) == ["one"]
        path = folder / "a.json"
        times = path.stat()
        path.write_text(path.read_text().replace("one", "two"))
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        assert (said(store, "a"), said(store, "b")) == (["two"], ["one"])
        path.unlink()
        assert said(store, "a") == []

    def test_a_folder_that_is_copied_elsewhere(self, folder: Path, tmp_path: Path) -> None:
        store = DefaultSessionStore(folder, spill_dir=tmp_path / "spill")
        say(store, "User/1", "a")
        folder.rename(tmp_path / "moved")
        moved = DefaultSessionStore(tmp_path / "moved", spill_dir=tmp_path / "spill")
        assert said(moved, "User/1") == ["a"]


def test_a_folder_need_not_fit_into_memory(
    store: DefaultSessionStore, folder: Path, tmp_path: Path
) -> None:
    text = f"needle {'x' * 500_000}"
    for number in range(60):
        message = {"role": "user", "content": text, "timestamp": 1.0}
        document = {
            "session_id": f"s{number}",
            "messages": [message],
            "archived_messages": [message],
        }
        (folder / f"s{number}.json").write_text(json.dumps(document))
    store = DefaultSessionStore(folder, cache_maxsize=1, spill_dir=tmp_path / "spill")
    for read in (
        lambda: [line["message_count"] for line in store.list_sessions(limit=5)],
        lambda: [len(hit.messages) - 1 for hit in store.search("needle")],
    ):
        tracemalloc.start()
        try:
            assert read() == [1] * 5
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 32_000_000, "the folder has 60 MB"


def test_a_failure_is_told_to_the_agents_hooks(
    store: DefaultSessionStore, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hooks = pytest.importorskip("praisonaiagents.hooks")
    types = pytest.importorskip("praisonaiagents.hooks.types")
    event = types.HookEvent.SESSION_PERSIST_FAILED
    told: list[Any] = []
    answers: list[bool] = []

    def hook(given: Any) -> Any:
        told.append(given)
        answers.append(store.set_agent_info("s", "Ada"))
        return types.HookResult.allow()

    registry = hooks.get_default_registry()
    hook_id = registry.register_function(event=event, func=hook)
    try:
        say(store, "s", "a")
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", no_space)
            assert not store.add_user_message("s", "lost")
        (folder / "s.json").write_text("{")
        store.get_chat_history("s")
    finally:
        registry.unregister(hook_id)
    failed, damaged = told
    assert answers == [False, True], "a hook may use the session"
    assert (failed.session_id, failed.role, failed.content) == ("s", "user", "lost")
    assert "No space left" in failed.error
    assert failed.spilled is False, "fsync failed there as well"
    assert damaged.spill_path.startswith(str(folder / "s.json.corrupt-"))


def test_logs_tell_nothing_of_what_is_said(
    store: DefaultSessionStore, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr(os, "fsync", no_space)
    assert not store.add_user_message("s", "secret")
    assert "secret" not in caplog.text
    assert "session 's'" in caplog.text
