"""The SQL stores: the contract's methods, each one operation run on a database of its colour."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from typing import Any, Self

from sqlalchemy.engine import URL

from praison_persist.models import (
    ConversationMessage,
    ConversationSession,
    MessageHit,
    MessagePage,
    Run,
    SessionPage,
    Span,
    ToolCall,
    Trace,
)
from praison_persist.newest import newest
from praison_persist.protocols import (
    AsyncConversationStore,
    AsyncRunStore,
    Capability,
    ConversationStore,
    RunStore,
)
from praison_persist.sql import conversation as ops
from praison_persist.sql import dump as dump_ops
from praison_persist.sql import runs as run_ops
from praison_persist.sql.database import AsyncDatabase, Database
from praison_persist.sql.offloaded import OffloadedDatabase, open_async
from praison_persist.sql.options import SQLOptions
from praison_persist.sql.search import MessageSearch, search_messages
from praison_persist.sql.search_index import (
    change_alone,
    create_search_index,
    drop_search_index,
    has_search_index,
)
from praison_persist.sql.url import parse_url

__all__ = [
    "AsyncSQLConversationStore",
    "AsyncSQLRunStore",
    "SQLConversationStore",
    "SQLRunStore",
]

DatabaseURL = str | os.PathLike[str] | URL


class SQLConversationStore(ConversationStore):
    """Conversations on any SQL database, over a sync driver.

    Args:
        url: a database URL, a path of an SQLite file, or ":memory:".
        clock: tells the time of writes, in seconds since the epoch.
        options: see `praison_persist.sql.options.SQLOptions`.

    Raises:
        ConfigurationError: the URL or an option cannot be right.
        MissingDependencyError: the driver is not installed.
    """

    capabilities = frozenset(Capability)

    def __init__(
        self, url: DatabaseURL, *, clock: Callable[[], float] = time.time, **options: Any
    ) -> None:
        target = parse_url(url)
        self._db = Database(target, SQLOptions.from_mapping(options, target.option_defaults))
        self._clock = clock

    @classmethod
    def on(cls, database: Database, clock: Callable[[], float]) -> Self:
        """Return the store whose operations this runs."""
        new = cls.__new__(cls)
        new._db, new._clock = database, clock  # noqa: SLF001 - of the object that is being made
        return new

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._db.target})"

    @property
    def database(self) -> Database:
        """The database that operations run on."""
        return self._db

    @property
    def runs(self) -> RunStore:
        """The runs, tool calls and traces kept in the same database. Closed with this store."""
        return SQLRunStore(self._db, clock=self._clock)

    def connect(self) -> None:
        """Connect and check the schema now, instead of at the first use.

        Raises:
            UnavailableError: the database cannot be reached.
            SchemaError: it has another revision.
        """
        self._db.connect()

    def create_session(self, session: ConversationSession) -> ConversationSession:
        """See `ConversationStore.create_session`."""
        return self._db.run(ops.create_session, session)

    def get_session(self, session_id: str) -> ConversationSession | None:
        """See `ConversationStore.get_session`."""
        return self._db.read(ops.get_session, session_id)

    def update_session(
        self, session: ConversationSession, *, expected_version: int | None = None
    ) -> ConversationSession:
        """See `ConversationStore.update_session`."""
        return self._db.run(ops.update_session, session, self._clock(), expected_version)

    def ensure_session(self, session: ConversationSession) -> ConversationSession:
        """See `ConversationStore.ensure_session`."""
        with newest():
            found = self._db.read(ops.get_session, session.session_id)
        return found or self._db.run(ops.ensure_session, session)

    def delete_session(self, session_id: str) -> bool:
        """See `ConversationStore.delete_session`."""
        return self._db.run(ops.delete_session, session_id)

    def list_sessions(
        self,
        user_id: str | None = None,
        agent_id: str | None = None,
        limit: int | None = 100,
        offset: int = 0,
    ) -> list[ConversationSession]:
        """See `ConversationStore.list_sessions`; a limit of None is no limit."""
        return self._db.read(ops.list_sessions, user_id, agent_id, limit, offset)

    def page_sessions(
        self,
        user_id: str | None = None,
        agent_id: str | None = None,
        *,
        limit: int = 100,
        cursor: str | None = None,
    ) -> SessionPage:
        """See `ConversationStore.page_sessions`."""
        return self._db.read(ops.page_sessions, user_id, agent_id, limit, cursor)

    def add_message(self, session_id: str, message: ConversationMessage) -> ConversationMessage:
        """See `ConversationStore.add_message`. Sets session_id and seq on `message` too."""
        return _stored(message, self.add_messages(session_id, [message])[0])

    def add_messages(
        self, session_id: str, messages: Sequence[ConversationMessage]
    ) -> list[ConversationMessage]:
        """See `ConversationStore.add_messages`."""
        return self._db.add_messages(session_id, messages, self._clock())

    def get_messages(
        self,
        session_id: str,
        limit: int | None = None,
        before: float | None = None,
        after: float | None = None,
    ) -> list[ConversationMessage]:
        """See `ConversationStore.get_messages`."""
        return self._db.read(ops.get_messages, session_id, limit, before, after)

    def page_messages(
        self,
        session_id: str,
        *,
        limit: int = 100,
        cursor: str | None = None,
        backward: bool = False,
    ) -> MessagePage:
        """See `ConversationStore.page_messages`."""
        return self._db.read(ops.page_messages, session_id, limit, cursor, backward=backward)

    def delete_messages(self, session_id: str, message_ids: Sequence[str] | None = None) -> int:
        """See `ConversationStore.delete_messages`."""
        return self._db.run(ops.delete_messages, session_id, message_ids)

    def count(self, session_id: str) -> int:
        """See `ConversationStore.count`."""
        return self._db.read(ops.count, session_id)

    def search_messages(
        self,
        query: str,
        *,
        session_id: str | None = None,
        user_id: str | None = None,
        agent_id: str | None = None,
        role: str | None = None,
        limit: int = 20,
    ) -> list[MessageHit]:
        """See `ConversationStore.search_messages`."""
        search = MessageSearch(query, session_id, user_id, agent_id, role, limit)
        return self._db.read(search_messages, search)

    def create_search_index(self) -> None:
        """Make `search_messages` faster, once for all stores of these tables; see docs/search.md.

        What is stored is indexed, and what is added later. Where the index is, nothing happens;
        of several processes one makes it. Each append costs more from then on.

        Raises:
            UnsupportedError: there is none for this database.
            UnavailableError: it could not be had alone in time.
        """
        self.connect()
        if self._db.target.memory:
            self._db.run(create_search_index)
        else:
            change_alone(self._db.target, self._db.tables, create_search_index)
            self._db.sync()

    def drop_search_index(self) -> None:
        """Remove the index, if it is there. `search_messages` goes on without."""
        self.connect()
        if self._db.target.memory:
            self._db.run(drop_search_index)
        else:
            change_alone(self._db.target, self._db.tables, drop_search_index)
            self._db.sync()

    def has_search_index(self) -> bool:
        """Return whether the index is there. It does not say that each query uses it."""
        return self._db.read(has_search_index)

    def dump_session(self, session_id: str) -> dict[str, Any] | None:
        """See `ConversationStore.dump_session`."""
        return self._db.read(dump_ops.dump_session, session_id)

    def load_session(self, dump: dict[str, Any]) -> str:
        """See `ConversationStore.load_session`."""
        return self._db.run(dump_ops.load_session, dump)

    def close(self) -> None:
        """See `ConversationStore.close`."""
        self._db.close()


class AsyncSQLConversationStore(AsyncConversationStore):
    """Conversations on any SQL database, for asyncio.

    One store serves all tasks, threads and event loops of a process. Arguments and errors are
    those of `SQLConversationStore`.
    """

    capabilities = frozenset(Capability)

    def __init__(
        self, url: DatabaseURL, *, clock: Callable[[], float] = time.time, **options: Any
    ) -> None:
        target = parse_url(url)
        self._db = open_async(target, SQLOptions.from_mapping(options, target.option_defaults))
        self._clock = clock

    @classmethod
    def beside(cls, store: SQLConversationStore) -> Self:
        """Return the async store of the same database: the same data, also if it is in memory."""
        new = cls.__new__(cls)
        database = store.database
        shared = database.target.memory
        new._db = (  # noqa: SLF001 - of the object that is being made
            OffloadedDatabase(database, owned=False)
            if shared
            else open_async(database.target, database.options)
        )
        new._clock = store._clock  # noqa: SLF001 - the two are one concept in two colours
        return new

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._db.target})"

    @property
    def database(self) -> AsyncDatabase | OffloadedDatabase:
        """The database that operations run on."""
        return self._db

    @property
    def runs(self) -> AsyncRunStore:
        """The runs, tool calls and traces kept in the same database. Closed with this store."""
        return AsyncSQLRunStore(self._db, clock=self._clock)

    async def connect(self) -> None:
        """See `SQLConversationStore.connect`."""
        await self._db.connect()

    async def create_session(self, session: ConversationSession) -> ConversationSession:
        """See `ConversationStore.create_session`."""
        return await self._db.run(ops.create_session, session)

    async def get_session(self, session_id: str) -> ConversationSession | None:
        """See `ConversationStore.get_session`."""
        return await self._db.read(ops.get_session, session_id)

    async def update_session(
        self, session: ConversationSession, *, expected_version: int | None = None
    ) -> ConversationSession:
        """See `ConversationStore.update_session`."""
        return await self._db.run(ops.update_session, session, self._clock(), expected_version)

    async def ensure_session(self, session: ConversationSession) -> ConversationSession:
        """See `ConversationStore.ensure_session`."""
        with newest():
            found = await self._db.read(ops.get_session, session.session_id)
        if found is not None:
            return found
        return await self._db.run(ops.ensure_session, session)

    async def delete_session(self, session_id: str) -> bool:
        """See `ConversationStore.delete_session`."""
        return await self._db.run(ops.delete_session, session_id)

    async def list_sessions(
        self,
        user_id: str | None = None,
        agent_id: str | None = None,
        limit: int | None = 100,
        offset: int = 0,
    ) -> list[ConversationSession]:
        """See `ConversationStore.list_sessions`; a limit of None is no limit."""
        return await self._db.read(ops.list_sessions, user_id, agent_id, limit, offset)

    async def page_sessions(
        self,
        user_id: str | None = None,
        agent_id: str | None = None,
        *,
        limit: int = 100,
        cursor: str | None = None,
    ) -> SessionPage:
        """See `ConversationStore.page_sessions`."""
        return await self._db.read(ops.page_sessions, user_id, agent_id, limit, cursor)

    async def add_message(
        self, session_id: str, message: ConversationMessage
    ) -> ConversationMessage:
        """See `ConversationStore.add_message`. Sets session_id and seq on `message` too."""
        return _stored(message, (await self.add_messages(session_id, [message]))[0])

    async def add_messages(
        self, session_id: str, messages: Sequence[ConversationMessage]
    ) -> list[ConversationMessage]:
        """See `ConversationStore.add_messages`."""
        return await self._db.add_messages(session_id, messages, self._clock())

    async def get_messages(
        self,
        session_id: str,
        limit: int | None = None,
        before: float | None = None,
        after: float | None = None,
    ) -> list[ConversationMessage]:
        """See `ConversationStore.get_messages`."""
        return await self._db.read(ops.get_messages, session_id, limit, before, after)

    async def page_messages(
        self,
        session_id: str,
        *,
        limit: int = 100,
        cursor: str | None = None,
        backward: bool = False,
    ) -> MessagePage:
        """See `ConversationStore.page_messages`."""
        return await self._db.read(ops.page_messages, session_id, limit, cursor, backward=backward)

    async def delete_messages(
        self, session_id: str, message_ids: Sequence[str] | None = None
    ) -> int:
        """See `ConversationStore.delete_messages`."""
        return await self._db.run(ops.delete_messages, session_id, message_ids)

    async def count(self, session_id: str) -> int:
        """See `ConversationStore.count`."""
        return await self._db.read(ops.count, session_id)

    async def search_messages(
        self,
        query: str,
        *,
        session_id: str | None = None,
        user_id: str | None = None,
        agent_id: str | None = None,
        role: str | None = None,
        limit: int = 20,
    ) -> list[MessageHit]:
        """See `ConversationStore.search_messages`."""
        search = MessageSearch(query, session_id, user_id, agent_id, role, limit)
        return await self._db.read(search_messages, search)

    async def create_search_index(self) -> None:
        """See `SQLConversationStore.create_search_index`."""
        await self.connect()
        if self._db.target.memory:
            await self._db.run(create_search_index)
        else:
            # In a thread: its lock must not be waited for on the event loop.
            await asyncio.to_thread(
                change_alone, self._db.target, self._db.tables, create_search_index
            )
            await self._db.sync()

    async def drop_search_index(self) -> None:
        """See `SQLConversationStore.drop_search_index`."""
        await self.connect()
        if self._db.target.memory:
            await self._db.run(drop_search_index)
        else:
            # In a thread: its lock must not be waited for on the event loop.
            await asyncio.to_thread(
                change_alone, self._db.target, self._db.tables, drop_search_index
            )
            await self._db.sync()

    async def has_search_index(self) -> bool:
        """See `SQLConversationStore.has_search_index`."""
        return await self._db.read(has_search_index)

    async def dump_session(self, session_id: str) -> dict[str, Any] | None:
        """See `ConversationStore.dump_session`."""
        return await self._db.read(dump_ops.dump_session, session_id)

    async def load_session(self, dump: dict[str, Any]) -> str:
        """See `ConversationStore.load_session`."""
        return await self._db.run(dump_ops.load_session, dump)

    async def close(self) -> None:
        """See `ConversationStore.close`."""
        await self._db.close()


def _stored(message: ConversationMessage, stored: ConversationMessage) -> ConversationMessage:
    """Tell the caller's object where it went, as the original does; return the stored copy."""
    message.session_id, message.seq = stored.session_id, stored.seq
    return stored


