"""Where it is recorded which migrations of a user were applied."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from praison_persist.errors import ConfigurationError
from praison_persist.sql import migrate
from praison_persist.sql.dialects import SQLITE
from praison_persist.sql.exclusive import run_alone, run_reading
from praison_persist.sql.options import SQLOptions
from praison_persist.sql.schema import Tables, tables
from praison_persist.sql.url import Target, parse_url

if TYPE_CHECKING:
    from alembic.operations import Operations

__all__ = ["History", "MigrationDatabase", "SQLHistory", "StateHistory", "history_of"]

_KEY = "praison_schema_versions"

# Applies a migration, or reverts it, on what it is given.
Work = Callable[[Any], object]


class MigrationDatabase:
    """What a migration on a SQL database is given: one transaction, and the adapter.

    Attributes that are not here are the adapter's. Its own methods use other connections, which
    wait for this one: within a migration use `execute`, `op` or `connection`.

    Attributes:
        connection: SQLAlchemy's, in the transaction.
        op: Alembic's operations on it: `op.create_table(…)`, `op.add_column(…)`.
    """

    def __init__(self, connection: sa.Connection, adapter: Any) -> None:
        self.connection = connection
        self._adapter = adapter

    @property
    def op(self) -> Operations:
        """Alembic's operations."""
        from alembic.operations import Operations  # noqa: PLC0415 - Alembic only where it is used
        from alembic.runtime.migration import MigrationContext  # noqa: PLC0415 - as above

        return Operations(MigrationContext.configure(self.connection))

    def execute(self, sql: str, parameters: Mapping[str, Any] | None = None) -> Any:
        """Run a statement, with parameters written `:name` if there are any; return its result."""
        if parameters is None:
            return self.connection.execute(sa.text(sql.replace(":", r"\:")))
        return self.connection.execute(sa.text(sql), parameters)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._adapter, name)


class History(ABC):
    """The versions that were applied, and when."""

    @abstractmethod
    def schema_is_current(self) -> bool:
        """Whether the tables of this package are those of this code."""

    @abstractmethod
    def upgrade_schema(self) -> None:
        """Bring the tables of this package to those of this code."""

    @abstractmethod
    def drop_schema(self) -> None:
        """Drop the tables of this package, if they are empty."""

    @abstractmethod
    def applied(self) -> dict[str, float]:
        """Return version -> when it was applied, in seconds since the epoch."""

    @abstractmethod
    def change(self, version: str, description: str, work: Work, *, applies: bool) -> bool:
        """Run `work` and record that the version is applied, or is not any more.

        Returns:
            Whether that was done: False if it was so already, by another process perhaps.
        """


class SQLHistory(History):
    """In a table beside those of this package.

    A migration and its record are one transaction, where the database rolls back DDL (SQLite,
    PostgreSQL), and nobody else migrates the same tables meanwhile.
    """

    def __init__(self, target: Target, options: SQLOptions, adapter: Any) -> None:
        self._target, self._options, self._adapter = target, options, adapter
        self._ours: Tables = tables(options.table_prefix, options.schema)
        self._table = sa.Table(
            f"{options.table_prefix}schema_versions",
            sa.MetaData(schema=options.schema),
            sa.Column("version", sa.String(50), primary_key=True),
            sa.Column("description", sa.Text()),
            sa.Column("applied_at", sa.Double(), nullable=False),
        )

    def schema_is_current(self) -> bool:
        """See History."""
        current: bool = self._read(
            lambda connection: migrate.is_current(connection, self._ours), False
        )
        return current

    def upgrade_schema(self) -> None:
        """See History."""
        migrate.upgrade_target(self._target, self._options)

    def drop_schema(self) -> None:
        """See History."""
        migrate.downgrade_target(self._target, self._options)

    def applied(self) -> dict[str, float]:
        """See History."""
        found: dict[str, float] = self._read(self._applied, {})
        return found

    def change(self, version: str, description: str, work: Work, *, applies: bool) -> bool:
        """See History."""

        def alone(connection: sa.Connection) -> bool:
            with nullcontext() if connection.in_transaction() else connection.begin():
                self._table.create(connection, checkfirst=True)
                mine = self._table.c.version == version
                # A read that locks: on MySQL another one might not see what was waited for.
                query = sa.select(self._table.c.version).where(mine).with_for_update()
                if (connection.execute(query).first() is not None) is applies:
                    return False
                connection.execute(self._table.delete().where(mine))
                work(MigrationDatabase(connection, self._adapter))
                if applies:
                    row = {"description": description, "applied_at": time.time()}
                    connection.execute(self._table.insert().values(version=version, **row))
                return True

        return run_alone(self._target, self._ours, alone)

    def _applied(self, connection: sa.Connection) -> dict[str, float]:
        if not sa.inspect(connection).has_table(self._table.name, self._table.schema):
            return {}
        rows = connection.execute(sa.select(self._table.c.version, self._table.c.applied_at))
        return {version: float(applied_at) for version, applied_at in rows}

    def _read(self, read: Callable[[sa.Connection], Any], absent: Any) -> Any:
        target = self._target
        if target.dialect is SQLITE and not Path(target.address).exists():
            return absent  # the file is made by the first write
        return run_reading(target, read)


class StateHistory(History):
    """In a state store, for adapters whose conversations are in no SQL database.

    A migration and its record are two writes: one that ends between them is applied again.
    """

    def __init__(self, store: Any, adapter: Any) -> None:
        self._store, self._adapter = store, adapter

    def schema_is_current(self) -> bool:
        """See History: there are no tables."""
        return True

    def upgrade_schema(self) -> None:
        """See History: there are no tables."""

    def drop_schema(self) -> None:
        """See History: there are no tables."""

    def applied(self) -> dict[str, float]:
        """See History."""
        return dict(self._store.hgetall(_KEY))

    def change(self, version: str, description: str, work: Work, *, applies: bool) -> bool:
        """See History."""
        del description  # of the code, not of what is stored
        if (version in self.applied()) is applies:
            return False
        work(self._adapter)
        if applies:
            self._store.hset(_KEY, version, time.time())
        else:
            self._store.hdel(_KEY, version)
        return True


def history_of(adapter: Any) -> History:
    """Return the history of an adapter's database, of a SQL store's, or of a URL's.

    Raises:
        ConfigurationError: there is neither a SQL database nor a state store.
    """
    if isinstance(adapter, str):
        return _of_target(parse_url(adapter), SQLOptions(), adapter)
    connected = getattr(adapter, "_connected", None)
    database: Any = getattr(adapter if connected is None else connected.given, "database", None)
    target = getattr(database, "target", None)
    if isinstance(target, Target):
        # One that runs another in threads has its options there.
        options = getattr(database, "options", None) or database.database.options
        return _of_target(target, options, adapter)
    store = None if connected is None else connected.sync_state
    if store is None:
        raise ConfigurationError(
            f"{type(adapter).__name__} has neither a SQL database nor a state store, where it "
            "could be recorded which migrations were applied"
        )
    return StateHistory(store, adapter)


def _of_target(target: Target, options: SQLOptions, adapter: Any) -> History:
    if target.memory:
        raise ConfigurationError(
            f"{target} has its tables for as long as it is open, and no history of them"
        )
    return SQLHistory(target, options, adapter)
