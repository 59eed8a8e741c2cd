"""An agent of the OpenAI Agents SDK whose second process knows what the first was told.

Run it twice: `python examples/integrations/openai_agents.py`.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from agents import Agent, Runner, set_tracing_disabled

from praison_persist import db
from praison_persist.integrations.openai_agents import PersistSession

sys.path.insert(0, str(Path(__file__).parent.parent))
from surroundings import surroundings

DATABASE = "sqlite:///openai_agents.db"


async def ask(prompt: str) -> str:
    """Ask with a new agent and a new session object, as a new process would."""
    agent = Agent(name="Assistant", model="gpt-4o-mini")
    async with PersistSession("user-123", DATABASE, user_id="ada") as session:
        result = await Runner.run(agent, prompt, session=session)
    return str(result.final_output)


async def talk() -> None:
    """Say something in the first process, and ask for it in the second."""
    async with PersistSession("user-123", DATABASE, user_id="ada") as session:
        known = len(await session.get_items())
    print(f"{known} items are known.")
    print(await ask("What is my name?" if known else "My name is Ada."))


def main() -> None:
    """Run it, and show the conversation as every other reader of the database sees it."""
    set_tracing_disabled(disabled=True)
    with surroundings():
        asyncio.run(talk())
        with db(database_url=DATABASE) as store:
            for message in store.get_messages("user-123"):
                print(f"  {message.seq:3}  {message.role:9}  {message.content}")


if __name__ == "__main__":
    main()
