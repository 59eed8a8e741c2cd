"""Knowledge and state, in both colours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from praison_persist._orchestrator.core import OrchestratorCore
from praison_persist.errors import ConfigurationError
from praison_persist.knowledge_protocols import AsyncKnowledgeStore, Filters, KnowledgeStore
from praison_persist.models import KnowledgeDocument
from praison_persist.protocols import AsyncStateStore, StateStore

__all__ = ["Resources"]


class Resources(OrchestratorCore):
    """retrieve_knowledge, add_knowledge, get_state, set_state and delete_state.

    Without a store nothing is found in it, and what was to be stored is refused.
    """

    def retrieve_knowledge(
        self,
        query_embedding: Sequence[float],
        collection: str = "default",
        limit: int = 5,
        filters: Filters | None = None,
    ) -> list[KnowledgeDocument]:
        """Return the `limit` nearest documents, the nearest first; see `KnowledgeStore.search`.

        Raises:
            NotFoundError: there is no such collection.
        """
        self._check_open()
        if self._knowledge is None:
            return []
        return self._knowledge[0].search(collection, query_embedding, limit, filters)

    async def aretrieve_knowledge(
        self,
        query_embedding: Sequence[float],
        collection: str = "default",
        limit: int = 5,
        filters: Filters | None = None,
    ) -> list[KnowledgeDocument]:
        """See `retrieve_knowledge`."""
        self._check_open()
        if self._knowledge is None:
            return []
        return await self._knowledge[1].search(collection, query_embedding, limit, filters)

    def add_knowledge(
        self, documents: Sequence[KnowledgeDocument], collection: str = "default"
    ) -> list[str]:
        """Store documents, in place of those of the same ids; return their ids.

        Raises:
            ConfigurationError: there is no knowledge store.
            NotFoundError: there is no such collection; `knowledge.create_collection` makes it.
        """
        return self._knowledge_pair()[0].upsert(collection, documents)

    async def aadd_knowledge(
        self, documents: Sequence[KnowledgeDocument], collection: str = "default"
    ) -> list[str]:
        """See `add_knowledge`."""
        return await self._knowledge_pair()[1].upsert(collection, documents)

    def _knowledge_pair(self) -> tuple[KnowledgeStore, AsyncKnowledgeStore]:
        self._check_open()
        if self._knowledge is None:
            raise ConfigurationError(
                "No knowledge store is configured: pass knowledge_store=, or knowledge_url in the "
                "configuration"
            )
        return self._knowledge

    def get_state(self, key: str) -> Any:
        """Return the value of a key; None if it has none."""
        self._check_open()
        return None if self._states is None else self._states[0].get(key)

    async def aget_state(self, key: str) -> Any:
        """See `get_state`."""
        self._check_open()
        return None if self._states is None else await self._states[1].get(key)

    def set_state(self, key: str, value: Any, ttl: int | None = None) -> None:
        """Set the value of a key, for `ttl` seconds; None is for ever.

        Raises:
            ConfigurationError: there is no state store.
            InvalidDataError: the value is not JSON.
        """
        self._state_pair()[0].set(key, value, ttl)

    async def aset_state(self, key: str, value: Any, ttl: int | None = None) -> None:
        """See `set_state`."""
        await self._state_pair()[1].set(key, value, ttl)

    def _state_pair(self) -> tuple[StateStore, AsyncStateStore]:
        self._check_open()
        if self._states is None:
            raise ConfigurationError(
                "No state store is configured: pass state_store=, or state_url in the configuration"
            )
        return self._states

    def delete_state(self, key: str) -> bool:
        """Delete a key. Return whether it existed."""
        self._check_open()
        return self._states is not None and self._states[0].delete(key)

    async def adelete_state(self, key: str) -> bool:
        """See `delete_state`."""
        self._check_open()
        return self._states is not None and await self._states[1].delete(key)
