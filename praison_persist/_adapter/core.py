"""How an adapter writes and reads: in either colour, and while the database is away."""

from __future__ import annotations

import asyncio
import atexit
import weakref
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from typing import Any, Self, TypeVar

from praison_persist._adapter.units import Unit, Units, as_one, as_one_async
from praison_persist._checks import check_id
from praison_persist._flow import Flow, arun, run
from praison_persist._recent import Recent
from praison_persist.connect import Connected
from praison_persist.errors import PersistError, UnsupportedError
from praison_persist.lifecycle import History, Stores
from praison_persist.newest import newest
from praison_persist.outbox import RETRIED, Health, Outbox
from praison_persist.protocols import AsyncConversationStore, ConversationStore

__all__ = ["AdapterCore", "Begun", "Make", "runs_of"]

T = TypeVar("T")
Make = Callable[[Stores], Flow[T]]

_PROTOCOL_VERSION = "1.0"  # praisonaiagents.db.protocol.SCHEMA_VERSION
_SESSIONS = 10_000  # of which it is remembered who began them


@dataclass(frozen=True, slots=True)
class Begun:
    """Who began a session here.

    Attributes:
        agent_name: None if several agents share the session.
        by_agent: an Agent did, not a caller of the hooks.
    """

    agent_name: str | None = None
    user_id: str | None = None
    by_agent: bool = False


def runs_of(stores: Stores) -> Any:
    """Return the run store.

    Raises:
        UnsupportedError: the stores have none.
    """
    if stores.runs is None:
        raise UnsupportedError(
            f"{type(stores.conversation).__name__} keeps no runs, tool calls and traces: pass "
            "state_url=, a store that keeps them beside it, or keep all in a SQL database"
        )
    return stores.runs


