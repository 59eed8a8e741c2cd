"""Conversations in JSON files: no server, no SQL, nothing to install."""

from __future__ import annotations

from pathlib import Path

from surroundings import surroundings

from praison_persist import Agent, db


def main() -> None:
    """Ask an agent, and show the files."""
    with (
        surroundings(),
        db(database_url="json:conversations", state_url="memory:///runs.json") as store,
    ):
        store.delete_session("user-123")
        agent = Agent(name="Assistant", db=store, session_id="user-123", user_id="ada")
        agent.chat("My name is Ada.")
        print(agent.chat("What is my name?"))
        for file in sorted(Path("conversations").glob("*.jsonl")):
            lines = file.read_text(encoding="utf-8").splitlines()
            print(f"{file}: {len(lines)} lines, {sum('Ada' in line for line in lines)} with Ada")
        print(f"{len(store.get_runs('user-123'))} runs in runs.json")


if __name__ == "__main__":
    main()
