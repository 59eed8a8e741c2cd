"""A whole turn by hooks: start, question, tool call, answer, end."""

from __future__ import annotations

import asyncio

from surroundings import surroundings

from praison_persist import PraisonAIDB

SESSION = "session_789"


async def turn() -> None:
    """Report what an agent did, and read it back."""
    async with PraisonAIDB("sqlite:///lifecycle.db") as db:
        await db.adelete_session(SESSION)
        await db.aon_agent_start(session_id=SESSION, name="DataAgent", agent_id="agent_123")
        await db.aon_user_message(session_id=SESSION, content="Analyze this data")
        await db.aon_tool_call(
            session_id=SESSION,
            tool_name="data_analyzer",
            arguments={"file": "data.csv"},
            result={"rows": 1000, "columns": 5},
        )
        await db.aon_agent_message(session_id=SESSION, content="1000 rows, 5 columns found.")
        await db.aon_agent_end(session_id=SESSION, name="DataAgent", agent_id="agent_123")

        for message in await db.aget_messages(SESSION):
            print(f"{message.seq}  {message.role:9}  {message.content}")
        for call in await db.aget_tool_calls(SESSION):
            print(f"{call.tool_name}({call.args}) returned {call.result}")


def main() -> None:
    """Run it."""
    with surroundings():
        asyncio.run(turn())


if __name__ == "__main__":
    main()
