"""The conformance suite on session files, plain and encrypted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from praison_persist import (
    DefaultSessionStore,
    EncryptedSessionStore,
    HierarchicalSessionStore,
    generate_session_key,
)
from praison_persist.testing.session_contract import OpenSessions
from praison_persist.testing.session_stores import SessionKeepingContract, SessionStoreContract


def opener(kind: type[DefaultSessionStore], folder: Path) -> OpenSessions:
    """Return a function that opens the sessions in a folder, and waits for others as a test may."""

    def open_sessions(**options: Any) -> DefaultSessionStore:
        given: dict[str, Any] = {"lock_timeout": 60, "spill_dir": folder / "spill", **options}
        return kind(folder / "sessions", **given)

    return open_sessions


class TestDefaultSessionStore(SessionStoreContract):
    @pytest.fixture
    def open_sessions(self, tmp_path: Path) -> OpenSessions:
        return opener(DefaultSessionStore, tmp_path)


class TestHierarchicalSessionStore(SessionStoreContract):
    @pytest.fixture
    def open_sessions(self, tmp_path: Path) -> OpenSessions:
        return opener(HierarchicalSessionStore, tmp_path)


class TestEncryptedSessionStore(SessionKeepingContract):
    @pytest.fixture
    def open_sessions(self, tmp_path: Path) -> OpenSessions:
        key, open_inner = generate_session_key(), opener(DefaultSessionStore, tmp_path)
        return lambda **options: EncryptedSessionStore(open_inner(**options), key)

    def assert_same(self, again: list[dict[str, Any]], records: list[dict[str, Any]]) -> None:
        """What is encrypted once more looks different, and so it is another record."""
        assert len(again) == len(records)
