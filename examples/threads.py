"""Threads share one adapter, which connects once, and one session."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from surroundings import surroundings

from praison_persist import db

SESSION, THREADS, TURNS = "shared", 8, 5


def main() -> None:
    """Let threads use the adapter for the first time at the same instant."""
    with (
        surroundings(),
        db(database_url="sqlite:///threads.db", database_backend="sync_sqlite") as store,
    ):
        together = Barrier(THREADS)

        def write(name: int) -> None:
            together.wait()
            store.on_agent_start("Assistant", SESSION)
            for turn in range(TURNS):
                store.on_user_message(SESSION, f"{name}: {turn}")

        store.delete_session(SESSION)
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(write, range(THREADS)))

        stored = store.get_messages(SESSION)
        numbers = [message.seq for message in stored]
        print(f"{len(stored)} messages, numbered 1 to {len(numbers)}:", end=" ")
        print(numbers == list(range(1, THREADS * TURNS + 1)))


if __name__ == "__main__":
    main()
