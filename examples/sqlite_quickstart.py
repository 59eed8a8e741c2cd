"""An agent that resumes its conversation: run it twice, and it knows more the second time."""

from __future__ import annotations

from surroundings import surroundings

from praison_persist import Agent, db


def main() -> None:
    """Say something, ask for it, and show what is stored."""
    with surroundings(), db(database_url="sqlite:///quickstart.db") as store:
        agent = Agent(name="Assistant", db=store, session_id="user-123", user_id="ada")
        print(agent.chat("My name is Ada."))
        print(agent.chat("What is my name?"))

        print("\nStored so far:")
        for message in store.get_messages("user-123"):
            print(f"  {message.seq:3}  {message.role:9}  {message.content}")
        print("\nRuns, newest first:")
        for run in store.get_runs("user-123"):
            print(f"  {run.run_id}  {run.status}  {run.metrics['duration_ms']:.0f} ms")


if __name__ == "__main__":
    main()
