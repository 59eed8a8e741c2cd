"""What is in the files: appended and not rewritten, readable, never half of a write."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from praison_persist._adapt import blocking
from praison_persist.config import create_conversation_store, detect_backend
from praison_persist.conversation.json_file import (
    AsyncJSONConversationStore,
    JSONConversationStore,
)
from praison_persist.conversation.json_names import session_name
from praison_persist.errors import BackendError, ConfigurationError, ConflictError, PersistError
from praison_persist.models import ConversationMessage
from praison_persist.protocols import ConversationStore
from praison_persist.testing.contract import message, session


@pytest.fixture
def store(tmp_path: Path) -> JSONConversationStore:
    return JSONConversationStore(tmp_path)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The file of the session "s"."""
    return tmp_path / "s.jsonl"


def _contents(store: JSONConversationStore, session_id: str = "s") -> list[str | None]:
    found = store.get_messages(session_id)
    assert [m.seq for m in found] == list(range(1, len(found) + 1))
    return [m.content for m in found]


class TestWriting:
    """What a write does to the file."""

    def test_an_append_writes_a_line_and_nothing_else(
        self, store: JSONConversationStore, file: Path
    ) -> None:
        """The whole conversation is written again for each message."""
        store.create_session(session())
        for number in range(3):
            before, inode = file.read_bytes(), file.stat().st_ino
            store.add_message("s", message(str(number)))
            store.update_session(session(name=str(number)))
            after = file.read_bytes()
            assert after.startswith(before)
            assert (after[len(before) :].count(b"\n"), file.stat().st_ino) == (2, inode)

    def test_a_write_is_on_the_disk_when_it_returns(
        self, store: JSONConversationStore, file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The machine loses power, and with it what was acknowledged."""
        synced: dict[int, int] = {}
        sync = os.fsync

        def fsync(descriptor: int) -> None:
            found = os.fstat(descriptor)
            synced[found.st_ino] = found.st_size
            sync(descriptor)

        monkeypatch.setattr(os, "fsync", fsync)
        folder = file.parent.stat().st_ino
        for write in (
            lambda: store.create_session(session()),
            lambda: store.add_message("s", message(id="m")),
            lambda: store.add_messages("s", [message(), message()]),
            lambda: store.update_session(session(name="x")),
            lambda: store.delete_messages("s", ["m"]),
        ):
            before = file.stat().st_ino if file.exists() else None
            synced.clear()
            write()
            found = file.stat()
            assert synced[found.st_ino] == found.st_size
            assert folder in synced or found.st_ino == before
        synced.clear()
        store.delete_session("s")
        assert folder in synced

    def test_nothing_of_what_was_deleted_stays(
        self, store: JSONConversationStore, tmp_path: Path
    ) -> None:
        """A message that a user had deleted is in the file, marked as deleted."""
        store.create_session(session(name="the-name"))
        gone, kept = (store.add_message("s", message(text)) for text in ("secret", "kept"))
        store.delete_messages("s", [gone.id])
        every = b"".join(p.read_bytes() for p in tmp_path.rglob("*") if p.is_file())
        assert b"secret" not in every
        assert b"kept" in every
        assert store.get_messages("s") == [kept]
        (tmp_path / "s.jsonl.tmp").write_text("kept: what a crash left behind")
        store.delete_session("s")
        every = b"".join(p.read_bytes() for p in tmp_path.rglob("*") if p.is_file())
        assert b"kept" not in every
        assert b"the-name" not in every

    def test_updates_do_not_pile_up(self, store: JSONConversationStore, file: Path) -> None:
        """A state that is written at each turn fills the disk with old ones."""
        store.create_session(session())
        added = [store.add_message("s", message(str(number))) for number in range(3)]
        for number in range(300):
            store.update_session(session(state={"n": number, "text": "x" * 2_000}))
        assert file.stat().st_size < 200_000
        found = store.get_session("s")
        assert found is not None
        assert found.version == 301
        assert found.state == {"n": 299, "text": "x" * 2_000}
        assert store.get_messages("s") == added
        assert store.add_message("s", message()).seq == 4

    def test_pretty_text_can_be_read(self, tmp_path: Path) -> None:
        """People look into the file, and see escapes."""
        for pretty, text in ((True, ["“héllo”, 世界", "\n\u2028"][0]), (False, "é")):
            with JSONConversationStore(tmp_path, pretty) as store:
                store.upsert_session(session())
                stored = store.add_message("s", message(text))
                written = (tmp_path / "s.jsonl").read_bytes().splitlines()[-1]
                assert (text.encode() in written) == pretty == (b'": ' in written)
                assert json.loads(written)["message"]["content"] == text
                assert store.get_messages("s")[-1] == stored

    def test_only_the_owner_reads_a_new_file(
        self, store: JSONConversationStore, file: Path
    ) -> None:
        """What people said is everybody's on the machine; or a rewrite changes who may read it."""
        store.create_session(session())
        store.add_message("s", message())
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        file.chmod(0o640)
        store.delete_messages("s")
        assert stat.S_IMODE(file.stat().st_mode) == 0o640

    def test_a_look_makes_no_folder(self, tmp_path: Path) -> None:
        """A path that was mistyped is there from then on."""
        with JSONConversationStore(tmp_path / "mistyped") as store:
            assert store.get_session("s") is None
            assert store.list_sessions() == []
            assert not store.delete_session("s")
        assert list(tmp_path.iterdir()) == []

    def test_the_folder_does_not_move_with_the_working_directory(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        with JSONConversationStore("conversations") as store:
            store.create_session(session())
            (tmp_path / "elsewhere").mkdir()
            monkeypatch.chdir(tmp_path / "elsewhere")
            assert store.get_session("s") is not None

    def test_locks_do_not_pile_up(self, store: JSONConversationStore, tmp_path: Path) -> None:
        """Each session that was ever deleted leaves a file behind."""
        for number in range(200):
            store.create_session(session(f"s{number}"))
            store.delete_session(f"s{number}")
        assert [path.name for path in tmp_path.iterdir()] == [".locks"]
        assert len(list((tmp_path / ".locks").iterdir())) <= 64


class TestTornWrites:
    """What a crash leaves at the end of a file."""

    def test_a_message_that_was_cut_off_is_not_there(
        self, store: JSONConversationStore, file: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A crash in the middle of a write costs the conversation, or the next message too."""
        store.create_session(session())
        store.add_message("s", message("a"))
        before = file.read_bytes()
        store.add_message("s", message("b"))
        line = file.read_bytes()[len(before) :]
        for length in range(len(line)):
            file.write_bytes(before + line[:length])
            expected = ["a"] if length < len(line) - 1 else ["a", "b"]
            with JSONConversationStore(file.parent) as again:
                assert _contents(again) == expected
                assert [found.session_id for found in again.list_sessions()] == ["s"]
                again.add_message("s", message("c"))
                assert _contents(again) == [*expected, "c"]
            with JSONConversationStore(file.parent) as again:
                assert _contents(again) == [*expected, "c"]
        assert "cutting" in caplog.text

    def test_a_batch_that_was_cut_off_is_not_there(
        self, store: JSONConversationStore, file: Path
    ) -> None:
        """Half of what belongs together, a call without its result, is taken for all of it."""
        store.create_session(session(updated_at=1.0))
        store.add_message("s", message("a"))
        before = file.read_bytes()
        listed = store.list_sessions()
        store.add_messages("s", [message(text) for text in "bcd"])
        lines = file.read_bytes()[len(before) :]
        for length in range(len(lines) - 1):
            file.write_bytes(before + lines[:length])
            with JSONConversationStore(file.parent) as again:
                assert _contents(again) == ["a"]
                assert again.list_sessions() == listed
        with JSONConversationStore(file.parent) as again:
            again.add_messages("s", [message(text) for text in "ef"])
            assert _contents(again) == ["a", "e", "f"]

    def test_blocks_that_were_not_written_are_not_there(
        self, store: JSONConversationStore, file: Path
    ) -> None:
        """After a loss of power a file may end with zeros."""
        store.create_session(session())
        store.add_message("s", message("a"))
        with file.open("ab") as end:
            end.write(bytes(5_000))
        with JSONConversationStore(file.parent) as again:
            assert _contents(again) == ["a"]
            again.add_message("s", message("b"))
            assert _contents(again) == ["a", "b"]
        assert b"\x00" not in file.read_bytes()

    def test_what_is_left_of_a_rewrite_is_not_read(
        self, store: JSONConversationStore, file: Path
    ) -> None:
        """A crash while messages were deleted leaves a temporary file."""
        store.create_session(session())
        stored = [store.add_message("s", message(text)) for text in "ab"]
        file.with_name("s.jsonl.tmp").write_bytes(file.read_bytes()[:100])
        assert store.get_messages("s") == stored
        assert [found.session_id for found in store.list_sessions()] == ["s"]
        store.delete_messages("s", [stored[0].id])
        assert store.get_messages("s") == stored[1:]
        assert not file.with_name("s.jsonl.tmp").exists()


def _line(**changes: Any) -> bytes:
    found = {"id": "x", "role": "user", "created_at": 1.0, "seq": 9, **changes}
    return json.dumps({"message": found}).encode() + b"\n"


class TestDamage:
    """A file that somebody has changed, or that is of something else."""

    @pytest.fixture
    def whole(self, store: JSONConversationStore, file: Path) -> list[bytes]:
        """The lines of a file, of which one is the session's."""
        store.create_session(session())
        for text in "abc":
            store.add_message("s", message(text))
        return file.read_bytes().splitlines(keepends=True)

    def _refused(self, file: Path, content: bytes) -> None:
        file.write_bytes(content)
        uses: tuple[Callable[[JSONConversationStore], object], ...] = (
            lambda store: store.get_messages("s"),
            lambda store: store.get_session("s"),
            lambda store: store.add_message("s", message("new")),
            lambda store: store.create_session(session()),
            lambda store: store.update_session(session()),
            lambda store: store.delete_messages("s"),
            lambda store: store.delete_session("s"),
        )
        with JSONConversationStore(file.parent) as store:
            for use in uses:
                with pytest.raises(BackendError, match=r"s\.jsonl is damaged at byte [0-9]+: "):
                    use(store)
        assert file.read_bytes() == content

    def test_it_is_named_and_left_as_it_is(self, file: Path, whole: list[bytes]) -> None:
        """A conversation with a damaged line is an empty one, or ends there."""
        self._refused(file, b"".join([*whole[:2], b"{garbage\n", *whole[2:]]))
        self._refused(file, b"".join([*whole[:2], whole[2].replace(b'"message"', b'"massage"')]))
        self._refused(file, b"".join([*whole, b"[]\n"]))
        self._refused(file, b"".join([*whole, whole[1]]))
        self._refused(file, b"".join([*whole, whole[0]]))
        self._refused(file, b"".join([*whole, _line(seq=3)]))
        self._refused(file, b"".join([*whole, _line(surprise=1)]))
        self._refused(file, b"".join([*whole, _line(created_at=None)]))
        self._refused(file, b"\xff" + b"".join(whole))

    def test_a_file_without_its_header_is_no_empty_conversation(
        self, file: Path, whole: list[bytes]
    ) -> None:
        """A file of another program, or of a later version, is overwritten."""
        for content in (b"", b"\n", b"{}\n", whole[0][:50], b"".join(whole[1:])):
            self._refused(file, content)
            with (
                JSONConversationStore(file.parent) as store,
                pytest.raises(BackendError, match=r"s\.jsonl is damaged"),
            ):
                store.list_sessions()
        self._refused(file, whole[0].replace(b"conversation 1", b"conversation 2"))

    def test_a_copy_is_not_another_session(
        self, store: JSONConversationStore, file: Path, whole: list[bytes]
    ) -> None:
        """Somebody copies a file as a backup, and the session is there twice."""
        copy = file.with_name("copy.jsonl")
        copy.write_bytes(b"".join(whole))
        with pytest.raises(BackendError, match=r"copy\.jsonl .*it is session 's', not 'copy'"):
            store.get_messages("copy")
        with pytest.raises(BackendError, match=r"copy\.jsonl is session 's'.* move the copy"):
            store.list_sessions()
        copy.unlink()
        assert len(store.list_sessions()) == 1

    def test_a_file_that_was_replaced_is_read_anew(
        self, store: JSONConversationStore, file: Path, whole: list[bytes]
    ) -> None:
        """A backup is put back while the store is open, which remembers what was there."""
        file.write_bytes(b"".join(whole[:2]))
        assert _contents(store) == ["a"]
        store.add_message("s", message("d"))
        assert _contents(store) == ["a", "d"]

    def test_an_editor_that_drops_the_last_line_end(
        self, store: JSONConversationStore, file: Path, whole: list[bytes]
    ) -> None:
        """The last message is taken for one that was not wholly written, and cut off."""
        file.write_bytes(b"".join(whole).rstrip(b"\n"))
        assert _contents(store) == ["a", "b", "c"]
        store.add_message("s", message("d"))
        assert _contents(JSONConversationStore(file.parent)) == ["a", "b", "c", "d"]


def test_two_stores_see_what_the_other_changed(tmp_path: Path) -> None:
    """A store answers from what it remembers of a file that is another one now."""
    with JSONConversationStore(tmp_path) as one, JSONConversationStore(tmp_path) as two:
        for _ in range(3):
            one.create_session(session())
            stored = one.add_messages("s", [message(text, id=text) for text in "abc"])
            assert two.get_messages("s") == stored
            two.delete_messages("s", ["b"])
            assert [m.id for m in one.get_messages("s")] == ["a", "c"]
            with pytest.raises(ConflictError):
                one.add_message("s", message("other", id="c"))
            assert one.add_message("s", ConversationMessage(id="b", role="user")).seq == 4
            two.delete_session("s")
            assert one.get_messages("s") == []


def test_a_url_says_where_the_folder_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A URL is taken for a path, and the folder is somewhere else."""
    monkeypatch.chdir(tmp_path)
    for url, folder in (
        ("json:a", "a"),
        ("json:///b/c", "b/c"),
        (f"json:///{tmp_path}/d", "d"),
        (f"json:{tmp_path}/e%20f", "e f"),
        ("JSON:./g", "g"),
    ):
        with JSONConversationStore(url=url) as store:
            store.create_session(session())
            assert (tmp_path / folder / session_name("s")).is_file()
            with JSONConversationStore(url=store.driver.address) as again:
                assert again.get_session("s") is not None
    for wrong in ("json:", "json://", "json:///", "json://host/path", "file:///a", "a"):
        with pytest.raises(ConfigurationError, match="no URL of a folder: write json:folder"):
            JSONConversationStore(url=wrong)
    with pytest.raises(ConfigurationError, match="give one"):
        JSONConversationStore("a", url="json:b")
    with pytest.raises(ConfigurationError, match="no folder"):
        JSONConversationStore("")


def test_a_folder_that_cannot_be_one_is_said(tmp_path: Path) -> None:
    """An error of the system says neither what was wanted nor where."""
    (tmp_path / "file").write_text("")
    with (
        JSONConversationStore(tmp_path / "file" / "folder") as store,
        pytest.raises(
            PersistError, match=r"Cannot create a session in .*folder.* Check the folder"
        ),
    ):
        store.create_session(session())


def test_a_store_is_created_by_name_and_by_url(tmp_path: Path) -> None:
    """The name and options are those of the original."""
    for url in ("json:folder", "json:///folder", "JSON:folder"):
        assert detect_backend(url) == "json"
    path = tmp_path / "a"
    with create_conversation_store("json", path=path, pretty=False) as store:
        assert isinstance(store, JSONConversationStore)
        store.create_session(session())
    with create_conversation_store("json", f"json:{path}", "sync") as store:
        assert store.get_session("s") is not None
    native = create_conversation_store("json", f"json:{path}", "async")
    assert isinstance(native, AsyncJSONConversationStore)
    with blocking(native, ConversationStore) as store:
        assert store.get_session("s") is not None
