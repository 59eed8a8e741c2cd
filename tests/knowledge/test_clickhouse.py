"""ClickHouse keeps the knowledge contract, in both colours, and its failures are told."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from praison_persist._adapt import blocking
from praison_persist._flow import run
from praison_persist._vendor import Calls
from praison_persist.errors import ConfigurationError, NotFoundError, UnavailableError
from praison_persist.knowledge.embedders import Embedder
from praison_persist.knowledge_protocols import KnowledgeStore
from praison_persist.testing.knowledge import KnowledgeStoreContract, OpenKnowledge
from praison_persist.testing.knowledge_contract import document, vector
from tests.packages import needs
from tests.servers import free_port

needs("clickhouse_connect", "aiohttp", "chdb", extra="knowledge")

from praison_persist.knowledge.clickhouse import (  # noqa: E402 - once its client is there
    AsyncClickHouseKnowledgeStore,
    ClickHouseKnowledgeStore,
)
from tests.services.clickhouse import PASSWORD, ClickHouse, clickhouse  # noqa: E402 - as above


@pytest.fixture(scope="module")
def server() -> Iterator[ClickHouse]:
    with clickhouse(free_port()) as server:
        yield server


class _Emptied:
    @pytest.fixture
    def place(self, server: ClickHouse) -> Iterator[dict[str, Any]]:
        yield {"host": "127.0.0.1", "port": server.port, "password": PASSWORD}
        server.clear()


class TestClickHouse(_Emptied, KnowledgeStoreContract):
    @pytest.fixture
    def open_knowledge(self, place: dict[str, Any]) -> OpenKnowledge:
        def open_knowledge(embedder: Embedder | None = None) -> KnowledgeStore:
            return ClickHouseKnowledgeStore(**place, embedder=embedder)

        return open_knowledge


@pytest.mark.again
class TestAsyncClickHouse(_Emptied, KnowledgeStoreContract):
    @pytest.fixture
    def open_knowledge(self, place: dict[str, Any]) -> OpenKnowledge:
        def open_knowledge(embedder: Embedder | None = None) -> KnowledgeStore:
            store = AsyncClickHouseKnowledgeStore(**place, embedder=embedder)
            return blocking(store, KnowledgeStore)

        return open_knowledge


class TestTables(_Emptied):
    def test_a_database_is_made_when_it_is_needed(
        self, place: dict[str, Any], server: ClickHouse
    ) -> None:
        with ClickHouseKnowledgeStore(**place, database="apart") as store:
            assert store.list_collections() == []
            assert "apart" not in server.run("SHOW DATABASES").split()
            store.create_collection("docs", 4, metadata={"it's": "\\ `q`"})
            store.insert("docs", [document("a")])
            described = store.get_collection("docs")
        assert described is not None
        assert described.metadata == {"it's": "\\ `q`"}
        assert server.run("SELECT id FROM apart.praison_vec_docs") == "a\n"

    def test_tables_of_others_are_no_collections(
        self, place: dict[str, Any], server: ClickHouse
    ) -> None:
        server.run("CREATE TABLE default.praison_vec_a (i Int8) ENGINE = Memory")
        server.run("CREATE TABLE default.praison_vec_b (i Int8) ENGINE = Memory COMMENT '[1]'")
        with ClickHouseKnowledgeStore(**place) as store:
            assert store.list_collections() == []
            assert store.get_collection("a") is None

    def test_documents_replaced_are_gone(self, place: dict[str, Any], server: ClickHouse) -> None:
        """Rows of before are still there until they are merged away, and after a delete."""
        with ClickHouseKnowledgeStore(**place) as store:
            store.create_collection("docs", 4)
            for number in range(3):
                store.upsert("docs", [document("a", {"n": number})])
            assert store.count("docs") == 1
            assert store.count("docs", {"n": 1}) == 0
            assert [hit.metadata for hit in store.search("docs", vector("a"))] == [{"n": 2}]
            assert store.delete("docs", ["a"]) == 1
            server.run("OPTIMIZE TABLE default.praison_vec_docs FINAL")
            assert store.count("docs") == 0


class TestFailures(_Emptied):
    def test_a_server_that_is_down(self) -> None:
        down: dict[str, Any] = {"host": "127.0.0.1", "port": free_port(), "password": "secret"}
        with (
            ClickHouseKnowledgeStore(**down, max_retries=1, retry_delay=0.01) as store,
            pytest.raises(UnavailableError, match="2 attempts") as caught,
        ):
            store.list_collections()
        assert "secret" not in str(caught.value) + repr(store)
        opened = AsyncClickHouseKnowledgeStore(**down, max_retries=1, retry_delay=0.01)
        with (
            blocking(opened, KnowledgeStore) as store_of_loop,
            pytest.raises(UnavailableError, match="2 attempts"),
        ):
            store_of_loop.list_collections()

    def test_a_wrong_password_is_told_and_not_shown(self, place: dict[str, Any]) -> None:
        place["password"] = "wrong-password"
        with (
            ClickHouseKnowledgeStore(**place) as store,
            pytest.raises(UnavailableError, match="Check username, password") as caught,
        ):
            store.list_collections()
        assert "wrong-password" not in str(caught.value) + repr(store)

    def test_a_table_that_is_gone(self, place: dict[str, Any]) -> None:
        with ClickHouseKnowledgeStore(**place) as store:
            store.create_collection("docs", 4)
            collection = store.get_collection("docs")
            assert collection is not None
            store.delete_collection("docs")
            count = partial(store.driver.count, collection, None)
            with pytest.raises(NotFoundError, match="deleted just now"):
                run(Calls(store.driver).call("count", count))

    @pytest.mark.parametrize(
        "bad",
        [
            {"host": "http://h"},
            {"host": ""},
            {"port": 0},
            {"port": "8123"},
            {"database": ""},
            {"timeout": 0},
        ],
    )
    def test_what_cannot_be_is_refused(self, bad: dict[str, Any]) -> None:
        with pytest.raises(ConfigurationError, match=next(iter(bad))):
            ClickHouseKnowledgeStore(**bad)
