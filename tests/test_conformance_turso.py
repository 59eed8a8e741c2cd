"""libSQL servers keep the contracts, in both colours."""

from __future__ import annotations

import pytest

from praison_persist.errors import InvalidDataError
from praison_persist.protocols import ConversationStore

from .conformance import AsyncConversations, AsyncRuns, SyncConversations, SyncRuns
from .services.sqld import Sqld


class _Server:
    # See docs/conversation/turso.md, "Limits": sqld may hang if its log reaches four megabytes
    # meanwhile.
    appends_each = 8

    @pytest.fixture
    def url(self, own_sqld: Sqld) -> str:
        return own_sqld.url

    @pytest.mark.xfail(
        strict=True, raises=InvalidDataError, reason="sqld limits a row to 5 MiB; here are six"
    )
    def test_a_megabyte_comes_back(self, store: ConversationStore) -> None:
        super().test_a_megabyte_comes_back(store)  # type: ignore[misc]  # of the contract


class TestSync(_Server, SyncConversations):
    pass


@pytest.mark.again
class TestAsync(_Server, AsyncConversations):
    pass


class _RunServer:
    url = _Server.url


class TestSyncRuns(_RunServer, SyncRuns):
    pass


class TestAsyncRuns(_RunServer, AsyncRuns):
    pass
