"""Azure Cosmos DB keeps the knowledge contract, in both colours, and its failures are told."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.packages import needs

needs("azure.cosmos", "aiohttp", extra="cosmosdb")

from praison_persist._adapt import blocking  # noqa: E402 - after the check
from praison_persist._flow import run  # noqa: E402 - after the check
from praison_persist.errors import (  # noqa: E402 - after the check
    BackendError,
    ConfigurationError,
    ConflictError,
    InvalidDataError,
    NotFoundError,
    UnavailableError,
    UnsupportedError,
)
from praison_persist.knowledge.cosmosdb import (  # noqa: E402 - after the check
    AsyncCosmosDBKnowledgeStore,
    CosmosDBKnowledgeStore,
)
from praison_persist.knowledge.embedders import Embedder  # noqa: E402 - after the check
from praison_persist.knowledge.vectors import single  # noqa: E402 - after the check
from praison_persist.knowledge_protocols import KnowledgeStore  # noqa: E402 - after the check
from praison_persist.testing.knowledge import (  # noqa: E402 - after the check
    KnowledgeStoreContract,
    OpenKnowledge,
)
from praison_persist.testing.knowledge_contract import (  # noqa: E402 - after the check
    document,
    ids,
    vector,
)
from tests.servers import free_port  # noqa: E402 - after the check
from tests.services.cosmos import KEY, Cosmos  # noqa: E402 - after the check


@pytest.fixture(scope="module")
def account() -> Iterator[Cosmos]:
    """A fake account of this module."""
    cosmos = Cosmos()
    yield cosmos
    cosmos.close()


@pytest.fixture
def cosmos(account: Cosmos) -> Cosmos:
    """An empty fake account."""
    account.empty()
    return account


class TestCosmosDB(KnowledgeStoreContract):
    @pytest.fixture
    def open_knowledge(self, cosmos: Cosmos) -> OpenKnowledge:
        def open_knowledge(embedder: Embedder | None = None) -> KnowledgeStore:
            return CosmosDBKnowledgeStore(cosmos.connection_string(), embedder=embedder)

        return open_knowledge


@pytest.mark.again
class TestAsyncCosmosDB(KnowledgeStoreContract):
    @pytest.fixture
    def open_knowledge(self, cosmos: Cosmos) -> OpenKnowledge:
        def open_knowledge(embedder: Embedder | None = None) -> KnowledgeStore:
            store = AsyncCosmosDBKnowledgeStore(cosmos.connection_string(), embedder=embedder)
            return blocking(store, KnowledgeStore)

        return open_knowledge


class TestLayout:
    """One finds documents in the portal."""

    @pytest.fixture
    def store(self, cosmos: Cosmos) -> Iterator[CosmosDBKnowledgeStore]:
        with CosmosDBKnowledgeStore(cosmos.connection_string(), "mine", "kb") as store:
            yield store

    def test_a_collection_is_a_container(
        self, cosmos: Cosmos, store: CosmosDBKnowledgeStore
    ) -> None:
        store.create_collection("Docs", 4, "euclidean")
        store.insert("Docs", [document("a/b", {"year": 2020}, "text")])
        containers = cosmos.containers("mine")
        assert set(containers) == {"kb", "kb--docs"}
        (item,) = cosmos.items("mine", "kb--docs")
        assert (item["document_id"], item["content"]) == ("a/b", "text")
        assert item["numbers"] == {"year": 2020}
        policy = containers["kb--docs"]["vectorEmbeddingPolicy"]["vectorEmbeddings"][0]
        assert (policy["dimensions"], policy["distanceFunction"]) == (4, "euclidean")

    def test_the_index_suits_the_dimension(
        self, cosmos: Cosmos, store: CosmosDBKnowledgeStore
    ) -> None:
        store.create_collection("small", 505)
        store.create_collection("large", 506)
        kinds = {
            name: [
                index["type"] for index in each.get("indexingPolicy", {}).get("vectorIndexes", [])
            ]
            for name, each in cosmos.containers("mine").items()
        }
        assert kinds == {"kb": [], "kb-small": ["flat"], "kb-large": ["diskANN"]}
        with pytest.raises(InvalidDataError, match="4096"):
            store.create_collection("huge", 4097)

    def test_what_was_left_half_done_is_taken_up(
        self, cosmos: Cosmos, store: CosmosDBKnowledgeStore
    ) -> None:
        """A process that ends between two requests blocks the name for ever."""
        store.create_collection("docs", 4)
        register = cosmos._databases["mine"]["kb"].items
        register.clear()
        with pytest.raises(ConflictError, match="'kb-docs'"):
            store.create_collection("docs", 5)
        store.create_collection("docs", 4, "cosine", {"k": 1})
        assert store.list_collections() == ["docs"]
        # A deletion that was broken off after the documents were gone.
        del cosmos._databases["mine"]["kb-docs"]
        with pytest.raises(NotFoundError, match="no longer"):
            store.count("docs")
        assert store.delete_collection("docs")
        assert register == {}

    def test_a_container_that_is_made_anew_is_found(
        self, cosmos: Cosmos, store: CosmosDBKnowledgeStore
    ) -> None:
        """The SDK remembers the old one."""
        store.create_collection("docs", 4)
        store.insert("docs", [document("a")])
        with CosmosDBKnowledgeStore(cosmos.connection_string(), "mine", "kb") as other:
            assert other.delete_collection("docs")
            other.create_collection("docs", 4, "dot")
            other.insert("docs", [document("b")])
        assert ids(store.get("docs", ["a", "b"])) == ["b"]
        assert ids(store.search("docs", vector("x"))) == ["b"]
        store.insert("docs", [document("c")])
        assert store.count("docs") == 2

    def test_many_pages_are_deleted(
        self, store: CosmosDBKnowledgeStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("praison_persist.knowledge.cosmosdb_driver._PAGE", 3)
        store.create_collection("docs", 4)
        store.insert("docs", [document(f"d{n}", {"even": n % 2 == 0}) for n in range(20)])
        assert store.delete("docs", filters={"even": True}) == 10
        assert store.clear("docs") == 10


def _blocking(store: Any) -> KnowledgeStore:
    return store if isinstance(store, KnowledgeStore) else blocking(store, KnowledgeStore)


class TestFailures:
    def test_a_moment_of_trouble_is_waited_for(self, cosmos: Cosmos) -> None:
        options: dict[str, Any] = {"max_retries": 2, "retry_delay": 0.001}
        with CosmosDBKnowledgeStore(cosmos.connection_string(), **options) as store:
            store.create_collection("docs", 4)
            cosmos.failing = [(449, "Retry with")] * 2
            store.insert("docs", [document("a")])
            assert store.count("docs") == 1

    def test_what_an_earlier_try_stored_is_no_conflict(self, cosmos: Cosmos) -> None:
        with CosmosDBKnowledgeStore(cosmos.connection_string()) as store:
            store.create_collection("docs", 4)
            given = document("a", {"k": [1]}, created_at=0.3, embedding=single(vector("a")))
            store.insert("docs", [given])
            collection = store.get_collection("docs")
            assert collection is not None
            run(store.driver.put(collection, [given], new=True))
            with pytest.raises(ConflictError, match="'a'"):
                run(store.driver.put(collection, [document("a")], new=True))

    @pytest.mark.parametrize("kind", [CosmosDBKnowledgeStore, AsyncCosmosDBKnowledgeStore])
    def test_nobody_there_is_told(self, kind: Any) -> None:
        place = f"AccountEndpoint=http://127.0.0.1:{free_port()}/;AccountKey={KEY}"
        with (
            _blocking(kind(place, max_retries=2, retry_delay=0.001)) as store,
            pytest.raises(UnavailableError, match="after 3 attempts") as caught,
        ):
            store.list_collections()
        assert caught.value.attempts == 3

    @pytest.mark.parametrize("kind", [CosmosDBKnowledgeStore, AsyncCosmosDBKnowledgeStore])
    def test_a_wrong_key_is_told_and_not_shown(self, cosmos: Cosmos, kind: Any) -> None:
        wrong = base64.b64encode(b"a wrong key").decode()
        with (
            _blocking(kind(cosmos.connection_string(wrong))) as store,
            pytest.raises(UnavailableError, match="AccountKey") as caught,
        ):
            store.list_collections()
        assert wrong not in str(caught.value) + repr(store) + repr(caught.value)

    def test_an_account_without_vectors_is_told(self, cosmos: Cosmos) -> None:
        cosmos.vectors = False
        with (
            CosmosDBKnowledgeStore(cosmos.connection_string()) as store,
            pytest.raises(BackendError, match="EnableNoSQLVectorSearch"),
        ):
            store.create_collection("docs", 4)

    def test_a_document_that_is_too_large_is_told(self, cosmos: Cosmos) -> None:
        with CosmosDBKnowledgeStore(cosmos.connection_string()) as store:
            store.create_collection("docs", 4)
            with pytest.raises(InvalidDataError, match="2 MB"):
                store.insert("docs", [document("a", None, "x" * 2**21)])


class TestArguments:
    def test_the_environment_says_where_it_is(
        self, cosmos: Cosmos, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("COSMOS_CONNECTION_STRING", cosmos.connection_string())
        with CosmosDBKnowledgeStore() as store:
            store.create_collection("docs", 4)
            assert store.collection_exists("docs")

    @pytest.mark.parametrize(
        "place",
        [
            None,
            "",
            "https://account.documents.azure.com",
            "AccountEndpoint=https://h/",
            f"AccountKey={KEY}",
            f"AccountEndpoint=cosmos://h/;AccountKey={KEY}",
            "AccountEndpoint=https://h/;AccountKey=no-base64!",
        ],
    )
    def test_what_is_no_connection_string_is_refused(
        self, place: str | None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("COSMOS_CONNECTION_STRING", raising=False)
        with pytest.raises(ConfigurationError, match=r"connection[_ ]string") as caught:
            CosmosDBKnowledgeStore(place)
        assert KEY not in str(caught.value)
        assert "no-base64" not in str(caught.value)

    @pytest.mark.parametrize(
        ("options", "told"),
        [
            ({"database": "a/b"}, "database"),
            ({"collection": "a-b"}, "collection"),
            ({"api_mode": "sql"}, "api_mode"),
            ({"vector_index": "hnsw"}, "vector_index"),
        ],
    )
    def test_what_cannot_be_is_refused(self, options: dict[str, Any], told: str) -> None:
        place = f"AccountEndpoint=https://h/;AccountKey={KEY}"
        with pytest.raises(ConfigurationError, match=re.escape(told)):
            CosmosDBKnowledgeStore(place, **options)

    def test_the_api_for_mongodb_is_not_supported(self) -> None:
        with pytest.raises(UnsupportedError, match="MongoDB"):
            AsyncCosmosDBKnowledgeStore("x", api_mode="mongodb_vcore")
