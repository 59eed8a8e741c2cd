"""Knowledge in LightRAG's vector storage of files, NanoVectorDB; no language model is asked."""

from __future__ import annotations

import base64
import os
from collections.abc import Sequence
from typing import Any

from praison_persist._flow import Flow
from praison_persist._json import dumps, loads
from praison_persist._processes import PerProcess
from praison_persist._retry import RetryPolicy
from praison_persist._vendor import done
from praison_persist.errors import ConfigurationError
from praison_persist.knowledge.base import BaseKnowledgeStore
from praison_persist.knowledge.embedders import Embedder
from praison_persist.knowledge.lightrag_files import Folder
from praison_persist.knowledge.payload import packed, unpacked
from praison_persist.knowledge.vectors import pack, unpack
from praison_persist.knowledge.wrapped import WrappedDriver
from praison_persist.knowledge_protocols import KnowledgeCapability
from praison_persist.models import KnowledgeCollection, KnowledgeDocument

__all__ = ["LightRAGKnowledgeStore"]

_CATALOG = "praison_collections"


class LightRAGDriver(WrappedDriver):
    """A storage for each collection, and one that lists them."""

    capabilities = frozenset(KnowledgeCapability) - {KnowledgeCapability.HYBRID}

    def __init__(self, path: str) -> None:
        super().__init__(f"lightrag in {path}", "cosine", RetryPolicy(max_retries=0))
        self._folders = PerProcess(lambda: Folder.of(path), lambda folder: folder.release())

    def list_names(self) -> list[str]:
        """See WrappedDriver.list_names."""
        with self._folder().lock:
            return [loads(each)["name"] for each in self._catalog().all()]

    def describe_collection(self, name: str) -> KnowledgeCollection | None:
        """See WrappedDriver.describe_collection."""
        with self._folder().lock:
            found = self._catalog().read([name])
        return next((KnowledgeCollection(**loads(each)) for each in found), None)

    def make(self, collection: KnowledgeCollection) -> None:
        """See WrappedDriver.make."""
        with self._folder().lock:
            if self.describe_collection(collection.name) is None:
                entry = dumps(collection.to_dict())
                self._catalog().put({collection.name: (entry, [1.0])})

    def forget(self, collection: KnowledgeCollection) -> None:
        """See WrappedDriver.forget."""
        with self._folder().lock:
            self._catalog().delete([collection.name])
            self._folder().forget(_storage(collection))

    def read(self, collection: KnowledgeCollection, ids: Sequence[str]) -> list[KnowledgeDocument]:
        """See WrappedDriver.read."""
        with self._folder().lock:
            return [_unpacked(each) for each in self._rows(collection).read(ids)]

    def nearest(
        self, collection: KnowledgeCollection, vector: Sequence[float], limit: int
    ) -> tuple[list[KnowledgeDocument], bool]:
        """See WrappedDriver.nearest."""
        with self._folder().lock:
            found = self._rows(collection).nearest(vector, limit)
        return [_unpacked(each) for each in found], len(found) < limit

    def everything(self, collection: KnowledgeCollection) -> list[KnowledgeDocument]:
        """See WrappedDriver.everything."""
        with self._folder().lock:
            return [_unpacked(each) for each in self._rows(collection).all()]

    def add(self, collection: KnowledgeCollection, documents: Sequence[KnowledgeDocument]) -> None:
        """See WrappedDriver.add."""
        rows = {each.id: (_packed(each), _direction(collection, each)) for each in documents}
        with self._folder().lock:
            self._rows(collection).put(rows)

    def discard(self, collection: KnowledgeCollection, ids: Sequence[str]) -> None:
        """See WrappedDriver.discard."""
        with self._folder().lock:
            self._rows(collection).delete(ids)

    def close(self) -> Flow[None]:
        """See KnowledgeDriver.close."""
        self._folders.close()
        return done(None)

    def _folder(self) -> Folder:
        return self._folders.get()

    def _catalog(self) -> Any:
        return self._folder().rows(_CATALOG, 1)

    def _rows(self, collection: KnowledgeCollection) -> Any:
        return self._folder().rows(_storage(collection), collection.dimension)


def _storage(collection: KnowledgeCollection) -> str:
    return f"praison_vec_{collection.name}"


def _direction(collection: KnowledgeCollection, document: KnowledgeDocument) -> list[float]:
    """Return what LightRAG compares: the direction alone, which it asks of all vectors."""
    vector = list(document.embedding or ())
    # Elsewhere all embeddings are measured here, and some have none.
    return vector if collection.distance == "cosine" else [1.0] * len(vector)


def _packed(document: KnowledgeDocument) -> str:
    embedding = base64.b64encode(pack(document.embedding or ())).decode()
    return dumps({"id": document.id, "embedding": embedding, **packed(document)})


def _unpacked(row: str) -> KnowledgeDocument:
    kept = loads(row)
    return unpacked(kept["id"], kept, embedding=unpack(base64.b64decode(kept["embedding"])))


class LightRAGKnowledgeStore(BaseKnowledgeStore):
    """Knowledge in files of LightRAG, of one process at a time. Shared by threads.

    Args:
        working_dir: a directory; LightRAG's own data may be there, too, and stays.
        llm_model: must be None: no language model is asked.
        embedding_model: another name of `embedder`.
        embedder: takes a list of texts and returns the embedding of each.

    Raises:
        ConfigurationError: an argument that cannot be right.
    """

    def __init__(
        self,
        working_dir: str | os.PathLike[str] = "./lightrag_storage",
        llm_model: None = None,
        embedding_model: Embedder | None = None,
        *,
        embedder: Embedder | None = None,
    ) -> None:
        if not isinstance(working_dir, str | os.PathLike) or not os.fspath(working_dir):
            raise ConfigurationError(f"working_dir must be a directory, not {working_dir!r}")
        if llm_model is not None:
            raise ConfigurationError("No language model is asked here; leave out llm_model=")
        if embedding_model is not None and embedder is not None:
            raise ConfigurationError("Hand in either embedder= or embedding_model=, not both")
        embedder = embedding_model if embedder is None else embedder
        if embedder is not None and not callable(embedder):
            raise ConfigurationError(
                "embedding_model= is a function that embeds a list of texts, not a name"
            )
        super().__init__(LightRAGDriver(os.path.realpath(os.fspath(working_dir))), embedder)
