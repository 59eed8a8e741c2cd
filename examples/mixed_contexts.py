"""`with` and `async with` in one program, and an adapter that is closed by hand."""

from __future__ import annotations

import asyncio

from surroundings import surroundings

from praison_persist import PraisonAIDB

URL, SESSION = "sqlite:///mixed.db", "session"


async def awaited() -> None:
    """Go on in coroutines."""
    async with PraisonAIDB(URL) as db:
        await db.aon_user_message(SESSION, "from async with")

    db = PraisonAIDB(URL)
    try:
        await db.aon_user_message(SESSION, "closed by hand")
    finally:
        await db.aclose()


def main() -> None:
    """Begin in plain calls."""
    with surroundings():
        with PraisonAIDB(URL) as db:
            db.delete_session(SESSION)
            db.on_user_message(SESSION, "from with")
        asyncio.run(awaited())
        with PraisonAIDB(URL) as db:
            print([message.content for message in db.get_messages(SESSION)])


if __name__ == "__main__":
    main()
