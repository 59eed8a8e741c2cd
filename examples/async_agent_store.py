"""An agent in asyncio over an async store of PostgreSQL.

export PRAISON_CONVERSATION_URL=postgresql://user:password@localhost:5432/agents
"""

from __future__ import annotations

import asyncio
import sys

from surroundings import surroundings

from praison_persist import Agent, AsyncPostgresConversationStore, get_env_var

SESSION = "async-1"


async def talk(url: str) -> None:
    """Tell an agent something, and ask another one that has the same session."""
    async with AsyncPostgresConversationStore(url) as store:
        await store.delete_session(SESSION)
        for prompt in ("My name is Ada.", "What is my name?"):
            agent = Agent(
                name="Assistant", conversation_store=store, session_id=SESSION, user_id="ada"
            )
            print(await agent.start(prompt))
        print(f"{await store.count(SESSION)} messages in {SESSION}")


def main() -> int:
    """Run it."""
    url = get_env_var("conversation_url")
    if url is None:
        print("Which database? Set PRAISON_CONVERSATION_URL", file=sys.stderr)
        return 1
    with surroundings():
        asyncio.run(talk(url))
    return 0


if __name__ == "__main__":
    sys.exit(main())
