"""CockroachDB's row keeps the contracts before a stand-in: docs/conversation/cockroachdb.md."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .conformance import AsyncConversations, AsyncRuns, SyncConversations, SyncRuns
from .servers import empty
from .services.cockroach import Cockroach


class _CockroachDB:
    @pytest.fixture
    def url(self, cockroach: Cockroach) -> Iterator[str]:
        yield cockroach.url
        empty(cockroach.behind)


class TestPsycopg(_CockroachDB, SyncConversations):
    pass


@pytest.mark.again
class TestAsyncpg(_CockroachDB, AsyncConversations):
    pass


class TestPsycopgRuns(_CockroachDB, SyncRuns):
    pass


class TestAsyncpgRuns(_CockroachDB, AsyncRuns):
    pass
