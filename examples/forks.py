"""Forks and snapshots of a session while an agent goes on writing to it, in files and in SQL."""

from __future__ import annotations

from typing import Any

from surroundings import surroundings

from praison_persist import Agent, HierarchicalSessionStore, SQLSessionStore

SESSION = "story"


def branch(store: Any) -> None:
    """Fork what an agent said, revert it, and look at the tree.

    Args:
        store: HierarchicalSessionStore or SQLSessionStore.
    """
    for session_id in store.get_children(SESSION):
        store.delete_session(session_id)
    store.delete_session(SESSION)

    agent: Any = Agent(name="Writer", session_id=SESSION, user_id="ada")
    agent._session_store = store  # noqa: SLF001 - praisonaiagents has no argument for it
    agent.chat("My name is Ada.")
    snapshot = store.create_snapshot(SESSION, label="introduced")
    fork = store.fork_session(SESSION, from_message_index=0, title="another beginning")
    agent.chat("Forget me.")

    print(type(store).__name__)
    print(f"  before the revert: {len(store.get_chat_history(SESSION))} messages")
    store.revert_to_snapshot(SESSION, snapshot)
    print(f"  after the revert: {len(store.get_chat_history(SESSION))} messages")
    print(f"  the fork: {[message['content'] for message in store.get_chat_history(fork)]}")
    print(f"  its parent: {store.get_parent(fork)}")


def main() -> None:
    """Run it."""
    with surroundings():
        branch(HierarchicalSessionStore("forks"))
        with SQLSessionStore("sqlite:///forks.db") as store:
            branch(store)


if __name__ == "__main__":
    main()
