"""An orchestrator: conversations, knowledge and state of agents that exist already."""

from __future__ import annotations

import asyncio

from praisonaiagents import Agent
from surroundings import surroundings

from praison_persist import (
    KnowledgeDocument,
    PersistenceConfig,
    PersistenceOrchestrator,
    PersistentAgent,
    wrap_agent_with_persistence,
)

SESSION = "user-123"


async def talk(orchestrator: PersistenceOrchestrator) -> None:
    """Tell one agent something, and ask another that resumes the same session."""
    first = PersistentAgent(Agent(name="Assistant"), orchestrator, SESSION, "ada")
    await first.achat("My name is Ada.")

    second = wrap_agent_with_persistence(Agent(name="Assistant"), orchestrator, SESSION)
    print("".join(second.iter_stream("What is my name?")))
    await second.aend_session()


def main() -> None:
    """Run it."""
    config = PersistenceConfig(
        conversation_url="sqlite:///orchestrator.db",
        knowledge_store="sql",
        knowledge_url="sqlite:///orchestrator.db",
        state_store="sql",
        state_url="sqlite:///orchestrator.db",
    )
    with surroundings(), PersistenceOrchestrator.from_config(config) as orchestrator:
        orchestrator.delete_session(SESSION)
        asyncio.run(talk(orchestrator))

        orchestrator.knowledge.create_collection("default", 2)
        orchestrator.add_knowledge([KnowledgeDocument("1", "Ada likes cats", [1.0, 0.0])])
        orchestrator.set_state("seen", 2)
        context = orchestrator.build_context(SESSION, query_embedding=[0.9, 0.1])
        print(
            f"{len(context['history'])} messages, {len(context['knowledge'])} document near, "
            f"seen {orchestrator.get_state('seen')} times"
        )


if __name__ == "__main__":
    main()
