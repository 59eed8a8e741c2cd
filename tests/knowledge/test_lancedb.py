"""LanceDB keeps the knowledge contract, in both colours: the engine itself, in a directory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from praison_persist._adapt import blocking
from praison_persist.errors import (
    BackendError,
    ConfigurationError,
    ConflictError,
    UnavailableError,
)
from praison_persist.knowledge.embedders import Embedder
from praison_persist.knowledge_protocols import KnowledgeStore
from praison_persist.testing.knowledge import KnowledgeStoreContract, OpenKnowledge
from praison_persist.testing.knowledge_contract import document, embed, ids, vector
from tests.packages import needs

needs("lancedb", "pyarrow", extra="lancedb")

import lancedb  # noqa: E402 - after the check that it is there
import pyarrow as pa  # noqa: E402 - as above

from praison_persist.knowledge.lancedb import (  # noqa: E402 - as above
    AsyncLanceDBKnowledgeStore,
    LanceDBKnowledgeStore,
)


class TestLanceDB(KnowledgeStoreContract):
    @pytest.fixture
    def open_knowledge(self, tmp_path: Path) -> OpenKnowledge:
        def open_knowledge(embedder: Embedder | None = None) -> KnowledgeStore:
            return LanceDBKnowledgeStore(tmp_path, embedder=embedder)

        return open_knowledge


@pytest.mark.again
class TestAsyncLanceDB(KnowledgeStoreContract):
    @pytest.fixture
    def open_knowledge(self, tmp_path: Path) -> OpenKnowledge:
        def open_knowledge(embedder: Embedder | None = None) -> KnowledgeStore:
            return blocking(AsyncLanceDBKnowledgeStore(tmp_path, embedder=embedder), KnowledgeStore)

        return open_knowledge


class TestTables:
    def test_what_is_kept_is_there_for_the_next_store(self, tmp_path: Path) -> None:
        with LanceDBKnowledgeStore(uri=str(tmp_path)) as store:
            store.create_collection("Docs", 4, "dot", {"by": "me"})
            store.insert("Docs", [document("a", {"k": 1}, "some words")])
        with LanceDBKnowledgeStore(f"lancedb://{tmp_path}") as store:
            described = store.get_collection("Docs")
            assert described is not None
            assert (described.distance, described.metadata) == ("dot", {"by": "me"})
            assert [each.content for each in store.get("Docs", ["a"])] == ["some words"]
        assert [each.name for each in tmp_path.iterdir()] == ["d-ocs.lance"]

    def test_tables_of_others_are_left_alone(self, tmp_path: Path) -> None:
        table = pa.table({"x": [1]})
        lancedb.connect(tmp_path).create_table("docs", table)
        with LanceDBKnowledgeStore(tmp_path) as store:
            store.create_collection("own", 4)
            assert store.list_collections() == ["own"]
            with pytest.raises(BackendError, match="another program"):
                store.create_collection("docs", 4)
            with pytest.raises(BackendError, match="another program"):
                store.delete_collection("docs")

    def test_two_writers_of_an_id_do_not_both_insert_it(self, tmp_path: Path) -> None:
        """Each reads that it is not there, and the table has it twice."""
        with LanceDBKnowledgeStore(tmp_path) as one, LanceDBKnowledgeStore(tmp_path) as other:
            one.create_collection("docs", 4)

            def write(number: int) -> bool:
                store = (one, other)[number % 2]
                try:
                    store.insert("docs", [document("a"), document(f"own{number}")])
                except ConflictError:
                    return False
                return True

            with ThreadPoolExecutor(6) as threads:
                done = list(threads.map(write, range(6)))
            assert sum(done) == 1
            assert ids(one.get("docs", ["a"])) == ["a"]
            assert one.delete("docs", ["a"]) == 1

    def test_words_are_found_without_the_index_that_a_crash_left_out(self, tmp_path: Path) -> None:
        with LanceDBKnowledgeStore(tmp_path, embedder=embed) as store:
            store.create_collection("docs", 4)
            table = lancedb.connect(tmp_path).open_table("docs")
            table.drop_index("content_idx")
            store.insert("docs", [document("a", None, "about zebras"), document("b")])
            found = store.search("docs", query_text="zebras", hybrid=True)
            assert ids(found)[0] == "a"

    def test_compaction_changes_nothing(self, tmp_path: Path) -> None:
        """An index built meanwhile knows but some of the documents, or those deleted."""
        with LanceDBKnowledgeStore(tmp_path, embedder=embed) as store:
            store.create_collection("docs", 4)
            for number in range(20):
                name = f"d{number}"
                store.insert("docs", [document(name, {"n": number}, f"zebra number {number}")])
            store.delete("docs", filters={"n": {"$lt": 10}})
            lancedb.connect(tmp_path).open_table("docs").optimize()
            store.insert("docs", [document("last", {"n": 20}, "the last zebra")])
            found = store.search("docs", query_text="zebra", limit=50, hybrid=True)
            assert sorted(ids(found)) == sorted([*(f"d{n}" for n in range(10, 20)), "last"])
            assert store.count("docs", {"n": {"$gte": 15}}) == 6
            assert ids(store.search("docs", vector("d12"), limit=1)) == ["d12"]

    def test_more_than_a_page_is_deleted(self, tmp_path: Path) -> None:
        with LanceDBKnowledgeStore(tmp_path) as store:
            store.create_collection("docs", 4)
            store.insert("docs", [document(f"d{n}", {"odd": n % 2 == 1}) for n in range(2500)])
            assert store.delete("docs", filters={"odd": True}) == 1250
            assert store.count("docs") == 1250

    def test_one_store_serves_many_event_loops(self, tmp_path: Path) -> None:
        store = AsyncLanceDBKnowledgeStore(tmp_path, embedder=embed)

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


class _Refusing(BaseHTTPRequestHandler):
    """Answers as an object store that does not know the key."""

    def _refuse(self) -> None:
        body = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
        self.send_response(403)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def __getattr__(self, name: str) -> Callable[[], None]:
        if name.startswith("do_"):
            return self._refuse
        raise AttributeError(name)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        pass


@pytest.fixture
def refusing() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Refusing) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def _in_s3(endpoint: str, **arguments: Any) -> LanceDBKnowledgeStore:
    options = {
        "aws_access_key_id": "key",
        "aws_secret_access_key": "very-secret",
        "endpoint": endpoint,
        "allow_http": "true",
        "region": "us-east-1",
        "client_max_retries": "0",
        "timeout": "5s",
    }
    return LanceDBKnowledgeStore(uri="s3://bucket/knowledge", storage_options=options, **arguments)


class TestFailures:
    def test_a_file_in_place_of_a_directory_is_told(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("no directory")
        with LanceDBKnowledgeStore(tmp_path / "file") as store, pytest.raises(BackendError):
            store.create_collection("docs", 4)

    def test_an_object_store_that_is_down_is_told(self) -> None:
        with (
            _in_s3("http://127.0.0.1:1", max_retries=1, retry_delay=0.001) as store,
            pytest.raises(UnavailableError, match="2 attempts"),
        ):
            store.get_collection("docs")

    def test_a_key_that_is_refused_is_told_and_not_shown(self, refusing: str) -> None:
        with (
            _in_s3(refusing) as store,
            pytest.raises(UnavailableError, match="storage_options") as caught,
        ):
            store.get_collection("docs")
        assert "very-secret" not in str(caught.value) + repr(store)

    def test_a_lost_race_is_run_again(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with LanceDBKnowledgeStore(tmp_path, retry_delay=0.001) as store:
            driver: Any = store.driver
            real, calls = driver._table, []

            async def fails_twice(name: str) -> object:
                calls.append(name)
                if len(calls) <= 2:
                    raise RuntimeError("Commit conflict for version 7: try again")
                return await real(name)

            monkeypatch.setattr(driver, "_table", fails_twice)
            assert store.get_collection("docs") is None
            assert len(calls) == 3

    @pytest.mark.parametrize(
        "arguments",
        [
            {"path": "a", "uri": "s3://b"},
            {"path": ""},
            {"uri": "s3://"},
            {"uri": "s3://key:secret-key@bucket"},
            {"uri": "db://cloud"},
        ],
    )
    def test_what_is_no_place_is_refused(self, arguments: dict[str, Any]) -> None:
        with pytest.raises(ConfigurationError, match="LanceDB") as caught:
            LanceDBKnowledgeStore(**arguments)
        assert "secret-key" not in str(caught.value)
