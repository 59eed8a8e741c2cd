"""SurrealDB keeps the conversation contract: its engine here, and behind WebSocket and HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.knowledge.packages import needs

needs("surrealdb", extra="surrealdb")

from praison_persist._adapt import blocking  # noqa: E402 - after the check
from praison_persist.conversation.surrealdb import (  # noqa: E402 - after the check
    AsyncSurrealDBConversationStore,
    SurrealDBConversationStore,
)
from praison_persist.protocols import ConversationStore  # noqa: E402 - after the check
from praison_persist.testing import ConversationStoreContract  # noqa: E402 - after the check
from praison_persist.testing.contract import OpenStore  # noqa: E402 - after the check
from tests.services.surrealdb import PASSWORD, USER, SurrealDB  # noqa: E402 - after the check

# The SDK opens its WebSocket as websockets 17.1 no longer likes it.
pytestmark = pytest.mark.filterwarnings(
    "ignore:connect.. must be used as a context manager:DeprecationWarning"
)


@pytest.fixture(scope="module")
def running() -> Iterator[SurrealDB]:
    server = SurrealDB()
    yield server
    server.close()


@pytest.fixture
def server(running: SurrealDB) -> Iterator[SurrealDB]:
    yield running
    running.empty()


def _sync(url: str, **options: Any) -> OpenStore:
    return lambda: SurrealDBConversationStore(url, **options)


def _async(url: str, **options: Any) -> OpenStore:
    return lambda: blocking(AsyncSurrealDBConversationStore(url, **options), ConversationStore)


_LOGIN = {"username": USER, "password": PASSWORD}


class TestEngine(ConversationStoreContract):
    @pytest.fixture
    def open_store(self, tmp_path: Path) -> OpenStore:
        return _sync(f"surrealkv://{tmp_path}/data")


class TestEngineAsync(ConversationStoreContract):
    @pytest.fixture
    def open_store(self, tmp_path: Path) -> OpenStore:
        return _async(f"surrealkv://{tmp_path}/data")


class TestWebSocket(ConversationStoreContract):
    @pytest.fixture
    def open_store(self, server: SurrealDB) -> OpenStore:
        return _sync(f"ws://{server.host}/rpc", **_LOGIN)


class TestWebSocketAsync(ConversationStoreContract):
    @pytest.fixture
    def open_store(self, server: SurrealDB) -> OpenStore:
        return _async(f"ws://{server.host}/rpc", **_LOGIN)


class TestHTTP(ConversationStoreContract):
    @pytest.fixture
    def open_store(self, server: SurrealDB) -> OpenStore:
        return _sync(f"http://{server.host}", **_LOGIN)