class SQLRunStore(RunStore):
    """Runs, tool calls and traces in a SQL database, over a sync driver."""

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.time) -> None:
        self._db, self._clock = database, clock

    def start_run(self, run: Run) -> Run:
        """See `RunStore.start_run`."""
        return self._db.run(run_ops.start_run, run)

    def end_run(
        self,
        session_id: str,
        run_id: str,
        *,
        status: str = "completed",
        output_content: str | None = None,
        metrics: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
        ended_at: float | None = None,
    ) -> bool:
        """See `RunStore.end_run`."""
        at = self._clock() if ended_at is None else ended_at
        return self._db.run(
            run_ops.end_run,
            session_id,
            run_id,
            status,
            output_content,
            metrics or {},
            metadata or {},
            at,
        )

    def get_runs(self, session_id: str, limit: int | None = None) -> list[Run]:
        """See `RunStore.get_runs`."""
        return self._db.read(run_ops.get_runs, session_id, limit)

    def find_runs(self, session_id: str, run_ids: Sequence[str]) -> dict[str, Run]:
        """See `RunStore.find_runs`."""
        return self._db.read(run_ops.find_runs, session_id, run_ids)

    def running(self, session_id: str) -> list[Run]:
        """See `RunStore.running`."""
        return self._db.read(run_ops.running, session_id)

    def add_tool_call(self, call: ToolCall) -> ToolCall:
        """See `RunStore.add_tool_call`."""
        return self._db.run(run_ops.add_tool_call, call)

    def get_tool_calls(
        self, session_id: str, run_id: str | None = None, limit: int | None = None
    ) -> list[ToolCall]:
        """See `RunStore.get_tool_calls`."""
        return self._db.read(run_ops.get_tool_calls, session_id, run_id, limit)

    def start_trace(self, trace: Trace) -> None:
        """See `RunStore.start_trace`."""
        self._db.run(run_ops.start_trace, trace)

    def end_trace(
        self,
        trace_id: str,
        *,
        status: str = "ok",
        metadata: dict[str, Any] | None = None,
        ended_at: float | None = None,
    ) -> bool:
        """See `RunStore.end_trace`."""
        at = self._clock() if ended_at is None else ended_at
        return self._db.run(run_ops.end_trace, trace_id, status, metadata or {}, at)

    def start_span(self, span: Span) -> None:
        """See `RunStore.start_span`."""
        self._db.run(run_ops.start_span, span)

    def end_span(
        self,
        span_id: str,
        *,
        status: str = "ok",
        attributes: dict[str, Any] | None = None,
        ended_at: float | None = None,
    ) -> bool:
        """See `RunStore.end_span`."""
        at = self._clock() if ended_at is None else ended_at
        return self._db.run(run_ops.end_span, span_id, status, attributes or {}, at)

    def add_trace(self, trace: Trace) -> None:
        """See `RunStore.add_trace`."""
        self._db.run(run_ops.add_trace, trace)

    def get_traces(
        self,
        session_id: str | None = None,
        user_id: str | None = None,
        limit: int | None = None,
    ) -> list[Trace]:
        """See `RunStore.get_traces`."""
        return self._db.read(run_ops.get_traces, session_id, user_id, limit)

    def delete_session(self, session_id: str) -> None:
        """See `RunStore.delete_session`."""
        self._db.run(run_ops.delete_session, session_id)

    def close(self) -> None:
        """See `RunStore.close`."""
        self._db.close()


