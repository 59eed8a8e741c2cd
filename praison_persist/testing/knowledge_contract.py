"""What the parts of the knowledge suite share: stores, documents, tests of a capability."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import pytest

from praison_persist.knowledge_protocols import KnowledgeCapability, KnowledgeStore
from praison_persist.models import KnowledgeDocument

__all__ = [
    "DIMENSION",
    "KnowledgeContract",
    "OpenKnowledge",
    "document",
    "embed",
    "ids",
    "needs_knowledge",
    "vector",
]

# Called with the keyword argument `embedder`, or with none.
OpenKnowledge = Callable[..., KnowledgeStore]

DIMENSION = 4


class KnowledgeContract:
    """The fixtures of the suite. A backend's suite defines `open_knowledge`."""

    @pytest.fixture
    def open_knowledge(self) -> OpenKnowledge:
        """Return a function that opens a store; each call opens the same, at first empty, data."""
        raise NotImplementedError(f"{type(self).__name__} has to define the fixture open_knowledge")

    @pytest.fixture
    def store(self, open_knowledge: OpenKnowledge) -> Iterator[KnowledgeStore]:
        """The store under test, closed after it."""
        with open_knowledge(embedder=embed) as store:
            yield store

    @pytest.fixture
    def second(
        self, store: KnowledgeStore, open_knowledge: OpenKnowledge
    ) -> Iterator[KnowledgeStore]:
        """Another store of the same data, opened after `store`."""
        assert store is not None
        with open_knowledge() as second:
            yield second

    @pytest.fixture
    def docs(self, store: KnowledgeStore) -> str:
        """The name of a collection that is there and empty."""
        store.create_collection("docs", DIMENSION)
        return "docs"


def needs_knowledge(
    *capabilities: KnowledgeCapability,
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Run a test only on stores that declare the capabilities.

    That the others raise UnsupportedError is a test of its own.
    """

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(test)
        def wrapper(self: object, **fixtures: Any) -> None:
            store: KnowledgeStore = fixtures["store"]
            for capability in capabilities:
                if capability not in store.capabilities:
                    pytest.skip(f"{store!r} does not declare {capability.name}")
            test(self, **fixtures)

        return wrapper

    return decorate


def vector(seed: object, dimension: int = DIMENSION) -> list[float]:
    """Return an embedding of numbers from -1 to 1, the same for the same seed."""
    random = Random(repr(seed))  # noqa: S311 - of data, not of secrets
    return [random.uniform(-1, 1) for _ in range(dimension)]


def document(
    name: str, metadata: dict[str, Any] | None = None, content: str = "", **fields: Any
) -> KnowledgeDocument:
    """Return a document with an embedding made of its id."""
    fields.setdefault("embedding", vector(name))
    return KnowledgeDocument(id=name, content=content, metadata=metadata, **fields)


def embed(texts: list[str]) -> list[list[float]]:
    """Embed texts, equal ones equally."""
    return [vector(text) for text in texts]


def ids(found: list[KnowledgeDocument]) -> list[str]:
    """Return the ids of documents, in their order."""
    return [each.id for each in found]
