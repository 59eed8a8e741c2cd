"""Qdrant keeps the knowledge contract: its local mode, and a fake of its REST API."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.knowledge.packages import needs

needs("qdrant_client", extra="qdrant")

from praison_persist._adapt import blocking  # noqa: E402 - skipped without the package
from praison_persist.knowledge.embedders import Embedder  # noqa: E402 - as above
from praison_persist.knowledge.qdrant import (  # noqa: E402 - as above
    AsyncQdrantKnowledgeStore,
    QdrantKnowledgeStore,
)
from praison_persist.knowledge_protocols import KnowledgeStore  # noqa: E402 - as above
from praison_persist.testing.knowledge import (  # noqa: E402 - as above
    KnowledgeStoreContract,
    OpenKnowledge,
)


class TestLocal(KnowledgeStoreContract):
    @pytest.fixture
    def open_knowledge(self, tmp_path: Path) -> OpenKnowledge:
        return lambda embedder=None: QdrantKnowledgeStore(path=tmp_path / "q", embedder=embedder)


class TestLocalAsync(KnowledgeStoreContract):
    @pytest.fixture
    def open_knowledge(self, tmp_path: Path) -> OpenKnowledge:
        def open_knowledge(embedder: Embedder | None = None) -> KnowledgeStore:
            store = AsyncQdrantKnowledgeStore(path=tmp_path / "q", embedder=embedder)
            return blocking(store, KnowledgeStore)

        return open_knowledge
