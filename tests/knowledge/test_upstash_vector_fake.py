"""The stand-in for Upstash Vector refuses what its documentation says is refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.packages import needs
from tests.services.upstash_vector import TOKEN, UpstashVector

needs("upstash_vector", extra="upstash-vector")

import upstash_vector as sdk  # noqa: E402 - its package may be missing
from upstash_vector.errors import UpstashError  # noqa: E402 - as above


@pytest.fixture(scope="module")
def server() -> Iterator[UpstashVector]:
    server = UpstashVector()
    yield server
    server.close()


@pytest.fixture
def index(server: UpstashVector) -> Iterator[sdk.Index]:
    server.empty(2)
    server.lag = 0
    index = sdk.Index(server.url, TOKEN, retries=0)
    yield index
    index._client.close()


def test_a_token_is_needed(server: UpstashVector) -> None:
    other = sdk.Index(server.url, "other", retries=0)
    with pytest.raises(UpstashError, match="Unauthorized"):
        other.info()
    other._client.close()


@pytest.mark.parametrize(
    ("vector", "told"),
    [
        ({"id": "a", "vector": [1.0]}, "dimension: 1, expected: 2"),
        ({"id": "a", "vector": [1.0, 0.0], "metadata": {"k": "x" * 50_000}}, "48 KB"),
        ({"id": "a", "vector": [1.0, 0.0], "data": "x" * 1_100_000}, "1 MB"),
    ],
)
def test_vectors_that_cannot_be(index: sdk.Index, vector: dict[str, Any], told: str) -> None:
    with pytest.raises(UpstashError, match=told):
        index.upsert([vector])


def test_bounds(index: sdk.Index) -> None:
    for limit in (0, 1001):
        with pytest.raises(UpstashError, match="between 1 and 1000"):
            index.query([1.0, 0.0], top_k=limit)
    with pytest.raises(UpstashError, match="dimension"):
        index.query([1.0], top_k=1)


def test_an_unknown_namespace(index: sdk.Index) -> None:
    with pytest.raises(UpstashError, match="Namespace nowhere for the index is not found"):
        index.delete_namespace("nowhere")


@pytest.mark.parametrize(
    "where", ["k =", "k ~ 1", "(k = 1", "k = 1)", "= 1", "k = 1 AND", "k = 1e5", "k CONTAINS x"]
)
def test_filters_that_cannot_be(index: sdk.Index, where: str) -> None:
    with pytest.raises(UpstashError, match="Invalid filter"):
        index.query([1.0, 0.0], top_k=1, filter=where)


def test_filters(index: sdk.Index) -> None:
    index.upsert(
        [
            {"id": "a", "vector": [1.0, 0.0], "metadata": {"n": 1, "tags": ["x", "y"]}},
            {"id": "b", "vector": [0.0, 1.0], "metadata": {"n": -2.5, "tags": ["z"]}},
            {"id": "c", "vector": [0.0, -1.0]},
        ]
    )

    def found(where: str) -> list[str]:
        return sorted(each.id for each in index.query([1.0, 0.0], top_k=3, filter=where))

    assert found("tags CONTAINS 'y'") == ["a"]
    assert found("tags NOT CONTAINS 'y'") == ["b"]
    assert found("n <= -2.5") == ["b"]
    assert found("HAS NOT FIELD n") == ["c"]
    assert found("HAS FIELD n AND n > 0 OR tags CONTAINS 'z'") == ["a", "b"]
    assert found("HAS FIELD n AND (n > 100 OR tags CONTAINS 'z')") == ["b"]


def test_a_filter_has_a_budget(server: UpstashVector, index: sdk.Index) -> None:
    server.budget = 5
    index.upsert(
        [
            {"id": f"d{n}", "vector": [1.0, n / 10], "metadata": {"far": n == 9}}
            | ({"metadata": {"tags": ["far"]}} if n == 9 else {})
            for n in range(10)
        ]
    )
    assert index.query([1.0, 0.0], top_k=3, filter="tags CONTAINS 'far'") == []


def test_searches_see_what_is_indexed(server: UpstashVector, index: sdk.Index) -> None:
    server.lag = 1
    index.upsert([{"id": "a", "vector": [1.0, 0.0]}])
    assert [each and each.id for each in index.fetch(["a", "b"])] == ["a", None]
    assert index.query([1.0, 0.0], top_k=1) == []
    assert index.info().namespaces[""].pending_vector_count == 1
    assert index.info().namespaces[""].pending_vector_count == 0
    (hit,) = index.query([1.0, 0.0], top_k=1)
    assert (hit.id, hit.score) == ("a", 1.0)


def test_pages_go_on_where_they_ended(index: sdk.Index) -> None:
    index.upsert([{"id": f"d{n}", "vector": [1.0, 0.0]} for n in range(5)])
    seen: list[str] = []
    cursor = ""
    while True:
        page = index.range(cursor=cursor, limit=2)
        seen += [each.id for each in page.vectors]
        index.delete([each.id for each in page.vectors])
        cursor = page.next_cursor
        if not cursor:
            break
    assert seen == [f"d{n}" for n in range(5)]
