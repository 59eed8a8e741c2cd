"""The contenders of one engine: their processes and databases, and what is recorded of them."""

from __future__ import annotations

import statistics
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmarks.contenders import CONTENDERS, Entry
from benchmarks.contenders.base import Place
from benchmarks.databases import database
from benchmarks.forms import Form
from benchmarks.pairing import Observation, Pair, compare, kept, ratio
from benchmarks.process import Worker, WorkerError
from benchmarks.results import Failure, Measurement, Results
from benchmarks.tally import Tally
from benchmarks.timing import Slice

__all__ = ["Team"]


class Team:
    """Starts contenders when they are first measured, and ends them with the context.

    Args:
        engine: that all of them use.
        form: how long and how large.
        results: where it is recorded.
        folder: where SQLite's files are made.
        only: contenders, by name; None is all.
        place: changes where a contender connects to.
    """

    def __init__(
        self,
        engine: str,
        form: Form,
        results: Results,
        folder: Path,
        only: frozenset[str] | None = None,
        place: Callable[[Place], Place] | None = None,
    ) -> None:
        self.engine, self.form, self.results, self.folder = engine, form, results, folder
        self.only, self._place = only, place
        self._stack = ExitStack()
        self._workers: dict[str, Worker] = {}
        self._open: set[str] = set()
        self._failed: set[tuple[str, str]] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    def has(self, name: str) -> bool:
        """Return whether the contender can be measured on this engine."""
        return self.engine in CONTENDERS[name].engines and self.wanted(name)

    def wanted(self, name: str) -> bool:
        """Return whether the contender is to be measured at all."""
        return self.only is None or name in self.only

    def worker(self, name: str, entry: Entry | None = None) -> Worker:
        """Return the contender's process, started and opened.

        Raises:
            WorkerError: it cannot be opened.
        """
        worker = self._start(name, entry)
        if name not in self._open:
            worker.answer("open")
            self._open.add(name)
        return worker

    def _start(self, name: str, entry: Entry | None = None) -> Worker:
        if name not in self._workers:
            place = self._stack.enter_context(database(self.engine, self.folder))
            if self._place is not None:
                place = self._place(place)
            worker = Worker(entry or CONTENDERS[name], place)
            self._stack.callback(worker.close)
            worker.give("open")
            self._workers[name] = worker
        return self._workers[name]

    def failed(self, workload: str, name: str, error: Exception) -> None:
        """Record that a contender could not be measured, once for a workload."""
        if (workload, name) in self._failed:
            return
        self._failed.add((workload, name))
        reason = str(error).strip().rpartition("\n")[2][:300]
        self.results.failures.append(Failure(workload, self.engine, name, reason))
        print(f"    {name}: {reason}", file=sys.stderr, flush=True)

    def ready(
        self, workload: str, names: Iterable[str], prepare: Callable[[Worker], Any] | None = None
    ) -> list[str]:
        """Return those that can be measured here, opened and prepared; record the others."""
        there = []
        wanted = [name for name in dict.fromkeys(names) if self.has(name)]
        for name in wanted:
            # All begin to import, which takes seconds, before the first is waited for.
            with suppress(WorkerError):
                self._start(name)
        for name in wanted:
            try:
                worker = self.worker(name)
                if prepare is not None:
                    prepare(worker)
            except WorkerError as error:
                self.failed(workload, name, error)
            else:
                there.append(name)
        return there

    def verified(self, workload: str, names: Iterable[str]) -> dict[str, Tally]:
        """Read back what the contenders acknowledged since the last time."""
        tallies = {}
        for name in names:
            try:
                tallies[name] = Tally(**self.worker(name).call("verify"))
            except WorkerError as error:
                self.failed(workload, name, error)
        return tallies

    def compared(
        self,
        workload: str,
        metric: str,
        pairs: Sequence[Pair],
        measure: Callable[[Worker], dict[str, Any]],
        rounds: int,
        *,
        prepare: Callable[[Worker], Any] | None = None,
        size: int | None = None,
        verify: bool = True,
    ) -> None:
        """Measure pairs round by round and record each, with what was lost meanwhile."""
        names = self.ready(workload, [n for p in pairs for n in (p.baseline, p.contender)], prepare)
        there = [pair for pair in pairs if {pair.baseline, pair.contender} <= {*names}]
        lone = [name for name in names if not any(name in _names(pair) for pair in there)]
        # One that lacks its baseline is measured beside itself: it has no ratio, but a rate.
        there += [Pair(name, name) for name in lone]
        observed = compare(
            there,
            lambda name: Slice(**measure(self.worker(name))),
            rounds,
            lambda name, error: self.failed(workload, name, error),
            (WorkerError,),
            self.form.limit_s,
        )
        tallies = self.verified(workload, names) if verify else {}
        self._record(workload, metric, observed, tallies, size)

    def _record(
        self,
        workload: str,
        metric: str,
        observed: Sequence[Observation],
        tallies: dict[str, Tally],
        size: int | None,
    ) -> None:
        everything = Counter(each.pair for each in observed)
        slices: dict[str, list[Slice]] = {}
        undisturbed = kept(observed)
        for pair, rounds in undisturbed.items():
            for each in rounds:
                slices.setdefault(pair.baseline, []).append(each.baseline)
                slices.setdefault(pair.contender, []).append(each.contender)

        def about(name: str) -> Measurement:
            found = slices[name]
            return Measurement(
                workload,
                self.engine,
                name,
                metric,
                statistics.median(each.rate for each in found),
                size,
                p50_us=statistics.median(each.p50_s for each in found) * 1e6,
                p99_us=statistics.median(each.p99_s for each in found) * 1e6,
                cpu_us=statistics.median(each.cpu_s for each in found) * 1e6,
                rounds=len(found),
                tally=told.to_dict() if (told := tallies.get(name)) and told.any else None,
            )

        contenders = {pair.contender for pair, rounds in undisturbed.items() if rounds}
        for name in slices:
            if name not in contenders:
                self.results.measurements.append(about(name))
        for pair, rounds in undisturbed.items():
            if not rounds:
                reason = f"in all rounds beside {pair.baseline} that was disturbed"
                self.failed(workload, pair.contender, WorkerError(reason))
                continue
            found = ratio(rounds, everything[pair] - len(rounds))
            alone = pair.baseline == pair.contender
            self.results.measurements.append(
                replace(
                    about(pair.contender),
                    baseline=None if alone else pair.baseline,
                    ratio=None if alone else found.median,
                    low=None if alone else found.low,
                    high=None if alone else found.high,
                    rounds=found.rounds,
                    discarded=found.discarded,
                )
            )


def _names(pair: Pair) -> tuple[str, str]:
    return pair.baseline, pair.contender
