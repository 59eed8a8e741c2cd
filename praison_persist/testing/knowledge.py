"""The conformance suite of knowledge stores.

A backend's test file is one class with one fixture:

    class TestMine(KnowledgeStoreContract):
        @pytest.fixture
        def open_knowledge(self, tmp_path):
            return lambda embedder=None: MyKnowledgeStore(tmp_path / "my.db", embedder=embedder)

`open_knowledge` returns a function that opens a store; each call opens the same data, which is
empty at the beginning of a test. Where a second store of the same data cannot be opened so, the
fixture `second` is overridden. An async store joins through `blocking(store, KnowledgeStore)`.
"""

from __future__ import annotations

from praison_persist.testing.knowledge_collections import CollectionContract
from praison_persist.testing.knowledge_contract import OpenKnowledge
from praison_persist.testing.knowledge_documents import DocumentContract
from praison_persist.testing.knowledge_races import (
    KnowledgeCloseContract,
    KnowledgeRaceContract,
)
from praison_persist.testing.knowledge_search import FilterContract, SearchContract

__all__ = ["KnowledgeStoreContract", "OpenKnowledge"]


class KnowledgeStoreContract(
    CollectionContract,
    DocumentContract,
    SearchContract,
    FilterContract,
    KnowledgeRaceContract,
    KnowledgeCloseContract,
):
    """What every knowledge store does; see the module for how to join."""
