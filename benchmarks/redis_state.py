"""State in Redis against plain redis-py that sends the same commands with the same serializer.

    python benchmarks/redis_state.py [redis://127.0.0.1:6379/15]

Rounds of both alternate, and the median of their ratios is printed: above 1 is faster than plain
redis-py. It also counts the round trips of `get_many`. The goal is 0.8 for get and set, and 1 round
trip. Keys begin with "praison_bench:" and are deleted afterwards.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import redis

from praison_persist._json import dumps, loads
from praison_persist.state.redis import RedisStateStore
from praison_persist.state.redis_commands import _WRITE

PREFIX = "praison_bench:"
ROUNDS, CALLS = 31, 400
VALUE = {"role": "user", "content": "x" * 200, "n": 1, "tags": ["a", "b"]}


def seconds(work: Callable[[int], Any]) -> float:
    """Return how long it takes to do the work CALLS times."""
    start = time.perf_counter()
    for index in range(CALLS):
        work(index)
    return time.perf_counter() - start


def ratio(ours: Callable[[int], Any], plain: Callable[[int], Any]) -> float:
    """Return the median of plain time to our time, of rounds in alternating order."""
    found = []
    for number in range(ROUNDS):
        if number % 2:
            mine, theirs = seconds(ours), seconds(plain)
        else:
            theirs, mine = seconds(plain), seconds(ours)
        found.append(theirs / mine)
    return statistics.median(found)


def main(url: str) -> None:
    """Measure and print."""
    client = redis.Redis.from_url(url, decode_responses=True)
    client.script_load(_WRITE.text)
    with RedisStateStore(url, prefix=PREFIX) as store:

        def plain_set(index: int) -> None:
            text = dumps(VALUE)
            client.evalsha(_WRITE.sha, 1, f"{PREFIX}k{index}", "7", "0", text)

        def plain_get(index: int) -> Any:
            return loads(client.hget(f"{PREFIX}k{index}", "v") or "null")

        rows = {
            "set": ratio(lambda index: store.set(f"k{index}", VALUE), plain_set),
            "get": ratio(lambda index: store.get(f"k{index}"), plain_get),
        }
        keys = [f"k{index}" for index in range(CALLS)]
        before = client.info("commandstats")
        assert len(store.get_many(keys)) == CALLS
        after = client.info("commandstats")
        calls = sum(
            after.get(name, {"calls": 0})["calls"] - before.get(name, {"calls": 0})["calls"]
            for name in ("cmdstat_evalsha", "cmdstat_eval", "cmdstat_mget")
        )
        for key in client.scan_iter(f"{PREFIX}*", count=1000):
            client.delete(key)
    client.close()
    for name, value in rows.items():
        print(f"{name:8} {value:.2f} x plain redis-py")
    print(f"get_many of {CALLS} keys: {calls} round trip(s)")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "redis://127.0.0.1:6379/15")
