"""Create the tables; adopt those that the package praisonai left under the same names.

Revision ID: 0001
Revises:

Each step looks at what is there first. MariaDB and MySQL commit every DDL statement, CockroachDB
every statement, so that an upgrade may die half-way: running it again completes it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from alembic import op
from alembic.operations import ops
from alembic.util import CommandError
from sqlalchemy.dialects import mysql, postgresql
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import DDLCompiler
from sqlalchemy.types import TypeEngine, UserDefinedType

revision = "0001"
down_revision: str | None = None
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_log = logging.getLogger("praison_persist.migrations")

# Messages of the old package whose session_id is NULL are given to this session.
WITHOUT_SESSION = "messages-without-session"

# Columns that every release of the old package had.
OLD_SESSIONS = {"session_id", "user_id", "agent_id", "name", "metadata", "created_at", "updated_at"}
OLD_MESSAGES = {"id", "session_id", "role", "content", "metadata", "created_at"}
# A name does not tell the columns of an old index, so both have to fit before it is dropped.
OLD_INDEX_NAMES = (
    {f"idx_{name}" for name in ("user", "agent", "updated", "session", "created")}
    | {f"idx_{name}" for name in ("user_id", "agent_id", "session_id")}
    | {f"idx_%ssessions_{name}" for name in ("user", "agent", "updated")}
    | {f"idx_%smessages_{name}" for name in ("session", "created")}
)
OLD_INDEX_COLUMNS = (
    ["user_id"],
    ["agent_id"],
    ["updated_at"],
    ["session_id"],
    ["created_at"],
    ["session_id", "created_at"],
)
OLD_PREFIXES = ("praison_", "praisonai_")
# SingleStore cannot change the keys of a table; CockroachDB changes neither keys nor types in the
# ALTER TABLE of several parts that an adoption consists of.
CANNOT_ADOPT = ("singlestoredb", "cockroachdb")


class _Types(NamedTuple):
    """This dialect's column types."""

    dialect: sa.Dialect

    def id(self, length: int = 255) -> TypeEngine[str]:
        """Text compared byte by byte, trailing spaces included."""
        if self.dialect.name == "postgresql":
            return sa.String(length, collation="C")
        if self.is_singlestore:
            return mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin")
        if self.is_mysql:
            # utf8mb4_bin would ignore trailing spaces; MariaDB and MySQL have no name in common.
            collation = "utf8mb4_nopad_bin" if self.is_mariadb else "utf8mb4_0900_bin"
            return mysql.VARCHAR(length, charset="utf8mb4", collation=collation)
        return sa.String(length)

    def text(self) -> TypeEngine[str]:
        return mysql.LONGTEXT(charset="utf8mb4") if self.is_mysql else sa.Text()

    def json(self) -> TypeEngine[Any]:
        """Text that comes back as it went in: neither jsonb nor a check on it."""
        return sa.JSON() if self.dialect.name == "postgresql" else self.text()

    def vector(self) -> TypeEngine[Any]:
        """Numbers of single precision, or their bytes."""
        if self.dialect.name == "postgresql":
            return postgresql.ARRAY(sa.REAL())
        return mysql.LONGBLOB() if self.is_mysql else sa.LargeBinary()

    def name(self, length: int) -> TypeEngine[str]:
        return mysql.VARCHAR(length, charset="utf8mb4") if self.is_mysql else sa.String(length)

    @property
    def is_mysql(self) -> bool:
        return self.dialect.name in ("mysql", "mariadb") or self.is_singlestore

    @property
    def is_singlestore(self) -> bool:
        return self.dialect.name == "singlestoredb"

    @property
    def is_mariadb(self) -> bool:
        return bool(getattr(self.dialect, "is_mariadb", False))


# SingleStore: what each table is sharded by, all of a session on one leaf, and sorted by. A key
# that is unique has to contain the shard key (its reference, "CREATE TABLE").
SINGLESTORE_KEYS = {
    "sessions": (["session_id"], ["updated_at", "session_id"]),
    "messages": (["session_id"], ["session_id", "seq"]),
    "runs": (["session_id"], ["session_id", "seq"]),
    "tool_calls": (["session_id"], ["session_id", "id"]),
    "traces": (["trace_id"], ["started_at", "trace_id"]),
    "spans": (["trace_id"], ["trace_id", "started_at"]),
    "state": (["state_key"], ["state_key", "kind", "field"]),
    "collections": (["name"], ["name"]),
    "documents": (["id"], ["collection", "id"]),
    "terms": (["document_id"], ["collection", "document_id", "term"]),
}


