"""An agent of praisonaiagents as it is: praison_persist goes in through its memory=."""

from __future__ import annotations

from praisonaiagents import Agent
from surroundings import surroundings

from praison_persist import db, memory


def main() -> None:
    """Tell one agent something, and ask another that has the same session."""
    with surroundings(), db(database_url="sqlite:///own_agent.db") as store:
        kept = memory(store, session_id="user-123", user_id="ada")
        first = Agent(name="Assistant", memory=kept)
        first.chat("My name is Ada.")

        second = Agent(name="Assistant", memory=kept)
        print(second.chat("What is my name?"))


if __name__ == "__main__":
    main()
