"""Chroma keeps the knowledge contract: embedded, and its server."""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.packages import needs

needs("chromadb", extra="chroma")

from praison_persist._adapt import offload  # noqa: E402 - skipped without the package
from praison_persist.errors import (  # noqa: E402 - as above
    BackendError,
    ConfigurationError,
    NotFoundError,
    UnavailableError,
)
from praison_persist.knowledge.chroma import ChromaKnowledgeStore  # noqa: E402 - as above
from praison_persist.knowledge.driver import done  # noqa: E402 - as above
from praison_persist.knowledge_protocols import AsyncKnowledgeStore  # noqa: E402 - as above
from praison_persist.models import KnowledgeCollection  # noqa: E402 - as above
from praison_persist.testing.knowledge import (  # noqa: E402 - as above
    KnowledgeStoreContract,
    OpenKnowledge,
)
from praison_persist.testing.knowledge_contract import (  # noqa: E402 - as above
    document,
    ids,
    vector,
)
from tests.servers import free_port  # noqa: E402 - as above
from tests.services.chroma import TOKEN, Gateway, chroma_server  # noqa: E402 - as above


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with chroma_server(tmp_path_factory.mktemp("chroma")) as port:
        yield port


@pytest.fixture
def port(server: int) -> Iterator[int]:
    yield server
    with ChromaKnowledgeStore(host="127.0.0.1", port=server) as store:
        client: Any = store.driver._clients.get()  # type: ignore[attr-defined]  # of this driver
        for each in client.list_collections(100, 0):
            client.delete_collection(each.name)


@pytest.fixture
def gateway(port: int) -> Iterator[Gateway]:
    gateway = Gateway(port)
    yield gateway
    gateway.close()


class TestFolder(KnowledgeStoreContract):
    @pytest.fixture
    def open_knowledge(self, tmp_path: Path) -> OpenKnowledge:
        return lambda embedder=None: ChromaKnowledgeStore(tmp_path, embedder=embedder)


class TestMemory(KnowledgeStoreContract):
    @pytest.fixture
    def open_knowledge(self) -> OpenKnowledge:
        return lambda embedder=None: ChromaKnowledgeStore(persistent=False, embedder=embedder)


class TestServer(KnowledgeStoreContract):
    @pytest.fixture
    def open_knowledge(self, port: int) -> OpenKnowledge:
        return lambda embedder=None: ChromaKnowledgeStore(
            host="127.0.0.1", port=port, embedder=embedder
        )


def _large(count: int) -> list[Any]:
    return [document(f"d{n:04}", {"n": n}, f"text {n}") for n in range(count)]


