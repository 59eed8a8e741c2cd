"""Milvus keeps the knowledge contract, in both colours: the engine of Milvus Lite, in a file."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from praison_persist._adapt import blocking
from praison_persist.errors import (
    BackendError,
    ConfigurationError,
    InvalidDataError,
    UnavailableError,
)
from praison_persist.knowledge.embedders import Embedder
from praison_persist.knowledge_protocols import KnowledgeStore
from praison_persist.testing.knowledge import KnowledgeStoreContract, OpenKnowledge
from praison_persist.testing.knowledge_contract import document, embed
from tests.packages import needs

needs("pymilvus", "milvus_lite", extra="knowledge")

from pymilvus import MilvusClient  # noqa: E402 - after the check that it is there
from pymilvus.exceptions import MilvusException  # noqa: E402 - as above

from praison_persist.knowledge.milvus import (  # noqa: E402 - as above
    AsyncMilvusKnowledgeStore,
    MilvusKnowledgeStore,
)
from tests.services.milvus import Refusing  # noqa: E402 - as above

# Milvus Lite does not close the log of a collection that is dropped.
pytestmark = pytest.mark.filterwarnings("ignore:.*wal_data:pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Any]]:
    """A client of the module's file: Milvus Lite keeps a server for each until the process ends."""
    path = str(tmp_path_factory.mktemp("milvus") / "knowledge.db")
    client: Any = MilvusClient(path, dedicated=True)
    yield path, client
    client.close()


@pytest.fixture
def file(client: tuple[str, Any]) -> Iterator[str]:
    path, opened = client
    yield path
    for name in opened.list_collections():
        opened.drop_collection(name)


class TestMilvus(KnowledgeStoreContract):
    @pytest.fixture
    def open_knowledge(self, file: str) -> OpenKnowledge:
        def open_knowledge(embedder: Embedder | None = None) -> KnowledgeStore:
            return MilvusKnowledgeStore(file, embedder=embedder)

        return open_knowledge


@pytest.mark.again
class TestAsyncMilvus(KnowledgeStoreContract):
    @pytest.fixture
    def open_knowledge(self, file: str) -> OpenKnowledge:
        def open_knowledge(embedder: Embedder | None = None) -> KnowledgeStore:
            return blocking(AsyncMilvusKnowledgeStore(file, embedder=embedder), KnowledgeStore)

        return open_knowledge


class TestCollections:
    def test_what_is_kept_is_there_for_the_next_store(self, file: str) -> None:
        with MilvusKnowledgeStore(f"milvus://{file}") as store:
            store.create_collection("Docs", 4, "dot", {"by": "me"})
            store.insert("Docs", [document("a", {"k": 1}, "text")])
        with MilvusKnowledgeStore(Path(file)) as store:
            described = store.get_collection("Docs")
            assert described is not None
            assert (described.distance, described.metadata) == ("dot", {"by": "me"})
            assert [each.content for each in store.get("Docs", ["a"])] == ["text"]

    def test_collections_of_others_are_left_alone(self, file: str, client: tuple[str, Any]) -> None:
        client[1].create_collection("theirs", dimension=4)
        client[1].create_collection("praison_docs", dimension=4)
        with MilvusKnowledgeStore(file) as store:
            with pytest.raises(BackendError, match="another program"):
                store.create_collection("docs", 4)
            store.create_collection("theirs", 4)
            assert store.delete_collection("theirs")
        assert "theirs" in client[1].list_collections()

    def test_more_than_a_page_is_deleted(self, file: str) -> None:
        with MilvusKnowledgeStore(file) as store:
            store.create_collection("docs", 4)
            store.insert("docs", [document(f"d{n}", {"odd": n % 2 == 1}) for n in range(1300)])
            assert store.delete("docs", filters={"odd": True}) == 650
            assert store.clear("docs") == 650

    def test_more_values_than_milvus_holds_are_refused(self, file: str) -> None:
        with MilvusKnowledgeStore(file) as store:
            store.create_collection("docs", 4)
            store.insert("docs", [document("many", {"tags": list(range(4000))})])
            with pytest.raises(InvalidDataError, match=r"'more'.*4096"):
                store.insert("docs", [document("more", {"tags": list(range(5000))})])
            assert store.count("docs", {"tags": 3999}) == 1

    def test_numbers_beyond_doubles_are_compared(self, file: str) -> None:
        with MilvusKnowledgeStore(file) as store:
            store.create_collection("docs", 4)
            store.insert("docs", [document("a", {"n": 10**400}), document("b", {"n": -(10**400)})])
            assert store.count("docs", {"n": {"$gt": 1e300}}) == 1
            assert store.count("docs", {"n": {"$lt": 0}}) == 1

    def test_one_store_serves_many_event_loops(self, file: str) -> None:
        store = AsyncMilvusKnowledgeStore(file, embedder=embed)

        async def work(number: int) -> None:
            await store.create_collection("docs", 4)
            await store.insert("docs", [document(f"d{number}")])

        for number in range(3):
            asyncio.run(work(number))

        async def end() -> int:
            count = await store.count("docs")
            await store.close()
            return count

        assert asyncio.run(end()) == 3


