"""What searching costs, and what its index costs each append.

    python -m benchmarks.search URL [MESSAGES ...]

The URL is of a database to fill: a scratch one. For each number of messages the medians of a call,
in milliseconds, with and without the index, are printed, and how long the index took to make.
"""

from __future__ import annotations

import random
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

from praison_persist.models import ConversationMessage, ConversationSession
from praison_persist.sql.stores import SQLConversationStore

_IN_SESSION = 1_000
_WORDS = 30  # of a message
_CALLS = 200
_SLOW_S = 0.1


def words(source: random.Random) -> str:
    """Return the text of a message of about 200 characters: word20 is in one of four of them."""
    return " ".join(f"word{int(20 * 100 ** source.random())}" for _ in range(_WORDS))


def median_ms(work: Callable[[], Any]) -> float:
    """Return the median time of a call; of few calls where it is slow."""
    times: list[float] = []
    while len(times) < _CALLS and (sum(times) < _CALLS * _SLOW_S / 4 or len(times) < 5):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e3


def fill(store: SQLConversationStore, count: int, source: random.Random) -> None:
    """Add messages in sessions of a thousand; one in a thousand has the word "rare"."""
    for start in range(0, count, _IN_SESSION):
        session_id = store.create_session(ConversationSession()).session_id
        texts = [words(source) for _ in range(min(_IN_SESSION, count - start))]
        texts[0] += " rare"
        store.add_messages(
            session_id, [ConversationMessage(role="user", content=text) for text in texts]
        )


def measure(store: SQLConversationStore, source: random.Random) -> dict[str, float]:
    """Return the medians of an append and of searches."""
    session_id = store.create_session(ConversationSession()).session_id

    def append() -> None:
        store.add_message(session_id, ConversationMessage(role="user", content=words(source)))

    return {
        "append": median_ms(append),
        "rare word": median_ms(lambda: store.search_messages("rare")),
        "frequent word": median_ms(lambda: store.search_messages("word20")),
        "two words": median_ms(lambda: store.search_messages("word40 word300")),
        "no such word": median_ms(lambda: store.search_messages("nowhere")),
    }


def main(url: str, *counts: str) -> None:
    """Fill the database up to each of the counts, and measure there."""
    source, there = random.Random(1), 0
    with SQLConversationStore(url) as store:
        for count in [int(count) for count in counts] or [10_000, 100_000]:
            store.drop_search_index()
            fill(store, count - there, source)
            there = count
            without = measure(store, source)
            start = time.perf_counter()
            store.create_search_index()
            print(f"{count} messages; the index took {time.perf_counter() - start:.1f} s")
            for name, found in measure(store, source).items():
                print(f"  {name:16} without {without[name]:8.2f} ms  with {found:8.2f} ms")


if __name__ == "__main__":
    main(*sys.argv[1:])
