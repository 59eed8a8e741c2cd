"""A process that works on a session: `python -m tests.integrations.openai_process ID NAME URL…`."""

from __future__ import annotations

import asyncio
import sys
from contextlib import AsyncExitStack

from praison_persist.integrations.openai_agents import PersistSession
from tests.integrations.side_by_side import say, start_together

BATCHES = 12


async def add(session: PersistSession, name: str) -> None:
    """Append batches of two items."""
    for number in range(BATCHES):
        await session.add_items(
            [{"role": "user", "content": f"{name} {number} {half}"} for half in "ab"]
        )


async def pop(session: PersistSession) -> list[object]:
    """Pop until nothing is left; return what was got."""
    got: list[object] = []
    while (item := await session.pop_item()) is not None:
        got.append(item)
    return got


async def main(session_id: str, name: str, *urls: str) -> None:
    """Add to the sessions of all databases, and then, told so, pop; print what was got of each."""
    async with AsyncExitStack() as stack:
        sessions = [PersistSession(session_id, url) for url in urls]
        for session in sessions:
            await stack.enter_async_context(session)
            await session.get_items(limit=1)
        start_together()
        for session in sessions:
            await add(session, name)
        start_together()
        say([await pop(session) for session in sessions])


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
