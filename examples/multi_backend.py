"""Conversations in SQL; state, runs and traces in Redis, or in what PRAISON_STATE_URL names.

export PRAISON_STATE_URL=redis://localhost:6379
"""

from __future__ import annotations

import sys

from surroundings import surroundings

from praison_persist import Agent, db, get_env_var

SESSION = "hybrid-session"


def main() -> int:
    """Ask an agent, and show where each thing is."""
    state_url = get_env_var("state_url")
    if state_url is None:
        print("Which state store? Set PRAISON_STATE_URL", file=sys.stderr)
        return 1
    with (
        surroundings(),
        db(database_url="sqlite:///hybrid.db", state_url=state_url) as store,
    ):
        store.delete_session(SESSION)
        agent = Agent(name="Assistant", db=store, session_id=SESSION, user_id="ada")
        print(agent.chat("Hello"))
        store.update_state(SESSION, {"step": 1, "user:theme": "dark"})

        print(f"{type(store.conversation).__name__}: {store.conversation.count(SESSION)} messages")
        print(f"{type(store.state_store).__name__}: {len(store.get_runs(SESSION))} run,", end=" ")
        print(f"state {store.get_state(SESSION)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
