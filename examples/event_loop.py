"""Sync methods where an event loop runs, over a store of either colour.

Frameworks such as Streamlit and FastAPI call plain functions from a loop. They work, the loop
waits meanwhile; coroutines never hold it.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from surroundings import surroundings

from praison_persist import Agent, create_conversation_store, db

FILE = Path("event_loop.db")


async def inside() -> None:
    """Call sync methods, and coroutines, of adapters over both colours."""
    for mode in ("sync", "async"):
        store = create_conversation_store("sqlite", str(FILE), mode=mode)
        with db(store) as kept:
            agent = Agent(name="Assistant", db=kept, session_id=mode, user_id="ada")
            agent.chat("My name is Ada.")  # this loop waits
            answer = await agent.achat("What is my name?")
            called = len(kept.get_messages(mode)), len(await kept.aget_messages(mode))
            print(f"{type(store).__name__}: {answer} {called}")


def main() -> None:
    """Run it."""
    with surroundings():
        FILE.unlink(missing_ok=True)
        asyncio.run(inside())


if __name__ == "__main__":
    main()
