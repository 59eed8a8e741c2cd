"""Embeddings in the vector types of databases, which measure distances themselves.

They are sent and read as text, such as "[0.5,1]", which drivers of either colour can handle.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import UserDefinedType

__all__ = ["PGVECTOR_MAX", "Vector", "has_pgvector", "pgvector_distance", "pgvector_value"]

PGVECTOR_MAX = 16_000  # dimensions: pgvector's README, "Vector Type"
# pgvector's README, "Querying": cosine distance, Euclidean distance, negative inner product.
_OPERATORS = {"cosine": "<=>", "euclidean": "<->", "dot": "<#>"}


class Vector(UserDefinedType[list[float]]):
    """A vector of numbers of single precision: pgvector's type, and SingleStore's.

    Args:
        dimension: of a column; None: any.
    """

    cache_ok = True

    def __init__(self, dimension: int | None = None) -> None:
        self.dimension = dimension

    def get_col_spec(self, **_kw: Any) -> str:
        """Return the type as CREATE TABLE names it."""
        return "VECTOR" if self.dimension is None else f"VECTOR({self.dimension})"

    def bind_processor(self, dialect: Dialect) -> Any:  # noqa: ARG002 - the type's interface
        """Write it as text."""
        return lambda value: "[" + ",".join(map(repr, value)) + "]"

    def bind_expression(self, bindvalue: sa.BindParameter[Any]) -> Any:
        """Say in SQL that the text is a vector."""
        return _Sent(bindvalue)

    def column_expression(self, colexpr: sa.ColumnElement[Any]) -> Any:
        """Ask for the text."""
        read = _Read(colexpr)
        read.type = self
        return read

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:  # noqa: ARG002 - the type's interface
        """Read the text."""
        # SingleStore's client may have parsed it.
        return lambda value: json.loads(value) if isinstance(value, str | bytes) else value


class _Sent(FunctionElement[Any]):
    """A vector as it is sent: a text, which SingleStore takes as it is."""

    inherit_cache = True


@compiles(_Sent)
def _compile_sent(element: _Sent, compiler: SQLCompiler, **options: Any) -> str:
    return compiler.process(element.clauses, **options)


@compiles(_Sent, "postgresql")
def _compile_sent_as_text(element: _Sent, compiler: SQLCompiler, **options: Any) -> str:
    # asyncpg knows no vectors.
    return f"CAST(CAST({compiler.process(element.clauses, **options)} AS TEXT) AS VECTOR)"


class _Read(FunctionElement[Any]):
    """A vector as text. All digits are there: nine tell numbers of single precision apart."""

    inherit_cache = True


@compiles(_Read)
def _compile_read(element: _Read, compiler: SQLCompiler, **options: Any) -> str:
    return f"CAST({compiler.process(element.clauses, **options)} AS TEXT)"


@compiles(_Read, "singlestoredb")
def _compile_read_as_json(element: _Read, compiler: SQLCompiler, **options: Any) -> str:
    # SingleStore reference, "Vector Type": the cast is the same whatever the session's format is.
    return f"{compiler.process(element.clauses, **options)} :> JSON"


def has_pgvector(connection: sa.Connection) -> bool:
    """Whether the database is a PostgreSQL with the extension vector."""
    if connection.dialect.name != "postgresql":
        return False
    # As text: asyncpg knows no regtype.
    found = sa.select(sa.cast(sa.func.to_regtype("vector"), sa.Text))
    return connection.execute(found).scalar() is not None


def pgvector_distance(
    stored: sa.ColumnElement[Any], vector: Sequence[float], distance: str
) -> sa.ColumnElement[float]:
    """Return what pgvector measures: the least is the nearest."""
    wanted = sa.literal(list(vector), Vector())
    return stored.op(_OPERATORS[distance], return_type=sa.Double())(wanted)


def pgvector_value(distance: str, measured: float) -> float:
    """Return the cosine, the Euclidean distance, or the dot product of what it measured."""
    return {"cosine": 1 - measured, "euclidean": measured, "dot": -measured}[distance]
