"""Folders that praisonaiagents has written, and that it goes on using beside us."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from praisonaiagents.session.encrypted_store import EncryptedSessionStore as TheirEncrypted
from praisonaiagents.session.hierarchy import HierarchicalSessionStore as Theirs
from praisonaiagents.session.store import DefaultSessionStore as TheirDefault

from praison_persist import (
    DefaultSessionStore,
    EncryptedSessionStore,
    HierarchicalSessionStore,
    generate_session_key,
)
from praison_persist.testing.session_contract import said, say


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("PRAISON_HOME", raising=False)
    monkeypatch.setenv("PRAISONAI_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def theirs() -> Any:
    return Theirs()


@pytest.fixture
def ours(theirs: Any) -> HierarchicalSessionStore:
    store = HierarchicalSessionStore()
    assert store.session_dir == theirs.session_dir
    return store


def test_their_sessions_are_ours(theirs: Any, ours: HierarchicalSessionStore) -> None:
    store = TheirDefault()
    calls = [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    store.add_user_message("s", "é", {"m": 1})
    store.add_message("s", "assistant", "", tool_calls=calls)
    store.add_message("s", "tool", "result", tool_call_id="c")
    store.append_compaction_checkpoint("s", "so far", tokens_before=9)
    store.add_user_message("s", "on")
    store.set_agent_info("s", "Ada", "user-1")
    store.set_gateway_info("s", "gateway-1", "agent-1")
    store.update_session_metadata("s", model="m", cost=0.5)
    store.set_runtime_state("s", "native", "t", {"n": 1})
    store.rename_session("s", "Title")
    assert ours.get_session("s").to_dict().items() >= store.get_session("s").to_dict().items()
    assert ours.get_chat_history("s") == store.get_chat_history("s")
    assert ours.get_working_history("s") == store.get_working_history("s")
    assert ours.list_sessions() == store.list_sessions()
    assert ours.get_session_model("s") == "m"
    assert ours.get_by_gateway_session("gateway-1") is not None
    assert ours.get_session_tree("s")["title"] == "Title"


def test_their_trees_are_ours(theirs: Any, ours: HierarchicalSessionStore) -> None:
    theirs.create_session("root", "Root")
    for text in ("a", "b", "c"):
        theirs.add_user_message("root", text)
    snapshot = theirs.create_snapshot("root", "label", {"m": 1})
    fork = theirs.fork_session("root", 1)
    theirs.clear_session("root")
    theirs.share_session("root")
    assert ours.get_children("root") == [fork]
    assert ours.get_session_tree("root") == theirs.get_session_tree("root")
    assert ours.is_shared("root")
    assert said(ours, fork) == ["a", "b"]
    assert ours.get_snapshots("root")[0].to_dict() == theirs.get_snapshots("root")[0].to_dict()
    assert ours.export_session("root") == theirs.export_session("root")
    assert ours.revert_to_snapshot("root", snapshot)
    assert said(ours, "root") == ["a", "b", "c"]


def test_our_trees_are_theirs(theirs: Any, ours: HierarchicalSessionStore) -> None:
    ours.create_session("root", "Root")
    say(ours, "root", "a", "b", "c")
    snapshot = ours.create_snapshot("root", "label")
    fork = ours.fork_session("root", 1)
    assert ours.clear_session("root")
    assert theirs.get_session_tree("root") == ours.get_session_tree("root")
    assert theirs.get_extended_session("root").to_dict() == ours.export_session("root")
    assert theirs.revert_to_snapshot("root", snapshot)
    assert said(ours, "root") == ["a", "b", "c"]
    theirs.add_user_message(fork, "theirs")
    assert said(ours, fork) == ["a", "b", "theirs"]


def test_snapshots_that_know_a_position_only(ours: HierarchicalSessionStore) -> None:
    """As the first versions wrote them: they hold until what is before them changes."""
    say(ours, "s", "a", "b", "c")
    path = Path(ours.session_dir) / "s.json"
    document = json.loads(path.read_text())
    document["snapshots"] = [
        {"id": name, "session_id": "s", "message_index": index, "created_at": 1.0, "metadata": {}}
        for name, index in (("one", 1), ("nothing", -1))
    ]
    path.write_text(json.dumps(document))
    say(ours, "s", "d")
    assert ours.revert_to_snapshot("s", "one")
    assert said(ours, "s") == ["a", "b"]
    assert ours.set_chat_history("s", [{"content": "x"}, {"content": "y"}])
    assert not ours.revert_to_snapshot("s", "one")
    assert said(ours, "s") == ["x", "y"]
    assert ours.revert_to_snapshot("s", "nothing")
    assert said(ours, "s") == []


def test_a_snapshot_whose_messages_are_missing(
    ours: HierarchicalSessionStore, caplog: pytest.LogCaptureFixture
) -> None:
    say(ours, "s", "a")
    snapshot = ours.create_snapshot("s")
    path = Path(ours.session_dir) / "s.json"
    document = json.loads(path.read_text())
    document["snapshot_storage"]["records"].clear()
    path.write_text(json.dumps(document))
    assert said(ours, "s") == ["a"], "the session itself is whole"
    assert not ours.revert_to_snapshot("s", snapshot)
    assert snapshot in caplog.text


def test_a_name_that_stands_for_several_ids(theirs: Any, ours: HierarchicalSessionStore) -> None:
    """Their `user/1` is in the file user_1.json, and so would be anybody's `user_1`."""
    theirs.add_user_message("user/1", "hers")
    assert said(ours, "user/1") == ["hers"]
    assert said(ours, "user_1") == []
    say(ours, "user_1", "his")
    say(ours, "user/1", "hers, too")
    assert said(ours, "user/1") == ["hers", "hers, too"]
    assert said(ours, "user_1") == ["his"]
    assert [m["content"] for m in theirs.get_chat_history("user/1")] == ["hers", "hers, too"]
    assert {line["id"] for line in ours.list_sessions()} == {"user/1", "user_1"}
    assert ours.delete_session("user/1")
    assert said(ours, "user_1") == ["his"]
    assert ours.delete_session("user_1")
    assert ours.list_sessions() == []


