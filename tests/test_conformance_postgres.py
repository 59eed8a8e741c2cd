"""PostgreSQL keeps the contracts, over every driver."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .conformance import AsyncConversations, AsyncRuns, SyncConversations, SyncRuns
from .servers import empty


class _Psycopg:
    driver = "psycopg"

    @pytest.fixture
    def url(self, postgres_database: str) -> Iterator[str]:
        yield postgres_database.replace("postgresql://", f"postgresql+{self.driver}://")
        empty(postgres_database)


class _Asyncpg(_Psycopg):
    driver = "asyncpg"


class TestPsycopg(_Psycopg, SyncConversations):
    sequences = 10


@pytest.mark.again
class TestPsycopgAsync(_Psycopg, AsyncConversations):
    pass


class TestAsyncpg(_Asyncpg, AsyncConversations):
    pass


class TestPsycopgRuns(_Psycopg, SyncRuns):
    pass


class TestPsycopgAsyncRuns(_Psycopg, AsyncRuns):
    pass


class TestAsyncpgRuns(_Asyncpg, AsyncRuns):
    pass