class _Key(sa.Constraint):
    """SHARD KEY or SORT KEY; SQLAlchemy knows neither."""

    KIND = __visit_name__ = "singlestore_key"

    def __init__(self, kind: str, columns: list[str]) -> None:
        super().__init__()
        self.kind, self.names = kind, columns

    def _copy(self, **_kw: Any) -> _Key:
        return _Key(self.kind, self.names)


@compiles(_Key)
def _compile_key(key: _Key, compiler: DDLCompiler, **_kw: Any) -> str:
    return f"{key.kind} KEY ({', '.join(map(compiler.preparer.quote, key.names))})"


class _Names(NamedTuple):
    prefix: str
    schema: str | None
    is_singlestore: bool

    def table(self, name: str, metadata: sa.MetaData, *items: Any) -> sa.Table:
        engine: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_default_charset": "utf8mb4"}
        mariadb = {key.replace("mysql", "mariadb"): value for key, value in engine.items()}
        keys = self._singlestore_keys(name) if self.is_singlestore else []
        return sa.Table(f"{self.prefix}{name}", metadata, *items, *keys, **engine, **mariadb)

    def _singlestore_keys(self, name: str) -> list[sa.Constraint]:
        shard, sort = SINGLESTORE_KEYS[name]
        return [_Key("SHARD", shard), _Key("SORT", sort)]

    def session_key(self) -> list[sa.ForeignKeyConstraint]:
        if self.is_singlestore:  # it has no foreign keys
            return []
        sessions = f"{self.prefix}sessions"
        target = f"{self.schema}.{sessions}" if self.schema else sessions
        return [
            sa.ForeignKeyConstraint(["session_id"], [f"{target}.session_id"], ondelete="CASCADE")
        ]

    def new_index(self, name: str, *columns: str) -> sa.Index:
        return sa.Index(f"ix_{self.prefix}{name}", *columns)

    def ordered_index(self, name: str, *columns: str) -> list[sa.Index]:
        """An index for ranges; on SingleStore the sort key, or a scan of one column, serves."""
        return [] if self.is_singlestore else [self.new_index(name, *columns)]

    def unique(self, name: str, *columns: str) -> sa.UniqueConstraint:
        return sa.UniqueConstraint(*columns, name=f"uq_{self.prefix}{name}")


def _tables() -> list[sa.Table]:
    """Return the tables of this revision, those that others refer to first."""
    context = op.get_context()
    types = _Types(context.dialect)
    names = _Names(
        context.opts.get("table_prefix", ""),
        context.opts.get("table_schema"),
        types.is_singlestore,
    )
    metadata = sa.MetaData(schema=names.schema)
    make = (
        *(_sessions, _messages, _runs, _tool_calls, _traces, _spans, _state),
        *(_collections, _documents, _terms),
    )
    return [one(names, metadata, types) for one in make]


def _sessions(names: _Names, metadata: sa.MetaData, t: _Types) -> sa.Table:
    return names.table(
        "sessions",
        metadata,
        sa.Column("session_id", t.id(), nullable=False),
        sa.Column("user_id", t.id()),
        sa.Column("agent_id", t.id()),
        sa.Column("name", t.text()),
        sa.Column("state", t.json()),
        sa.Column("metadata", t.json()),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False, server_default="1"),
        sa.Column("last_seq", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("last_run_seq", sa.BigInteger(), nullable=False, server_default="0"),
        sa.PrimaryKeyConstraint("session_id"),
        *names.ordered_index("sessions_updated", "updated_at", "session_id"),
        names.new_index("sessions_user", "user_id", "updated_at", "session_id"),
    )


