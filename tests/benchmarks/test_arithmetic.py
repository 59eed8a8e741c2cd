"""The arithmetic of the benchmarks: percentiles, pairs, ratios, what is discarded."""

from __future__ import annotations

import asyncio

import pytest

from benchmarks.pairing import Observation, Pair, compare, kept, order, ratio
from benchmarks.timing import Slice, percentile, repeated, repeated_async, slice_of
from benchmarks.workloads.writes import counts_of

ONE, TWO = Pair("raw", "ours"), Pair("raw", "theirs")


def slice_at(rate: float) -> Slice:
    return Slice(rate=rate, p50_s=1 / rate, p99_s=2 / rate, cpu_s=0.0, operations=1)


def observed(pair: Pair, *rates: tuple[float, float]) -> list[Observation]:
    return [Observation(pair, slice_at(base), slice_at(other)) for base, other in rates]


@pytest.mark.parametrize(
    ("share", "expected"), [(0.0, 1.0), (0.5, 5.0), (0.51, 6.0), (0.99, 10.0), (1.0, 10.0)]
)
def test_a_percentile_is_one_of_the_values(share: float, expected: float) -> None:
    assert percentile([float(number) for number in range(1, 11)], share) == expected


def test_the_percentile_of_nothing_is_zero() -> None:
    assert percentile([], 0.5) == 0.0


def test_a_slice_counts_operations_not_calls() -> None:
    found = slice_of([0.1, 0.3, 0.2], elapsed_s=0.6, cpu_s=0.3, each=100)
    assert found.operations == 300
    assert found.rate == pytest.approx(500)
    assert found.p50_s == 0.2
    assert found.cpu_s == pytest.approx(0.001)


def test_a_call_is_made_once_at_least_and_not_more_often_than_said() -> None:
    calls: list[int] = []
    assert repeated(lambda: calls.append(1), 0.0).operations == 1
    assert repeated(lambda: calls.append(1), 60.0, most=7).operations == 7
    assert len(calls) == 8


def test_coroutines_are_repeated_alike() -> None:
    calls: list[int] = []

    async def call() -> None:
        calls.append(1)

    assert asyncio.run(repeated_async(call, 60.0, each=2, most=7)).operations == 14
    assert len(calls) == 7


def test_rounds_begin_with_another_pair_and_alternate_who_is_first() -> None:
    pairs = [ONE, TWO]
    assert [list(order(pairs, number)) for number in range(2)] == [
        [(ONE, True), (TWO, False)],
        [(TWO, False), (ONE, True)],
    ]
    alone = [next(order([ONE], number)) for number in range(2)]
    assert alone == [(ONE, True), (ONE, False)]


def test_a_pair_is_measured_next_to_each_other() -> None:
    measured: list[str] = []

    def measure(name: str) -> Slice:
        measured.append(name)
        return slice_at(100)

    found = compare([ONE, TWO], measure, 2, lambda *_: None, (OSError,))
    assert measured == ["raw", "ours", "theirs", "raw", "theirs", "raw", "raw", "ours"]
    assert [each.pair for each in found] == [ONE, TWO, TWO, ONE]


def test_who_has_no_baseline_is_measured_alone() -> None:
    alone = Pair("ours", "ours")
    found = compare([alone], lambda _: slice_at(100), 2, lambda *_: None, (OSError,))
    assert found == observed(alone, (100, 100), (100, 100))


def test_no_round_begins_when_the_time_is_up_but_there_are_three() -> None:
    found = compare([ONE], lambda _: slice_at(100), 9, lambda *_: None, (OSError,), limit_s=0)
    assert len(found) == 3


def test_who_fails_is_told_once_and_the_others_go_on() -> None:
    told: list[str] = []

    def measure(name: str) -> Slice:
        if name == "ours":
            raise OSError("gone")
        return slice_at(100)

    found = compare([ONE, TWO], measure, 3, lambda name, _: told.append(name), (OSError,))
    assert told == ["ours"]
    assert {each.pair for each in found} == {TWO}
    assert len(found) == 3


def test_rounds_with_a_disturbed_baseline_are_discarded() -> None:
    rounds = observed(ONE, (100, 50), (100, 50), (59, 50), (61, 50), (100, 10))
    left = kept(rounds)[ONE]
    assert [each.baseline.rate for each in left] == [100, 100, 61, 100]


def test_the_median_of_the_baseline_is_that_of_all_its_slices() -> None:
    """A pair of its own rounds alone would keep those of a disturbed minute."""
    left = kept([*observed(ONE, (100, 50), (100, 50), (100, 50)), *observed(TWO, (40, 50))])
    assert left[TWO] == []


def test_the_ratio_is_the_median_of_the_rounds() -> None:
    """Not the ratio of the medians, which 200 and 100 would be."""
    found = ratio(observed(ONE, (100, 200), (50, 200), (400, 200)), discarded=2)
    assert (found.median, found.low, found.high) == (2.0, 0.5, 4.0)
    assert found.p50 == pytest.approx(2.0)
    assert (found.rounds, found.discarded) == (3, 2)


def test_fsyncs_and_bytes_are_counted_in_a_trace() -> None:
    log = """\
12 pwrite64(5, "SQLite"..., 4096, 0) = 4096
12 fdatasync(5 <unfinished ...>
13 pwrite64(6, "x"..., 24, 4096 <unfinished ...>
12 <... fdatasync resumed>) = 0
13 <... pwrite64 resumed>) = 24
13 fsync(6) = 0
13 pwrite64(6, "fdatasync(", 100, 0) = -1 ENOSPC (No space left on device)
"""
    found = counts_of(log)
    assert (found.syncs, found.written) == (2, 4120)
