"""Notes of a runtime about its turns, kept in the session for the runtime that takes over."""

from __future__ import annotations

from surroundings import surroundings

from praison_persist import DefaultSessionStore, SessionStore, SQLSessionStore

SESSION = "handoff"


def hand_over(store: SessionStore) -> None:
    """Let one runtime leave a note of its turn, and another read it."""
    store.delete_session(SESSION)
    store.add_user_message(SESSION, "Book a table for two.")
    store.set_runtime_state(SESSION, "native", "turn-1", {"step": "asked for the time"})

    store.add_assistant_message(SESSION, "At what time?")
    note = store.get_runtime_state(SESSION, "native", "turn-1")
    store.set_runtime_state(SESSION, "plugin", "turn-2", {"after": note["step"]})

    # Turned off, as SessionConfig.mirror_runtime_state of praisonaiagents is by default.
    store.set_runtime_state(SESSION, "plugin", "turn-3", {"n": 3}, mirror_enabled=False)
    print(f"{type(store).__name__}: {store.get_runtime_state(SESSION, 'plugin')}")


def main() -> None:
    """Do it in files, and in a database."""
    with surroundings():
        hand_over(DefaultSessionStore("sessions"))
        with SQLSessionStore("sqlite:///runtime_state.db") as store:
            hand_over(store)


if __name__ == "__main__":
    main()
