"""The imitation of RediSearch answers redis-py as RediSearch documents it."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from redis.commands.search.field import NumericField, TagField, TextField, VectorField
from redis.commands.search.index_definition import IndexDefinition, IndexType
from redis.commands.search.query import Query
from redis.exceptions import ResponseError

from tests.services.redisearch import RediSearch
from tests.state.services import namespace


def _packed(*numbers: float) -> bytes:
    return struct.pack(f"<{len(numbers)}f", *numbers)


@pytest.fixture(params=[2, None], ids=["RESP2", "redis-py's choice"])
def index(request: pytest.FixtureRequest) -> Iterator[Any]:
    with (
        namespace() as (url, prefix),
        RediSearch(url) as search,
        redis.Redis.from_url(search.url, protocol=request.param) as client,
    ):
        index: Any = client.ft(prefix)
        definition_class: Any = IndexDefinition
        definition = definition_class(prefix=[f"{prefix}:"], index_type=IndexType.HASH)
        index.create_index(
            [
                TextField("content"),
                TagField("tag"),
                NumericField("n", sortable=True),
                VectorField("v", "FLAT", {"TYPE": "FLOAT32", "DIM": 2, "DISTANCE_METRIC": "L2"}),
            ],
            definition=definition,
        )
        for number, tag in enumerate(["a", "a,b", "c"]):
            fields: dict[Any, Any] = {
                "content": f"text {tag}",
                "tag": tag,
                "n": number,
                "v": _packed(number, 0),
            }
            client.hset(f"{prefix}:{number}", mapping=fields)
        yield index


def _found(index: Any, query: str) -> list[str]:
    found = index.search(Query(query).dialect(2).sort_by("n"))
    return [each.id[-1] for each in found.docs]


def test_queries_find_what_they_say(index: Any) -> None:
    assert _found(index, "*") == ["0", "1", "2"]
    assert _found(index, "@tag:{B|c}") == ["1", "2"]
    assert _found(index, "(-@tag:{b})") == ["0", "2"]
    assert _found(index, "(@tag:{a} @n:[1 +inf])") == ["1"]
    assert _found(index, "@n:[(0 (2]") == ["1"]
    assert _found(index, "(@tag:{c}|@n:[-inf 0])") == ["0", "2"]
    assert _found(index, "(@content:TEXT (@tag:{a} -@n:[0 0]))") == ["1"]
    assert index.search(Query("@tag:{a}").paging(0, 0).dialect(2)).total == 2


def test_the_nearest_of_those_that_match(index: Any) -> None:
    query = Query("(@tag:{a|c})=>[KNN 2 @v $v AS far]").return_fields("far").dialect(2)
    found = index.search(query, {"v": _packed(2, 0)}).docs
    assert [(each.id[-1], float(each.far)) for each in found] == [("2", 0.0), ("1", 1.0)]


def test_what_cannot_be_is_refused(index: Any) -> None:
    refused = {
        "(@tag:{a}": "Syntax error",
        "@tag:{}": "Syntax error",
        "@tag:{a})": "Syntax error",
        "@unknown:{a}": "Unknown field",
        "@n:{a}": "Unknown field",
        "@n:[1]": "Syntax error",
    }
    for query, told in refused.items():
        with pytest.raises(ResponseError, match=told):
            _found(index, query)
    nearest = Query("*=>[KNN 1 @v $v]").dialect(2)
    with pytest.raises(ResponseError, match="blob size"):
        index.search(nearest, {"v": _packed(1, 2, 3)})
    with pytest.raises(ResponseError, match="No such parameter"):
        index.search(nearest, {"w": _packed(1, 2)})
    with pytest.raises(ResponseError, match="Unknown field: w"):
        index.search(Query("*=>[KNN 1 @w $v]").dialect(2), {"v": _packed(1, 2)})
    with pytest.raises(ResponseError, match="already exists"):
        index.create_index([TextField("content")])


def test_an_index_is_told_of_and_dropped(index: Any) -> None:
    assert int(index.info()["num_docs"]) == 3
    index.dropindex()
    with pytest.raises(ResponseError, match="Unknown Index name"):
        index.dropindex()
    with pytest.raises(ResponseError, match="no such index"):
        _found(index, "*")
    with pytest.raises(ResponseError, match="no such index"):
        index.info()
    assert index.client.hget(f"{index.index_name}:0", "tag") == b"a"


def test_vectors_of_another_size_are_not_indexed(index: Any) -> None:
    index.client.hset(f"{index.index_name}:1", mapping={"v": b"short"})
    found = index.search(Query("*=>[KNN 9 @v $v]").dialect(2), {"v": _packed(0, 0)})
    assert sorted(each.id[-1] for each in found.docs) == ["0", "2"]