class AsyncSQLRunStore(AsyncRunStore):
    """Runs, tool calls and traces in a SQL database, for asyncio."""

    def __init__(
        self,
        database: AsyncDatabase | OffloadedDatabase,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._db, self._clock = database, clock

    async def start_run(self, run: Run) -> Run:
        """See `RunStore.start_run`."""
        return await self._db.run(run_ops.start_run, run)

    async def end_run(
        self,
        session_id: str,
        run_id: str,
        *,
        status: str = "completed",
        output_content: str | None = None,
        metrics: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
        ended_at: float | None = None,
    ) -> bool:
        """See `RunStore.end_run`."""
        at = self._clock() if ended_at is None else ended_at
        return await self._db.run(
            run_ops.end_run,
            session_id,
            run_id,
            status,
            output_content,
            metrics or {},
            metadata or {},
            at,
        )

    async def get_runs(self, session_id: str, limit: int | None = None) -> list[Run]:
        """See `RunStore.get_runs`."""
        return await self._db.read(run_ops.get_runs, session_id, limit)

    async def find_runs(self, session_id: str, run_ids: Sequence[str]) -> dict[str, Run]:
        """See `RunStore.find_runs`."""
        return await self._db.read(run_ops.find_runs, session_id, run_ids)

    async def running(self, session_id: str) -> list[Run]:
        """See `RunStore.running`."""
        return await self._db.read(run_ops.running, session_id)

    async def add_tool_call(self, call: ToolCall) -> ToolCall:
        """See `RunStore.add_tool_call`."""
        return await self._db.run(run_ops.add_tool_call, call)

    async def get_tool_calls(
        self, session_id: str, run_id: str | None = None, limit: int | None = None
    ) -> list[ToolCall]:
        """See `RunStore.get_tool_calls`."""
        return await self._db.read(run_ops.get_tool_calls, session_id, run_id, limit)

    async def start_trace(self, trace: Trace) -> None:
        """See `RunStore.start_trace`."""
        await self._db.run(run_ops.start_trace, trace)

    async def end_trace(
        self,
        trace_id: str,
        *,
        status: str = "ok",
        metadata: dict[str, Any] | None = None,
        ended_at: float | None = None,
    ) -> bool:
        """See `RunStore.end_trace`."""
        at = self._clock() if ended_at is None else ended_at
        return await self._db.run(run_ops.end_trace, trace_id, status, metadata or {}, at)

    async def start_span(self, span: Span) -> None:
        """See `RunStore.start_span`."""
        await self._db.run(run_ops.start_span, span)

    async def end_span(
        self,
        span_id: str,
        *,
        status: str = "ok",
        attributes: dict[str, Any] | None = None,
        ended_at: float | None = None,
    ) -> bool:
        """See `RunStore.end_span`."""
        at = self._clock() if ended_at is None else ended_at
        return await self._db.run(run_ops.end_span, span_id, status, attributes or {}, at)

    async def add_trace(self, trace: Trace) -> None:
        """See `RunStore.add_trace`."""
        await self._db.run(run_ops.add_trace, trace)

    async def get_traces(
        self,
        session_id: str | None = None,
        user_id: str | None = None,
        limit: int | None = None,
    ) -> list[Trace]:
        """See `RunStore.get_traces`."""
        return await self._db.read(run_ops.get_traces, session_id, user_id, limit)

    async def delete_session(self, session_id: str) -> None:
        """See `RunStore.delete_session`."""
        await self._db.run(run_ops.delete_session, session_id)

    async def close(self) -> None:
        """See `RunStore.close`."""
        await self._db.close()
