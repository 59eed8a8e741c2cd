"""What this package is to reach: ratios of one run, and counts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from benchmarks.contenders import CONTENDERS, MARIADB, POSTGRESQL, REDIS, SQLITE
from benchmarks.results import Measurement, Results

__all__ = ["GOALS", "Goal", "Outcome", "outcomes"]


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound of a number.

    Attributes:
        number: short, "S1": goals of one number belong together.
        says: what is bounded.
        value: finds it in the results; None if it was not measured.
        least, most: one of them is given.
    """

    number: str
    says: str
    value: Callable[[Results], float | None]
    least: float | None = None
    most: float | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a goal; `value` is None if it was not measured."""

    goal: Goal
    value: float | None

    @property
    def reached(self) -> bool | None:
        """Whether the value keeps the bound; None without one."""
        if self.value is None:
            return None
        least, most = self.goal.least, self.goal.most
        return (least is None or self.value >= least) and (most is None or self.value <= most)


def outcomes(results: Results) -> list[Outcome]:
    """Return all goals with what the results have of them."""
    return [Outcome(goal, goal.value(results)) for goal in GOALS]


def _title(name: str) -> str:
    return CONTENDERS[name].title.removeprefix("praison_persist").strip() or "praison_persist"


def _found(measurements: list[Measurement], field: str) -> float | None:
    values = [value for each in measurements if (value := getattr(each, field)) is not None]
    return float(values[-1]) if values else None


def _times(  # a ratio of rates
    number: str,
    workload: str,
    engine: str,
    contender: str,
    *baselines: tuple[str, float],
    metric: str | None = None,
    size: int | None = None,
    says: str = "",
) -> Iterator[Goal]:
    for baseline, least in baselines:

        def value(results: Results, baseline: str = baseline) -> float | None:
            found = results.find(
                workload, engine, contender, metric=metric, baseline=baseline, size=size
            )
            return _found(found, "ratio")

        what = f"{workload}{says} on {engine}: {_ours(contender)} to {CONTENDERS[baseline].title}"
        yield Goal(number, what, value, least=least)


def _indirect(
    number: str, workload: str, engine: str, contender: str, other: str, baseline: str, least: float
) -> Iterator[Goal]:
    """Yield the goal of a pair that is not measured side by side, since the other takes seconds."""

    def value(results: Results) -> float | None:
        mine, theirs = (
            _found(results.find(workload, engine, name, baseline=baseline), "ratio")
            for name in (contender, other)
        )
        return mine / theirs if mine is not None and theirs else None

    what = f"{workload} on {engine}: {_ours(contender)} to {CONTENDERS[other].title}"
    yield Goal(number, what, value, least=least)


def _ours(name: str) -> str:
    return {"ours": "sync", "ours-async": "asyncio", "ours-batched": "a turn a batch"}.get(
        name, _title(name)
    )


def _count(
    number: str, workload: str, engine: str, contender: str, metric: str, most: float
) -> Iterator[Goal]:
    def value(results: Results) -> float | None:
        return _found(results.find(workload, engine, contender, metric=metric), "value")

    yield Goal(number, f"{metric} on {engine}: {_ours(contender)}", value, most=most)


def _no_errors(number: str, engine: str, contender: str) -> Iterator[Goal]:
    def value(results: Results) -> float | None:
        tallies = [each.tally for each in results.find("crowd", engine, contender) if each.tally]
        if not tallies:
            return None
        counts = ("lost", "duplicated", "out_of_order")
        told = tallies[-1]
        return float(sum(told[name] for name in counts) + sum(told["errors"].values()))

    what = f"crowd on {engine}: {_ours(contender)}: errors, lost, duplicated, out of order"
    yield Goal(number, what, value, most=0)


def _quotient(
    number: str,
    says: str,
    above: Callable[[Results], float | None],
    below: Callable[[Results], float | None],
    most: float,
) -> Iterator[Goal]:
    def value(results: Results) -> float | None:
        one, other = above(results), below(results)
        return one / other if one is not None and other else None

    yield Goal(number, says, value, most=most)


def _rate(
    workload: str, engine: str, contender: str, metric: str
) -> Callable[[Results], float | None]:
    return lambda results: _found(results.find(workload, engine, contender, metric=metric), "value")


def _grown(number: str, engine: str, metric: str, most: float) -> Iterator[Goal]:
    def value(results: Results) -> float | None:
        found = results.find("growth", engine, "ours", metric=metric)
        sizes = sorted((each.size or 0, each.value) for each in found)
        return sizes[-1][1] / sizes[0][1] if len(sizes) > 1 else None

    yield Goal(
        number, f"growth on {engine}: {metric}: the longest to the shortest", value, most=most
    )


def _widths(number: str, engine: str, *baselines: str) -> Iterator[Goal]:
    for baseline in baselines:

        def value(results: Results, baseline: str = baseline) -> float | None:
            found = results.find("sweep", engine, "ours-async", baseline=baseline)
            return min((each.ratio for each in found if each.ratio is not None), default=None)

        says = f"sweep on {engine}: asyncio to {CONTENDERS[baseline].title}, the worst width"
        yield Goal(number, says, value, least=1.0)


_ONE, _MANY = "fsyncs/append", "fsyncs/append of many agents"
_TRIPS = "round trips/append"
_PAGES = "first pages/s", "middle pages/s"

GOALS: Final[tuple[Goal, ...]] = (
    *_times("S1", "append", SQLITE, "ours", ("sqlite3", 0.9)),
    *_times(
        "S2",
        "append",
        SQLITE,
        "ours",
        *(("praisonai", 3.5), ("openai", 2.0), ("openai-sqlalchemy", 15), ("adk", 20)),
    ),
    *_times("S2", "append", SQLITE, "ours-async", ("praisonai-async", 2.5)),
    *_count("S3", "writes", SQLITE, "ours", _ONE, 1.05),
    *_count("S3", "writes", SQLITE, "ours", "bytes/append", 18_500),
    *_times(
        "S4",
        "crowd",
        SQLITE,
        "ours-async",
        *(("sqlite3-numbered", 7), ("praisonai-async", 3.5), ("openai", 12)),
    ),
    *_indirect("S4", "crowd", SQLITE, "ours-async", "praisonai", "sqlite3-numbered", 25),
    *_count("S4", "writes", SQLITE, "ours-async", _MANY, 0.1),
    *_no_errors("S4", SQLITE, "ours-async"),
    *_times("S5", "crowd", SQLITE, "ours", ("sqlite3-numbered", 4)),
    *_no_errors("S5", SQLITE, "ours"),
    *_count("P1", "latency", POSTGRESQL, "ours", _TRIPS, 1.05),
    *_count("P1", "writes", POSTGRESQL, "ours", _ONE, 1.05),
    *_count("P1", "writes", POSTGRESQL, "ours", "bytes/append", 1_100),
    *_times("P1", "append", POSTGRESQL, "ours", ("psycopg", 0.88), ("praisonai", 1.2)),
    *_times("P1", "append", POSTGRESQL, "ours-async", ("praisonai-async", 1.4)),
    *_times(
        "P2",
        "latency",
        POSTGRESQL,
        "ours",
        *(("praisonai", 2.3), ("openai-sqlalchemy", 5), ("adk", 9), ("agno", 9)),
    ),
    *_times("P2", "latency", POSTGRESQL, "ours-async", ("praisonai-async", 1.7)),
    *_times(
        "P3",
        "crowd",
        POSTGRESQL,
        "ours-async",
        *(
            ("psycopg-numbered", 10),
            ("pgbench", 2.3),
            ("asyncpg-pool", 5),
            ("praisonai-async", 4.5),
        ),
    ),
    *_count("P3", "writes", POSTGRESQL, "ours-async", _MANY, 0.08),
    *_no_errors("P3", POSTGRESQL, "ours-async"),
    *_widths("P4", POSTGRESQL, "psycopg-pool", "asyncpg-pool"),
    *_times("P5", "crowd", POSTGRESQL, "ours", ("psycopg-numbered", 5.5)),
    *_no_errors("P5", POSTGRESQL, "ours"),
    *_count("Y1", "latency", MARIADB, "ours", _TRIPS, 1.05),
    *_times(
        "Y1", "append", MARIADB, "ours", ("mysqlclient", 0.7), ("pymysql", 0.7), ("praisonai", 1.7)
    ),
    *_times("Y1", "append", MARIADB, "ours-async", ("praisonai-async", 0.9)),
    *_times("Y1", "latency", MARIADB, "ours", ("praisonai", 7)),
    *_times("Y2", "crowd", MARIADB, "ours-async", ("pymysql-pool", 1.9), ("praisonai-async", 1.4)),
    *_no_errors("Y2", MARIADB, "ours"),
    *_times("B1", "batch", SQLITE, "ours", ("sqlite3", 2.2), size=1000, says=" of 1000"),
    *_times("B1", "batch", SQLITE, "ours", ("praisonai", 80), size=1000, says=" of 1000"),
    *_times("B1", "batch", POSTGRESQL, "ours", ("psycopg", 2), size=1000, says=" of 1000"),
    *_times("B1", "batch", POSTGRESQL, "ours", ("praisonai", 25), size=1000, says=" of 1000"),
    *_times("B1", "batch", MARIADB, "ours", ("pymysql", 1.05), size=1000, says=" of 1000"),
    *_times("B1", "batch", MARIADB, "ours", ("praisonai", 25), size=1000, says=" of 1000"),
    *_times(
        "R1",
        "read",
        SQLITE,
        "ours",
        *(("sqlite3-numbered", 0.9), ("openai", 3.5), ("praisonai", 4000)),
        metric="newest 50/s",
    ),
    *_times(
        "R1",
        "read",
        POSTGRESQL,
        "ours",
        *(("psycopg-numbered", 0.9), ("openai-sqlalchemy", 4.5), ("praisonai", 4000)),
        metric="newest 50/s",
    ),
    *_times(
        "R1",
        "read",
        MARIADB,
        "ours",
        *(("pymysql-numbered", 0.9), ("praisonai", 4000)),
        metric="newest 50/s",
    ),
    *_grown("R2", SQLITE, "newest 50, ms", 1.3),
    *_grown("R2", POSTGRESQL, "newest 50, ms", 1.5),
    *(
        goal
        for engine in (SQLITE, POSTGRESQL, MARIADB)
        for goal in _quotient(
            "R3",
            f"read on {engine}: time of the middle page to that of the first",
            _rate("read", engine, "ours", _PAGES[0]),
            _rate("read", engine, "ours", _PAGES[1]),
            1.3,
        )
    ),
    *_times("T1", "turn", SQLITE, "ours-batched", ("praisonai", 12)),
    *_times("T1", "turn", SQLITE, "ours", ("praisonai", 4.5)),
    *_times("T1", "turn", POSTGRESQL, "ours-batched", ("praisonai", 5)),
    *_times("T1", "turn", POSTGRESQL, "ours", ("praisonai", 2.5)),
    *(
        goal
        for mine, theirs, most in (
            ("ours", "praisonai", 0.5),
            ("ours-db", "praisonai-db", 0.25),
            ("ours", "openai", 0.02),
        )
        for goal in _quotient(
            "M1",
            f"start: time of {CONTENDERS[mine].title} to that of {CONTENDERS[theirs].title}",
            _rate("start", SQLITE, mine, "ms"),
            _rate("start", SQLITE, theirs, "ms"),
            most,
        )
    ),
    *(
        goal
        for method, least in (("set", 1.1), ("get", 1.1), ("set_many", 10), ("get_many", 40))
        for goal in _times(
            "K1",
            "state",
            REDIS,
            "ours-state",
            ("praisonai-state", least),
            metric=f"{method}, keys/s",
            says=f" {method}",
        )
    ),
    *_quotient(
        "V1",
        "vectors on sqlite: ms of a search",
        lambda _results: 1000.0,
        _rate("vectors", SQLITE, "ours-vectors", "searches/s"),
        4,
    ),
)
"""By number. Ratios are contender to baseline: above 1 is faster; quotients are of times."""
