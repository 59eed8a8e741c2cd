"""Runs operations: each in one transaction, tried again as a whole where that can help.

An operation is a plain function `(connection, tables, …) -> value` that commits nothing and
touches only its connection; both colours run the same ones.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import suppress
from typing import Any, Concatenate, ParamSpec, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from praison_persist._flow import arun, finish, run
from praison_persist.errors import PersistError, UnavailableError
from praison_persist.models import ConversationMessage
from praison_persist.sql import migrate
from praison_persist.sql.alone import ALONE, NeedsSnapshot, is_alone
from praison_persist.sql.appends import Append, result
from praison_persist.sql.conversation import add_messages
from praison_persist.sql.dialects import Driver
from praison_persist.sql.direct import checked_out
from praison_persist.sql.engines import READ_ONLY, AppendingEngine, AsyncEngines, Engines, Pair
from praison_persist.sql.failures import connect_errors, is_transient, translate
from praison_persist.sql.group_commit import Slot, committing
from praison_persist.sql.group_commit_loop import LoopCommit
from praison_persist.sql.group_commit_threads import GroupCommit
from praison_persist.sql.options import SQLOptions
from praison_persist.sql.replica import Behind, Replica
from praison_persist.sql.schema import Tables, tables
from praison_persist.sql.statements import Unchanged
from praison_persist.sql.url import Target

__all__ = ["AsyncDatabase", "Database"]

_log = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")


class _Core:
    """What both colours share: the target, the tables, and the decision after a failure."""

    def __init__(
        self, target: Target, options: SQLOptions, *, is_async: bool, migrated: bool
    ) -> None:
        self.target = target
        self.options = options
        self.tables: Tables = tables(options.table_prefix, options.schema)
        self.driver: Driver = target.driver(is_async=is_async)
        self._failures: tuple[type[BaseException], ...] = (
            SQLAlchemyError,
            OSError,
            *connect_errors(self.driver),
        )
        self.replica = None if options.replica_url is None else Replica(target, options)
        self._ready = not migrated
        self._closed = False

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.target}, {self.tables.prefix!r})"

    def _check_open(self) -> None:
        if self._closed:
            raise closed(self.target)

    def _wrote(self, op: Callable[..., Any], args: tuple[Any, ...]) -> None:
        """Remember a write, also one that failed: it may have been committed."""
        if self.replica is not None:
            self.replica.written.add(op, args)

    def _appended(self, appends: Sequence[Append]) -> None:
        for append in appends if self.replica is not None else ():
            self._wrote(add_messages, (append.session_id,))

    def _failed(
        self, error: BaseException, delays: Iterator[float], attempt: int, started: float
    ) -> float:
        """Return how long to wait before the next try, or raise what the caller gets."""
        dialect = self.target.dialect
        delay = next(delays, None) if is_transient(error, dialect) else None
        if delay is not None:
            _log.warning(
                "%s: try %d failed, next in %.2f s: %s",
                self.target.address,
                attempt,
                delay,
                type(error).__name__,
            )
            return delay
        raise translate(
            error,
            dialect,
            self.target.address,
            attempts=attempt,
            elapsed_s=time.monotonic() - started,
        ) from error


def _looking(pair: Pair[R]) -> R:
    """Return where the tables are looked for first: where a store that only appends connects."""
    return pair.writer if pair.appending is None else pair.appending.engine


def _appending_of(pair: Pair[R]) -> AppendingEngine[R]:
    if pair.appending is None:
        raise TypeError("messages are not appended on engines of their own")
    return pair.appending


def closed(target: Target) -> PersistError:
    return PersistError(f"The store of {target.address} is closed; open a new one")


class Database(_Core):
    """Runs operations on a sync driver. Shared by threads.

    Args:
        migrated: check, or create, our tables before the first operation. Operations that keep
            tables of their own do without.
    """

    def __init__(self, target: Target, options: SQLOptions, *, migrated: bool = True) -> None:
        super().__init__(target, options, is_async=False, migrated=migrated)
        self.engines = Engines(target, self.driver, options)
        self._replicas = (
            None if self.replica is None else Engines(self.replica.target, self.driver, options)
        )
        self._ready_lock = threading.Lock()

    def run(
        self,
        op: Callable[Concatenate[sa.Connection, Tables, P], R],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R:
        """Run `op` in a transaction of its own and commit it.

        Raises:
            UnavailableError: transient failures outlasted the retries.
            BackendError: the database refused. SchemaError: its revision is not this code's.
        """
        try:
            return self._attempt(
                lambda connection: op(connection, self.tables, *args, **kwargs), {}
            )
        finally:
            self._wrote(op, args)

    def read(
        self,
        op: Callable[Concatenate[sa.Connection, Tables, P], R],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R:
        """Run `op`, which only reads; as `run` otherwise. A replica may answer."""

        def work(connection: sa.Connection) -> R:
            return op(connection, self.tables, *args, **kwargs)

        replica, engines = self.replica, self._replicas
        marks = None if replica is None else replica.marks(op, args)
        if replica is None or engines is None or marks is None:
            self._check_open()
            if is_alone(op) and self.engines.get().alone is not None:
                with suppress(NeedsSnapshot):
                    return self._attempt(work, {READ_ONLY: True, ALONE: True})
            return self._attempt(work, {READ_ONLY: True})
        if self._ready and replica.may_answer(marks):
            self._check_open()
            try:
                with engines.get().reader.connect() as connection:
                    return replica.answer(connection, work, marks)
            except Behind:
                pass
            except self._failures as error:
                replica.failed(error)
        return self._attempt(replica.on_primary(work, marks), {READ_ONLY: True})

    def connect(self) -> None:
        """Connect and check the schema now, instead of at the first operation."""
        self.read(lambda _connection, _tables: None)

    def close(self) -> None:
        """Leave the pool; the last store to leave closes the connections."""
        self._closed = True
        self.engines.close()
        if self._replicas is not None:
            self._replicas.close()

    def sync(self) -> None:
        """Bring an embedded replica up to date; without one, do nothing.

        Raises:
            UnavailableError: that failed.
        """
        self._check_open()
        pair = self.engines.get()
        self._make_ready(pair)
        self._replicate(pair, "The")

    def _attempt(self, work: Callable[[sa.Connection], R], options: dict[str, Any]) -> R:
        def transaction(pair: Pair[sa.Engine]) -> R:
            if ALONE in options and pair.alone is not None:
                with pair.alone.connect().execution_options(**options) as connection:
                    return work(connection)
            engine = pair.reader if options else pair.writer
            with engine.connect().execution_options(**options) as connection, connection.begin():
                return work(connection)

        return self._tried(transaction, writes=not options)

    def add_messages(
        self, session_id: str, messages: Sequence[ConversationMessage], now: float
    ) -> list[ConversationMessage]:
        """See `ConversationStore.add_messages`. What others append now may go with it."""
        self._check_open()
        commits = self.commits
        if commits is None:
            return self.run(add_messages, session_id, messages, now)
        append = Append.of(session_id, messages, now)
        if not append.messages:
            return []
        if self.options.group_commit:
            return result(messages, commits.submit(append, self))
        slot = Slot(append, self)
        run(committing([slot]))
        return result(messages, slot.result())

    @property
    def commits(self) -> GroupCommit | None:
        """What gathers the appends of all stores of this database in the process."""
        appending = self.engines.get().appending
        commits = None if appending is None else appending.commits
        return commits if isinstance(commits, GroupCommit) else None

    def commit_alone(self, append: Append) -> list[ConversationMessage]:
        """See `Commits`."""
        return self.run(add_messages, append.session_id, append.messages, append.now)

    def commit(self, appends: Sequence[Append]) -> list[bool]:
        """See `Commits`. Raises as `run`, and Irregular if one of them is stored already."""

        def transaction(pair: Pair[sa.Engine]) -> list[bool]:
            appending = _appending_of(pair)
            with checked_out(appending.engine) as connection:
                return appending.appender(connection, appends)

        try:
            return self._tried(transaction, writes=True)
        finally:
            self._appended(appends)

    def _tried(self, transaction: Callable[[Pair[sa.Engine]], R], *, writes: bool) -> R:
        started, attempt, delays = time.monotonic(), 0, None
        while True:
            attempt += 1
            self._check_open()
            pair = self.engines.get()
            try:
                if not self._ready:
                    self._make_ready(pair)
                result = transaction(pair)
                break
            except Unchanged as unchanged:
                result = unchanged.value
                break
            except self._failures as error:
                pair.doubt.since = time.monotonic()
                delays = delays or self.options.retry.delays()
                delay = self._failed(error, delays, attempt, started)
            time.sleep(delay)
        if writes and self.target.sync_on_write:
            self._replicate(pair, "The write is stored in the primary, but the")
        return result

    def make_ready(self) -> None:
        """Check, or create, the tables now."""
        self._tried(lambda _pair: None, writes=False)

    def _make_ready(self, pair: Pair[sa.Engine]) -> None:
        if self._ready:
            return
        with self._ready_lock:
            if not self._ready:
                engine = _looking(pair)
                with engine.connect().execution_options(**{READ_ONLY: True}) as connection:
                    current = migrate.is_current(connection, self.tables)
                if not current:
                    memory = pair.writer if self.target.memory else None
                    migrate.ensure(self.target, self.options, engine=memory)
                self._replicate(pair, "The")
                self._ready = True

    def _replicate(self, pair: Pair[sa.Engine], subject: str) -> None:
        """Bring the replica up to date, if there is one."""
        if pair.embedded is None:
            return
        started, attempt, delays = time.monotonic(), 1, list(self.options.retry.delays())
        while (failure := pair.embedded.sync()) is not None:
            if not delays:
                elapsed_s = time.monotonic() - started
                raise UnavailableError(
                    f"{subject} embedded replica {pair.embedded.path} could not be brought up to "
                    f"date in {attempt} attempts in {elapsed_s:.1f} s: {failure}. Reads may lack "
                    "what was written; the operation can be repeated as it is",
                    attempts=attempt,
                    elapsed_s=elapsed_s,
                )
            time.sleep(delays.pop(0))
            attempt += 1


class AsyncDatabase(_Core):
    """Runs operations on an asyncio driver. Shared by tasks, threads and event loops.

    Args:
        migrated: see `Database`.
    """

    def __init__(self, target: Target, options: SQLOptions, *, migrated: bool = True) -> None:
        super().__init__(target, options, is_async=True, migrated=migrated)
        self.engines = AsyncEngines(target, self.driver, options)
        self._replicas = (
            None
            if self.replica is None
            else AsyncEngines(self.replica.target, self.driver, options)
        )

    async def run(
        self,
        op: Callable[Concatenate[sa.Connection, Tables, P], R],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R:
        """Run `op` in a transaction of its own and commit it. Raises as `Database.run`.

        The transaction is finished even if the calling task is cancelled meanwhile: the caller
        then sees CancelledError and, trying again with the same ids, the stored result.
        """
        try:
            return await self._attempt(
                lambda connection: op(connection, self.tables, *args, **kwargs), {}
            )
        finally:
            self._wrote(op, args)

    async def read(
        self,
        op: Callable[Concatenate[sa.Connection, Tables, P], R],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R:
        """Run `op`, which only reads; as `run` otherwise. A replica may answer."""

        def work(connection: sa.Connection) -> R:
            return op(connection, self.tables, *args, **kwargs)

        replica, engines = self.replica, self._replicas
        marks = None if replica is None else replica.marks(op, args)
        if replica is None or engines is None or marks is None:
            self._check_open()
            if is_alone(op) and self.engines.get().alone is not None:
                with suppress(NeedsSnapshot):
                    return await self._attempt(work, {READ_ONLY: True, ALONE: True})
            return await self._attempt(work, {READ_ONLY: True})
        if self._ready and replica.may_answer(marks):
            self._check_open()
            try:
                return await finish(_answer(replica, engines, work, marks))
            except Behind:
                pass
            except self._failures as error:
                replica.failed(error)
        return await self._attempt(replica.on_primary(work, marks), {READ_ONLY: True})

    async def connect(self) -> None:
        """Connect and check the schema now, instead of at the first operation."""
        await self.read(lambda _connection, _tables: None)

    async def sync(self) -> None:
        """Do nothing: what has an asyncio driver has no embedded replica."""

    async def close(self) -> None:
        """Leave the pools; the last store to leave closes their connections."""
        self._closed = True
        await self.engines.close()
        if self._replicas is not None:
            await self._replicas.close()

    async def add_messages(
        self, session_id: str, messages: Sequence[ConversationMessage], now: float
    ) -> list[ConversationMessage]:
        """See `Database.add_messages`."""
        self._check_open()
        appending = self.engines.get().appending
        if appending is None:
            return await self.run(add_messages, session_id, messages, now)
        append = Append.of(session_id, messages, now)
        if not append.messages:
            return []
        if self.options.group_commit and isinstance(appending.commits, LoopCommit):
            return result(messages, await appending.commits.submit(append, self))
        slot = Slot(append, self)
        await arun(committing([slot]))
        return result(messages, slot.result())

    async def commit_alone(self, append: Append) -> list[ConversationMessage]:
        """See `Commits`."""
        return await self.run(add_messages, append.session_id, append.messages, append.now)

    async def commit(self, appends: Sequence[Append]) -> list[bool]:
        """See `Commits`."""

        async def transaction(pair: Pair[Any]) -> list[bool]:
            appending = _appending_of(pair)
            async with appending.engine.connect() as connection:
                stored: list[bool] = await connection.run_sync(
                    lambda sync: appending.appender(sync.connection, appends)
                )
            return stored

        try:
            return await self._tried(transaction)
        finally:
            self._appended(appends)

    async def _attempt(self, work: Callable[[sa.Connection], R], options: dict[str, Any]) -> R:
        async def transaction(pair: Pair[Any]) -> R:
            if ALONE in options and pair.alone is not None:
                async with pair.alone.connect() as connection:
                    await connection.execution_options(**options)
                    found: R = await connection.run_sync(work)
                return found
            async with (pair.reader if options else pair.writer).connect() as connection:
                await connection.execution_options(**options)
                async with connection.begin():
                    result: R = await connection.run_sync(work)
            return result

        return await self._tried(transaction)

    async def _tried(self, transaction: Callable[[Pair[Any]], Coroutine[Any, Any, R]]) -> R:
        started, attempt, delays = time.monotonic(), 0, None
        while True:
            attempt += 1
            self._check_open()
            pair = self.engines.get()
            try:
                await self._make_ready(_looking(pair))
                return await finish(transaction(pair))
            except Unchanged as unchanged:
                found: R = unchanged.value
                return found
            except self._failures as error:
                pair.doubt.since = time.monotonic()
                delays = delays or self.options.retry.delays()
                delay = self._failed(error, delays, attempt, started)
            await asyncio.sleep(delay)

    async def _make_ready(self, engine: Any) -> None:
        if self._ready:
            return
        async with engine.connect() as connection:
            await connection.execution_options(**{READ_ONLY: True})
            current = await connection.run_sync(migrate.is_current, self.tables)
        if not current:
            # In a thread: Alembic blocks, and its lock must not be waited for on the event loop.
            await asyncio.to_thread(migrate.ensure, self.target, self.options)
        self._ready = True


async def _answer(
    replica: Replica,
    engines: AsyncEngines,
    work: Callable[[sa.Connection], R],
    marks: list[Any],
) -> R:
    async with engines.get().reader.connect() as connection:
        result: R = await connection.run_sync(replica.answer, work, marks)
    return result
