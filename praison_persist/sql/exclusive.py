"""A connection for a migration: its own, and nobody else's while it works on these tables.

On SQLite the lock is that of the migration's own transaction. Elsewhere a second connection holds
it until after the last commit: MariaDB, MySQL and SingleStore commit each DDL statement, and on
PostgreSQL an index is built outside a transaction. There a transaction holds it, not a session: a
pooler such as PgBouncer would strand a session's lock. CockroachDB and SingleStore have no locks of
that kind: there it is a row's, of a table of its own. Where MariaDB's servers are a cluster, a row
that they all see comes beside it (lease.py).

A libSQL server takes the lock from who has held it for five seconds, when another asks for it: of
two migrations one then fails, and nothing of it is kept.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from praison_persist._retry import RetryPolicy
from praison_persist.errors import MissingDependencyError, UnavailableError
from praison_persist.sql.connecting import watch_connects
from praison_persist.sql.dialects import MYSQL, SQLITE, Dialect, Driver
from praison_persist.sql.failures import connect_errors, is_conflict, translate
from praison_persist.sql.lease import leased
from praison_persist.sql.recognition import check_server
from praison_persist.sql.schema import Tables
from praison_persist.sql.statements import insert_new
from praison_persist.sql.url import Target

__all__ = ["LOCK_WAIT_S", "run_alone", "run_reading"]

LOCK_WAIT_S = 120  # how long to wait for another process that migrates the same tables

R = TypeVar("R")
Work = Callable[[sa.Connection], R]

_CONFLICTS = RetryPolicy(max_retries=8)

_ASK_AGAIN_S = 0.05
_FIND = "find it with: SELECT pid, locktype, relation::regclass FROM pg_locks WHERE granted"
_LOCK_NOT_AVAILABLE = "55P03"  # PostgreSQL manual, appendix A
_LOCK_WAIT_TIMEOUT = 1205  # MariaDB and MySQL error references


def run_alone(target: Target, tables: Tables, work: Work[R]) -> R:
    """Run `work`, commit it, and let no other process do so meanwhile.

    On PostgreSQL `work` begins and ends its transactions; elsewhere it is in one.

    Raises:
        UnavailableError: the database cannot be reached, or another process migrates for longer
            than LOCK_WAIT_S.
        BackendError: the database refused a statement.
    """

    def locked(connection: sa.Connection) -> R:
        with _LOCKS[target.dialect.sql or target.dialect.name](connection, target, tables):
            return work(connection)

    return _translated(target, lambda driver: _connected(target, driver, locked))


def run_reading(target: Target, work: Work[R]) -> R:
    """Run `work`, which only reads, beside whatever else goes on. Raises as `run_alone`."""
    if target.dialect is SQLITE and not target.memory and not Path(target.address).exists():
        raise UnavailableError(f"There is no SQLite file {target.address}; check the path")
    return _translated(target, lambda driver: _connected(target, driver, work))


def _translated(target: Target, run: Callable[[Driver], R]) -> R:
    driver, started = _driver(target), time.monotonic()
    failures: tuple[type[BaseException], ...] = (SQLAlchemyError, OSError, *connect_errors(driver))
    delays = list(_CONFLICTS.delays())
    while True:
        try:
            return run(driver)
        except failures as error:
            if not is_conflict(error, target.dialect) or not delays:
                raise translate(
                    error,
                    target.dialect,
                    target.address,
                    attempts=_CONFLICTS.max_retries - len(delays) + 1,
                    elapsed_s=time.monotonic() - started,
                ) from error
        time.sleep(delays.pop(0))


def _driver(target: Target) -> Driver:
    """Return the sync driver if there is one, else the asyncio driver."""
    try:
        return target.driver(is_async=False)
    except MissingDependencyError as no_sync:
        try:
            return target.driver(is_async=True)
        except MissingDependencyError:
            raise no_sync from None


def _connected(target: Target, driver: Driver, work: Work[R]) -> R:
    arguments: dict[str, Any] = {
        "url": target.sqlalchemy_url(driver),
        "connect_args": target.connect_args(driver),
        "poolclass": NullPool,
        "hide_parameters": True,
    }
    if driver.is_async:
        return _in_private_loop(target, driver, arguments, work)
    engine = sa.create_engine(**arguments)
    watch_connects(engine, target, driver)
    check_server(engine, target, driver)
    if target.dialect.begin_write:
        _set_up(engine, target.dialect)
    with engine.connect() as connection:
        return work(connection)


def _in_private_loop(target: Target, driver: Driver, arguments: dict[str, Any], work: Work[R]) -> R:
    """Run `work` over an asyncio driver, in a thread because this one may have a running loop."""
    # Imported here: it needs greenlet, which sync-only installations lack.
    from sqlalchemy.ext.asyncio import create_async_engine  # noqa: PLC0415 - see above

    async def connected() -> R:
        engine = create_async_engine(**arguments)
        watch_connects(engine.sync_engine, target, driver)
        check_server(engine.sync_engine, target, driver)
        async with engine.connect() as connection:
            return await connection.run_sync(work)

    with ThreadPoolExecutor(1, "praison-migrate") as thread:
        return thread.submit(lambda: asyncio.run(connected())).result()


def _set_up(engine: sa.Engine, dialect: Dialect) -> None:
    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # only _begin begins transactions
        for setting in dialect.migration_settings:
            connection.execute(setting.format(wait_ms=LOCK_WAIT_S * 1000))

    @event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        locking = connection.get_execution_options().get("praison_lock", False)
        connection.exec_driver_sql(dialect.begin_write if locking else dialect.begin_read)


@contextmanager
def _sqlite_lock(connection: sa.Connection, target: Target, _tables: Tables) -> Iterator[None]:
    try:
        transaction = connection.execution_options(praison_lock=True).begin()
    except DBAPIError as error:
        names = (getattr(error.orig, name, "") for name in ("sqlite_errorname", "hrana_code"))
        if "SQLITE_BUSY" in names:
            raise _still_locked(target, "end the process that writes to it") from error
        raise
    with transaction:
        yield


@contextmanager
def _postgresql_lock(connection: sa.Connection, target: Target, tables: Tables) -> Iterator[None]:
    key = int.from_bytes(_digest(connection, target, tables), signed=True)
    connection.rollback()  # what the digest began
    try:
        with connection.engine.begin() as holder:
            # The holder idles while the other works; a role or database may limit that.
            _set_locally(holder, idle_in_transaction_session_timeout="0")
            _take(holder, key, target)
            waiting = {"statement_timeout": "0", "lock_timeout": f"{LOCK_WAIT_S}s"}
            event.listen(connection, "begin", lambda begun: _set_locally(begun, **waiting))
            yield
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", "") == _LOCK_NOT_AVAILABLE:
            raise _still_locked(target, _FIND) from error
        raise


def _set_locally(connection: sa.Connection, **settings: str) -> None:
    """Set parameters until the transaction's end."""
    for name, value in settings.items():
        connection.execute(sa.select(sa.func.set_config(name, value, True)))


