"""Documents: stored, read back as they were, replaced, deleted, counted."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from praison_persist.errors import ConflictError, InvalidDataError, NotFoundError
from praison_persist.knowledge_protocols import KnowledgeCapability, KnowledgeStore
from praison_persist.models import KnowledgeDocument
from praison_persist.testing.knowledge_contract import (
    DIMENSION,
    KnowledgeContract,
    OpenKnowledge,
    document,
    ids,
    needs_knowledge,
    vector,
)

__all__ = ["DocumentContract"]

_METADATA: list[dict[str, Any] | None] = [
    None,
    {},
    {"a": None},
    {"b": 1, "a": 2},
    {"int": 1, "float": 1.0, "true": True, "text": "1", "none": None},
    {"large": 2**63, "small": -(2**70), "tiny": 5e-324, "third": 1 / 3},
    {"nested": {"list": [1, [2, {"deep": [None, {}]}], []]}, "empty": []},
    {"tags": ["a", "b", 1, 2.5, False]},
    {"": "empty key", "a.b": 1, "$set": 2, "a'b": "'", 'a"b': '"', "a b": "\\", "`": ";--"},
    {"schlüssel": "straße", "鍵": "値", "😀": "🎉", "long" * 100: "x" * 5000},
    # What a backend itself may call its fields.
    {"id": "x", "doc_id": "y", "content": "z", "metadata": {"a": 1}, "vector": [1], "score": 2},
    {"_id": 1, "embedding": "e", "text": "t", "distance": "d", "created_at": "never", "terms": 3},
]

_IDS = [
    "a",
    "A",
    "a ",
    "a/b",
    "a:b",
    "a b",
    "a#b?c",
    "a\\b",
    "a'b",
    'a"b',
    "'; DROP TABLE documents; --",
    "*",
    "%",
    "a_b",
    "ä",
    "鍵😀",
    "0",
    "null",
    "550e8400-e29b-41d4-a716-446655440000",
    "550E8400-E29B-41D4-A716-446655440000",
    "x" * 255,
    "é" * 255,
]

_CONTENTS = [
    "",
    "plain",
    "a\x00b",
    "\x01json:",
    "😀 é ñ",
    "'\"`\\",
    "lone \ud800",
    "long " * 20_000,
]


_BAD_EMBEDDINGS: list[tuple[Any, str]] = [
    ([1.0] * (DIMENSION - 1), "3 dimensions"),
    ([1.0] * (DIMENSION + 1), "5 dimensions"),
    ([], "0 dimensions"),
    ([1.0, 2.0, float("nan"), 4.0], "number"),
    ([1.0, 2.0, float("inf"), 4.0], "number"),
    ([1.0, 2.0, 1e39, 4.0], "number"),
    ([0.0] * DIMENSION, "length 0"),
    (["1", "2", "3", "4"], "numbers"),
    ("1234", "numbers"),
    (b"1234" * DIMENSION, "numbers, not bytes"),
]

_BAD_FIELDS: list[tuple[str, Any]] = [
    ("metadata", {"k": float("nan")}),
    ("metadata", {1: 2}),
    ("metadata", ["k"]),
    ("metadata", {"k": object()}),
    ("content", None),
    ("content", b"bytes"),
    ("content_hash", "x" * 65),
    ("created_at", float("nan")),
]


class DocumentContract(KnowledgeContract):
    """What was stored is read back, and nothing else."""

    def test_documents_are_read_in_the_order_asked_for(
        self, store: KnowledgeStore, docs: str
    ) -> None:
        names = ["c", "a", "b", "d"]
        assert store.insert(docs, [document(name) for name in names]) == names
        assert ids(store.get(docs, ["d", "nobody", "a", "c", "a"])) == ["d", "a", "c"]
        assert store.get(docs, []) == []
        assert store.count(docs) == 4

    def test_a_document_is_read_as_it_was(self, store: KnowledgeStore, docs: str) -> None:
        given = document("a", {"k": "v"}, "what it says", created_at=1_700_000_000.125)
        store.insert(docs, [given, document("b", content_hash="own hash", created_at=0.0)])
        first, other = store.get(docs, ["a", "b"])
        assert first.content == "what it says"
        assert first.metadata == {"k": "v"}
        assert first.content_hash == given.content_hash
        assert first.created_at == given.created_at
        assert first.embedding is None
        assert first.score is None
        assert (other.content_hash, other.created_at) == ("own hash", 0.0)

    @needs_knowledge(KnowledgeCapability.EMBEDDINGS)
    def test_embeddings_come_on_request(self, store: KnowledgeStore, docs: str) -> None:
        store.insert(docs, [document("a"), document("b")])
        read = store.get(docs, ["b", "a"], include_embeddings=True)
        found = store.search(docs, query_text="x", include_embeddings=True)
        for each in (*read, *found):
            assert each.embedding == pytest.approx(vector(each.id), rel=1e-6)
        assert all(each.embedding is None for each in store.search(docs, query_text="x"))

    def test_pages_have_each_document_once(self, store: KnowledgeStore, docs: str) -> None:
        """A copy that goes by pages misses documents, or never ends."""
        names = [f"d{number:04}" for number in range(1, 1102)]
        store.insert(docs, [document(name, {"n": name}) for name in names])
        embeddings = KnowledgeCapability.EMBEDDINGS in store.capabilities
        found, cursor = [], None
        while True:
            page = store.page_documents(docs, cursor=cursor, include_embeddings=embeddings)
            found += page.documents
            cursor = page.next_cursor
            if cursor is None:
                break
        assert sorted(each.id for each in found) == names
        assert all(each.metadata == {"n": each.id} for each in found)
        assert all((each.embedding is not None) == embeddings for each in found)
        store.clear(docs)
        assert store.page_documents(docs).documents == []
        with pytest.raises(NotFoundError):
            store.page_documents("nowhere")

    def test_metadata_is_kept_whole(self, store: KnowledgeStore, docs: str) -> None:
        """A key is lost or hides the content, 1.0 becomes 1, None and {} are one."""
        given = {f"d{number}": metadata for number, metadata in enumerate(_METADATA)}
        store.insert(docs, [document(name, each, "text") for name, each in given.items()])
        for each in store.get(docs, list(given)):
            assert repr(each.metadata) == repr(given[each.id])
            assert each.content == "text"
        for each in store.search(docs, query_text="x", limit=100):
            assert repr(each.metadata) == repr(given[each.id])

    def test_contents_are_kept(self, store: KnowledgeStore, docs: str) -> None:
        given = {f"d{number}": content for number, content in enumerate(_CONTENTS)}
        store.insert(docs, [document(name, None, each) for name, each in given.items()])
        assert {each.id: each.content for each in store.get(docs, list(given))} == given

    def test_ids_that_differ_are_different_documents(
        self, store: KnowledgeStore, docs: str
    ) -> None:
        """Two ids share a document, or one of them leaves the query."""
        store.insert(docs, [document(name, {"is": name}) for name in _IDS])
        assert store.count(docs) == len(_IDS)
        read = store.get(docs, _IDS)
        assert ids(read) == _IDS
        assert [each.metadata for each in read] == [{"is": name} for name in _IDS]
        assert sorted(ids(store.search(docs, query_text="x", limit=100))) == sorted(_IDS)
        for gone in ("a", "*", "'; DROP TABLE documents; --", "x" * 255):
            assert store.delete(docs, [gone]) == 1
        assert store.count(docs) == len(_IDS) - 4

    def test_ids_that_cannot_be_are_refused(self, store: KnowledgeStore, docs: str) -> None:
        names: list[Any] = ["", "x" * 256, "a\x00b", "\ud800", None, 7]
        for name in names:
            with pytest.raises(InvalidDataError, match="id"):
                store.insert(docs, [document("fine"), document(name)])
            for use in (store.get, store.delete):
                with pytest.raises(InvalidDataError, match="ids"):
                    use(docs, ["fine", name])
        with pytest.raises(InvalidDataError, match="list of ids"):
            store.get(docs, "fine")
        assert store.count(docs) == 0

    def test_inserting_what_exists_is_refused(self, store: KnowledgeStore, docs: str) -> None:
        """Earlier documents are overwritten; or half of a batch is stored."""
        store.insert(docs, [document("a", None, "first")])
        with pytest.raises(ConflictError, match="'a'"):
            store.insert(docs, [document("b"), document("a", None, "second"), document("c")])
        assert [each.content for each in store.get(docs, ["a", "b", "c"])] == ["first"]
        store.insert(docs, [document("b")])
        assert store.count(docs) == 2

    def test_upserting_replaces_all_of_it(self, store: KnowledgeStore, docs: str) -> None:
        """What the earlier one had, and the new one has not, still is found."""
        store.insert(docs, [document("a", {"k": 1, "old": True}, "first")])
        new = document("a", {"k": 2}, "second", embedding=vector("other"))
        assert store.upsert(docs, [new, document("b")]) == ["a", "b"]
        (read,) = store.get(docs, ["a"])
        assert (read.content, read.metadata) == ("second", {"k": 2})
        assert read.content_hash == new.content_hash
        assert store.count(docs) == 2
        if KnowledgeCapability.VECTORS in store.capabilities:
            assert ids(store.search(docs, vector("other"), limit=1)) == ["a"]
        if KnowledgeCapability.FILTERS in store.capabilities:
            assert store.count(docs, {"old": True}) == 0
            assert store.count(docs, {"k": 1}) == 0
            assert store.count(docs, {"k": 2}) == 1

    def test_an_id_is_once_in_a_batch(self, store: KnowledgeStore, docs: str) -> None:
        for write in (store.insert, store.upsert):
            with pytest.raises(InvalidDataError, match="'b' is there twice"):
                write(docs, [document("a"), document("b"), document("b")])
        assert store.count(docs) == 0

    def test_one_bad_embedding_fails_the_batch(self, store: KnowledgeStore, docs: str) -> None:
        """The others are stored, or the bad one is skipped without a word."""
        for embedding, told in _BAD_EMBEDDINGS:
            batch = [document("a"), document("bad", embedding=embedding), document("c")]
            for write in (store.insert, store.upsert):
                with pytest.raises(InvalidDataError, match=f"'bad'.*{told}"):
                    write(docs, batch)
        assert store.count(docs) == 0

    def test_one_bad_field_fails_the_batch(self, store: KnowledgeStore, docs: str) -> None:
        for field, value in _BAD_FIELDS:
            bad = document("bad")
            setattr(bad, field, value)
            with pytest.raises(InvalidDataError, match="'bad'"):
                store.insert(docs, [document("a"), bad])
        assert store.count(docs) == 0

    def test_what_is_no_document_is_refused(self, store: KnowledgeStore, docs: str) -> None:
        for bad in ("text", {"id": "a"}, None):
            with pytest.raises(InvalidDataError, match="KnowledgeDocument"):
                store.insert(docs, [bad])  # type: ignore[list-item]  # what is tested
        with pytest.raises(InvalidDataError, match="list of KnowledgeDocument"):
            store.insert(docs, document("a"))  # type: ignore[arg-type]  # what is tested
        assert store.insert(docs, []) == []

    def test_batches_are_as_good_as_one(self, store: KnowledgeStore, docs: str) -> None:
        """The last batch is lost, or the first written twice."""
        adapted: Any = getattr(store, "adapted", store)
        adapted.driver.batch = 7
        names = [f"d{number:02}" for number in range(20)]
        store.insert(docs, [document(name) for name in names])
        assert store.count(docs) == 20
        assert ids(store.get(docs, names)) == names
        store.upsert(docs, [document(name, None, "new") for name in names])
        assert {each.content for each in store.get(docs, names)} == {"new"}
        assert store.delete(docs, names[:15]) == 15
        assert ids(store.get(docs, names)) == names[15:]

    def test_nobody_shares_what_is_handed_over(self, store: KnowledgeStore, docs: str) -> None:
        given = document("a", {"list": [1]}, "text")
        before = deepcopy(given)
        store.insert(docs, [given])
        assert given == before
        assert given.metadata is not None
        given.metadata["list"].append(2)
        (read,) = store.get(docs, ["a"])
        assert read.metadata == {"list": [1]}
        assert read.metadata is not None
        read.metadata["list"].append(3)
        assert [each.metadata for each in store.get(docs, ["a"])] == [{"list": [1]}]

    def test_texts_are_embedded(self, store: KnowledgeStore, docs: str) -> None:
        texts = {"a": "red apples", "b": "green pears", "c": ""}
        given = [KnowledgeDocument(id=name, content=text) for name, text in texts.items()]
        store.insert(docs, [*given, document("own", None, "red apples", embedding=vector("own"))])
        assert [each.embedding for each in given] == [None, None, None]
        assert ids(store.search(docs, query_text="red apples", limit=1)) == ["a"]
        if KnowledgeCapability.EMBEDDINGS in store.capabilities:
            read = store.get(docs, ["b", "own"], include_embeddings=True)
            assert read[0].embedding == pytest.approx(vector("green pears"), rel=1e-6)
            assert read[1].embedding == pytest.approx(vector("own"), rel=1e-6)

    def test_without_an_embedder_texts_are_refused(self, second: KnowledgeStore, docs: str) -> None:
        """A document without an embedding is skipped without a word."""
        with pytest.raises(InvalidDataError, match=r"'a' has no embedding.*no embedder"):
            second.insert(docs, [document("x"), KnowledgeDocument(id="a", content="text")])
        with pytest.raises(InvalidDataError, match="embedder"):
            second.search(docs, query_text="text")
        assert second.count(docs) == 0

    def test_an_embedder_may_be_async(self, open_knowledge: OpenKnowledge) -> None:
        async def embed(texts: list[str]) -> list[list[float]]:
            return [vector(text) for text in texts]

        with open_knowledge(embedder=embed) as store:
            store.create_collection("docs", DIMENSION)
            store.insert("docs", [KnowledgeDocument(id="a", content="text")])
            assert ids(store.search("docs", query_text="text")) == ["a"]

    def test_an_embedder_is_held_to_the_collection(self, open_knowledge: OpenKnowledge) -> None:
        with open_knowledge(embedder=lambda texts: [[1.0] for _ in texts]) as store:
            store.create_collection("docs", DIMENSION)
            with pytest.raises(InvalidDataError, match=r"'a'.*1 dimensions"):
                store.insert("docs", [KnowledgeDocument(id="a", content="text")])
        with open_knowledge(embedder=lambda _: []) as store:
            store.create_collection("docs", DIMENSION)
            with pytest.raises(InvalidDataError, match="0 embeddings for 1 texts"):
                store.insert("docs", [KnowledgeDocument(id="a", content="text")])

    def test_deleting_counts(self, store: KnowledgeStore, docs: str) -> None:
        store.insert(docs, [document(name) for name in "abcd"])
        assert store.delete(docs, ["a", "nobody", "b", "a"]) == 2
        assert store.delete(docs, ["a"]) == 0
        assert store.delete(docs, []) == 0
        assert store.count(docs) == 2
        assert ids(store.get(docs, list("abcd"))) == ["c", "d"]

    def test_deleting_everything_has_to_be_said(self, store: KnowledgeStore, docs: str) -> None:
        """A variable that happens to be None wipes a collection."""
        store.insert(docs, [document(name) for name in "abc"])
        nothings: list[dict[str, Any] | None] = [None, {}]
        for nothing in nothings:
            with pytest.raises(InvalidDataError, match=r"clear\(\)"):
                store.delete(docs, filters=nothing)
        assert store.count(docs) == 3
        assert store.clear(docs) == 3
        assert store.clear(docs) == 0
        assert store.count(docs) == 0
        assert store.collection_exists(docs)
        store.insert(docs, [document("a")])
        assert ids(store.search(docs, query_text="x")) == ["a"]
