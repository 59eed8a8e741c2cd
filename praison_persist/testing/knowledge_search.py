"""Search: the nearest first, with scores, thresholds and filters."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from praison_persist.errors import InvalidDataError, UnsupportedError
from praison_persist.knowledge.filters import matches, parse_filters
from praison_persist.knowledge.vectors import pack, scores
from praison_persist.knowledge_protocols import KnowledgeCapability, KnowledgeStore
from praison_persist.testing.knowledge_contract import (
    DIMENSION,
    KnowledgeContract,
    document,
    ids,
    needs_knowledge,
    vector,
)

__all__ = ["FilterContract", "SearchContract"]

_DISTANCES = ("cosine", "euclidean", "dot")


class SearchContract(KnowledgeContract):
    """A search finds the nearest documents."""

    @needs_knowledge(KnowledgeCapability.VECTORS, KnowledgeCapability.COLLECTIONS)
    @pytest.mark.parametrize("distance", _DISTANCES)
    def test_the_nearest_comes_first(self, store: KnowledgeStore, distance: str) -> None:
        """Scores are distances, or of another measure than the collection was created with."""
        adapted: Any = getattr(store, "adapted", store)
        if distance not in adapted.driver.distances:
            with pytest.raises(UnsupportedError, match=distance):
                store.create_collection("docs", DIMENSION, distance)
            return
        store.create_collection("docs", DIMENSION, distance)
        names = [f"d{number}" for number in range(30)]
        embeddings = [[3 * x for x in vector(name)] for name in names]
        store.insert(
            "docs",
            [
                document(name, embedding=embedding)
                for name, embedding in zip(names, embeddings, strict=True)
            ],
        )
        query = vector("query")
        found = scores(distance, query, [pack(each) for each in embeddings])
        expected = sorted(zip(found, names, strict=True), reverse=True)[:10]
        hits = store.search("docs", query, limit=10)
        assert ids(hits) == [name for _, name in expected]
        assert [hit.score for hit in hits] == pytest.approx(
            [score for score, _ in expected], rel=1e-4, abs=1e-5
        )
        # The threshold is inclusive.
        least = expected[4][0]
        assert len(store.search("docs", query, limit=10, score_threshold=least)) == 5
        above = least + 1e-4
        assert len(store.search("docs", query, limit=10, score_threshold=above)) == 4

    @needs_knowledge(KnowledgeCapability.VECTORS)
    def test_the_same_embedding_is_at_the_top(self, store: KnowledgeStore, docs: str) -> None:
        """Rounding pushes a perfect match below a threshold of 1."""
        store.insert(docs, [document(name) for name in "abcdef"])
        for name in "abcdef":
            (hit,) = store.search(docs, vector(name), limit=1, score_threshold=1.0)
            assert hit.id == name
            assert hit.score == pytest.approx(1.0, abs=1e-5)
            assert hit.score is not None
            assert hit.score <= 1.0

    def test_documents_are_found_whole(self, store: KnowledgeStore, docs: str) -> None:
        given = document("a", {"k": [1, {"n": None}]}, "what it says", created_at=12.5)
        store.insert(docs, [given])
        (hit,) = store.search(docs, query_text="x")
        assert (hit.id, hit.content, hit.metadata) == (given.id, given.content, given.metadata)
        assert (hit.content_hash, hit.created_at) == (given.content_hash, given.created_at)
        assert isinstance(hit.score, float)

    def test_the_limit_limits(self, store: KnowledgeStore, docs: str) -> None:
        assert store.search(docs, query_text="x") == []
        store.insert(docs, [document(f"d{number}") for number in range(12)])
        assert len(store.search(docs, query_text="x")) == 5
        assert store.search(docs, query_text="x", limit=0) == []
        assert len(store.search(docs, query_text="x", limit=12)) == 12
        assert len(store.search(docs, query_text="x", limit=10_000)) == 12
        longer = ids(store.search(docs, query_text="x", limit=12))
        assert ids(store.search(docs, query_text="x", limit=3)) == longer[:3]

    def test_bounds_that_cannot_be_are_refused(self, store: KnowledgeStore, docs: str) -> None:
        limits: list[Any] = [-1, 1.5, True, None, "3", 10_001]
        for limit in limits:
            with pytest.raises(InvalidDataError, match="limit"):
                store.search(docs, query_text="x", limit=limit)
        thresholds: list[Any] = [float("nan"), "0.5", True]
        for threshold in thresholds:
            with pytest.raises(InvalidDataError, match="score_threshold"):
                store.search(docs, query_text="x", score_threshold=threshold)

    def test_a_search_needs_a_question(self, store: KnowledgeStore, docs: str) -> None:
        with pytest.raises(InvalidDataError, match="query_embedding or query_text"):
            store.search(docs)
        with pytest.raises(InvalidDataError, match="query_text must be a string"):
            store.search(docs, query_text=b"x")  # type: ignore[arg-type]  # what is tested

    @needs_knowledge(KnowledgeCapability.VECTORS)
    def test_questions_of_another_dimension_are_refused(
        self, store: KnowledgeStore, docs: str
    ) -> None:
        store.insert(docs, [document("a")])
        for question in ([1.0], [1.0] * 5, [0.0] * DIMENSION, [float("nan")] * DIMENSION, "1234"):
            with pytest.raises(InvalidDataError, match="query_embedding"):
                store.search(docs, question)  # type: ignore[arg-type]  # what is tested

    @needs_knowledge(KnowledgeCapability.HYBRID)
    def test_words_and_embeddings_together(self, store: KnowledgeStore, docs: str) -> None:
        far = [-x for x in vector("what about zebras")]
        store.insert(
            docs,
            [
                *(document(f"d{n}", {"n": n}, f"text number {n}") for n in range(20)),
                document("worded", {"n": 20}, "all there is to know about zebras", embedding=far),
            ],
        )
        plain = ids(store.search(docs, query_text="what about zebras", limit=3))
        assert "worded" not in plain
        both = store.search(docs, query_text="what about zebras", limit=3, hybrid=True)
        assert "worded" in ids(both)
        assert plain[0] in ids(both)
        assert [hit.score for hit in both] == sorted([hit.score or 0 for hit in both], reverse=True)
        some = store.search(docs, query_text="zebras", hybrid=True, filters={"n": {"$lt": 5}})
        assert {hit.id for hit in some} == {"d0", "d1", "d2", "d3", "d4"}
        if KnowledgeCapability.EMBEDDINGS in store.capabilities:
            found = store.search(docs, query_text="zebras", hybrid=True, include_embeddings=True)
            assert all(hit.embedding is not None for hit in found)
        with pytest.raises(InvalidDataError, match="query_text"):
            store.search(docs, vector("x"), hybrid=True)
        with pytest.raises(InvalidDataError, match="score_threshold"):
            store.search(docs, query_text="x", hybrid=True, score_threshold=0.5)

    def test_words_of_any_kind_are_no_query_language(
        self, store: KnowledgeStore, docs: str
    ) -> None:
        store.insert(docs, [document("a", None, "some words"), document("b", None, "others")])
        hybrid = KnowledgeCapability.HYBRID in store.capabilities
        for text in ("'", '"', "a OR b", "(", "*", "-x:y~2 AND NOT", "\\", "%$#@", "😀", "{};--"):
            assert len(store.search(docs, query_text=text, hybrid=hybrid)) == 2

    def test_what_is_not_declared_is_refused(self, store: KnowledgeStore, docs: str) -> None:
        refused = {
            KnowledgeCapability.HYBRID: {"query_text": "x", "hybrid": True},
            KnowledgeCapability.VECTORS: {"query_embedding": vector("x")},
            KnowledgeCapability.FILTERS: {"query_text": "x", "filters": {"a": 1}},
            KnowledgeCapability.EMBEDDINGS: {"query_text": "x", "include_embeddings": True},
        }
        for capability, arguments in refused.items():
            if capability not in store.capabilities:
                with pytest.raises(UnsupportedError, match=capability.name):
                    store.search(docs, **arguments)  # type: ignore[arg-type]  # of several kinds


_DOCUMENTS: dict[str, dict[str, Any] | None] = {
    "none": None,
    "empty": {},
    "null": {"tag": None, "n": None},
    "one": {"tag": "a", "n": 1, "flag": True},
    "two": {"tag": "b", "n": 2.0, "flag": False},
    "three": {"tag": "A", "n": -3, "flag": 1},
    "text": {"tag": "1", "n": "1", "flag": "true"},
    "list": {"tag": ["a", "c", 1, True], "n": [1, 2]},
    "nested": {"tag": {"a": 1}, "n": {"$gt": 1}},
    "mixed": {"tag": [{"a": 1}, None, "z"], "n": 0},
    "large": {"n": 2**53, "tag": "x" * 3000},
    "larger": {"n": 10**400, "tag": -(10**400)},
    "small": {"n": 0.1 + 0.2, "tag": ""},
    "odd": {
        "a.b": 1,
        "$x": 2,
        "q'\"`": 'it\'s "q" \\ `',
        "ключ": "зна чение",
        "": "e",
        "a,b": "{|}",
    },
}

_FILTERS: list[dict[str, Any]] = [
    {"tag": "a"},
    {"tag": "A"},
    {"tag": "1"},
    {"tag": 1},
    {"tag": ""},
    {"tag": "x" * 3000},
    {"tag": "x" * 2999},
    {"n": 1},
    {"n": 1.0},
    {"n": "1"},
    {"n": 2},
    {"n": 0.1 + 0.2},
    {"n": 0.3},
    {"n": 2**53},
    {"n": {"$gt": 1e300}},
    {"n": 0},
    {"n": -0.0},
    {"flag": True},
    {"flag": False},
    {"flag": 1},
    {"flag": "true"},
    {"tag": True},
    {"tag": {"$eq": "a"}},
    {"tag": {"$ne": "a"}},
    {"tag": {"$in": ["a", "b", 7]}},
    {"tag": {"$in": []}},
    {"tag": {"$nin": ["a", "b"]}},
    {"tag": {"$nin": []}},
    {"tag": {"$exists": True}},
    {"tag": {"$exists": False}},
    {"n": {"$gt": 1}},
    {"n": {"$gte": 1}},
    {"n": {"$lt": 1}},
    {"n": {"$lte": 1}},
    {"n": {"$gt": -3, "$lt": 2}},
    {"n": {"$gte": 0.1 + 0.2, "$lte": 0.1 + 0.2}},
    {"n": {"$gte": 1, "$ne": 2}},
    {"n": {"$gt": -1e300, "$lt": 1e300}},
    {"flag": {"$gte": 0}},
    {"tag": {"$gt": 0}},
    {"tag": "a", "n": 1},
    {"tag": "a", "n": 2},
    {"$and": [{"tag": "a"}, {"n": 1}]},
    {"$or": [{"tag": "b"}, {"n": 1}]},
    {"$or": [{"tag": "b"}, {"n": {"$lt": 0}}], "flag": {"$exists": True}},
    {"$not": {"tag": "a"}},
    {"$not": {"n": {"$gt": 0}}},
    {"$not": {"$or": [{"tag": "a"}, {"n": {"$gte": 2}}]}},
    {"$not": {"$and": [{"tag": "a"}, {"$not": {"n": 1}}]}},
    {"$or": [{"$and": [{"tag": "a"}, {"flag": True}]}, {"$not": {"tag": {"$exists": True}}}]},
    {"unknown": "a"},
    {"unknown": {"$ne": "a"}},
    {"unknown": {"$lt": 5}},
    {"$not": {"unknown": {"$lt": 5}}},
    {"a.b": 1},
    {"a.b": {"$gte": 1}},
    {"a": 1},
    {"q'\"`": 'it\'s "q" \\ `'},
    {"q'\"`": {"$ne": "x"}},
    {"ключ": "зна чение"},
    {"": "e"},
    {"a,b": "{|}"},
    {"tag": "a' OR '1'='1"},
    {"tag') OR 1=1 --": "a"},
    {"tag": 'a") OR true'},
    {"tag": "*"},
    {"tag": "a|b"},
    {"tag": "\\"},
    {"tag": "a\x00"},
    {"tag": "\ud800"},
]

_REFUSED: list[Any] = [
    "tag = 'a'",
    ["tag"],
    {"tag": None},
    {"tag": ["a"]},
    {"tag": object()},
    {"n": float("nan")},
    {"tag": {}},
    {"tag": {"$like": "a"}},
    {"tag": {"a": 1}},
    {"tag": {"$in": "a"}},
    {"tag": {"$in": [None]}},
    {"tag": {"$in": list(range(1001))}},
    {"tag": {"$gt": "a"}},
    {"n": {"$gt": True}},
    {"n": {"$gt": None}},
    {"n": {"$gt": 10**400}},
    {"tag": {"$exists": 1}},
    {"$and": []},
    {"$or": [{}]},
    {"$or": {"tag": "a"}},
    {"$not": {}},
    {"$nor": [{"tag": "a"}]},
    {"$where": "1"},
    {1: 2},
]


class FilterContract(KnowledgeContract):
    """A filter means the same everywhere."""

    @pytest.fixture
    def filtered(self, store: KnowledgeStore, docs: str) -> str:
        """The name of a collection with documents to filter."""
        if KnowledgeCapability.FILTERS not in store.capabilities:
            pytest.skip(f"{store!r} does not declare FILTERS")
        store.insert(docs, [document(name, each) for name, each in _DOCUMENTS.items()])
        return docs

    def test_filters_mean_what_is_written(self, store: KnowledgeStore, filtered: str) -> None:
        """A filter is ignored, misses a document, or leaves its query."""
        for filters in _FILTERS:
            where = parse_filters(filters)
            assert where is not None
            expected = sorted(
                name for name, metadata in _DOCUMENTS.items() if matches(where, metadata)
            )
            found = ids(store.search(filtered, query_text="x", limit=100, filters=filters))
            assert sorted(found) == expected, filters
            assert store.count(filtered, filters) == len(expected), filters

    def test_any_filter_agrees_with_the_reference(
        self, store: KnowledgeStore, filtered: str
    ) -> None:
        random = Random(7)  # noqa: S311 - of data, not of secrets
        for _ in range(25):
            filters = _any_filter(random, 3)
            where = parse_filters(filters)
            assert where is not None
            expected = sorted(
                name for name, metadata in _DOCUMENTS.items() if matches(where, metadata)
            )
            found = ids(store.search(filtered, query_text="x", limit=100, filters=filters))
            assert sorted(found) == expected, filters

    def test_the_nearest_are_among_those_that_match(self, store: KnowledgeStore, docs: str) -> None:
        """The filter is applied to the nearest few only."""
        if KnowledgeCapability.FILTERS not in store.capabilities:
            pytest.skip(f"{store!r} does not declare FILTERS")
        near = vector("query")
        store.insert(
            docs,
            [
                *(document(f"near{n}", {"kind": "near"}, embedding=near) for n in range(40)),
                *(document(f"far{n}", {"kind": "far"}) for n in range(3)),
            ],
        )
        hits = store.search(docs, query_text="query", limit=3, filters={"kind": "far"})
        assert sorted(ids(hits)) == ["far0", "far1", "far2"]

    def test_what_is_no_filter_is_refused(self, store: KnowledgeStore, filtered: str) -> None:
        """A mistyped filter matches everything, and then everything is deleted."""
        for filters in _REFUSED:
            with pytest.raises(InvalidDataError, match="filters"):
                store.search(filtered, query_text="x", filters=filters)
            with pytest.raises(InvalidDataError, match="filters"):
                store.delete(filtered, filters=filters)
            with pytest.raises(InvalidDataError, match="filters"):
                store.count(filtered, filters)
        assert store.count(filtered) == len(_DOCUMENTS)

    def test_empty_filters_say_nothing(self, store: KnowledgeStore, filtered: str) -> None:
        assert store.count(filtered, {}) == len(_DOCUMENTS)
        found = store.search(filtered, query_text="x", limit=100, filters={})
        assert len(found) == len(_DOCUMENTS)

    def test_deleting_what_matches(self, store: KnowledgeStore, filtered: str) -> None:
        """The filter is ignored, and everything deleted."""
        assert store.delete(filtered, filters={"tag": "nobody's"}) == 0
        assert store.delete(filtered, filters={"tag": {"$in": ["a", "b"]}}) == 3
        assert store.count(filtered) == len(_DOCUMENTS) - 3
        assert store.get(filtered, ["one", "two", "list"]) == []
        assert store.delete(filtered, filters={"tag": {"$in": ["a", "b"]}}) == 0
        # Of these ids, those that match.
        some = ["three", "text", "nested", "nobody"]
        assert store.delete(filtered, some, {"n": {"$exists": True}}) == 2
        assert ids(store.get(filtered, some)) == ["nested"]
        assert store.delete(filtered, [], {"n": {"$exists": True}}) == 0

    def test_deleting_more_than_a_batch(self, store: KnowledgeStore, docs: str) -> None:
        """A page is skipped because those before it were deleted."""
        if KnowledgeCapability.FILTERS not in store.capabilities:
            pytest.skip(f"{store!r} does not declare FILTERS")
        adapted: Any = getattr(store, "adapted", store)
        adapted.driver.batch = 7
        store.insert(docs, [document(f"d{n:02}", {"odd": bool(n % 2)}) for n in range(40)])
        assert store.delete(docs, filters={"odd": True}) == 20
        assert store.count(docs) == 20
        assert store.count(docs, {"odd": True}) == 0
        assert store.clear(docs) == 20


def _any_filter(random: Random, depth: int) -> dict[str, Any]:
    kind = random.choice(["and", "or", "not", "leaf", "leaf"]) if depth else "leaf"
    if kind == "not":
        return {"$not": _any_filter(random, depth - 1)}
    if kind in ("and", "or"):
        size = random.randint(1, 3)
        return {f"${kind}": [_any_filter(random, depth - 1) for _ in range(size)]}
    return random.choice(_FILTERS)
