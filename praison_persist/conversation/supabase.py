"""Conversations in Supabase through its REST API, where no PostgreSQL connection can be had.

The tables are those of the SQL store, and both may be used on the same data at the same time. The
project is prepared once: `praison_persist.conversation.supabase_sql`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import httpx

from praison_persist._loops import PerLoop
from praison_persist._processes import PerProcess
from praison_persist._retry import RetryPolicy
from praison_persist.conversation.base import AsyncBaseConversationStore, BaseConversationStore
from praison_persist.conversation.supabase_driver import SupabaseDriver
from praison_persist.conversation.supabase_names import DEFAULT_PREFIX, DEFAULT_SCHEMA, Names
from praison_persist.conversation.supabase_rest import Place

__all__ = ["AsyncSupabaseConversationStore", "SupabaseConversationStore"]

_MAX_DELAY_S = 10.0


class SupabaseConversationStore(BaseConversationStore):
    """Conversations in a Supabase project. Shared by threads; usable after a fork.

    A session that is a fork or was reverted, or whose messages such a session shows, is refused
    with an UnsupportedError: only the SQL store keeps those.

    Args:
        url: https://….supabase.co, or that of your own gateway; default: SUPABASE_URL.
        key: the project's secret (service_role) key; default: SUPABASE_KEY.
        table_prefix: begins the name of every table and function.
        schema: of the database; the project's API settings have to expose it.
        timeout: seconds to wait for a connection, and for each part of an answer.
        max_retries: further tries of what failed transiently.
        retry_delay: bound in seconds of the wait before the first of them; it doubles with each.
        clock: tells the time of writes, in seconds since the epoch.

    Raises:
        ConfigurationError: there is no URL or no key, or an argument cannot be right.
    """

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        table_prefix: str = DEFAULT_PREFIX,
        schema: str = DEFAULT_SCHEMA,
        *,
        timeout: float = 30.0,
        max_retries: int = 3,
        retry_delay: float = 0.5,
        clock: Callable[[], float] = time.time,
    ) -> None:
        names = Names(table_prefix, schema)
        place = Place(url, key, schema, timeout)
        # Of a client that was forked, two processes would use the same connections.
        clients = PerProcess(lambda: place.client(httpx.Client), httpx.Client.close)
        retry = RetryPolicy(max_retries, retry_delay, _MAX_DELAY_S)
        driver = SupabaseDriver(place, names, clients.get, clients.close, retry, time.sleep)
        super().__init__(driver, clock=clock)


class AsyncSupabaseConversationStore(AsyncBaseConversationStore):
    """Conversations in a Supabase project, for asyncio. As `SupabaseConversationStore`.

    One store serves all tasks and event loops of a process.
    """

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        table_prefix: str = DEFAULT_PREFIX,
        schema: str = DEFAULT_SCHEMA,
        *,
        timeout: float = 30.0,
        max_retries: int = 3,
        retry_delay: float = 0.5,
        clock: Callable[[], float] = time.time,
    ) -> None:
        names = Names(table_prefix, schema)
        place = Place(url, key, schema, timeout)
        clients = PerLoop(lambda: place.client(httpx.AsyncClient), httpx.AsyncClient.aclose)
        retry = RetryPolicy(max_retries, retry_delay, _MAX_DELAY_S)
        driver = SupabaseDriver(place, names, clients.get, clients.close, retry, asyncio.sleep)
        super().__init__(driver, clock=clock)
