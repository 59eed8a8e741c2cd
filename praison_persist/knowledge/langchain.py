"""Knowledge in any vector store of LangChain that can find by vector, get and delete by id."""

from __future__ import annotations

import base64
import inspect
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.vectorstores import VectorStore

from praison_persist._json import dumps, loads
from praison_persist._retry import RetryPolicy
from praison_persist.errors import ConfigurationError, InvalidDataError, UnsupportedError
from praison_persist.knowledge.base import BaseKnowledgeStore
from praison_persist.knowledge.checks import distance_named
from praison_persist.knowledge.embedders import Embedder
from praison_persist.knowledge.payload import packed, unpacked
from praison_persist.knowledge.vectors import pack, unpack
from praison_persist.knowledge.wrapped import WrappedDriver
from praison_persist.knowledge_protocols import KnowledgeCapability
from praison_persist.models import KnowledgeCollection, KnowledgeDocument

__all__ = ["GivenEmbeddings", "LangChainKnowledgeStore"]

_NAMESPACE = uuid.UUID("0d6c4d3e-1d0e-5b0c-9d43-8d0f0c0b7a51")
_MARK = "praison_id"
_ENTRY = "praison_collection"
_CATALOG = "catalog_of_praison"
_NEEDED = ("get_by_ids", "delete", "similarity_search_by_vector")
# What classes call the two things that a collection's store is made with.
_EMBEDDING_WORDS = ("embedding", "embeddings", "embedding_function")
_NAME_WORDS = ("collection_name", "index_name", "table_name")

_given: ContextVar[Mapping[str, deque[list[float]]] | None] = ContextVar("given", default=None)


