"""The fake of Qdrant refuses what the server refuses, in its words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.packages import needs

needs("qdrant_client", extra="qdrant")

import httpx  # noqa: E402 - comes with the package
from qdrant_client import QdrantClient, models  # noqa: E402 - skipped without the package
from qdrant_client.http.exceptions import UnexpectedResponse  # noqa: E402 - as above

from tests.services.qdrant import KEY, Qdrant  # noqa: E402 - as above

_POINT = "550e8400-e29b-41d4-a716-446655440000"


@pytest.fixture
def qdrant() -> Iterator[Qdrant]:
    fake = Qdrant()
    yield fake
    fake.close()


@pytest.fixture
def client(qdrant: Qdrant) -> Iterator[QdrantClient]:
    client = QdrantClient(url=qdrant.url, check_compatibility=False)
    vectors = models.VectorParams(size=2, distance=models.Distance.COSINE)
    client.create_collection("docs", vectors, metadata={"a": "b"})
    yield client
    client.close()


def _refused(status: int, words: str, use: Callable[[], Any]) -> None:
    with pytest.raises(UnexpectedResponse) as caught:
        use()
    assert caught.value.status_code == status
    assert words in caught.value.structured()["status"]["error"]


def test_collections(client: QdrantClient) -> None:
    vectors = models.VectorParams(size=2, distance=models.Distance.DOT)
    _refused(409, "`docs` already exists", lambda: client.create_collection("docs", vectors))
    _refused(404, "Collection `no` doesn't exist", lambda: client.get_collection("no"))
    _refused(404, "Collection `no` doesn't exist", lambda: client.count("no"))
    assert not client.delete_collection("no")
    assert client.get_collection("docs").config.metadata == {"a": "b"}
    assert [each.name for each in client.get_collections().collections] == ["docs"]


def test_points(client: QdrantClient) -> None:
    def put(point: int | str, *vector: float) -> None:
        client.upsert("docs", [models.PointStruct(id=point, vector=list(vector), payload={})])

    _refused(400, "expected dim: 2, got 3", lambda: put(_POINT, 1, 2, 3))
    _refused(400, "abc is not a valid point ID", lambda: put("abc", 1, 2))
    _refused(400, "abc is not a valid point ID", lambda: client.retrieve("docs", ["abc"]))
    put(_POINT, 3, 4)
    put(_POINT.upper(), 3, 4)
    put(7, 0, 1)
    assert client.count("docs").count == 2
    (point,) = client.retrieve("docs", [_POINT], with_vectors=True)
    assert point.vector == pytest.approx([0.6, 0.8])  # of length 1, as cosines need it


def test_queries(client: QdrantClient) -> None:
    _refused(400, "expected dim: 2, got 1", lambda: client.query_points("docs", [1.0]))
    points = [
        models.PointStruct(id=n, vector=[1, n], payload={"tags": [f"t{n}"], "n": n})
        for n in range(5)
    ]
    client.upsert("docs", points)
    tagged = models.Filter(
        must_not=[models.FieldCondition(key="tags", match=models.MatchAny(any=["t1", "t3"]))],
        must=[models.FieldCondition(key="n", range=models.Range(gt=0))],
    )
    found = client.query_points("docs", [1.0, 0.0], query_filter=tagged, limit=5)
    assert [point.id for point in found.points] == [2, 4]
    assert client.count("docs", tagged).count == 2
    first, following = client.scroll("docs", limit=3)
    rest, end = client.scroll("docs", limit=3, offset=following)
    assert ([each.id for each in (*first, *rest)], end) == ([0, 1, 2, 3, 4], None)
    client.delete("docs", models.PointIdsList(points=[0, 99]))
    assert client.count("docs").count == 4


def test_a_filter_that_cannot_be(qdrant: Qdrant, client: QdrantClient) -> None:
    body = {"filter": {"must": [{"key": "n", "match": {"like": "x"}}]}}
    answer = httpx.post(f"{qdrant.url}/collections/docs/points/count", json=body)
    assert answer.status_code == 400
    assert "Format error in JSON body" in answer.json()["status"]["error"]


def test_keys(qdrant: Qdrant) -> None:
    for key, status in ((KEY, 200), ("wrong", 401)):
        answer = httpx.get(f"{qdrant.url}/collections", headers={"api-key": key})
        assert answer.status_code == status
