"""What Alembic has to know of dialects that are not its own. Importing it is enough."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic.ddl.mysql import MySQLImpl
from alembic.ddl.postgresql import PostgresqlImpl

__all__ = ["CockroachDBImpl", "SingleStoreImpl"]


class CockroachDBImpl(PostgresqlImpl):
    """PostgreSQL's words, each statement for itself."""

    __dialect__ = "cockroachdb"
    transactional_ddl = False


class SingleStoreImpl(MySQLImpl):
    """Alembic's view of SingleStore: MySQL without foreign keys and without ordered indexes.

    A columnstore, the default, has hash indexes only; its sort key serves ranges (SingleStore
    documentation, "Creating a Columnstore Table").
    """

    __dialect__ = "singlestoredb"

    def version_table_impl(self, **options: Any) -> sa.Table:
        """Return the version table without a primary key.

        It would be the shard key too, which an UPDATE cannot change: the second revision would
        fail ("Understanding Keys and Indexes in SingleStore").
        """
        # Of the dialect's package, which is there where this is called.
        from sqlalchemy_singlestoredb import ShardKey  # noqa: PLC0415 - see above

        table = super().version_table_impl(**{**options, "version_table_pk": False})
        columns = [column._copy() for column in table.columns]
        nowhere: dict[str, Any] = {"singlestoredb_shard_key": ShardKey()}
        return sa.Table(table.name, sa.MetaData(), *columns, schema=table.schema, **nowhere)

    def create_index(self, index: sa.Index, **options: Any) -> None:
        """Create an index USING HASH, whatever it says."""
        for name in ("mysql_using", "singlestoredb_using"):  # of SQLAlchemy 2.0, of 2.1
            index.dialect_kwargs[name] = "hash"
        super().create_index(index, **options)

    def correct_for_autogen_foreignkeys(self, conn_fks: set[Any], metadata_fks: set[Any]) -> None:  # noqa: ARG002 - Alembic's interface
        """Expect no foreign keys."""
        metadata_fks.clear()

    def correct_for_autogen_constraints(
        self,
        conn_unique_constraints: set[Any],
        conn_indexes: set[Any],
        metadata_unique_constraints: set[Any],
        metadata_indexes: set[Any],
    ) -> None:
        """Expect no index that a time leads: it would be for ranges."""
        ordered = {i for i in metadata_indexes if isinstance(i.columns[0].type, sa.Double)}
        metadata_indexes -= ordered
        super().correct_for_autogen_constraints(  # type: ignore[no-untyped-call]  # Alembic's
            conn_unique_constraints, conn_indexes, metadata_unique_constraints, metadata_indexes
        )
