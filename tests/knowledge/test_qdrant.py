"""Qdrant keeps the knowledge contract: its local mode, and its REST API in front of that."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.packages import needs

needs("qdrant_client", extra="qdrant")

from qdrant_client import QdrantClient, models  # noqa: E402 - skipped without the package

from praison_persist._adapt import blocking  # noqa: E402 - as above
from praison_persist.errors import (  # noqa: E402 - as above
    BackendError,
    ConfigurationError,
    NotFoundError,
    UnavailableError,
)
from praison_persist.knowledge.driver import done  # noqa: E402 - as above
from praison_persist.knowledge.embedders import Embedder  # noqa: E402 - as above
from praison_persist.knowledge.qdrant import (  # noqa: E402 - as above
    AsyncQdrantKnowledgeStore,
    QdrantKnowledgeStore,
)
from praison_persist.knowledge_protocols import KnowledgeStore  # noqa: E402 - as above
from praison_persist.models import KnowledgeCollection  # noqa: E402 - as above
from praison_persist.testing.knowledge import (  # noqa: E402 - as above
    KnowledgeStoreContract,
    OpenKnowledge,
)
from praison_persist.testing.knowledge_contract import document, ids  # noqa: E402 - as above
from tests.servers import free_port  # noqa: E402 - as above
from tests.services.qdrant import KEY, Qdrant  # noqa: E402 - as above

_INSECURE = "ignore:Api key is used with an insecure connection"  # of the fake, which has no TLS


@pytest.fixture(scope="module")
def server() -> Iterator[Qdrant]:
    fake = Qdrant()
    yield fake
    fake.close()


@pytest.fixture
def qdrant(server: Qdrant, monkeypatch: pytest.MonkeyPatch) -> Iterator[Qdrant]:
    for name in ("QDRANT_URL", "QDRANT_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    yield server
    server.empty()


class TestLocal(KnowledgeStoreContract):
    @pytest.fixture
    def open_knowledge(self, tmp_path: Path) -> OpenKnowledge:
        return lambda embedder=None: QdrantKnowledgeStore(path=tmp_path / "q", embedder=embedder)


@pytest.mark.again
class TestLocalAsync(KnowledgeStoreContract):
    @pytest.fixture
    def open_knowledge(self, tmp_path: Path) -> OpenKnowledge:
        def open_knowledge(embedder: Embedder | None = None) -> KnowledgeStore:
            store = AsyncQdrantKnowledgeStore(path=tmp_path / "q", embedder=embedder)
            return blocking(store, KnowledgeStore)

        return open_knowledge


class TestRest(KnowledgeStoreContract):
    @pytest.fixture
    def open_knowledge(self, qdrant: Qdrant) -> OpenKnowledge:
        return lambda embedder=None: QdrantKnowledgeStore(qdrant.url, embedder=embedder)


@pytest.mark.again
class TestRestAsync(KnowledgeStoreContract):
    @pytest.fixture
    def open_knowledge(self, qdrant: Qdrant) -> OpenKnowledge:
        def open_knowledge(embedder: Embedder | None = None) -> KnowledgeStore:
            store = AsyncQdrantKnowledgeStore(qdrant.url, embedder=embedder)
            return blocking(store, KnowledgeStore)

        return open_knowledge


class TestFolder:
    """The local mode keeps a folder, for one process."""

    def test_stores_of_a_process_share_it(self, tmp_path: Path) -> None:
        with QdrantKnowledgeStore(path=tmp_path) as first:
            first.create_collection("docs", 2, metadata={"by": "first"})
            first.insert("docs", [document("a", {"k": 1}, embedding=[1, 2])])
            with QdrantKnowledgeStore(path=f"{tmp_path}/.") as second:
                assert ids(second.get("docs", ["a"])) == ["a"]
            assert first.count("docs", {"k": 1}) == 1
        with QdrantKnowledgeStore(path=tmp_path) as later:
            stored = later.get_collection("docs")
            assert stored is not None
            assert stored.metadata == {"by": "first"}
            assert ids(later.search("docs", [1, 2])) == ["a"]

    def test_another_process_is_refused(self, tmp_path: Path) -> None:
        program = (
            "import sys; from praison_persist.knowledge.qdrant import QdrantKnowledgeStore as Q\n"
            "try: Q(path=sys.argv[1]).list_collections()\n"
            "except Exception as error: print(type(error).__name__, error)"
        )
        with QdrantKnowledgeStore(path=tmp_path) as store:
            store.create_collection("docs", 2)
            other = subprocess.run(
                [sys.executable, "-c", program, str(tmp_path)],
                check=True,
                capture_output=True,
                text=True,
                env=os.environ,
            )
        assert other.stdout.startswith("UnavailableError")
        assert "several need a server" in other.stdout

    def test_a_fork_is_refused(self, tmp_path: Path) -> None:
        """Two processes write one folder, each with what it remembers."""
        with QdrantKnowledgeStore(path=tmp_path) as store:
            store.create_collection("docs", 2)
            context = multiprocessing.get_context("fork")
            queue: Any = context.Queue()

            def child() -> None:
                for each in (store, QdrantKnowledgeStore(path=tmp_path)):
                    with pytest.raises(UnavailableError, match=r"(use|need) a server"):
                        each.list_collections()
                queue.put("refused")

            process = context.Process(target=child)
            process.start()
            assert queue.get(timeout=30) == "refused"
            process.join(30)
            assert store.list_collections() == ["docs"]

    def test_in_memory_each_store_has_its_own(self) -> None:
        with (
            QdrantKnowledgeStore(":memory:") as first,
            QdrantKnowledgeStore(path=":memory:") as second,
        ):
            first.create_collection("docs", 2)
            assert second.list_collections() == []
            assert "memory" in repr(first)

    def test_a_folder_that_cannot_be_is_told(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with (
            QdrantKnowledgeStore(path=tmp_path / "file") as store,
            pytest.raises(UnavailableError, match="cannot be opened"),
        ):
            store.list_collections()


class TestEmbeddings:
    """Qdrant keeps vectors of a length of 1 where angles are compared."""

    @pytest.mark.parametrize("scale", [1e-14, 1.0, 1e30])
    def test_their_length_comes_back(self, scale: float) -> None:
        with QdrantKnowledgeStore(":memory:") as store:
            store.create_collection("docs", 3)
            embedding = [scale, -2 * scale, 3 * scale]
            store.insert("docs", [document("a", embedding=embedding)])
            (hit,) = store.search("docs", embedding, include_embeddings=True)
            assert hit.embedding == pytest.approx(embedding, rel=1e-6)
            assert hit.score == pytest.approx(1.0)

    def test_numbers_beyond_doubles_are_compared(self, qdrant: Qdrant) -> None:
        """JSON has no infinity."""
        with QdrantKnowledgeStore(qdrant.url) as store:
            store.create_collection("docs", 2)
            numbers = {"large": 10**400, "small": -(10**400), "one": 1}
            store.insert(
                "docs", [document(k, {"n": n}, embedding=[1, 2]) for k, n in numbers.items()]
            )
            found: dict[str, Any] = {
                "$gt": ["large", "one"],
                "$lt": ["small"],
            }
            for operator, names in found.items():
                hits = store.search("docs", [1, 2], filters={"n": {operator: 0}})
                assert sorted(ids(hits)) == names
            assert store.count("docs", {"n": {"$gt": -2, "$lt": 2}}) == 1
            assert [each.metadata for each in store.get("docs", ["large"])] == [{"n": 10**400}]


class TestServer:
    def test_fields_that_filters_ask_for_are_indexed(self, qdrant: Qdrant) -> None:
        with QdrantKnowledgeStore(qdrant.url) as store:
            store.create_collection("Docs", 2)
        assert qdrant.indexes == {
            "praison_-docs": {
                "terms": "keyword",
                "numbers[].key": "keyword",
                "numbers[].value": "float",
            }
        }

    def test_a_collection_of_another_program_is_left_alone(self, qdrant: Qdrant) -> None:
        vectors = models.VectorParams(size=2, distance=models.Distance.DOT)
        qdrant.engine.create_collection("theirs", vectors)
        qdrant.engine.create_collection("praison_docs", vectors)
        with QdrantKnowledgeStore(qdrant.url) as store:
            assert store.list_collections() == ["docs"]
            with pytest.raises(BackendError, match="another program"):
                store.count("docs")

    def test_a_collection_made_meanwhile_is_the_same(
        self, qdrant: Qdrant, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with QdrantKnowledgeStore(qdrant.url) as store:
            store.create_collection("docs", 2)
            look_up = store.driver.look_up
            answers: list[None] = [None]
            monkeypatch.setattr(
                store.driver, "look_up", lambda n: done(answers.pop()) if answers else look_up(n)
            )
            store.create_collection("docs", 2)

    def test_a_collection_that_vanished_is_not_found(
        self, qdrant: Qdrant, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stale = KnowledgeCollection("docs", 2)
        for store in (QdrantKnowledgeStore(qdrant.url), QdrantKnowledgeStore(":memory:")):
            with store:
                monkeypatch.setattr(store.driver, "look_up", lambda _: done(stale))
                with pytest.raises(NotFoundError, match="praison_docs"):
                    store.count("docs")
                with pytest.raises(NotFoundError, match="praison_docs"):
                    store.insert("docs", [document("a", embedding=[1, 2])])


class TestFailures:
    def test_a_server_that_is_down_for_a_moment_is_asked_again(self, qdrant: Qdrant) -> None:
        limited: Any = (429, {"retry-after": "1"}, "{}")
        with QdrantKnowledgeStore(qdrant.url, retry_delay=0.001) as store:
            answers: list[Any] = [(502, {}, "<html>bad gateway</html>"), (503, {}, ""), limited]
            for answer in answers:
                qdrant.failing = [answer] * 3
                store.create_collection("docs", 2)
                qdrant.failing = [answer] * 4
                with pytest.raises(UnavailableError, match="after 4 attempts"):
                    store.count("docs")

    @pytest.mark.parametrize("prefer_grpc", [False, True])
    @pytest.mark.parametrize("kind", [QdrantKnowledgeStore, AsyncQdrantKnowledgeStore])
    def test_a_server_that_is_not_there_is_told(self, kind: Any, prefer_grpc: bool) -> None:
        made = kind(
            f"http://127.0.0.1:{free_port()}",
            grpc_port=free_port(),
            prefer_grpc=prefer_grpc,
            retry_delay=0.001,
        )
        store: KnowledgeStore = made
        if kind is AsyncQdrantKnowledgeStore:
            store = blocking(made, KnowledgeStore)
        with store, pytest.raises(UnavailableError, match="can be reached") as caught:
            store.list_collections()
        assert caught.value.attempts == 4

    @pytest.mark.filterwarnings(_INSECURE)
    def test_a_wrong_key_is_told_and_not_shown(self, qdrant: Qdrant) -> None:
        with (
            QdrantKnowledgeStore(qdrant.url, api_key="wrong-key") as store,
            pytest.raises(UnavailableError, match="QDRANT_API_KEY") as caught,
        ):
            store.list_collections()
        assert "wrong-key" not in str(caught.value) + repr(store)
        assert len(qdrant.requests) == 1

    def test_an_error_of_the_server_is_told(self, qdrant: Qdrant) -> None:
        with QdrantKnowledgeStore(qdrant.url) as store:
            qdrant.failing = [(500, {}, '{"status": {"error": "Service internal error: disk"}}')]
            with pytest.raises(BackendError, match=r"500 Service internal error: disk"):
                store.list_collections()

    def test_what_is_no_qdrant_is_not_an_empty_one(self, qdrant: Qdrant) -> None:
        with QdrantKnowledgeStore(qdrant.url) as store:
            qdrant.failing = [(404, {}, "<html>no such page</html>")]
            with pytest.raises(BackendError, match="404"):
                store.collection_exists("docs")


class TestPlaces:
    @pytest.mark.filterwarnings(_INSECURE)
    def test_the_environment_says_where_it_is(
        self, qdrant: Qdrant, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("QDRANT_URL", qdrant.url)
        monkeypatch.setenv("QDRANT_API_KEY", KEY)
        with QdrantKnowledgeStore() as store:
            assert store.list_collections() == []

    def test_a_server_has_several_names(self, qdrant: Qdrant) -> None:
        places: list[dict[str, Any]] = [
            {"url": f"qdrant://127.0.0.1:{qdrant.port}"},
            {"url": "http://127.0.0.1/", "port": qdrant.port},
            {"host": "127.0.0.1", "port": qdrant.port},
        ]
        for place in places:
            with QdrantKnowledgeStore(**place) as store:
                assert repr(store) == f"QdrantKnowledgeStore(qdrant at 127.0.0.1:{qdrant.port})"
                assert store.list_collections() == []

    @pytest.mark.parametrize(
        "arguments",
        [
            {"url": "http://h", "host": "h"},
            {"url": "http://h", "path": "folder"},
            {"url": "redis://h"},
            {"url": "h:6333"},
            {"url": "http://"},
            {"url": "http://h:99999"},
            {"url": "http://user:secret@h"},
            {"url": "http://h?api_key=secret"},
            {"host": "http://h"},
            {"host": "h", "port": 0},
            {"host": "h", "grpc_port": "6334"},
            {"host": "h", "timeout": 0},
            {"path": ""},
        ],
    )
    @pytest.mark.parametrize("kind", [QdrantKnowledgeStore, AsyncQdrantKnowledgeStore])
    def test_what_is_no_place_is_refused(self, kind: Any, arguments: dict[str, Any]) -> None:
        with pytest.raises(ConfigurationError, match="Qdrant") as caught:
            kind(**arguments)
        assert "secret" not in str(caught.value)


def test_its_own_client_reads_what_was_stored(qdrant: Qdrant) -> None:
    with QdrantKnowledgeStore(qdrant.url) as store:
        store.create_collection("docs", 2, "dot")
        store.insert("docs", [document("a", {"k": "v"}, "text", embedding=[1, 2])])
    client = QdrantClient(url=qdrant.url, check_compatibility=False)
    (point,), _ = client.scroll("praison_docs")
    client.close()
    assert point.payload is not None
    assert point.payload["id"] == "a"
    assert point.payload["content"] == "text"
    assert point.payload["terms"] == ['"k"', '"k"="v"']
