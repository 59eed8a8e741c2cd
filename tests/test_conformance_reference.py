"""The oracle keeps the contract that it is the oracle of, with and without capabilities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from praison_persist.models import (
    ConversationMessage,
    ConversationSession,
    MessageHit,
    MessagePage,
    SessionPage,
)
from praison_persist.protocols import Capability
from praison_persist.testing import ConversationStoreContract, ReferenceConversationStore
from praison_persist.testing.contract import OpenStore


class TestReference(ConversationStoreContract):
    @pytest.fixture
    def open_store(self) -> OpenStore:
        return ReferenceConversationStore().open_again


class _Plain(ReferenceConversationStore):
    """Only what is mandatory; the rest comes from the contract's defaults."""

    capabilities = frozenset()

    def update_session(
        self, session: ConversationSession, *, expected_version: int | None = None
    ) -> ConversationSession:
        if expected_version is not None:
            self._unsupported(Capability.EXPECTED_VERSION)
        return super().update_session(session)

    def add_message(self, session_id: str, message: ConversationMessage) -> ConversationMessage:
        return ReferenceConversationStore.add_messages(self, session_id, [message])[0]

    def add_messages(
        self, session_id: str, messages: Sequence[ConversationMessage]
    ) -> list[ConversationMessage]:
        self._unsupported(Capability.BATCH)

    def page_messages(
        self,
        session_id: str,
        *,
        limit: int = 100,
        cursor: str | None = None,
        backward: bool = False,
    ) -> MessagePage:
        self._unsupported(Capability.CURSORS)

    def page_sessions(
        self,
        user_id: str | None = None,
        agent_id: str | None = None,
        *,
        limit: int = 100,
        cursor: str | None = None,
    ) -> SessionPage:
        self._unsupported(Capability.CURSORS)

    def search_messages(
        self,
        query: str,
        *,
        session_id: str | None = None,
        user_id: str | None = None,
        agent_id: str | None = None,
        role: str | None = None,
        limit: int = 20,
    ) -> list[MessageHit]:
        self._unsupported(Capability.SEARCH)

    def dump_session(self, session_id: str) -> dict[str, Any] | None:
        self._unsupported(Capability.DUMP)

    def load_session(self, dump: dict[str, Any]) -> str:
        self._unsupported(Capability.DUMP)


class TestWithoutCapabilities(ConversationStoreContract):
    @pytest.fixture
    def open_store(self) -> OpenStore:
        return _Plain().open_again
