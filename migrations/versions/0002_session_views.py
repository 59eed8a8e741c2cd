"""Add views of sessions: forks and reverts that copy no messages, snapshots, details, state.

Revision ID: 0002
Revises: 0001

Each step looks at what is there first, so that an upgrade that died half-way can be run again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from alembic import op
from alembic.operations import ops
from alembic.util import CommandError
from sqlalchemy.dialects import mysql
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import DDLCompiler
from sqlalchemy.types import TypeEngine

revision = "0002"
down_revision: str | None = "0001"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

# SingleStore: what each table is sharded by, all of a session on one leaf, and sorted by.
SINGLESTORE_KEYS = {
    "ranges": (["session_id"], ["session_id", "at_seq", "first_seq"]),
    "snapshots": (["session_id"], ["session_id", "snapshot_id"]),
    "session_details": (["session_id"], ["session_id"]),
    "runtime_states": (["session_id"], ["session_id", "runtime_id", "turn_id"]),
}
# Of 0001: on the way to "base", rows of theirs are a reason to refuse before anything is dropped.
OLDER = (
    *("sessions", "messages", "runs", "tool_calls", "traces", "spans", "state"),
    *("collections", "documents", "terms"),
)


class _Types(NamedTuple):
    """This dialect's column types."""

    dialect: sa.Dialect

    def id(self) -> TypeEngine[str]:
        """Text compared byte by byte, trailing spaces included."""
        if self.dialect.name == "postgresql":
            return sa.String(255, collation="C")
        if not self.is_mysql:
            return sa.String(255)
        collation = "utf8mb4_0900_bin"
        if self.is_singlestore:
            collation = "utf8mb4_bin"
        elif getattr(self.dialect, "is_mariadb", False):
            collation = "utf8mb4_nopad_bin"
        return mysql.VARCHAR(255, charset="utf8mb4", collation=collation)

    def text(self) -> TypeEngine[str]:
        return mysql.LONGTEXT(charset="utf8mb4") if self.is_mysql else sa.Text()

    def json(self) -> TypeEngine[Any]:
        """Text that comes back as it went in: neither jsonb nor a check on it."""
        return sa.JSON() if self.dialect.name == "postgresql" else self.text()

    @property
    def is_mysql(self) -> bool:
        return self.dialect.name in ("mysql", "mariadb") or self.is_singlestore

    @property
    def is_singlestore(self) -> bool:
        return self.dialect.name == "singlestoredb"


class _Key(sa.Constraint):
    """SHARD KEY or SORT KEY; SQLAlchemy knows neither."""

    KIND = __visit_name__ = "singlestore_key_0002"

    def __init__(self, kind: str, columns: list[str]) -> None:
        super().__init__()
        self.kind, self.names = kind, columns

    def _copy(self, **_kw: Any) -> _Key:
        return _Key(self.kind, self.names)


@compiles(_Key)
def _compile_key(key: _Key, compiler: DDLCompiler, **_kw: Any) -> str:
    return f"{key.kind} KEY ({', '.join(map(compiler.preparer.quote, key.names))})"


def _prefix() -> str:
    return str(op.get_context().opts.get("table_prefix", ""))


def _schema() -> str | None:
    schema: str | None = op.get_context().opts.get("table_schema")
    return schema


def _table(name: str, columns: list[sa.Column[Any]], key: list[str], **indexes: str) -> sa.Table:
    """Return a table whose rows go with their session."""
    types = _Types(op.get_context().dialect)
    prefix, schema = _prefix(), _schema()
    constraints: list[sa.Constraint] = [sa.PrimaryKeyConstraint(*key)]
    if types.is_singlestore:  # it has no foreign keys
        shard, sort = SINGLESTORE_KEYS[name]
        constraints += [_Key("SHARD", shard), _Key("SORT", sort)]
    else:
        sessions = f"{schema}.{prefix}sessions" if schema else f"{prefix}sessions"
        constraints.append(
            sa.ForeignKeyConstraint(["session_id"], [f"{sessions}.session_id"], ondelete="CASCADE")
        )
    engine: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_default_charset": "utf8mb4"}
    mariadb = {name.replace("mysql", "mariadb"): value for name, value in engine.items()}
    return sa.Table(
        f"{prefix}{name}",
        sa.MetaData(schema=schema),
        sa.Column("session_id", types.id(), nullable=False),
        *columns,
        *constraints,
        *(sa.Index(f"ix_{prefix}{name}_{end}", column) for end, column in indexes.items()),
        **engine,
        **mariadb,
    )


