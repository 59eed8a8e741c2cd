"""What a vector store of LangChain does, as flows over a knowledge store of either colour."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from langchain_core.documents import Document

from praison_persist._flow import Flow, wait
from praison_persist._ids import new_id
from praison_persist.errors import ConflictError, InvalidDataError, NotFoundError
from praison_persist.knowledge_protocols import Filters
from praison_persist.models import KnowledgeDocument

__all__ = ["DocumentFlows", "documents_found", "kept_documents", "scored_documents"]

Texts = Callable[[list[str]], Any]


def kept_documents(
    texts: Iterable[str],
    metadatas: Sequence[Mapping[str, Any]] | None,
    ids: Sequence[str | None] | None,
) -> list[KnowledgeDocument]:
    """Return documents to be stored, without embeddings; one without an id gets a new one.

    Raises:
        InvalidDataError: not as many metadata or ids as texts.
    """
    given = list(texts)
    for name, values in (("metadatas", metadatas), ("ids", ids)):
        if values is not None and len(values) != len(given):
            raise InvalidDataError(f"There are {len(given)} texts, but {len(values)} {name}")
    return [
        KnowledgeDocument(
            id=(ids[index] if ids else None) or new_id(),
            content=text,
            metadata=dict(metadatas[index]) if metadatas else {},
        )
        for index, text in enumerate(given)
    ]


def documents_found(found: Iterable[KnowledgeDocument]) -> list[Document]:
    """Return stored documents as those of LangChain."""
    return [
        Document(id=each.id, page_content=each.content, metadata=each.metadata or {})
        for each in found
    ]


def scored_documents(found: Sequence[KnowledgeDocument]) -> list[tuple[Document, float]]:
    """Return documents that were found as those of LangChain, with their scores."""
    scores = [each.score or 0.0 for each in found]
    return list(zip(documents_found(found), scores, strict=True))


@dataclass(slots=True)
class DocumentFlows:
    """The documents of one collection.

    Attributes:
        store: a KnowledgeStore, or an AsyncKnowledgeStore.
        embed: returns the embeddings of texts, or a coroutine of them.
        collection: its name; it is created with the first document, whose embedding says of which
            dimension.
        distance: "cosine", "euclidean" or "dot".
        known: the collection was seen, and is of this distance.
    """

    store: Any
    embed: Texts
    collection: str
    distance: str
    known: bool = False

    def add(self, documents: Sequence[KnowledgeDocument]) -> Flow[list[str]]:
        """Embed documents and store them, in place of those of the same ids; return the ids."""
        if not documents:
            return []
        vectors = yield from wait(self.embed([each.content for each in documents]))
        for document, vector in zip(documents, vectors, strict=True):
            document.embedding = list(vector)
        yield from self._create(len(vectors[0]))
        try:
            ids: list[str] = yield from wait(self.store.upsert(self.collection, documents))
        except NotFoundError:  # others deleted the collection
            self.known = False
            yield from self._create(len(vectors[0]))
            ids = yield from wait(self.store.upsert(self.collection, documents))
        return ids

    def nearest(
        self,
        vector: Sequence[float],
        limit: int,
        filters: Filters | None,
        *,
        embeddings: bool = False,
    ) -> Flow[list[KnowledgeDocument]]:
        """Return the nearest documents with their scores; none if there is no collection."""
        found: list[KnowledgeDocument] = []
        if (yield from self._exists()):
            with suppress(NotFoundError):  # others deleted the collection
                found = yield from wait(
                    self.store.search(
                        self.collection,
                        list(vector),
                        limit,
                        filters,
                        include_embeddings=embeddings,
                    )
                )
        return found

    def get(self, ids: Sequence[str]) -> Flow[list[KnowledgeDocument]]:
        """Return those of the documents that exist."""
        found: list[KnowledgeDocument] = []
        with suppress(NotFoundError):
            found = yield from wait(self.store.get(self.collection, list(ids)))
        return found

    def delete(self, ids: Sequence[str] | None, filters: Filters | None) -> Flow[None]:
        """Delete documents; without ids and filters all."""
        with suppress(NotFoundError):
            if ids is None and filters is None:
                yield from wait(self.store.clear(self.collection))
            else:
                yield from wait(self.store.delete(self.collection, ids, filters))

    def _create(self, dimension: int) -> Flow[None]:
        if not (yield from self._exists()):
            yield from wait(self.store.create_collection(self.collection, dimension, self.distance))
            self.known = True

    def _exists(self) -> Flow[bool]:
        if not self.known:
            found = yield from wait(self.store.get_collection(self.collection))
            if found is not None and found.distance != self.distance:
                raise ConflictError(
                    f"The collection {self.collection!r} compares by {found.distance}, not by "
                    f"{self.distance}: pass distance={found.distance!r}, or another collection="
                )
            self.known = found is not None
        return self.known
