"""The template of knowledge stores: what a vendor implements, and what it need not care about.

A vendor's module has a `KnowledgeDriver`, written once for both colours, and two classes of a few
lines that say how it is made:

    class MineDriver(KnowledgeDriver):
        def __init__(self, client, sleep): ...

        def fetch(self, collection, ids, *, embeddings):
            rows = yield from wait(self._client.find(ids))  # a value, or a coroutine
            return [unpacked(row.id, row.payload) for row in rows]
        ...

    class MineKnowledgeStore(BaseKnowledgeStore):
        def __init__(self, url=None, *, embedder=None):
            super().__init__(MineDriver(mine.Client(url), time.sleep), embedder)

    class AsyncMineKnowledgeStore(AsyncBaseKnowledgeStore):
        def __init__(self, url=None, *, embedder=None):
            super().__init__(MineDriver(mine.AsyncClient(url), asyncio.sleep), embedder)

A hook is a flow (`praison_persist._flow`): it yields what the client's method returned and is sent
the value, so that the same hook drives a sync and an async client. An async client belongs to the
event loop it was made on: keep it in `praison_persist._loops.PerLoop`. For a vendor whose client is
sync only there is no second class: in asyncio it is run in threads.

Done here and in `flows`: checks of names, dimensions, vectors, ids and metadata, batches, refusing
what exists, thresholds, order, filters parsed to terms and ranges, embeddings of texts, retries of
`failures` that are transient and translation of the others, closing. The methods are final.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

from praison_persist._flow import arun, run
from praison_persist.knowledge.driver import KnowledgeDriver
from praison_persist.knowledge.embedders import Embedder, embed_async, embed_sync
from praison_persist.knowledge.flows import KnowledgeFlows
from praison_persist.knowledge_protocols import AsyncKnowledgeStore, Filters, KnowledgeStore
from praison_persist.models import DocumentPage, KnowledgeCollection, KnowledgeDocument

__all__ = ["AsyncBaseKnowledgeStore", "BaseKnowledgeStore", "KnowledgeDriver"]


class BaseKnowledgeStore(KnowledgeStore):
    """A sync knowledge store over a driver whose client is sync.

    Args:
        embedder: takes a list of texts and returns the embedding of each; may be async.
    """

    def __init__(self, driver: KnowledgeDriver, embedder: Embedder | None = None) -> None:
        self.driver = driver
        self.capabilities = driver.capabilities
        self._flows = KnowledgeFlows(driver, type(self).__name__, embed_sync(embedder))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.driver.address})"

    @final
    def create_collection(
        self,
        name: str,
        dimension: int,
        distance: str = "cosine",
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """See `KnowledgeStore.create_collection`."""
        run(self._flows.create_collection(name, dimension, distance, metadata))

    @final
    def get_collection(self, name: str) -> KnowledgeCollection | None:
        """See `KnowledgeStore.get_collection`."""
        return run(self._flows.get_collection(name))

    @final
    def delete_collection(self, name: str) -> bool:
        """See `KnowledgeStore.delete_collection`."""
        return run(self._flows.delete_collection(name))

    @final
    def collection_exists(self, name: str) -> bool:
        """See `KnowledgeStore.collection_exists`."""
        return run(self._flows.collection_exists(name))

    @final
    def list_collections(self) -> list[str]:
        """See `KnowledgeStore.list_collections`."""
        return run(self._flows.list_collections())

    @final
    def insert(self, collection: str, documents: Sequence[KnowledgeDocument]) -> list[str]:
        """See `KnowledgeStore.insert`."""
        return run(self._flows.put(collection, documents, new=True))

    @final
    def upsert(self, collection: str, documents: Sequence[KnowledgeDocument]) -> list[str]:
        """See `KnowledgeStore.upsert`."""
        return run(self._flows.put(collection, documents, new=False))

    @final
    def search(
        self,
        collection: str,
        query_embedding: Sequence[float] | None = None,
        limit: int = 5,
        filters: Filters | None = None,
        score_threshold: float | None = None,
        *,
        query_text: str | None = None,
        hybrid: bool = False,
        include_embeddings: bool = False,
    ) -> list[KnowledgeDocument]:
        """See `KnowledgeStore.search`."""
        return run(
            self._flows.search(
                collection,
                query_embedding,
                limit,
                filters,
                score_threshold,
                text=query_text,
                hybrid=hybrid,
                embeddings=include_embeddings,
            )
        )

    @final
    def get(
        self, collection: str, ids: Sequence[str], *, include_embeddings: bool = False
    ) -> list[KnowledgeDocument]:
        """See `KnowledgeStore.get`."""
        return run(self._flows.get(collection, ids, embeddings=include_embeddings))

    @final
    def delete(
        self, collection: str, ids: Sequence[str] | None = None, filters: Filters | None = None
    ) -> int:
        """See `KnowledgeStore.delete`."""
        return run(self._flows.delete(collection, ids, filters))

    @final
    def clear(self, collection: str) -> int:
        """See `KnowledgeStore.clear`."""
        return run(self._flows.clear(collection))

    @final
    def count(self, collection: str, filters: Filters | None = None) -> int:
        """See `KnowledgeStore.count`."""
        return run(self._flows.count(collection, filters))

    @final
    def page_documents(
        self, collection: str, *, cursor: str | None = None, include_embeddings: bool = False
    ) -> DocumentPage:
        """See `KnowledgeStore.page_documents`."""
        return run(self._flows.page(collection, cursor, embeddings=include_embeddings))

    @final
    def close(self) -> None:
        """See `KnowledgeStore.close`."""
        run(self._flows.close())


class AsyncBaseKnowledgeStore(AsyncKnowledgeStore):
    """An async knowledge store over a driver whose client is async.

    Args:
        embedder: takes a list of texts and returns the embedding of each; may be sync, and then
            runs in a thread.
    """

    def __init__(self, driver: KnowledgeDriver, embedder: Embedder | None = None) -> None:
        self.driver = driver
        self.capabilities = driver.capabilities
        self._flows = KnowledgeFlows(driver, type(self).__name__, embed_async(embedder))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.driver.address})"

    @final
    async def create_collection(
        self,
        name: str,
        dimension: int,
        distance: str = "cosine",
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """See `KnowledgeStore.create_collection`."""
        await arun(self._flows.create_collection(name, dimension, distance, metadata))

    @final
    async def get_collection(self, name: str) -> KnowledgeCollection | None:
        """See `KnowledgeStore.get_collection`."""
        return await arun(self._flows.get_collection(name))

    @final
    async def delete_collection(self, name: str) -> bool:
        """See `KnowledgeStore.delete_collection`."""
        return await arun(self._flows.delete_collection(name))

    @final
    async def collection_exists(self, name: str) -> bool:
        """See `KnowledgeStore.collection_exists`."""
        return await arun(self._flows.collection_exists(name))

    @final
    async def list_collections(self) -> list[str]:
        """See `KnowledgeStore.list_collections`."""
        return await arun(self._flows.list_collections())

    @final
    async def insert(self, collection: str, documents: Sequence[KnowledgeDocument]) -> list[str]:
        """See `KnowledgeStore.insert`."""
        return await arun(self._flows.put(collection, documents, new=True))

    @final
    async def upsert(self, collection: str, documents: Sequence[KnowledgeDocument]) -> list[str]:
        """See `KnowledgeStore.upsert`."""
        return await arun(self._flows.put(collection, documents, new=False))

    @final
    async def search(
        self,
        collection: str,
        query_embedding: Sequence[float] | None = None,
        limit: int = 5,
        filters: Filters | None = None,
        score_threshold: float | None = None,
        *,
        query_text: str | None = None,
        hybrid: bool = False,
        include_embeddings: bool = False,
    ) -> list[KnowledgeDocument]:
        """See `KnowledgeStore.search`."""
        return await arun(
            self._flows.search(
                collection,
                query_embedding,
                limit,
                filters,
                score_threshold,
                text=query_text,
                hybrid=hybrid,
                embeddings=include_embeddings,
            )
        )

    @final
    async def get(
        self, collection: str, ids: Sequence[str], *, include_embeddings: bool = False
    ) -> list[KnowledgeDocument]:
        """See `KnowledgeStore.get`."""
        return await arun(self._flows.get(collection, ids, embeddings=include_embeddings))

    @final
    async def delete(
        self, collection: str, ids: Sequence[str] | None = None, filters: Filters | None = None
    ) -> int:
        """See `KnowledgeStore.delete`."""
        return await arun(self._flows.delete(collection, ids, filters))

    @final
    async def clear(self, collection: str) -> int:
        """See `KnowledgeStore.clear`."""
        return await arun(self._flows.clear(collection))

    @final
    async def count(self, collection: str, filters: Filters | None = None) -> int:
        """See `KnowledgeStore.count`."""
        return await arun(self._flows.count(collection, filters))

    @final
    async def page_documents(
        self, collection: str, *, cursor: str | None = None, include_embeddings: bool = False
    ) -> DocumentPage:
        """See `KnowledgeStore.page_documents`."""
        return await arun(self._flows.page(collection, cursor, embeddings=include_embeddings))

    @final
    async def close(self) -> None:
        """See `KnowledgeStore.close`."""
        await arun(self._flows.close())
