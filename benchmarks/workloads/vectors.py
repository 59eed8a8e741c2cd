"""Embeddings: how fast the ten nearest are found, and how many of them are the right ones."""

from __future__ import annotations

from benchmarks.pairing import Pair
from benchmarks.process import WorkerError
from benchmarks.results import Measurement
from benchmarks.team import Team

__all__ = ["run"]

_QUERIES = 20


def run(team: Team) -> None:
    """Compare with an exact search of an array, which is the truth too."""
    count, pair = team.form.documents, Pair("numpy", "ours-vectors")
    team.compared(
        "vectors",
        "searches/s",
        [pair],
        lambda worker: worker.call("time", "search", team.form.slice_s),
        team.form.fewer_rounds,
        prepare=lambda worker: worker.call("call", "fill", count),
        size=count,
        verify=False,
    )
    try:
        right = wanted = 0
        for query in range(_QUERIES):
            exact = team.worker(pair.baseline).call("call", "nearest", query)
            found = team.worker(pair.contender).call("call", "nearest", query)
            right += len({*exact} & {*found})
            wanted += len(exact)
    except WorkerError as error:
        team.failed("vectors", pair.contender, error)
        return
    recall = right / wanted
    team.results.measurements.append(
        Measurement("vectors", team.engine, pair.contender, "recall of 10", recall, size=count)
    )
