"""Vector stores of LlamaIndex keep the knowledge contract."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.packages import needs

needs("llama_index.core", extra="llamaindex")

from llama_index.core.schema import TextNode  # noqa: E402 - after the check
from llama_index.core.storage.kvstore import SimpleKVStore  # noqa: E402 - after the check
from llama_index.core.vector_stores import SimpleVectorStore  # noqa: E402 - after the check

from praison_persist.errors import (  # noqa: E402 - after the check
    BackendError,
    ConfigurationError,
    UnavailableError,
    UnsupportedError,
)
from praison_persist.knowledge.embedders import Embedder  # noqa: E402 - after the check
from praison_persist.knowledge.llamaindex import (  # noqa: E402 - after the check
    LlamaIndexKnowledgeStore,
)
from praison_persist.knowledge_protocols import KnowledgeStore  # noqa: E402 - after the check
from praison_persist.testing.knowledge import (  # noqa: E402 - after the check
    KnowledgeStoreContract,
    OpenKnowledge,
)
from praison_persist.testing.knowledge_contract import (  # noqa: E402 - after the check
    document,
    ids,
    vector,
)


class TestMany(KnowledgeStoreContract):
    """A vector store for each collection, of which another store gets the same."""

    @pytest.fixture
    def open_knowledge(self) -> OpenKnowledge:
        stores: dict[str, Any] = {}
        values = SimpleKVStore()

        def make(collection_name: str) -> Any:
            return stores.setdefault(collection_name, SimpleVectorStore())

        def open_knowledge(embedder: Embedder | None = None) -> KnowledgeStore:
            return LlamaIndexKnowledgeStore(vectorstore_cls=make, kvstore=values, embedder=embedder)

        return open_knowledge


class TestOne(KnowledgeStoreContract):
    """One vector store, in which there are nodes of others, too."""

    @pytest.fixture
    def open_knowledge(self) -> OpenKnowledge:
        vectorstore, values = SimpleVectorStore(), SimpleKVStore()
        vectorstore.add([TextNode(text=f"{n}", embedding=vector(n)) for n in range(30)])

        def open_knowledge(embedder: Embedder | None = None) -> KnowledgeStore:
            return LlamaIndexKnowledgeStore(vectorstore, kvstore=values, embedder=embedder)

        return open_knowledge


class _Failing(SimpleKVStore):  # type: ignore[misc]  # typed only where LlamaIndex is installed
    error: Exception | None = None

    def get(self, key: str, collection: str = "data") -> Any:
        if self.error is not None:
            raise self.error
        return super().get(key, collection)


class TestStore:
    def test_a_simple_one_needs_nothing_else(self) -> None:
        either: list[dict[str, Any]] = [
            {"vectorstore": SimpleVectorStore()},
            {"vectorstore_cls": SimpleVectorStore},
        ]
        for arguments in either:
            with LlamaIndexKnowledgeStore(**arguments) as store:
                store.create_collection("docs", 4)
                store.insert("docs", [document("a", {"k": 1}, "text")])
                assert ids(store.search("docs", vector("a"), filters={"k": 1})) == ["a"]

    def test_a_store_has_one_collection(self) -> None:
        with LlamaIndexKnowledgeStore(SimpleVectorStore()) as store:
            store.create_collection("docs", 4)
            with pytest.raises(UnsupportedError, match="'docs', and no more than one"):
                store.create_collection("notes", 4)
            store.delete_collection("docs")
            store.create_collection("notes", 4)

    def test_what_llamaindex_persists_is_read_again(self, tmp_path: Path) -> None:
        vectorstore, values = SimpleVectorStore(), SimpleKVStore()
        with LlamaIndexKnowledgeStore(vectorstore, kvstore=values) as store:
            store.create_collection("docs", 4, metadata={"k": [1]})
            store.insert("docs", [document("a", {"k": 1}, "te\x00xt", created_at=0.1 + 0.2)])
        vectorstore.persist(str(tmp_path / "vectors.json"))
        values.persist(str(tmp_path / "values.json"))
        vectorstore = SimpleVectorStore.from_persist_path(str(tmp_path / "vectors.json"))
        values = SimpleKVStore.from_persist_path(str(tmp_path / "values.json"))
        with LlamaIndexKnowledgeStore(vectorstore, kvstore=values) as store:
            stored = store.get_collection("docs")
            assert stored is not None
            assert stored.metadata == {"k": [1]}
            (hit,) = store.search("docs", vector("a"))
            assert (hit.content, hit.created_at) == ("te\x00xt", 0.1 + 0.2)

    def test_nodes_of_others_stay(self) -> None:
        vectorstore = SimpleVectorStore()
        vectorstore.add([TextNode(id_="other", text="other", embedding=vector("other"))])
        with LlamaIndexKnowledgeStore(vectorstore) as store:
            store.create_collection("docs", 4)
            store.insert("docs", [document("a")])
            assert store.clear("docs") == 1
            store.delete_collection("docs")
        assert list(vectorstore.data.embedding_dict) == ["other"]

    def test_failures_are_told(self) -> None:
        values = _Failing()
        with LlamaIndexKnowledgeStore(
            SimpleVectorStore(), kvstore=values, retry_delay=0.001
        ) as store:
            values.error = ConnectionError("no route")
            with pytest.raises(UnavailableError, match=r"4 attempts.*no route"):
                store.collection_exists("docs")
            values.error = ValueError("no such table")
            with pytest.raises(BackendError, match="ValueError: no such table"):
                store.collection_exists("docs")

    def test_what_cannot_be_used_is_refused(self) -> None:
        simple = SimpleVectorStore()
        refused: list[tuple[dict[str, Any], str]] = [
            ({}, "either vectorstore= or"),
            ({"vectorstore": 1}, "int is no BasePydanticVectorStore"),
            ({"vectorstore": simple, "kvstore": {}}, "dict is no BaseKVStore"),
            ({"vectorstore": simple, "vectorstore_kwargs": {"a": 1}}, "belongs to"),
            ({"vectorstore_cls": 1}, "vectorstore_cls= is a class"),
            ({"vectorstore_cls": lambda: simple}, "hand in kvstore="),
            (
                {
                    "vectorstore_cls": lambda table_name: table_name,
                    "vectorstore_kwargs": {"table_name": "t"},
                },
                "table_name is a collection's own",
            ),
            ({"vectorstore": simple, "distance": "manhattan"}, "manhattan"),
        ]
        for arguments, told in refused:
            with pytest.raises(ConfigurationError, match=told):
                LlamaIndexKnowledgeStore(**arguments)