def test_ids_that_are_no_plain_names(theirs: Any, ours: HierarchicalSessionStore) -> None:
    for session_id in ("User A", "Ünïcode", "a.b", "2026:1"):
        theirs.add_user_message(session_id, session_id)
        say(ours, session_id, "ours")
        assert said(ours, session_id) == [session_id, "ours"]
        assert len(theirs.get_chat_history(session_id)) == 2


def test_their_spilled_messages_are_taken_in(
    theirs: Any, ours: HierarchicalSessionStore, tmp_path: Path
) -> None:
    from praisonaiagents.session.store import SessionMessage  # noqa: PLC0415 - for this test alone

    theirs.add_user_message("User 1", "a")
    kept = theirs._spill("User 1", [SessionMessage("user", "spilled")])
    elsewhere = DefaultSessionStore(tmp_path / "elsewhere")
    say(elsewhere, "User 1", "x")
    assert said(elsewhere, "User 1") == ["x"], "they do not say of which folder it is"
    say(ours, "User 1", "b")
    assert said(ours, "User 1") == ["a", "spilled", "b"]
    assert not Path(kept).exists()


def test_their_encrypted_sessions_are_read(ours: HierarchicalSessionStore) -> None:
    key = generate_session_key()
    calls = [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    theirs = TheirEncrypted(TheirDefault(), key)
    theirs.add_message("s", "assistant", "secret", {"m": 1}, tool_calls=calls)
    assert "secret" not in str(said(ours, "s"))
    (message,) = EncryptedSessionStore(ours, key).get_session("s").messages
    assert (message.content, message.metadata, message.tool_calls) == ("secret", {"m": 1}, calls)


@pytest.mark.parametrize("theirs_first", [True, False])
def test_locks_are_shared(
    theirs: Any, ours: HierarchicalSessionStore, theirs_first: bool, tmp_path: Path
) -> None:
    from praisonaiagents.session.store import FileLock  # noqa: PLC0415 - for this test alone

    from praison_persist import UnavailableError  # noqa: PLC0415 - as above
    from praison_persist.sessions.file_locks import locked  # noqa: PLC0415 - as above

    path = Path(ours.session_dir) / "s.json"
    if theirs_first:
        impatient = DefaultSessionStore(ours.session_dir, lock_timeout=0.05)
        with FileLock(str(path)), pytest.raises(UnavailableError):
            impatient.add_user_message("s", "x")
    else:
        theirs.lock_timeout = 0.05
        with locked(path, 1), pytest.raises(OSError, match="lock"):
            theirs.add_user_message("s", "x")
