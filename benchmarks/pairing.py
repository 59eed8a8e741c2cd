"""Pairs measured next to each other, round by round, so that what else the machine does cancels.

A ratio is of two adjacent slices; the median of the ratios is what counts. Absolute rates of a
shared machine may double from one minute to the next, these ratios do not.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from benchmarks.timing import Slice

__all__ = ["Observation", "Pair", "Ratio", "compare", "kept", "order", "ratio"]

_ROUNDS = 3
LEAST = 0.6
"""A round is discarded whose baseline is below this share of the baseline's own median rate."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two contenders, by name: how many times as fast as `baseline` is `contender`?"""

    baseline: str
    contender: str


@dataclass(frozen=True, slots=True)
class Observation:
    """Two adjacent slices of a pair."""

    pair: Pair
    baseline: Slice
    contender: Slice


@dataclass(frozen=True, slots=True)
class Ratio:
    """The ratio of the rates, contender to baseline.

    Attributes:
        median: of the rounds that were kept.
        low, high: the quartiles.
        p50: of the median times of a call, baseline to contender: above 1 is faster, too.
        rounds: how many were kept.
        discarded: how many were not.
    """

    median: float
    low: float
    high: float
    p50: float
    rounds: int
    discarded: int


def order(pairs: Sequence[Pair], number: int) -> Iterator[tuple[Pair, bool]]:
    """Yield the pairs of a round, each with whether its baseline is first.

    Each round begins with another pair, and who is first in a pair alternates.
    """
    begin = number % len(pairs) if pairs else 0
    for place, pair in enumerate([*pairs[begin:], *pairs[:begin]]):
        yield pair, (number + place) % 2 == 0


def compare(
    pairs: Sequence[Pair],
    measure: Callable[[str], Slice],
    rounds: int,
    failed: Callable[[str, Exception], None],
    failures: tuple[type[Exception], ...],
    limit_s: float = float("inf"),
) -> list[Observation]:
    """Measure the pairs, round by round. Who fails is told once, and is measured no more.

    After `limit_s` seconds no further round begins, if there were three.
    """
    end = time.monotonic() + limit_s
    found: list[Observation] = []
    out: set[str] = set()

    def one(name: str) -> Slice | None:
        try:
            return measure(name)
        except failures as error:
            out.add(name)
            failed(name, error)
            return None

    for number in range(rounds):
        if number >= _ROUNDS and time.monotonic() > end:
            break
        for pair, baseline_first in order(pairs, number):
            # One that is its own baseline is measured once.
            names = list(dict.fromkeys((pair.baseline, pair.contender)))
            if not baseline_first:
                names.reverse()
            slices: dict[str, Slice] = {}
            for name in names:
                if out & set(names):
                    break
                if (measured := one(name)) is not None:
                    slices[name] = measured
            if len(slices) == len(names):
                found.append(Observation(pair, slices[pair.baseline], slices[pair.contender]))
    return found


def kept(observations: Iterable[Observation]) -> dict[Pair, list[Observation]]:
    """Return those of each pair, without the rounds in which the baseline was disturbed."""
    everything = list(observations)
    rates: dict[str, list[float]] = {}
    for each in everything:
        rates.setdefault(each.pair.baseline, []).append(each.baseline.rate)
    least = {name: LEAST * statistics.median(found) for name, found in rates.items()}
    by_pair: dict[Pair, list[Observation]] = {each.pair: [] for each in everything}
    for each in everything:
        if each.baseline.rate >= least[each.pair.baseline]:
            by_pair[each.pair].append(each)
    return by_pair


def ratio(observations: Sequence[Observation], discarded: int = 0) -> Ratio:
    """Return the ratio of one pair's observations, of which there is at least one."""
    ratios = sorted(each.contender.rate / each.baseline.rate for each in observations)
    faster = [
        each.baseline.p50_s / each.contender.p50_s for each in observations if each.contender.p50_s
    ]
    return Ratio(
        median=statistics.median(ratios),
        low=ratios[len(ratios) // 4],
        high=ratios[3 * len(ratios) // 4],
        p50=statistics.median(faster) if faster else 0.0,
        rounds=len(ratios),
        discarded=discarded,
    )
