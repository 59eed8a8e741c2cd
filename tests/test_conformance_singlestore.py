"""SingleStore keeps the contracts, as far as an imitation of it in front of MariaDB tells."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .conformance import AsyncConversations, AsyncRuns, SyncConversations, SyncRuns
from .servers import empty


class _SingleStore:
    @pytest.fixture
    def url(self, singlestore_database: str) -> Iterator[str]:
        yield singlestore_database
        empty(singlestore_database)


class TestSync(_SingleStore, SyncConversations):
    pass


@pytest.mark.again
class TestAsync(_SingleStore, AsyncConversations):
    pass


class TestSyncRuns(_SingleStore, SyncRuns):
    pass


class TestAsyncRuns(_SingleStore, AsyncRuns):
    pass
