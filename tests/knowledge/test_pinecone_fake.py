"""The stand-in for Pinecone refuses what Pinecone's documentation says is refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.packages import needs
from tests.services.pinecone import KEY, Pinecone

needs("pinecone", extra="pinecone")

import pinecone as sdk  # noqa: E402 - its package may be missing
from pinecone.errors import (  # noqa: E402 - as above
    ApiError,
    ConflictError,
    NotFoundError,
    PayloadTooLargeError,
    UnauthorizedError,
)


def _schema(dimension: int, metric: str = "cosine") -> dict[str, Any]:
    vectors = {"type": "dense_vector", "dimension": dimension, "metric": metric}
    return {"fields": {"_values": vectors}}


@pytest.fixture(scope="module")
def server() -> Iterator[Pinecone]:
    server = Pinecone()
    yield server
    server.close()


@pytest.fixture
def control(server: Pinecone) -> Iterator[sdk.Pinecone]:
    server.empty()
    server.slow = server.lag = 0
    with sdk.Pinecone(api_key=KEY, host=server.url) as control:
        yield control


@pytest.fixture
def index(control: sdk.Pinecone) -> Iterator[Any]:
    control.indexes.create(name="docs", schema=_schema(2))
    with control.index("docs") as index:
        yield index


def test_indexes_are_made_once(control: sdk.Pinecone) -> None:
    control.indexes.create(name="docs", schema=_schema(2), tags={"a": "b"})
    with pytest.raises(ConflictError):
        control.indexes.create(name="docs", schema=_schema(2))
    (model,) = control.indexes.list()
    assert (model.dimension, model.metric, model.tags) == (2, "cosine", {"a": "b"})
    control.indexes.delete("docs")
    with pytest.raises(NotFoundError):
        control.indexes.describe("docs")
    with pytest.raises(NotFoundError):
        control.indexes.delete("docs")


@pytest.mark.parametrize(
    ("name", "dimension", "metric"),
    [("Docs", 2, "cosine"), ("a_b", 2, "cosine"), ("docs", 20_001, "cosine"), ("docs", 2, "l1")],
)
def test_indexes_that_cannot_be(
    control: sdk.Pinecone, name: str, dimension: int, metric: str
) -> None:
    with pytest.raises((ApiError, ValueError)):
        control.indexes.create(name=name, schema=_schema(dimension, metric))


def test_a_key_is_needed(server: Pinecone) -> None:
    with sdk.Pinecone(api_key="other", host=server.url) as other, pytest.raises(UnauthorizedError):
        other.indexes.list().to_list()


@pytest.mark.parametrize(
    ("vector", "told"),
    [
        ({"id": "a", "values": [1.0]}, "dimension 1 does not match"),
        ({"id": "a", "values": [0.0, 0.0]}, "non-zero"),
        ({"id": "a", "values": [1.0, 0.0], "metadata": {"k": None}}, "Metadata value"),
        ({"id": "a", "values": [1.0, 0.0], "metadata": {"k": {"a": 1}}}, "Metadata value"),
        ({"id": "a", "values": [1.0, 0.0], "metadata": {"k": [1, 2]}}, "Metadata value"),
        ({"id": "a", "values": [1.0, 0.0], "metadata": {"k": "x" * 41_000}}, "40960"),
    ],
)
def test_vectors_that_cannot_be(index: Any, vector: dict[str, Any], told: str) -> None:
    with pytest.raises((ApiError, TypeError), match=told):  # the SDK refuses some by itself
        index.upsert(vectors=[vector])


def test_requests_and_answers_are_bounded(index: Any) -> None:
    many = [
        {"id": f"d{n}", "values": [1.0, 0.0], "metadata": {"k": "x" * 40_000}} for n in range(120)
    ]
    with pytest.raises(PayloadTooLargeError):
        index.upsert(vectors=many)
    for begin in range(0, 120, 40):
        index.upsert(vectors=many[begin : begin + 40])
    assert len(index.query(vector=[1.0, 0.0], top_k=120).matches) == 120
    with pytest.raises(ApiError, match="larger"):
        index.query(vector=[1.0, 0.0], top_k=120, include_metadata=True)


@pytest.mark.parametrize(
    "where",
    [
        {"k": {"$in": []}},
        {"k": {"$gt": "a"}},
        {"k": {"$like": "a"}},
        {"$not": {"k": 1}},
        {"$and": []},
        {"$or": {"k": 1}},
        {"k": None},
    ],
)
def test_filters_that_cannot_be(index: Any, where: dict[str, Any]) -> None:
    with pytest.raises(ApiError, match="40"):
        index.query(vector=[1.0, 0.0], top_k=1, filter=where)


def test_filters_come_before_the_nearest(index: Any) -> None:
    index.upsert(
        vectors=[
            {"id": "a", "values": [1.0, 0.0], "metadata": {"n": 1, "tags": ["x", "y"]}},
            {"id": "b", "values": [0.0, 1.0], "metadata": {"n": 2, "tags": ["z"]}},
            {"id": "c", "values": [0.0, -1.0]},
        ]
    )

    def found(where: dict[str, Any]) -> list[str]:
        answer = index.query(vector=[1.0, 0.0], top_k=3, filter=where)
        return sorted(each.id for each in answer.matches)

    assert found({"tags": "y"}) == ["a"]
    assert found({"tags": {"$nin": ["y"]}}) == ["b"]
    assert found({"n": {"$gte": 2}}) == ["b"]
    assert found({"n": {"$exists": False}}) == ["c"]
    assert found({"$or": [{"n": 1}, {"tags": {"$in": ["z"]}}]}) == ["a", "b"]


def test_queries_see_writes_late_and_say_so(server: Pinecone, index: Any) -> None:
    server.lag = 1
    written = index.upsert(vectors=[{"id": "a", "values": [1.0, 0.0]}])
    position = written.response_info.lsn_committed
    assert position is not None
    assert set(index.fetch(ids=["a"]).vectors) == {"a"}
    early = index.query(vector=[1.0, 0.0], top_k=1)
    assert (early.matches, early.response_info.is_reconciled(position)) == ([], False)
    late = index.query(vector=[1.0, 0.0], top_k=1)
    assert late.response_info.is_reconciled(position)
    assert [each.id for each in late.matches] == ["a"]


def test_what_is_deleted_has_to_be_said(index: Any) -> None:
    with pytest.raises(NotFoundError, match="Namespace"):
        index.delete(ids=["a"], namespace="nowhere")
    index.upsert(vectors=[{"id": name, "values": [1.0, 0.0]} for name in "abc"])
    index.delete(ids=["a", "nobody"])
    assert set(index.fetch(ids=["a", "b", "c"]).vectors) == {"b", "c"}
    index.delete(delete_all=True)
    assert index.fetch(ids=["b"]).vectors == {}


def test_pages_go_on_where_they_ended(index: Any) -> None:
    index.upsert(
        vectors=[{"id": f"d{n}", "values": [1.0, 0.0], "metadata": {"k": "a"}} for n in range(5)]
    )
    seen: list[str] = []
    token = None
    while True:
        page = index.fetch_by_metadata(filter={"k": "a"}, limit=2, pagination_token=token)
        seen += page.vectors
        index.delete(ids=list(page.vectors))
        token = page.pagination.next if page.pagination else None
        if token is None:
            break
    assert seen == [f"d{n}" for n in range(5)]
