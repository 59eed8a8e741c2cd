"""What longer sessions, and more of them, cost: times of a call at each size, in rounds."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from benchmarks.contenders import Entry
from benchmarks.process import Worker, WorkerError
from benchmarks.results import Measurement
from benchmarks.team import Team
from benchmarks.timing import Slice

__all__ = ["run"]

_OF_LENGTH = ("append_to", "newest_of")
_OF_COUNT = ("page_of", "page_of_user")
_TITLES = {
    "append_to": "append, ms",
    "newest_of": "newest 50, ms",
    "page_of": "page of sessions, ms",
    "page_of_user": "page of a user's sessions, ms",
}
_ENTRY = Entry("praison_persist", "growth:Growing", (), package="praison-persist")
_OTHER = Entry("praisonai", "praisonai_growth:Growing", (), "praisonai", "praisonai")


def run(team: Team) -> None:
    """Fill all sizes first, so that rounds go from size to size, and then measure."""
    form = team.form
    lengths, counts = form.lengths, form.counts
    _measure(team, "ours", _ENTRY, lengths, counts)
    few = tuple(each for each in lengths if each <= form.others)
    # It reads all messages: a size more costs ten times as much, which the smaller ones show.
    _measure(team, "praisonai", _OTHER, few, ())


def _measure(
    team: Team, name: str, entry: Entry, lengths: Sequence[int], counts: Sequence[int]
) -> None:
    if not team.wanted(name):
        return
    try:
        worker = team.worker(f"{name} (growth)", entry)
        for length in lengths:
            worker.call("call", "lengthen", length, limit_s=600)
        for count in counts:
            worker.call("call", "widen", count, limit_s=600)
        found = _rounds(team, worker, lengths, counts)
    except WorkerError as error:
        team.failed("growth", name, error)
        return
    for (method, size), times in found.items():
        team.results.measurements.append(
            Measurement(
                "growth",
                team.engine,
                name,
                _TITLES[method],
                statistics.median(times) * 1e3,
                size=size,
                rounds=len(times),
            )
        )


def _rounds(
    team: Team, worker: Worker, lengths: Sequence[int], counts: Sequence[int]
) -> dict[tuple[str, int], list[float]]:
    probes = [(method, length) for method in _OF_LENGTH for length in lengths]
    probes += [(method, count) for method in _OF_COUNT for count in counts]
    found: dict[tuple[str, int], list[float]] = {probe: [] for probe in probes}
    for _ in range(team.form.fewer_rounds):
        for method, size in probes:
            answer = worker.call("time", method, team.form.slice_s / 2, size)
            found[method, size].append(Slice(**answer).p50_s)
    return found
