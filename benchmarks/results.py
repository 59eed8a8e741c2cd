"""What was measured, as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

__all__ = ["Failure", "Measurement", "Results"]

FORMAT = 1


@dataclass(slots=True)
class Measurement:
    """One number, and what it is to be compared with.

    Attributes:
        workload: by its name in `benchmarks.workloads`.
        metric: what `value` is, with its unit: "appends/s".
        contender: by its name in `benchmarks.contenders`.
        value: median of the rounds.
        size: agents, messages or whatever the workload is repeated for.
        baseline: what `ratio` is to, by name.
        ratio: median of the ratios of adjacent slices; above 1 the contender is faster.
        low, high: quartiles of the ratio.
        p50_us, p99_us: medians of the slices' median and 99th percentile of a call.
        cpu_us: processor time of the contender's process per operation.
        discarded: rounds that were left out since their baseline was disturbed.
        tally: counts of messages, see `benchmarks.tally.Tally`.
    """

    workload: str
    engine: str
    contender: str
    metric: str
    value: float
    size: int | None = None
    baseline: str | None = None
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    p50_us: float | None = None
    p99_us: float | None = None
    cpu_us: float | None = None
    rounds: int | None = None
    discarded: int | None = None
    tally: dict[str, Any] | None = None


@dataclass(slots=True)
class Failure:
    """Why a contender was not measured, or not to the end."""

    workload: str
    engine: str
    contender: str
    reason: str


@dataclass(slots=True)
class Results:
    """A run.

    Attributes:
        date: when it began, UTC, ISO 8601.
        form: "smoke", "short" or "full".
        machine: see `benchmarks.machine.describe`.
        durability: engine to contender to settings, as the databases tell them.
        seconds: workload and engine to how long it took.
    """

    date: str
    form: str
    machine: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    durability: dict[str, dict[str, Any]] = field(default_factory=dict)
    measurements: list[Measurement] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    def find(
        self,
        workload: str,
        engine: str,
        contender: str | None = None,
        *,
        metric: str | None = None,
        baseline: str | None = None,
        size: int | None = None,
    ) -> list[Measurement]:
        """Return the measurements of a workload that are of what is given."""
        wanted = {
            "contender": contender,
            "metric": metric,
            "baseline": baseline,
            "size": size,
        }
        return [
            each
            for each in self.measurements
            if (each.workload, each.engine) == (workload, engine)
            and all(value is None or getattr(each, name) == value for name, value in wanted.items())
        ]

    def save(self, path: Path) -> None:
        """Write it, rounded to what is worth telling; what is None is left out."""
        data = {"format": FORMAT, **asdict(self)}
        for name in ("measurements", "failures"):
            data[name] = [
                {key: _short(value) for key, value in each.items() if value is not None}
                for each in data[name]
            ]
        data["seconds"] = {key: _short(value) for key, value in self.seconds.items()}
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote.

        Raises:
            ValueError: it is of another format.
        """
        data = json.loads(path.read_text(encoding="utf-8"))
        if data.pop("format", None) != FORMAT:
            raise ValueError(f"{path} is no result of this version; measure again")
        data["measurements"] = [Measurement(**each) for each in data["measurements"]]
        data["failures"] = [Failure(**each) for each in data["failures"]]
        return cls(**data)


def _short(value: Any) -> Any:
    return float(f"{value:.5g}") if isinstance(value, float) else value
