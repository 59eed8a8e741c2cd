"""Redis and Valkey keep the knowledge contract, in both colours and both protocols.

In front of a real Redis, whose commands FT.* are imitated: `tests/services/redisearch.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from praison_persist._adapt import blocking
from praison_persist._flow import run
from praison_persist.errors import (
    BackendError,
    ConfigurationError,
    ConflictError,
    NotFoundError,
    UnavailableError,
    UnsupportedError,
)
from praison_persist.knowledge.embedders import Embedder
from praison_persist.knowledge.redis import AsyncRedisKnowledgeStore, RedisKnowledgeStore
from praison_persist.knowledge.valkey import AsyncValkeyKnowledgeStore, ValkeyKnowledgeStore
from praison_persist.knowledge_protocols import KnowledgeCapability, KnowledgeStore
from praison_persist.testing.knowledge import KnowledgeStoreContract, OpenKnowledge
from praison_persist.testing.knowledge_contract import document, ids
from tests.servers import free_port
from tests.services.redisearch import RediSearch
from tests.state.services import OwnRedis, namespace


@pytest.fixture(scope="module")
def search() -> Iterator[RediSearch]:
    with namespace() as (url, _), RediSearch(url) as server:
        yield server


@pytest.fixture
def prefix() -> Iterator[str]:
    with namespace() as (_, prefix):
        yield prefix


class _Contract(KnowledgeStoreContract):
    store_class: type[Any] = RedisKnowledgeStore
    protocol = 3

    @pytest.fixture
    def open_knowledge(self, search: RediSearch, prefix: str) -> OpenKnowledge:
        def open_knowledge(embedder: Embedder | None = None) -> KnowledgeStore:
            store = self.store_class(
                search.url, prefix=prefix, embedder=embedder, protocol=self.protocol
            )
            if isinstance(store, AsyncRedisKnowledgeStore):
                return blocking(store, KnowledgeStore)
            made: KnowledgeStore = store
            return made

        return open_knowledge


class TestRedis(_Contract):
    pass


@pytest.mark.again
class TestAsyncRedisProtocol2(_Contract):
    store_class = AsyncRedisKnowledgeStore
    protocol = 2


@pytest.mark.again
class TestValkeyProtocol2(_Contract):
    store_class = ValkeyKnowledgeStore
    protocol = 2


@pytest.mark.again
class TestAsyncValkey(_Contract):
    store_class = AsyncValkeyKnowledgeStore


@pytest.fixture
def store(search: RediSearch, prefix: str) -> Iterator[RedisKnowledgeStore]:
    with RedisKnowledgeStore(search.url, prefix=prefix, retry_delay=0.001) as store:
        store.create_collection("docs", 4)
        yield store


def test_a_filter_is_no_part_of_the_query(search: RediSearch, store: RedisKnowledgeStore) -> None:
    store.insert("docs", [document("a", {"k": 1})])
    search.searches.clear()
    store.count("docs", {"k} | *": "$x)=>[KNN"})
    assert all(b"KNN" not in part for part in search.searches[0])


def test_a_search_outlasts_the_patience_of_its_client(
    search: RediSearch, store: RedisKnowledgeStore
) -> None:
    """What the server found before its own timeout passes for all there is."""
    search.searches.clear()
    store.count("docs")
    (asked,) = search.searches
    assert int(asked[asked.index(b"TIMEOUT") + 1]) > 5000


def test_documents_of_one_place_are_all_scanned(
    store: RedisKnowledgeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those behind the end of a page that hash to the same are skipped."""
    module = "praison_persist.knowledge.redis_driver._place_of"
    monkeypatch.setattr(module, lambda each: int(each) // 4)
    store.driver.batch = 3
    store.insert("docs", [document(str(number), {"k": 1}) for number in range(12)])
    assert store.delete("docs", filters={"k": 1}) == 12


def test_a_write_that_is_repeated_finds_its_own(store: RedisKnowledgeStore) -> None:
    """The answer was lost, and what the first try stored is taken for another's."""
    collection = store.get_collection("docs")
    assert collection is not None

    def put(*documents: Any) -> None:
        run(store.driver.put(collection, documents, new=True))

    put(document("a", created_at=1.0))
    put(document("a", created_at=1.0))
    with pytest.raises(ConflictError, match="'a'"):
        put(document("b"), document("a", created_at=2.0))
    assert store.count("docs") == 1


def test_what_was_left_of_a_collection_is_deleted_with_the_next(
    search: RediSearch, store: RedisKnowledgeStore, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process ends while it deletes."""
    store.insert("docs", [document("a")])
    monkeypatch.setattr(store.driver, "_finish", lambda _index: iter(()))
    assert store.delete_collection("docs")
    monkeypatch.undo()
    assert len(list(search.redis.scan_iter(f"{prefix}*"))) == 2
    assert store.list_collections() == []
    store.create_collection("docs", 4)
    assert store.count("docs") == 0
    store.delete_collection("docs")
    assert list(search.redis.scan_iter(f"{prefix}*")) == []


def test_an_index_that_is_gone_is_told(
    search: RediSearch, store: RedisKnowledgeStore, prefix: str
) -> None:
    for name in search.answer([b"FT._LIST"]):
        if name.startswith(prefix):
            search.answer([b"FT.DROPINDEX", name.encode()])
    with pytest.raises(BackendError, match=r"index .* was deleted"):
        store.count("docs")
    assert store.delete_collection("docs")


def test_a_collection_that_vanished_is_not_found(
    search: RediSearch, store: RedisKnowledgeStore
) -> None:
    collection = store.get_collection("docs")
    assert collection is not None
    store.delete_collection("docs")
    for hook in (
        store.driver.put(collection, [document("a")], new=False),
        store.driver.count(collection, None),
    ):
        with pytest.raises(NotFoundError, match="'docs'"):
            run(hook)


def test_an_error_of_the_server_is_told_or_waited_for(
    search: RediSearch, store: RedisKnowledgeStore
) -> None:
    search.failing = ["LOADING Redis is loading the dataset in memory"] * 3
    assert store.count("docs") == 0
    search.failing = ["LOADING Redis is loading the dataset in memory"] * 4
    with pytest.raises(UnavailableError, match="4 attempts"):
        store.count("docs")
    search.failing = ["Syntax error at offset 3"]
    with pytest.raises(BackendError, match="offset 3"):
        store.count("docs")


def test_a_key_of_another_program_is_told(search: RediSearch, prefix: str) -> None:
    search.redis.set(f"{prefix}:collections", "x")
    with (
        RedisKnowledgeStore(search.url, prefix=prefix) as store,
        pytest.raises(BackendError, match="another program"),
    ):
        store.list_collections()


def test_a_server_without_the_module_is_told(search: RediSearch, prefix: str) -> None:
    url = f"redis://{search.behind[0]}:{search.behind[1]}/{search.db}"
    with (
        RedisKnowledgeStore(url, prefix=prefix) as store,
        pytest.raises(UnsupportedError, match="Redis 8"),
    ):
        store.create_collection("docs", 4)


@pytest.mark.parametrize("make", [RedisKnowledgeStore, ValkeyKnowledgeStore])
def test_a_server_that_is_down_is_unavailable(make: type[RedisKnowledgeStore]) -> None:
    with (
        make(host="127.0.0.1", port=free_port(), retry_delay=0.001) as store,
        pytest.raises(UnavailableError, match="4 attempts") as caught,
    ):
        store.list_collections()
    assert caught.value.attempts == 4


def test_a_wrong_password_is_told_and_not_shown(tmp_path: Path) -> None:
    server = OwnRedis(tmp_path / "redis")
    server.start()
    with redis.Redis.from_url(server.url) as client:
        client.config_set("requirepass", "right-one")
    try:
        with (
            RedisKnowledgeStore(server.url, password="wrong-one") as store,
            pytest.raises(UnavailableError, match="password") as caught,
        ):
            store.list_collections()
        assert "wrong-one" not in str(caught.value) + repr(store)
    finally:
        server.kill()


def test_the_environment_says_where_it_is(
    search: RediSearch, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", search.url)
    monkeypatch.setenv("VALKEY_URL", search.url.replace("redis://", "valkey://"))
    for make in (RedisKnowledgeStore, ValkeyKnowledgeStore):
        with make(prefix=prefix) as store:
            store.create_collection("docs", 4)
            store.upsert("docs", [document("a")])
            assert ids(store.get("docs", ["a"])) == ["a"]


def test_only_contents_that_are_ranked_are_indexed() -> None:
    for make, hybrid in ((RedisKnowledgeStore, True), (ValkeyKnowledgeStore, False)):
        with make() as store:
            assert (KnowledgeCapability.HYBRID in store.capabilities) is hybrid


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"url": "redis+cluster://h"}, "cluster"),
        ({"url": "http://h"}, "scheme 'http'"),
        ({"url": "redis://h", "host": "h"}, "give one"),
        ({"prefix": ""}, "prefix"),
        ({"socket_timeout": 60}, "socket_timeout"),
        ({"socket_timeout": None}, "socket_timeout"),
        ({"client_options": {"decode_responses": True}}, "decode_responses"),
        ({"client_options": {"unknown": 1}}, "unknown"),
    ],
)
def test_what_cannot_be_is_refused(arguments: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        RedisKnowledgeStore(**arguments)