class TestFolders:
    """A folder is kept by the process that opened it."""

    def test_stores_of_a_process_share_it(self, tmp_path: Path) -> None:
        with ChromaKnowledgeStore(tmp_path) as first:
            first.create_collection("docs", 4, metadata={"by": "first"})
            first.insert("docs", _large(1200))  # more than Chroma keeps beside its graph
            with ChromaKnowledgeStore(f"{tmp_path}/.") as second:
                assert second.count("docs", {"n": {"$lt": 5}}) == 5
            assert first.count("docs") == 1200
        with ChromaKnowledgeStore(tmp_path) as later:
            stored = later.get_collection("docs")
            assert stored is not None
            assert stored.metadata == {"by": "first"}
            assert ids(later.search("docs", vector("d0007"), limit=1)) == ["d0007"]
            (read,) = later.get("docs", ["d0007"], include_embeddings=True)
            assert read.embedding == pytest.approx(vector("d0007"), rel=1e-6)
            assert len(later.search("docs", vector("x"), limit=10_000)) == 1200
            assert later.clear("docs") == 1200

    def test_a_fork_is_refused(self, tmp_path: Path) -> None:
        """The engine has no threads there, and a call waits for ever."""
        with ChromaKnowledgeStore(tmp_path) as store:
            store.create_collection("docs", 4)
            queue: Any = multiprocessing.get_context("fork").Queue()

            def child() -> None:
                for each in (store, ChromaKnowledgeStore(tmp_path)):
                    with pytest.raises(UnavailableError, match="by spawn"):
                        each.list_collections()
                    each.close()
                queue.put("refused")

            process = multiprocessing.get_context("fork").Process(target=child)
            process.start()
            assert queue.get(timeout=30) == "refused"
            process.join(30)
            assert store.list_collections() == ["docs"]

    def test_a_folder_that_cannot_be_is_told(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with (
            ChromaKnowledgeStore(tmp_path / "file") as store,
            pytest.raises(UnavailableError, match="cannot be opened"),
        ):
            store.list_collections()


class TestLayout:
    def test_equal_embeddings_hide_no_others(self) -> None:
        """Of many equal ones each knows the others only, and the graph leads nowhere else."""
        with ChromaKnowledgeStore(persistent=False) as store:
            for distance in ("cosine", "euclidean", "dot"):
                store.create_collection(distance, 4, distance)
                near = vector("near")
                equal = [document(f"near{n:03}", embedding=near) for n in range(200)]
                store.insert(distance, [*equal, *(document(f"far{n}", {"f": 1}) for n in range(5))])
                found = store.search(distance, near, 10, {"f": 1}, include_embeddings=True)
                assert sorted(ids(found)) == [f"far{n}" for n in range(5)]
                assert all(each.embedding is not None for each in found)
                assert len(store.search(distance, near, 1000)) == 205
                store.delete_collection(distance)

    def test_a_filter_may_name_many_values(self) -> None:
        with ChromaKnowledgeStore(persistent=False) as store:
            store.create_collection("docs", 4)
            store.insert("docs", _large(20))
            many = list(range(10, 1010))
            assert store.count("docs", {"n": {"$in": many}}) == 10
            assert store.count("docs", {"n": {"$nin": many}}) == 10
            store.delete_collection("docs")

    @pytest.mark.parametrize("scale", [1e-14, 1.0, 1e30])
    def test_any_length_has_a_direction(self, scale: float) -> None:
        with ChromaKnowledgeStore(persistent=False) as store:
            store.create_collection("docs", 3)
            embedding = [scale, -2 * scale, 3 * scale]
            store.insert("docs", [document("a", embedding=embedding)])
            (hit,) = store.search("docs", embedding, include_embeddings=True)
            assert hit.embedding == pytest.approx(embedding, rel=1e-6)
            assert hit.score == pytest.approx(1.0)
            store.delete_collection("docs")

    def test_numbers_beyond_doubles_are_compared(self, port: int) -> None:
        """JSON has no infinity."""
        with ChromaKnowledgeStore(host="127.0.0.1", port=port) as store:
            store.create_collection("docs", 4)
            numbers = {"large": 10**400, "small": -(10**400), "one": 1, "none": None}
            store.insert("docs", [document(name, {"n": n}) for name, n in numbers.items()])
            expected: list[tuple[dict[str, Any], list[str]]] = [
                ({"n": {"$gt": 0}}, ["large", "one"]),
                ({"n": {"$lt": 0}}, ["small"]),
                ({"n": {"$gt": -2, "$lt": 2}}, ["one"]),
                ({"$not": {"n": {"$gt": 0}}}, ["none", "small"]),
                ({"$not": {"n": {"$gt": -2, "$lt": 2}}}, ["large", "none", "small"]),
            ]
            for filters, names in expected:
                hits = store.search("docs", vector("x"), filters=filters)
                assert sorted(ids(hits)) == names

    def test_a_collection_of_another_program_is_left_alone(self, port: int) -> None:
        with ChromaKnowledgeStore(host="127.0.0.1", port=port) as store:
            client: Any = store.driver._clients.get()  # type: ignore[attr-defined]  # of this driver
            for name in ("theirs", "praison-docs-docs", *(f"their{n}" for n in range(120))):
                client.create_collection(name, embedding_function=None)
            assert store.list_collections() == ["docs"]
            with pytest.raises(BackendError, match="another program"):
                store.count("docs")

    def test_a_collection_that_changed_meanwhile(
        self, port: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stale = KnowledgeCollection("changing", 4)
        for store in (
            ChromaKnowledgeStore(host="127.0.0.1", port=port),
            ChromaKnowledgeStore(persistent=False),
        ):
            with store:
                monkeypatch.setattr(store.driver, "look_up", lambda _: done(stale))
                with pytest.raises(NotFoundError, match="praison-changing-docs"):
                    store.count("changing")
                assert store.delete_collection("changing")
                monkeypatch.setattr(store.driver, "look_up", lambda _: done(None))
                store.create_collection("changing", 4)
                store.create_collection("changing", 4)
                monkeypatch.undo()
                assert store.delete_collection("changing")

    def test_in_asyncio_it_works_in_threads(self, port: int) -> None:
        async def work() -> list[str]:
            made = ChromaKnowledgeStore(host="127.0.0.1", port=port)
            async with offload(made, AsyncKnowledgeStore) as store:
                await store.create_collection("docs", 4)
                puts = [store.insert("docs", [document(f"d{n}")]) for n in range(10)]
                await asyncio.gather(*puts)
                return ids(await store.search("docs", vector("d3"), limit=1))

        assert asyncio.run(work()) == ["d3"]


class TestFailures:
    def _open(self, gateway: Gateway, token: str = TOKEN) -> ChromaKnowledgeStore:
        url = f"chroma://127.0.0.1:{gateway.port}"
        headers = {"X-Chroma-Token": token}
        return ChromaKnowledgeStore(url=url, headers=headers, retry_delay=0.001, timeout=20)

    def test_a_server_that_is_down_for_a_moment_is_asked_again(self, gateway: Gateway) -> None:
        with self._open(gateway) as store:
            answer = (502, "text/html", "<html>bad gateway</html>")
            gateway.failing = [answer] * 3
            store.create_collection("docs", 4)
            store.insert("docs", [document("a")])
            gateway.failing = [answer] * 4
            with pytest.raises(UnavailableError, match="after 4 attempts"):
                store.count("docs")

    def test_a_server_that_is_not_there_is_told(self) -> None:
        place: dict[str, Any] = {"host": "127.0.0.1", "port": free_port()}
        with (
            ChromaKnowledgeStore(**place, retry_delay=0.001) as store,
            pytest.raises(UnavailableError, match="can be reached") as caught,
        ):
            store.list_collections()
        assert caught.value.attempts == 4

    def test_a_server_that_hangs_is_told(self, gateway: Gateway) -> None:
        made = ChromaKnowledgeStore(
            url=f"http://127.0.0.1:{gateway.port}", timeout=0.05, max_retries=0
        )
        gateway.hanging_s = 0.5
        with made as store, pytest.raises(UnavailableError, match="after 1 attempts"):
            store.list_collections()

    def test_a_wrong_token_is_told_and_not_shown(self, gateway: Gateway) -> None:
        with (
            self._open(gateway, "wrong-token") as store,
            pytest.raises(UnavailableError, match="headers=") as caught,
        ):
            store.list_collections()
        assert "wrong-token" not in str(caught.value) + repr(store)
        assert gateway.requests == 1

    @pytest.mark.parametrize(
        "answer",
        [
            (500, "application/json", '{"error": "InternalError", "message": "disk"}'),
            (500, "text/plain", "Internal Server Error"),
            (404, "text/html", "<html>no such page</html>"),
            (200, "text/html", "<html>welcome</html>"),
        ],
    )
    def test_an_error_of_a_server_is_told(
        self, gateway: Gateway, answer: tuple[int, str, str]
    ) -> None:
        with self._open(gateway) as store:
            gateway.failing = [answer]
            with pytest.raises(BackendError, match="cannot look for a collection") as caught:
                store.collection_exists("docs")
            assert not isinstance(caught.value, UnavailableError)

    def test_an_unknown_database_is_not_found(self, port: int) -> None:
        with (
            ChromaKnowledgeStore(host="127.0.0.1", port=port, database="nowhere") as store,
            pytest.raises(BackendError, match="nowhere"),
        ):
            store.create_collection("docs", 4)


class TestPlaces:
    def test_a_server_has_several_names(self, port: int) -> None:
        places: list[dict[str, Any]] = [
            {"url": f"chroma://127.0.0.1:{port}"},
            {"url": "http://127.0.0.1/", "port": port},
            {"host": "127.0.0.1", "port": port},
            {"host": f"http://127.0.0.1:{port}"},
        ]
        for place in places:
            with ChromaKnowledgeStore(**place) as store:
                assert repr(store) == f"ChromaKnowledgeStore(chroma at 127.0.0.1:{port})"
                assert store.list_collections() == []

    def test_a_folder_has_a_default(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        with ChromaKnowledgeStore() as store:
            assert store.list_collections() == []
        assert (tmp_path / "chroma" / "chroma.sqlite3").is_file()

    @pytest.mark.parametrize(
        "arguments",
        [
            {"path": "folder", "host": "h"},
            {"url": "http://h", "host": "h"},
            {"path": "folder", "persistent": False},
            {"path": ""},
            {"url": "redis://h"},
            {"url": "h:8000"},
            {"url": "http://"},
            {"url": "http://h:99999"},
            {"url": "http://user:secret@h"},
            {"url": "http://h?token=secret"},
            {"host": ""},
            {"host": "h/path"},
            {"host": "h", "port": 0},
            {"host": "h", "timeout": 0},
        ],
    )
    def test_what_is_no_place_is_refused(self, arguments: dict[str, Any]) -> None:
        with pytest.raises(ConfigurationError, match="Chroma") as caught:
            ChromaKnowledgeStore(**arguments)
        assert "secret" not in str(caught.value)
