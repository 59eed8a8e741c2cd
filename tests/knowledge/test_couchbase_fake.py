"""The fake of a Couchbase node refuses what a node refuses, through the SDK."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.packages import needs

needs("couchbase", extra="couchbase")

from couchbase.auth import PasswordAuthenticator  # noqa: E402 - after the check
from couchbase.cluster import Cluster  # noqa: E402 - after the check
from couchbase.exceptions import (  # noqa: E402 - after the check
    AuthenticationException,
    BucketNotFoundException,
    CollectionAlreadyExistsException,
    CollectionNotFoundException,
    DocumentExistsException,
    DocumentNotFoundException,
    InvalidArgumentException,
    KeyspaceNotFoundException,
    ParsingFailedException,
    QueryIndexNotFoundException,
    ScopeNotFoundException,
)
from couchbase.n1ql import QueryScanConsistency  # noqa: E402 - after the check
from couchbase.options import ClusterOptions, QueryOptions  # noqa: E402 - after the check

from tests.services.couchbase import BUCKET, PASSWORD, USER, Couchbase  # noqa: E402 - as above

_PLACE = f"`{BUCKET}`.`_default`.`c`"


@pytest.fixture
def couchbase() -> Iterator[Couchbase]:
    """A fake node."""
    node = Couchbase()
    yield node
    node.close()


@pytest.fixture
def cluster(couchbase: Couchbase) -> Iterator[Any]:
    """A client of it."""
    options: Any = ClusterOptions(PasswordAuthenticator(USER, PASSWORD))
    cluster = Cluster(couchbase.url, options)
    yield cluster
    cluster.close()


@pytest.fixture
def bucket(cluster: Any) -> Any:
    """Its bucket, which has a collection with some documents."""
    bucket = cluster.bucket(BUCKET)
    bucket.collections().create_collection("_default", "c")
    _statement(cluster, f"CREATE PRIMARY INDEX IF NOT EXISTS ON {_PLACE}")
    collection = bucket.collection("c")
    for number, embedding in enumerate([[0.0, 3.0], [0.0, 1.0], [4.0, 0.0]]):
        collection.insert(f"i{number}", {"n": number, "e": embedding, "terms": ["a", f"t{number}"]})
    return bucket


def _statement(cluster: Any, statement: str, *, fresh: bool = True, **values: Any) -> list[Any]:
    wanted = QueryScanConsistency.REQUEST_PLUS if fresh else QueryScanConsistency.NOT_BOUNDED
    options: Any = QueryOptions(named_parameters=values, scan_consistency=wanted)
    return list(cluster.query(statement, options).rows())


def test_a_wrong_password_is_refused(couchbase: Couchbase) -> None:
    options: Any = ClusterOptions(PasswordAuthenticator(USER, "wrong"))
    with pytest.raises(AuthenticationException):
        Cluster(couchbase.url, options)


def test_an_unknown_bucket_is_refused(cluster: Any) -> None:
    with pytest.raises(BucketNotFoundException):
        cluster.bucket("nothing")


def test_keys_are_there_or_not(bucket: Any) -> None:
    collection = bucket.collection("c")
    with pytest.raises(DocumentExistsException):
        collection.insert("i0", {})
    for missing in (collection.get, collection.remove):
        with pytest.raises(DocumentNotFoundException):
            missing("nobody")
    assert collection.get("i0").content_as[dict]["n"] == 0


def test_collections_are_there_or_not(bucket: Any) -> None:
    manager = bucket.collections()
    with pytest.raises(CollectionAlreadyExistsException):
        manager.create_collection("_default", "c")
    with pytest.raises(CollectionNotFoundException):
        manager.drop_collection("_default", "nothing")
    with pytest.raises(ScopeNotFoundException):
        manager.create_collection("nothing", "c")
    with pytest.raises(InvalidArgumentException):
        manager.create_collection("_default", "_c")


def test_statements_read_what_exists(cluster: Any, bucket: Any) -> None:
    text = f"SELECT META(d).id AS k, d.n FROM {_PLACE} AS d WHERE d.n >= $n ORDER BY META(d).id"
    assert _statement(cluster, text, n=1) == [{"k": "i1", "n": 1}, {"k": "i2", "n": 2}]
    text = f"SELECT RAW COUNT(*) FROM {_PLACE} AS d WHERE ANY t IN d.terms SATISFIES t IN $t END"
    assert _statement(cluster, text, t=["t0", "t2", "x"]) == [2]
    text = f"SELECT RAW COUNT(*) FROM {_PLACE} AS d WHERE d.none > 1 OR NOT d.none > 1"
    assert _statement(cluster, text) == [0]


@pytest.mark.parametrize(
    ("metric", "nearest"),
    [("EUCLIDEAN", ["i1", "i0"]), ("DOT", ["i0", "i1"]), ("COSINE", ["i0", "i1"])],
)
def test_vectors_are_ranked(cluster: Any, bucket: Any, metric: str, nearest: list[str]) -> None:
    text = (
        f"SELECT RAW META(d).id FROM {_PLACE} AS d "
        f'ORDER BY VECTOR_DISTANCE(d.e, $v, "{metric}") LIMIT 2'
    )
    assert _statement(cluster, text, v=[0.0, 1.0]) == nearest
    for bad in ([1.0], [1.0, 2.0, 3.0]):
        with pytest.raises(ParsingFailedException):
            _statement(cluster, text, v=bad)


def test_what_is_not_waited_for_is_not_seen(cluster: Any, bucket: Any) -> None:
    text = f"SELECT d.n FROM {_PLACE} AS d WHERE TRUE"
    assert len(_statement(cluster, text)) == 3
    assert _statement(cluster, text, fresh=False) == []


def test_statements_that_cannot_be_are_refused(cluster: Any, bucket: Any) -> None:
    for bad in ("", "d.n ==", "d.n = $nobody", "NEAR(d.e)", "TRUE; DROP", "d.`n"):
        with pytest.raises(ParsingFailedException):
            _statement(cluster, f"SELECT d.n FROM {_PLACE} AS d WHERE {bad}")
    with pytest.raises(KeyspaceNotFoundException):
        _statement(cluster, f"SELECT d.n FROM `{BUCKET}`.`_default`.`x` AS d WHERE TRUE")
    bucket.collections().create_collection("_default", "bare")
    with pytest.raises(QueryIndexNotFoundException):
        _statement(cluster, f"SELECT d.n FROM `{BUCKET}`.`_default`.`bare` AS d WHERE TRUE")
