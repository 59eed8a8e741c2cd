"""What goes wrong around all stores alike: lost answers, ended loops, cancelled tasks, forks."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import pytest

from praison_persist.errors import ConflictError
from praison_persist.protocols import AsyncStateStore, StateStore
from praison_persist.testing.contract import race

_WORKERS = 4

T = TypeVar("T", bound=Callable[..., Any])


def write_on_condition(stores: Sequence[StateStore], times: int) -> None:
    """Let four threads count and append to a list, each `times`; all of it has to happen once.

    While answers get lost, another may write before the repetition, which then counts twice, or
    takes its own first success for a conflict.
    """

    def work(index: int) -> list[int]:
        mine, counted = stores[index % len(stores)], []
        for number in range(times):
            counted.append(mine.incr("k"))
            while not _appended(mine, [index, number]):
                pass
        return counted

    counts = race(_WORKERS, work)
    assert sorted(n for some in counts for n in some) == list(range(1, _WORKERS * times + 1))
    expected = [[index, number] for index in range(_WORKERS) for number in range(times)]
    assert sorted(stores[0].get("list")) == expected


def _appended(store: StateStore, item: list[int]) -> bool:
    found = store.get_versioned("list")
    value = [*(found.value if found else []), item]
    try:
        store.set("list", value, expected_version=found.version if found else 0)
    except ConflictError:
        return False
    return True


def write_alone(store: StateStore) -> None:
    """Write in every way that has a condition; a repetition must not meet its own first success."""
    store.set("counter", 0)
    for number in range(1, 30):
        assert store.incr("counter") == number
        assert store.set_if_absent(f"lock{number}", number)
        found = store.get_versioned("counter")
        assert found is not None
        store.set("counter", number, expected_version=found.version)
        store.hset("hash", str(number), number)
    assert store.hgetall("hash") == {str(number): number for number in range(1, 30)}


def use_on_several_loops(store: AsyncStateStore, tasks: int) -> None:
    """Use a store on one loop after the other: connections belong to the loop they were made on."""

    async def count() -> list[int]:
        return sorted(await asyncio.gather(*[store.incr("k") for _ in range(tasks)]))

    assert asyncio.run(count()) == list(range(1, tasks + 1))
    assert asyncio.run(count()) == list(range(tasks + 1, 2 * tasks + 1))

    async def end() -> None:
        assert [key async for key in store.scan_prefix("k")] == ["k"]
        await store.close()
        await store.close()

    asyncio.run(end())


def cancel_half(store: AsyncStateStore, *, tasks: int, rounds: int, step_s: float) -> None:
    """Cancel every other read; the reply to one that was cancelled must not answer the next."""

    async def main() -> None:
        async with store:
            await store.set_many({f"k{index}": index for index in range(tasks)})
            for round_ in range(rounds):
                reads = [asyncio.ensure_future(store.get(f"k{index}")) for index in range(tasks)]
                await asyncio.sleep(step_s * (round_ % 5))
                for read in reads[::2]:
                    read.cancel()
                results = await asyncio.gather(*reads, return_exceptions=True)
                for index, result in enumerate(results):
                    assert result == index or isinstance(result, asyncio.CancelledError)

    asyncio.run(main())


def count_beside_a_fork(store: StateStore, times: int) -> None:
    """Count in a process and in its fork: neither may read the other's replies, or wait for it."""
    store.set("parent", 0)
    child = os.fork()
    if child == 0:
        try:
            for _ in range(times):
                store.incr("child")
            store.close()
        finally:
            os._exit(0)
    for number in range(1, times + 1):
        assert store.incr("parent") == number
    os.waitpid(child, 0)
    assert store.get_many(["parent", "child"]) == {"parent": times, "child": times}


def forks(test: object) -> object:
    """Mark a test that forks a process with threads."""
    warned = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
    return pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")(
        warned(test)
    )
