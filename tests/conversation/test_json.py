"""Conversations in the files of a folder, in both colours."""

from __future__ import annotations

from pathlib import Path

import pytest

from praison_persist._adapt import blocking
from praison_persist.conversation.json_file import (
    AsyncJSONConversationStore,
    JSONConversationStore,
)
from praison_persist.protocols import ConversationStore
from praison_persist.testing import ConversationStoreContract
from praison_persist.testing.contract import OpenStore


class TestSync(ConversationStoreContract):
    @pytest.fixture
    def open_store(self, tmp_path: Path) -> OpenStore:
        return lambda: JSONConversationStore(tmp_path / "new" / "folder")


class TestAsync(ConversationStoreContract):
    @pytest.fixture
    def open_store(self, tmp_path: Path) -> OpenStore:
        def open_store() -> ConversationStore:
            return blocking(AsyncJSONConversationStore(tmp_path, pretty=False), ConversationStore)

        return open_store
