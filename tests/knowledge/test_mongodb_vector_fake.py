"""The imitation of Atlas Vector Search answers PyMongo as MongoDB documents it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pymongo
import pytest
from pymongo.errors import OperationFailure
from pymongo.operations import SearchIndexModel

from tests.services import mongod
from tests.services.mongod import OwnMongod
from tests.services.mongodb_vector import VectorSearch


@pytest.fixture(scope="module")
def atlas(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VectorSearch]:
    server = OwnMongod(tmp_path_factory.mktemp("mongod"))
    server.start()
    with VectorSearch(server.url) as atlas:
        yield atlas
    server.close()


@pytest.fixture
def documents(atlas: VectorSearch) -> Iterator[Any]:
    with (
        mongod.database(atlas.url) as name,
        pymongo.MongoClient[dict[str, Any]](atlas.url) as client,
    ):
        documents: Any = client[name]["documents"]
        rows = [("a", [1.0, 0.0]), ("b", [0.0, 1.0]), ("c", [-1.0, 0.0]), ("$d", [2.0, 0.0])]
        documents.insert_many({"_id": each, "v": vector, "of": [each]} for each, vector in rows)
        documents.insert_one({"_id": "no vector", "of": ["a"]})
        yield documents


def _index(similarity: str = "cosine", **vector: Any) -> SearchIndexModel:
    fields = [
        {"type": "vector", "path": "v", "numDimensions": 2, "similarity": similarity, **vector},
        {"type": "filter", "path": "of"},
    ]
    return SearchIndexModel({"fields": fields}, name="index", type="vectorSearch")


def _search(documents: Any, **changed: Any) -> list[tuple[str, float]]:
    stage = {"index": "index", "path": "v", "queryVector": [1.0, 0.0], "exact": True, "limit": 2}
    asked = {name: each for name, each in {**stage, **changed}.items() if each is not None}
    project = {"score": {"$meta": "vectorSearchScore"}}
    found = documents.aggregate([{"$vectorSearch": asked}, {"$project": project}])
    return [(each["_id"], each["score"]) for each in found]


@pytest.mark.parametrize(
    ("similarity", "nearest"),
    [
        ("cosine", [("a", 1.0), ("$d", 1.0), ("b", 0.5), ("c", 0.0)]),
        ("euclidean", [("a", 1.0), ("$d", 0.5), ("b", 1 / (1 + 2**0.5)), ("c", 1 / 3)]),
        ("dotProduct", [("$d", 1.5), ("a", 1.0), ("b", 0.5), ("c", 0.0)]),
    ],
)
def test_the_nearest_with_scores(documents: Any, similarity: str, nearest: Any) -> None:
    documents.create_search_index(_index(similarity))
    found = _search(documents, limit=9)
    assert dict(found) == pytest.approx(dict(nearest))
    assert [score for _, score in found] == sorted((score for _, score in found), reverse=True)
    assert len(_search(documents)) == 2
    assert len(_search(documents, exact=None, numCandidates=9)) == 2


def test_a_filter_restricts_before(documents: Any) -> None:
    documents.create_search_index(_index())
    assert _search(documents, filter={"of": {"$in": ["c", "x"]}}) == [("c", 0.0)]
    both = {"$and": [{"of": {"$nin": ["a"]}}, {"$or": [{"of": "b"}, {"of": "a"}]}]}
    assert _search(documents, filter=both) == [("b", 0.5)]


def test_an_index_is_built_told_of_and_dropped(atlas: VectorSearch, documents: Any) -> None:
    atlas.building = 2
    documents.create_search_index(_index())
    atlas.building = 0
    with pytest.raises(OperationFailure, match="INITIAL_SYNC"):
        _search(documents)
    told = [list(documents.list_search_indexes("index")) for _ in range(3)]
    assert [each["queryable"] for (each,) in told] == [False, False, True]
    assert [each["status"] for (each,) in told] == ["BUILDING", "BUILDING", "READY"]
    assert list(documents.list_search_indexes("other")) == []
    with pytest.raises(OperationFailure, match="Duplicate Index") as caught:
        documents.create_search_index(_index())
    assert caught.value.code == 68
    documents.drop_search_index("index")
    assert list(documents.list_search_indexes()) == []
    # As if nothing were near.
    assert _search(documents) == []


def test_dropping_a_collection_drops_its_indexes(documents: Any) -> None:
    documents.create_search_index(_index())
    documents.drop()
    assert list(documents.list_search_indexes()) == []
    with pytest.raises(OperationFailure, match="does not exist") as caught:
        documents.create_search_index(_index())
    assert caught.value.code == 26


def test_a_search_may_lag(atlas: VectorSearch, documents: Any) -> None:
    documents.create_search_index(_index())
    assert len(_search(documents, limit=9)) == 4
    atlas.lagging = 1
    documents.insert_one({"_id": "new", "v": [1.0, 1.0], "of": []})
    documents.delete_one({"_id": "a"})
    assert len(_search(documents, limit=9)) == 3
    assert "new" in dict(_search(documents, limit=9))


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"queryVector": [1.0]}, "indexed with 2 dimensions but queried with 1"),
        ({"path": "w"}, "needs to be indexed as vector"),
        ({"filter": {"other": 1}}, "'other' needs to be indexed as filter"),
        ({"filter": {"of": {"$regex": "a"}}}, "not supported"),
        ({"filter": {"of": {"$in": []}}}, "empty"),
        ({"limit": 0}, "limit"),
        ({"exact": None}, "numCandidates"),
        ({"numCandidates": 5}, "numCandidates"),
        ({"exact": None, "numCandidates": 1}, "numCandidates"),
    ],
)
def test_what_cannot_be_is_refused(documents: Any, changed: dict[str, Any], told: str) -> None:
    documents.create_search_index(_index())
    with pytest.raises(OperationFailure, match=told):
        _search(documents, **changed)


@pytest.mark.parametrize("model", [_index("manhattan"), _index(numDimensions=8193)])
def test_an_index_that_cannot_be_is_refused(documents: Any, model: SearchIndexModel) -> None:
    with pytest.raises(OperationFailure, match=r"similarity|numDimensions"):
        documents.create_search_index(model)
    with pytest.raises(OperationFailure, match="not found") as caught:
        documents.drop_search_index("index")
    assert caught.value.code == 27
