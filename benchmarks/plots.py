"""The plots of a run, as SVG; the same results give the same files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot as plt

from benchmarks.contenders import ENGINES
from benchmarks.report import title_of
from benchmarks.results import Measurement, Results

__all__ = ["draw"]

_BARS = {
    "append": ("appends/s", "appends a second, one writer"),
    "crowd": ("appends/s", "appends a second, many agents at once"),
    "latency": ("appends/s", "appends a second, a millisecond from the server"),
    "turn": ("turns/s", "turns a second"),
    "read": ("newest 50/s", "reads of the newest 50 a second (logarithmic)"),
    "start": ("ms", "milliseconds from the start of a process to its stored message"),
}
_OURS, _RAW, _PRAISONAI, _PEER = "#d1495b", "#8d99ae", "#edae49", "#30638e"
_COLOURS = {"sqlite": "#30638e", "postgresql": "#d1495b", "mariadb": "#00798c"}
_LOGARITHMIC = ("read",)
_STYLE = {
    "svg.hashsalt": "benchmarks",
    "svg.fonttype": "none",
    "font.size": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def draw(results: Results, folder: Path) -> list[Path]:
    """Draw what the results have; return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = []
    with mpl.rc_context(_STYLE):
        for workload in (*_BARS, "sweep", "growth"):
            figure = (
                _bars(results, workload)
                if workload in _BARS
                else _sweep(results)
                if workload == "sweep"
                else _growth(results)
            )
            if figure is None:
                continue
            path = folder / f"{workload}.svg"
            figure.savefig(path, metadata={"Date": None, "Creator": None}, bbox_inches="tight")
            plt.close(figure)
            # Matplotlib ends lines in blanks.
            lines = [line.rstrip() for line in path.read_text(encoding="utf-8").splitlines()]
            path.write_text("\n".join(lines) + "\n", encoding="utf-8")
            drawn.append(path)
    return drawn


def _bars(results: Results, workload: str) -> Any:
    metric, says = _BARS[workload]
    panels = []
    for engine in ENGINES:
        by_name: dict[str, Measurement] = {}
        for each in results.find(workload, engine, metric=metric):
            by_name.setdefault(each.contender, each)
        if by_name:
            panels.append((engine, sorted(by_name.values(), key=lambda each: each.value)))
    if not panels:
        return None
    most = max(len(found) for _, found in panels)
    figure, axes = _panels(len(panels), 0.22 * most + 0.8)
    for axis, (engine, found) in zip(axes, panels, strict=True):
        names = [title_of(each.contender) for each in found]
        values = [each.value for each in found]
        bars = axis.barh(names, values, color=[_colour(each.contender) for each in found])
        labels = [_label(each) for each in found]
        axis.bar_label(bars, labels, padding=2, fontsize=6)
        axis.set_title(engine)
        axis.margins(x=0.25)
        if workload in _LOGARITHMIC:
            axis.set_xscale("log")
    figure.suptitle(says)
    return figure


def _label(measurement: Measurement) -> str:
    value = f"{measurement.value:,.0f}"
    tally = measurement.tally or {}
    failed = sum(tally.get("errors", {}).values())
    return f"{value}, {failed:,} refused" if failed else value


def _colour(name: str) -> str:
    if name.startswith(("ours", "import")):
        return _OURS
    if title_of(name).startswith("raw") or name == "python":
        return _RAW
    return _PRAISONAI if name.startswith("praisonai") else _PEER


def _sweep(results: Results) -> Any:
    panels = [(engine, found) for engine in ENGINES if (found := results.find("sweep", engine))]
    if not panels:
        return None
    figure, axes = _panels(len(panels), 2.6)
    for axis, (engine, found) in zip(axes, panels, strict=True):
        for name in dict.fromkeys(each.contender for each in found):
            sizes = {each.size or 0: each.value for each in found if each.contender == name}
            ours = name.startswith("ours")
            style = "-" if ours else "--"
            axis.plot(*_line(sizes), style, marker=".", label=title_of(name))
        axis.set(title=engine, xscale="log", xlabel="agents", ylabel="appends a second")
        axis.legend(fontsize=6, frameon=False)
    figure.suptitle("appends a second, by the number of agents")
    return figure


def _growth(results: Results) -> Any:
    metrics = {
        "append, ms": "messages in the session",
        "newest 50, ms": "messages in the session",
        "page of sessions, ms": "sessions in the database",
    }
    if not any(results.find("growth", engine) for engine in ENGINES):
        return None
    figure, axes = _panels(len(metrics), 2.8)
    for axis, (metric, of) in zip(axes, metrics.items(), strict=True):
        for engine in ENGINES:
            found = results.find("growth", engine, metric=metric)
            for name in dict.fromkeys(each.contender for each in found):
                sizes = {each.size or 0: each.value for each in found if each.contender == name}
                style = "-" if name == "ours" else "--"
                label = f"{title_of(name)}, {engine}"
                axis.plot(*_line(sizes), style, marker=".", color=_COLOURS[engine], label=label)
        axis.set(title=metric, xscale="log", yscale="log", xlabel=of)
    axes[1].legend(fontsize=6, frameon=False)
    figure.suptitle("what longer sessions, and more of them, cost")
    return figure


def _line(sizes: dict[int, float]) -> tuple[Sequence[int], Sequence[float]]:
    ordered = sorted(sizes)
    return ordered, [sizes[size] for size in ordered]


def _panels(count: int, height: float) -> tuple[Any, list[Any]]:
    figure, axes = plt.subplots(
        1, count, figsize=(4.4 * count, height), layout="constrained", squeeze=False
    )
    return figure, list(axes[0])
