"""Slices of time: a call is repeated until the slice ends, and each call is timed."""

from __future__ import annotations

import gc
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["Slice", "percentile", "repeated", "repeated_async", "slice_of"]


@dataclass(frozen=True, slots=True)
class Slice:
    """What was measured in a slice.

    Attributes:
        rate: operations per second.
        p50_s: median seconds of a call; a call may be of several operations.
        p99_s: its 99th percentile.
        cpu_s: processor seconds of this process per operation.
        operations: how many were done.
    """

    rate: float
    p50_s: float
    p99_s: float
    cpu_s: float
    operations: int

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)


def percentile(ordered: list[float], share: float) -> float:
    """Return the least value that at least this share of the values does not exceed."""
    if not ordered:
        return 0.0
    return ordered[max(0, -int(-len(ordered) * share // 1) - 1)]


def slice_of(seconds: list[float], elapsed_s: float, cpu_s: float, each: int = 1) -> Slice:
    """Return the slice of calls that took these seconds; a call is of `each` operations."""
    ordered, operations = sorted(seconds), len(seconds) * each
    return Slice(
        rate=operations / elapsed_s,
        p50_s=percentile(ordered, 0.5),
        p99_s=percentile(ordered, 0.99),
        cpu_s=cpu_s / max(1, operations),
        operations=operations,
    )


def repeated(
    call: Callable[[], Any], seconds: float, each: int = 1, most: int | None = None
) -> Slice:
    """Repeat a call for so long, once at least, and `most` times at most."""
    clock, took = time.perf_counter, list[float]()
    gc.collect()
    cpu, start = time.process_time(), clock()
    end, after = start + seconds, start
    while after < end or not took:
        before = clock()
        call()
        after = clock()
        took.append(after - before)
        if len(took) == most:
            break
    return slice_of(took, after - start, time.process_time() - cpu, each)


async def repeated_async(
    call: Callable[[], Awaitable[Any]], seconds: float, each: int = 1, most: int | None = None
) -> Slice:
    """As `repeated`: an `await` of its own would weigh on what has none."""
    clock, took = time.perf_counter, list[float]()
    gc.collect()
    cpu, start = time.process_time(), clock()
    end, after = start + seconds, start
    while after < end or not took:
        before = clock()
        await call()
        after = clock()
        took.append(after - before)
        if len(took) == most:
            break
    return slice_of(took, after - start, time.process_time() - cpu, each)
