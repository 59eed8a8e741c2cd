"""A folder that praisonai 4.7.19 wrote: read as it is, taken over session by session."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from praison_persist.conversation.json_file import JSONConversationStore
from praison_persist.errors import BackendError, ConflictError
from praison_persist.models import ConversationSession
from praison_persist.testing.contract import message, session

# Written by its JSONConversationStore: state with NaN, content that is a list, one id twice.
WRITTEN = Path(__file__).parent / "praisonai_folder"
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the folder."""
    shutil.copytree(WRITTEN, tmp_path / "conversations")
    return tmp_path / "conversations"


def _files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_a_session_is_read_with_all_that_it_has(folder: Path) -> None:
    """Messages are lost where two have one id, or content is no text."""
    with JSONConversationStore(folder) as store:
        found = store.get_session("Alice.1")
        assert found == ConversationSession(
            "Alice.1",
            user_id="u",
            agent_id="a",
            name="Zoë",
            state={"n": "nan"},
            metadata={"k": [1]},
            created_at=1000.0,
            updated_at=found.updated_at if found else 0.0,
            version=1,
        )
        messages = store.get_messages("Alice.1")
        assert [(m.seq, m.role, m.created_at) for m in messages] == [
            (1, "user", 1001.0),
            (2, "assistant", 1002.0),
            (3, "tool", 1003.0),
        ]
        assert [m.content for m in messages] == ["grüezi", None, '[{"type": "text", "text": "ok"}]']
        assert messages[1].tool_calls == [CALL]
        assert messages[2].tool_call_id == "c1"
        assert len({m.id for m in messages}) == 3
        assert [m.id for m in messages][:2] == ["m1", "m2"]
        assert [s.session_id for s in store.list_sessions()] == ["Alice.1", "bob"]
        assert [s.session_id for s in store.list_sessions(user_id="v")] == ["bob"]
        assert store.count("Alice.1") == 3
        with JSONConversationStore(folder) as again:
            assert again.get_messages("Alice.1") == messages


def test_reading_changes_nothing(folder: Path) -> None:
    """The original cannot read its own folder any more, after a look."""
    before = _files(folder)
    with JSONConversationStore(folder) as store:
        store.list_sessions()
        store.get_messages("bob")
        store.dump_session("Alice.1")
        with pytest.raises(ConflictError, match="exists"):
            store.create_session(session("bob"))
    assert _files(folder) == before == _files(WRITTEN)


WRITES: list[Callable[[JSONConversationStore], object]] = [
    lambda store: store.add_message("Alice.1", message("new", id="n")),
    lambda store: store.update_session(session("Alice.1", name="new")),
    lambda store: store.delete_messages("Alice.1", ["m1"]),
]


@pytest.mark.parametrize("write", WRITES)
def test_the_first_write_takes_a_session_over(
    folder: Path, write: Callable[[JSONConversationStore], object]
) -> None:
    """The session is there twice, or what it had is gone."""
    with JSONConversationStore(folder) as store:
        before = {m.id: m for m in store.get_messages("Alice.1")}
        write(store)
        after = {m.id: m for m in store.get_messages("Alice.1")}
        assert {key: after.get(key, before[key]) for key in before} == before
        assert len(before.keys() - after.keys()) == (write is WRITES[2])
        assert sorted(s.session_id for s in store.list_sessions()) == ["Alice.1", "bob"]
        assert sorted(_files(folder)) == [
            next(name for name in _files(folder) if name.startswith("Alice_1~")),
            "_sessions_index.json",
            "bob.json",
        ]
        assert store.add_message("Alice.1", message("x")).seq == (5 if "n" in after else 4)
    with JSONConversationStore(folder) as again:
        assert {m.id: m for m in again.get_messages("Alice.1")}.items() >= after.items()


def test_a_message_that_is_there_is_no_write(folder: Path) -> None:
    """A retry of what the original had stored doubles it."""
    with JSONConversationStore(folder) as store:
        given = message("grüezi", id="m1")
        assert store.add_message("Alice.1", given).seq == 1
        assert store.count("Alice.1") == 3


def test_a_deleted_session_stays_deleted(folder: Path) -> None:
    """The new file is deleted, and the old one is read again."""
    with JSONConversationStore(folder) as store:
        assert store.delete_session("bob")
        store.add_message("Alice.1", message())
        # A crash while the session was taken over leaves both files.
        shutil.copy(WRITTEN / "Alice.1.json", folder)
        assert store.count("Alice.1") == 4
        assert [s.session_id for s in store.list_sessions()] == ["Alice.1"]
        assert store.delete_session("Alice.1")
        assert store.list_sessions() == []
        assert store.get_session("Alice.1") is None
    assert list(_files(folder)) == ["_sessions_index.json"]


def test_what_a_crash_left_behind_goes_with_the_next_write(folder: Path) -> None:
    with JSONConversationStore(folder) as store:
        store.add_message("bob", message("a"))
        shutil.copy(WRITTEN / "bob.json", folder)
        assert [m.content for m in store.get_messages("bob")] == ["a"]
        store.add_message("bob", message("b"))
        assert not (folder / "bob.json").exists()
        assert [m.content for m in store.get_messages("bob")] == ["a", "b"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b'{"session": ',
        b'{"session": {"session_id": "bob", "created_at": "now"}, "messages": []}',
        b'{"session": {"session_id": "bob"}, "messages": [1]}',
        b'{"session": {"session_id": "bob"}, "messages": [{"id": "m", "role": 1}]}',
    ],
)
def test_what_cannot_be_read_is_said(folder: Path, content: bytes) -> None:
    """A damaged conversation is an empty one."""
    (folder / "bob.json").write_bytes(content)
    with JSONConversationStore(folder) as store:
        for use in (
            lambda: store.get_messages("bob"),
            lambda: store.create_session(session("bob")),
            lambda: store.add_message("bob", message()),
            store.list_sessions,
        ):
            with pytest.raises(BackendError, match=r"bob\.json cannot be read as a session"):
                use()
        assert store.count("Alice.1") == 3
    assert (folder / "bob.json").read_bytes() == content


@pytest.mark.parametrize("content", [b"[]", b"{}", b'{"session": 1}', b'"text"'])
def test_documents_of_others_are_left_alone(folder: Path, content: bytes) -> None:
    """A state file in the same folder is taken for a session."""
    (folder / "state.json").write_bytes(content)
    with JSONConversationStore(folder) as store:
        assert len(store.list_sessions()) == 2
        store.create_session(session("state"))
        store.delete_session("state")
    assert (folder / "state.json").exists()
