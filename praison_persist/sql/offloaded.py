"""Databases for asyncio that work in threads, in part or as a whole."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Concatenate, ParamSpec, TypeVar

import sqlalchemy as sa

from praison_persist._flow import finish
from praison_persist.models import ConversationMessage
from praison_persist.sql.appends import Append, result
from praison_persist.sql.database import AsyncDatabase, Database, closed
from praison_persist.sql.group_commit_threads import GroupCommit
from praison_persist.sql.options import SQLOptions
from praison_persist.sql.schema import Tables
from praison_persist.sql.url import Target

__all__ = ["OffloadedDatabase", "WriterThreadDatabase", "open_async"]

P = ParamSpec("P")
R = TypeVar("R")


class OffloadedDatabase:
    """A sync database for asyncio: each operation runs in a worker thread.

    For drivers that have no async form, and for in-memory databases, which live on one connection.

    Args:
        database: runs the operations.
        owned: close it together with this one.
    """

    def __init__(self, database: Database, *, owned: bool = True) -> None:
        self.database = database
        self.target, self.tables = database.target, database.tables
        self._owned, self._closed = owned, False

    def __repr__(self) -> str:
        return f"OffloadedDatabase({self.database!r})"

    async def run(
        self,
        op: Callable[Concatenate[sa.Connection, Tables, P], R],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R:
        """See `AsyncDatabase.run`."""
        self._check_open()
        return await finish(asyncio.to_thread(self.database.run, op, *args, **kwargs))

    async def read(
        self,
        op: Callable[Concatenate[sa.Connection, Tables, P], R],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R:
        """See `AsyncDatabase.read`."""
        self._check_open()
        return await finish(asyncio.to_thread(self.database.read, op, *args, **kwargs))

    async def add_messages(
        self, session_id: str, messages: Sequence[ConversationMessage], now: float
    ) -> list[ConversationMessage]:
        """See `Database.add_messages`."""
        self._check_open()
        adding = asyncio.to_thread(self.database.add_messages, session_id, messages, now)
        return await finish(adding)

    async def connect(self) -> None:
        """See `AsyncDatabase.connect`."""
        self._check_open()
        await asyncio.to_thread(self.database.connect)

    async def sync(self) -> None:
        """See `Database.sync`."""
        self._check_open()
        await finish(asyncio.to_thread(self.database.sync))

    async def close(self) -> None:
        """See `AsyncDatabase.close`."""
        self._closed = True
        if self._owned:
            await asyncio.to_thread(self.database.close)

    def _check_open(self) -> None:
        if self._closed:
            raise closed(self.target)


class WriterThreadDatabase(AsyncDatabase):
    """An asyncio database with a single writer: one thread writes, with the sync driver.

    It takes turns with the threads that write to the same database by sync stores. A write is one
    way to the thread and back, where an asyncio driver would take one for each statement.
    """

    def __init__(self, target: Target, options: SQLOptions, *, migrated: bool = True) -> None:
        super().__init__(target, options, migrated=migrated)
        self._writing = Database(target, options, migrated=migrated)

    async def run(
        self,
        op: Callable[Concatenate[sa.Connection, Tables, P], R],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R:
        """See `AsyncDatabase.run`."""
        self._check_open()

        def write() -> R:
            return self._writing.run(op, *args, **kwargs)

        return await self._commits.run_in_thread(write)

    async def add_messages(
        self, session_id: str, messages: Sequence[ConversationMessage], now: float
    ) -> list[ConversationMessage]:
        """See `Database.add_messages`."""
        append = Append.of(session_id, messages, now)
        if not append.messages:
            return []
        self._check_open()
        if self.options.group_commit:
            stored = await self._commits.submit_from_loop(append, self._writing)
            return result(messages, stored)
        adding = partial(self._writing.add_messages, session_id, messages, now)
        return await self._commits.run_in_thread(adding)

    @property
    def _commits(self) -> GroupCommit:
        commits = self._writing.commits
        if commits is None:
            raise TypeError("a database with a single writer gathers appends")
        return commits

    async def _make_ready(self, engine: Any) -> None:  # noqa: ARG002 - of the base
        if not self._ready:
            await self._commits.run_in_thread(self._writing.make_ready)
            self._ready = True

    async def close(self) -> None:
        """See `AsyncDatabase.close`."""
        await super().close()
        await asyncio.to_thread(self._writing.close)


def open_async(target: Target, options: SQLOptions) -> AsyncDatabase | OffloadedDatabase:
    """Return the asyncio database for a target: native if there is a driver for it."""
    if target.memory or not any(driver.is_async for driver in target.dialect.drivers):
        return OffloadedDatabase(Database(target, options))
    if target.dialect.single_writer:
        return WriterThreadDatabase(target, options)
    return AsyncDatabase(target, options)
