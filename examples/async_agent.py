"""An agent that is awaited, with an adapter that the program closes."""

from __future__ import annotations

import asyncio

from surroundings import surroundings

from praison_persist import Agent, PraisonAIDB


async def chat() -> None:
    """Ask in each of the ways that are awaited."""
    agent = Agent(
        name="Assistant",
        instructions="You are a helpful assistant.",
        db=PraisonAIDB("sqlite:///async_agent.db"),
        session_id="weather",
        user_id="ada",
        async_mode=True,  # start is awaited, too
    )
    async with agent.db as db:
        print(await agent.run_async("What's the weather like?"))
        print(await agent.achat("My name is Ada."))
        print(await agent.start("What is my name?"))
        runs = await db.aget_runs("weather")
        print(f"{len(runs)} runs, {sum(run.status == 'completed' for run in runs)} completed")
        await db.adelete_session("weather")


def main() -> None:
    """Run it."""
    with surroundings():
        asyncio.run(chat())


if __name__ == "__main__":
    main()
