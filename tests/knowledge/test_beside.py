"""An adapter of a database alone keeps knowledge; another place may be given."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import praison_persist
from praison_persist import KnowledgeDocument, SQLKnowledgeStore
from praison_persist._adapt import offload
from praison_persist.errors import (
    ConfigurationError,
    InvalidDataError,
    PersistError,
    UnknownBackendError,
)
from praison_persist.knowledge.sql import AsyncSQLKnowledgeStore
from praison_persist.knowledge_protocols import AsyncKnowledgeStore
from praison_persist.testing import ReferenceConversationStore
from praison_persist.testing.knowledge_contract import document, embed, ids, vector


def test_a_database_alone_has_working_knowledge(tmp_path: Path) -> None:
    """`db("sqlite:///x.db")` has no knowledge, or loses it with its process."""
    url = f"sqlite:///{tmp_path / 'x.db'}"
    with praison_persist.db(url, knowledge_options={"embedder": embed}) as db:
        db.knowledge_store.create_collection("docs", 4)
        db.knowledge_store.insert("docs", [KnowledgeDocument(id="a", content="text")])
        assert db.knowledge_store is db.knowledge_store
    with praison_persist.db(url) as db:
        assert ids(db.knowledge_store.search("docs", vector("text"))) == ["a"]

        async def search() -> list[str]:
            assert isinstance(db.aknowledge_store, AsyncKnowledgeStore)
            found: list[KnowledgeDocument] = await db.aknowledge_store.search(
                "docs", vector("text")
            )
            return ids(found)

        assert asyncio.run(search()) == ["a"]
        with pytest.raises(InvalidDataError, match="embedder"):
            db.knowledge_store.search("docs", query_text="text")


def test_an_async_store_shares_its_database(tmp_path: Path) -> None:
    async def use() -> None:
        store = praison_persist.AsyncSQLConversationStore(f"sqlite:///{tmp_path / 'x.db'}")
        db = praison_persist.db(store)
        knowledge = db.aknowledge_store
        assert isinstance(knowledge, AsyncSQLKnowledgeStore)
        assert knowledge.database is store.database
        await knowledge.create_collection("docs", 4)
        assert await knowledge.list_collections() == ["docs"]
        await db.aclose()

    asyncio.run(use())


def test_knowledge_may_be_elsewhere(tmp_path: Path) -> None:
    elsewhere = f"sqlite:///{tmp_path / 'knowledge.db'}"
    with praison_persist.db(":memory:", knowledge_url=elsewhere) as db:
        db.knowledge_store.create_collection("docs", 4)
        db.knowledge_store.insert("docs", [document("a")])
        store = db.knowledge_store
    with pytest.raises(PersistError, match="closed"):
        store.count("docs")
    with SQLKnowledgeStore(elsewhere) as store:
        assert store.count("docs") == 1
        with praison_persist.db(":memory:", knowledge_url=store) as db:
            assert db.knowledge_store is store


def test_what_is_no_knowledge_store_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="dict is no knowledge store"):
        praison_persist.db(":memory:", knowledge_url={})
    with pytest.raises(ConfigurationError, match="knowledge_options without"):
        praison_persist.db(":memory:", knowledge_options={"timeout": 3})
    with pytest.raises(ConfigurationError, match="embedder"):  # which nothing would call
        praison_persist.db(ReferenceConversationStore(), knowledge_options={"embedder": embed})
    with pytest.raises(UnknownBackendError, match="nowhere"):
        praison_persist.db(":memory:", knowledge_backend="nowhere")


def test_stores_are_created_by_name_in_either_colour(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'x.db'}"
    with praison_persist.create_knowledge_store("sql", url, embedder=embed) as store:
        assert isinstance(store, SQLKnowledgeStore)
        store.create_collection("docs", 4)
    with praison_persist.create_knowledge_store("async_sql", url, mode="sync") as store:
        assert store.list_collections() == ["docs"]

    async def names() -> list[str]:
        store = praison_persist.create_knowledge_store("sqlite", url, mode="async")
        assert isinstance(store, AsyncSQLKnowledgeStore)
        async with store:
            return await store.list_collections()

    assert asyncio.run(names()) == ["docs"]
    with pytest.raises(ConfigurationError, match="Invalid knowledge mode: both"):
        praison_persist.create_knowledge_store("sql", url, mode="both")


def test_a_sync_store_serves_asyncio(tmp_path: Path) -> None:
    """What has no async client of its own is run in threads."""

    async def use() -> None:
        sync = SQLKnowledgeStore(tmp_path / "x.db", embedder=embed)
        async with offload(sync, AsyncKnowledgeStore) as store:
            await store.create_collection("docs", 4)
            documents = [KnowledgeDocument(id=name, content=name) for name in "abc"]
            await asyncio.gather(*(store.insert("docs", [each]) for each in documents))
            found = await asyncio.gather(
                *(store.search("docs", query_text=name, limit=1) for name in "abc")
            )
            assert [ids(each) for each in found] == [["a"], ["b"], ["c"]]
            assert store.capabilities == sync.capabilities

    asyncio.run(use())
