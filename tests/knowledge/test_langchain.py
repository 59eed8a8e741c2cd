"""Vector stores of LangChain keep the knowledge contract."""

from __future__ import annotations

from typing import Any

import pytest

from tests.packages import needs

needs("langchain_core", extra="langchain")

from langchain_core.documents import Document  # noqa: E402 - after the check
from langchain_core.embeddings import DeterministicFakeEmbedding  # noqa: E402 - after the check
from langchain_core.vectorstores import (  # noqa: E402 - after the check
    InMemoryVectorStore,
    VectorStore,
)

from praison_persist._flow import run  # noqa: E402 - after the check
from praison_persist.errors import (  # noqa: E402 - after the check
    BackendError,
    ConfigurationError,
    ConflictError,
    UnavailableError,
    UnsupportedError,
)
from praison_persist.knowledge.embedders import Embedder  # noqa: E402 - after the check
from praison_persist.knowledge.langchain import (  # noqa: E402 - after the check
    GivenEmbeddings,
    LangChainKnowledgeStore,
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

        def make(embedding: Any, collection_name: str) -> Any:
            return stores.setdefault(collection_name, InMemoryVectorStore(embedding))

        def open_knowledge(embedder: Embedder | None = None) -> KnowledgeStore:
            return LangChainKnowledgeStore(vectorstore_cls=make, embedder=embedder)

        return open_knowledge


class TestOne(KnowledgeStoreContract):
    """One vector store, in which there are documents of others, too."""

    @pytest.fixture
    def open_knowledge(self) -> OpenKnowledge:
        vectorstore = InMemoryVectorStore(GivenEmbeddings(DeterministicFakeEmbedding(size=4)))
        vectorstore.add_documents([Document(page_content=f"other {n}") for n in range(30)])

        def open_knowledge(embedder: Embedder | None = None) -> KnowledgeStore:
            return LangChainKnowledgeStore(vectorstore, embedder=embedder)

        return open_knowledge


class _Failing(InMemoryVectorStore):  # type: ignore[misc]  # typed only where LangChain is installed
    error: Exception | None = None

    def get_by_ids(self, wanted: Any, /) -> Any:
        if self.error is not None:
            raise self.error
        return super().get_by_ids(wanted)


class TestStore:
    def test_a_class_makes_the_stores(self) -> None:
        with LangChainKnowledgeStore(vectorstore_cls=InMemoryVectorStore) as store:
            store.create_collection("docs", 4)
            store.create_collection("notes", 3)
            store.insert("docs", [document("a")])
            assert ids(store.search("docs", vector("a"))) == ["a"]
            assert store.count("notes") == 0

    def test_many_collections_are_listed(self) -> None:
        with LangChainKnowledgeStore(vectorstore_cls=InMemoryVectorStore) as store:
            names = [f"c{number:04}" for number in range(1001)]
            for name in names:
                store.create_collection(name, 4)
            assert store.list_collections() == names

    def test_a_store_has_one_collection(self) -> None:
        with LangChainKnowledgeStore(InMemoryVectorStore(GivenEmbeddings())) as store:
            store.create_collection("docs", 4)
            with pytest.raises(UnsupportedError, match="'docs', and no more than one"):
                store.create_collection("notes", 4)
            store.delete_collection("docs")
            store.create_collection("notes", 4)

    def test_documents_of_others_stay(self) -> None:
        model = DeterministicFakeEmbedding(size=4)
        vectorstore = InMemoryVectorStore(GivenEmbeddings(model))
        vectorstore.add_documents([Document(page_content="other")], ids=["other"])
        with LangChainKnowledgeStore(vectorstore) as store:
            store.create_collection("docs", 4)
            store.insert("docs", [document("a", None, "ours")])
            assert store.clear("docs") == 1
            store.delete_collection("docs")
        assert [each.page_content for each in vectorstore.get_by_ids(["other"])] == ["other"]
        assert len(vectorstore.store) == 1

    def test_two_insert_the_same_id(self) -> None:
        with LangChainKnowledgeStore(InMemoryVectorStore(GivenEmbeddings())) as store:
            store.create_collection("docs", 4)
            given = document("a", None, "first", embedding=[1.0, 2.0, 3.0, 4.0])
            collection = store.get_collection("docs")
            assert collection is not None
            for _ in range(2):  # the second as after an error
                run(store.driver.put(collection, [given], new=True))
            with pytest.raises(ConflictError, match="'a' by now"):
                run(store.driver.put(collection, [document("a")], new=True))
            assert [each.content for each in store.get("docs", ["a"])] == ["first"]

    def test_langchain_finds_them_too(self) -> None:
        model = DeterministicFakeEmbedding(size=4)
        vectorstore = InMemoryVectorStore(GivenEmbeddings(model))
        with LangChainKnowledgeStore(vectorstore) as store:
            store.create_collection("docs", 4)
            embedding = model.embed_query("words")
            store.insert("docs", [document("a", None, "the text", embedding=embedding)])
            found = vectorstore.similarity_search("words", k=1)
        assert [each.page_content for each in found] == ["the text"]

    def test_failures_are_told(self) -> None:
        vectorstore = _Failing(GivenEmbeddings())
        with LangChainKnowledgeStore(vectorstore, retry_delay=0.001) as store:
            vectorstore.error = ConnectionError("no route")
            with pytest.raises(UnavailableError, match=r"4 attempts.*no route"):
                store.collection_exists("docs")
            vectorstore.error = ValueError("no such index")
            with pytest.raises(BackendError, match="ValueError: no such index"):
                store.collection_exists("docs")

    def test_what_cannot_be_used_is_refused(self) -> None:
        given = GivenEmbeddings()

        class Lacking(VectorStore):  # type: ignore[misc]  # as above
            def similarity_search(self, *_: Any, **__: Any) -> Any: ...

            @classmethod
            def from_texts(cls, *_: Any, **__: Any) -> Any: ...

        refused: list[tuple[dict[str, Any], str]] = [
            ({}, "either vectorstore= or"),
            ({"vectorstore": 1}, "int is no VectorStore"),
            ({"vectorstore": Lacking()}, "does not implement get_by_ids, delete, similarity"),
            ({"vectorstore": InMemoryVectorStore(DeterministicFakeEmbedding(size=4))}, "Given"),
            (
                {"vectorstore": InMemoryVectorStore(given), "vectorstore_kwargs": {"a": 1}},
                "belongs to vectorstore_cls",
            ),
            ({"vectorstore_cls": 1}, "vectorstore_cls= is a class"),
            ({"vectorstore_cls": lambda name: name}, "takes embedding="),
            (
                {"vectorstore_cls": InMemoryVectorStore, "vectorstore_kwargs": {"embedding": 1}},
                "neither that",
            ),
            ({"vectorstore": InMemoryVectorStore(given), "distance": "manhattan"}, "manhattan"),
        ]
        for arguments, told in refused:
            with pytest.raises(ConfigurationError, match=told):
                LangChainKnowledgeStore(**arguments)

    def test_others_need_a_model(self) -> None:
        with pytest.raises(ConfigurationError, match="GivenEmbeddings"):
            InMemoryVectorStore(GivenEmbeddings()).similarity_search("x")
