"""The contract of knowledge stores, in both colours.

The rules of `praison_persist.protocols` hold here as well. A collection that does not exist is a
NotFoundError, unless a method says otherwise.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from enum import Enum
from types import TracebackType
from typing import Any, Self

from praison_persist.errors import UnsupportedError
from praison_persist.models import DocumentPage, KnowledgeCollection, KnowledgeDocument

__all__ = [
    "AsyncKnowledgeStore",
    "Filters",
    "KnowledgeCapability",
    "KnowledgeStore",
]

Filters = Mapping[str, Any]


class KnowledgeCapability(Enum):
    """What a knowledge store can do beyond the mandatory contract."""

    COLLECTIONS = "several collections, each with a dimension and distance of its own"
    EMBEDDINGS = "include_embeddings=True"
    FILTERS = "filters="
    HYBRID = "search(hybrid=True)"
    VECTORS = "search by an embedding of the caller's own"


class KnowledgeStore(ABC):
    """Keeps documents with their embeddings, and finds those nearest to another embedding.

    A name of a collection is 1 to 48 ASCII letters, digits and underscores, a document's id 1 to
    255 characters. Scores are larger the nearer: of "cosine" the cosine of the angle, from -1 to
    1; of "dot" the dot product; of "euclidean" 1 / (1 + distance). All are of single precision.

    Filters compare values of the metadata's top level, which are strings, numbers or booleans, or
    lists of them:

        {"lang": "en", "year": {"$gte": 2020}}          both
        {"tag": "a"}                                    equal; of a list, one of its elements is
        {"tag": {"$in": ["a", "b"]}}                    also $eq, $ne, $nin
        {"year": {"$gt": 2020, "$lte": 2024}}           numbers; also $gte, $lt
        {"year": {"$exists": True}}                     there, and neither null nor an object
        {"$or": [{…}, {…}]}, {"$and": […]}, {"$not": {…}}

    A condition on a field that a document lacks is false, and its opposite ($ne, $nin, $not) true.
    Types count: "1", 1 and true differ; 1 and 1.0 do not. Numbers compare as doubles.
    """

    capabilities: frozenset[KnowledgeCapability] = frozenset()

    @abstractmethod
    def create_collection(
        self,
        name: str,
        dimension: int,
        distance: str = "cosine",
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Create a collection. Creating it again with the same dimension and distance is nothing.

        Args:
            name: see the class.
            dimension: how many numbers each embedding has, up to 65536, less with some backends.
            distance: "cosine", "euclidean" or "dot"; "l2", "ip", "inner_product" and
                "dot_product" are other names of these.
            metadata: a JSON object of one's own.

        Raises:
            ConflictError: it exists with another dimension or distance.
            InvalidDataError: a name, a dimension or a distance that cannot be; names it.
        """

    @abstractmethod
    def get_collection(self, name: str) -> KnowledgeCollection | None:
        """Return what a collection was created with, or None if there is none."""

    @abstractmethod
    def delete_collection(self, name: str) -> bool:
        """Delete a collection with its documents. Return whether it existed."""

    @abstractmethod
    def collection_exists(self, name: str) -> bool:
        """Return whether there is such a collection."""

    @abstractmethod
    def list_collections(self) -> list[str]:
        """Return the names of all collections, sorted."""

    @abstractmethod
    def insert(self, collection: str, documents: Sequence[KnowledgeDocument]) -> list[str]:
        """Store new documents and return their ids.

        A document without an embedding is given one by the store's `embedder`. All documents are
        checked before the first is stored.

        Raises:
            ConflictError: one of the ids exists; names it. Nothing was stored.
            InvalidDataError: a document cannot be stored; names its id. Nothing was stored.
        """

    @abstractmethod
    def upsert(self, collection: str, documents: Sequence[KnowledgeDocument]) -> list[str]:
        """Store documents, in place of those of the same ids; as `insert` otherwise."""

    @abstractmethod
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
        """Return the `limit` nearest documents with their scores, the nearest first.

        Args:
            collection: where to search.
            query_embedding: what to be near to; None: the embedding of `query_text`.
            limit: 0 to 10000.
            filters: see the class.
            score_threshold: the least score, inclusive.
            query_text: of the question; what `hybrid` looks for.
            hybrid: rank by the embedding and by the words of `query_text` together. Scores are
                then of reciprocal rank fusion, and no threshold is taken.
            include_embeddings: return them, too.
        """

    @abstractmethod
    def get(
        self, collection: str, ids: Sequence[str], *, include_embeddings: bool = False
    ) -> list[KnowledgeDocument]:
        """Return those of the documents that exist, in the order of `ids`."""

    @abstractmethod
    def delete(
        self, collection: str, ids: Sequence[str] | None = None, filters: Filters | None = None
    ) -> int:
        """Delete the documents of these ids, those that match, or of these ids those that match.

        Returns:
            How many there were.

        Raises:
            InvalidDataError: neither ids nor filters; `clear` deletes all.
        """

    @abstractmethod
    def clear(self, collection: str) -> int:
        """Delete all documents of a collection, which stays. Return how many there were."""

    @abstractmethod
    def count(self, collection: str, filters: Filters | None = None) -> int:
        """Return how many documents there are, or how many of them match."""

    def page_documents(
        self, collection: str, *, cursor: str | None = None, include_embeddings: bool = False
    ) -> DocumentPage:
        """Return some documents of a collection, in no promised order, and where to go on.

        Documents that exist all the while are each on exactly one page. The backend chooses how
        many are on one; a page may have none and not be the last.

        Raises:
            UnsupportedError: a store that does not derive from ours may have no way to list.
        """
        del collection, cursor, include_embeddings
        raise UnsupportedError(f"{type(self).__name__} cannot list its documents")

    @abstractmethod
    def close(self) -> None:
        """Release what the store holds. Closing twice is closing once."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class AsyncKnowledgeStore(ABC):
    """`KnowledgeStore` with coroutines: the same names, the same contract."""

    capabilities: frozenset[KnowledgeCapability] = frozenset()

    @abstractmethod
    async def create_collection(
        self,
        name: str,
        dimension: int,
        distance: str = "cosine",
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """See `KnowledgeStore.create_collection`."""

    @abstractmethod
    async def get_collection(self, name: str) -> KnowledgeCollection | None:
        """See `KnowledgeStore.get_collection`."""

    @abstractmethod
    async def delete_collection(self, name: str) -> bool:
        """See `KnowledgeStore.delete_collection`."""

    @abstractmethod
    async def collection_exists(self, name: str) -> bool:
        """See `KnowledgeStore.collection_exists`."""

    @abstractmethod
    async def list_collections(self) -> list[str]:
        """See `KnowledgeStore.list_collections`."""

    @abstractmethod
    async def insert(self, collection: str, documents: Sequence[KnowledgeDocument]) -> list[str]:
        """See `KnowledgeStore.insert`."""

    @abstractmethod
    async def upsert(self, collection: str, documents: Sequence[KnowledgeDocument]) -> list[str]:
        """See `KnowledgeStore.upsert`."""

    @abstractmethod
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

    @abstractmethod
    async def get(
        self, collection: str, ids: Sequence[str], *, include_embeddings: bool = False
    ) -> list[KnowledgeDocument]:
        """See `KnowledgeStore.get`."""

    @abstractmethod
    async def delete(
        self, collection: str, ids: Sequence[str] | None = None, filters: Filters | None = None
    ) -> int:
        """See `KnowledgeStore.delete`."""

    @abstractmethod
    async def clear(self, collection: str) -> int:
        """See `KnowledgeStore.clear`."""

    @abstractmethod
    async def count(self, collection: str, filters: Filters | None = None) -> int:
        """See `KnowledgeStore.count`."""

    async def page_documents(
        self, collection: str, *, cursor: str | None = None, include_embeddings: bool = False
    ) -> DocumentPage:
        """See `KnowledgeStore.page_documents`."""
        del collection, cursor, include_embeddings
        raise UnsupportedError(f"{type(self).__name__} cannot list its documents")

    @abstractmethod
    async def close(self) -> None:
        """See `KnowledgeStore.close`."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()
