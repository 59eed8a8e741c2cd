"""Chroma."""
from __future__ import annotations
from pathlib import Path
import pytest
from praison_persist.knowledge.chroma import ChromaKnowledgeStore
from praison_persist.testing.knowledge import KnowledgeStoreContract, OpenKnowledge

class TestFolder(KnowledgeStoreContract):
    @pytest.fixture
    def open_knowledge(self, tmp_path: Path) -> OpenKnowledge:
        return lambda embedder=None: ChromaKnowledgeStore(tmp_path, embedder=embedder)

class TestMemory(KnowledgeStoreContract):
    @pytest.fixture
    def open_knowledge(self, tmp_path: Path) -> OpenKnowledge:
        return lambda embedder=None: ChromaKnowledgeStore(persistent=False, embedder=embedder)
