"""Stores on SurrealDB, and the server that they are tested on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from praison_persist._adapt import blocking
from praison_persist.conversation.surrealdb import (
    AsyncSurrealDBConversationStore,
    SurrealDBConversationStore,
)
from praison_persist.protocols import ConversationStore
from praison_persist.testing.contract import OpenStore
from tests.services.surrealdb import PASSWORD, USER, SurrealDB

__all__ = ["LOGIN", "OnServer", "async_store", "sync_store"]

LOGIN: dict[str, Any] = {"username": USER, "password": PASSWORD}


def sync_store(url: str, **options: Any) -> OpenStore:
    return lambda: SurrealDBConversationStore(url, **options)


def async_store(url: str, **options: Any) -> OpenStore:
    return lambda: blocking(AsyncSurrealDBConversationStore(url, **options), ConversationStore)


# The SDK opens its WebSocket as websockets 17.1, and posts as aiohttp 3.14 no longer likes it.
@pytest.mark.filterwarnings("ignore:connect.. must be used as a context manager:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:Sending a large body directly with raw bytes:ResourceWarning")
class OnServer:
    """Tests on a server of their own."""

    @pytest.fixture
    def server(self) -> Iterator[SurrealDB]:
        server = SurrealDB()
        yield server
        server.close()