def _messages(names: _Names, metadata: sa.MetaData, t: _Types) -> sa.Table:
    return names.table(
        "messages",
        metadata,
        sa.Column("session_id", t.id(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("id", t.id(), nullable=False),
        sa.Column("run_id", t.id()),
        sa.Column("role", t.name(50), nullable=False),
        sa.Column("content", t.text()),
        sa.Column("tool_calls", t.json()),
        sa.Column("tool_call_id", t.id()),
        sa.Column("metadata", t.json()),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("session_id", "seq"),
        names.unique("messages_id", "id", "session_id"),
        *names.session_key(),
    )


def _runs(names: _Names, metadata: sa.MetaData, t: _Types) -> sa.Table:
    return names.table(
        "runs",
        metadata,
        sa.Column("session_id", t.id(), nullable=False),
        sa.Column("run_id", t.id(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("agent_name", t.text()),
        sa.Column("owner", t.text()),
        sa.Column("status", t.name(32), nullable=False),
        sa.Column("started_at", sa.Double(), nullable=False),
        sa.Column("ended_at", sa.Double()),
        sa.Column("input_content", t.text()),
        sa.Column("output_content", t.text()),
        sa.Column("metadata", t.json()),
        sa.Column("metrics", t.json()),
        sa.Column("after_seq", sa.BigInteger(), nullable=False),
        sa.Column("until_seq", sa.BigInteger()),
        sa.PrimaryKeyConstraint("session_id", "run_id"),
        names.unique("runs_seq", "session_id", "seq"),
        *names.session_key(),
    )


def _tool_calls(names: _Names, metadata: sa.MetaData, t: _Types) -> sa.Table:
    return names.table(
        "tool_calls",
        metadata,
        sa.Column("session_id", t.id(), nullable=False),
        sa.Column("id", t.id(), nullable=False),
        sa.Column("run_id", t.id()),
        sa.Column("call_id", t.id()),
        sa.Column("tool_name", t.text(), nullable=False),
        sa.Column("args", t.json()),
        sa.Column("result", t.json()),
        sa.Column("error", t.text()),
        sa.Column("started_at", sa.Double(), nullable=False),
        sa.Column("duration_ms", sa.Double()),
        sa.Column("metadata", t.json()),
        sa.PrimaryKeyConstraint("session_id", "id"),
        *names.session_key(),
    )


def _traces(names: _Names, metadata: sa.MetaData, t: _Types) -> sa.Table:
    return names.table(
        "traces",
        metadata,
        sa.Column("trace_id", t.id(), nullable=False),
        sa.Column("session_id", t.id()),
        sa.Column("run_id", t.id()),
        sa.Column("agent_name", t.text()),
        sa.Column("user_id", t.id()),
        sa.Column("status", t.name(32), nullable=False),
        sa.Column("started_at", sa.Double(), nullable=False),
        sa.Column("ended_at", sa.Double()),
        sa.Column("metadata", t.json()),
        sa.PrimaryKeyConstraint("trace_id"),
        names.new_index("traces_session", "session_id", "started_at"),
        names.new_index("traces_user", "user_id", "started_at"),
    )


def _spans(names: _Names, metadata: sa.MetaData, t: _Types) -> sa.Table:
    return names.table(
        "spans",
        metadata,
        sa.Column("trace_id", t.id(), nullable=False),
        sa.Column("span_id", t.id(), nullable=False),
        sa.Column("parent_span_id", t.id()),
        sa.Column("name", t.text(), nullable=False),
        sa.Column("status", t.name(32), nullable=False),
        sa.Column("started_at", sa.Double(), nullable=False),
        sa.Column("ended_at", sa.Double()),
        sa.Column("attributes", t.json()),
        sa.Column("events", t.json()),
        sa.PrimaryKeyConstraint("trace_id", "span_id"),
        names.new_index("spans_id", "span_id"),
    )


def _state(names: _Names, metadata: sa.MetaData, t: _Types) -> sa.Table:
    return names.table(
        "state",
        metadata,
        sa.Column("state_key", t.id(480), nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False, autoincrement=False),
        sa.Column("field", t.id(), nullable=False),
        sa.Column("value", t.text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False, server_default="1"),
        sa.Column("expires_at", sa.Double()),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("state_key", "kind", "field"),
        *names.ordered_index("state_expires", "expires_at"),
    )


def _collections(names: _Names, metadata: sa.MetaData, t: _Types) -> sa.Table:
    return names.table(
        "collections",
        metadata,
        sa.Column("name", t.id(48), nullable=False),
        sa.Column("dimension", sa.Integer(), nullable=False),
        sa.Column("distance", t.name(16), nullable=False),
        sa.Column("metadata", t.json()),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )


def _documents(names: _Names, metadata: sa.MetaData, t: _Types) -> sa.Table:
    return names.table(
        "documents",
        metadata,
        sa.Column("collection", t.id(48), nullable=False),
        sa.Column("id", t.id(), nullable=False),
        sa.Column("content", t.text(), nullable=False),
        sa.Column("embedding", t.vector(), nullable=False),
        sa.Column("metadata", t.json()),
        sa.Column("content_hash", t.name(64)),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("collection", "id"),
    )


def _terms(names: _Names, metadata: sa.MetaData, t: _Types) -> sa.Table:
    return names.table(
        "terms",
        metadata,
        sa.Column("collection", t.id(48), nullable=False),
        sa.Column("document_id", t.id(), nullable=False),
        sa.Column("term", t.id(100), nullable=False),
        sa.Column("number", sa.Double()),
        sa.PrimaryKeyConstraint("collection", "document_id", "term"),
        names.new_index("terms_term", "collection", "term", "number"),
    )


def upgrade() -> None:
    """Create what is absent; bring tables of the old package to the same schema in place."""
    tables = _tables()
    if not op.get_context().as_sql:
        _adopt(*tables[:2])
    for table in tables:
        _create(table)


def downgrade() -> None:
    """Drop the tables. Tables that hold rows are dropped only with `-x force=true`."""
    tables = _tables()
    if not op.get_context().as_sql:
        tables = [table for table in tables if _exists(table)]
        _refuse_to_lose_rows(tables)
    for table in reversed(tables):
        op.drop_table(table.name, schema=table.schema)


def _refuse_to_lose_rows(tables: Iterable[sa.Table]) -> None:
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
    online = not op.get_context().as_sql
    if not (online and _exists(table)):
        _create_table(table)
        there: set[str | None] = set()
    else:
        _check_columns(table, {column.name for column in table.columns})
        there = {index["name"] for index in _inspect().get_indexes(table.name, table.schema)}
    for index in sorted(table.indexes, key=lambda index: str(index.name)):
        if index.name not in there:
            op.invoke(ops.CreateIndexOp.from_index(index))


def _create_table(table: sa.Table) -> None:
    creation = ops.CreateTableOp.from_table(table)
    creation.columns = [*table.columns, *_constraints(table)]
    op.invoke(creation)


def _constraints(table: sa.Table) -> list[sa.Constraint]:
    """Return the constraints in one order, which those of a Table have not."""
    order = ("primary_key_constraint", "unique_constraint", "foreign_key_constraint", _Key.KIND)
    return sorted(
        table.constraints,
        key=lambda one: (order.index(one.__visit_name__), getattr(one, "kind", "")),
    )


def _inspect() -> sa.Inspector:
    """Return an inspector that has not seen anything yet."""
    return sa.inspect(op.get_bind())


def _exists(table: sa.Table) -> bool:
    return _inspect().has_table(table.name, table.schema)


def _column_names(table: sa.Table) -> set[str]:
    return {column["name"] for column in _inspect().get_columns(table.name, table.schema)}


def _check_columns(table: sa.Table, expected: set[str]) -> None:
    missing = expected - _column_names(table)
    if missing:
        raise CommandError(
            f"The table {table.name!r} belongs to something else: it has no "
            f"{', '.join(sorted(missing))}. Choose another table prefix, or rename it"
        )


# Adoption of the old package's tables


def _adopt(sessions: sa.Table, messages: sa.Table) -> None:
    has_sessions, has_messages = _exists(sessions), _exists(messages)
    if op.get_context().dialect.name in CANNOT_ADOPT:
        _refuse_to_adopt(sessions, messages)
        return
    if has_messages:
        key = _inspect().get_pk_constraint(messages.name, messages.schema)
        if key["constrained_columns"] == ["session_id", "seq"]:
            return
        _check_columns(messages, OLD_MESSAGES)
    if has_sessions:
        _check_columns(sessions, OLD_SESSIONS)
    if not has_messages and (not has_sessions or "last_seq" in _column_names(sessions)):
        return  # an empty database, or a creation that died after its first table
    if not has_sessions:
        _create(sessions)
    if not has_messages:
        _create_old_messages(messages)
    _log.info("adopting %s and %s", sessions.name, messages.name)
    if op.get_context().dialect.name == "sqlite":
        _rebuild(sessions, messages)
    else:
        _alter_in_place(sessions, messages)


def _refuse_to_adopt(sessions: sa.Table, messages: sa.Table) -> None:
    """Leave tables of the old package as they are, and say so."""
    tables = ((sessions, "last_seq", OLD_SESSIONS), (messages, "seq", OLD_MESSAGES))
    for table, own, old in tables:
        if _exists(table) and own not in _column_names(table):
            _check_columns(table, old)
            raise CommandError(
                f"{table.name!r} is of the package praisonai, whose tables cannot be adopted on "
                f"{op.get_context().dialect.name}. Choose another table prefix, or rename them"
            )


def _create_old_messages(messages: sa.Table) -> None:
    """Create what the old package lacks here, so that both tables go one way."""
    columns = [
        sa.Column(name, messages.c[name].type, primary_key=name == "id")
        for name in sorted(OLD_MESSAGES)
    ]
    op.create_table(messages.name, *columns, schema=messages.schema)


def _counts(*tables: sa.Table) -> list[int]:
    query = [sa.select(sa.func.count()).select_from(table) for table in tables]
    return [op.get_bind().scalar(one) or 0 for one in query]


def _check_counts(before: list[int], after: list[int]) -> None:
    """Make sure that no row is lost; sessions may have been created for orphans."""
    if after[0] < before[0] or after[1] != before[1]:
        raise CommandError(
            f"There were {before} sessions and messages, and would be {after}: something else "
            "writes to the tables. Stop it and run the upgrade again"
        )


def _old_indexes(table: sa.Table) -> list[str]:
    """Return the old package's indexes on `table`, also if it was renamed since."""
    prefix = table.name.removesuffix("sessions").removesuffix("messages")
    prefixes = {prefix, *OLD_PREFIXES}
    names = {name.replace("%s", p) for name in OLD_INDEX_NAMES for p in prefixes}
    return [
        str(index["name"])
        for index in _inspect().get_indexes(table.name, table.schema)
        if index["name"] in names and index["column_names"] in OLD_INDEX_COLUMNS
    ]


def _numbered(messages: Any, *columns: Any) -> Any:
    """Select `columns` and each message's place in its session."""
    # NULL sorts first on every database this way.
    order = (messages.c.created_at.is_not(None), messages.c.created_at, messages.c.id)
    place = sa.func.row_number().over(partition_by=messages.c.session_id, order_by=order)
    return sa.select(*columns, place.label("place"))


def _first(messages: Any, session_id: Any) -> Any:
    of_session = messages.c.session_id == session_id
    return sa.select(sa.func.min(messages.c.created_at)).where(of_session).scalar_subquery()


def _last(messages: Any, session_id: Any) -> Any:
    of_session = messages.c.session_id == session_id
    return sa.select(sa.func.max(messages.c.created_at)).where(of_session).scalar_subquery()


def _add_sessions_of_orphans(sessions: Any, messages: Any, **columns: Any) -> None:
    """Create the session of each message that has none: no message is left out."""
    known = sa.exists().where(sessions.c.session_id == messages.c.session_id)
    values = {
        "session_id": messages.c.session_id,
        "created_at": sa.func.coalesce(sa.func.min(messages.c.created_at), 0.0),
        "updated_at": sa.func.coalesce(sa.func.max(messages.c.created_at), 0.0),
        **columns,
    }
    orphans = sa.select(*values.values()).where(~known).group_by(messages.c.session_id)
    result = op.get_bind().execute(sessions.insert().from_select(list(values), orphans))
    if result.rowcount > 0:
        _log.warning("created %d sessions for messages that had none", result.rowcount)


# PostgreSQL, MariaDB, MySQL: one ALTER TABLE before the rows are completed, one after


class _AlterTable(sa.schema.ExecutableDDLElement):
    """One ALTER TABLE with many clauses, so that the server rewrites the table once.

    Neither SQLAlchemy nor Alembic has it; identifiers and types are rendered by the dialect.
    """

    def __init__(self, table: sa.Table, clauses: Iterable[_Clause]) -> None:
        self.table = table
        self.clauses = list(clauses)


class _Clause(NamedTuple):
    """A template and what fills its places: columns' names, types, specifications; constraints."""

    template: str
    parts: tuple[Any, ...] = ()


class _Specification(NamedTuple):
    column: sa.Column[Any]


@compiles(_AlterTable)
def _compile_alter_table(element: _AlterTable, compiler: DDLCompiler, **_kw: Any) -> str:
    clauses = (
        clause.template.format(*(_render(part, compiler) for part in clause.parts))
        for clause in element.clauses
    )
    return f"ALTER TABLE {compiler.preparer.format_table(element.table)} {', '.join(clauses)}"


def _render(part: Any, compiler: DDLCompiler) -> str:
    if isinstance(part, str):
        return compiler.preparer.quote(part)
    if isinstance(part, TypeEngine):
        return compiler.dialect.type_compiler_instance.process(part)
    if isinstance(part, _Specification):
        return compiler.get_column_specification(part.column)
    return compiler.process(part)


def _alter(table: sa.Table, clauses: Iterable[_Clause]) -> None:
    statement = _AlterTable(table, clauses)
    if statement.clauses:
        op.get_bind().execute(statement)


# NULL in rows of the old package, until they are completed.
SPARSE = {
    "sessions": ("created_at", "updated_at"),
    "messages": ("session_id", "seq", "role", "created_at"),
}


def _sparse(table: sa.Table) -> tuple[str, ...]:
    return SPARSE["messages" if "seq" in table.columns else "sessions"]


def _is_mysql() -> bool:
    return _Types(op.get_context().dialect).is_mysql


def _alter_in_place(sessions: sa.Table, messages: sa.Table) -> None:
    if _is_mysql():
        # Without it, NULL would become 0 or "" instead of an error.
        op.execute(sa.text("SET SESSION sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES')"))
        _spell_as_sessions_do(sessions, messages)
    _drop_foreign_keys(messages)
    for table in (sessions, messages):
        _alter(table, _conversions(table))
    before = _counts(sessions, messages)
    _complete_rows(sessions, messages)
    for table in (sessions, messages):
        _drop_old_indexes(table)
    _alter(sessions, _tightenings(sessions))
    _alter(sessions, _renamed_key(sessions))
    _check_counts(before, _counts(sessions, messages))
    # Last: with the new primary key, the tables are ours.
    _alter(messages, [*_tightenings(messages), *_new_keys(messages)])


def _spell_as_sessions_do(sessions: sa.Table, messages: sa.Table) -> None:
    """Make equal to the byte what the old collation holds for equal ("Alice", "alice ").

    The foreign key could not be made again otherwise, and messages would leave their session.
    """
    columns = sa.table(
        "columns",
        sa.column("table_schema"),
        sa.column("table_name"),
        sa.column("column_name"),
        sa.column("collation_name"),
        schema="information_schema",
    )
    of_table = [
        sa.select(columns.c.collation_name).where(
            columns.c.table_schema == (table.schema or sa.func.database()),
            columns.c.table_name == table.name,
            columns.c.column_name == "session_id",
        )
        for table in (sessions, messages)
    ]
    old, other = (op.get_bind().scalar(query) for query in of_table)
    if old != other:  # half converted by an upgrade that died: this was done then
        return
    op.get_bind().execute(
        messages.update()
        .where(
            sessions.c.session_id == messages.c.session_id,
            sa.cast(sessions.c.session_id, sa.LargeBinary)
            != sa.cast(messages.c.session_id, sa.LargeBinary),
        )
        .values(session_id=sessions.c.session_id)
    )


def _drop_foreign_keys(messages: sa.Table) -> None:
    for key in _inspect().get_foreign_keys(messages.name, messages.schema):
        if key["constrained_columns"] == ["session_id"]:
            op.drop_constraint(
                str(key["name"]), messages.name, "foreignkey", schema=messages.schema
            )


def _conversions(table: sa.Table) -> Iterator[_Clause]:
    """Add the columns that are absent and give the others our types; NULL stays allowed."""
    loose = table.to_metadata(sa.MetaData())
    for name in _sparse(table):
        loose.columns[name].nullable = True
    if _is_mysql():
        yield _Clause("ENGINE=InnoDB, DEFAULT CHARSET=utf8mb4")
    there = _column_names(table)
    for column in loose.columns:
        if column.name not in there:
            yield _Clause("ADD COLUMN {}", (_Specification(column),))
        elif _is_mysql():
            yield _Clause("MODIFY COLUMN {}", (_Specification(column),))
        else:
            yield from _conversion(column)


def _conversion(column: sa.Column[Any]) -> Iterator[_Clause]:
    """PostgreSQL has no word for a whole column."""
    # jsonb needs the cast; with one, other columns would be rewritten for nothing.
    using = " USING {0}::json" if isinstance(column.type, sa.JSON) else ""
    yield _Clause("ALTER COLUMN {0} TYPE {1}" + using, (column.name, column.type))
    if column.server_default is None:
        yield _Clause("ALTER COLUMN {} DROP DEFAULT", (column.name,))
    if column.nullable and column.name not in _sparse(column.table):
        yield _Clause("ALTER COLUMN {} DROP NOT NULL", (column.name,))


def _complete_rows(sessions: sa.Table, messages: sa.Table) -> None:
    run = op.get_bind().execute
    s, m = sessions.c, messages.c
    run(messages.update().where(m.session_id.is_(None)).values(session_id=WITHOUT_SESSION))
    _add_sessions_of_orphans(sessions, messages)
    unnumbered = sa.select(sa.literal(1)).select_from(messages).where(m.seq.is_(None)).limit(1)
    if op.get_bind().scalar(unnumbered):
        numbered = _numbered(messages, m.id).subquery("numbered")
        run(messages.update().where(m.id == numbered.c.id).values(seq=numbered.c.place))
    newest = (
        sa.select(m.session_id, sa.func.max(m.seq).label("seq"))
        .group_by(m.session_id)
        .subquery("newest")
    )
    run(sessions.update().where(s.session_id == newest.c.session_id).values(last_seq=newest.c.seq))
    created = sa.func.coalesce(s.updated_at, _first(messages, s.session_id), 0.0)
    run(sessions.update().where(s.created_at.is_(None)).values(created_at=created))
    updated = sa.func.coalesce(_last(messages, s.session_id), s.created_at)
    run(sessions.update().where(s.updated_at.is_(None)).values(updated_at=updated))
    of_session = sa.select(s.created_at).where(s.session_id == m.session_id).scalar_subquery()
    run(messages.update().where(m.created_at.is_(None)).values(created_at=of_session))
    run(messages.update().where(m.role.is_(None)).values(role=""))


def _drop_old_indexes(table: sa.Table) -> None:
    for name in _old_indexes(table):
        op.drop_index(name, table.name, schema=table.schema)


def _tightenings(table: sa.Table) -> Iterator[_Clause]:
    for name in _sparse(table):
        if _is_mysql():
            yield _Clause("MODIFY COLUMN {}", (_Specification(table.columns[name]),))
        else:
            yield _Clause("ALTER COLUMN {} SET NOT NULL", (name,))


def _new_keys(messages: sa.Table) -> Iterator[_Clause]:
    yield from _dropped_key(messages)
    for constraint in _constraints(messages):
        yield _Clause("ADD {}", (constraint,))


def _renamed_key(sessions: sa.Table) -> Iterator[_Clause]:
    """Call the primary key by its table, if that was renamed; others may refer to it."""
    key = _inspect().get_pk_constraint(sessions.name, sessions.schema)
    names = str(key["name"]), f"{sessions.name}_pkey"
    if op.get_context().dialect.name == "postgresql" and names[0] != names[1]:
        yield _Clause("RENAME CONSTRAINT {} TO {}", names)


def _dropped_key(messages: sa.Table) -> Iterator[_Clause]:
    key = _inspect().get_pk_constraint(messages.name, messages.schema)
    if key["constrained_columns"]:
        if _is_mysql():
            yield _Clause("DROP PRIMARY KEY")
        else:
            yield _Clause("DROP CONSTRAINT {}", (str(key["name"]),))


# SQLite: its ALTER TABLE changes neither keys nor types, so that the rows move to new tables


class _Declared(UserDefinedType[Any]):
    """A column type in the words of whoever declared it."""

    def __init__(self, words: str) -> None:
        self.words = words

    def get_col_spec(self, **_kw: Any) -> str:
        return self.words


def _rebuild(sessions: sa.Table, messages: sa.Table) -> None:
    """Move all rows, as sqlite.org/lang_altertable.html ("Making Other Kinds Of …") has it."""
    bind = op.get_bind()
    if bind.exec_driver_sql("PRAGMA foreign_keys").scalar():
        raise CommandError(
            "Adoption needs a connection with PRAGMA foreign_keys=OFF, set before its transaction"
        )
    before = _counts(sessions, messages)
    kept = [*_kept_objects(sessions), *_kept_objects(messages)]
    new_sessions, new_messages = _successor(sessions), _successor(messages)
    _move_sessions(sessions, messages, new_sessions)
    _move_messages(messages, new_sessions, new_messages)
    # With this, renaming neither checks views nor rewrites references to the final name. A libSQL
    # server has no such pragma: there a view of others has to be dropped first.
    is_file = bind.dialect.driver != "hrana"
    if is_file:
        bind.exec_driver_sql("PRAGMA legacy_alter_table=ON")
    for old, new in ((messages, new_messages), (sessions, new_sessions)):
        op.drop_table(old.name)
        op.rename_table(new.name, old.name)
    if is_file:
        bind.exec_driver_sql("PRAGMA legacy_alter_table=OFF")
    for statement in kept:
        bind.exec_driver_sql(statement)
    _check_counts(before, _counts(sessions, messages))
    if bind.exec_driver_sql(f"PRAGMA foreign_key_check({_quoted(messages)})").first():
        raise CommandError(f"A row of {messages.name} would refer to no session")


def _kept_objects(table: sa.Table) -> list[str]:
    """Return the statements that make the indexes and triggers others put on `table`."""
    master = sa.table("sqlite_master", *map(sa.column, ("type", "name", "tbl_name", "sql")))
    query = sa.select(master.c.sql).where(
        master.c.tbl_name == table.name,
        master.c.type.in_(["index", "trigger"]),
        master.c.sql.is_not(None),
        master.c.name.not_in(_old_indexes(table)),
    )
    return list(op.get_bind().scalars(query))


def _quoted(table: sa.Table) -> str:
    return op.get_context().dialect.identifier_preparer.quote(table.name)


def _successor(table: sa.Table) -> sa.Table:
    """Create the table that takes the place of the old `table`, columns of others included."""
    new = table.to_metadata(table.metadata, name=f"{table.name}_adopted")
    rows = op.get_bind().exec_driver_sql(f"PRAGMA table_xinfo({_quoted(table)})").mappings()
    for row in rows:
        if row["name"] in table.columns:
            continue
        if row["hidden"]:
            raise CommandError(
                f"{table.name} has the generated column {row['name']!r}; drop it, adopt, add it"
            )
        default = None if row["dflt_value"] is None else sa.text(row["dflt_value"])
        new.append_column(
            sa.Column(
                row["name"],
                _Declared(row["type"]),
                nullable=not row["notnull"],
                server_default=default,
            )
        )
    _create_table(new)
    return new


def _old(table: sa.Table) -> sa.TableClause:
    """Return `table` with the columns it really has."""
    return sa.table(table.name, *map(sa.column, sorted(_column_names(table))))


def _owned(messages: sa.Table) -> sa.Subquery:
    """Select the old messages, those without a session given to one."""
    m = _old(messages)
    owner = sa.func.coalesce(m.c.session_id, WITHOUT_SESSION).label("session_id")
    others = [column for column in m.c if column.name != "session_id"]
    return sa.select(owner, *others).subquery("owned")


def _new_id() -> Any:
    return sa.literal("adopted-") + sa.func.lower(sa.func.hex(sa.func.randomblob(16)))


def _move(source: Any, target: sa.Table, query: sa.Select[Any], columns: dict[str, Any]) -> None:
    """Insert what `query` selects from: `columns`, and all others that source has as they are."""
    values = {c.name: source.c[c.name] for c in target.columns if c.name in source.c} | columns
    statement = target.insert().from_select(list(values), query.with_only_columns(*values.values()))
    op.get_bind().execute(statement)


def _move_sessions(sessions: sa.Table, messages: sa.Table, target: sa.Table) -> None:
    s, m = _old(sessions), _owned(messages)
    counts = (
        sa.select(m.c.session_id, sa.func.count().label("n")).group_by(m.c.session_id).subquery()
    )
    created = sa.func.coalesce(s.c.created_at, s.c.updated_at, _first(m, s.c.session_id), 0.0)
    columns = {
        "session_id": sa.func.coalesce(s.c.session_id, _new_id()),
        "created_at": created,
        "updated_at": sa.func.coalesce(s.c.updated_at, _last(m, s.c.session_id), created),
        "last_seq": sa.func.coalesce(counts.c.n, 0),
    }
    joined = s.outerjoin(counts, counts.c.session_id == s.c.session_id)
    _move(s, target, sa.select(s).select_from(joined), columns)
    _add_sessions_of_orphans(target, m, last_seq=sa.func.count())


def _move_messages(messages: sa.Table, sessions: sa.Table, target: sa.Table) -> None:
    owned = _owned(messages)
    n = _numbered(owned, owned).subquery("numbered")
    columns = {
        "session_id": n.c.session_id,
        "seq": n.c.place,
        "id": sa.func.coalesce(n.c.id, _new_id()),
        "role": sa.func.coalesce(n.c.role, ""),
        "created_at": sa.func.coalesce(n.c.created_at, sessions.c.created_at),
    }
    joined = n.join(sessions, sessions.c.session_id == n.c.session_id)
    _move(n, target, sa.select(n).select_from(joined), columns)
