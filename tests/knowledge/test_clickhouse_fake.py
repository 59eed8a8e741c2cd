"""The HTTP interface in front of chdb answers clickhouse-connect as ClickHouse does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.packages import needs
from tests.servers import free_port

needs("clickhouse_connect", "chdb", extra="knowledge")

import clickhouse_connect  # noqa: E402 - once it is there
from clickhouse_connect.driver.exceptions import DatabaseError, Error  # noqa: E402 - as above

from tests.services.clickhouse import PASSWORD, clickhouse  # noqa: E402 - as above


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    with clickhouse(free_port()) as server:
        client = clickhouse_connect.get_client(
            host="127.0.0.1", port=server.port, password=PASSWORD, form_encode_query_params=True
        )
        client.command("CREATE TABLE t (id String, v Array(Float32)) ENGINE = Memory")
        client.insert("t", [["a", [1.0, 2.0]], ["it's", [0.5, 0.0]]], ["id", "v"])
        yield client
        client.close()


def test_parameters_are_bound(client: Any) -> None:
    for name in ("a", "it's", "b' OR 1=1 --"):
        found = client.query("SELECT count() FROM t WHERE id = {n:String}", {"n": name})
        assert found.result_rows == [(int(name != "b' OR 1=1 --"),)]


def test_vectors_come_back(client: Any) -> None:
    found = client.query("SELECT v FROM t WHERE has({ids:Array(String)}, id)", {"ids": ["it's"]})
    assert [list(row[0]) for row in found.result_rows] == [[0.5, 0.0]]


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("SELECT * FROM missing", 60),
        ("SELECT * FROM missing.t", 81),
        ("SELECT missing FROM t", 47),
        ("SELEC 1", 62),
        ("CREATE TABLE t (id String) ENGINE = Memory", 57),
        ("SELECT L2Distance([1, 2], [1])", 190),
        ("SELECT {n:UInt8}", 456),
    ],
)
def test_errors_have_codes(client: Any, statement: str, code: int) -> None:
    with pytest.raises(DatabaseError) as caught:
        client.query(statement)
    error: Error = caught.value
    assert error.code == code


def test_a_wrong_password_is_refused(client: Any) -> None:
    with pytest.raises(Error) as caught:
        clickhouse_connect.get_client(host="127.0.0.1", port=_port(client), password="no")
    assert caught.value.code == 516


def _port(client: Any) -> int:
    return int(client.url.rpartition(":")[2].strip("/"))