class GivenEmbeddings(Embeddings):  # type: ignore[misc]  # typed only where LangChain is installed
    """Embeddings that a knowledge store hands to the vector store, which would compute them else.

    Args:
        model: embeds what others than the knowledge store add to the vector store, or ask it.
    """

    def __init__(self, model: Embeddings | None = None) -> None:
        self._model = model

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Return what was handed over with each text."""
        given = _given.get()
        if given is None:
            embedded: list[list[float]] = self._own().embed_documents(texts)
            return embedded
        return [given[text].popleft() for text in texts]

    def embed_query(self, text: str) -> list[float]:
        """Return what the model says."""
        embedded: list[float] = self._own().embed_query(text)
        return embedded

    def _own(self) -> Embeddings:
        if self._model is None:
            raise ConfigurationError(
                "GivenEmbeddings() has no model for what a knowledge store did not embed; "
                "make it as GivenEmbeddings(model)"
            )
        return self._model

    @staticmethod
    @contextmanager
    def handing(documents: Sequence[tuple[str, list[float]]]) -> Iterator[None]:
        """Embed these texts so; equal ones in their order."""
        given: dict[str, deque[list[float]]] = {}
        for text, vector in documents:
            given.setdefault(text, deque()).append(vector)
        token = _given.set(given)
        try:
            yield
        finally:
            _given.reset(token)


class LangChainDriver(WrappedDriver):
    """Documents of LangChain, under ids made of ours: many stores take UUIDs alone.

    Args:
        one: has the only collection; or
        make: returns the store of a name.
    """

    def __init__(
        self,
        one: VectorStore | None,
        make: Callable[[str], VectorStore] | None,
        address: str,
        distance: str,
        retry: RetryPolicy,
    ) -> None:
        super().__init__(address, distance, retry)
        self._one, self._make = one, make
        self._made: dict[str, VectorStore] = {}
        kinds = {
            KnowledgeCapability.EMBEDDINGS,
            KnowledgeCapability.FILTERS,
            KnowledgeCapability.VECTORS,
        }
        if one is None:
            kinds.add(KnowledgeCapability.COLLECTIONS)
        self.capabilities = frozenset(kinds)

    def list_names(self) -> list[str]:
        """See WrappedDriver.list_names."""
        return [each.name for each in self._entries()]

    def describe_collection(self, name: str) -> KnowledgeCollection | None:
        """See WrappedDriver.describe_collection."""
        if self._one is not None:
            return next((each for each in self._entries() if each.name == name), None)
        found = self._store(_CATALOG).get_by_ids([_id(name)])
        return next((_collection(each) for each in found if _ENTRY in each.metadata), None)

    def make(self, collection: KnowledgeCollection) -> None:
        """See WrappedDriver.make."""
        there = self._entries() if self._one is not None else []
        for each in there:
            if each.name != collection.name:
                raise UnsupportedError(
                    f"{self.address} has the collection {each.name!r}, and no more than one; "
                    "vectorstore_cls= makes a vector store for each"
                )
        if self.describe_collection(collection.name) is not None:
            return
        place, key, size = self._one, "", collection.dimension
        if place is None:
            place, key, size = self._store(_CATALOG), collection.name, 2
        entry = Document(
            page_content=collection.name, metadata={_ENTRY: dumps(collection.to_dict())}
        )
        _put(place, [(_id(key), entry, [1.0] * size)])

    def forget(self, collection: KnowledgeCollection) -> None:
        """See WrappedDriver.forget."""
        if self._one is not None:
            self._one.delete([_id("")])
        else:
            self._store(_CATALOG).delete([_id(collection.name)])

    def read(self, collection: KnowledgeCollection, ids: Sequence[str]) -> list[KnowledgeDocument]:
        """See WrappedDriver.read."""
        found = self._of(collection).get_by_ids([_id(each) for each in ids])
        return _documents(found)

    def nearest(
        self, collection: KnowledgeCollection, vector: Sequence[float], limit: int
    ) -> tuple[list[KnowledgeDocument], bool]:
        """See WrappedDriver.nearest."""
        # One more: the entry of the only collection is in its store.
        found = self._of(collection).similarity_search_by_vector(list(vector), k=limit + 1)
        return _documents(found), len(found) <= limit

    def add(self, collection: KnowledgeCollection, documents: Sequence[KnowledgeDocument]) -> None:
        """See WrappedDriver.add."""
        rows = [(_id(each.id), _packed(each), list(each.embedding or ())) for each in documents]
        _put(self._of(collection), rows)

    def discard(self, collection: KnowledgeCollection, ids: Sequence[str]) -> None:
        """See WrappedDriver.discard."""
        self._of(collection).delete([_id(each) for each in ids])

    def _of(self, collection: KnowledgeCollection) -> VectorStore:
        if self._one is not None:
            return self._one
        # With the dimension, which a vendor may not let change once there is a collection.
        return self._store(f"praison_{collection.name}_{collection.dimension}")

    def _store(self, name: str) -> VectorStore:
        if name not in self._made:
            assert self._make is not None  # noqa: S101 - or there is only one
            self._made[name] = _usable(self._make(name))
        return self._made[name]

    def _entries(self) -> list[KnowledgeCollection]:
        if self._one is not None:
            found = self._one.get_by_ids([_id("")])
        else:
            asked, found = 0, []
            while len(found) == asked:  # there may be more
                asked = max(1000, asked * 4)
                found = self._store(_CATALOG).similarity_search_by_vector([1.0, 1.0], k=asked)
        return [_collection(each) for each in found if _ENTRY in each.metadata]


def _id(own: str) -> str:
    """Return the UUID of a document, or of an entry."""
    return str(uuid.uuid5(_NAMESPACE, own))


def _put(store: VectorStore, rows: Sequence[tuple[str, Document, list[float]]]) -> None:
    texts = [(document.page_content, vector) for _, document, vector in rows]
    with GivenEmbeddings.handing(texts):
        store.add_documents([each for _, each, _ in rows], ids=[each for each, _, _ in rows])


def _packed(document: KnowledgeDocument) -> Document:
    kept = packed(document)
    content = kept.pop("content")
    return Document(
        page_content=content,
        metadata={
            _MARK: document.id,
            "praison_embedding": base64.b64encode(pack(document.embedding or ())).decode(),
            "praison_payload": dumps(kept),
        },
    )


def _documents(found: Sequence[Document]) -> list[KnowledgeDocument]:
    """Return those that are ours."""
    return [
        unpacked(
            each.metadata[_MARK],
            {"content": each.page_content, **loads(each.metadata["praison_payload"])},
            embedding=unpack(base64.b64decode(each.metadata["praison_embedding"])),
        )
        for each in found
        if _MARK in each.metadata
    ]


def _collection(entry: Document) -> KnowledgeCollection:
    return KnowledgeCollection(**loads(entry.metadata[_ENTRY]))


class LangChainKnowledgeStore(BaseKnowledgeStore):
    """Knowledge in a vector store of LangChain. Shared by threads, which take turns.

    Args:
        vectorstore: has the only collection; made with `GivenEmbeddings`; or
        vectorstore_cls: a class or function that makes a vector store; called for each collection
            with an `Embeddings`, and a collection_name, index_name or table_name if it takes one.
        vectorstore_kwargs: further arguments of it.
        distance: how the vector store compares: "cosine", "euclidean" or "dot". Searches in
            collections of another distance read all documents.
        embedder: takes a list of texts and returns the embedding of each.
        max_retries: further tries of what failed by an OSError.
        retry_delay: bound in seconds of the wait before the first of them; it doubles with each.

    Raises:
        ConfigurationError: neither or both of the first two, or a vector store that cannot be used.
    """

    def __init__(
        self,
        vectorstore: VectorStore | None = None,
        vectorstore_cls: Callable[..., VectorStore] | None = None,
        vectorstore_kwargs: Mapping[str, Any] | None = None,
        *,
        distance: str = "cosine",
        embedder: Embedder | None = None,
        max_retries: int = 3,
        retry_delay: float = 0.1,
    ) -> None:
        if (vectorstore is None) == (vectorstore_cls is None):
            raise ConfigurationError("Hand in either vectorstore= or vectorstore_cls=")
        if vectorstore is not None:
            kind = type(vectorstore).__name__
            if vectorstore_kwargs:
                raise ConfigurationError("vectorstore_kwargs= belongs to vectorstore_cls=")
            if not isinstance(_usable(vectorstore).embeddings, GivenEmbeddings):
                raise ConfigurationError(
                    f"Make the {kind} with praison_persist.knowledge.langchain.GivenEmbeddings("
                    "model) in place of its embeddings: others never see the embeddings of yours"
                )
        else:
            kind = getattr(vectorstore_cls, "__name__", "function")
        try:
            measure = distance_named(distance)
        except InvalidDataError as error:
            raise ConfigurationError(str(error)) from error
        make = None
        if vectorstore_cls is not None:
            make = _maker(vectorstore_cls, vectorstore_kwargs or {})
        retry = RetryPolicy(max_retries, retry_delay)
        driver = LangChainDriver(vectorstore, make, f"LangChain's {kind}", measure, retry)
        super().__init__(driver, embedder)


def _usable(store: VectorStore) -> VectorStore:
    """Return the store.

    Raises:
        ConfigurationError: it lacks what is needed.
    """
    if not isinstance(store, VectorStore):
        raise ConfigurationError(f"A {type(store).__name__} is no VectorStore of LangChain")
    lacking = [each for each in _NEEDED if getattr(type(store), each) is getattr(VectorStore, each)]
    if lacking:
        raise ConfigurationError(
            f"{type(store).__name__} does not implement {', '.join(lacking)} of VectorStore"
        )
    return store


def _maker(
    make: Callable[..., VectorStore], arguments: Mapping[str, Any]
) -> Callable[[str], VectorStore]:
    if not callable(make):
        raise ConfigurationError("vectorstore_cls= is a class, or a function that makes a store")
    words = inspect.signature(make).parameters
    embedding = next((each for each in _EMBEDDING_WORDS if each in words), None)
    named = next((each for each in _NAME_WORDS if each in words), None)
    taken = [each for each in (embedding, named) if each in arguments]
    if embedding is None or taken:
        raise ConfigurationError(
            "vectorstore_cls= takes embedding=, embeddings= or embedding_function=, and neither "
            "that nor a collection's name is among vectorstore_kwargs="
        )

    def made(name: str) -> VectorStore:
        own = {embedding: GivenEmbeddings(), **({named: name} if named else {})}
        return make(**own, **arguments)

    return made
