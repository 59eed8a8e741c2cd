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


class TestDefaultSessionStore(SessionStoreContract):
    @pytest.fixture
    def open_sessions(self, tmp_path: Path) -> OpenSessions:
        def open_sessions(**options: Any) -> DefaultSessionStore:
            options = {"lock_timeout": 60, "spill_dir": tmp_path / "spill"} | options
            return DefaultSessionStore(tmp_path / "sessions", **options)

        return open_sessions


class TestHierarchicalSessionStore(SessionStoreContract):
    @pytest.fixture
    def open_sessions(self, tmp_path: Path) -> OpenSessions:
        def open_sessions(**options: Any) -> HierarchicalSessionStore:
            options = {"lock_timeout": 60, "spill_dir": tmp_path / "spill"} | options
            return HierarchicalSessionStore(tmp_path / "sessions", **options)

        return open_sessions


class TestEncryptedSessionStore(SessionKeepingContract):
    @pytest.fixture
    def open_sessions(self, tmp_path: Path) -> OpenSessions:
        key = generate_session_key()

        def open_sessions(**options: Any) -> EncryptedSessionStore:
            options = {"lock_timeout": 60, "spill_dir": tmp_path / "spill"} | options
            return EncryptedSessionStore(DefaultSessionStore(tmp_path / "sessions", **options), key)

        return open_sessions

    def assert_same(self, again: list[dict[str, Any]], records: list[dict[str, Any]]) -> None:
        """What is encrypted once more looks different, and so it is another record."""
        assert len(again) == len(records)