def _take(holder: sa.Connection, key: int, target: Target) -> None:
    """Ask for the lock again and again, and keep no snapshot meanwhile or afterwards.

    CREATE INDEX CONCURRENTLY waits for the snapshots of others: the one who builds and those who
    wait for the lock would wait for each other, which the server cannot see. A statement that waits
    has a snapshot, and a query that has ended keeps its own until the next one; SET needs none.
    """
    deadline = time.monotonic() + LOCK_WAIT_S
    while True:
        taken = holder.scalar(sa.select(sa.func.pg_try_advisory_xact_lock(key)))
        holder.execute(sa.text("SET LOCAL statement_timeout = 0"))
        if taken:
            return
        if time.monotonic() > deadline:
            raise _still_locked(target, _FIND)
        time.sleep(_ASK_AGAIN_S)


@contextmanager
def _mysql_lock(connection: sa.Connection, target: Target, tables: Tables) -> Iterator[None]:
    name = f"praison_persist {_digest(connection, target, tables).hex()}"
    with connection.engine.connect() as holder:
        holder.execution_options(isolation_level="AUTOCOMMIT")
        # NULL when the server ends the wait for reasons of its own.
        if holder.scalar(sa.select(sa.func.get_lock(name, LOCK_WAIT_S))) != 1:
            raise _still_locked(target, f"find it with: SELECT IS_USED_LOCK('{name}')")
        try:
            alone = leased(holder, connection, target, tables, LOCK_WAIT_S)
            with alone, connection.begin():
                # A day, by default: for whoever has one of the tables open.
                wait = sa.text("SET lock_wait_timeout = :s, innodb_lock_wait_timeout = :s")
                connection.execute(wait, {"s": LOCK_WAIT_S})
                yield
        except DBAPIError as error:
            if error.orig is not None and error.orig.args[:1] == (_LOCK_WAIT_TIMEOUT,):
                raise _still_locked(target, "find it with: SHOW FULL PROCESSLIST") from error
            raise
        finally:
            holder.execute(sa.select(sa.func.release_lock(name)))


