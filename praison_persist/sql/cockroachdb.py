"""SQLAlchemy dialects for CockroachDB: PostgreSQL's, without what they ask only PostgreSQL.

Named "cockroachdb", as everywhere, and registered under a name of our own, so that the package
sqlalchemy-cockroachdb may be used beside.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg, PGDialectAsync_psycopg

__all__ = ["AsyncPsycopg", "Asyncpg", "Psycopg"]

# Of the PostgreSQL whose catalog SQLAlchemy may expect; version() says "CockroachDB CCL v25.2.0",
# which it does not understand. sqlalchemy-cockroachdb says the same.
_LIKE_POSTGRESQL = (9, 5, 0)

_TABLES = sa.table(
    "tables",
    *map(sa.column, ("table_schema", "table_name", "table_type")),
    schema="information_schema",
)
_COLUMNS = sa.table(
    "columns",
    *map(sa.column, ("table_schema", "table_name", "column_name", "ordinal_position")),
    *map(sa.column, ("data_type", "is_nullable", "column_default", "character_maximum_length")),
    schema="information_schema",
)


class _CockroachDB:
    """What differs from SQLAlchemy's dialect of the same driver.

    Tables and columns are read from the information schema, which CockroachDB documents; indexes
    and constraints from PostgreSQL's catalog, as sqlalchemy-cockroachdb does.
    """

    name = "cockroachdb"
    supports_statement_cache = True
    ischema_names: dict[str, Any]

    def _get_server_version_info(self, connection: sa.Connection) -> tuple[int, ...]:  # noqa: ARG002 - SQLAlchemy's interface
        return _LIKE_POSTGRESQL

    def has_table(
        self, connection: sa.Connection, table_name: str, schema: str | None = None, **_kw: Any
    ) -> bool:
        c = _TABLES.c
        query = sa.select(c.table_name).where(c.table_schema == _schema(schema))
        return connection.scalar(query.where(c.table_name == table_name)) is not None

    def get_table_names(
        self, connection: sa.Connection, schema: str | None = None, **_kw: Any
    ) -> list[str]:
        c = _TABLES.c
        query = sa.select(c.table_name).where(c.table_schema == _schema(schema))
        return list(connection.scalars(query.where(c.table_type == "BASE TABLE")))

    def get_multi_columns(self, connection: Any, *_: Any, **kw: Any) -> Any:
        schema, names, c = kw["schema"], kw["filter_names"], _COLUMNS.c
        query = sa.select(_COLUMNS).where(c.table_schema == _schema(schema))
        if names:
            query = query.where(c.table_name.in_(names))
        found: dict[tuple[str | None, str], list[dict[str, Any]]] = {}
        for row in connection.execute(query.order_by(c.table_name, c.ordinal_position)):
            found.setdefault((schema, row.table_name), []).append(self._column(row))
        return found.items()

    # Nothing of ours is told by these, and their queries change with SQLAlchemy.

    def get_multi_table_options(self, connection: Any, *_: Any, **kw: Any) -> Any:
        return self._all_alike({}, connection, kw["schema"], kw["filter_names"])

    def get_multi_table_comment(self, connection: Any, *_: Any, **kw: Any) -> Any:
        return self._all_alike({"text": None}, connection, kw["schema"], kw["filter_names"])

    def get_multi_check_constraints(self, connection: Any, *_: Any, **kw: Any) -> Any:
        return self._all_alike([], connection, kw["schema"], kw["filter_names"])

    def _all_alike(self, found: Any, connection: Any, schema: Any, names: Any) -> Any:
        names = names or self.get_table_names(connection, schema)
        return {(schema, name): found for name in names}.items()

    def _column(self, row: sa.Row[Any]) -> dict[str, Any]:
        kind = self.ischema_names.get(row.data_type, sa.types.NullType)
        length = row.character_maximum_length
        return {
            "name": row.column_name,
            "type": kind() if length is None else kind(length),
            "nullable": row.is_nullable == "YES",
            "default": row.column_default,
            "comment": None,
        }


def _schema(name: str | None) -> Any:
    return sa.func.current_schema() if name is None else name


class _Psycopg(_CockroachDB):
    def __init__(self, **options: Any) -> None:
        # Its type would be looked for in the catalog with each engine.
        super().__init__(**{"use_native_hstore": False, **options})

    def on_connect(self) -> Any:
        """Return what is done with each new connection: numbers come as text, and are to be exact.

        How many digits they have otherwise depends on the version
        (cockroachlabs.com/docs/stable/set-vars, "extra_float_digits").
        """
        usual: Any = super().on_connect()  # type: ignore[misc]  # of the driver's dialect

        def connect(connection: Any) -> None:
            usual(connection)
            cursor = connection.cursor()
            cursor.execute("SET extra_float_digits = 3")
            cursor.close()
            connection.commit()

        return connect


class Psycopg(_Psycopg, PGDialect_psycopg):
    """CockroachDB over psycopg."""

    supports_statement_cache = True

    @classmethod
    def get_async_dialect_cls(cls, url: sa.URL) -> type[PGDialectAsync_psycopg]:  # noqa: ARG003 - SQLAlchemy's interface
        """Return what create_async_engine uses."""
        return AsyncPsycopg


class AsyncPsycopg(_Psycopg, PGDialectAsync_psycopg):
    """CockroachDB over psycopg, for asyncio."""

    supports_statement_cache = True


class Asyncpg(_CockroachDB, PGDialect_asyncpg):
    """CockroachDB over asyncpg."""

    supports_statement_cache = True

    async def setup_asyncpg_json_codec(self, conn: Any) -> None:
        """Leave it: there is no json (github.com/cockroachdb/cockroach/issues/9990)."""

    async def setup_asyncpg_jsonb_codec(self, conn: Any) -> None:
        """Leave it: no column of ours has the type, and asyncpg would query the catalog."""
