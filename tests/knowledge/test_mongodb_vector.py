"""MongoDB keeps the knowledge contract, in both colours.

In front of a real mongod, whose Vector Search is imitated: `tests/services/mongodb_vector.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pymongo
import pytest

from praison_persist._adapt import blocking
from praison_persist._flow import run
from praison_persist.errors import (
    BackendError,
    ConfigurationError,
    ConflictError,
    InvalidDataError,
    NotFoundError,
    UnavailableError,
    UnsupportedError,
)
from praison_persist.knowledge.embedders import Embedder
from praison_persist.knowledge.mongodb_vector import (
    AsyncMongoDBVectorKnowledgeStore,
    MongoDBVectorKnowledgeStore,
)
from praison_persist.knowledge_protocols import KnowledgeStore
from praison_persist.testing.knowledge import KnowledgeStoreContract, OpenKnowledge
from praison_persist.testing.knowledge_contract import document, ids, vector
from tests.servers import free_port
from tests.services import mongod
from tests.services.mongod import OwnMongod
from tests.services.mongodb_vector import VectorSearch

# The contract does not depend on the disk, and its many writes would wait for it.
_OPTIONS = "&w=1&journal=false"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnMongod]:
    server = OwnMongod(tmp_path_factory.mktemp("mongod"))
    server.start()
    yield server
    server.close()


@pytest.fixture(scope="module")
def atlas(server: OwnMongod) -> Iterator[VectorSearch]:
    with VectorSearch(server.url) as atlas:
        yield atlas


@pytest.fixture
def database(server: OwnMongod) -> Iterator[str]:
    with mongod.database(server.url) as name:
        yield name


class TestMongoDB(KnowledgeStoreContract):
    @pytest.fixture
    def open_knowledge(self, atlas: VectorSearch, database: str) -> OpenKnowledge:
        url = atlas.url + _OPTIONS
        return lambda embedder=None: MongoDBVectorKnowledgeStore(url, database, embedder=embedder)


@pytest.mark.again
class TestAsyncMongoDB(KnowledgeStoreContract):
    @pytest.fixture
    def open_knowledge(self, atlas: VectorSearch, database: str) -> OpenKnowledge:
        url = atlas.url + _OPTIONS

        def open_knowledge(embedder: Embedder | None = None) -> KnowledgeStore:
            store = AsyncMongoDBVectorKnowledgeStore(url, database, embedder=embedder)
            return blocking(store, KnowledgeStore)

        return open_knowledge


@pytest.fixture
def store(atlas: VectorSearch, database: str) -> Iterator[MongoDBVectorKnowledgeStore]:
    with MongoDBVectorKnowledgeStore(
        atlas.url + _OPTIONS, database, consistency_timeout=1, retry_delay=0.001
    ) as store:
        store.create_collection("docs", 4)
        yield store


@pytest.fixture
def raw(atlas: VectorSearch, database: str) -> Any:
    return atlas.mongod[database]


def _documents(raw: Any) -> Any:
    (name,) = (each for each in raw.list_collection_names() if each.startswith("knowledge.docs."))
    return raw[name]


def test_a_write_waits_until_it_can_be_found(
    atlas: VectorSearch, store: MongoDBVectorKnowledgeStore, raw: Any
) -> None:
    """Atlas indexes a moment later, and what was just stored is missed."""
    store.insert("docs", [document("a")])
    atlas.lagging = 3
    store.insert("docs", [document("b")])
    assert atlas.lagging == 0
    assert sorted(ids(store.search("docs", vector("b")))) == ["a", "b"]
    assert sorted(each["_id"] for each in _documents(raw).find()) == ["a", "b"]


def test_a_write_that_cannot_be_found_in_time_is_told(
    atlas: VectorSearch, store: MongoDBVectorKnowledgeStore, database: str
) -> None:
    store.insert("docs", [document("a")])
    atlas.lagging = 1000
    try:
        with pytest.raises(UnavailableError, match="is stored, but cannot be searched after 1 s"):
            store.insert("docs", [document("b")])
        with MongoDBVectorKnowledgeStore(atlas.url, database, consistency_timeout=0) as hasty:
            hasty.insert("docs", [document("c")])
    finally:
        atlas.lagging = 0
    assert store.count("docs") == 3


def test_a_collection_is_there_when_its_index_can_be_searched(
    atlas: VectorSearch, database: str
) -> None:
    """The index is still being built, and the first searches fail."""
    atlas.building = 3
    try:
        with MongoDBVectorKnowledgeStore(atlas.url, database) as store:
            store.create_collection("docs", 4)
            assert store.search("docs", vector("x")) == []
        with (
            MongoDBVectorKnowledgeStore(atlas.url, database, index_timeout=0) as store,
            pytest.raises(UnavailableError, match="index_timeout"),
        ):
            store.create_collection("other", 4)
    finally:
        atlas.building = 0
    assert store.driver.address.startswith("127.0.0.1")
    assert not [each for each in atlas.mongod[database].list_collection_names() if "other" in each]


def test_a_search_restricts_before_it_takes_the_nearest(
    atlas: VectorSearch, store: MongoDBVectorKnowledgeStore
) -> None:
    store.search("docs", vector("x"), filters={"k": {"$ne": 1}})
    asked = atlas.searches[-1]
    assert asked["exact"] is True
    assert "$nin" in str(asked["filter"])


def test_an_index_that_is_gone_is_told(
    store: MongoDBVectorKnowledgeStore, atlas: VectorSearch
) -> None:
    """Atlas answers as if nothing had been found."""
    store.insert("docs", [document("a")])
    with pymongo.MongoClient[dict[str, Any]](atlas.url) as client:
        for database in client.list_database_names():
            for name in client[database].list_collection_names():
                if name.startswith("knowledge.docs."):
                    client[database][name].drop_search_index("vector_index")
    with pytest.raises(BackendError, match="'vector_index'"):
        store.search("docs", vector("a"))


def test_a_write_that_is_repeated_finds_its_own(store: MongoDBVectorKnowledgeStore) -> None:
    """The answer was lost, and what the first try stored is taken for another's."""
    collection = store.get_collection("docs")
    assert collection is not None

    def put(*documents: Any) -> None:
        run(store.driver.put(collection, documents, new=True))

    first = document("a", embedding=[1.0, 2.0, 3.0, 4.0], created_at=1.0)
    put(first)
    put(first)
    with pytest.raises(ConflictError, match="'a'"):
        put(document("b"), document("a", created_at=2.0))
    assert store.count("docs") == 1


