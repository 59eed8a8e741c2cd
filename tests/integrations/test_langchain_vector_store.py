"""LangChain's vector store over knowledge stores: its published suites, and what is ours."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.packages import INTEGRATIONS, needs

needs("langchain_core", "langchain_tests", extra="langchain", required_by=INTEGRATIONS)
needs("qdrant_client", extra="qdrant", required_by=INTEGRATIONS)

from langchain_core.documents import Document  # noqa: E402 - after the check
from langchain_core.embeddings import DeterministicFakeEmbedding, Embeddings  # noqa: E402 - as above
from langchain_core.indexing import InMemoryRecordManager, index  # noqa: E402 - as above
from langchain_core.retrievers import BaseRetriever  # noqa: E402 - as above
from langchain_core.vectorstores import VectorStore, VectorStoreRetriever  # noqa: E402 - as above
from langchain_tests.integration_tests import (  # noqa: E402 - as above
    RetrieversIntegrationTests,
    VectorStoreIntegrationTests,
)

from praison_persist import create_knowledge_store  # noqa: E402 - as above
from praison_persist.errors import (  # noqa: E402 - as above
    ConfigurationError,
    ConflictError,
    InvalidDataError,
    UnsupportedError,
)
from praison_persist.integrations.langchain import PersistVectorStore  # noqa: E402 - as above
from praison_persist.knowledge_protocols import KnowledgeStore  # noqa: E402 - as above

VECTORS = {
    "north": [1.0, 0.0],
    "north, again": [0.999, 0.0447],
    "north-east": [0.7, 0.714],
    "east": [0.0, 1.0],
    "south": [-1.0, 0.0],
}


class Compass(Embeddings):  # type: ignore[misc]  # no types of LangChain
    """Embeds words by the way they point."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [VECTORS[text] for text in texts]

    def embed_query(self, text: str) -> list[float]:
        return VECTORS[text]


def _sqlite(request: pytest.FixtureRequest) -> str:
    """Return the URL of an SQLite file with empty tables."""
    template: Path = request.getfixturevalue("sqlite_template")
    folder: Path = request.getfixturevalue("tmp_path")
    shutil.copy(template, folder / "knowledge.db")
    return f"sqlite:///{folder}/knowledge.db"


class _OnStores(VectorStoreIntegrationTests):  # type: ignore[misc]  # no types of LangChain
    """LangChain's suite, sync and async."""

    @pytest.fixture
    def vectorstore(self, request: pytest.FixtureRequest) -> Iterator[VectorStore]:
        with PersistVectorStore(self.get_embeddings(), self.address(request)) as store:
            yield store

    def address(self, request: pytest.FixtureRequest) -> Any:
        raise NotImplementedError


class TestSQLite(_OnStores):
    def address(self, request: pytest.FixtureRequest) -> Any:
        return _sqlite(request)


class TestPostgreSQL(_OnStores):
    def address(self, request: pytest.FixtureRequest) -> Any:
        url: str = request.getfixturevalue("postgres_database")
        with create_knowledge_store("sql", url) as store:
            store.delete_collection("langchain")
        return url


class TestQdrant(_OnStores):
    def address(self, request: pytest.FixtureRequest) -> Any:
        store = create_knowledge_store("qdrant", ":memory:")
        request.addfinalizer(store.close)
        return store


class TestAsyncStore(_OnStores):
    """The async methods await the store's own; the sync ones wait for them."""

    def address(self, request: pytest.FixtureRequest) -> Any:
        return create_knowledge_store("sql", _sqlite(request), mode="async")

    @pytest.fixture
    def vectorstore(self, request: pytest.FixtureRequest) -> Iterator[VectorStore]:
        store = self.address(request)
        vectors = PersistVectorStore(self.get_embeddings(), store)
        yield vectors
        asyncio.run(store.close())


