"""Two lines and no setting: conversations are kept in the SQLite file praisonai.db."""

from __future__ import annotations

from surroundings import surroundings

from praison_persist import Agent, SQLiteDB


def main() -> None:
    """Ask an agent, and show where the answer is."""
    with surroundings() as folder:
        agent = Agent(name="Assistant", db=SQLiteDB(), session_id="user-123", user_id="ada")
        print(agent.chat("Hello!"))

        print(f"{len(agent.db.get_messages('user-123'))} messages in {folder / 'praisonai.db'}")
        agent.db.close()


if __name__ == "__main__":
    main()
