"""The imitation of SingleStore does with vectors what SingleStore's reference says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, ProgrammingError

from tests.servers import engine


@pytest.fixture
def connection(singlestore_database: str) -> Iterator[sa.Connection]:
    own = engine(singlestore_database, database=True)
    with own.connect() as connection:
        connection.exec_driver_sql(
            "CREATE TABLE v (id BIGINT NOT NULL, embedding VECTOR(3) NOT NULL, j JSON, "
            "PRIMARY KEY (id), SORT KEY (id))"
        )
        connection.exec_driver_sql("INSERT INTO v VALUES (1, '[1,2,2]', '[\"a\", \"1\"]')")
        connection.exec_driver_sql("INSERT INTO v VALUES (2, '[0.5,0,-1]', '{\"k\": 2.5}')")
        yield connection
        connection.rollback()
        connection.exec_driver_sql("DROP TABLE v")


def _one(connection: sa.Connection, what: str, number: int = 1) -> Any:
    return connection.exec_driver_sql(f"SELECT {what} FROM v WHERE id = {number}").scalar_one()


def test_operators_are_functions(connection: sa.Connection) -> None:
    assert _one(connection, "embedding <*> '[1,0.5,0]'") == 2
    assert _one(connection, "DOT_PRODUCT(embedding, embedding)") == 9
    assert _one(connection, "v.embedding <*> v.embedding") == 9
    assert _one(connection, "embedding <-> '[1,2,5]'") == 3
    assert _one(connection, "EUCLIDEAN_DISTANCE(embedding, '[1,2,5]')") == 3
    found = connection.exec_driver_sql("SELECT id FROM v ORDER BY embedding <-> '[0,0,-1]'")
    assert list(found.scalars()) == [2, 1]


def test_vectors_are_shown_as_json(connection: sa.Connection) -> None:
    assert json.loads(_one(connection, "embedding :> JSON", 2)) == [0.5, 0, -1]


@pytest.mark.parametrize("bad", ["[1,2]", "[1,2,3,4]"])
def test_another_dimension_is_refused(connection: sa.Connection, bad: str) -> None:
    with pytest.raises(DBAPIError):
        connection.exec_driver_sql(f"INSERT INTO v VALUES (3, '{bad}', '[]')")


def test_texts_in_arrays_are_found(connection: sa.Connection) -> None:
    for text, there in (("a", 1), ("1", 1), ("A", 0), ("", 0)):
        assert _one(connection, f"JSON_ARRAY_CONTAINS_STRING(j, '{text}')") == there


def test_numbers_of_objects_are_found(connection: sa.Connection) -> None:
    assert _one(connection, "JSON_EXTRACT_DOUBLE(j, 'k')", 2) == 2.5
    assert _one(connection, "JSON_EXTRACT_DOUBLE(j, 'other')", 2) is None


def test_what_looks_like_an_operator_in_a_text_is_text(connection: sa.Connection) -> None:
    connection.exec_driver_sql("UPDATE v SET j = '[\"a <*> b :> JSON\"]' WHERE id = 1")
    assert json.loads(_one(connection, "j")) == ["a <*> b :> JSON"]


def test_a_table_that_is_not_there_is_told(connection: sa.Connection) -> None:
    with pytest.raises(ProgrammingError) as caught:
        connection.exec_driver_sql("SELECT embedding <*> '[1,2,3]' FROM missing")
    assert caught.value.orig is not None
    assert caught.value.orig.args[0] == 1146
