"""A store of LangGraph, for what outlives a thread, over any state store."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from langchain_core.embeddings import Embeddings
from langgraph.store.base import (
    BaseStore,
    IndexConfig,
    Op,
    Result,
    TTLConfig,
    ensure_embeddings,
)

from praison_persist._flow import arun, run
from praison_persist.integrations._closing import Closing
from praison_persist.integrations.langgraph._items import Embedding, Items
from praison_persist.integrations.langgraph._keys import check_key_prefix
from praison_persist.integrations.langgraph._opening import StateOrURL, open_state

__all__ = ["PersistStore"]


class PersistStore(Closing, BaseStore):  # type: ignore[misc]  # typed only where LangGraph is installed
    """Keeps the items of LangGraph's long-term memory in a state store, for sync and async graphs.

    Args:
        store: a state store of either colour, which stays the caller's to close; or the URL of one,
            a path of an SQLite file, or the name of a backend.
        index: embeds items for `search(query=…)`; None: a query does not rank, and all items match.
        ttl: LangGraph's defaults of times to live, in minutes.
        key_prefix: begins all keys in the store; 1 to 60 letters, digits, "_" and ".".
        clock: seconds since the epoch; dates the items.
        options: of the store that is made from a URL.

    Raises:
        ConfigurationError: the URL, an option or the prefix cannot be right, or the store has no
            compare-and-set.
        MissingDependencyError: the driver is not installed.
    """

    supports_ttl = True

    def __init__(
        self,
        store: StateOrURL,
        *,
        index: IndexConfig | None = None,
        ttl: TTLConfig | None = None,
        key_prefix: str = "langgraph",
        clock: Callable[[], float] = time.time,
        **options: Any,
    ) -> None:
        prefix = check_key_prefix(key_prefix)
        self.ttl_config = ttl
        own = other = None
        if index is not None:
            self.embeddings: Embeddings = ensure_embeddings(index.get("embed"))
            own = Embedding(self._embed, index)
            other = Embedding(self._aembed, index)
        self._opened = open_state(store, options)
        self._sync = Items(self._opened.sync, prefix, own, clock)
        self._async = Items(self._opened.asynchronous, prefix, other, clock)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._opened.sync!r})"

    def _embed(self, texts: Sequence[str]) -> list[list[float]]:
        embedded: list[list[float]] = self.embeddings.embed_documents(list(texts))
        return embedded

    async def _aembed(self, texts: Sequence[str]) -> list[list[float]]:
        embedded: list[list[float]] = await self.embeddings.aembed_documents(list(texts))
        return embedded

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """Carry out operations; return their results in order. Reads see none of the writes."""
        return run(self._sync.batch(list(ops)))

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """See `batch`."""
        return await arun(self._async.batch(list(ops)))

    def close(self) -> None:
        """See `Closing.close`."""
        self._opened.close()

    async def aclose(self) -> None:
        """See `Closing.aclose`."""
        await self._opened.aclose()
