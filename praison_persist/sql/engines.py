"""Engines, one set per database and process (and event loop), shared by all stores that use it."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from math import inf
from typing import Any, Generic, TypeVar
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy import event, exc
from sqlalchemy.pool import ConnectionPoolEntry

from praison_persist import _json
from praison_persist._adapt import is_background
from praison_persist.sql.alone import ALONE
from praison_persist.sql.appends import Appender
from praison_persist.sql.connecting import as_configuration, watch_connects
from praison_persist.sql.dialects import BUSY_TIMEOUT_S, SQLITE, Appending, Driver
from praison_persist.sql.embedded_replica import EmbeddedReplica
from praison_persist.sql.group_commit_loop import LoopCommit
from praison_persist.sql.group_commit_threads import GroupCommit
from praison_persist.sql.options import SQLOptions
from praison_persist.sql.pool import FairPool
from praison_persist.sql.recognition import check_server
from praison_persist.sql.schema import tables
from praison_persist.sql.url import Target, parse_url

__all__ = ["READ_ONLY", "AsyncEngines", "Engines", "engine_arguments", "set_up"]

# A connection that idled for longer is tested before it is used.
PING_AFTER_S = 1.0
_USED = "praison_used"

# Execution option of a transaction that only reads: on SQLite it does not queue with the writers.
READ_ONLY = "praison_read_only"

E = TypeVar("E")


@dataclass(slots=True)
class Doubt:
    """Since when the connections of a database are to be tested before they are used.

    Attributes:
        since: of time.monotonic(); those used later are not meant.
    """

    since: float = -inf


@dataclass(frozen=True, slots=True)
class AppendingEngine(Generic[E]):
    """Where messages are appended, and what gathers those of many callers."""

    engine: E
    appender: Appender
    commits: GroupCommit | LoopCommit


@dataclass(frozen=True, slots=True)
class Pair(Generic[E]):
    """Where writes and where reads go; the same pool unless the dialect has a single writer.

    Attributes:
        alone: for reads of one statement; None: they are transactions like others.
        appending: where messages are appended; None: like all else that is written.
        embedded: keeps the file that is read.
        doubt: of the connections of all of them, once one was lost.
    """

    writer: E
    reader: E
    alone: E | None = None
    appending: AppendingEngine[E] | None = None
    embedded: EmbeddedReplica | None = None
    doubt: Doubt = field(default_factory=Doubt)

    @property
    def engines(self) -> list[E]:
        """All of them, each once."""
        found = [self.writer, self.reader]
        if self.appending is not None:
            found.append(self.appending.engine)
        return list(dict.fromkeys(found))


def engine_arguments(
    target: Target, driver: Driver, options: SQLOptions, *, appends: bool = False
) -> dict[str, Any]:
    """Return the keyword arguments of create_engine that both colours share."""
    also = driver.append_args if appends else {}
    return {
        "url": target.sqlalchemy_url(driver),
        "connect_args": {**target.connect_args(driver), **also},
        "pool_recycle": -1 if target.memory else options.pool_recycle,
        "pool_timeout": options.pool_timeout,
        "hide_parameters": True,
        "json_serializer": _json.dumps,
        "json_deserializer": _json.loads,
    }


def _pool(
    target: Target, options: SQLOptions, *, writer: bool, appending: Appending | None
) -> dict[str, Any]:
    if target.memory or (writer and target.dialect.single_writer):
        return {"pool_size": 1, "max_overflow": 0}
    kept, most = options.pool_size, options.pool_size + options.max_overflow
    if _has_statements_apart(target, options):
        # A third of the connections is for transactions, the rest for statements that are one.
        transacting, most_transacting = max(1, kept // 3), max(1, most // 3)
        if appending is None:
            kept, most = transacting, most_transacting
        else:
            kept, most = max(1, kept - transacting), most - most_transacting
    found: dict[str, Any] = {"pool_size": kept, "max_overflow": most - kept}
    if appending is not None:
        # What appends ends its transactions itself.
        found |= {
            "isolation_level": "AUTOCOMMIT",
            "pool_reset_on_return": None,
            "skip_autocommit_rollback": True,
        }
    return found


def _has_statements_apart(target: Target, options: SQLOptions) -> bool:
    """Whether statements that are a transaction each have connections of their own."""
    appending = target.dialect.appending
    can_share = options.pool_size + options.max_overflow > 1
    return appending is not None and appending.autocommit and can_share


def _pair(
    target: Target,
    options: SQLOptions,
    make: Callable[..., Any],
    commits: Callable[[int], GroupCommit | LoopCommit],
) -> Pair[Any]:
    doubt = Doubt()
    dialect, writer = target.dialect, make(doubt, writer=True)
    appending = dialect.appending
    appends, alone = None, None
    if appending is not None and (
        not appending.autocommit or _has_statements_apart(target, options)
    ):
        engine = writer
        if appending.autocommit:
            alone = engine = make(doubt, writer=True, appending=appending)
        module, _, name = appending.appender.partition(":")
        appender = getattr(import_module(module), name)(
            tables(options.table_prefix, options.schema), engine.dialect, options.touch_interval
        )
        appends = AppendingEngine(engine, appender, commits(appending.lanes))
    if dialect.single_writer:
        reader = writer if target.memory else make(doubt, writer=False)
        return Pair(writer, reader, reader, appends, doubt=doubt)
    reading = dialect.read_options
    reader = writer.execution_options(**reading) if reading else writer
    return Pair(writer, reader, alone, appends, doubt=doubt)


def set_up(engine: sa.Engine, target: Target, synchronous: str) -> None:
    """Settle each connection, and let each writing transaction take its lock at once.

    Where the driver would begin transactions of its own: SQLite and what is made from it.
    """
    dialect = target.dialect
    if not dialect.begin_write:
        return
    is_file = dialect is SQLITE
    durable = [f"PRAGMA synchronous={synchronous}"] if is_file else []

    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _record: object) -> None:
        # The driver must not begin transactions of its own: _begin does.
        connection.isolation_level = None
        cursor = connection.cursor()
        try:
            for setting in [*durable, *dialect.settings]:
                cursor.execute(setting)
            if is_file and not target.memory:
                _switch_to_wal(cursor)
        finally:
            cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        options = connection.get_execution_options()
        if options.get(ALONE, False):
            return
        reading = options.get(READ_ONLY, False)
        connection.exec_driver_sql(dialect.begin_read if reading else dialect.begin_write)


def _ping_doubtful(engine: sa.Engine, target: Target, options: SQLOptions, doubt: Doubt) -> None:
    """Test a pooled connection before it is used, if it idled or another was lost meanwhile.

    SQLAlchemy's own `pool_pre_ping` does so each time, at the price of a round trip.
    """
    if not (options.pool_pre_ping and target.dialect.pings):
        return

    @event.listens_for(engine, "checkin")
    def _checkin(_connection: Any, record: ConnectionPoolEntry) -> None:
        record.info[_USED] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def _checkout(connection: Any, record: ConnectionPoolEntry, _fairy: object) -> None:
        used = record.info.get(_USED)
        if used is None or (used > doubt.since and time.monotonic() - used < PING_AFTER_S):
            return
        try:
            alive = engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as error:
            raise exc.InvalidatePoolError from error
        if not alive:
            raise exc.InvalidatePoolError


def _settle(engine: sa.Engine, target: Target, appending: Appending) -> None:
    """Settle each connection that appends."""
    if not appending.settings or target.is_pooled:
        return

    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _record: object) -> None:
        cursor = connection.cursor()
        try:
            cursor.execute(appending.settings)
        finally:
            cursor.close()


def _switch_to_wal(cursor: Any) -> None:
    """Switch to the write-ahead log, unless it is on.

    The switch does not honour busy_timeout when another connection is just doing it
    (sqlite.org/pragma.html#pragma_journal_mode), so it is tried again here.
    """
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        cursor.execute("PRAGMA journal_mode")
        if cursor.fetchone()[0].lower() == "wal":
            return
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            if cursor.fetchone()[0].lower() != "wal":
                return  # a read-only file or a file system without shared memory: keeps its mode
        except Exception as error:  # of any driver: only one that is locked is tried again
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


class _Cache(Generic[E]):
    """Counts the users of each set of engines; the last one to leave disposes it."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.entries: dict[object, tuple[Pair[E], int]] = {}

    def acquire(self, key: object, make: Callable[[], Pair[E]]) -> Pair[E]:
        with self.lock:
            pair, users = self.entries[key] if key in self.entries else (make(), 0)
            self.entries[key] = (pair, users + 1)
            return pair

    def release(self, key: object) -> Pair[E] | None:
        """Return the engines if nobody uses them any more."""
        with self.lock:
            if key not in self.entries:
                return None
            pair, users = self.entries.pop(key)
            if users > 1:
                self.entries[key] = (pair, users - 1)
                return None
            return pair


_sync_cache: _Cache[sa.Engine] = _Cache()


class Engines:
    """The sync engines of a database. Made lazily, shared per URL and options in the process."""

    def __init__(self, target: Target, driver: Driver, options: SQLOptions) -> None:
        self._target, self._driver, self._options = target, driver, options
        # An in-memory database belongs to one store.
        arguments = repr(target.connect_args(driver))
        local = (target.replica, target.sync_on_write)
        self._key: object = object() if target.memory else (self._url(), arguments, options, local)
        self._pair: Pair[sa.Engine] | None = None
        self._lock = threading.Lock()

    def _url(self) -> str:
        return self._target.sqlalchemy_url(self._driver).render_as_string(hide_password=False)

    def get(self) -> Pair[sa.Engine]:
        """Return the engines, made if this is the first use."""
        pair = self._pair
        if pair is not None:
            return pair
        with self._lock:
            if self._pair is None:
                self._pair = _sync_cache.acquire(self._key, self._make_pair)
            return self._pair

    def _make_pair(self) -> Pair[sa.Engine]:
        if self._target.replica is None:
            return _pair(self._target, self._options, self._make, GroupCommit)
        arguments = self._target.connect_args(self._driver)
        embedded = EmbeddedReplica(
            self._target.replica,
            self._target.web_url(encrypted=arguments.get("tls", True)),
            arguments.get("auth_token"),
        )
        doubt = Doubt()
        reader = _reader_of(embedded, self._options)
        return Pair(self._make(doubt, writer=True), reader, embedded=embedded, doubt=doubt)

    def _make(self, doubt: Doubt, *, writer: bool, appending: Appending | None = None) -> sa.Engine:
        with as_configuration(self._target, exc.ArgumentError, ValueError):
            engine = sa.create_engine(
                **engine_arguments(
                    self._target, self._driver, self._options, appends=appending is not None
                ),
                **_pool(self._target, self._options, writer=writer, appending=appending),
                poolclass=FairPool,
            )
        watch_connects(engine, self._target, self._driver)
        check_server(engine, self._target, self._driver)
        set_up(engine, self._target, self._options.synchronous)
        _ping_doubtful(engine, self._target, self._options, doubt)
        if appending is not None:
            _settle(engine, self._target, appending)
        return engine

    def close(self) -> None:
        """Leave the engines; the last to leave closes their connections."""
        with self._lock:
            if self._pair is None:
                return
            self._pair = None
        unused = _sync_cache.release(self._key)
        if unused is not None:
            if unused.appending is not None and isinstance(unused.appending.commits, GroupCommit):
                unused.appending.commits.close()
            for engine in unused.engines:
                engine.dispose()
            if unused.embedded is not None:
                unused.embedded.close()


def _reader_of(embedded: EmbeddedReplica, options: SQLOptions) -> sa.Engine:
    """Return an engine that reads the file, and cannot change it."""
    target = parse_url(embedded.path)
    arguments = engine_arguments(target, target.driver(is_async=False), options)
    file = f"file:{quote(str(embedded.path))}"
    arguments["url"] = arguments["url"].set(database=file, query={"mode": "ro", "uri": "true"})
    engine = sa.create_engine(
        **arguments, **_pool(target, options, writer=False, appending=None), poolclass=FairPool
    )
    set_up(engine, target, options.synchronous)
    return engine


class AsyncEngines:
    """The asyncio engines of a database, one set per running event loop.

    A pool belongs to the loop it was made on. When a loop shuts down (asyncio.run does it in
    order), its engines are disposed on it.
    """

    def __init__(self, target: Target, driver: Driver, options: SQLOptions) -> None:
        self._target, self._driver, self._options = target, driver, options
        self._key = (
            target.sqlalchemy_url(driver).render_as_string(hide_password=False),
            repr(target.connect_args(driver)),
            options,
        )

    def get(self) -> Pair[Any]:
        """Return the engines of the running loop."""
        return _loop_engines(asyncio.get_running_loop()).acquire(self)

    def make(self) -> Pair[Any]:
        """Create the engines, for the running loop."""
        return _pair(self._target, self._options, self._make, LoopCommit)

    @property
    def key(self) -> object:
        """What stores must have in common to share engines."""
        return self._key

    def _make(self, doubt: Doubt, *, writer: bool, appending: Appending | None = None) -> Any:
        # Imported here: it needs greenlet, which sync-only installations of SQLAlchemy 2.1 lack.
        from sqlalchemy.ext.asyncio import create_async_engine  # noqa: PLC0415 - see above

        with as_configuration(self._target, exc.ArgumentError, ValueError):
            engine = create_async_engine(
                **engine_arguments(
                    self._target, self._driver, self._options, appends=appending is not None
                ),
                **_pool(self._target, self._options, writer=writer, appending=appending),
            )
        watch_connects(engine.sync_engine, self._target, self._driver)
        check_server(engine.sync_engine, self._target, self._driver)
        set_up(engine.sync_engine, self._target, self._options.synchronous)
        _ping_doubtful(engine.sync_engine, self._target, self._options, doubt)
        if appending is not None:
            _settle(engine.sync_engine, self._target, appending)
        return engine

    async def close(self) -> None:
        """Leave the engines of every loop that runs; those of others end with their loop."""
        here = asyncio.get_running_loop()
        await _loop_engines(here).release(self)
        with _loops_lock:
            others = [(loop, engines) for loop, engines in _loops.items() if loop is not here]
        for loop, engines in others:
            if is_background(loop):
                leaving = asyncio.run_coroutine_threadsafe(engines.release(self), loop)
                await asyncio.wrap_future(leaving)
            elif loop.is_running():
                # Not awaited: it may be waiting for this loop.
                loop.call_soon_threadsafe(engines.leave, self)


class _LoopEngines:
    """All engines of one event loop."""

    def __init__(self) -> None:
        self._pairs: dict[object, Pair[Any]] = {}
        self._users: dict[object, set[int]] = {}
        self._keeper: AsyncGenerator[None, None] | None = None
        self._leaving: set[asyncio.Task[None]] = set()

    def acquire(self, engines: AsyncEngines) -> Pair[Any]:
        key = engines.key
        pair = self._pairs.get(key)
        if pair is None:
            pair = self._pairs[key] = engines.make()
        self._users.setdefault(key, set()).add(id(engines))
        self._watch()
        return pair

    async def release(self, engines: AsyncEngines) -> None:
        users = self._users.get(engines.key, set())
        users.discard(id(engines))
        if not users and engines.key in self._pairs:
            del self._users[engines.key]
            await _dispose(self._pairs.pop(engines.key))

    def leave(self, engines: AsyncEngines) -> None:
        """Release without waiting. To be called on the loop."""
        leaving = asyncio.get_running_loop().create_task(self.release(engines))
        self._leaving.add(leaving)
        leaving.add_done_callback(self._leaving.discard)

    def _watch(self) -> None:
        """Be told when the loop shuts down.

        A loop closes the asynchronous generators begun on it (loop.shutdown_asyncgens), which is
        the only hook that asyncio offers before its end.
        """
        if self._keeper is None:
            self._keeper = self._dispose_at_shutdown()
            # Advancing it to its first yield registers it with the loop; nothing is awaited there.
            with suppress(StopIteration):
                self._keeper.__anext__().send(None)

    async def _dispose_at_shutdown(self) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            pairs, self._pairs, self._users = list(self._pairs.values()), {}, {}
            self._keeper = None
            for pair in pairs:
                await _dispose(pair)


async def _dispose(pair: Pair[Any]) -> None:
    for engine in pair.engines:
        await engine.dispose()


_loops: dict[asyncio.AbstractEventLoop, _LoopEngines] = {}
_loops_lock = threading.Lock()
# Engines of loops that ended without shutting down their generators, and of the parent of a fork:
# referenced for ever, because collecting their connections could talk to the server.
_abandoned: list[object] = []


def _loop_engines(loop: asyncio.AbstractEventLoop) -> _LoopEngines:
    with _loops_lock:
        ended = [known for known in _loops if known.is_closed()]
        _abandoned.extend(_loops.pop(known) for known in ended)
        return _loops.setdefault(loop, _LoopEngines())


def _after_fork() -> None:
    """Let the child make its own connections, and never touch those of its parent."""
    global _loops_lock  # noqa: PLW0603 - a lock held while forking would stay held in the child
    _loops_lock = threading.Lock()
    _sync_cache.lock = threading.RLock()
    _abandoned.append(dict(_loops))
    _loops.clear()
    for pair, _users in _sync_cache.entries.values():
        if pair.appending is not None and isinstance(pair.appending.commits, GroupCommit):
            pair.appending.commits.forget()
        for engine in pair.engines:
            _abandoned.append(engine.pool)
            engine.dispose(close=False)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
