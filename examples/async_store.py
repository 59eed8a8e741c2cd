"""A store in asyncio: many tasks write to one session, and a reader sees one order."""

from __future__ import annotations

import asyncio
from itertools import count

from surroundings import surroundings

from praison_persist import (
    Agent,
    AsyncSQLiteConversationStore,
    ConversationMessage,
    ConversationSession,
)

SESSION = "support-7"


async def write(store: AsyncSQLiteConversationStore, name: str) -> None:
    """Append five messages."""
    for number in range(5):
        message = ConversationMessage(role="user", content=f"{name} {number}")
        await store.add_message(SESSION, message)


async def talk() -> None:
    """Let tasks write at once, page through the result, and hand the session to an agent."""
    async with AsyncSQLiteConversationStore("async.db") as store:
        await store.delete_session(SESSION)
        await store.create_session(ConversationSession(SESSION, user_id="ada"))
        await asyncio.gather(*(write(store, name) for name in ("red", "green", "blue")))

        stored = await store.get_messages(SESSION)
        gapless = all(message.seq == seq for message, seq in zip(stored, count(1), strict=False))
        print(f"{len(stored)} messages, numbered without a gap: {gapless}")

        page = await store.page_messages(SESSION, limit=4, backward=True)
        print(f"The newest four: {', '.join(str(message.content) for message in page.messages)}")
        page = await store.page_messages(SESSION, limit=4, backward=True, cursor=page.next_cursor)
        print(f"The four before: {', '.join(str(message.content) for message in page.messages)}")

        agent = Agent(name="Assistant", conversation_store=store, session_id=SESSION, user_id="ada")
        print(await agent.start("My name is Ada. What is my name?"))
        print(f"{await store.count(SESSION)} messages")


def main() -> None:
    """Run it."""
    with surroundings():
        asyncio.run(talk())


if __name__ == "__main__":
    main()
