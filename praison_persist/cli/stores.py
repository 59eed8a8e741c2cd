"""From options and the environment to stores; what only reads makes nothing, not even a file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from praison_persist._environment import own_variable, variable_names
from praison_persist.config import detect_backend
from praison_persist.connect import Connected, connect
from praison_persist.errors import ConfigurationError, NotFoundError

__all__ = ["conversation_url", "located", "open_conversations"]


def conversation_url(given: str | None) -> str:
    """Return the URL that was given, or else that of the environment.

    Raises:
        ConfigurationError: there is neither.
    """
    url = given or own_variable("CONVERSATION_URL")
    if not url:
        variables = " or ".join(variable_names("CONVERSATION_URL"))
        raise ConfigurationError(f"Which database? Write --url URL, or set {variables}")
    return url


def located(
    url: str | None, table_prefix: str | None = None, schema: str | None = None
) -> tuple[str | None, str | None, dict[str, Any]]:
    """Return URL, backend and options of the conversations, as `connect` and an adapter take them.

    Args:
        url: what the command was given; None is the environment's.
        table_prefix: of a SQL database; None is the default.
        schema: of a SQL database; None is its own.

    Raises:
        ConfigurationError: neither a URL nor a backend is given, here or in the environment.
    """
    named = {"table_prefix": table_prefix, "schema": schema}
    options = {name: value for name, value in named.items() if value is not None}
    if url:
        return url, detect_backend(url), options
    backend = own_variable("CONVERSATION_STORE")
    if backend is None:
        conversation_url(None)
        return None, None, options  # `connect` reads the environment, with the replica's URL
    return own_variable("CONVERSATION_URL"), backend, options


@contextmanager
def open_conversations(
    url: str | None,
    table_prefix: str | None = None,
    schema: str | None = None,
    *,
    create: bool = False,
) -> Iterator[Connected]:
    """Open the conversations, and what is kept beside them, until the context ends.

    Args:
        url: what the command was given; None is the environment's.
        table_prefix: of a SQL database; None is the default.
        schema: of a SQL database; None is its own.
        create: make the file, the folder or the tables if there are none. A command that only
            reads leaves that out.

    Raises:
        ConfigurationError: no URL, or one that cannot be right.
        MissingDependencyError: names the extra that brings the driver.
        NotFoundError, SchemaError: there is nothing to read; says what to type.
        UnavailableError: the database cannot be reached.
    """
    connected = connect(*located(url, table_prefix, schema))
    try:
        if not create:
            _check_there(connected)
        yield connected
    finally:
        connected.close()


def _check_there(connected: Connected) -> None:
    """Refuse to read what a store would have to make first."""
    if connected.is_sql:
        _check_tables(connected.given.database)
        return
    folder = getattr(getattr(connected.given, "driver", None), "path", None)
    if isinstance(folder, Path) and not folder.is_dir():
        raise NotFoundError(f"There is no folder {folder}; check the path")


def _check_tables(database: Any) -> None:
    # Here, so that a folder of JSON files is read without SQLAlchemy.
    from praison_persist.sql import migrate  # noqa: PLC0415 - see above
    from praison_persist.sql.exclusive import run_reading  # noqa: PLC0415 - see above

    target = database.target
    if target.memory:
        raise ConfigurationError("An in-memory database ends with its process; there is none here")
    if not run_reading(target, lambda c: migrate.is_current(c, database.tables)):
        migrate.ensure(target, replace(database.options, auto_migrate=False))
