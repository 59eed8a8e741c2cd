"""State in any SQL database: the operations of `praison_persist.sql.state` as a driver."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import inf
from typing import Any, Self

from sqlalchemy.engine import URL

from praison_persist._flow import Flow, arun, run, wait
from praison_persist.errors import ConfigurationError, PersistError
from praison_persist.sql import state as ops
from praison_persist.sql.database import AsyncDatabase, Database
from praison_persist.sql.offloaded import OffloadedDatabase, open_async
from praison_persist.sql.options import SQLOptions
from praison_persist.sql.url import Target, parse_url
from praison_persist.state.base import AsyncBaseStateStore, BaseStateStore, StateDriver
from praison_persist.state.driver import added, done
from praison_persist.state.keys import Glob

__all__ = ["AsyncSQLStateStore", "SQLStateStore"]

_log = logging.getLogger(__name__)

DatabaseURL = str | os.PathLike[str] | URL

_PAGE = 5000  # keys
_PURGE_LIMIT = 1000  # keys at a time


class SQLDriver(StateDriver):
    """Hooks over a database of either colour, which repeats and translates by itself.

    Args:
        owned: close the database with the store.
        purge_interval: seconds after which a write also deletes what has expired; None: never.
    """

    def __init__(
        self,
        database: Database | AsyncDatabase | OffloadedDatabase,
        clock: Callable[[], float],
        purge_interval: float | None = 60.0,
        *,
        owned: bool = True,
    ) -> None:
        self.database: Any = database
        self.address = str(database.target)
        self._clock, self._owned = clock, owned
        self._purge_interval, self._purged_at = purge_interval, clock()

    def read(self, keys: Sequence[str]) -> Flow[dict[str, str]]:
        """See StateDriver.read."""
        found = yield from wait(self.database.read(ops.read, keys, self._clock()))
        return {key: text for key, (text, _) in found.items()}

    def read_versioned(self, key: str) -> Flow[tuple[str, int] | None]:
        """See StateDriver.read_versioned."""
        found = yield from wait(self.database.read(ops.read, [key], self._clock()))
        stored: tuple[str, int] | None = found.get(key)
        return stored

    def write(self, texts: Mapping[str, str], version: int, ttl: float | None) -> Flow[int]:
        """See StateDriver.write."""
        now = self._clock()
        yield from wait(self.database.run(ops.write, texts, version, _after(now, ttl), now))
        yield from self._purge_if_due(now)
        return version

    def write_if(
        self, key: str, text: str, version: int, ttl: float | None, expected: int
    ) -> Flow[int | None]:
        """See StateDriver.write_if."""
        now = self._clock()
        deadline = _after(now, ttl)
        written = yield from wait(
            self.database.run(ops.write_if, key, text, version, deadline, expected, now)
        )
        return version if written else None

    def delete(self, keys: Sequence[str]) -> Flow[int]:
        """See StateDriver.delete."""
        return wait(self.database.run(ops.delete, keys, self._clock()))

    def remaining(self, key: str) -> Flow[float | None]:
        """See StateDriver.remaining."""
        now = self._clock()
        found = yield from wait(self.database.read(ops.expiry, key, now))
        if found is None:
            return None
        (expires_at,) = found
        return inf if expires_at is None else expires_at - now

    def expire(self, key: str, ttl: float | None) -> Flow[bool]:
        """See StateDriver.expire."""
        now = self._clock()
        return wait(self.database.run(ops.expire, key, _after(now, ttl), now))

    def page(
        self, glob: Glob, limit: int | None, cursor: str | None
    ) -> Flow[tuple[Sequence[str], str | None]]:
        """See StateDriver.page. The cursor is the last key of the page before."""
        size = limit or _PAGE
        keys = yield from wait(
            self.database.read(ops.page, glob.literals, size, cursor, self._clock())
        )
        return keys, keys[-1] if len(keys) == size else None

    def clear(self, prefix: str) -> Flow[int | None]:
        """See StateDriver.clear."""
        return wait(self.database.run(ops.clear, prefix, self._clock()))

    def read_fields(self, key: str, fields: Sequence[str] | None) -> Flow[dict[str, str]]:
        """See StateDriver.read_fields."""
        return wait(self.database.read(ops.read_fields, key, fields, self._clock()))

    def write_fields(self, key: str, texts: Mapping[str, str]) -> Flow[None]:
        """See StateDriver.write_fields."""
        now = self._clock()
        yield from wait(self.database.run(ops.write_fields, key, texts, now))
        yield from self._purge_if_due(now)

    def delete_fields(self, key: str, fields: Sequence[str]) -> Flow[int]:
        """See StateDriver.delete_fields."""
        return wait(self.database.run(ops.delete_fields, key, fields, self._clock()))

    def add(self, key: str, amount: int, version: int) -> Flow[int]:
        """See StateDriver.add."""
        total = partial(added, key, amount=amount)
        return wait(self.database.run(ops.add, key, total, version, self._clock()))

    def close(self) -> Flow[None]:
        """See StateDriver.close."""
        return wait(self.database.close()) if self._owned else done(None)

    def purge(self) -> Flow[int]:
        """Delete what has expired, a batch at a time; return how many keys."""
        purged = 0
        while True:
            count: int = yield from wait(self.database.run(ops.purge, _PURGE_LIMIT, self._clock()))
            purged += count
            if count < _PURGE_LIMIT:
                return purged

    def _purge_if_due(self, now: float) -> Flow[None]:
        if self._purge_interval is None or now < self._purged_at + self._purge_interval:
            return
        self._purged_at = now
        try:
            yield from wait(self.database.run(ops.purge, _PURGE_LIMIT, now))
        except PersistError as error:
            # What the caller asked for is written; what has expired is invisible anyway.
            _log.debug("%s: purging failed: %s", self.address, type(error).__name__)


def _target(url: DatabaseURL | None) -> Target:
    if url is None:
        raise ConfigurationError(
            "The sql state store needs url=: a database URL such as sqlite:///state.db"
        )
    return parse_url(url)


def _options(target: Target, options: Mapping[str, Any]) -> SQLOptions:
    if "replica_url" in options:
        raise ConfigurationError("State is read from the primary alone: leave out replica_url")
    return SQLOptions.from_mapping(options, target.option_defaults)


def _after(now: float, ttl: float | None) -> float | None:
    return None if ttl is None else now + ttl


class SQLStateStore(BaseStateStore):
    """State in any SQL database, over a sync driver.

    Args:
        url: a database URL, a path of an SQLite file, or ":memory:". Required.
        clock: seconds since the epoch; decides what has expired.
        purge_interval: seconds after which a write also deletes what has expired; None: never.
        options: see `praison_persist.sql.options.SQLOptions`.

    Raises:
        ConfigurationError: the URL or an option cannot be right.
        MissingDependencyError: the driver is not installed.
    """

    driver: SQLDriver

    def __init__(
        self,
        url: DatabaseURL | None = None,
        *,
        clock: Callable[[], float] = time.time,
        purge_interval: float | None = 60.0,
        **options: Any,
    ) -> None:
        target = _target(url)
        database = Database(target, _options(target, options))
        super().__init__(SQLDriver(database, clock, purge_interval))

    @classmethod
    def of(cls, database: Database, *, clock: Callable[[], float] = time.time) -> Self:
        """Return the state kept beside conversations in their database, which closes it."""
        new = cls.__new__(cls)
        BaseStateStore.__init__(new, SQLDriver(database, clock, owned=False))
        return new

    @property
    def database(self) -> Database:
        """The database that operations run on."""
        database: Database = self.driver.database
        return database

    def connect(self) -> None:
        """Connect and check the schema now, instead of at the first use."""
        self.database.connect()

    def purge(self) -> int:
        """Delete what has expired for good; return how many keys. Writes do so now and then."""
        return run(self._flows.call("purge", self.driver.purge))


class AsyncSQLStateStore(AsyncBaseStateStore):
    """State in any SQL database, for asyncio. Arguments and errors are those of `SQLStateStore`."""

    driver: SQLDriver

    def __init__(
        self,
        url: DatabaseURL | None = None,
        *,
        clock: Callable[[], float] = time.time,
        purge_interval: float | None = 60.0,
        **options: Any,
    ) -> None:
        target = _target(url)
        database = open_async(target, _options(target, options))
        super().__init__(SQLDriver(database, clock, purge_interval))

    @classmethod
    def of(
        cls, database: AsyncDatabase | OffloadedDatabase, *, clock: Callable[[], float] = time.time
    ) -> Self:
        """See `SQLStateStore.of`."""
        new = cls.__new__(cls)
        AsyncBaseStateStore.__init__(new, SQLDriver(database, clock, owned=False))
        return new

    @property
    def database(self) -> AsyncDatabase | OffloadedDatabase:
        """The database that operations run on."""
        database: AsyncDatabase | OffloadedDatabase = self.driver.database
        return database

    async def connect(self) -> None:
        """See `SQLStateStore.connect`."""
        await self.database.connect()

    async def purge(self) -> int:
        """See `SQLStateStore.purge`."""
        return await arun(self._flows.call("purge", self.driver.purge))
