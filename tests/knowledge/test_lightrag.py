"""LightRAG's file storage keeps the knowledge contract."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.packages import needs

needs("lightrag", extra="lightrag")

from praison_persist.errors import BackendError, ConfigurationError  # noqa: E402 - after the check
from praison_persist.knowledge.embedders import Embedder  # noqa: E402 - after the check
from praison_persist.knowledge.lightrag import LightRAGKnowledgeStore  # noqa: E402 - after the check
from praison_persist.knowledge_protocols import KnowledgeStore  # noqa: E402 - after the check
from praison_persist.testing.knowledge import (  # noqa: E402 - after the check
    KnowledgeStoreContract,
    OpenKnowledge,
)
from praison_persist.testing.knowledge_contract import (  # noqa: E402 - after the check
    document,
    embed,
    ids,
    vector,
)
from tests.programs import environment, python  # noqa: E402 - after the check


class TestLightRAG(KnowledgeStoreContract):
    @pytest.fixture
    def open_knowledge(self, tmp_path: Path) -> OpenKnowledge:
        def open_knowledge(embedder: Embedder | None = None) -> KnowledgeStore:
            return LightRAGKnowledgeStore(tmp_path / "data", embedder=embedder)

        return open_knowledge


class TestStore:
    def test_it_is_kept(self, tmp_path: Path) -> None:
        with LightRAGKnowledgeStore(tmp_path) as store:
            store.create_collection("Docs", 4, "dot", {"k": [1]})
            store.insert("Docs", [document("a", {"k": 1}, "text")])
        with LightRAGKnowledgeStore(tmp_path, embedding_model=embed) as store:
            assert ids(store.search("Docs", query_text="x", filters={"k": 1})) == ["a"]
            stored = store.get_collection("Docs")
            assert stored is not None
            assert (stored.distance, stored.metadata) == ("dot", {"k": [1]})
        assert (tmp_path / "vdb_praison_vec_-docs.json").exists()

    def test_deleting_a_collection_leaves_all_else(self, tmp_path: Path) -> None:
        """LightRAG's own data is in the same directory."""
        (tmp_path / "vdb_chunks.json").write_text("of LightRAG")
        with LightRAGKnowledgeStore(tmp_path) as store:
            for name in ("one", "two"):
                store.create_collection(name, 4)
                store.insert(name, [document("a")])
            assert store.delete_collection("one")
            assert not (tmp_path / "vdb_praison_vec_one.json").exists()
            assert ids(store.search("two", vector("a"))) == ["a"]
            store.create_collection("one", 7, "euclidean")
            store.insert("one", [document("b", embedding=[0.0] * 7)])
            assert ids(store.search("one", [0.0] * 7)) == ["b"]
        assert (tmp_path / "vdb_chunks.json").read_text() == "of LightRAG"

    def test_another_process_is_refused(self, tmp_path: Path) -> None:
        folder = tmp_path / "data"
        program = (
            "from praison_persist.knowledge.lightrag import LightRAGKnowledgeStore\n"
            f"print(LightRAGKnowledgeStore({str(folder)!r}).list_collections())"
        )
        variables = environment(tmp_path)
        with LightRAGKnowledgeStore(folder) as store:
            store.create_collection("docs", 4)
            ended = python("-c", program, cwd=tmp_path, variables=variables)
            assert "another process has this directory open" in ended.stderr
        ended = python("-c", program, cwd=tmp_path, variables=variables)
        assert "['docs']" in ended.stdout, ended.stderr

    def test_directories_are_apart(self, tmp_path: Path) -> None:
        with (
            LightRAGKnowledgeStore(tmp_path / "a") as one,
            LightRAGKnowledgeStore(tmp_path / "b") as two,
        ):
            one.create_collection("docs", 4)
            one.insert("docs", [document("a")])
            assert two.list_collections() == []
            two.create_collection("docs", 4)
            assert two.count("docs") == 0

    def test_a_file_that_is_broken_is_told(self, tmp_path: Path) -> None:
        (tmp_path / "vdb_praison_collections.json").write_text("{broken")
        with (
            LightRAGKnowledgeStore(tmp_path) as store,
            pytest.raises(BackendError, match="JSON"),
        ):
            store.list_collections()

    def test_what_cannot_be_is_refused(self) -> None:
        refused: list[tuple[dict[str, Any], str]] = [
            ({"working_dir": ""}, "working_dir"),
            ({"working_dir": 1}, "working_dir"),
            ({"llm_model": "gpt"}, "llm_model"),
            ({"embedding_model": "text-embedding"}, "not a name"),
            ({"embedding_model": embed, "embedder": embed}, "not both"),
        ]
        for arguments, told in refused:
            with pytest.raises(ConfigurationError, match=told):
                LightRAGKnowledgeStore(**arguments)
