"""Processes that append to a session and tell of each message that was acknowledged."""

from __future__ import annotations

import asyncio
from multiprocessing.connection import Connection

from praison_persist.conversation.json_file import (
    AsyncJSONConversationStore,
    JSONConversationStore,
)
from praison_persist.models import ConversationMessage
from praison_persist.protocols import AsyncConversationStore, ConversationStore
from praison_persist.sql.stores import AsyncSQLConversationStore, SQLConversationStore

from .forking import context


class Writer:
    """A process that waits for `let_write` and appends "name/0", "name/1" … up to `count`."""

    def __init__(self, url: str, session_id: str, name: str, count: int, colour: str) -> None:
        self._told, tell = context.Pipe(duplex=False)
        wait, self._let = context.Pipe(duplex=False)
        run = _awrite if colour == "async" else _write
        arguments = (url, session_id, name, count, tell, wait)
        self._process = context.Process(target=run, args=arguments, daemon=True)
        self._process.start()
        tell.close()
        wait.close()

    def next(self) -> str | None:
        """Return the next id that was acknowledged; None when the process has ended."""
        try:
            return self._told.recv_bytes().decode()
        except EOFError:
            return None

    def begin(self) -> None:
        """Let it write."""
        self._let.send_bytes(b"go")

    def kill(self) -> None:
        """End it as the kernel would."""
        self._process.kill()

    def end(self) -> list[str]:
        """Wait until it has ended. Return the ids that were not yet asked for."""
        rest = list(iter(self.next, None))
        self._process.join(60)
        self._told.close()
        self._let.close()
        return [key for key in rest if key is not None]


def let_write(writers: list[Writer]) -> None:
    """Wait until all writers are connected, and let them begin together."""
    for writer in writers:
        assert writer.next() == "ready"
    for writer in writers:
        writer.begin()


def _messages(name: str, count: int) -> list[ConversationMessage]:
    return [
        ConversationMessage(id=f"{name}/{number}", role="user", content=f"{name}/{number}")
        for number in range(count)
    ]


def _opened(url: str) -> ConversationStore:
    if url.startswith("json:"):
        return JSONConversationStore(url=url)
    store = SQLConversationStore(url)
    store.connect()
    return store


async def _aopened(url: str) -> AsyncConversationStore:
    if url.startswith("json:"):
        return AsyncJSONConversationStore(url=url)
    store = AsyncSQLConversationStore(url)
    await store.connect()
    return store


def _write(
    url: str, session_id: str, name: str, count: int, tell: Connection, wait: Connection
) -> None:
    with _opened(url) as store:
        tell.send_bytes(b"ready")
        wait.recv_bytes()
        for message in _messages(name, count):
            store.add_message(session_id, message)
            tell.send_bytes(message.id.encode())


def _awrite(
    url: str, session_id: str, name: str, count: int, tell: Connection, wait: Connection
) -> None:
    async def write() -> None:
        async with await _aopened(url) as store:
            tell.send_bytes(b"ready")
            wait.recv_bytes()
            for message in _messages(name, count):
                await store.add_message(session_id, message)
                tell.send_bytes(message.id.encode())

    asyncio.run(write())
