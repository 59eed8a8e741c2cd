"""Knowledge in SingleStore: a table with a column of its type VECTOR for each collection.

A search is exact: all vectors that match are measured, in parallel by the database. Its vector
indexes are not used, because they find the nearest of all documents before it is known which match.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from math import sqrt
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.engine import URL
from sqlalchemy.types import UserDefinedType

from praison_persist._flow import Flow
from praison_persist.errors import ConfigurationError, InvalidDataError, NotFoundError
from praison_persist.knowledge.base import BaseKnowledgeStore
from praison_persist.knowledge.checks import validate_dimension
from praison_persist.knowledge.embedders import Embedder
from praison_persist.knowledge.terms import token
from praison_persist.knowledge.vector_tables import VectorTableDriver, options_of
from praison_persist.models import KnowledgeCollection
from praison_persist.sql.database import Database
from praison_persist.sql.dialects import SINGLESTORE
from praison_persist.sql.schema import check_identifier
from praison_persist.sql.types import JSONDocument, LongText
from praison_persist.sql.url import Target, parse_url
from praison_persist.sql.vector_tables import Layout

__all__ = ["SingleStoreVectorKnowledgeStore"]

_PREFIX_MAX = 27  # characters; with what follows 60 of the 64 of a name
_SHOWN = 20  # characters of a collection's name in that of its table
# SingleStore reference, "Vector Type": infix operators of DOT_PRODUCT and EUCLIDEAN_DISTANCE.
_DOT, _EUCLIDEAN = "<*>", "<->"


class _JSON(UserDefinedType[Any]):
    """SingleStore's type, written as text."""

    cache_ok = True

    def get_col_spec(self, **_kw: Any) -> str:
        """Return the type as CREATE TABLE names it."""
        return "JSON"


class SingleStoreVectorLayout(Layout):
    """A table <prefix>vec_<collection>_<number> for each, <prefix>vectors for all of them.

    The number is new with each collection that is created: where CREATE and DROP TABLE commit, one
    that is deleted and created again at the same time must not be given the table of before.
    """

    gone = frozenset({1051, 1146})  # MySQL's "Unknown table" and "Table … doesn't exist"

    def __init__(self, prefix: str) -> None:
        super().__init__()
        self._prefix = check_identifier(prefix, "table_prefix")
        if len(prefix) > _PREFIX_MAX:
            raise ConfigurationError(f"table_prefix {prefix!r} is longer than {_PREFIX_MAX}")
        self.registry = self.make_registry(f"{prefix}vectors", None)

    def identifier(self, length: int) -> sa.types.TypeEngine[str]:
        """See Layout.identifier."""
        return mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin")

    def text(self) -> sa.types.TypeEngine[str]:
        """See Layout.text."""
        return _LongText()

    def json(self) -> sa.types.TypeEngine[Any]:
        """See Layout.json."""
        return _JSONText()

    def filter_columns(self) -> Sequence[sa.Column[Any]]:
        """See Layout.filter_columns."""
        return (
            sa.Column("terms", _JSON(), nullable=False),
            sa.Column("numbers", _JSON(), nullable=False),
        )

    def filter_values(self, terms: Sequence[str], numbers: Mapping[str, float]) -> dict[str, Any]:
        """See Layout.filter_values. As tokens: no rule of quoting or comparing text matters."""
        return {
            "terms": json.dumps([token(each) for each in terms]),
            "numbers": json.dumps({token(key): number for key, number in numbers.items()}),
        }

    def has(self, table: sa.Table, terms: Sequence[str]) -> sa.ColumnElement[bool]:
        """See Layout.has."""
        contains = sa.func.json_array_contains_string
        return sa.or_(*(contains(table.c.terms, token(each)) == 1 for each in terms))

    def number(self, table: sa.Table, key: str) -> sa.ColumnElement[float]:
        """See Layout.number."""
        return sa.func.json_extract_double(table.c.numbers, token(key), type_=sa.Double())

    def name(self, collection: str) -> str:
        """See Layout.name."""
        return f"{self._prefix}vec_{collection[:_SHOWN].lower()}_{secrets.token_hex(4)}"

    def located(self, connection: sa.Connection, collection: str) -> str:
        """See Layout.located."""
        c = self.registry.c
        found: str | None = connection.execute(
            sa.select(c.table_name).where(c.name == collection)
        ).scalar_one_or_none()
        if found is None:
            raise NotFoundError(f"The collection {collection!r} was deleted just now")
        return found

    def prepare(self, connection: sa.Connection) -> None:
        """See Layout.prepare."""
        connection.execute(sa.schema.CreateTable(self.registry, if_not_exists=True))

    def index(self, connection: sa.Connection, table: sa.Table, dimension: int, dist: str) -> None:
        """See Layout.index."""

    def distance(
        self, table: sa.Table, vector: Sequence[float], distance: str
    ) -> sa.ColumnElement[float]:
        """See Layout.distance."""
        stored = table.c.embedding
        if distance == "euclidean":
            return stored.op(_EUCLIDEAN, return_type=sa.Double())(list(vector))
        dot: Any = stored.op(_DOT, return_type=sa.Double())
        if distance == "dot":
            return _negative(dot(list(vector)))
        length = sqrt(sum(x * x for x in vector))
        return _negative(dot([x / length for x in vector]) / sa.func.sqrt(dot(stored)))

    def value(self, distance: str, measured: float) -> float:
        """See Layout.value."""
        return measured if distance == "euclidean" else -measured


