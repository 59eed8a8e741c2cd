"""Which revision a database is at, and whose tables it holds where it has none."""

from __future__ import annotations

import enum
import shlex
from urllib.parse import quote

import sqlalchemy as sa

from praison_persist._masked import masked
from praison_persist.sql.dialects import SQLITE
from praison_persist.sql.schema import DEFAULT_PREFIX, Tables
from praison_persist.sql.url import Target

__all__ = [
    "HEAD",
    "State",
    "command_line",
    "is_current",
    "is_unused",
    "other_prefixes",
    "revisions_of",
    "state_of",
    "unadoptable",
]

HEAD = "0002"  # Alembic's head, known without importing Alembic; a test compares them

# praisonai's own default before 4.6.35, and since.
_OLD_PREFIXES = ("praisonai_", "praison_")

# Columns of both old tables, in every release; and what they lack and ours have.
_OLD = {"session_id", "metadata", "created_at"}
_OURS = {"sessions": "last_seq", "messages": "seq"}


class State(enum.Enum):
    """What a database is, seen from this code."""

    EMPTY = "has no tables yet"
    HALF = "was left by an upgrade that did not end"
    LEGACY = "holds tables of the package praisonai"
    CURRENT = "is at the revision of this code"
    OTHER = "is at another revision"


def revisions_of(connection: sa.Connection, tables: Tables) -> set[str]:
    """Return what the version table says: one revision, or none."""
    if not sa.inspect(connection).has_table(tables.version_table, tables.schema):
        return set()
    version = sa.table(tables.version_table, sa.column("version_num"), schema=tables.schema)
    return set(connection.scalars(sa.select(version.c.version_num)))


def is_current(connection: sa.Connection, tables: Tables) -> bool:
    """Whether the tables are those that this code was written for. Two statements."""
    return revisions_of(connection, tables) == {HEAD}


def state_of(connection: sa.Connection, tables: Tables) -> State:
    """Return what the database is."""
    found = revisions_of(connection, tables)
    if found:
        return State.CURRENT if found == {HEAD} else State.OTHER
    inspector = sa.inspect(connection)
    there = set(inspector.get_table_names(tables.schema))
    if not there & {table.name for table in tables.metadata.tables.values()}:
        return State.EMPTY
    if any(_is_legacy(inspector, there, tables.prefix, tables.schema, end) for end in _OURS):
        return State.LEGACY
    return State.HALF


def is_unused(connection: sa.Connection, tables: Tables) -> bool:
    """Whether no table holds a row: then a creation died between two revisions."""
    there = set(sa.inspect(connection).get_table_names(tables.schema))
    return not any(
        connection.scalar(sa.select(sa.literal(1)).select_from(table).limit(1))
        for table in tables.metadata.tables.values()
        if table.name in there
    )


def unadoptable(target: Target, tables: Tables) -> str:
    """Return what to tell where tables of praisonai cannot become ours."""
    return (
        f"{target} holds {tables.sessions.name} and {tables.messages.name} of the package "
        f"praisonai, which cannot be adopted on {target.dialect.name}. Choose another "
        "table_prefix, or rename the old tables"
    )


def other_prefixes(connection: sa.Connection, tables: Tables) -> list[str]:
    """Return the prefixes, besides `tables`' own, under which there are tables of praisonai."""
    inspector = sa.inspect(connection)
    there = set(inspector.get_table_names(tables.schema))
    return [
        prefix
        for prefix in _OLD_PREFIXES
        if prefix != tables.prefix
        and _is_legacy(inspector, there, prefix, tables.schema, "sessions")
    ]


def _is_legacy(
    inspector: sa.Inspector, there: set[str], prefix: str, schema: str | None, end: str
) -> bool:
    name = f"{prefix}{end}"
    if name not in there:
        return False
    columns = {column["name"] for column in inspector.get_columns(name, schema)}
    return columns >= _OLD and _OURS[end] not in columns


def command_line(target: Target, tables: Tables, *words: str) -> str:
    """Return `praison-persist <words>` for this database, to be typed; the password is masked."""
    url = target.url.set(query=target.query)
    text = masked(url.render_as_string(hide_password=True))
    if target.dialect is SQLITE:
        text = f"sqlite:///{quote(str(target.url.database))}"
    options = ["--url", text]
    if tables.prefix != DEFAULT_PREFIX:
        options += ["--table-prefix", tables.prefix]
    if tables.schema is not None:
        options += ["--schema", tables.schema]
    return shlex.join(["praison-persist", *words, *options])
