"""The stand-in for Weaviate refuses what its documentation says is refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.packages import needs

needs("weaviate", extra="weaviate")

import weaviate as sdk  # noqa: E402 - its package may be missing
from weaviate.classes.config import (  # noqa: E402 - as above
    Configure,
    DataType,
    Property,
    Tokenization,
)
from weaviate.classes.data import DataObject  # noqa: E402 - as above
from weaviate.classes.query import Filter  # noqa: E402 - as above
from weaviate.exceptions import (  # noqa: E402 - as above
    UnexpectedStatusCodeError,
    WeaviateBaseError,
    WeaviateInsertManyAllFailedError,
    WeaviateQueryError,
)

from tests.services.weaviate import KEY, Weaviate  # noqa: E402 - as above

_UUIDS = [f"00000000-0000-4000-8000-00000000000{n}" for n in range(5)]


def _client(server: Weaviate, key: str = KEY) -> Any:
    host, port = server.url.removeprefix("http://").split(":")
    places: dict[str, Any] = {"http_host": host, "http_port": int(port), "http_secure": False}
    return sdk.WeaviateClient(
        sdk.connect.ConnectionParams.from_params(
            **places, grpc_host=host, grpc_port=server.grpc_port, grpc_secure=False
        ),
        auth_client_secret=sdk.auth.AuthApiKey(key),
        skip_init_checks=True,
    )


@pytest.fixture(scope="module")
def server() -> Iterator[Weaviate]:
    server = Weaviate()
    yield server
    server.close()


@pytest.fixture
def client(server: Weaviate) -> Iterator[Any]:
    server.empty()
    with _client(server) as client:
        yield client


@pytest.fixture
def docs(client: Any) -> Any:
    text = {"data_type": DataType.TEXT, "tokenization": Tokenization.WORD}
    return client.collections.create(
        "Docs",
        vector_config=Configure.Vectors.self_provided(),
        properties=[
            Property(name="text", index_filterable=False, **text),
            Property(name="tags", data_type=DataType.TEXT_ARRAY, index_searchable=False),
            Property(name="n", data_type=DataType.NUMBER),
        ],
    )


def _object(number: int, **properties: Any) -> Any:
    return DataObject(properties=properties, uuid=_UUIDS[number], vector=[1.0, float(number)])


def _found(answer: Any) -> list[str]:
    return [str(each.uuid) for each in answer.objects]


def test_a_key_is_needed(server: Weaviate) -> None:
    other = _client(server, "other")
    with pytest.raises(WeaviateBaseError, match="401"):
        other.connect()
    other.close()


def test_classes_are_told_apart_by_more_than_case(client: Any, docs: Any) -> None:
    for name in ("Docs", "docs", "DOCS"):
        with pytest.raises(UnexpectedStatusCodeError, match="already exists"):
            client.collections.create(name)
    with pytest.raises(UnexpectedStatusCodeError, match="not a valid class name"):
        client.collections.create("a-b")


def test_a_property_is_declared_once(docs: Any) -> None:
    with pytest.raises(WeaviateBaseError, match="already"):
        docs.config.add_property(Property(name="N", data_type=DataType.NUMBER))
    with pytest.raises(UnexpectedStatusCodeError, match="not a valid property name"):
        docs.config.add_property(Property(name="a b", data_type=DataType.NUMBER))


def test_objects_that_cannot_be(docs: Any) -> None:
    docs.data.insert_many([_object(0, n=1.0)])
    short = DataObject(properties={"n": 1.0}, uuid=_UUIDS[1], vector=[1.0])
    with pytest.raises(WeaviateInsertManyAllFailedError, match="length 1"):
        docs.data.insert_many([short])
    result = docs.data.insert_many([short, _object(2, n=2.0)])
    assert [*result.errors] == [0]
    with pytest.raises(WeaviateInsertManyAllFailedError, match="no such prop"):
        docs.data.insert_many([_object(3, other=1.0)])


def test_an_unknown_class(client: Any) -> None:
    nowhere = client.collections.use("Nowhere")
    with pytest.raises(WeaviateQueryError, match="could not find class Nowhere"):
        nowhere.query.fetch_objects(limit=1)
    with pytest.raises(UnexpectedStatusCodeError, match="404"):
        nowhere.config.get(simple=True)


def test_searches_that_cannot_be(docs: Any) -> None:
    docs.data.insert_many([_object(0, n=1.0)])
    for where, told in (
        (Filter.by_property("other").greater_than(1.0), "no such prop"),
        (Filter.by_property("text").contains_any(["a"]), "requires inverted index"),
    ):
        with pytest.raises(WeaviateQueryError, match=told):
            docs.query.near_vector([1.0, 0.0], limit=1, filters=where)
    with pytest.raises(WeaviateQueryError, match="vector lengths"):
        docs.query.near_vector([1.0], limit=1)
    with pytest.raises(WeaviateQueryError, match="maximum results"):
        docs.query.near_vector([1.0, 0.0], limit=10_001)
    with pytest.raises(WeaviateQueryError, match="not indexed for bm25"):
        docs.query.bm25("a", query_properties=["tags"], limit=1)


def test_filters_and_words(docs: Any) -> None:
    docs.data.insert_many(
        [
            _object(0, n=1.0, tags=["x", "y"], text="red apples"),
            _object(1, n=2.0, tags=["z"], text="green pears"),
            _object(2, text="red pears, red"),
        ]
    )

    def near(where: Any) -> list[str]:
        return sorted(_found(docs.query.near_vector([1.0, 0.0], limit=3, filters=where)))

    assert near(Filter.by_property("tags").contains_any(["y", "q"])) == _UUIDS[:1]
    assert near(Filter.by_property("tags").contains_none(["y"])) == _UUIDS[1:3]
    assert near(Filter.by_property("n").greater_or_equal(2.0)) == _UUIDS[1:2]
    assert _found(docs.query.bm25("red", query_properties=["text"], limit=3)) == [
        _UUIDS[2],
        _UUIDS[0],
    ]
    assert docs.data.delete_many(where=Filter.by_id().contains_any(_UUIDS[:2])).successful == 2
    assert docs.aggregate.over_all(total_count=True).total_count == 1


def test_pages_go_on_where_they_ended(docs: Any) -> None:
    docs.data.insert_many([_object(n, n=float(n)) for n in range(5)])
    first = docs.query.fetch_objects(limit=3)
    assert _found(first) == _UUIDS[:3]
    docs.data.delete_many(where=Filter.by_id().contains_any(_UUIDS[:3]))
    assert _found(docs.query.fetch_objects(limit=3, after=_UUIDS[2])) == _UUIDS[3:]
    with pytest.raises(WeaviateQueryError, match="cursor"):
        docs.query.fetch_objects(
            limit=3, after=_UUIDS[2], filters=Filter.by_property("n").greater_than(1.0)
        )
