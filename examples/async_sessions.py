"""Sessions and messages without an agent: `async with`, and create-or-update."""

from __future__ import annotations

import asyncio

from surroundings import surroundings

from praison_persist import (
    AsyncSQLiteConversationStore,
    ConversationMessage,
    ConversationSession,
)

SESSION = "session_123"


async def keep() -> None:
    """Write a session twice, and a message to it."""
    async with AsyncSQLiteConversationStore("sessions.db") as store:
        await store.delete_session(SESSION)
        for name in ("first name", "second name"):
            session = ConversationSession(SESSION, user_id="user_123", name=name)
            stored = await store.upsert_session(session)
            print(f"Version {stored.version}: {stored.name}")

        found = await store.get_session(SESSION)
        if found is not None:
            await store.add_message(SESSION, ConversationMessage(role="user", content="Hello"))
        for message in await store.get_messages(SESSION):
            print(f"{message.seq}  {message.role}  {message.content}")
        print(f"An unknown session is {await store.get_session('session_124')}")


def main() -> None:
    """Run it."""
    with surroundings():
        asyncio.run(keep())


if __name__ == "__main__":
    main()
