"""What a vendor's driver of knowledge does: few hooks, on values that were checked."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

from praison_persist._flow import Flow
from praison_persist._vendor import Vendor, done
from praison_persist.errors import UnsupportedError
from praison_persist.knowledge.filters import Filter
from praison_persist.knowledge.vectors import DISTANCES
from praison_persist.knowledge_protocols import KnowledgeCapability
from praison_persist.models import KnowledgeCollection, KnowledgeDocument

__all__ = ["KnowledgeDriver", "Page", "done"]

Page = tuple[Sequence[KnowledgeDocument], str | None]


class KnowledgeDriver(Vendor):
    """The hooks of a vendor. See `praison_persist.knowledge.base`.

    Collections exist and are as described, but for one that is deleted at the same time: then a
    hook may raise NotFoundError. Embeddings are lists of floats of single precision and of the
    collection's dimension. Documents are the driver's to keep and the caller's to have.

    Attributes:
        capabilities: what of `KnowledgeCapability` it can do.
        distances: those of `praison_persist.knowledge.vectors.DISTANCES` that it can compare by.
        max_dimension: of an embedding.
        batch: how many documents or ids a hook is given at most.
        counts_removed: `remove` tells how many there were, and may be given ids that are not there.
    """

    capabilities: frozenset[KnowledgeCapability] = frozenset(KnowledgeCapability) - {
        KnowledgeCapability.HYBRID
    }
    distances: tuple[str, ...] = DISTANCES
    max_dimension: int = 65_536
    batch: int = 500
    counts_removed: bool = False

    @abstractmethod
    def names(self) -> Flow[Sequence[str]]:
        """Return the names of the collections."""

    @abstractmethod
    def look_up(self, name: str) -> Flow[KnowledgeCollection | None]:
        """Return what a collection was created with, None if there is none. Asked for each call."""

    @abstractmethod
    def create(self, collection: KnowledgeCollection) -> Flow[None]:
        """Create a collection that there was not just now.

        If there is one by now, leave it as it is, or raise ConflictError.
        """

    @abstractmethod
    def drop(self, collection: KnowledgeCollection) -> Flow[None]:
        """Delete a collection with its documents; it may be gone."""

    @abstractmethod
    def put(
        self, collection: KnowledgeCollection, documents: Sequence[KnowledgeDocument], *, new: bool
    ) -> Flow[None]:
        """Store documents, each with an embedding, in place of those of the same ids.

        `new`: there were none of these ids just now. A vendor that can tell whether there are by
        now raises ConflictError, and names one.
        """

    @abstractmethod
    def fetch(
        self, collection: KnowledgeCollection, ids: Sequence[str], *, embeddings: bool
    ) -> Flow[Sequence[KnowledgeDocument]]:
        """Return those of the documents that there are, in any order."""

    @abstractmethod
    def query(
        self,
        collection: KnowledgeCollection,
        vector: Sequence[float],
        limit: int,
        where: Filter | None,
        *,
        embeddings: bool,
    ) -> Flow[Sequence[KnowledgeDocument]]:
        """Return the nearest documents that match, with their scores, in any order.

        For scores see `praison_persist.knowledge.vectors.score_of`.
        """

    @abstractmethod
    def remove(self, collection: KnowledgeCollection, ids: Sequence[str]) -> Flow[int | None]:
        """Delete documents. Return how many there were, or None: the base counted before."""

    @abstractmethod
    def scan(
        self, collection: KnowledgeCollection, where: Filter | None, cursor: str | None
    ) -> Flow[Page]:
        """Return some of the documents that match, without embeddings, and where to go on.

        Each that exists all the while appears once. Those that were on a page may be deleted
        before the next one is asked for. The cursor is None at first, and at the end.
        """

    @abstractmethod
    def count(self, collection: KnowledgeCollection, where: Filter | None) -> Flow[int]:
        """Return how many documents there are that match."""

    def clear(self, collection: KnowledgeCollection) -> Flow[int | None]:
        """Delete all documents and return how many; None: cannot at once, scan and remove."""
        del collection
        return done(None)

    def keywords(
        self, collection: KnowledgeCollection, text: str, limit: int, where: Filter | None
    ) -> Flow[Sequence[KnowledgeDocument]]:
        """Return the documents that match and have words of the text, the best first.

        Of those that declare HYBRID.
        """
        del collection, text, limit, where
        raise UnsupportedError(f"{type(self).__name__} does not support HYBRID")
