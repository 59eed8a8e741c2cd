"""Pools, timeouts and a replica: many users at once over a few connections.

export PRAISON_CONVERSATION_URL=postgresql://user:password@localhost:5432/agents
"""

from __future__ import annotations

import asyncio
import os
import sys

from surroundings import surroundings

from praison_persist import ConversationMessage, ConversationSession, db, get_env_var

USERS = 40


async def serve(url: str) -> None:
    """Let all users write at once; no more connections are opened than the options allow."""
    async with db(
        database_url=url,
        strict=True,
        pool_size=3,
        max_overflow=2,
        pool_timeout=20.0,  # seconds that a caller waits for a connection
        pool_recycle=600.0,  # seconds after which a connection is replaced
        replica_url=os.getenv("PRAISON_CONVERSATION_REPLICA_URL") or None,
    ) as store:
        conversation = store.aconversation

        async def write(user: int) -> int:
            session_id = f"pool-{user}"
            await conversation.delete_session(session_id)
            await conversation.create_session(ConversationSession(session_id, user_id="pool"))
            message = ConversationMessage(role="user", content="Hello")
            return (await conversation.add_message(session_id, message)).seq or 0

        stored = sum(await asyncio.gather(*map(write, range(USERS))))
        print(f"{stored} messages of {USERS} users over {3 + 2} connections at most")
        print(f"{len(await store.alist_sessions(user_id='pool'))} sessions")


def main() -> int:
    """Run it."""
    url = get_env_var("conversation_url")
    if url is None:
        print("Which database? Set PRAISON_CONVERSATION_URL", file=sys.stderr)
        return 1
    with surroundings():
        asyncio.run(serve(url))
    return 0


if __name__ == "__main__":
    sys.exit(main())
