"""A connection for a migration: its own, and nobody else's while it works on these tables."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from praison_persist._retry import RetryPolicy
from praison_persist.errors import MissingDependencyError, UnavailableError
from praison_persist.sql import locks
from praison_persist.sql.connecting import watch_connects
from praison_persist.sql.dialects import SQLITE, Dialect, Driver
from praison_persist.sql.failures import connect_errors, is_conflict, translate
from praison_persist.sql.recognition import check_server
from praison_persist.sql.schema import Tables
from praison_persist.sql.url import Target

__all__ = ["run_alone", "run_reading"]

R = TypeVar("R")
Work = Callable[[sa.Connection], R]

_CONFLICTS = RetryPolicy(max_retries=8)


def run_alone(target: Target, tables: Tables, work: Work[R]) -> R:
    """Run `work`, commit it, and let no other process do so meanwhile.

    On PostgreSQL `work` begins and ends its transactions; elsewhere it is in one.

    Raises:
        UnavailableError: the database cannot be reached, or another process migrates for longer
            than `locks.LOCK_WAIT_S`.
        BackendError: the database refused a statement.
    """

    def locked(connection: sa.Connection) -> R:
        with locks.LOCKS[target.dialect.sql or target.dialect.name](connection, target, tables):
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
            connection.execute(setting.format(wait_ms=locks.LOCK_WAIT_S * 1000))

    @event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        locking = connection.get_execution_options().get("praison_lock", False)
        connection.exec_driver_sql(dialect.begin_write if locking else dialect.begin_read)