class AdapterCore:
    """The stores of an adapter, its outbox, and its life."""

    def _use(self, connected: Connected, history: History, *, record_traces: bool) -> None:
        self._connected = connected
        self._history = history
        self._record_traces = record_traces
        self._outbox = Outbox()
        self._units = Units()
        self._closed = False
        self._sessions: Recent[str, Begun] = Recent(_SESSIONS)
        _open_adapters.add(self)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.database_url!r})"

    # The core accepts `memory=adapter` only of objects that have this attribute.
    @property
    def database_url(self) -> str:
        """Where the conversation is kept, without the password."""
        return self._connected.address

    @property
    def conversation(self) -> ConversationStore:
        """The conversation store, as a sync one."""
        return self._connected.sync_conversation

    @property
    def aconversation(self) -> AsyncConversationStore:
        """The conversation store, as an async one."""
        return self._connected.async_conversation

    _conversation_store = conversation

    @property
    def state_store(self) -> Any:
        """The state store: the given one, or the tables beside the conversation; else None."""
        return self._connected.sync_state

    @property
    def astate_store(self) -> Any:
        """The state store, as an async one."""
        return self._connected.async_state

    _state_store = state_store

    @property
    def knowledge_store(self) -> Any:
        """The knowledge store: the given one, or the tables beside the conversation; else None."""
        self._connected.use_knowledge_beside()
        return self._connected.sync_knowledge

    @property
    def aknowledge_store(self) -> Any:
        """The knowledge store, as an async one."""
        self._connected.use_knowledge_beside()
        return self._connected.async_knowledge

    _knowledge_store = knowledge_store

    def connect(self) -> None:
        """Connect and check the schema now.

        Raises:
            UnavailableError: the database cannot be reached or refuses. SchemaError: it has
                another revision; the message has the command to run.
        """
        self._connected.check()

    def _init_stores(self) -> None:
        self.connect()

    async def _ainit_stores(self) -> None:
        await asyncio.to_thread(self.connect)

    @property
    def _initialized(self) -> bool:
        return True

    def health(self) -> Health:
        """Return whether writes are being stored, without touching the database."""
        return self._outbox.health()

    def turn(self, session_id: str) -> Unit:
        """Return a block, for `with` or `async with`, whose writes to a session are one commit.

        What agents and callers of this adapter report of the session is gathered, and stored when
        the block ends, also by an exception: all of it, or nothing if the process dies before. That
        is fewer commits for less safety: without the block each thing said is stored at once.
        A read by this adapter in the block's own thread or task stores what was gathered so far,
        and then reads. A block within one of the same session is a part of it.

        Raises:
            UnsupportedError: conversation and runs are not in one SQL database.
        """
        check_id(session_id, "session_id")
        if not self._connected.is_one_database:
            raise UnsupportedError(
                f"{type(self._connected.given).__name__} cannot commit a turn as one: keep "
                "conversation and runs in one SQL database, or write without turn()"
            )
        return Unit(self._units, session_id, self)

    def _write(self, session_id: str | None, *makes: Make[None]) -> None:
        """Run writes after those that wait; keep them too if the database is away, and say so."""
        if not makes or self._units.gather(session_id, makes):
            return
        self.write_now(makes)

    def write_now(self, makes: Sequence[Make[None]]) -> None:
        """See `_write`: without regard to open blocks."""

        def write() -> None:
            with newest():
                as_one(self._connected, makes)

        try:
            self._outbox.flush_first()
            write()
        except RETRIED as error:
            self._outbox.add(write, error)
            raise
        self._outbox.succeeded()

    async def _awrite(self, session_id: str | None, *makes: Make[None]) -> None:
        if not makes or self._units.gather(session_id, makes):
            return
        await self.awrite_now(makes)

    async def awrite_now(self, makes: Sequence[Make[None]]) -> None:
        """See `write_now`."""

        def write() -> None:
            with newest():
                as_one(self._connected, makes)

        try:
            if self._outbox:
                await asyncio.to_thread(self._outbox.flush_first)
            with newest():
                await as_one_async(self._connected, makes)
        except RETRIED as error:
            self._outbox.add(write, error)
            raise
        self._outbox.succeeded()

    def _read(self, make: Make[T], *, replicas: bool = False) -> T:
        """Run a flow that returns something; with `replicas`, one that only shows it."""
        try:
            while gathered := self._units.take_here():
                self.write_now(gathered)
            self._outbox.flush_first()
            with nullcontext() if replicas else newest():
                result = run(make(self._connected.sync_stores))
        except RETRIED as error:
            self._outbox.failed(error)
            raise
        self._outbox.succeeded()
        return result

    async def _aread(self, make: Make[T], *, replicas: bool = False) -> T:
        try:
            while gathered := self._units.take_here():
                await self.awrite_now(gathered)
            if self._outbox:
                await asyncio.to_thread(self._outbox.flush_first)
            with nullcontext() if replicas else newest():
                result = await arun(make(self._connected.async_stores))
        except RETRIED as error:
            self._outbox.failed(error)
            raise
        self._outbox.succeeded()
        return result

    def run_flow(self, make: Make[T], *, replicas: bool = False) -> T:
        """Run a flow over the sync stores, after the writes that wait; what fails is not kept.

        Args:
            make: returns the flow for the stores that it is given.
            replicas: it only shows something, which replicas may tell.
        """
        return self._read(make, replicas=replicas)

    async def arun_flow(self, make: Make[T], *, replicas: bool = False) -> T:
        """See `run_flow`: over the async stores."""
        return await self._aread(make, replicas=replicas)

    def flush_pending_writes(self, timeout: float | None = 5.0) -> bool:
        """Store what an outage kept waiting. Return whether nothing waits any more.

        After `timeout` seconds no further write is begun; None: all are.
        """
        try:
            self._outbox.flush(timeout)
        except RETRIED:
            return False
        return not self._outbox

    def get_schema_version(self) -> str:
        """Return the version of the core's adapter protocol that this adapter speaks."""
        return _PROTOCOL_VERSION

    def check_schema_compatibility(self) -> tuple[bool, str]:
        """Return whether the database's schema is this code's, and what to do if not."""
        try:
            self.connect()
        except PersistError as error:
            return False, str(error)
        return True, "The database's schema is current"

    def migrate_schema(
        self,
        from_version: str,  # noqa: ARG002 - the database knows its own revision
        to_version: str,  # noqa: ARG002 - there is one newest
    ) -> bool:
        """Bring the database to this code's schema; adopt tables of praisonai. Return True.

        Raises:
            SchemaError, UnavailableError: it could not be done; says why.
        """
        self._connected.upgrade()
        return True

    def close(self) -> None:
        """Store what waits, then release the connections. Closing twice is closing once.

        Raises:
            UnavailableError: the database is still away; what waited is lost, and logged.
        """
        self._closed = True
        _open_adapters.discard(self)
        try:
            self._flush_last()
        finally:
            self._leave_all()
            self._connected.close()

    async def aclose(self) -> None:
        """See `close`."""
        self._closed = True
        _open_adapters.discard(self)
        try:
            await asyncio.to_thread(self._flush_last)
        finally:
            self._leave_all()
            await self._connected.aclose()

    def _flush_last(self) -> None:
        """Store what waits, or say what is lost."""
        try:
            for gathered in self._units.take_all():
                with suppress(*RETRIED):  # it waits in the outbox then, which is tried below
                    self.write_now(gathered)
            unanswered = self._abandon_streams()
            if unanswered:
                self._write(None, *unanswered)
            self._outbox.flush()
        except RETRIED:
            self._outbox.give_up()
            raise

    def _abandon_streams(self) -> list[Make[None]]:
        """Return what ends the turns that were never answered."""
        return []

    def _leave_all(self) -> None:
        """Leave the turns that are still open: nothing more of them can be stored."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self.aclose()


_open_adapters: weakref.WeakSet[AdapterCore] = weakref.WeakSet()


@atexit.register
def _flush_at_exit() -> None:
    """Give what still waits a last chance, and say what is lost."""
    for adapter in list(_open_adapters):
        if not adapter.flush_pending_writes(timeout=None):
            adapter._outbox.give_up()  # noqa: SLF001 - our own
