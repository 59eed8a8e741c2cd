"""Agents in threads share one orchestrator: what one learns of a session, no other undoes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from surroundings import surroundings

from praison_persist import (
    PersistenceOrchestrator,
    create_conversation_store,
    create_persistent_session,
)

SESSION, AGENTS = "trip", ("flights", "hotels", "trains", "weather")


def main() -> None:
    """Let each agent say something, and leave a note in the session's metadata."""
    with (
        surroundings(),
        PersistenceOrchestrator(create_conversation_store("sqlite", "shared.db")) as shared,
    ):
        shared.delete_session(SESSION)

        def work(agent: str) -> None:
            with create_persistent_session(shared, SESSION, "ada") as session:
                session.persist_message("assistant", f"{agent}: found")
            shared.on_agent_end(None, SESSION, {agent: "done"})

        with ThreadPoolExecutor(len(AGENTS)) as pool:
            list(pool.map(work, AGENTS))

        stored = shared.get_session(SESSION)
        notes = {} if stored is None else stored.metadata or {}
        print(f"{len(shared.get_messages(SESSION))} messages")
        print(f"Notes of {', '.join(agent for agent in AGENTS if notes.get(agent) == 'done')}")

        copy = shared.cached_session(SESSION)
        if copy is not None:
            copy.metadata = None  # a copy of the caller's own: nothing that others see
        again = shared.cached_session(SESSION)
        print(f"The cache was changed: {again is not None and again.metadata is None}")


if __name__ == "__main__":
    main()
