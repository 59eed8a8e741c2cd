"""SurrealDB keeps the knowledge contract: its engine here, and behind WebSocket and HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.packages import needs

needs("surrealdb", extra="surrealdb")

from praison_persist._adapt import blocking  # noqa: E402 - after the check
from praison_persist._flow import run  # noqa: E402 - after the check
from praison_persist._surrealdb_client import Place  # noqa: E402 - after the check
from praison_persist.errors import (  # noqa: E402 - after the check
    BackendError,
    ConfigurationError,
    ConflictError,
    NotFoundError,
    UnavailableError,
)
from praison_persist.knowledge.embedders import Embedder  # noqa: E402 - after the check
from praison_persist.knowledge.surrealdb_vector import (  # noqa: E402 - after the check
    AsyncSurrealDBKnowledgeStore,
    SurrealDBKnowledgeStore,
)
from praison_persist.knowledge_protocols import KnowledgeStore  # noqa: E402 - after the check
from praison_persist.testing.knowledge import KnowledgeStoreContract, OpenKnowledge  # noqa: E402 - after the check
from praison_persist.testing.knowledge_contract import document, ids, vector  # noqa: E402 - after the check
from tests.programs import environment, python  # noqa: E402 - after the check
from tests.servers import free_port  # noqa: E402 - after the check
from tests.services.surrealdb import PASSWORD, USER, SurrealDB  # noqa: E402 - after the check

# The SDK opens its WebSocket as websockets 17.1 no longer likes it.
pytestmark = pytest.mark.filterwarnings(
    "ignore:connect.. must be used as a context manager:DeprecationWarning"
)


@pytest.fixture(scope="module")
def running() -> Iterator[SurrealDB]:
    server = SurrealDB()
    yield server
    server.close()


@pytest.fixture
def server(running: SurrealDB) -> Iterator[SurrealDB]:
    yield running
    running.empty()


def _sync(url: str, **options: Any) -> OpenKnowledge:
    def open_knowledge(embedder: Embedder | None = None) -> KnowledgeStore:
        return SurrealDBKnowledgeStore(url, embedder=embedder, **options)

    return open_knowledge


def _async(url: str, **options: Any) -> OpenKnowledge:
    def open_knowledge(embedder: Embedder | None = None) -> KnowledgeStore:
        store = AsyncSurrealDBKnowledgeStore(url, embedder=embedder, **options)
        return blocking(store, KnowledgeStore)

    return open_knowledge


_LOGIN = {"username": USER, "password": PASSWORD}


class TestEngine(KnowledgeStoreContract):
    @pytest.fixture
    def open_knowledge(self, tmp_path: Path) -> OpenKnowledge:
        return _sync(f"surrealkv://{tmp_path}/data")


@pytest.mark.again
class TestEngineAsync(KnowledgeStoreContract):
    @pytest.fixture
    def open_knowledge(self, tmp_path: Path) -> OpenKnowledge:
        return _async(f"surrealkv://{tmp_path}/data")


class TestWebSocket(KnowledgeStoreContract):
    @pytest.fixture
    def open_knowledge(self, server: SurrealDB) -> OpenKnowledge:
        return _sync(f"ws://{server.host}/rpc", **_LOGIN)


@pytest.mark.again
class TestWebSocketAsync(KnowledgeStoreContract):
    @pytest.fixture
    def open_knowledge(self, server: SurrealDB) -> OpenKnowledge:
        return _async(f"ws://{server.host}/rpc", **_LOGIN)


@pytest.mark.again
class TestHTTP(KnowledgeStoreContract):
    @pytest.fixture
    def open_knowledge(self, server: SurrealDB) -> OpenKnowledge:
        return _sync(f"http://{server.host}", **_LOGIN)


@pytest.mark.again
class TestHTTPAsync(KnowledgeStoreContract):
    @pytest.fixture
    def open_knowledge(self, server: SurrealDB) -> OpenKnowledge:
        return _async(f"http://{server.host}", **_LOGIN)


class TestStore:
    @pytest.fixture
    def store(self, server: SurrealDB) -> Iterator[KnowledgeStore]:
        with _sync(f"ws://{server.host}", retry_delay=0.001, **_LOGIN)() as store:
            yield store

    @pytest.fixture(params=["ws-sync", "ws-async", "http-sync", "http-async"])
    def remote(self, request: pytest.FixtureRequest, server: SurrealDB) -> Iterator[KnowledgeStore]:
        scheme, _, colour = request.param.partition("-")
        open_knowledge = _sync if colour == "sync" else _async
        url = f"{scheme}://{server.host}"
        with open_knowledge(url, retry_delay=0.001, **_LOGIN)() as store:
            yield store

    def test_a_lost_connection_is_made_again(
        self, server: SurrealDB, remote: KnowledgeStore
    ) -> None:
        remote.create_collection("docs", 4)
        server.cut()
        assert remote.count("docs") == 0

    def test_a_server_that_is_down_is_told(self, server: SurrealDB, remote: KnowledgeStore) -> None:
        server.refusing = True
        with pytest.raises(UnavailableError, match="4 attempts") as caught:
            remote.count("docs")
        assert caught.value.attempts == 4
        server.refusing = False
        with pytest.raises(NotFoundError):
            remote.count("docs")

    @pytest.mark.parametrize("scheme", ["ws", "http"])
    @pytest.mark.parametrize("open_knowledge", [_sync, _async])
    def test_nobody_listens(self, scheme: str, open_knowledge: Any) -> None:
        url = f"{scheme}://127.0.0.1:{free_port()}"
        with (
            open_knowledge(url, retry_delay=0.001, **_LOGIN)() as store,
            pytest.raises(UnavailableError, match="4 attempts"),
        ):
            store.count("docs")

    def test_an_expired_session_is_signed_in_again(
        self, server: SurrealDB, remote: KnowledgeStore
    ) -> None:
        remote.create_collection("docs", 4)
        before = server.signed_in
        server.expired = 1
        assert remote.count("docs") == 0
        assert server.signed_in == before + 1

    def test_a_wrong_password_is_told_and_not_shown(self, server: SurrealDB) -> None:
        for scheme in ("ws", "http"):
            for open_knowledge in (_sync, _async):
                url = f"{scheme}://{server.host}"
                with (
                    open_knowledge(url, username=USER, password="wrong-secret")() as store,
                    pytest.raises(UnavailableError, match="Check username") as caught,
                ):
                    store.count("docs")
                assert "wrong-secret" not in str(caught.value) + repr(store)

    def test_a_gateway_that_fails_is_asked_again(self, server: SurrealDB) -> None:
        for open_knowledge in (_sync, _async):
            with open_knowledge(f"http://{server.host}", retry_delay=0.001, **_LOGIN)() as store:
                assert store.list_collections() == []
                server.failing = [503] * 3
                assert store.list_collections() == []
                server.failing = [503] * 4
                with pytest.raises(UnavailableError, match="4 attempts"):
                    store.list_collections()
                server.failing = [400]
                with pytest.raises(BackendError, match="400"):
                    store.list_collections()

    def test_writing_to_a_collection_that_was_deleted_is_told(self, store: Any) -> None:
        store.create_collection("docs", 4)
        collection = store.get_collection("docs")
        store.delete_collection("docs")
        put = store.driver.put(collection, [document("a")], new=True)
        with pytest.raises(NotFoundError, match="deleted"):
            run(store._flows.call("store documents", lambda: put))

    def test_two_insert_the_same_id(self, store: Any) -> None:
        store.create_collection("docs", 4)
        store.insert("docs", [document("a", None, "first")])
        collection = store.get_collection("docs")
        put = store.driver.put(collection, [document("b"), document("a")], new=True)
        with pytest.raises(ConflictError, match="already exists"):
            run(store._flows.call("store documents", lambda: put))
        assert store.count("docs") == 1

    def test_an_insert_whose_answer_was_lost_is_repeated(self, store: Any) -> None:
        store.create_collection("docs", 4)
        collection = store.get_collection("docs")
        given = [document("a", {"k": [1]}, "text")]
        given[0].embedding = [1.0, 2.0, 3.0, 4.0]
        for _ in range(2):
            run(store.driver.put(collection, given, new=True))
        assert store.count("docs") == 1

    def test_the_server_finds_words_too(self, store: Any) -> None:
        store.create_collection("docs", 4)
        store.insert("docs", [document(f"d{n}", None, f"text {n}") for n in range(9)])
        store.insert("docs", [document("é", None, "Crème BRÛLÉE, twice: brûlée")])
        collection = store.get_collection("docs")
        found = run(store.driver.keywords(collection, "some brulee", 5, None))
        assert ids(found) == ["é"]
        assert found[0].score > 0
        assert run(store.driver.keywords(collection, "?!", 5, None)) == []

    def test_databases_are_apart(self, server: SurrealDB) -> None:
        with (
            _sync(f"ws://{server.host}", database="one", **_LOGIN)() as one,
            _sync(f"ws://{server.host}", database="two", **_LOGIN)() as two,
        ):
            one.create_collection("docs", 4)
            assert two.list_collections() == []


class TestDirectory:
    def test_it_is_kept(self, tmp_path: Path) -> None:
        for scheme in ("surrealkv", "file"):
            url = f"{scheme}://{tmp_path}/new/{scheme}"
            with _sync(url)() as store:
                store.create_collection("docs", 4, "dot", {"k": 1})
                store.insert("docs", [document("a", {"k": 1}, "text")])
            with _async(url)() as store:
                assert ids(store.search("docs", vector("a"), filters={"k": 1})) == ["a"]

    def test_stores_of_a_process_share_it(self, tmp_path: Path) -> None:
        """Two engines of a directory do not see what the other writes, and lose it."""
        url = f"surrealkv://{tmp_path}/data"
        with _sync(url)() as one, _async(url)() as two:
            one.create_collection("docs", 4)
            two.insert("docs", [document("a")])
            one.close()
            assert two.count("docs") == 1

    def test_another_process_is_refused(self, tmp_path: Path) -> None:
        url = f"surrealkv://{tmp_path}/data"
        program = (
            "from praison_persist.knowledge.surrealdb_vector import SurrealDBKnowledgeStore\n"
            f"SurrealDBKnowledgeStore({url!r}).list_collections()"
        )
        variables = environment(tmp_path)
        with _sync(url)() as store:
            store.list_collections()
            ended = python("-c", program, cwd=tmp_path, variables=variables)
            assert "another process has this directory open" in ended.stderr
        ended = python("-c", program, cwd=tmp_path, variables=variables)
        assert ended.returncode == 0, ended.stderr

    def test_another_database_at_once_is_refused(self, tmp_path: Path) -> None:
        url = f"surrealkv://{tmp_path}/data"
        with _sync(url)() as one, _sync(url, database="other")() as other:
            one.list_collections()
            with pytest.raises(ConfigurationError, match="praisonai/praisonai"):
                other.list_collections()

    def test_a_directory_that_cannot_be_is_told(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("no directory")
        with (
            _sync(f"surrealkv://{tmp_path}/file")() as store,
            pytest.raises(BackendError, match=str(tmp_path)),
        ):
            store.list_collections()

    def test_memory_is_of_one_store(self) -> None:
        with _sync("mem://")() as one, _async("mem://")() as two:
            one.create_collection("docs", 4)
            one.insert("docs", [document("a")])
            assert one.count("docs") == 1
            assert two.list_collections() == []


class TestPlace:
    @pytest.mark.parametrize(
        ("arguments", "told"),
        [
            ({"url": "rocksdb://data"}, "not with 'rocksdb'"),
            ({"url": "data.db"}, "begins with"),
            ({"url": None}, "begins with"),
            ({"url": "surrealkv://"}, "path"),
            ({"url": "ws://localhost:8000"}, "username= and password="),
            ({"url": "ws://localhost", "username": "u"}, "username= and password="),
            ({"url": "mem://", "namespace": ""}, "namespace"),
            ({"url": "mem://", "database": None}, "database"),
            ({"url": "mem://", "auth_level": "user"}, "auth_level"),
            ({"url": "mem://", "timeout": 0}, "timeout"),
        ],
    )
    def test_what_cannot_be_is_refused(self, arguments: dict[str, Any], told: str) -> None:
        for store in (SurrealDBKnowledgeStore, AsyncSurrealDBKnowledgeStore):
            with pytest.raises(ConfigurationError, match=told):
                store(**arguments)

    def test_a_password_in_the_url_is_refused_and_not_shown(self) -> None:
        with pytest.raises(ConfigurationError, match="beside the URL") as caught:
            SurrealDBKnowledgeStore("ws://me:secret@localhost:8000")
        assert "secret" not in str(caught.value)

    def test_the_level_of_the_user_is_said(self) -> None:
        names, user = ("n", "d"), ("me", "secret")
        found = {
            level: sorted(Place.of("ws://h", names, user, level, 1).credentials)
            for level in ("root", "namespace", "database")
        }
        assert found == {
            "root": ["password", "username"],
            "namespace": ["namespace", "password", "username"],
            "database": ["database", "namespace", "password", "username"],
        }
        place = Place.of("surrealdb://h:1/rpc", names, user, "root", 1)
        assert place.address == "surrealdb at h:1, n/d"
        assert "secret" not in repr(place)
