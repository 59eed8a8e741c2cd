"""What an encrypted store leaves to be read, and what it says of a wrong key."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import filelock
import pytest

from praison_persist import (
    ConfigurationError,
    DefaultSessionStore,
    EncryptedSessionStore,
    UnsupportedError,
    generate_session_key,
)
from praison_persist.testing.session_contract import said, say


@pytest.fixture
def inner(tmp_path: Path) -> DefaultSessionStore:
    return DefaultSessionStore(
        tmp_path / "sessions",
        retention="compact",
        active_window=3,
        spill_dir=tmp_path / "spill",
    )


def everything(store: Any, word: str) -> None:
    """Store a word in every place that holds what somebody said."""
    store.create_session("s", f"title {word}", agent_name="Ada", metadata={word: word})
    calls = [{"id": "c", "function": {"name": "f", "arguments": word}}]
    store.add_message("s", "user", word, {word: word})
    store.add_message("s", "assistant", None, tool_calls=calls)
    store.add_message("s", "tool", word, tool_call_id="c")
    store.add_message("s", "user", [{"type": "text", "text": word}])
    store.upsert_partial_assistant_message("s", word)
    store.create_snapshot("s", word, {word: word})
    store.append_compaction_checkpoint("s", word, metadata={word: word})
    store.set_runtime_state("s", "native", "t", {word: word})
    store.set_agent_info("s", user_id="user-1")
    store.rename_session("s", word)
    store.fork_session("s")
    store.import_sessions(store.export_session("s"), overwrite=True)
    store.import_session(store.export_session("s"))
    store.set_chat_history("s", [{"role": "user", "content": word}])


def test_nothing_that_is_said_is_readable(inner: DefaultSessionStore, tmp_path: Path) -> None:
    everything(EncryptedSessionStore(inner, generate_session_key()), "Geheimnis")
    stored = "".join(p.read_text() for p in tmp_path.rglob("*") if p.is_file())
    assert "Geheimnis" not in stored
    assert "Ada" in stored
    assert "user-1" in stored


def test_nothing_that_is_spilled_is_readable(
    inner: DefaultSessionStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = EncryptedSessionStore(inner, generate_session_key())
    replace = Path.replace

    def full(path: Path, target: Any) -> Any:
        if path.parent == tmp_path / "sessions":
            raise OSError(28, "No space left on device")
        return replace(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", full)
        assert not store.add_user_message("s", "Geheimnis")
    (spilled,) = (tmp_path / "spill").iterdir()
    assert "Geheimnis" not in spilled.read_text()
    say(store, "s", "next")
    assert said(store, "s") == ["Geheimnis", "next"]


def test_what_cannot_even_be_locked_is_spilled(
    inner: DefaultSessionStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a read-only disk there is no file to lock."""
    store = EncryptedSessionStore(inner, generate_session_key())
    say(store, "s", "first")

    def read_only(*arguments: Any, **options: Any) -> None:
        raise OSError(30, "Read-only file system")

    with monkeypatch.context() as patch:
        patch.setattr(filelock.FileLock, "acquire", read_only)
        assert not store.add_user_message("s", "Geheimnis")
    (spilled,) = (tmp_path / "spill").iterdir()
    assert "Geheimnis" not in spilled.read_text()
    say(store, "s", "next")
    assert said(store, "s") == ["first", "Geheimnis", "next"]


def test_another_key_opens_nothing(inner: DefaultSessionStore) -> None:
    everything(EncryptedSessionStore(inner, generate_session_key()), "Geheimnis")
    other = EncryptedSessionStore(inner, generate_session_key())
    for call in (
        lambda: other.get_chat_history("s"),
        lambda: other.list_sessions(),
        lambda: other.export_all(),
        lambda: other.add_user_message("s", "x"),
    ):
        with pytest.raises(ConfigurationError, match="key"):
            call()
    assert len(inner.get_chat_history("s")) == 1, "nothing was written either"


def test_what_was_changed_is_not_believed(inner: DefaultSessionStore) -> None:
    store = EncryptedSessionStore(inner, generate_session_key())
    say(store, "s", "hello")
    path = Path(inner.session_dir) / "s.json"
    document = json.loads(path.read_text())
    content = document["messages"][0]["content"]
    flipped = "A" if content[-10] != "A" else "B"
    document["messages"][0]["content"] = content[:-10] + flipped + content[-9:]
    path.write_text(json.dumps(document))
    with pytest.raises(ConfigurationError, match="changed since"):
        store.get_chat_history("s")


def test_what_is_not_asked_for_is_not_decrypted(inner: DefaultSessionStore) -> None:
    """A long archive would make each turn slower than the one before."""
    store = EncryptedSessionStore(inner, generate_session_key())
    say(store, "s", "first", "second")
    store.create_snapshot("s")
    say(store, "s", "third", "fourth", "fifth")
    path = Path(inner.session_dir) / "s.json"
    document = json.loads(path.read_text())
    archived = document["archived_messages"][0]
    records = document["snapshot_storage"]["records"].values()
    for message in (archived, *(record for record in records if record and "content" in record)):
        message["content"] = message["content"][:-10]
    path.write_text(json.dumps(document))
    assert said(store, "s")[-1] == "fifth"
    assert store.set_runtime_state("s", "native", "t", {"a": 1})
    assert store.get_runtime_state("s", "native", "t") == {"a": 1}
    assert [line["session_id"] for line in store.list_sessions()] == ["s"]
    assert [checkpoint["label"] for checkpoint in store.list_checkpoints("s")] == [None]
    with pytest.raises(ConfigurationError, match="changed since"):
        store.get_session("s")


def test_what_was_there_before_the_key_is_read(inner: DefaultSessionStore) -> None:
    say(inner, "s", "plain")
    assert inner.update_session_metadata("s", a=1)
    store = EncryptedSessionStore(inner, generate_session_key())
    say(store, "s", "secret")
    assert said(store, "s") == ["plain", "secret"]
    assert store.get_session("s").metadata == {"a": 1}


def test_a_search_is_refused(inner: DefaultSessionStore) -> None:
    """No hits would look as if there were nothing to find."""
    store = EncryptedSessionStore(inner, generate_session_key())
    say(store, "s", "needle")
    with pytest.raises(UnsupportedError, match="encrypted"):
        store.search("needle")
    with pytest.raises(NotImplementedError):
        store.search("")


@pytest.mark.parametrize("key", ["", "short", "x" * 44, None, 7])
def test_what_is_no_key(inner: DefaultSessionStore, key: Any) -> None:
    with pytest.raises(ConfigurationError, match="key"):
        EncryptedSessionStore(inner, key)


def test_what_is_no_store() -> None:
    with pytest.raises(ConfigurationError, match="SessionStore"):
        EncryptedSessionStore(object(), generate_session_key())  # type: ignore[arg-type]  # what is tested


def test_what_looks_encrypted_is_a_text_like_others(inner: DefaultSessionStore) -> None:
    store = EncryptedSessionStore(inner, generate_session_key())
    for text in ("praisonai:enc:v1:x", "praisonai:enc:json:v1:[]"):
        say(store, "s", text)
        assert said(store, "s")[-1] == text
    assert store.update_session_metadata("s", __enc__="praisonai:enc:v1:x")
    assert store.get_session("s").metadata == {"__enc__": "praisonai:enc:v1:x"}