def test_what_was_left_of_a_collection_is_deleted_with_the_next(
    store: MongoDBVectorKnowledgeStore, raw: Any
) -> None:
    """The process ended while it deleted."""
    name = _documents(raw).name
    raw["knowledge"].delete_one({"_id": "docs"})
    raw["knowledge"].insert_one({"_id": f":{name}"})
    assert store.list_collections() == []
    store.create_collection("docs", 4)
    store.delete_collection("docs")
    assert raw.list_collection_names() == ["knowledge"]
    assert list(raw["knowledge"].find()) == []


def test_a_collection_that_vanished_is_not_found(store: MongoDBVectorKnowledgeStore) -> None:
    collection = store.get_collection("docs")
    assert collection is not None
    store.delete_collection("docs")
    with pytest.raises(NotFoundError, match="'docs'"):
        run(store.driver.put(collection, [document("a")], new=False))


def test_what_is_too_large_for_a_document_is_told(store: MongoDBVectorKnowledgeStore) -> None:
    with pytest.raises(InvalidDataError, match="16 MiB"):
        store.insert("docs", [document("a", None, "x" * 17_000_000)])


def test_fields_have_the_names_they_are_given(atlas: VectorSearch, database: str, raw: Any) -> None:
    with MongoDBVectorKnowledgeStore(atlas.url, database, "mine", "idx", "vec", "body", 4) as store:
        store.create_collection("docs", 4)
        store.insert("docs", [document("a", {"k": 1}, "text")])
        assert ids(store.search("docs", vector("a"))) == ["a"]
        with pytest.raises(InvalidDataError, match="embedding_dim=4"):
            store.create_collection("other", 5)
    (name,) = (each for each in raw.list_collection_names() if each.startswith("mine.docs."))
    row = raw[name].find_one()
    assert (row["body"], row["metadata"], len(row["vec"])) == ("text", '{"k":1}', 4)


def test_a_server_without_vector_search_is_told(server: OwnMongod, database: str) -> None:
    with (
        MongoDBVectorKnowledgeStore(server.url, database) as store,
        pytest.raises(UnsupportedError, match="Atlas"),
    ):
        store.create_collection("docs", 4)


def test_a_failure_that_passes_is_met_again(
    server: OwnMongod, store: MongoDBVectorKnowledgeStore
) -> None:
    with server.failing("find", 2, errorCode=262):
        assert store.collection_exists("docs")


def test_a_server_that_is_down_is_unavailable() -> None:
    url = f"mongodb://127.0.0.1:{free_port()}/?serverSelectionTimeoutMS=100"
    with (
        MongoDBVectorKnowledgeStore(url, max_retries=1, retry_delay=0.001) as store,
        pytest.raises(UnavailableError, match="2 attempts") as caught,
    ):
        store.list_collections()
    assert caught.value.attempts == 2


def test_a_wrong_password_is_told_and_not_shown(server: OwnMongod) -> None:
    url = f"mongodb://someone:wrong-one@127.0.0.1:{server.port}/?directConnection=true"
    with (
        MongoDBVectorKnowledgeStore(url) as store,
        pytest.raises(UnavailableError, match="refused") as caught,
    ):
        store.list_collections()
    assert "wrong-one" not in str(caught.value) + repr(store)


def test_the_environment_says_where_it_is(
    atlas: VectorSearch, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MONGODB_URL", atlas.url)
    with MongoDBVectorKnowledgeStore(database=database) as store:
        store.create_collection("docs", 4)
        assert store.list_collections() == ["docs"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"url": "http://h"}, "scheme 'http'"),
        ({"database": "a.b"}, "a.b"),
        ({"index_name": "a b"}, "index_name"),
        ({"embedding_field": "a.b"}, "embedding_field"),
        ({"embedding_field": "terms"}, "embedding_field"),
        ({"text_field": "_id"}, "text_field"),
        ({"text_field": "embedding"}, "both 'embedding'"),
        ({"embedding_dim": 0}, "embedding_dim"),
        ({"embedding_dim": 8193}, "embedding_dim"),
        ({"index_timeout": -1}, "index_timeout"),
        ({"consistency_timeout": "1"}, "consistency_timeout"),
    ],
)
def test_what_cannot_be_is_refused(arguments: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        MongoDBVectorKnowledgeStore(**arguments)
