"""The conversation stores of an adapter, in both colours, from a store or a database URL."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from praison_persist._adapt import background_loop, blocking, offload
from praison_persist.connect import Connected, connect
from praison_persist.errors import ConfigurationError
from praison_persist.protocols import AsyncConversationStore, ConversationStore
from praison_persist.sql.offloaded import OffloadedDatabase
from praison_persist.sql.stores import AsyncSQLConversationStore, SQLConversationStore

__all__ = ["Conversations", "Side", "open_conversations"]


@dataclass(frozen=True, slots=True)
class Side:
    """The conversations in one colour, for flows.

    Attributes:
        store: a ConversationStore, or an AsyncConversationStore.
        transaction: runs an operation of SQL in a transaction of its own; None if the store is of
            another kind.
    """

    store: Any
    transaction: Callable[..., Any] | None


@dataclass(frozen=True, slots=True)
class Conversations:
    """The conversations of an adapter, in both colours.

    Attributes:
        sync: for flows run by `_flow.run`.
        asynchronous: for flows run by `_flow.arun`.
        owned: what was opened for them, and is closed with them; None: they are somebody else's.
    """

    sync: Side
    asynchronous: Side
    owned: Connected | None = None

    def borrowed(self) -> Conversations:
        """Return the same, which closing leaves open."""
        return Conversations(self.sync, self.asynchronous)

    def close(self) -> None:
        """Close what was opened for them, in both colours."""
        if self.owned is not None:
            self.owned.close()

    async def aclose(self) -> None:
        """Close what was opened for them, the async store on this loop."""
        if self.owned is not None:
            await self.owned.aclose()


def open_conversations(
    database: Any, backend: str | None, options: dict[str, Any]
) -> Conversations:
    """Return the conversations of a URL, a path or a store; see `connect.connect`.

    A store stays its owner's. It serves the other colour in worker threads, or on the process's
    background loop; a URL opens a store of each colour, where there are drivers for both.

    Raises:
        ConfigurationError, UnknownBackendError, MissingDependencyError: see PraisonAIDB.
    """
    if isinstance(database, ConversationStore | AsyncConversationStore):
        if backend or options:
            raise ConfigurationError(
                "backend= and options cannot be given to a store that exists already"
            )
        if isinstance(database, ConversationStore):
            return _both(database, offload(database, AsyncConversationStore))
        return _both(blocking(database, ConversationStore), database)
    connected = connect(database, backend, options)
    both = _both(connected.sync_conversation, connected.async_conversation)
    if database is None or isinstance(database, str | os.PathLike):
        return Conversations(both.sync, both.asynchronous, connected)
    return both


def _both(sync: ConversationStore, asynchronous: AsyncConversationStore) -> Conversations:
    return Conversations(
        Side(sync, _sync_transaction(sync)), Side(asynchronous, _async_transaction(asynchronous))
    )


def _sync_transaction(store: ConversationStore) -> Callable[..., Any] | None:
    if isinstance(store, SQLConversationStore):
        return store.database.run
    adapted = getattr(store, "adapted", None)
    if not isinstance(adapted, AsyncSQLConversationStore):
        return None
    run = adapted.database.run
    return lambda op, *arguments: background_loop().call(run(op, *arguments))


def _async_transaction(store: AsyncConversationStore) -> Callable[..., Any] | None:
    if isinstance(store, AsyncSQLConversationStore):
        return store.database.run
    adapted = getattr(store, "adapted", None)
    if not isinstance(adapted, SQLConversationStore):
        return None
    return OffloadedDatabase(adapted.database, owned=False).run
