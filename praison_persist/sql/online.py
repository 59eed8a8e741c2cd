"""`op.create_index_online`: an index for a table that others write to meanwhile.

Loaded by migrations/env.py: a revision finds it at Alembic's `op` and imports nothing of ours.
"""

from __future__ import annotations

from contextlib import nullcontext

import sqlalchemy as sa
from alembic.operations import MigrateOperation, Operations

__all__ = ["CreateIndexOnline"]

# PostgreSQL manual, CREATE INDEX, "Building Indexes Concurrently".
_INVALID = """
SELECT count(*) FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE relname = :name AND nspname = COALESCE(CAST(:schema AS text), current_schema())
  AND NOT indisvalid
"""


@Operations.register_operation("create_index_online")
class CreateIndexOnline(MigrateOperation):
    """An index that is to be created beside readers and writers."""

    def __init__(self, name: str, table: str, columns: list[str], schema: str | None) -> None:
        """Args: the index's name; its table's name, columns in order, and schema."""
        self.name, self.table, self.columns, self.schema = name, table, columns, schema

    @classmethod
    def create_index_online(
        cls,
        operations: Operations,
        name: str,
        table: str,
        columns: list[str],
        *,
        schema: str | None = None,
    ) -> None:
        """Create an index while others read and write its table.

        One that is there is kept, and what an interrupted build left is replaced, so that the
        revision can be run again. On PostgreSQL the index is built outside a transaction: what the
        revision did before is committed. MySQL and MariaDB build it so by default
        (dev.mysql.com/doc, "InnoDB and Online DDL"), CockroachDB always. On SQLite writers wait.
        """
        operations.invoke(cls(name, table, columns, schema))


@Operations.implementation_for(CreateIndexOnline)
def _create_index_online(operations: Operations, wanted: CreateIndexOnline) -> None:
    context = operations.get_context()
    concurrent = context.dialect.name == "postgresql"
    with context.autocommit_block() if concurrent else nullcontext():
        if not context.as_sql:
            connection = operations.get_bind()
            if concurrent:
                _drop_invalid(operations, connection, wanted)
            indexes = sa.inspect(connection).get_indexes(wanted.table, wanted.schema)
            if wanted.name in {index["name"] for index in indexes}:
                return
        operations.create_index(
            wanted.name,
            wanted.table,
            wanted.columns,
            schema=wanted.schema,
            postgresql_concurrently=True,
        )


def _drop_invalid(
    operations: Operations, connection: sa.Connection, wanted: CreateIndexOnline
) -> None:
    """Drop an index whose build was interrupted: it costs every write, and no query uses it."""
    parameters = {"name": wanted.name, "schema": wanted.schema}
    if connection.scalar(sa.text(_INVALID), parameters):
        operations.drop_index(
            wanted.name, wanted.table, schema=wanted.schema, postgresql_concurrently=True
        )
