"""What a Supabase project needs before its REST API can serve as a conversation store.

A REST request is a transaction of its own, so that whatever has to be atomic is a function in the
database. The functions work on the tables of the SQL store, which may use them at the same time.
"""

from __future__ import annotations

from importlib import resources
from string import Template

import sqlalchemy as sa

from praison_persist.conversation.supabase_names import (
    DEFAULT_PREFIX,
    DEFAULT_SCHEMA,
    DOCUMENTS,
    FUNCTIONS,
    MESSAGE_FIELDS,
    SESSION_FIELDS,
    Names,
)
from praison_persist.errors import ConfigurationError
from praison_persist.sql import migrate
from praison_persist.sql.schema import Tables, check_identifier, tables
from praison_persist.sql.url import parse_url

__all__ = ["install", "setup_sql"]

_ROLE = "service_role"
_TEMPLATE = resources.files("praison_persist.conversation").joinpath("supabase.sql")

# What may belong to a session besides its messages; not all of it is at every revision.
_PARTS = ("runs", "tool_calls", "traces", "snapshots", "session_details", "runtime_states")


class _Script(Template):
    delimiter = "@"  # $ quotes the bodies of functions


def setup_sql(
    *,
    table_prefix: str = DEFAULT_PREFIX,
    schema: str = DEFAULT_SCHEMA,
    role: str = _ROLE,
    revision: str = "head",
) -> str:
    """Return the SQL for Supabase's SQL editor, to be run once: tables, functions and grants.

    Each table gets row level security without a policy, and nobody but `role` and the owner may
    read or write it.

    Args:
        table_prefix: begins the name of every table and function.
        schema: where they are; the project's API settings have to expose it.
        role: the database role of the key that the store uses.
        revision: the tables of which migration; "0001:head" upgrades those that are there,
            "head:head" leaves them as they are.

    Raises:
        ConfigurationError: a name is no identifier.
    """
    made = migrate.offline_sql(
        dialect="postgresql", revision=revision, table_prefix=table_prefix, schema=schema
    )
    return made + _functions(tables(table_prefix, schema), schema, role)


def install(
    url: str, *, table_prefix: str = DEFAULT_PREFIX, schema: str = DEFAULT_SCHEMA, role: str = _ROLE
) -> None:
    """Do what `setup_sql` says over a PostgreSQL connection, whatever is there already.

    Args:
        url: postgresql://… of the project's database.
        table_prefix: as in `setup_sql`.
        schema: as in `setup_sql`.
        role: as in `setup_sql`.

    Raises:
        ConfigurationError: the URL is not PostgreSQL's, or a name is no identifier.
        SchemaError: see `praison_persist.sql.migrate.upgrade`.
        BackendError: the database refused a statement; the functions are then as they were.
    """
    if parse_url(url).dialect.name != "postgresql":
        raise ConfigurationError(
            "Supabase's database is PostgreSQL: give the postgresql:// URL of the project "
            "(Project settings, Database)"
        )
    ours = tables(table_prefix, schema)
    script = _functions(ours, schema, role)
    migrate.upgrade(url, table_prefix=table_prefix, schema=schema)

    def run(connection: sa.Connection) -> None:
        # The script has its own BEGIN and COMMIT, and no parameters: its % are PL/pgSQL's.
        alone = connection.execution_options(isolation_level="AUTOCOMMIT", no_parameters=True)
        alone.exec_driver_sql(script)

    migrate.exclusively(url, ours, run)


def _functions(ours: Tables, schema: str, role: str) -> str:
    check_identifier(role, "role")
    prefix = ours.prefix
    text = _TEMPLATE.read_text(encoding="utf-8")
    names = Names(prefix, schema)
    functions = {name: _quoted(schema, names.function(name)) for name in FUNCTIONS}
    named = {
        table.name.removeprefix(prefix): _quoted(schema, table.name)
        for table in ours.metadata.sorted_tables
    }
    every = [*named.values(), _quoted(schema, ours.version_table)]
    return _Script(text).substitute(
        functions | {"ranges": _quoted(schema, f"{prefix}ranges")} | named,
        functions=", ".join(functions.values()),
        tables=", ".join(every),
        schema=_quoted(schema),
        role=_quoted(role),
        row_level_security="\n".join(
            f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;" for table in every
        ),
        parts=", ".join(f"'{_quoted(schema, prefix + part)}'" for part in _PARTS),
        session_columns=_columns("s", SESSION_FIELDS),
        message_columns=_columns("m", MESSAGE_FIELDS),
    )


def _quoted(*names: str) -> str:
    """Return checked identifiers as SQL, in the case they are written in."""
    return ".".join(f'"{name}"' for name in names)


def _columns(alias: str, fields: tuple[str, ...]) -> str:
    """Return what to select so that a row has these fields, documents as text."""
    return ", ".join(
        f"{alias}.{name}::text AS {name}" if name in DOCUMENTS else f"{alias}.{name}"
        for name in fields
    )
