"""The tables of a run, in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from benchmarks.contenders import CONTENDERS, ENGINES, REDIS
from benchmarks.goals import outcomes
from benchmarks.results import Measurement, Results
from benchmarks.workloads import WORKLOADS

__all__ = ["BEGIN", "END", "summary", "text", "title_of", "write_into"]

BEGIN: Final = "<!-- benchmarks: written by make bench -->"
END: Final = "<!-- end of benchmarks -->"
_OWN = {"python": "python alone", "import": "import praison_persist"}
_WIDE = "adjacent to", "read back"


def write_into(path: Path, written: str) -> bool:
    """Replace what a document has between the marks; return whether it has them."""
    text = path.read_text(encoding="utf-8")
    before, mark, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not mark or not end:
        return False
    path.write_text(f"{before}{BEGIN}\n\n{written}\n\n{END}{after}", encoding="utf-8")
    return True


def text(results: Results, folder: Path | None = None) -> str:
    """Return all tables, with the plots that are in `folder`/benchmarks."""
    parts = [*_head(results), *_goals(results)]
    for workload, about in WORKLOADS.items():
        tables = [
            part
            for engine in (*ENGINES, REDIS)
            for part in _tables(engine, results.find(workload, engine))
        ]
        if tables:
            parts += [f"### {workload}: {about.says}", *_plot(workload, folder), *tables]
    if results.failures:
        parts.append("### Not measured, or not to the end")
        rows = [
            (each.workload, each.engine, title_of(each.contender), f"`{each.reason}`")
            for each in results.failures
        ]
        parts.append(_table(("workload", "engine", "who", "why"), rows))
    return "\n\n".join(parts)


def summary(results: Results) -> str:
    """Return the few numbers that a README has room for; each is a ratio of one run."""
    rows = []
    for says, workload, metric, contender in (
        ("append, one writer", "append", "appends/s", "ours"),
        ("append, 64 asyncio agents", "crowd", "appends/s", "ours-async"),
        ("the newest 50 of 100,000", "read", "newest 50/s", "ours"),
        ("an agent's turn", "turn", "turns/s", "ours-batched"),
    ):
        for engine in ENGINES:
            found = results.find(workload, engine, contender, metric=metric)
            ratios = {each.baseline: each.ratio for each in found if each.ratio is not None}
            if not found:
                continue
            raw = next((r for b, r in ratios.items() if b and _is_raw(b)), None)
            other = ratios.get("praisonai-async" if contender == "ours-async" else "praisonai")
            rows.append((says, engine, _number(found[0].value), _ratio(raw), _ratio(other)))
    head = "what", "engine", "a second", "raw driver", "praisonai"
    return (
        f"{_table(head, rows)}\n\n"
        "The last two columns are ratios to the raw driver and to praisonai, measured next to it:"
        f" above 1 is faster. {_when(results)}\n\n"
        "![appends a second, one writer](docs/benchmarks/append.svg)"
    )


def title_of(name: str) -> str:
    """Return what a contender is called."""
    return CONTENDERS[name].title if name in CONTENDERS else _OWN.get(name, name)


def _is_raw(name: str) -> bool:
    return title_of(name).startswith("raw")


def _when(results: Results) -> str:
    machine = results.machine
    return (
        f"Measured {results.date[:10]}, {results.form} form: {machine['cores']} cores of "
        f"{machine['processor']}, {machine['memory_gb']} GB, {machine['system']}, "
        f"{machine['file_system']} (fdatasync of 4 KiB in {machine['fdatasync_us']} µs), "
        f"Python {machine['python']}, SQLite {machine['sqlite']}."
    )


def _head(results: Results) -> Iterator[str]:
    yield _when(results)
    yield "Versions: " + ", ".join(
        f"{name} {version}" for name, version in results.versions.items()
    )
    for engine, told in results.durability.items():
        each = [
            f"{name}: " + ", ".join(f"{key}={value}" for key, value in settings.items())
            for name, settings in told.items()
        ]
        yield f"Durability on {engine}, as it tells: " + "; ".join(each) + "."
    dirty = {
        (each.engine, each.contender)
        for each in results.measurements
        if each.tally and _trouble(each.tally) != "all"
    }
    count = len({(each.engine, each.contender) for each in results.measurements if each.tally})
    yield (
        f"Sessions were read back: {count - len(dirty)} of {count} contenders have all messages,"
        " once, in order, and raised nothing."
    )


def _goals(results: Results) -> Iterator[str]:
    rows = []
    for outcome in outcomes(results):
        if outcome.value is None:
            continue
        goal = outcome.goal
        bound = f"≥ {goal.least:g}" if goal.least is not None else f"≤ {goal.most:g}"
        reached = "yes" if outcome.reached else "**no**"
        rows.append((goal.number, goal.says, bound, _number(outcome.value), reached))
    if rows:
        yield "### Goals"
        yield _table(("", "what", "goal", "measured", "reached"), rows)


def _plot(workload: str, folder: Path | None) -> list[str]:
    path = Path("benchmarks") / f"{workload}.svg"
    there = folder is not None and (folder / path).exists()
    return [f"![{WORKLOADS[workload].says}]({path.as_posix()})"] if there else []


def _tables(engine: str, measurements: Sequence[Measurement]) -> Iterator[str]:
    metrics = dict.fromkeys((each.metric, each.size) for each in measurements)
    sizes = dict.fromkeys(metric for metric, _ in metrics)
    for metric in sizes:
        mine = [each for each in measurements if each.metric == metric]
        if len({each.size for each in mine}) > 2:
            yield f"{engine}, {metric}"
            yield _by_size(mine)
            continue
        for size in dict.fromkeys(each.size for each in mine):
            of = "" if size is None else f", {size:,}"
            yield f"{engine}, {metric}{of}"
            yield _by_contender([each for each in mine if each.size == size])


def _by_size(measurements: Sequence[Measurement]) -> str:
    sizes = sorted({each.size or 0 for each in measurements})
    names = dict.fromkeys(each.contender for each in measurements)
    rows = []
    for name in names:
        values = {each.size: each.value for each in measurements if each.contender == name}
        rows.append((title_of(name), *[_number(values.get(size)) for size in sizes]))
    return _table(("", *[f"{size:,}" for size in sizes]), rows)


def _by_contender(measurements: Sequence[Measurement]) -> str:
    first = next((each.baseline for each in measurements if each.baseline), None)
    timed = any(each.p50_us is not None for each in measurements)
    rows = []
    smaller = measurements[0].metric in ("ms", "MB") or "/append" in measurements[0].metric
    for name in dict.fromkeys(each.contender for each in measurements):
        mine = [each for each in measurements if each.contender == name]
        one = next((each for each in mine if each.baseline == first), mine[0])
        others = [
            f"{title_of(each.baseline)} {_ratio(each.ratio)}"
            for each in mine
            if each.baseline and each.baseline != first
        ]
        row = [title_of(name), _number(one.value)]
        if timed:
            ratio = (
                "1" if name == first else _with_quartiles(one if one.baseline == first else None)
            )
            told = _trouble(one.tally) if one.tally else ""
            row += [_number(one.p50_us), _number(one.p99_us), ratio, ", ".join(others), told]
        elif first:
            row.append("1" if name == first else _ratio(one.ratio))
        rows.append((one.value if smaller else -one.value, tuple(row)))
    head = ["", measurements[0].metric]
    if timed:
        head += ["p50 µs", "p99 µs", f"to {title_of(first)}" if first else "ratio", *_WIDE]
    elif first:
        head.append(f"to {title_of(first)}")
    return _table(tuple(head), [row for _, row in sorted(rows, key=lambda each: each[0])])


def _with_quartiles(measurement: Measurement | None) -> str:
    if measurement is None or measurement.ratio is None:
        return ""
    return f"{_ratio(measurement.ratio)} ({_ratio(measurement.low)} to {_ratio(measurement.high)})"


def _trouble(tally: dict[str, object]) -> str:
    """Return what is wrong with the messages read back; "all" if nothing is."""
    told = [
        f"{tally[name]} {says}"
        for name, says in (
            ("lost", "lost"),
            ("duplicated", "twice"),
            ("out_of_order", "out of order"),
        )
        if tally[name]
    ]
    errors = tally["errors"]
    if isinstance(errors, dict) and errors:
        worst = max(errors, key=lambda each: int(errors[each]))
        told.append(f"{sum(errors.values())} refused (`{worst[:40]}`)")
    return ", ".join(told) or "all"


def _ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}" if value < 100 else f"{value:,.0f}"


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)
