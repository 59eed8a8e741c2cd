"""A SQL dialect that a user writes keeps the whole contract."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from praison_persist.testing import ConversationStoreContract
from praison_persist.testing.contract import OpenStore

from .dialects import RawPostgres, RawSQLite


class TestSQLite(ConversationStoreContract):
    sequences = 4

    @pytest.fixture
    def open_store(self, tmp_path: Path) -> OpenStore:
        return lambda: RawSQLite(str(tmp_path / "raw.db"))


@pytest.mark.again
class TestPostgres(ConversationStoreContract):
    sequences = 3

    @pytest.fixture
    def url(self, postgres_database: str) -> Iterator[str]:
        url = postgres_database.replace("postgresql+psycopg://", "postgresql://")
        yield url
        with psycopg.connect(url, autocommit=True) as conn:
            conn.execute("DROP TABLE IF EXISTS praison_messages, praison_sessions")

    @pytest.fixture
    def open_store(self, url: str) -> OpenStore:
        return lambda: RawPostgres(url)
