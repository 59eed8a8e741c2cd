"""The database is away: the agent answers, what was said waits, and is stored later.

With no database for good, conversations can be kept in memory instead.
"""

from __future__ import annotations

import logging
from pathlib import Path

from surroundings import surroundings

from praison_persist import Agent, PersistError, UnavailableError, db

NOWHERE = "postgresql://ada@127.0.0.1:1/agents"
FILE = Path("outage/agent.db")


def main() -> None:
    """Answer without a database; let it come back; then do without one."""
    logging.disable(logging.ERROR)  # else each read and write that fails is logged
    with surroundings():
        for file in FILE.parent.glob("*"):
            file.unlink()
        if FILE.parent.exists():
            FILE.parent.rmdir()

        # The folder of the file does not exist, as a server that does not answer.
        with db(database_url=f"sqlite:///{FILE}", max_retries=1, retry_delay=0.05) as store:
            agent = Agent(name="Assistant", db=store, session_id="s", user_id="ada")
            print(agent.chat("My name is Ada."))
            health = store.health()
            print(f"ok {health.ok}, {health.pending_writes > 0} that writes wait")
            FILE.parent.mkdir()
            print(f"All is stored: {store.flush_pending_writes()}")
            print([message.content for message in store.get_messages("s")])

        try:  # strict: find out at once, with all tries
            store = db(database_url=NOWHERE, strict=True, max_retries=2, retry_delay=0.05)
        except UnavailableError as error:
            print(f"{type(error).__name__}: {str(error).partition(':')[0]}")
            store = db(database_url=":memory:")
        except PersistError as error:
            raise SystemExit(str(error)) from error
        with store:
            agent = Agent(name="Assistant", db=store, session_id="s", user_id="ada")
            print(f"In memory: {agent.chat('Hello')}")


if __name__ == "__main__":
    main()
