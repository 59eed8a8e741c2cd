"""Conversations in SurrealDB: a server by WebSocket or HTTP, or its engine within this process."""

from __future__ import annotations

import asyncio
import time

from praison_persist._retry import RetryPolicy
from praison_persist._surrealdb import connect, connect_async
from praison_persist._surrealdb_client import Place
from praison_persist.conversation.base import AsyncBaseConversationStore, BaseConversationStore
from praison_persist.conversation.surrealdb_driver import SurrealDBDriver
from praison_persist.conversation.surrealdb_queries import DEFAULT_PREFIX

__all__ = ["AsyncSurrealDBConversationStore", "SurrealDBConversationStore"]

_DEFAULT_URL = "ws://localhost:8000/rpc"


class SurrealDBConversationStore(BaseConversationStore):
    """Conversations in SurrealDB 2.0 or newer. Shared by threads; usable after a fork.

    Args:
        url: ws://, wss://, http:// or https:// of a server; surrealkv://path or file://path of a
            directory that one process at a time has open; mem:// of what is gone with the store.
        namespace: has the database.
        database: has the tables.
        username: of a server; required there.
        password: of a server; required there.
        table_prefix: of the names of the tables `session`, `message` and `message_id`.
        auto_create_tables: whether to define the tables and indexes that there are not.
        auth_level: where the user is defined: "root", "namespace" or "database".
        timeout: seconds to wait for an answer in asyncio; over HTTP the SDK waits 30, always.
        max_retries: further tries of what failed transiently.
        retry_delay: bound in seconds of the wait before the first of them; it doubles with each.

    Raises:
        ConfigurationError: the URL, a name or an option cannot be right.
    """

    def __init__(
        self,
        url: str = _DEFAULT_URL,
        namespace: str = "praisonai",
        database: str = "praisonai",
        username: str | None = None,
        password: str | None = None,
        table_prefix: str = DEFAULT_PREFIX,
        *,
        auto_create_tables: bool = True,
        auth_level: str = "root",
        timeout: float = 30.0,
        max_retries: int = 3,
        retry_delay: float = 0.1,
    ) -> None:
        place = Place.of(url, (namespace, database), (username, password), auth_level, timeout)
        super().__init__(
            SurrealDBDriver(
                connect(place),
                place,
                RetryPolicy(max_retries, retry_delay),
                time.sleep,
                prefix=table_prefix,
                define=auto_create_tables,
            )
        )


class AsyncSurrealDBConversationStore(AsyncBaseConversationStore):
    """Conversations in SurrealDB, for asyncio. Arguments are `SurrealDBConversationStore`'s.

    One store serves all tasks and event loops of a process.
    """

    def __init__(
        self,
        url: str = _DEFAULT_URL,
        namespace: str = "praisonai",
        database: str = "praisonai",
        username: str | None = None,
        password: str | None = None,
        table_prefix: str = DEFAULT_PREFIX,
        *,
        auto_create_tables: bool = True,
        auth_level: str = "root",
        timeout: float = 30.0,
        max_retries: int = 3,
        retry_delay: float = 0.1,
    ) -> None:
        place = Place.of(url, (namespace, database), (username, password), auth_level, timeout)
        super().__init__(
            SurrealDBDriver(
                connect_async(place),
                place,
                RetryPolicy(max_retries, retry_delay),
                asyncio.sleep,
                prefix=table_prefix,
                define=auto_create_tables,
            )
        )
