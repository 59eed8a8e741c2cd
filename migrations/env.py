"""Alembic's entry: run the revisions on a given connection, on a URL, or as a script.

A setting is taken from `config.attributes`, from `-x name=value`, or from the ini file, in this
order: url (the ini's sqlalchemy.url), dialect (of --sql), table_prefix, schema, force.
"""

from __future__ import annotations

from logging.config import fileConfig
from typing import Any

import sqlalchemy as sa
from alembic import context
from alembic.util import CommandError

from praison_persist.sql import migrate, online  # noqa: F401 - online adds to `op`
from praison_persist.sql.schema import DEFAULT_PREFIX, Tables, tables

config = context.config


def setting(name: str, default: str | None = None, *, option: str | None = None) -> Any:
    """Return a setting, `default` if it is nowhere."""
    for source in (config.attributes, context.get_x_argument(as_dictionary=True)):
        if name in source:
            return source[name]
    return config.get_main_option(option or name, default)


def migrate_offline(ours: Tables) -> None:
    """Write the SQL of the revisions instead of running it."""
    dialect = migrate.offline_dialect(setting("url", option="sqlalchemy.url"), setting("dialect"))
    context.configure(
        dialect_name=migrate.sqlalchemy_name(dialect),
        dialect_opts={"paramstyle": "named"},
        literal_binds=True,
        **migrate.environment(ours),
    )
    with context.begin_transaction():
        if ours.schema is not None and migrate.has_schemas(dialect):
            context.execute(sa.schema.CreateSchema(ours.schema, if_not_exists=True))
        context.run_migrations()


def create_schema(connection: sa.Connection, ours: Tables) -> None:
    """Create the schema if it is absent, before Alembic puts its version table there.

    IF NOT EXISTS would need the privilege to create it even where it exists.
    """
    if ours.schema is None or not migrate.has_schemas(connection.dialect.name):
        return
    if not sa.inspect(connection).has_schema(ours.schema):
        context.execute(sa.schema.CreateSchema(ours.schema))


def migrate_on(connection: sa.Connection, ours: Tables) -> None:
    """Run the revisions on `connection`, in its transaction if it has begun one."""
    context.configure(
        connection=connection,
        force=str(setting("force", "false")).lower() in ("true", "1", "yes"),
        **migrate.environment(migrate.as_seen_by(connection, ours)),
    )
    with context.begin_transaction():
        if not context.get_context().opts.get("dont_mutate"):  # current, check: they only look
            create_schema(connection, ours)
        context.run_migrations()


def migrate_online(ours: Tables) -> None:
    """Run the revisions on the connection that was given, else on one to the URL."""
    connection = config.attributes.get("connection")
    if connection is not None:
        migrate_on(connection, ours)
        return
    url = setting("url", option="sqlalchemy.url")
    if not url:
        raise CommandError(
            "Which database? Write alembic -x url=postgresql://user:password@host/database ..., "
            "or sqlalchemy.url in the ini file"
        )
    migrate.exclusively(url, ours, lambda own: migrate_on(own, ours))


def main() -> None:
    """Run what Alembic was asked for."""
    # cmd_opts exist only under Alembic's own command line; a host's logging is its own.
    if config.cmd_opts is not None and config.file_config.has_section("loggers"):
        fileConfig(str(config.config_file_name), disable_existing_loggers=False)
    with migrate.as_command_errors():
        ours = tables(setting("table_prefix", DEFAULT_PREFIX), setting("schema") or None)
        if context.is_offline_mode():
            migrate_offline(ours)
        else:
            migrate_online(ours)


main()
