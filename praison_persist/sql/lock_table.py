"""The table whose only row stands for the tables of one prefix, where a row is the migration lock.

The only table that Alembic does not make: its own version table is made under the lock.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from praison_persist.sql.schema import Tables

__all__ = ["FREE", "FREE_ROW", "lock_table", "make_lock_table"]

FREE: Final = ""  # in place of a server
FREE_ROW: Final[dict[str, int]] = {"id": 1}


def lock_table(tables: Tables) -> sa.Table:
    """Return the table: of a cluster's servers it says which one has the lock (lease.py)."""
    return sa.Table(
        f"{tables.prefix}migration_lock",
        sa.MetaData(schema=tables.schema),
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("server", sa.String(64), nullable=False, server_default=FREE),
        sa.Column("beats", sa.BigInteger(), nullable=False, server_default="0"),
    )


def make_lock_table(connection: sa.Connection, tables: Tables) -> sa.Table:
    """Make the table, and the schema it is in, if they are absent."""
    inspector = sa.inspect(connection)
    if tables.schema is not None and not inspector.has_schema(tables.schema):
        connection.execute(sa.schema.CreateSchema(tables.schema, if_not_exists=True))
    lock = lock_table(tables)
    if not inspector.has_table(lock.name, lock.schema):
        connection.execute(sa.schema.CreateTable(lock, if_not_exists=True))
    return lock
