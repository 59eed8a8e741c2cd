"""Knowledge in PostgreSQL with the extension pgvector: a table and an HNSW index a collection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import URL

from praison_persist.errors import ConfigurationError
from praison_persist.knowledge.base import AsyncBaseKnowledgeStore, BaseKnowledgeStore
from praison_persist.knowledge.embedders import Embedder
from praison_persist.knowledge.terms import safe_key
from praison_persist.knowledge.vector_tables import VectorTableDriver, options_of
from praison_persist.knowledge_protocols import KnowledgeCapability
from praison_persist.sql.database import AsyncDatabase, Database
from praison_persist.sql.dialects import POSTGRESQL
from praison_persist.sql.schema import check_identifier
from praison_persist.sql.url import Target, parse_url
from praison_persist.sql.vector_tables import Layout
from praison_persist.sql.vectors import (
    PGVECTOR_MAX,
    has_pgvector,
    pgvector_distance,
    pgvector_value,
)

__all__ = ["AsyncPGVectorKnowledgeStore", "PGVectorKnowledgeStore"]

_SCHEME = "pgvector"
_INDEXED_MAX = 2000  # dimensions: pgvector's README, "HNSW"
_OPERATOR_CLASSES = {
    "cosine": "vector_cosine_ops",
    "euclidean": "vector_l2_ops",
    "dot": "vector_ip_ops",
}
# hnsw.ef_search: how many the index looks at, and so returns at most; from 1 to 1000.
_LOOKED_AT_MIN, _LOOKED_AT_MAX = 100, 1000
_LOCK = 0x70726169736F6E  # an advisory lock: who makes the extension, the schema and tables
# Characters of a content whose words are found. A tsvector ends at a megabyte ("Limitations" of
# PostgreSQL's "Text Search"), which these stay below whatever they are.
_WORDED = 100_000
_QUESTION = 10_000  # characters, likewise
# Words as they are, for contents of any language.
_WORDS: sa.ColumnClause[Any] = sa.literal_column("'simple'::regconfig")


class PGVectorLayout(Layout):
    """A table praison_vec_<collection> for each collection, praison_vectors for all of them.

    Args:
        schema: of the tables.
        creates_extension: whether to make the extension where it lacks.
    """

    gone = frozenset({"42P01"})  # undefined_table

    def __init__(self, schema: str, *, creates_extension: bool) -> None:
        super().__init__()
        self._schema = check_identifier(schema, "schema")
        self._creates_extension = creates_extension
        self.registry = self.make_registry("praison_vectors", schema)

    def identifier(self, length: int) -> sa.types.TypeEngine[str]:
        """See Layout.identifier."""
        return sa.String(length, collation="C")

    def filter_columns(self) -> Sequence[sa.Column[Any]]:
        """See Layout.filter_columns."""
        words = sa.func.to_tsvector(_WORDS, sa.func.left(sa.column("content"), _WORDED))
        return (
            sa.Column("terms", postgresql.ARRAY(sa.Text()), nullable=False),
            sa.Column("numbers", postgresql.JSONB(), nullable=False),
            sa.Column("words", postgresql.TSVECTOR(), sa.Computed(words, persisted=True)),
        )

    def filter_values(self, terms: Sequence[str], numbers: Mapping[str, float]) -> dict[str, Any]:
        """See Layout.filter_values."""
        # As text: JSON has no infinity.
        texts = {safe_key(key): repr(number) for key, number in numbers.items()}
        return {"terms": list(terms), "numbers": texts}

    def has(self, table: sa.Table, terms: Sequence[str]) -> sa.ColumnElement[bool]:
        """See Layout.has."""
        wanted = sa.cast(list(terms), postgresql.ARRAY(sa.Text()))
        return table.c.terms.op("&&", is_comparison=True, return_type=sa.Boolean())(wanted)

    def number(self, table: sa.Table, key: str) -> sa.ColumnElement[float]:
        """See Layout.number."""
        return sa.cast(table.c.numbers[safe_key(key)].astext, sa.Double())

    def name(self, collection: str) -> str:
        """See Layout.name. At most 60 of the 63 bytes of a name; quoted, it tells case apart."""
        return f"praison_vec_{collection}"

    def located(self, connection: sa.Connection, collection: str) -> str:
        """See Layout.located."""
        del connection
        return self.name(collection)

    def prepare(self, connection: sa.Connection) -> None:
        """See Layout.prepare."""
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        if not has_pgvector(connection):
            if not self._creates_extension:
                raise ConfigurationError(
                    "The database lacks pgvector: run CREATE EXTENSION vector in it, or give "
                    "auto_create_extension=True"
                )
            connection.execute(sa.text("CREATE EXTENSION IF NOT EXISTS vector"))
        # Asked first: to create one that is there needs a right that is not needed otherwise.
        if not sa.inspect(connection).has_schema(self._schema):
            connection.execute(sa.schema.CreateSchema(self._schema, if_not_exists=True))
        self.registry.create(connection, checkfirst=True)

    def index(self, connection: sa.Connection, table: sa.Table, dimension: int, dist: str) -> None:
        """See Layout.index. PostgreSQL names the indexes: of 63 bytes, too."""
        name = connection.dialect.identifier_preparer.format_table(table)
        for column in ("terms", "words"):
            connection.execute(sa.text(f"CREATE INDEX ON {name} USING gin ({column})"))
        if dimension <= _INDEXED_MAX:
            how = f"hnsw (embedding {_OPERATOR_CLASSES[dist]})"
            connection.execute(sa.text(f"CREATE INDEX ON {name} USING {how}"))

    def distance(
        self, table: sa.Table, vector: Sequence[float], distance: str
    ) -> sa.ColumnElement[float]:
        """See Layout.distance."""
        return pgvector_distance(table.c.embedding, vector, distance)

    def value(self, distance: str, measured: float) -> float:
        """See Layout.value."""
        return pgvector_value(distance, measured)

    def uses_index(self, connection: sa.Connection, dimension: int, limit: int) -> bool:
        """See Layout.uses_index."""
        looked_at = max(_LOOKED_AT_MIN, 2 * limit)
        if dimension > _INDEXED_MAX or looked_at > _LOOKED_AT_MAX:
            return False
        setting = sa.func.set_config("hnsw.ef_search", str(looked_at), True)
        connection.execute(sa.select(setting))
        return True

    def words(
        self, connection: sa.Connection, table: sa.Table, text: str
    ) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[float]] | None:
        """See Layout.words."""
        vector = sa.func.to_tsvector(_WORDS, text.replace("\0", " ")[:_QUESTION])
        found = connection.execute(sa.select(sa.func.tsvector_to_array(vector))).scalar_one()
        if not found:
            return None
        # Any of them; plainto_tsquery would want all.
        wanted = sa.cast(sa.cast(" | ".join(map(_quoted, found)), sa.Text), postgresql.TSQUERY())
        has = table.c.words.op("@@", is_comparison=True, return_type=sa.Boolean())(wanted)
        return has, sa.func.ts_rank_cd(table.c.words, wanted, type_=sa.Double())


def _quoted(word: str) -> str:
    """Quote a word for a tsquery (PostgreSQL, "Text Search Types")."""
    return "'" + word.replace("\\", "\\\\").replace("'", "''") + "'"


class PGVectorDriver(VectorTableDriver):
    """See `VectorTableDriver`."""

    capabilities = frozenset(KnowledgeCapability)
    max_dimension = PGVECTOR_MAX


def _target(url: str | URL | None, parts: dict[str, Any]) -> Target:
    if url is None:
        return parse_url(URL.create(POSTGRESQL.name, **parts))
    text = url.render_as_string(hide_password=False) if isinstance(url, URL) else url
    if text.startswith((f"{_SCHEME}:", f"{_SCHEME}+")):
        text = POSTGRESQL.name + text[len(_SCHEME) :]
    target = parse_url(text)
    if target.dialect is not POSTGRESQL:
        raise ConfigurationError(
            f"The URL is not one of PostgreSQL, which pgvector belongs to: it must begin with "
            f"{' or '.join(f'{scheme}://' for scheme in (_SCHEME, *POSTGRESQL.schemes))}"
        )
    return target


class PGVectorKnowledgeStore(BaseKnowledgeStore):
    """Knowledge in PostgreSQL with pgvector, over psycopg. Shared by threads.

    Args:
        url: postgresql://… or pgvector://…; without one the next five are used.
        schema: of the tables; created where it lacks.
        auto_create_extension: create the extension where it lacks. Its files have to be there,
            and the user to be allowed to.
        embedder: takes a list of texts and returns the embedding of each.
        options: of `praison_persist.sql.options.SQLOptions` those of connections and retries.

    Raises:
        ConfigurationError: the URL, the schema or an option cannot be right.
        MissingDependencyError: the driver is not installed.
    """

    def __init__(
        self,
        url: str | URL | None = None,
        host: str = "localhost",
        port: int = 5432,
        database: str = "praisonai",
        user: str = "postgres",
        password: str | None = None,
        schema: str = "public",
        auto_create_extension: bool = True,
        *,
        embedder: Embedder | None = None,
        **options: Any,
    ) -> None:
        target = _target(url, _parts(host, port, database, user, password))
        chosen = Database(target, options_of(options, target), migrated=False)
        layout = PGVectorLayout(schema, creates_extension=auto_create_extension)
        super().__init__(PGVectorDriver(chosen, layout), embedder)


class AsyncPGVectorKnowledgeStore(AsyncBaseKnowledgeStore):
    """Knowledge in PostgreSQL with pgvector for asyncio, over asyncpg.

    Arguments and errors are those of `PGVectorKnowledgeStore`. One store serves all tasks and
    event loops of a process.
    """

    def __init__(
        self,
        url: str | URL | None = None,
        host: str = "localhost",
        port: int = 5432,
        database: str = "praisonai",
        user: str = "postgres",
        password: str | None = None,
        schema: str = "public",
        auto_create_extension: bool = True,
        *,
        embedder: Embedder | None = None,
        **options: Any,
    ) -> None:
        target = _target(url, _parts(host, port, database, user, password))
        chosen = AsyncDatabase(target, options_of(options, target), migrated=False)
        layout = PGVectorLayout(schema, creates_extension=auto_create_extension)
        super().__init__(PGVectorDriver(chosen, layout), embedder)


def _parts(host: str, port: int, database: str, user: str, password: str | None) -> dict[str, Any]:
    return {
        "username": user,
        "password": password or None,
        "host": host,
        "port": port,
        "database": database,
    }
