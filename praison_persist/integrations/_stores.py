"""From what an adapter is given (a URL, a path, a store) to async stores, and what closes them."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from praison_persist._adapt import offload
from praison_persist.connect import connect, connect_store, state_pair
from praison_persist.protocols import (
    AsyncConversationStore,
    AsyncStateStore,
    ConversationStore,
)

__all__ = ["AsyncStores", "async_stores", "given_state"]

Close = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class AsyncStores:
    """The async stores of one adapter.

    Attributes:
        state: of the same database; None if that keeps none.
        close: closes what was made here, and no store that was given.
    """

    conversation: AsyncConversationStore
    state: AsyncStateStore | None
    close: Close


async def _nothing() -> None:
    """Close nothing: whoever passed a store goes on owning it."""


def async_stores(database: Any, options: dict[str, Any]) -> AsyncStores:
    """Return the stores of a URL, a path or a store of either colour.

    None is the URL in the environment, as for `praison_persist.db`.

    Raises:
        ConfigurationError, UnknownBackendError, MissingDependencyError: see PraisonAIDB.
    """
    connected = connect(database, None, options)
    if database is None or isinstance(database, str | os.PathLike):
        return AsyncStores(connected.async_conversation, connected.async_state, connected.aclose)
    if not isinstance(database, ConversationStore):
        return AsyncStores(connected.async_conversation, connected.async_state, _nothing)
    # In threads, instead of over an async driver: that would have pools of its own to close.
    state = connected.sync_state
    return AsyncStores(
        offload(database, AsyncConversationStore),
        None if state is None else offload(state, AsyncStateStore),
        _nothing,
    )


def given_state(state: Any) -> tuple[AsyncStateStore, Close]:
    """Return the state store of a URL, or the given one, and what closes it.

    Raises:
        ConfigurationError, UnknownBackendError, MissingDependencyError: see PraisonAIDB.
    """
    store = state_pair(connect_store("state", state, None, None))[1]
    return store, (store.close if isinstance(state, str | os.PathLike) else _nothing)
