"""Stores of no base class: an object that has add_message, or async_add_message, is enough."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from surroundings import surroundings

from praison_persist import PraisonAIDB


class SyncStore:
    """Called in a worker thread, so that the event loop goes on."""

    def __init__(self) -> None:
        self.thread = ""

    def add_message(self, content: Any, metadata: Any) -> None:  # noqa: ARG002 - a hook
        """Keep a message."""
        self.thread = threading.current_thread().name
        print(f"sync: {content}")


class AsyncStore:
    """Awaited; the sync form is for those who call sync hooks."""

    async def async_add_message(self, content: Any, metadata: Any) -> None:
        """Keep a message."""
        print(f"async: {content} {metadata}")

    def add_message(self, content: Any, metadata: Any) -> None:
        """Keep a message."""
        print(f"sync form: {content} {metadata}")


async def keep() -> None:
    """Hand a message to each."""
    sync = SyncStore()
    async with PraisonAIDB(sync) as db:
        await db.aon_user_message("session_1", "Hello")
    print(f"In this thread: {sync.thread == threading.current_thread().name}")
    async with PraisonAIDB(AsyncStore()) as db:
        await db.aon_user_message("session_1", "Hello", metadata={"tone": "kind"})
        db.on_user_message("session_1", "Hello again")


def main() -> None:
    """Run it."""
    with surroundings():
        asyncio.run(keep())


if __name__ == "__main__":
    main()
