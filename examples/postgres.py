"""An agent on PostgreSQL, or on any other database that PRAISONAI_CONVERSATION_URL names.

export PRAISONAI_CONVERSATION_URL=postgresql://user:password@localhost:5432/agents
"""

from __future__ import annotations

import sys

from surroundings import surroundings

from praison_persist import Agent, PersistError, db


def main() -> int:
    """Hold a conversation for each of two users, then list whose there are."""
    try:
        # strict: connect and check the tables now, instead of at the first message.
        store = db(strict=True, pool_size=5)
    except PersistError as error:
        print(f"No database: {error}", file=sys.stderr)
        return 1
    with surroundings(), store:
        print(f"{store.database_url}\n")
        for user, fact in (("ada", "My name is Ada."), ("bob", "My name is Bob.")):
            agent = Agent(name="Assistant", db=store, session_id=f"chat-{user}", user_id=user)
            agent.chat(fact)
            print(f"{user}: {agent.chat('What is my name?')}")
        for session in store.list_sessions(user_id="ada"):
            messages = store.conversation.count(session.session_id)
            print(f"\nSession {session.session_id} of {session.user_id}: {messages} messages")
    return 0


if __name__ == "__main__":
    sys.exit(main())
