"""Clients of event loops are closed with their store, or with their loop."""

from __future__ import annotations

import asyncio

import pytest

from praison_persist import PersistError, PraisonAIDB
from praison_persist._adapt import background_loop
from praison_persist._loops import PerLoop
from praison_persist.sql.stores import SQLConversationStore
from praison_persist.state.memory import MemoryStateStore


class _Client:
    def __init__(self) -> None:
        self.closed_on: asyncio.AbstractEventLoop | None = None

    async def close(self) -> None:
        self.closed_on = asyncio.get_running_loop()


def test_closing_reaches_the_background_loop() -> None:
    """That loop never ends: what a sync caller used stays connected until the process does."""
    made: list[_Client] = []

    def make() -> _Client:
        made.append(_Client())
        return made[-1]

    clients = PerLoop(make, lambda client: client.close())

    async def use() -> _Client:
        return clients.get()

    async def scene() -> asyncio.AbstractEventLoop:
        await use()
        await clients.close()
        return asyncio.get_running_loop()

    background_loop().call(use())
    here = asyncio.run(scene())
    assert [client.closed_on for client in made] == [background_loop().loop, here]


def test_a_state_store_that_cannot_be_closed_leaves_no_other_open() -> None:
    """One error at the end leaks the connections of everything behind it."""

    class Stubborn(MemoryStateStore):
        def close(self) -> None:  # type: ignore[misc]  # final for us; a user's own does this
            raise OSError("busy")

    conversations = SQLConversationStore(":memory:")
    db = PraisonAIDB(conversations, state_url=Stubborn())
    with pytest.raises(OSError, match="busy"):
        db.close()
    with pytest.raises(PersistError, match="closed"):
        conversations.list_sessions()
