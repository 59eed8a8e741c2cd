"""Knowledge in any vector store of LlamaIndex, beside one of its key-value stores.

What a vector store of LlamaIndex returns may be ids alone, and it has no list of them. So the
documents are kept in the key-value store, as LlamaIndex itself keeps its nodes; a document is there
if that has it. The vector store says which are the nearest.
"""

from __future__ import annotations

import base64
import inspect
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from llama_index.core.schema import NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.core.storage.kvstore import SimpleKVStore
from llama_index.core.storage.kvstore.types import BaseKVStore
from llama_index.core.vector_stores import SimpleVectorStore
from llama_index.core.vector_stores.types import BasePydanticVectorStore, VectorStoreQuery

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

__all__ = ["LlamaIndexKnowledgeStore"]

_NAMESPACE = uuid.UUID("7a0d7f4e-93f5-5c3b-8a0e-3c1f1d6f5e22")
_COLLECTIONS = "praison_collections"
_NAME_WORDS = ("collection_name", "index_name", "table_name")


class LlamaIndexDriver(WrappedDriver):
    """Nodes in a vector store, documents in a key-value store.

    Args:
        one: has the vectors of the only collection; or
        make: returns the vector store of a name.
    """

    def __init__(
        self,
        one: BasePydanticVectorStore | None,
        make: Callable[[str], BasePydanticVectorStore] | None,
        values: BaseKVStore,
        address: str,
        distance: str,
        retry: RetryPolicy,
    ) -> None:
        super().__init__(address, distance, retry)
        self._one, self._make, self._values = one, make, values
        self._made: dict[str, BasePydanticVectorStore] = {}
        lacking = {KnowledgeCapability.HYBRID}
        if one is not None:
            lacking.add(KnowledgeCapability.COLLECTIONS)
        self.capabilities = frozenset(KnowledgeCapability) - lacking

    def list_names(self) -> list[str]:
        """See WrappedDriver.list_names."""
        return list(self._values.get_all(collection=_COLLECTIONS))

    def describe_collection(self, name: str) -> KnowledgeCollection | None:
        """See WrappedDriver.describe_collection."""
        entry = self._values.get(name, collection=_COLLECTIONS)
        return None if entry is None else KnowledgeCollection(**entry)

    def make(self, collection: KnowledgeCollection) -> None:
        """See WrappedDriver.make."""
        for name in self.list_names():
            if name == collection.name:
                return
            if self._one is not None:
                raise UnsupportedError(
                    f"{self.address} has the collection {name!r}, and no more than one; "
                    "vectorstore_cls= makes a vector store for each"
                )
        self._values.put(collection.name, collection.to_dict(), collection=_COLLECTIONS)

    def forget(self, collection: KnowledgeCollection) -> None:
        """See WrappedDriver.forget."""
        self._values.delete(collection.name, collection=_COLLECTIONS)

    def read(self, collection: KnowledgeCollection, ids: Sequence[str]) -> list[KnowledgeDocument]:
        """See WrappedDriver.read."""
        return self._read(collection, [_node_id(each) for each in ids])

    def nearest(
        self, collection: KnowledgeCollection, vector: Sequence[float], limit: int
    ) -> tuple[list[KnowledgeDocument], bool]:
        """See WrappedDriver.nearest."""
        asked = VectorStoreQuery(query_embedding=list(vector), similarity_top_k=limit)
        answer = self._of(collection).query(asked)
        found = list(answer.ids or [])
        if not found and answer.nodes:
            found = [each.node_id for each in answer.nodes]
        return self._read(collection, found), len(found) < limit

    def everything(self, collection: KnowledgeCollection) -> list[KnowledgeDocument]:
        """See WrappedDriver.everything."""
        found = self._values.get_all(collection=_documents_of(collection))
        return [_unpacked(each) for each in found.values()]

    def add(self, collection: KnowledgeCollection, documents: Sequence[KnowledgeDocument]) -> None:
        """See WrappedDriver.add."""
        self._of(collection).add([_node(each) for each in documents])
        for each in documents:
            place = _documents_of(collection)
            self._values.put(_node_id(each.id), _packed(each), collection=place)

    def discard(self, collection: KnowledgeCollection, ids: Sequence[str]) -> None:
        """See WrappedDriver.discard."""
        vectors = self._of(collection)
        for each in map(_node_id, ids):
            self._values.delete(each, collection=_documents_of(collection))
            # Nodes are their own documents: that is what all vector stores delete by.
            vectors.delete(each)

    def _read(
        self, collection: KnowledgeCollection, node_ids: Sequence[str]
    ) -> list[KnowledgeDocument]:
        place = _documents_of(collection)
        found = [self._values.get(each, collection=place) for each in node_ids]
        return [_unpacked(each) for each in found if each is not None]

    def _of(self, collection: KnowledgeCollection) -> BasePydanticVectorStore:
        if self._one is not None:
            return self._one
        # With the dimension, which a vendor may not let change once there is a collection.
        name = f"praison_{collection.name}_{collection.dimension}"
        if name not in self._made:
            assert self._make is not None  # noqa: S101 - or there is only one
            self._made[name] = _usable(self._make(name))
        return self._made[name]


