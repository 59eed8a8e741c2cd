"""The fake of a Cassandra node refuses what a node refuses, through the driver."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.packages import needs

needs("cassandra", extra="cassandra")

from cassandra import InvalidRequest  # noqa: E402 - after the check
from cassandra.auth import PlainTextAuthProvider  # noqa: E402 - after the check
from cassandra.cluster import Cluster, NoHostAvailable  # noqa: E402 - after the check
from cassandra.protocol import SyntaxException  # noqa: E402 - after the check

from tests.services.cassandra import PASSWORD, USER, Cassandra  # noqa: E402 - after the check

_TABLE = '"praisonai"."t"'


def _cluster(node: Cassandra, password: str = PASSWORD) -> Any:
    return Cluster(
        ["127.0.0.1"],
        port=node.port,
        protocol_version=4,
        auth_provider=PlainTextAuthProvider(USER, password),
        schema_metadata_enabled=False,
    )


@pytest.fixture
def node() -> Iterator[Cassandra]:
    """A fake node."""
    node = Cassandra()
    yield node
    node.close()


@pytest.fixture
def session(node: Cassandra) -> Iterator[Any]:
    """A session, and a table with some rows."""
    cluster = _cluster(node)
    session = cluster.connect()
    session.execute(
        f"CREATE TABLE IF NOT EXISTS {_TABLE} "
        "(id text PRIMARY KEY, n int, terms set<text>, e vector<float, 2>)"
    )
    insert = session.prepare(f"INSERT INTO {_TABLE} (id, n, terms, e) VALUES (?, ?, ?, ?)")
    for number, vector in enumerate([[0.0, 3.0], [1.0, 0.0], [1.0, 1.0]]):
        session.execute(insert, (f"i{number}", number, {"a", f"t{number}"}, vector))
    yield session
    cluster.shutdown()


def _rows(session: Any, text: str, *values: Any) -> list[Any]:
    return list(session.execute(session.prepare(text), values))


def test_a_wrong_password_is_refused(node: Cassandra) -> None:
    cluster = _cluster(node, "wrong")
    with pytest.raises(NoHostAvailable, match="incorrect"):
        cluster.connect()
    cluster.shutdown()


def test_rows_are_read_by_key(session: Any) -> None:
    (row,) = _rows(session, f"SELECT id, n, terms, e FROM {_TABLE} WHERE id = ?", "i1")
    assert (row.id, row.n, set(row.terms), list(row.e)) == ("i1", 1, {"a", "t1"}, [1.0, 0.0])


def test_what_is_unknown_is_refused(session: Any) -> None:
    for text in (
        f"SELECT nothing FROM {_TABLE}",
        'SELECT id FROM "praisonai"."nothing"',
        'SELECT id FROM "nothing"."t"',
    ):
        with pytest.raises(InvalidRequest):
            _rows(session, text)
    for text in (f"SELECT id FROM {_TABLE} WHERE id = ? OR id = ?", "SELEC", "DROP TABLE t"):
        with pytest.raises(SyntaxException):
            session.execute(text)


def test_what_has_no_index_is_refused(session: Any) -> None:
    contains = f"SELECT id FROM {_TABLE} WHERE terms CONTAINS ?"
    nearest = f"SELECT id FROM {_TABLE} ORDER BY e ANN OF ? LIMIT ?"
    for text in (contains, nearest):
        with pytest.raises(InvalidRequest):
            _rows(session, text)
    for column in ("terms", "e"):
        session.execute(
            f'CREATE CUSTOM INDEX IF NOT EXISTS "{column}" ON {_TABLE} ({column}) '
            "USING 'StorageAttachedIndex'"
        )
    assert [row.id for row in _rows(session, contains, "t2")] == ["i2"]
    assert [row.id for row in _rows(session, nearest, [0.0, 1.0], 2)] == ["i0", "i2"]
    with pytest.raises(InvalidRequest, match="1000"):
        _rows(session, nearest, [0.0, 1.0], 1001)


def test_vectors_have_their_dimension(session: Any) -> None:
    with pytest.raises((InvalidRequest, TypeError, ValueError)):
        _rows(session, f"INSERT INTO {_TABLE} (id, e) VALUES (?, ?)", "x", [1.0])


def test_what_exists_is_not_applied(session: Any) -> None:
    text = f"INSERT INTO {_TABLE} (id, n, terms, e) VALUES (?, ?, ?, ?) IF NOT EXISTS"
    assert [row[0] for row in _rows(session, text, "i0", 1, None, None)] == [False]
    assert [row[0] for row in _rows(session, text, "new", 1, None, None)] == [True]


def test_names_of_tables_end(session: Any) -> None:
    with pytest.raises(InvalidRequest, match="48"):
        session.execute(
            f'CREATE TABLE IF NOT EXISTS "praisonai"."{"t" * 49}" (id text PRIMARY KEY)'
        )


def test_pages_go_on_where_they_ended(session: Any) -> None:
    bound = session.prepare(f"SELECT id FROM {_TABLE}").bind([])
    bound.fetch_size = 2
    page = session.execute(bound)
    assert [row.id for row in page.current_rows] == ["i0", "i1"]
    session.execute(session.prepare(f"DELETE FROM {_TABLE} WHERE id = ?"), ["i1"])
    rest = session.execute(bound, paging_state=page.paging_state)
    assert [row.id for row in rest.current_rows] == ["i2"]
    assert rest.paging_state is None
