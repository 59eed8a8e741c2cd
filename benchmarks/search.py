"""What searching costs, and what its index costs each append.

    python -m benchmarks.search URL [MESSAGES ...]

The URL is of a scratch database, which is filled twice, under two prefixes: one has the index. For
each number of messages the medians of a call are printed, in milliseconds; calls alternate between
the two. And how long the index took to make.
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
_CALLS = 100
_ENOUGH_S = 8.0  # of a measurement
_QUERIES = {
    "rare word": "rare",
    "frequent word": "word20",
    "two words": "word40 word300",
    "no such word": "nowhere",
}


def words(source: random.Random) -> str:
    """Return the text of a message of about 210 characters: word20 is in one of four of them."""
    return " ".join(f"word{int(20 * 100 ** source.random())}" for _ in range(_WORDS))


def medians(*works: Callable[[], Any]) -> list[float]:
    """Return the median times of calls that alternate; of few where they are slow."""
    times: list[list[float]] = [[] for _ in works]
    begin = time.perf_counter()
    for call in range(_CALLS):
        for own, work in zip(times, works, strict=True):
            start = time.perf_counter()
            work()
            own.append(time.perf_counter() - start)
        if call and time.perf_counter() > begin + _ENOUGH_S:
            break
    return [statistics.median(own) * 1e3 for own in times]


def fill(store: SQLConversationStore, count: int) -> None:
    """Add messages in sessions of a thousand; one of each has the word "rare"."""
    source = random.Random(count)
    for start in range(0, count, _IN_SESSION):
        session_id = store.create_session(ConversationSession()).session_id
        texts = [words(source) for _ in range(min(_IN_SESSION, count - start))]
        texts[0] += " rare"
        store.add_messages(
            session_id, [ConversationMessage(role="user", content=text) for text in texts]
        )


def appending(store: SQLConversationStore) -> Callable[[], Any]:
    """Return a call that appends a message."""
    session_id, source = store.create_session(ConversationSession()).session_id, random.Random(1)
    return lambda: store.add_message(
        session_id, ConversationMessage(role="user", content=words(source))
    )


def searching(store: SQLConversationStore, query: str) -> Callable[[], Any]:
    """Return a call that searches."""
    return lambda: store.search_messages(query)


def main(url: str, *counts: str) -> None:
    """Fill the database up to each of the counts, and measure there."""
    there = 0
    with (
        SQLConversationStore(url, table_prefix="plain_") as plain,
        SQLConversationStore(url, table_prefix="indexed_") as indexed,
    ):
        for count in [int(count) for count in counts] or [10_000, 100_000]:
            indexed.drop_search_index()
            for store in (plain, indexed):
                fill(store, count - there)
            there = count
            start = time.perf_counter()
            indexed.create_search_index()
            print(f"{count} messages; the index took {time.perf_counter() - start:.1f} s")
            works = {"append": (appending(plain), appending(indexed))}
            for name, query in _QUERIES.items():
                works[name] = (searching(plain, query), searching(indexed, query))
            for name, two in works.items():
                without, with_index = medians(*two)
                print(f"  {name:14} without {without:8.2f} ms  with {with_index:8.2f} ms")


if __name__ == "__main__":
    main(*sys.argv[1:])
