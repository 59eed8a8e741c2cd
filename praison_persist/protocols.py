"""The contracts of the stores, in both colours, and what a store may declare it can do.

What every store must do is abstract here; the rest has a portable default where one is possible,
and is a `Capability` where it is not: a store that declares it overrides the method and passes its
tests in `praison_persist.testing`; on one that does not, the method raises UnsupportedError.

Rules that hold for every method: stores may be shared by threads (async stores: by tasks and event
loops); what is returned is the caller's own copy; a write is durable when the call returns; ids
that differ are never the same object; an unknown id is answered, not created.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from functools import partial
from types import TracebackType
from typing import Any, Concatenate, Generic, NoReturn, ParamSpec, Self, TypeVar, overload

from praison_persist.errors import (
    ConflictError,
    InvalidDataError,
    NotFoundError,
    UnsupportedError,
)
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

__all__ = [
    "AsyncConversationStore",
    "AsyncRunStore",
    "AsyncStateStore",
    "Capability",
    "ConversationStore",
    "KeyPage",
    "RunStore",
    "StateCapability",
    "StateStore",
    "Versioned",
]


class Capability(Enum):
    """What a conversation store can do beyond the mandatory contract."""

    BATCH = "add_messages writes all messages or none"
    CURSORS = "page_messages and page_sessions"
    EXPECTED_VERSION = "update_session(expected_version=…)"
    DUMP = "dump_session and load_session, atomically"
    SEARCH = "search_messages"


# Others may create and delete a session between two calls; nobody does so that often.
_RACES = 20


class _Store:
    """What both colours share."""

    capabilities: frozenset[Capability] = frozenset()

    def _unsupported(self, capability: Capability) -> NoReturn:
        raise UnsupportedError(
            f"{type(self).__name__} does not support {capability.name} ({capability.value})"
        )


class ConversationStore(_Store, ABC):
    """Keeps sessions and their messages."""

    @abstractmethod
    def create_session(self, session: ConversationSession) -> ConversationSession:
        """Store a new session and return it as stored.

        Raises:
            ConflictError: a session with this id exists; it stays as it is.
        """

    @abstractmethod
    def get_session(self, session_id: str) -> ConversationSession | None:
        """Return the session, or None if there is none."""

    @abstractmethod
    def update_session(
        self, session: ConversationSession, *, expected_version: int | None = None
    ) -> ConversationSession:
        """Replace all fields of the session but `created_at`; return it as stored.

        `updated_at` becomes the time of the update.

        Raises:
            NotFoundError: there is no session with this id.
            ConflictError: `expected_version` was given and the stored version differs.
        """

    @abstractmethod
    def delete_session(self, session_id: str) -> bool:
        """Delete the session with all that belongs to it. Return whether it existed."""

    @abstractmethod
    def list_sessions(
        self,
        user_id: str | None = None,
        agent_id: str | None = None,
        limit: int | None = 100,
        offset: int = 0,
    ) -> list[ConversationSession]:
        """Return sessions, last written first. A filter or limit that is None does not limit."""

    @abstractmethod
    def add_message(self, session_id: str, message: ConversationMessage) -> ConversationMessage:
        """Append the message and return it as stored; the session counts as written to.

        Writing a message id again is the same write: with equal content the stored message is
        returned and nothing changes.

        Raises:
            NotFoundError: there is no such session.
            ConflictError: the id exists in this session with other content.
        """

    @abstractmethod
    def get_messages(
        self,
        session_id: str,
        limit: int | None = None,
        before: float | None = None,
        after: float | None = None,
    ) -> list[ConversationMessage]:
        """Return the newest `limit` messages (all if None), oldest first.

        The order is that of the appends and never changes: a later read is an earlier one with a
        suffix. `before` and `after` bound `created_at`, exclusively.
        """

    @abstractmethod
    def delete_messages(self, session_id: str, message_ids: Sequence[str] | None = None) -> int:
        """Delete the named messages, all if None, none if empty. Return how many there were."""

    @abstractmethod
    def close(self) -> None:
        """Release what the store holds. Closing twice is closing once."""

    def add_messages(
        self, session_id: str, messages: Sequence[ConversationMessage]
    ) -> list[ConversationMessage]:
        """Append all messages in their order, or none of them; as `add_message` otherwise."""
        self._unsupported(Capability.BATCH)

    def page_messages(
        self,
        session_id: str,
        *,
        limit: int = 100,
        cursor: str | None = None,
        backward: bool = False,
    ) -> MessagePage:
        """Return a page of messages, oldest first within it.

        Pages lead from the oldest message to the newest, or `backward`. Messages appended
        meanwhile neither repeat nor hide others.
        """
        self._unsupported(Capability.CURSORS)

    def iter_messages(
        self, session_id: str, *, page_size: int = 500, backward: bool = False
    ) -> Iterator[ConversationMessage]:
        """Yield the messages of a session, oldest first, or `backward`, newest first.

        A page of `page_size` at a time is in memory, and no transaction is open between two of
        them. What is appended meanwhile follows in its place.
        """
        cursor: str | None = None
        while True:
            page = self.page_messages(session_id, limit=page_size, cursor=cursor, backward=backward)
            yield from reversed(page.messages) if backward else page.messages
            cursor = page.next_cursor
            if cursor is None:
                return

    def page_sessions(
        self,
        user_id: str | None = None,
        agent_id: str | None = None,
        *,
        limit: int = 100,
        cursor: str | None = None,
    ) -> SessionPage:
        """Return a page of sessions, last written first; cost does not grow with the depth."""
        self._unsupported(Capability.CURSORS)

    def ensure_session(self, session: ConversationSession) -> ConversationSession:
        """Return the stored session of this id, created from `session` if there was none.

        Callers may race: all get the one session.
        """
        for _ in range(_RACES):
            stored = self.get_session(session.session_id)
            if stored is not None:
                return stored
            with suppress(ConflictError):
                return self.create_session(session)
        return self.create_session(session)

    def upsert_session(self, session: ConversationSession) -> ConversationSession:
        """Create the session or replace its fields; return it as stored."""
        for _ in range(_RACES):
            with suppress(NotFoundError):
                return self.update_session(session)
            with suppress(ConflictError):
                return self.create_session(session)
        return self.update_session(session)

    def count(self, session_id: str) -> int:
        """Return how many messages the session has; 0 if there is no such session."""
        return len(self.get_messages(session_id))

    def dump_session(self, session_id: str) -> dict[str, Any] | None:
        """Return all that belongs to the session as JSON values, or None if there is none."""
        self._unsupported(Capability.DUMP)

    def load_session(self, dump: dict[str, Any]) -> str:
        """Store what `dump_session` returned, all or nothing; return the session's id.

        Loading the same dump again changes nothing.

        Raises:
            InvalidDataError: not a dump. ConflictError: the session exists with other content.
        """
        self._unsupported(Capability.DUMP)

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
        """Return up to `limit` messages whose content has all words of `query`, best first.

        Words are runs of letters, digits and underscores, found as a whole; upper and lower case
        are the same, accents count. Symbols such as emoji, and words of scripts without spaces and
        of Korean, are found anywhere. All else in a query separates words and has no meaning; a
        query without words finds nothing. Hits of one score come newest first. A filter that is
        None does not limit.

        Raises:
            InvalidDataError: `query` is no string or longer than 1,000 characters, `limit` is below
                1, or a filter cannot be an id or a role.
        """
        self._unsupported(Capability.SEARCH)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class AsyncConversationStore(_Store, ABC):
    """`ConversationStore` with coroutines: the same names, the same contract."""

    @abstractmethod
    async def create_session(self, session: ConversationSession) -> ConversationSession:
        """See `ConversationStore.create_session`."""

    @abstractmethod
    async def get_session(self, session_id: str) -> ConversationSession | None:
        """See `ConversationStore.get_session`."""

    @abstractmethod
    async def update_session(
        self, session: ConversationSession, *, expected_version: int | None = None
    ) -> ConversationSession:
        """See `ConversationStore.update_session`."""

    @abstractmethod
    async def delete_session(self, session_id: str) -> bool:
        """See `ConversationStore.delete_session`."""

    @abstractmethod
    async def list_sessions(
        self,
        user_id: str | None = None,
        agent_id: str | None = None,
        limit: int | None = 100,
        offset: int = 0,
    ) -> list[ConversationSession]:
        """See `ConversationStore.list_sessions`."""

    @abstractmethod
    async def add_message(
        self, session_id: str, message: ConversationMessage
    ) -> ConversationMessage:
        """See `ConversationStore.add_message`."""

    @abstractmethod
    async def get_messages(
        self,
        session_id: str,
        limit: int | None = None,
        before: float | None = None,
        after: float | None = None,
    ) -> list[ConversationMessage]:
        """See `ConversationStore.get_messages`."""

    @abstractmethod
    async def delete_messages(
        self, session_id: str, message_ids: Sequence[str] | None = None
    ) -> int:
        """See `ConversationStore.delete_messages`."""

    @abstractmethod
    async def close(self) -> None:
        """See `ConversationStore.close`."""

    async def add_messages(
        self, session_id: str, messages: Sequence[ConversationMessage]
    ) -> list[ConversationMessage]:
        """See `ConversationStore.add_messages`."""
        self._unsupported(Capability.BATCH)

    async def page_messages(
        self,
        session_id: str,
        *,
        limit: int = 100,
        cursor: str | None = None,
        backward: bool = False,
    ) -> MessagePage:
        """See `ConversationStore.page_messages`."""
        self._unsupported(Capability.CURSORS)

    async def iter_messages(
        self, session_id: str, *, page_size: int = 500, backward: bool = False
    ) -> AsyncIterator[ConversationMessage]:
        """See `ConversationStore.iter_messages`."""
        cursor: str | None = None
        while True:
            page = await self.page_messages(
                session_id, limit=page_size, cursor=cursor, backward=backward
            )
            for message in reversed(page.messages) if backward else page.messages:
                yield message
            cursor = page.next_cursor
            if cursor is None:
                return

    async def page_sessions(
        self,
        user_id: str | None = None,
        agent_id: str | None = None,
        *,
        limit: int = 100,
        cursor: str | None = None,
    ) -> SessionPage:
        """See `ConversationStore.page_sessions`."""
        self._unsupported(Capability.CURSORS)

    async def ensure_session(self, session: ConversationSession) -> ConversationSession:
        """See `ConversationStore.ensure_session`."""
        for _ in range(_RACES):
            stored = await self.get_session(session.session_id)
            if stored is not None:
                return stored
            with suppress(ConflictError):
                return await self.create_session(session)
        return await self.create_session(session)

    async def upsert_session(self, session: ConversationSession) -> ConversationSession:
        """See `ConversationStore.upsert_session`."""
        for _ in range(_RACES):
            with suppress(NotFoundError):
                return await self.update_session(session)
            with suppress(ConflictError):
                return await self.create_session(session)
        return await self.update_session(session)

    async def count(self, session_id: str) -> int:
        """See `ConversationStore.count`."""
        return len(await self.get_messages(session_id))

    async def dump_session(self, session_id: str) -> dict[str, Any] | None:
        """See `ConversationStore.dump_session`."""
        self._unsupported(Capability.DUMP)

    async def load_session(self, dump: dict[str, Any]) -> str:
        """See `ConversationStore.load_session`."""
        self._unsupported(Capability.DUMP)

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
        self._unsupported(Capability.SEARCH)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()


class RunStore(ABC):
    """Keeps what agents did: runs, tool calls, traces with their spans."""

    @abstractmethod
    def start_run(self, run: Run) -> Run:
        """Store a run that begins, and return it as stored. Starting it again changes nothing.

        Raises:
            NotFoundError: there is no such session.
        """

    @abstractmethod
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
        """Record how a run ended; metrics and metadata are merged. Return whether it was known."""

    @abstractmethod
    def get_runs(self, session_id: str, limit: int | None = None) -> list[Run]:
        """Return the newest `limit` runs of exactly this session, newest first.

        Each has its messages and tool calls.
        """

    @abstractmethod
    def find_runs(self, session_id: str, run_ids: Sequence[str]) -> dict[str, Run]:
        """Return those of these runs that are known by id, without messages and tool calls."""

    @abstractmethod
    def running(self, session_id: str) -> list[Run]:
        """Return the runs of this session that have not ended, without messages, oldest first."""

    @abstractmethod
    def add_tool_call(self, call: ToolCall) -> ToolCall:
        """Store a tool call, or what is now known of it if its id is stored."""

    @abstractmethod
    def get_tool_calls(
        self, session_id: str, run_id: str | None = None, limit: int | None = None
    ) -> list[ToolCall]:
        """Return the newest `limit` tool calls of the session or run, in the order they began."""

    @abstractmethod
    def start_trace(self, trace: Trace) -> None:
        """Store a trace that begins. Starting it again changes nothing."""

    @abstractmethod
    def end_trace(
        self,
        trace_id: str,
        *,
        status: str = "ok",
        metadata: dict[str, Any] | None = None,
        ended_at: float | None = None,
    ) -> bool:
        """Record how a trace ended; metadata is merged. Return whether it was known."""

    @abstractmethod
    def start_span(self, span: Span) -> None:
        """Store a span that begins. Starting it again changes nothing."""

    @abstractmethod
    def end_span(
        self,
        span_id: str,
        *,
        status: str = "ok",
        attributes: dict[str, Any] | None = None,
        ended_at: float | None = None,
    ) -> bool:
        """Record how a span ended; attributes are merged. Return whether it was known."""

    @abstractmethod
    def add_trace(self, trace: Trace) -> None:
        """Store a finished trace with all its spans, or replace it, in one transaction."""

    @abstractmethod
    def get_traces(
        self,
        session_id: str | None = None,
        user_id: str | None = None,
        limit: int | None = None,
    ) -> list[Trace]:
        """Return the newest `limit` traces with their spans, newest first."""

    @abstractmethod
    def delete_session(self, session_id: str) -> None:
        """Delete the runs, tool calls and traces of this session, if it has any.

        Where they are kept together with the conversation, deleting that does it, too.
        """

    def dump_session(self, session_id: str) -> dict[str, Any]:
        """Return the runs, tool_calls, traces and spans of this session, as in a session's dump.

        Raises:
            UnsupportedError: they are kept together with the conversation, and are in its dump.
        """
        del session_id
        raise UnsupportedError(f"{type(self).__name__} is dumped with its conversations")

    def load_session(self, session_id: str, dump: Mapping[str, Any]) -> None:
        """Store what `dump_session` returned, under this session; again, and nothing changes.

        Raises:
            UnsupportedError: as `dump_session`.
        """
        del session_id, dump
        raise UnsupportedError(f"{type(self).__name__} is loaded with its conversations")

    @abstractmethod
    def close(self) -> None:
        """Release what the store holds. Closing twice is closing once."""


class AsyncRunStore(ABC):
    """`RunStore` with coroutines: the same names, the same contract."""

    @abstractmethod
    async def start_run(self, run: Run) -> Run:
        """See `RunStore.start_run`."""

    @abstractmethod
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

    @abstractmethod
    async def get_runs(self, session_id: str, limit: int | None = None) -> list[Run]:
        """See `RunStore.get_runs`."""

    @abstractmethod
    async def find_runs(self, session_id: str, run_ids: Sequence[str]) -> dict[str, Run]:
        """See `RunStore.find_runs`."""

    @abstractmethod
    async def running(self, session_id: str) -> list[Run]:
        """See `RunStore.running`."""

    @abstractmethod
    async def add_tool_call(self, call: ToolCall) -> ToolCall:
        """See `RunStore.add_tool_call`."""

    @abstractmethod
    async def get_tool_calls(
        self, session_id: str, run_id: str | None = None, limit: int | None = None
    ) -> list[ToolCall]:
        """See `RunStore.get_tool_calls`."""

    @abstractmethod
    async def start_trace(self, trace: Trace) -> None:
        """See `RunStore.start_trace`."""

    @abstractmethod
    async def end_trace(
        self,
        trace_id: str,
        *,
        status: str = "ok",
        metadata: dict[str, Any] | None = None,
        ended_at: float | None = None,
    ) -> bool:
        """See `RunStore.end_trace`."""

    @abstractmethod
    async def start_span(self, span: Span) -> None:
        """See `RunStore.start_span`."""

    @abstractmethod
    async def end_span(
        self,
        span_id: str,
        *,
        status: str = "ok",
        attributes: dict[str, Any] | None = None,
        ended_at: float | None = None,
    ) -> bool:
        """See `RunStore.end_span`."""

    @abstractmethod
    async def add_trace(self, trace: Trace) -> None:
        """See `RunStore.add_trace`."""

    @abstractmethod
    async def get_traces(
        self,
        session_id: str | None = None,
        user_id: str | None = None,
        limit: int | None = None,
    ) -> list[Trace]:
        """See `RunStore.get_traces`."""

    @abstractmethod
    async def delete_session(self, session_id: str) -> None:
        """See `RunStore.delete_session`."""

    async def dump_session(self, session_id: str) -> dict[str, Any]:
        """See `RunStore.dump_session`."""
        del session_id
        raise UnsupportedError(f"{type(self).__name__} is dumped with its conversations")

    async def load_session(self, session_id: str, dump: Mapping[str, Any]) -> None:
        """See `RunStore.load_session`."""
        del session_id, dump
        raise UnsupportedError(f"{type(self).__name__} is loaded with its conversations")

    @abstractmethod
    async def close(self) -> None:
        """See `RunStore.close`."""


class StateCapability(Enum):
    """What a state store can do beyond the mandatory contract."""

    VERSIONS = "get_versioned and set(expected_version=…)"
    SET_IF_ABSENT = "set_if_absent"
    COUNTERS = "incr and decr"


@dataclass(slots=True)
class Versioned:
    """A value and which writing of it this is.

    Attributes:
        version: differs for every two writings of a key, also after it was deleted. Compare it
            for equality only.
    """

    value: Any
    version: int


@dataclass(slots=True)
class KeyPage:
    """Some keys, and where the next page begins.

    Attributes:
        next_cursor: pass it back for the next page; None when this was the last.
    """

    keys: list[str]
    next_cursor: str | None


S = TypeVar("S")
P = ParamSpec("P")
R = TypeVar("R")


class _Derived(Generic[S, P, R]):
    """A method built on others of its contract, and only on them.

    It returns an iterator, which an adapter of the other colour could not pass on; it inherits it
    instead, because what is no function on the class is none of the methods it passes on.
    """

    def __init__(self, function: Callable[Concatenate[S, P], R]) -> None:
        self.function = function
        self.__doc__ = function.__doc__

    @overload
    def __get__(self, store: None, owner: type) -> Self: ...
    @overload
    def __get__(self, store: S, owner: type) -> Callable[P, R]: ...
    def __get__(self, store: S | None, owner: type) -> Self | Callable[P, R]:
        return self if store is None else partial(self.function, store)


class _AnyStateStore:
    """What both colours share."""

    capabilities: frozenset[StateCapability] = frozenset()

    def _unsupported(self, capability: StateCapability) -> NoReturn:
        raise UnsupportedError(
            f"{type(self).__name__} does not support {capability.name} ({capability.value})"
        )

    def _check_version(self, expected_version: int | None) -> None:
        if expected_version is not None and StateCapability.VERSIONS not in self.capabilities:
            self._unsupported(StateCapability.VERSIONS)


def _check_prefix(prefix: str, *, confirm: bool) -> None:
    if not prefix and not confirm:
        raise InvalidDataError(
            "clear('') would delete every key of the store; pass confirm=True if that is meant"
        )


def _page_of(keys: list[str], prefix: str, limit: int, cursor: str | None) -> KeyPage:
    """Cut a page out of all keys; the cursor is the last key of the page before."""
    rest = sorted(key for key in keys if key.startswith(prefix) and key > (cursor or ""))
    page = rest[:limit]
    return KeyPage(page, page[-1] if len(rest) > limit else None)


class StateStore(_AnyStateStore, ABC):
    """Keeps values, and hashes of values, under keys that may expire.

    A key is 1 to 480 characters, a field of a hash 1 to 255, neither with NUL or lone surrogates.
    A value is what JSON can hold, and comes back equal and of the same type; anything else is
    refused with an InvalidDataError. A key may have a value and a hash, which do not touch; its
    expiry is that of both, and what has expired is gone for every method at the same instant.
    Times to live are seconds, above 0.
    """

    @abstractmethod
    def get(self, key: str, default: Any = None) -> Any:
        """Return the value of the key, `default` if it has none. A stored None is a value."""

    @abstractmethod
    def set(
        self,
        key: str,
        value: Any,
        ttl: float | None = None,
        *,
        expected_version: int | None = None,
    ) -> int:
        """Store the value and return its version (0 from a store that has none).

        The key then expires after `ttl` seconds, never if None, whatever was set before.
        `expected_version` writes only over the version that `get_versioned` returned, or, if 0,
        only where there is no value.

        Raises:
            ConflictError: the stored version differs from the expected one.
            InvalidDataError: JSON cannot hold the value; names the key.
            UnsupportedError: `expected_version` without `StateCapability.VERSIONS`.
        """

    @abstractmethod
    def delete(self, key: str) -> bool:
        """Delete value and hash of the key. Return whether it existed."""

    @abstractmethod
    def exists(self, key: str) -> bool:
        """Return whether the key has a value or a hash."""

    @abstractmethod
    def keys(self, pattern: str = "*") -> list[str]:
        """Return the keys that match a glob, sorted.

        `*` is any text, `?` one character, `[a-z]` one of a set, `[!a-z]` or `[^a-z]` one outside
        it; a backslash takes the next character literally.
        """

    @abstractmethod
    def ttl(self, key: str) -> int | None:
        """Return the seconds the key has left, rounded up; None if it has no expiry or is not."""

    @abstractmethod
    def expire(self, key: str, ttl: float | None) -> bool:
        """Let the key expire in `ttl` seconds, or never if None. Return whether it exists."""

    @abstractmethod
    def hget(self, key: str, field: str, default: Any = None) -> Any:
        """Return a field of the key's hash, `default` if there is none. A stored None is one."""

    @abstractmethod
    def hset(self, key: str, field: str, value: Any) -> None:
        """Store a field of the key's hash. The key's expiry stays as it is."""

    @abstractmethod
    def hgetall(self, key: str) -> dict[str, Any]:
        """Return the key's hash; {} if there is none."""

    @abstractmethod
    def hdel(self, key: str, *fields: str) -> int:
        """Delete fields; return how many there were. A key without value and fields is gone."""

    @abstractmethod
    def close(self) -> None:
        """Release what the store holds. Closing twice is closing once."""

    def get_json(self, key: str, default: Any = None) -> Any:
        """Return `get`: every value is JSON."""
        return self.get(key, default)

    def set_json(self, key: str, value: Any, ttl: float | None = None) -> int:
        """Do `set`: every value is JSON."""
        return self.set(key, value, ttl)

    def get_many(self, keys: Sequence[str]) -> dict[str, Any]:
        """Return key -> value for those of the keys that have one, in their order."""
        missing = object()
        found = {key: self.get(key, missing) for key in keys}
        return {key: value for key, value in found.items() if value is not missing}

    def set_many(self, values: Mapping[str, Any], ttl: float | None = None) -> None:
        """`set` each of the values; none if one of them is refused."""
        for key, value in values.items():
            self.set(key, value, ttl)

    def get_versioned(self, key: str) -> Versioned | None:
        """Return the value of the key with its version, None if it has no value."""
        self._unsupported(StateCapability.VERSIONS)

    def set_if_absent(self, key: str, value: Any, ttl: float | None = None) -> bool:
        """`set` if the key has no value, and else nothing. Return whether it was set."""
        self._unsupported(StateCapability.SET_IF_ABSENT)

    def incr(self, key: str, amount: int = 1) -> int:
        """Add to the integer of the key, 0 if it has no value, and return the sum.

        The expiry stays as it is. Concurrent calls lose nothing.

        Raises:
            ConflictError: the value is no integer of 64 bits.
            InvalidDataError: the sum would be none.
        """
        self._unsupported(StateCapability.COUNTERS)

    def decr(self, key: str, amount: int = 1) -> int:
        """Subtract; as `incr` otherwise."""
        return self.incr(key, -amount)

    def page_keys(
        self, prefix: str = "", *, limit: int = 1000, cursor: str | None = None
    ) -> KeyPage:
        """Return a page of about `limit` keys that begin with exactly `prefix`.

        Keys that exist all the while are on at least one page, in no promised order.
        """
        return _page_of(self.keys("*"), prefix, limit, cursor)

    @_Derived
    def scan_prefix(self, prefix: str) -> Iterator[str]:
        """Yield each key that begins with exactly `prefix`, once, a page at a time."""
        seen: set[str] = set()
        cursor = None
        while True:
            page = self.page_keys(prefix, cursor=cursor)
            new = [key for key in dict.fromkeys(page.keys) if key not in seen]
            seen.update(new)
            yield from new
            cursor = page.next_cursor
            if cursor is None:
                return

    def clear(self, prefix: str, *, confirm: bool = False) -> int:
        """Delete all keys that begin with exactly `prefix`; return how many there were.

        Raises:
            InvalidDataError: the prefix is empty, which is every key, without `confirm`.
        """
        _check_prefix(prefix, confirm=confirm)
        return sum(self.delete(key) for key in self.keys("*") if key.startswith(prefix))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class AsyncStateStore(_AnyStateStore, ABC):
    """`StateStore` with coroutines: the same names, the same contract."""

    @abstractmethod
    async def get(self, key: str, default: Any = None) -> Any:
        """See `StateStore.get`."""

    @abstractmethod
    async def set(
        self,
        key: str,
        value: Any,
        ttl: float | None = None,
        *,
        expected_version: int | None = None,
    ) -> int:
        """See `StateStore.set`."""

    @abstractmethod
    async def delete(self, key: str) -> bool:
        """See `StateStore.delete`."""

    @abstractmethod
    async def exists(self, key: str) -> bool:
        """See `StateStore.exists`."""

    @abstractmethod
    async def keys(self, pattern: str = "*") -> list[str]:
        """See `StateStore.keys`."""

    @abstractmethod
    async def ttl(self, key: str) -> int | None:
        """See `StateStore.ttl`."""

    @abstractmethod
    async def expire(self, key: str, ttl: float | None) -> bool:
        """See `StateStore.expire`."""

    @abstractmethod
    async def hget(self, key: str, field: str, default: Any = None) -> Any:
        """See `StateStore.hget`."""

    @abstractmethod
    async def hset(self, key: str, field: str, value: Any) -> None:
        """See `StateStore.hset`."""

    @abstractmethod
    async def hgetall(self, key: str) -> dict[str, Any]:
        """See `StateStore.hgetall`."""

    @abstractmethod
    async def hdel(self, key: str, *fields: str) -> int:
        """See `StateStore.hdel`."""

    @abstractmethod
    async def close(self) -> None:
        """See `StateStore.close`."""

    async def get_json(self, key: str, default: Any = None) -> Any:
        """See `StateStore.get_json`."""
        return await self.get(key, default)

    async def set_json(self, key: str, value: Any, ttl: float | None = None) -> int:
        """See `StateStore.set_json`."""
        return await self.set(key, value, ttl)

    async def get_many(self, keys: Sequence[str]) -> dict[str, Any]:
        """See `StateStore.get_many`."""
        missing = object()
        found = {key: await self.get(key, missing) for key in keys}
        return {key: value for key, value in found.items() if value is not missing}

    async def set_many(self, values: Mapping[str, Any], ttl: float | None = None) -> None:
        """See `StateStore.set_many`."""
        for key, value in values.items():
            await self.set(key, value, ttl)

    async def get_versioned(self, key: str) -> Versioned | None:
        """See `StateStore.get_versioned`."""
        self._unsupported(StateCapability.VERSIONS)

    async def set_if_absent(self, key: str, value: Any, ttl: float | None = None) -> bool:
        """See `StateStore.set_if_absent`."""
        self._unsupported(StateCapability.SET_IF_ABSENT)

    async def incr(self, key: str, amount: int = 1) -> int:
        """See `StateStore.incr`."""
        self._unsupported(StateCapability.COUNTERS)

    async def decr(self, key: str, amount: int = 1) -> int:
        """See `StateStore.decr`."""
        return await self.incr(key, -amount)

    async def page_keys(
        self, prefix: str = "", *, limit: int = 1000, cursor: str | None = None
    ) -> KeyPage:
        """See `StateStore.page_keys`."""
        return _page_of(await self.keys("*"), prefix, limit, cursor)

    @_Derived
    async def scan_prefix(self, prefix: str) -> AsyncIterator[str]:
        """See `StateStore.scan_prefix`."""
        seen: set[str] = set()
        cursor = None
        while True:
            page = await self.page_keys(prefix, cursor=cursor)
            new = [key for key in dict.fromkeys(page.keys) if key not in seen]
            seen.update(new)
            for key in new:
                yield key
            cursor = page.next_cursor
            if cursor is None:
                return

    async def clear(self, prefix: str, *, confirm: bool = False) -> int:
        """See `StateStore.clear`."""
        _check_prefix(prefix, confirm=confirm)
        keys = [key for key in await self.keys("*") if key.startswith(prefix)]
        return sum([await self.delete(key) for key in keys])

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()
