"""The template of conversation stores: what a vendor implements, and what it need not care about.

A vendor's module has a `ConversationDriver`, written once for both colours, and two classes of a
few lines that say how it is made:

    class MineDriver(ConversationDriver):
        def __init__(self, client, sleep): ...

        def count(self, session_id):
            return (yield from wait(self._client.count(session_id)))  # a value, or a coroutine
        ...

    class MineConversationStore(BaseConversationStore):
        def __init__(self, url=None, *, prefix="praison_"):
            super().__init__(MineDriver(mine.Client(url), time.sleep))

    class AsyncMineConversationStore(AsyncBaseConversationStore):
        def __init__(self, url=None, *, prefix="praison_"):
            super().__init__(MineDriver(mine.AsyncClient(url), asyncio.sleep))

A hook is a flow (`praison_persist._flow`): it yields what the client's method returned and is sent
the value, so that the same hook drives a sync and an async client; one that waits for nothing
returns `done(value)`. An async client belongs to the event loop it was made on: keep it in
`praison_persist._loops.PerLoop`. A driver that has no async client blocks; its async store is given
`drive=in_thread`.

Done here and in `flows`: checks of ids, limits, sessions, messages and dumps, copies, cursors,
which writes are the same write, retries of `failures` that are transient and translation of the
others, closing. The methods of the two classes are final.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar, final

from praison_persist._flow import Flow, arun, finish, run
from praison_persist.conversation.driver import ConversationDriver
from praison_persist.conversation.flows import ConversationFlows
from praison_persist.models import (
    ConversationMessage,
    ConversationSession,
    MessagePage,
    SessionPage,
)
from praison_persist.protocols import AsyncConversationStore, ConversationStore

__all__ = [
    "AsyncBaseConversationStore",
    "BaseConversationStore",
    "ConversationDriver",
    "in_thread",
]

T = TypeVar("T")


async def in_thread(flow: Flow[T]) -> T:
    """Drive a flow whose driver blocks, in a worker thread."""
    return await finish(asyncio.to_thread(run, flow))


class BaseConversationStore(ConversationStore):
    """A sync conversation store over a driver whose client is sync.

    Args:
        driver: the vendor's.
        clock: tells the time of writes, in seconds since the epoch.
    """

    def __init__(
        self, driver: ConversationDriver, *, clock: Callable[[], float] = time.time
    ) -> None:
        self.driver = driver
        self.capabilities = driver.capabilities
        self._flows = ConversationFlows(driver, type(self).__name__, clock)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.driver.address})"

    @final
    def create_session(self, session: ConversationSession) -> ConversationSession:
        """See `ConversationStore.create_session`."""
        return run(self._flows.create_session(session))

    @final
    def get_session(self, session_id: str) -> ConversationSession | None:
        """See `ConversationStore.get_session`."""
        return run(self._flows.get_session(session_id))

    @final
    def update_session(
        self, session: ConversationSession, *, expected_version: int | None = None
    ) -> ConversationSession:
        """See `ConversationStore.update_session`."""
        return run(self._flows.update_session(session, expected_version))

    @final
    def ensure_session(self, session: ConversationSession) -> ConversationSession:
        """See `ConversationStore.ensure_session`."""
        return run(self._flows.ensure_session(session))

    @final
    def upsert_session(self, session: ConversationSession) -> ConversationSession:
        """See `ConversationStore.upsert_session`."""
        return run(self._flows.upsert_session(session))

    @final
    def delete_session(self, session_id: str) -> bool:
        """See `ConversationStore.delete_session`."""
        return run(self._flows.delete_session(session_id))

    @final
    def list_sessions(
        self,
        user_id: str | None = None,
        agent_id: str | None = None,
        limit: int | None = 100,
        offset: int = 0,
    ) -> list[ConversationSession]:
        """See `ConversationStore.list_sessions`."""
        return run(self._flows.list_sessions(user_id, agent_id, limit, offset))

    @final
    def page_sessions(
        self,
        user_id: str | None = None,
        agent_id: str | None = None,
        *,
        limit: int = 100,
        cursor: str | None = None,
    ) -> SessionPage:
        """See `ConversationStore.page_sessions`."""
        return run(self._flows.page_sessions(user_id, agent_id, limit, cursor))

    @final
    def add_message(self, session_id: str, message: ConversationMessage) -> ConversationMessage:
        """See `ConversationStore.add_message`. Sets session_id and seq on `message` too."""
        return run(self._flows.add_message(session_id, message))

    @final
    def add_messages(
        self, session_id: str, messages: Sequence[ConversationMessage]
    ) -> list[ConversationMessage]:
        """See `ConversationStore.add_messages`."""
        return run(self._flows.add_messages(session_id, messages))

    @final
    def get_messages(
        self,
        session_id: str,
        limit: int | None = None,
        before: float | None = None,
        after: float | None = None,
    ) -> list[ConversationMessage]:
        """See `ConversationStore.get_messages`."""
        return run(self._flows.get_messages(session_id, limit, before, after))

    @final
    def page_messages(
        self,
        session_id: str,
        *,
        limit: int = 100,
        cursor: str | None = None,
        backward: bool = False,
    ) -> MessagePage:
        """See `ConversationStore.page_messages`."""
        return run(self._flows.page_messages(session_id, limit, cursor, backward=backward))

    @final
    def delete_messages(self, session_id: str, message_ids: Sequence[str] | None = None) -> int:
        """See `ConversationStore.delete_messages`."""
        return run(self._flows.delete_messages(session_id, message_ids))

    @final
    def count(self, session_id: str) -> int:
        """See `ConversationStore.count`."""
        return run(self._flows.count(session_id))

    @final
    def dump_session(self, session_id: str) -> dict[str, Any] | None:
        """See `ConversationStore.dump_session`."""
        return run(self._flows.dump_session(session_id))

    @final
    def load_session(self, dump: dict[str, Any]) -> str:
        """See `ConversationStore.load_session`."""
        return run(self._flows.load_session(dump))

    @final
    def close(self) -> None:
        """See `ConversationStore.close`."""
        run(self._flows.close())


class AsyncBaseConversationStore(AsyncConversationStore):
    """An async conversation store over a driver whose client is async.

    Args:
        driver: the vendor's.
        clock: tells the time of writes, in seconds since the epoch.
        drive: `in_thread` if the driver blocks.
    """

    def __init__(
        self,
        driver: ConversationDriver,
        *,
        clock: Callable[[], float] = time.time,
        drive: Callable[[Flow[Any]], Awaitable[Any]] = arun,
    ) -> None:
        self.driver = driver
        self.capabilities = driver.capabilities
        self._flows = ConversationFlows(driver, type(self).__name__, clock)
        self._drive = drive

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.driver.address})"

    async def _run(self, flow: Flow[T]) -> T:
        value: T = await self._drive(flow)
        return value

    @final
    async def create_session(self, session: ConversationSession) -> ConversationSession:
        """See `ConversationStore.create_session`."""
        return await self._run(self._flows.create_session(session))

    @final
    async def get_session(self, session_id: str) -> ConversationSession | None:
        """See `ConversationStore.get_session`."""
        return await self._run(self._flows.get_session(session_id))

    @final
    async def update_session(
        self, session: ConversationSession, *, expected_version: int | None = None
    ) -> ConversationSession:
        """See `ConversationStore.update_session`."""
        return await self._run(self._flows.update_session(session, expected_version))

    @final
    async def ensure_session(self, session: ConversationSession) -> ConversationSession:
        """See `ConversationStore.ensure_session`."""
        return await self._run(self._flows.ensure_session(session))

    @final
    async def upsert_session(self, session: ConversationSession) -> ConversationSession:
        """See `ConversationStore.upsert_session`."""
        return await self._run(self._flows.upsert_session(session))

    @final
    async def delete_session(self, session_id: str) -> bool:
        """See `ConversationStore.delete_session`."""
        return await self._run(self._flows.delete_session(session_id))

    @final
    async def list_sessions(
        self,
        user_id: str | None = None,
        agent_id: str | None = None,
        limit: int | None = 100,
        offset: int = 0,
    ) -> list[ConversationSession]:
        """See `ConversationStore.list_sessions`."""
        return await self._run(self._flows.list_sessions(user_id, agent_id, limit, offset))

    @final
    async def page_sessions(
        self,
        user_id: str | None = None,
        agent_id: str | None = None,
        *,
        limit: int = 100,
        cursor: str | None = None,
    ) -> SessionPage:
        """See `ConversationStore.page_sessions`."""
        return await self._run(self._flows.page_sessions(user_id, agent_id, limit, cursor))

    @final
    async def add_message(
        self, session_id: str, message: ConversationMessage
    ) -> ConversationMessage:
        """See `ConversationStore.add_message`. Sets session_id and seq on `message` too."""
        return await self._run(self._flows.add_message(session_id, message))

    @final
    async def add_messages(
        self, session_id: str, messages: Sequence[ConversationMessage]
    ) -> list[ConversationMessage]:
        """See `ConversationStore.add_messages`."""
        return await self._run(self._flows.add_messages(session_id, messages))

    @final
    async def get_messages(
        self,
        session_id: str,
        limit: int | None = None,
        before: float | None = None,
        after: float | None = None,
    ) -> list[ConversationMessage]:
        """See `ConversationStore.get_messages`."""
        return await self._run(self._flows.get_messages(session_id, limit, before, after))

    @final
    async def page_messages(
        self,
        session_id: str,
        *,
        limit: int = 100,
        cursor: str | None = None,
        backward: bool = False,
    ) -> MessagePage:
        """See `ConversationStore.page_messages`."""
        return await self._run(
            self._flows.page_messages(session_id, limit, cursor, backward=backward)
        )

    @final
    async def delete_messages(
        self, session_id: str, message_ids: Sequence[str] | None = None
    ) -> int:
        """See `ConversationStore.delete_messages`."""
        return await self._run(self._flows.delete_messages(session_id, message_ids))

    @final
    async def count(self, session_id: str) -> int:
        """See `ConversationStore.count`."""
        return await self._run(self._flows.count(session_id))

    @final
    async def dump_session(self, session_id: str) -> dict[str, Any] | None:
        """See `ConversationStore.dump_session`."""
        return await self._run(self._flows.dump_session(session_id))

    @final
    async def load_session(self, dump: dict[str, Any]) -> str:
        """See `ConversationStore.load_session`."""
        return await self._run(self._flows.load_session(dump))

    @final
    async def close(self) -> None:
        """See `ConversationStore.close`."""
        await self._run(self._flows.close())
