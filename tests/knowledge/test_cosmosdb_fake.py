"""The fake of Azure Cosmos DB refuses what the service refuses, through its SDK."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.packages import needs

needs("azure.cosmos", extra="cosmosdb")

from azure.cosmos import CosmosClient, PartitionKey  # noqa: E402 - after the check
from azure.cosmos.exceptions import (  # noqa: E402 - after the check
    CosmosHttpResponseError,
    CosmosResourceExistsError,
    CosmosResourceNotFoundError,
)

from tests.services.cosmos import KEY, Cosmos  # noqa: E402 - after the check

_BY_ID: Any = PartitionKey("/id")


@pytest.fixture
def cosmos() -> Iterator[Cosmos]:
    """A fake account."""
    cosmos = Cosmos()
    yield cosmos
    cosmos.close()


@pytest.fixture
def database(cosmos: Cosmos) -> Iterator[Any]:
    """A database of it."""
    client: Any = CosmosClient(cosmos.url, KEY, retry_total=0)
    yield client.create_database("db")
    client.close()


@pytest.fixture
def container(database: Any) -> Any:
    """A container with vectors and some items."""
    container = _made(database, "c", 2, "flat", "euclidean")
    for number, embedding in enumerate([[0.0, 3.0], [0.0, 1.0], [0.0, 2.0], [5.0, 0.0]]):
        container.create_item({"id": f"i{number}", "n": number, "e": embedding, "tags": ["a"]})
    return container


def _made(database: Any, name: str, dimensions: int, kind: str, function: str = "cosine") -> Any:
    embedding = {
        "path": "/e",
        "dataType": "float32",
        "distanceFunction": function,
        "dimensions": dimensions,
    }
    return database.create_container(
        name,
        _BY_ID,
        vector_embedding_policy={"vectorEmbeddings": [embedding]},
        indexing_policy={"vectorIndexes": [{"path": "/e", "type": kind}]},
    )


def _rows(container: Any, text: str, **values: Any) -> list[Any]:
    parameters = [{"name": f"@{name}", "value": value} for name, value in values.items()]
    found = container.query_items(text, parameters=parameters, enable_cross_partition_query=True)
    return list(found)


def _status(caught: pytest.ExceptionInfo[CosmosHttpResponseError]) -> int | None:
    status: int | None = caught.value.status_code
    return status


def test_a_wrong_key_is_refused(cosmos: Cosmos) -> None:
    wrong = base64.b64encode(b"wrong").decode()
    with pytest.raises(CosmosHttpResponseError) as caught:
        CosmosClient(cosmos.url, wrong, retry_total=0)
    assert _status(caught) == 401


def test_what_is_missing_is_not_found(database: Any, container: Any) -> None:
    cases: list[Callable[[], Any]] = [
        lambda: container.read_item("nobody", partition_key="nobody"),
        lambda: container.read_item("i0", partition_key="i1"),
        lambda: container.delete_item("nobody", partition_key="nobody"),
        lambda: database.get_container_client("nothing").read(),
        lambda: database.delete_container("nothing"),
    ]
    for missing in cases:
        with pytest.raises(CosmosResourceNotFoundError):
            missing()


def test_what_exists_is_a_conflict(database: Any, container: Any) -> None:
    with pytest.raises(CosmosResourceExistsError):
        container.create_item({"id": "i0"})
    with pytest.raises(CosmosResourceExistsError):
        database.create_container("c", _BY_ID)


@pytest.mark.parametrize("name", ["a/b", "a\\b", "a?b", "a#b", "", "x" * 256])
def test_ids_that_cannot_be_are_refused(container: Any, name: str) -> None:
    # Some of them the SDK itself refuses.
    with pytest.raises((CosmosHttpResponseError, ValueError)) as caught:
        container.create_item({"id": name})
    assert getattr(caught.value, "status_code", 400) == 400


def test_an_item_has_two_megabytes_at_most(container: Any) -> None:
    with pytest.raises(CosmosHttpResponseError) as caught:
        container.create_item({"id": "large", "text": "x" * 2**21})
    assert _status(caught) == 413


@pytest.mark.parametrize(("kind", "most"), [("flat", 505), ("quantizedFlat", 4096)])
def test_indexes_have_their_dimensions(database: Any, kind: str, most: int) -> None:
    _made(database, "fits", most, kind)
    with pytest.raises(CosmosHttpResponseError, match="dimensions"):
        _made(database, "over", most + 1, kind)


def test_vectors_need_a_capability(cosmos: Cosmos, database: Any) -> None:
    cosmos.vectors = False
    with pytest.raises(CosmosHttpResponseError, match="not been enabled"):
        _made(database, "c", 2, "flat")


def test_queries_go_over_all_partitions(container: Any) -> None:
    assert _rows(container, "SELECT VALUE COUNT(1) FROM c") == [4]
    assert [
        row["id"] for row in _rows(container, "SELECT TOP 3 c.id FROM c WHERE true ORDER BY c.id")
    ] == ["i0", "i1", "i2"]
    text = (
        "SELECT TOP 3 c.id, VectorDistance(c.e, @v) AS far FROM c WHERE ARRAY_CONTAINS(c.tags, @t) "
        "ORDER BY VectorDistance(c.e, @v)"
    )
    assert _rows(container, text, v=[0.0, 0.0], t="a") == [
        {"id": "i1", "far": 1.0},
        {"id": "i2", "far": 2.0},
        {"id": "i0", "far": 3.0},
    ]


def test_what_is_undefined_is_neither_true_nor_false(container: Any) -> None:
    for condition in ("c.none > 1", "NOT c.none > 1", "c.n > 'x'".replace("'", '"')):
        assert _rows(container, f"SELECT VALUE COUNT(1) FROM c WHERE {condition}") == [0]
    text = "SELECT VALUE COUNT(1) FROM c WHERE NOT (IS_DEFINED(c.none) AND c.none > 1)"
    assert _rows(container, text) == [4]


@pytest.mark.parametrize(
    "condition", ["", "c.n ==", "c.n = @nobody", "NEAR(c.e)", "c.n = 1 c.n", "'; DROP"]
)
def test_what_is_no_query_is_refused(container: Any, condition: str) -> None:
    with pytest.raises(CosmosHttpResponseError) as caught:
        _rows(container, f"SELECT c.id FROM c WHERE {condition}")
    assert _status(caught) == 400


def test_a_vector_search_needs_a_limit(container: Any) -> None:
    with pytest.raises(ValueError, match="without TOP or LIMIT"):
        _rows(container, "SELECT c.id FROM c ORDER BY VectorDistance(c.e, @v)", v=[0.0, 0.0])