class TestFailures:
    @pytest.mark.parametrize("kind", ["sync", "async"])
    def test_a_server_that_is_down_is_told(self, kind: str) -> None:
        with (
            _opened(kind, "http://127.0.0.1:1", max_retries=2) as store,
            pytest.raises(UnavailableError, match="3 attempts"),
        ):
            store.get_collection("docs")

    @pytest.mark.parametrize("kind", ["sync", "async"])
    def test_a_token_that_is_refused_is_told_and_not_shown(self, kind: str) -> None:
        with Refusing() as server:
            url = server.url.replace("://", "://root:very-secret@")
            with (
                _opened(kind, url) as store,
                pytest.raises(UnavailableError, match="Check token=") as caught,
            ):
                store.get_collection("docs")
            assert server.calls == 1
        assert "very-secret" not in str(caught.value) + repr(store)

    @pytest.mark.parametrize(
        "arguments",
        [
            {"url": "knowledge"},
            {"url": "/no/such/directory/m.db"},
            {"url": "ftp://host"},
            {"url": "http://"},
            {"url": "http://root:secret-word@host:port"},
            {"url": "http://host", "host": "host"},
            {"url": "m.db", "token": "secret-word"},
            {"timeout": 0},
        ],
    )
    def test_what_is_no_place_is_refused(self, arguments: dict[str, Any]) -> None:
        with pytest.raises(ConfigurationError) as caught:
            MilvusKnowledgeStore(**arguments)
        assert "secret-word" not in str(caught.value)

    def test_places_are_named_without_credentials(self) -> None:
        stores = [
            MilvusKnowledgeStore(),
            MilvusKnowledgeStore(None, "example.org", 1234, "root:secret-word", "db"),
            MilvusKnowledgeStore("https://root:secret-word@example.org/db"),
            MilvusKnowledgeStore("milvus://example.org:19530"),
        ]
        assert [store.driver.address for store in stores] == [
            "milvus at localhost:19530",
            "milvus at example.org:1234/db",
            "milvus at example.org/db",
            "milvus at example.org:19530",
        ]
        for store in stores:
            store.close()


def test_an_index_whose_state_is_not_known_yet_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Milvus Lite may answer so while others ask too; nothing can be searched then."""
    answers = iter([True, True])
    create_index = MilvusClient.create_index

    def unknown_at_first(self: Any, *args: Any, **options: Any) -> Any:
        if next(answers, False):
            raise MilvusException(700, "no index on collection")
        return create_index(self, *args, **options)

    monkeypatch.setattr(MilvusClient, "create_index", unknown_at_first)
    with MilvusKnowledgeStore(str(tmp_path / "knowledge.db")) as store:
        store.create_collection("docs", 3)
        store.insert("docs", [document("a", embedding=[1.0, 0.0, 0.0])])
        assert [found.id for found in store.search("docs", [1.0, 0.0, 0.0])] == ["a"]


def _opened(kind: str, url: str, **options: Any) -> KnowledgeStore:
    options = {"timeout": 5, "retry_delay": 0.001, **options}
    if kind == "sync":
        return MilvusKnowledgeStore(url, **options)
    return blocking(AsyncMilvusKnowledgeStore(url, **options), KnowledgeStore)
