"""Knowledge in MongoDB with Vector Search (Atlas, or a server with mongot), through PyMongo."""

from __future__ import annotations

import asyncio
import time

from pymongo import AsyncMongoClient, MongoClient

from praison_persist._loops import PerLoop
from praison_persist._mongodb_place import MongoDBPlace, close_client
from praison_persist._processes import PerProcess
from praison_persist._retry import RetryPolicy
from praison_persist.errors import ConfigurationError
from praison_persist.knowledge.base import AsyncBaseKnowledgeStore, BaseKnowledgeStore
from praison_persist.knowledge.checks import validate_identifier
from praison_persist.knowledge.embedders import Embedder
from praison_persist.knowledge.mongodb_vector_driver import RESERVED, Layout, MongoDBVectorDriver

__all__ = ["AsyncMongoDBVectorKnowledgeStore", "MongoDBVectorKnowledgeStore"]

_MAX_DELAY_S = 5.0


class MongoDBVectorKnowledgeStore(BaseKnowledgeStore):
    """Knowledge in MongoDB. Shared by threads; usable after a fork.

    Args:
        url: mongodb://… or mongodb+srv://… with PyMongo's options; default: MONGODB_URL, then
            localhost. Writes wait for the journals of the majority, unless it says otherwise.
        database: has the collections.
        collection: describes the others, whose names begin with its own and a dot.
        index_name: of the search index of each.
        embedding_field: of the embedding in a document.
        text_field: of the content.
        embedding_dim: the dimension that collections have to have; None: any, up to 8192.
        embedder: takes a list of texts and returns the embedding of each.
        index_timeout: seconds until a new search index can be used.
        consistency_timeout: seconds until what was written can be found; 0: writes do not wait.
        max_retries: further tries of what failed transiently.
        retry_delay: bound in seconds of the wait before the first of them; it doubles with each.

    Raises:
        ConfigurationError: the URL, one of its options, a name or a number cannot be right.
    """

    def __init__(
        self,
        url: str | None = None,
        database: str = "praisonai",
        collection: str = "knowledge",
        index_name: str = "vector_index",
        embedding_field: str = "embedding",
        text_field: str = "content",
        embedding_dim: int | None = None,
        *,
        embedder: Embedder | None = None,
        index_timeout: float = 120,
        consistency_timeout: float = 30,
        max_retries: int = 3,
        retry_delay: float = 0.1,
    ) -> None:
        place = MongoDBPlace(url, database, collection)
        layout = _checked(
            Layout(
                index_name,
                embedding_field,
                text_field,
                embedding_dim,
                index_timeout,
                consistency_timeout,
            )
        )
        retry = RetryPolicy(max_retries, retry_delay, _MAX_DELAY_S)
        # Clients are not fork-safe: PyMongo, FAQ, "Is PyMongo fork-safe?".
        catalogues = PerProcess(lambda: place.connect(MongoClient), close_client)
        driver = MongoDBVectorDriver(catalogues, layout, place.address, retry, time.sleep)
        super().__init__(driver, embedder)


class AsyncMongoDBVectorKnowledgeStore(AsyncBaseKnowledgeStore):
    """Knowledge in MongoDB, for asyncio. Arguments are those of `MongoDBVectorKnowledgeStore`.

    One store serves all tasks and event loops of a process.
    """

    def __init__(
        self,
        url: str | None = None,
        database: str = "praisonai",
        collection: str = "knowledge",
        index_name: str = "vector_index",
        embedding_field: str = "embedding",
        text_field: str = "content",
        embedding_dim: int | None = None,
        *,
        embedder: Embedder | None = None,
        index_timeout: float = 120,
        consistency_timeout: float = 30,
        max_retries: int = 3,
        retry_delay: float = 0.1,
    ) -> None:
        place = MongoDBPlace(url, database, collection)
        layout = _checked(
            Layout(
                index_name,
                embedding_field,
                text_field,
                embedding_dim,
                index_timeout,
                consistency_timeout,
            )
        )
        retry = RetryPolicy(max_retries, retry_delay, _MAX_DELAY_S)
        catalogues = PerLoop(lambda: place.connect(AsyncMongoClient), close_client)
        driver = MongoDBVectorDriver(catalogues, layout, place.address, retry, asyncio.sleep)
        super().__init__(driver, embedder)


def _checked(layout: Layout) -> Layout:
    names = {"embedding_field": layout.embedding, "text_field": layout.text}
    validate_identifier(layout.index, "index_name")
    for name, field in names.items():
        validate_identifier(field, name)
        if field in RESERVED:
            raise ConfigurationError(
                f"{name}={field!r} is the name of another field; not {', '.join(RESERVED)}"
            )
    if layout.embedding == layout.text:
        raise ConfigurationError(
            f"embedding_field and text_field are both {layout.text!r}; give them two names"
        )
    most, dimension = MongoDBVectorDriver.max_dimension, layout.dimension
    if dimension is not None and not (type(dimension) is int and 1 <= dimension <= most):
        raise ConfigurationError(
            f"embedding_dim={dimension!r} must be a whole number from 1 to {most}, or None"
        )
    for name, seconds in (
        ("index_timeout", layout.index_timeout_s),
        ("consistency_timeout", layout.consistency_timeout_s),
    ):
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds >= 0:
            raise ConfigurationError(f"{name}={seconds!r} must be a number of seconds from 0 on")
    return layout