@contextmanager
def _cockroachdb_lock(connection: sa.Connection, target: Target, tables: Tables) -> Iterator[None]:
    # Each statement is a transaction: DDL in a longer one is not undone with it, and not allowed
    # beside other statements (cockroachlabs.com/docs/stable/online-schema-changes).
    connection.execution_options(isolation_level="AUTOCOMMIT")
    try:
        with connection.engine.connect() as holder:
            with connection.begin():
                _limit_waits(connection)
                lock = _make_lock_table(connection, tables)
            _limit_waits(holder)
            # Never committed: who waits to insert the same row goes on without a conflict, and a
            # holder that dies leaves nothing behind. Reading FOR UPDATE would keep others out only
            # as far as nothing goes wrong (cockroachlabs.com/docs/stable/select-for-update).
            holder.execute(sa.insert(lock), {"id": 1, "taken": 0})
            with connection.begin():
                yield
            holder.rollback()
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", "") == _LOCK_NOT_AVAILABLE:
            find = "SELECT * FROM crdb_internal.cluster_locks WHERE granted"
            raise _still_locked(target, f"find it with: {find}") from error
        raise


def _limit_waits(connection: sa.Connection) -> None:
    settings = {
        "statement_timeout": "0",
        "idle_in_transaction_session_timeout": "0",
        "lock_timeout": f"{LOCK_WAIT_S}s",
    }
    for name, value in settings.items():
        connection.execute(sa.select(sa.func.set_config(name, value, False)))


def _make_lock_table(connection: sa.Connection, tables: Tables) -> sa.Table:
    """Make the table of the lock if it is absent."""
    inspector = sa.inspect(connection)
    if tables.schema is not None and not inspector.has_schema(tables.schema):
        connection.execute(sa.schema.CreateSchema(tables.schema, if_not_exists=True))
    lock = _lock_table(tables)
    if not inspector.has_table(lock.name, lock.schema):
        connection.execute(sa.schema.CreateTable(lock, if_not_exists=True))
    return lock


def _lock_table(tables: Tables) -> sa.Table:
    """Return the table whose row stands for these tables.

    The only one that Alembic does not make: its own version table is made under the lock.
    """
    return sa.Table(
        f"{tables.prefix}migration_lock",
        sa.MetaData(schema=tables.schema),
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("taken", sa.BigInteger(), nullable=False),
    )


@contextmanager
def _singlestore_lock(connection: sa.Connection, target: Target, tables: Tables) -> Iterator[None]:
    lock = _lock_table(tables)
    with connection.engine.connect() as holder:
        holder.execute(sa.schema.CreateTable(lock, if_not_exists=True))
        # Seconds until a row lock is given up; 60 by default.
        for each in (holder, connection):
            each.execute(sa.text("SET lock_wait_timeout = :s"), {"s": LOCK_WAIT_S})
            each.commit()
        try:
            holder.execute(insert_new(holder, lock), {"id": 1, "taken": 0})
            holder.commit()
            # Held until the end of the holder's transaction, or of its connection.
            holder.execute(sa.update(lock).where(lock.c.id == 1).values(taken=lock.c.taken + 1))
            with connection.begin():
                yield
        except DBAPIError as error:
            if error.orig is not None and error.orig.args[:1] == (_LOCK_WAIT_TIMEOUT,):
                raise _still_locked(target, "find it with: SHOW PROCESSLIST") from error
            raise
        holder.rollback()


def _digest(connection: sa.Connection, target: Target, tables: Tables) -> bytes:
    """Return what stands for these tables among all that may be locked."""
    schema = tables.schema or connection.dialect.default_schema_name or ""
    # A schema is a database on MariaDB and MySQL, where locks belong to the whole server.
    database = "" if target.dialect is MYSQL else target.url.database
    text = f"{database}\0{schema}\0{tables.prefix}"
    return hashlib.blake2b(text.encode(), digest_size=8).digest()


def _still_locked(target: Target, remedy: str) -> UnavailableError:
    return UnavailableError(
        f"{target.address} has been locked by another process for {LOCK_WAIT_S} s, which migrates "
        f"or uses these tables. Wait for it and try again, or {remedy}"
    )


_LOCKS = {
    "sqlite": _sqlite_lock,
    "postgresql": _postgresql_lock,
    "cockroachdb": _cockroachdb_lock,
    "mysql": _mysql_lock,
    "singlestoredb": _singlestore_lock,
}
