"""The shelf keeps the contract of each kind of store; it is created by its name."""

from __future__ import annotations

import uuid

import pytest

from praison_persist import (
    create_conversation_store,
    create_knowledge_store,
    create_state_store,
)
from praison_persist.testing import (
    Clock,
    ConversationStoreContract,
    KnowledgeStoreContract,
    StateStoreContract,
)
from praison_persist.testing.contract import OpenStore
from praison_persist.testing.knowledge_contract import OpenKnowledge
from praison_persist.testing.state_contract import OpenState


@pytest.fixture
def url() -> str:
    return f"shelf://{uuid.uuid4()}"


class TestConversations(ConversationStoreContract):
    @pytest.fixture
    def open_store(self, url: str) -> OpenStore:
        return lambda: create_conversation_store("shelf", url)


class TestState(StateStoreContract):
    @pytest.fixture
    def open_state(self, url: str, clock: Clock) -> OpenState:
        return lambda: create_state_store("shelf", url, clock=clock)


class TestKnowledge(KnowledgeStoreContract):
    @pytest.fixture
    def open_knowledge(self, url: str) -> OpenKnowledge:
        return lambda embedder=None: create_knowledge_store("shelf", url, embedder=embedder)