class TestRetriever(RetrieversIntegrationTests):  # type: ignore[misc]  # no types of LangChain
    """LangChain's suite of retrievers, over `as_retriever`."""

    @pytest.fixture(autouse=True)
    def _documents(self, request: pytest.FixtureRequest) -> Iterator[None]:
        texts = [f"text {number}" for number in range(5)]
        embedding = DeterministicFakeEmbedding(size=6)
        with PersistVectorStore.from_texts(texts, embedding, database=_sqlite(request)) as store:
            self.store = store
            yield

    @property
    def retriever_constructor(self) -> type[BaseRetriever]:
        class Retriever(VectorStoreRetriever):  # type: ignore[misc]  # no types of LangChain
            def __init__(self, k: int = 4, **words: Any) -> None:
                super().__init__(search_kwargs={"k": k}, **words)

        return Retriever

    @property
    def retriever_constructor_params(self) -> dict[str, Any]:
        return {"vectorstore": self.store}

    @property
    def retriever_query_example(self) -> str:
        return "text 1"


@pytest.fixture
def knowledge(request: pytest.FixtureRequest) -> Iterator[KnowledgeStore]:
    with create_knowledge_store("sql", _sqlite(request)) as store:
        yield store


@pytest.fixture
def compass(knowledge: KnowledgeStore) -> PersistVectorStore:
    return PersistVectorStore.from_texts(
        list(VECTORS),
        Compass(),
        [{"axis": "y"}, {"axis": "y"}, {"axis": "x"}, {"axis": "x"}, {"axis": "y"}],
        ids=list("abcde"),
        database=knowledge,
    )


def contents(found: list[Document]) -> list[str]:
    return [document.page_content for document in found]


def test_scores_are_larger_the_nearer(compass: PersistVectorStore) -> None:
    found = compass.similarity_search_with_score("north", k=5)
    assert [document.id for document, _ in found] == list("abcde")
    assert [score for _, score in found] == pytest.approx([1, 0.999, 0.7, 0, -1], abs=1e-3)


def test_relevance_is_from_0_to_1(compass: PersistVectorStore) -> None:
    found = compass.similarity_search_with_relevance_scores("north", k=5)
    assert [score for _, score in found] == pytest.approx([1, 0.999, 0.7, 0, 0], abs=1e-3)
    near = compass.as_retriever(
        search_type="similarity_score_threshold", search_kwargs={"k": 5, "score_threshold": 0.9}
    )
    assert contents(near.invoke("north")) == ["north", "north, again"]


def test_a_dot_product_has_no_relevance_but_one_of_the_caller(knowledge: KnowledgeStore) -> None:
    with pytest.raises(UnsupportedError, match="relevance_score_fn"):
        PersistVectorStore(
            Compass(), knowledge, "dots", distance="dot"
        ).similarity_search_with_relevance_scores("north")
    own = PersistVectorStore(
        Compass(), knowledge, "dots", distance="dot", relevance_score_fn=lambda s: (s + 1) / 2
    )
    own.add_texts(["south"])
    ((_, relevance),) = own.similarity_search_with_relevance_scores("north")
    assert relevance == pytest.approx(0)


def test_filters_are_those_of_the_store(compass: PersistVectorStore) -> None:
    assert contents(compass.similarity_search("north", filter={"axis": "x"})) == [
        "north-east",
        "east",
    ]
    retriever = compass.as_retriever(search_kwargs={"k": 1, "filter": {"axis": {"$ne": "y"}}})
    assert contents(retriever.invoke("north")) == ["north-east"]
    compass.delete(filter={"axis": "y"})
    assert len(compass.similarity_search("north", k=9)) == 2


def test_marginal_relevance_leaves_out_what_is_like_another(compass: PersistVectorStore) -> None:
    assert contents(compass.max_marginal_relevance_search("north", k=2, lambda_mult=1)) == [
        "north",
        "north, again",
    ]
    diverse = compass.max_marginal_relevance_search("north", k=2, fetch_k=4, lambda_mult=0.2)
    assert contents(diverse) == ["north", "east"]
    one_axis = compass.max_marginal_relevance_search("north", k=2, filter={"axis": "x"})
    assert contents(one_axis) == ["north-east", "east"]
    mmr = compass.as_retriever(search_type="mmr", search_kwargs={"k": 1})
    assert contents(mmr.invoke("east")) == ["east"]


async def _async_search(store: PersistVectorStore) -> list[list[str]]:
    retriever = store.as_retriever(search_kwargs={"filter": {"axis": "x"}})
    return [
        contents(await store.amax_marginal_relevance_search("north", k=2, lambda_mult=0.2)),
        contents(await store.asimilarity_search_by_vector([0.0, 1.0], k=1)),
        contents(await retriever.ainvoke("north")),
        [
            document.page_content
            for document, _ in (await store.asimilarity_search_with_relevance_scores("south", k=1))
        ],
    ]


