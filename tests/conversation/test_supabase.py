"""Supabase keeps the conversation contract over its REST API, in both colours, and fails in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from praison_persist._adapt import blocking
from praison_persist.conversation.supabase import (
    AsyncSupabaseConversationStore,
    SupabaseConversationStore,
)
from praison_persist.conversation.supabase_sql import install
from praison_persist.protocols import ConversationStore
from praison_persist.testing import ConversationStoreContract
from praison_persist.testing.contract import OpenStore
from tests.servers import empty
from tests.services.supabase import KEY, Supabase, project


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[str, Supabase]]:
    """The PostgreSQL URL of a project that is set up, and its API."""
    with project() as (url, supabase):
        install(url)
        supabase.api.start()
        yield url, supabase


@pytest.fixture
def database(running: tuple[str, Supabase]) -> Iterator[str]:
    yield running[0]
    empty(running[0])


@pytest.fixture
def supabase(running: tuple[str, Supabase], database: str) -> Supabase:
    return running[1]


class TestSupabase(ConversationStoreContract):
    @pytest.fixture
    def open_store(self, supabase: Supabase) -> OpenStore:
        return lambda: SupabaseConversationStore(supabase.url, KEY)


class TestAsyncSupabase(ConversationStoreContract):
    @pytest.fixture
    def open_store(self, supabase: Supabase) -> OpenStore:
        def open_store() -> ConversationStore:
            store = AsyncSupabaseConversationStore(supabase.url, KEY)
            return blocking(store, ConversationStore)

        return open_store
