"""A vector store of LangChain over any knowledge store."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Self

from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.vectorstores import VectorStore

from praison_persist._flow import arun, run
from praison_persist.connect import connect_store, knowledge_pair
from praison_persist.errors import ConfigurationError, UnsupportedError
from praison_persist.integrations._closing import Closing
from praison_persist.integrations.langchain.diversity import diverse
from praison_persist.integrations.langchain.documents import (
    DocumentFlows,
    documents_found,
    kept_documents,
    scored_documents,
)
from praison_persist.knowledge.checks import distance_named
from praison_persist.knowledge_protocols import Filters
from praison_persist.models import KnowledgeDocument

__all__ = ["PersistVectorStore"]

_RELEVANCE: dict[str, Callable[[float], float]] = {
    "cosine": lambda score: min(max(score, 0.0), 1.0),
    "euclidean": lambda score: score,  # 1 / (1 + distance)
}


class PersistVectorStore(Closing, VectorStore):  # type: ignore[misc]  # no types of LangChain
    """Documents of one collection of a knowledge store.

    Searches take `filter=`, in the language of `KnowledgeStore`. Scores are larger the nearer.

    Args:
        embedding: embeds texts and questions.
        database: a knowledge store, which stays the caller's, or its URL, which is closed with
            this. Async methods are native on an AsyncKnowledgeStore, and else use worker threads.
        collection: 1 to 48 ASCII letters, digits and underscores; created with the first document.
        backend: the name of the backend, if the URL does not tell.
        distance: "cosine", "euclidean" or "dot".
        relevance_score_fn: makes a relevance from 0 to 1 of a score.
        options: of the backend.

    Raises:
        ConfigurationError, UnknownBackendError, MissingDependencyError: see
            `create_knowledge_store`.
        InvalidDataError: there is no such distance.
    """

    def __init__(
        self,
        embedding: Embeddings,
        database: Any = None,
        collection: str = "langchain",
        *,
        backend: str | None = None,
        distance: str = "cosine",
        relevance_score_fn: Callable[[float], float] | None = None,
        **options: Any,
    ) -> None:
        self._embedding, self._relevance = embedding, relevance_score_fn
        self._distance = distance_named(distance)
        store = connect_store("knowledge", database, backend, options)
        if store is None:
            raise ConfigurationError(
                "Where are the documents to be kept? Pass a knowledge store, or its URL such as "
                "'sqlite:///knowledge.db'"
            )
        self._store, self._async_store = knowledge_pair(store)
        self._owned = store is not database
        self._flows = DocumentFlows(
            self._store, embedding.embed_documents, collection, self._distance
        )
        self._async_flows = DocumentFlows(
            self._async_store, embedding.aembed_documents, collection, self._distance
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._store!r}, {self._flows.collection!r})"

    @property
    def embeddings(self) -> Embeddings:
        """What embeds texts and questions."""
        return self._embedding

    def add_texts(
        self,
        texts: Iterable[str],
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """Store texts, in place of those of the same ids; return the ids.

        Raises:
            InvalidDataError: a text, a metadata or an id cannot be stored, or an id is there twice;
                nothing was stored.
        """
        _nothing_else(kwargs)
        return run(self._flows.add(kept_documents(texts, metadatas, ids)))

    async def aadd_texts(
        self,
        texts: Iterable[str],
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """Store texts; see `add_texts`."""
        _nothing_else(kwargs)
        return await arun(self._async_flows.add(kept_documents(texts, metadatas, ids)))

    def add_documents(self, documents: list[Document], **kwargs: Any) -> list[str]:
        """Store documents under `ids=`, their own ids or new ones; see `add_texts`."""
        return run(self._flows.add(_kept(documents, kwargs)))

    async def aadd_documents(self, documents: list[Document], **kwargs: Any) -> list[str]:
        """Store documents; see `add_documents`."""
        return await arun(self._async_flows.add(_kept(documents, kwargs)))

    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """Return those of the documents that exist, in the order of `ids`."""
        return documents_found(run(self._flows.get(ids)))

    async def aget_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """Return documents; see `get_by_ids`."""
        return documents_found(await arun(self._async_flows.get(ids)))

    def delete(
        self, ids: list[str] | None = None, *, filter: Filters | None = None, **kwargs: Any
    ) -> bool:
        """Delete the documents of these ids, those that match, or, without both, all.

        Ids that there are none of are nothing to delete.
        """
        _nothing_else(kwargs)
        run(self._flows.delete(ids, filter))
        return True

    async def adelete(
        self, ids: list[str] | None = None, *, filter: Filters | None = None, **kwargs: Any
    ) -> bool:
        """Delete documents; see `delete`."""
        _nothing_else(kwargs)
        await arun(self._async_flows.delete(ids, filter))
        return True

    def similarity_search(
        self, query: str, k: int = 4, filter: Filters | None = None, **kwargs: Any
    ) -> list[Document]:
        """Return the `k` documents nearest to the query, the nearest first."""
        return [found for found, _ in self.similarity_search_with_score(query, k, filter, **kwargs)]

    async def asimilarity_search(
        self, query: str, k: int = 4, filter: Filters | None = None, **kwargs: Any
    ) -> list[Document]:
        """Return the nearest documents; see `similarity_search`."""
        found = await self.asimilarity_search_with_score(query, k, filter, **kwargs)
        return [document for document, _ in found]

    def similarity_search_with_score(  # type: ignore[override,unused-ignore]  # narrower than *args
        self, query: str, k: int = 4, filter: Filters | None = None, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """Return the nearest documents with their scores; see `KnowledgeStore`."""
        _nothing_else(kwargs)
        vector = self._embedding.embed_query(query)
        return scored_documents(run(self._flows.nearest(vector, k, filter)))

    async def asimilarity_search_with_score(  # type: ignore[override,unused-ignore]  # as above
        self, query: str, k: int = 4, filter: Filters | None = None, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """Return the nearest documents with scores; see `similarity_search_with_score`."""
        _nothing_else(kwargs)
        vector = await self._embedding.aembed_query(query)
        return scored_documents(await arun(self._async_flows.nearest(vector, k, filter)))

    def similarity_search_by_vector(
        self, embedding: list[float], k: int = 4, filter: Filters | None = None, **kwargs: Any
    ) -> list[Document]:
        """Return the `k` documents nearest to an embedding, the nearest first."""
        _nothing_else(kwargs)
        return documents_found(run(self._flows.nearest(embedding, k, filter)))

    async def asimilarity_search_by_vector(
        self, embedding: list[float], k: int = 4, filter: Filters | None = None, **kwargs: Any
    ) -> list[Document]:
        """Return the nearest documents; see `similarity_search_by_vector`."""
        _nothing_else(kwargs)
        return documents_found(await arun(self._async_flows.nearest(embedding, k, filter)))

    def max_marginal_relevance_search(
        self,
        query: str,
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        filter: Filters | None = None,
        **kwargs: Any,
    ) -> list[Document]:
        """Return `k` of the `fetch_k` nearest documents, near to the query and unlike each other.

        Args:
            query: the question.
            k: how many.
            fetch_k: out of how many.
            lambda_mult: 1: the nearest; 0: the most diverse.
            filter: which documents may be among them.
            kwargs: none.

        Raises:
            MissingDependencyError: NumPy is not installed.
            UnsupportedError: the store does not return embeddings.
        """
        return self.max_marginal_relevance_search_by_vector(
            self._embedding.embed_query(query), k, fetch_k, lambda_mult, filter, **kwargs
        )

    async def amax_marginal_relevance_search(
        self,
        query: str,
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        filter: Filters | None = None,
        **kwargs: Any,
    ) -> list[Document]:
        """Return near and diverse documents; see `max_marginal_relevance_search`."""
        return await self.amax_marginal_relevance_search_by_vector(
            await self._embedding.aembed_query(query), k, fetch_k, lambda_mult, filter, **kwargs
        )

    def max_marginal_relevance_search_by_vector(
        self,
        embedding: list[float],
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        filter: Filters | None = None,
        **kwargs: Any,
    ) -> list[Document]:
        """Return near and diverse documents; see `max_marginal_relevance_search`."""
        _nothing_else(kwargs)
        found = run(self._flows.nearest(embedding, fetch_k, filter, embeddings=True))
        return documents_found(diverse(embedding, found, k, lambda_mult))

    async def amax_marginal_relevance_search_by_vector(
        self,
        embedding: list[float],
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        filter: Filters | None = None,
        **kwargs: Any,
    ) -> list[Document]:
        """Return near and diverse documents; see `max_marginal_relevance_search`."""
        _nothing_else(kwargs)
        found = await arun(self._async_flows.nearest(embedding, fetch_k, filter, embeddings=True))
        return documents_found(diverse(embedding, found, k, lambda_mult))

    @classmethod
    def from_texts(
        cls,
        texts: list[str],
        embedding: Embeddings,
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        **kwargs: Any,
    ) -> Self:
        """Make a vector store with these arguments, and store texts in it."""
        store = cls(embedding, **kwargs)
        try:
            store.add_texts(texts, metadatas, ids=ids)
        except BaseException:
            store.close()
            raise
        return store

    @classmethod
    async def afrom_texts(
        cls,
        texts: list[str],
        embedding: Embeddings,
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        **kwargs: Any,
    ) -> Self:
        """Make a vector store, and store texts in it; see `from_texts`."""
        store = cls(embedding, **kwargs)
        try:
            await store.aadd_texts(texts, metadatas, ids=ids)
        except BaseException:
            await store.aclose()
            raise
        return store

    def close(self) -> None:
        """See `Closing.close`."""
        if self._owned:
            self._store.close()

    async def aclose(self) -> None:
        """See `Closing.aclose`."""
        if self._owned:
            await self._async_store.close()

    def _select_relevance_score_fn(self) -> Callable[[float], float]:
        chosen = self._relevance or _RELEVANCE.get(self._distance)
        if chosen is None:
            raise UnsupportedError(
                f"Scores of distance {self._distance!r} have no bounds, as a relevance from 0 to 1 "
                "has: pass relevance_score_fn="
            )
        return chosen


def _kept(documents: Sequence[Document], kwargs: dict[str, Any]) -> list[KnowledgeDocument]:
    own = [document.id for document in documents]
    ids = kwargs.pop("ids", None) or own
    kwargs.pop("batch_size", None)  # of LangChain's `index`, which hands over no more at once
    _nothing_else(kwargs)
    return kept_documents(
        [document.page_content for document in documents],
        [document.metadata for document in documents],
        ids,
    )


def _nothing_else(kwargs: dict[str, Any]) -> None:
    if kwargs:
        raise ConfigurationError(f"PersistVectorStore does not know the arguments {sorted(kwargs)}")
