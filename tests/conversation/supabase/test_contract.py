"""Supabase keeps the conversation contract over its REST API, in both colours."""

from __future__ import annotations

import pytest

from praison_persist._adapt import blocking
from praison_persist.conversation.supabase import (
    AsyncSupabaseConversationStore,
    SupabaseConversationStore,
)
from praison_persist.protocols import ConversationStore
from praison_persist.testing import ConversationStoreContract
from praison_persist.testing.contract import OpenStore
from tests.services.supabase import KEY, Supabase


class TestSupabase(ConversationStoreContract):
    sequences = 4  # each call is requests over HTTP

    @pytest.fixture
    def open_store(self, supabase: Supabase) -> OpenStore:
        return lambda: SupabaseConversationStore(supabase.url, KEY)


@pytest.mark.again
class TestAsyncSupabase(ConversationStoreContract):
    sequences = 2

    @pytest.fixture
    def open_store(self, supabase: Supabase) -> OpenStore:
        def open_store() -> ConversationStore:
            store = AsyncSupabaseConversationStore(supabase.url, KEY)
            return blocking(store, ConversationStore)

        return open_store