def _negative(number: sa.ColumnElement[Any]) -> sa.ColumnElement[float]:
    return sa.type_coerce(-number, sa.Double())


class _LongText(LongText):
    """In UTF-8, whatever the database's own character set is."""

    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        """See LongText."""
        return dialect.type_descriptor(mysql.LONGTEXT(charset="utf8mb4"))


class _JSONText(JSONDocument):
    """As `_LongText`."""

    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        """See JSONDocument."""
        return dialect.type_descriptor(mysql.LONGTEXT(charset="utf8mb4"))


class SingleStoreVectorDriver(VectorTableDriver):
    """See `VectorTableDriver`.

    Args:
        dimension: that all collections have to have; None: any.
    """

    def __init__(
        self, database: Database, layout: SingleStoreVectorLayout, dimension: int | None
    ) -> None:
        super().__init__(database, layout)
        self._dimension = dimension

    def create(self, collection: KnowledgeCollection) -> Flow[None]:
        """See KnowledgeDriver.create."""
        if self._dimension not in (None, collection.dimension):
            raise InvalidDataError(
                f"The collection {collection.name!r} is to have {collection.dimension} dimensions, "
                f"but the store was opened with embedding_dim={self._dimension}"
            )
        return super().create(collection)


def _target(url: str | URL | None) -> Target:
    if url is None:
        raise ConfigurationError(
            "The singlestore_vector store needs url=: singlestoredb://user:password@host/database"
        )
    target = parse_url(url)
    if target.dialect is not SINGLESTORE:
        raise ConfigurationError(
            "The URL is not one of SingleStore: it must begin with singlestoredb://"
        )
    return target


class SingleStoreVectorKnowledgeStore(BaseKnowledgeStore):
    """Knowledge in SingleStore 8.5 or later, over its own client. Shared by threads.

    Args:
        url: singlestoredb://user:password@host:port/database. Required.
        table_prefix: begins the name of every table.
        embedding_dim: the dimension that all new collections have to have; None: any.
        embedder: takes a list of texts and returns the embedding of each.
        options: of `praison_persist.sql.options.SQLOptions` those of connections and retries.

    Raises:
        ConfigurationError: there is no URL, or it or an option cannot be right.
        MissingDependencyError: the client is not installed.
    """

    def __init__(
        self,
        url: str | URL | None = None,
        table_prefix: str = "praisonai_",
        embedding_dim: int | None = None,
        *,
        embedder: Embedder | None = None,
        **options: Any,
    ) -> None:
        target = _target(url)
        layout = SingleStoreVectorLayout(table_prefix)
        try:
            dimension = None if embedding_dim is None else validate_dimension(embedding_dim)
        except InvalidDataError as error:
            raise ConfigurationError(f"embedding_dim: {error}") from error
        database = Database(target, options_of(options, target), migrated=False)
        super().__init__(SingleStoreVectorDriver(database, layout, dimension), embedder)
