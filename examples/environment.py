"""Settings from the environment: DATABASE_URL, and REDIS_URL if there is one; a session a user."""

from __future__ import annotations

import os

from surroundings import surroundings

from praison_persist import Agent, db

USERS = (7, 8)


def main() -> None:
    """Answer each user in a session of their own."""
    with (
        surroundings(),
        db(
            database_url=os.getenv("DATABASE_URL", "sqlite:///production.db"),
            state_url=os.getenv("REDIS_URL"),
        ) as store,
    ):
        for user_id in USERS:
            session_id = f"user-{user_id}"
            store.delete_session(session_id)
            agent = Agent(
                name="ProdAssistant", db=store, session_id=session_id, user_id=str(user_id)
            )
            agent.chat(f"My name is User{user_id}.")
            print(agent.chat("What is my name?"))
        print(f"Kept in {store.database_url}, state in {type(store.state_store).__name__}")


if __name__ == "__main__":
    main()