def _tables() -> list[sa.Table]:
    """Return the tables of this revision."""
    t = _Types(op.get_context().dialect)
    ranges: list[sa.Column[Any]] = [
        sa.Column("at_seq", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("first_seq", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("last_seq", sa.BigInteger()),
        sa.Column("source_id", t.id(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
    ]
    snapshots: list[sa.Column[Any]] = [
        sa.Column("snapshot_id", t.id(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("message_count", sa.BigInteger(), nullable=False),
        sa.Column("last_compaction", t.json()),
        sa.Column("label", t.text()),
        sa.Column("metadata", t.json()),
        sa.Column("created_at", sa.Double(), nullable=False),
    ]
    details: list[sa.Column[Any]] = [
        sa.Column("agent_name", t.id()),
        sa.Column("gateway_session_id", t.id()),
        sa.Column("gateway_agent_id", t.id()),
        sa.Column("parent_id", t.id()),
        sa.Column("fork_seq", sa.BigInteger()),
        sa.Column("archive_seq", sa.BigInteger()),
        sa.Column("is_shared", sa.SmallInteger(), nullable=False, server_default="0"),
        sa.Column("last_compaction", t.json()),
        sa.Column("extra", t.json()),
    ]
    runtime_states: list[sa.Column[Any]] = [
        sa.Column("runtime_id", t.id(), nullable=False),
        sa.Column("turn_id", t.id(), nullable=False),
        sa.Column("state", t.json()),
    ]
    return [
        _table("ranges", ranges, ["session_id", "at_seq", "first_seq"], source="source_id"),
        _table("snapshots", snapshots, ["session_id", "snapshot_id"]),
        _table(
            "session_details",
            details,
            ["session_id"],
            agent="agent_name",
            gateway="gateway_session_id",
            gateway_agent="gateway_agent_id",
            parent="parent_id",
        ),
        _table("runtime_states", runtime_states, ["session_id", "runtime_id", "turn_id"]),
    ]


def upgrade() -> None:
    """Add `sessions.view_seq`, NULL in every row, and the tables."""
    sessions, schema = f"{_prefix()}sessions", _schema()
    if op.get_context().as_sql or "view_seq" not in _columns(sessions):
        op.add_column(sessions, sa.Column("view_seq", sa.BigInteger()), schema=schema)
    for table in _tables():
        _create(table)


def downgrade() -> None:
    """Drop the tables and the column. Tables that hold rows are dropped only with `-x force=true`.

    Forks then show only what was written to them, and what was reverted is shown again.
    """
    tables = _tables()
    if not op.get_context().as_sql:
        tables = [table for table in tables if _exists(table)]
        _refuse_to_lose_rows([*_older(), *tables])
    for table in reversed(tables):
        op.drop_table(table.name, schema=table.schema)
    sessions = f"{_prefix()}sessions"
    if op.get_context().as_sql or "view_seq" in _columns(sessions):
        op.drop_column(sessions, "view_seq", schema=_schema())


def _older() -> list[Any]:
    """Return the tables of 0001 if they are to be dropped as well, in the same command.

    MariaDB commits each revision: refusing there would leave the database half-way.
    """
    if op.get_context().opts.get("destination_rev") != "base":
        return []
    older = [sa.table(f"{_prefix()}{name}", schema=_schema()) for name in OLDER]
    return [table for table in older if _exists(table)]


def _refuse_to_lose_rows(tables: Iterable[Any]) -> None:
    if op.get_context().opts.get("force"):
        return
    bind = op.get_bind()
    filled = [
        t.name for t in tables if bind.scalar(sa.select(sa.literal(1)).select_from(t).limit(1))
    ]
    if filled:
        raise CommandError(
            f"Downgrading would drop rows of {', '.join(filled)}. Back the database up, then "
            "drop them with force (praison-persist db downgrade --force, or alembic -x force=true)"
        )


def _create(table: sa.Table) -> None:
    there: set[str | None] = set()
    if not op.get_context().as_sql and _exists(table):
        missing = {column.name for column in table.columns} - _columns(table.name)
        if missing:
            raise CommandError(
                f"The table {table.name!r} belongs to something else: it has no "
                f"{', '.join(sorted(missing))}. Choose another table prefix, or rename it"
            )
        there = {index["name"] for index in _inspect().get_indexes(table.name, table.schema)}
    else:
        _create_table(table)
    for index in sorted(table.indexes, key=lambda index: str(index.name)):
        if index.name not in there:  # the table is new: nobody waits for its indexes
            op.invoke(ops.CreateIndexOp.from_index(index))


def _create_table(table: sa.Table) -> None:
    order = ("primary_key_constraint", "foreign_key_constraint", _Key.KIND)
    constraints = sorted(
        table.constraints,
        key=lambda one: (order.index(one.__visit_name__), getattr(one, "kind", "")),
    )
    creation = ops.CreateTableOp.from_table(table)
    creation.columns = [*table.columns, *constraints]
    op.invoke(creation)


def _inspect() -> sa.Inspector:
    """Return an inspector that has not seen anything yet."""
    return sa.inspect(op.get_bind())


def _exists(table: Any) -> bool:
    return _inspect().has_table(table.name, table.schema)


def _columns(table: str) -> set[str]:
    return {column["name"] for column in _inspect().get_columns(table, _schema())}
