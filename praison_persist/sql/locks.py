"""What lets one process alone migrate the same tables: a lock for each kind of database.

On SQLite it is that of the migration's own transaction. Elsewhere a second connection holds it
until after the last commit: MariaDB, MySQL and SingleStore commit each DDL statement, and on
PostgreSQL an index is built outside a transaction. There a transaction holds it, not a session: a
pooler such as PgBouncer would strand a session's lock. CockroachDB and SingleStore have no locks of
that kind: there it is a row's (lock_table.py). Where MariaDB's servers are a cluster, a row that
they all see comes beside it (lease.py).

A libSQL server takes the lock from who has held it for five seconds, when another asks for it: of
two migrations one then fails, and nothing of it is kept.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Final

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError

from praison_persist.errors import UnavailableError
from praison_persist.sql.dialects import MYSQL
from praison_persist.sql.lease import leased
from praison_persist.sql.lock_table import FREE_ROW, lock_table, make_lock_table
from praison_persist.sql.schema import Tables
from praison_persist.sql.statements import insert_new
from praison_persist.sql.url import Target

__all__ = ["LOCKS", "LOCK_WAIT_S"]

LOCK_WAIT_S = 120  # how long to wait for another process that migrates the same tables

# Has the lock while a connection works, which is in a transaction except on PostgreSQL.
Lock = Callable[[sa.Connection, Target, Tables], AbstractContextManager[None]]

_ASK_AGAIN_S = 0.05
_FIND = "find it with: SELECT pid, locktype, relation::regclass FROM pg_locks WHERE granted"
_LOCK_NOT_AVAILABLE = "55P03"  # PostgreSQL manual, appendix A
_LOCK_WAIT_TIMEOUT = 1205  # MariaDB and MySQL error references


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
        with connection.engine.connect() as holder, _taken(holder, key, target):
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


def _taken(holder: sa.Connection, key: int, target: Target) -> sa.RootTransaction:
    """Ask for the lock again and again. Return the transaction that has it, and no snapshot.

    CREATE INDEX CONCURRENTLY waits for the transactions of others that have a snapshot when it
    looks, until they end: one who waits for the lock in a statement, or asks for it twice in the
    same transaction, and the one who builds would wait for each other, which the server cannot see.
    A query that has ended keeps its snapshot until the next one; SET needs none.
    """
    deadline = time.monotonic() + LOCK_WAIT_S
    while True:
        transaction = holder.begin()
        # The holder idles while the other works; a role or database may limit that.
        _set_locally(holder, idle_in_transaction_session_timeout="0")
        if holder.scalar(sa.select(sa.func.pg_try_advisory_xact_lock(key))):
            holder.execute(sa.text("SET LOCAL statement_timeout = 0"))
            return transaction
        transaction.rollback()
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
                lock = make_lock_table(connection, tables)
            _limit_waits(holder)
            # Never committed: who waits to insert the same row goes on without a conflict, and a
            # holder that dies leaves nothing behind. Reading FOR UPDATE would keep others out only
            # as far as nothing goes wrong (cockroachlabs.com/docs/stable/select-for-update).
            holder.execute(sa.insert(lock), FREE_ROW)
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


@contextmanager
def _singlestore_lock(connection: sa.Connection, target: Target, tables: Tables) -> Iterator[None]:
    lock = lock_table(tables)
    with connection.engine.connect() as holder:
        holder.execute(sa.schema.CreateTable(lock, if_not_exists=True))
        # Seconds until a row lock is given up; 60 by default.
        for each in (holder, connection):
            each.execute(sa.text("SET lock_wait_timeout = :s"), {"s": LOCK_WAIT_S})
            each.commit()
        try:
            holder.execute(insert_new(holder, lock), FREE_ROW)
            holder.commit()
            # Held until the end of the holder's transaction, or of its connection.
            holder.execute(sa.update(lock).where(lock.c.id == 1).values(beats=lock.c.beats + 1))
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


LOCKS: Final[Mapping[str, Lock]] = {
    "sqlite": _sqlite_lock,
    "postgresql": _postgresql_lock,
    "cockroachdb": _cockroachdb_lock,
    "mysql": _mysql_lock,
    "singlestoredb": _singlestore_lock,
}