def _documents_of(collection: KnowledgeCollection) -> str:
    return f"praison_documents_{collection.name}"


def _node_id(own: str) -> str:
    """Return the UUID of a document: many vendors take no other ids."""
    return str(uuid.uuid5(_NAMESPACE, own))


def _node(document: KnowledgeDocument) -> TextNode:
    node_id = _node_id(document.id)
    return TextNode(
        id_=node_id,
        text=packed(document)["content"],
        embedding=document.embedding,
        metadata={"praison_id": document.id},
        relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id=node_id)},
    )


def _packed(document: KnowledgeDocument) -> dict[str, Any]:
    embedding = base64.b64encode(pack(document.embedding or ())).decode()
    return {"id": document.id, "embedding": embedding, **packed(document)}


def _unpacked(kept: Mapping[str, Any]) -> KnowledgeDocument:
    return unpacked(kept["id"], kept, embedding=unpack(base64.b64decode(kept["embedding"])))


class LlamaIndexKnowledgeStore(BaseKnowledgeStore):
    """Knowledge in a vector store of LlamaIndex. Shared by threads, which take turns.

    Args:
        vectorstore: has the vectors of the only collection; or
        vectorstore_cls: a class or function that makes a vector store; called for each collection,
            with a collection_name, index_name or table_name if it takes one.
        vectorstore_kwargs: further arguments of it.
        kvstore: has the documents; one of LlamaIndex's own. Default, of a SimpleVectorStore alone:
            a SimpleKVStore, in memory as that is.
        distance: how the vector store compares: "cosine", "euclidean" or "dot". Searches in
            collections of another distance read all documents.
        embedder: takes a list of texts and returns the embedding of each.
        max_retries: further tries of what failed by an OSError.
        retry_delay: bound in seconds of the wait before the first of them; it doubles with each.

    Raises:
        ConfigurationError: neither or both of the first two, or what cannot be used.
    """

    def __init__(
        self,
        vectorstore: BasePydanticVectorStore | None = None,
        vectorstore_cls: Callable[..., BasePydanticVectorStore] | None = None,
        vectorstore_kwargs: Mapping[str, Any] | None = None,
        *,
        kvstore: BaseKVStore | None = None,
        distance: str = "cosine",
        embedder: Embedder | None = None,
        max_retries: int = 3,
        retry_delay: float = 0.1,
    ) -> None:
        if (vectorstore is None) == (vectorstore_cls is None):
            raise ConfigurationError("Hand in either vectorstore= or vectorstore_cls=")
        make = None
        if vectorstore is not None:
            kind: Any = type(_usable(vectorstore))
            if vectorstore_kwargs:
                raise ConfigurationError("vectorstore_kwargs= belongs to vectorstore_cls=")
        else:
            kind = vectorstore_cls
            make = _maker(kind, vectorstore_kwargs or {})
        name = getattr(kind, "__name__", "function")
        if kvstore is None and kind is not SimpleVectorStore:
            raise ConfigurationError(
                f"A {name} keeps no documents, or gives no list of them: hand in kvstore=, "
                "a key-value store of LlamaIndex that is as lasting"
            )
        values = SimpleKVStore() if kvstore is None else kvstore
        if not isinstance(values, BaseKVStore):
            raise ConfigurationError(f"A {type(values).__name__} is no BaseKVStore of LlamaIndex")
        try:
            measure = distance_named(distance)
        except InvalidDataError as error:
            raise ConfigurationError(str(error)) from error
        retry = RetryPolicy(max_retries, retry_delay)
        address = f"LlamaIndex's {name}"
        super().__init__(
            LlamaIndexDriver(vectorstore, make, values, address, measure, retry), embedder
        )


def _usable(store: BasePydanticVectorStore) -> BasePydanticVectorStore:
    """Return the store.

    Raises:
        ConfigurationError: it is none.
    """
    if not isinstance(store, BasePydanticVectorStore):
        raise ConfigurationError(
            f"A {type(store).__name__} is no BasePydanticVectorStore of LlamaIndex"
        )
    return store


def _maker(
    make: Callable[..., BasePydanticVectorStore], arguments: Mapping[str, Any]
) -> Callable[[str], BasePydanticVectorStore]:
    if not callable(make):
        raise ConfigurationError("vectorstore_cls= is a class, or a function that makes a store")
    words = inspect.signature(make).parameters
    named = next((each for each in _NAME_WORDS if each in words), None)
    if named in arguments:
        raise ConfigurationError(
            f"{named} is a collection's own, and does not belong into vectorstore_kwargs="
        )
    return lambda name: make(**({named: name} if named else {}), **arguments)