def test_the_async_methods_find_the_same(compass: PersistVectorStore) -> None:
    assert asyncio.run(_async_search(compass)) == [
        ["north", "south"],
        ["east"],
        ["north-east", "east"],
        ["south"],
    ]


def test_texts_may_come_one_by_one(knowledge: KnowledgeStore) -> None:
    """LangChain's own add_texts loses all texts of a generator."""
    store = PersistVectorStore(Compass(), knowledge)
    ids = store.add_texts(word for word in ("north", "east"))
    assert contents(store.get_by_ids(ids)) == ["north", "east"]
    assert ids == sorted(set(ids))


def test_a_generated_id_is_given_to_documents_without_one(knowledge: KnowledgeStore) -> None:
    store = PersistVectorStore(Compass(), knowledge)
    ids = store.add_documents([Document("north", id="own"), Document("east")])
    assert ids[0] == "own"
    assert len(ids[1]) == 36


def test_what_is_stored_is_a_document_of_the_knowledge_store(
    compass: PersistVectorStore, knowledge: KnowledgeStore
) -> None:
    (kept,) = knowledge.get("langchain", ["d"], include_embeddings=True)
    assert (kept.content, kept.metadata, kept.embedding) == ("east", {"axis": "x"}, [0.0, 1.0])
    knowledge.delete_collection("langchain")
    assert compass.similarity_search("north") == []
    assert compass.get_by_ids(["a"]) == []
    assert compass.delete() is True
    compass.add_texts(["south"])
    assert contents(compass.similarity_search("north")) == ["south"]


def test_deleting_without_ids_deletes_all_but_the_collection(
    compass: PersistVectorStore, knowledge: KnowledgeStore
) -> None:
    compass.delete([])
    assert knowledge.count("langchain") == 5
    compass.delete()
    assert knowledge.count("langchain") == 0


def test_what_cannot_be_is_refused_before_anything_is_stored(
    compass: PersistVectorStore, knowledge: KnowledgeStore
) -> None:
    with pytest.raises(InvalidDataError, match="2 texts, but 1 ids"):
        compass.add_texts(["north", "east"], ids=["x"])
    with pytest.raises(InvalidDataError):
        compass.add_documents([Document("north", metadata={"day": object()})])
    with pytest.raises(InvalidDataError, match="'x'"):
        compass.add_texts(["north", "east"], ids=["x", "x"])
    with pytest.raises(ConfigurationError, match="filters"):
        compass.similarity_search("north", filters={})
    with pytest.raises(ConflictError, match="distance='cosine'"):
        PersistVectorStore(Compass(), knowledge, distance="euclidean").similarity_search("north")
    with pytest.raises(ConfigurationError, match="knowledge store"):
        PersistVectorStore(Compass())
    assert knowledge.count("langchain") == 5


def test_an_index_of_langchain_is_kept_up_to_date(knowledge: KnowledgeStore) -> None:
    """`index` upserts by ids of its own, and deletes what is not there any more."""
    store = PersistVectorStore(Compass(), knowledge)
    records = InMemoryRecordManager("compass")
    records.create_schema()

    def documents(*words: str) -> list[Document]:
        return [Document(word, metadata={"source": word}) for word in words]

    words: dict[str, Any] = {"cleanup": "full", "source_id_key": "source", "key_encoder": "sha256"}
    first = index(documents("north", "east"), records, store, **words)
    again = index(documents("north", "south"), records, store, **words)
    assert (first["num_added"], again["num_added"], again["num_deleted"]) == (2, 1, 1)
    assert set(contents(store.similarity_search("north", k=9))) == {"north", "south"}


def test_a_url_is_closed_and_a_store_is_not(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/own.db"
    with create_knowledge_store("sql", url) as store:
        with PersistVectorStore.from_texts(["north"], Compass(), database=store):
            pass
        assert store.count("langchain") == 1
    with PersistVectorStore(Compass(), url) as again:
        assert contents(again.similarity_search("north")) == ["north"]

    async def search() -> list[str]:
        async with PersistVectorStore(Compass(), url) as own:
            return contents(await own.asimilarity_search("north"))

    assert asyncio.run(search()) == ["north"]
