"""A conversation moves to another database: nothing is left out, and twice is once."""

from __future__ import annotations

import json
from pathlib import Path

from surroundings import surroundings

from praison_persist import Agent, db

SESSION = "user-123"


def main() -> None:
    """Talk, export, import twice, and go on in the other database."""
    with surroundings():
        exported, moved = Path("session.json"), Path("moved.db")
        moved.unlink(missing_ok=True)

        with db(database_url="sqlite:///origin.db") as origin:
            origin.delete_session(SESSION)
            agent = Agent(name="Assistant", db=origin, session_id=SESSION, user_id="ada")
            agent.chat("My name is Ada.")
            exported.write_text(json.dumps(origin.export_session(SESSION), indent=2))
        print(f"Exported {exported.stat().st_size} bytes of JSON")

        with db(database_url=f"sqlite:///{moved}") as target:
            for _ in range(2):
                target.import_session(json.loads(exported.read_text()))
                print(f"Imported: {len(target.get_messages(SESSION))} messages")
            agent = Agent(name="Assistant", db=target, session_id=SESSION, user_id="ada")
            print(agent.chat("What is my name?"))


if __name__ == "__main__":
    main()
