"""A conversation store of MariaDB or MySQL, with the tries that a server in the cloud may need.

export PRAISON_CONVERSATION_URL=mysql://user:password@localhost:3306/agents
"""

from __future__ import annotations

import sys

from surroundings import surroundings

from praison_persist import Agent, MySQLConversationStore, get_env_var

SESSION = "mysql-1"


def main() -> int:
    """Hold a conversation, and show its session."""
    url = get_env_var("conversation_url")
    if url is None:
        print("Which database? Set PRAISON_CONVERSATION_URL", file=sys.stderr)
        return 1
    # Of a host of PlanetScale the store would try more often, and wait longer, by itself.
    with surroundings(), MySQLConversationStore(url, max_retries=5, retry_delay=0.2) as store:
        store.delete_session(SESSION)
        agent = Agent(name="Assistant", conversation_store=store, session_id=SESSION, user_id="ada")
        agent.chat("My name is Ada 🐝.")
        print(agent.chat("What is my name?"))
        for message in store.get_messages(SESSION, limit=2):
            print(f"{message.seq}  {message.role}  {message.content}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
