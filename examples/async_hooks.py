"""The hooks of an adapter, awaited by a program of your own instead of an Agent."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from surroundings import surroundings

from praison_persist import PraisonAIDB

SESSION = "chat_123"


async def keep() -> None:
    """Store a question and its answer, each with metadata."""
    async with PraisonAIDB("sqlite:///agent_data.db") as db:
        await db.adelete_session(SESSION)
        await db.aon_user_message(
            session_id=SESSION,
            content="Hello, how can you help me?",
            metadata={"user_id": "user_456", "at": datetime.now(UTC).isoformat()},
        )
        await db.aon_agent_message(
            session_id=SESSION,
            content="I can help with various tasks.",
            metadata={"agent_name": "assistant", "environment": "production"},
        )
        for message in await db.aget_messages(SESSION):
            print(f"{message.role}: {message.content} {sorted(message.metadata or ())}")


def main() -> None:
    """Run it."""
    with surroundings():
        asyncio.run(keep())


if __name__ == "__main__":
    main()
