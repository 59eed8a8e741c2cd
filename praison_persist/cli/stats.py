"""`praison-persist stats`: what runs took, as a plot."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from praison_persist.cli.beside import open_all
from praison_persist.cli.options import URL, AsJSON, Schema, StateURL, TablePrefix
from praison_persist.cli.output import print_json, print_line, print_table
from praison_persist.cli.times import duration, moment
from praison_persist.usage import Usage, usage

__all__ = ["stats"]

_WIDTH = 30  # characters of the longest bar
_PARTS = " ▏▎▍▌▋▊▉█"


class Group(StrEnum):
    """What runs are added up by."""

    agent = "agent"
    user = "user"
    day = "day"


class Plot(StrEnum):
    """What the bars show."""

    tokens = "tokens"
    cost = "cost"
    duration = "duration"
    runs = "runs"


def stats(
    url: URL = None,
    table_prefix: TablePrefix = None,
    schema: Schema = None,
    state_url: StateURL = None,
    by: Annotated[Group, typer.Option(help="What to add up by.")] = Group.agent,
    plot: Annotated[Plot, typer.Option(help="What the bars show.")] = Plot.tokens,
    since: Annotated[
        str | None, typer.Option(metavar="AGE", help="Runs since 7d, 12h, or a date.")
    ] = None,
    as_json: AsJSON = False,
) -> None:
    """Add up the tokens, cost and time of runs by agent, user or day."""
    start = None if since is None else moment(since, "--since")
    with open_all(url, table_prefix, schema, state_url) as connected:
        found = usage(connected, by.value, start)
    if as_json:
        print_json([each.to_dict() for each in found])
        return
    if not found:
        print_line("No runs")
        return
    largest = max(_value(each, plot) for each in found)
    print_table(
        (by.value.upper(), plot.value.upper(), *_COLUMNS),
        [(each.key or "-", _bar(_value(each, plot), largest), *_numbers(each)) for each in found],
        right=_COLUMNS,
    )


_COLUMNS = ("RUNS", "FAILED", "TOKENS IN", "TOKENS OUT", "COST (USD)", "MEAN TIME", "LONGEST")


def _numbers(each: Usage) -> tuple[str, ...]:
    mean = each.duration_s / each.runs if each.runs else 0.0
    return (
        f"{each.runs:,}",
        f"{each.failed:,}",
        f"{each.prompt_tokens:,}",
        f"{each.completion_tokens:,}",
        f"{each.cost_usd:,.4f}",
        duration(mean),
        duration(each.longest_s),
    )


def _value(each: Usage, plot: Plot) -> float:
    values = {
        Plot.tokens: each.tokens,
        Plot.cost: each.cost_usd,
        Plot.duration: each.duration_s,
        Plot.runs: each.runs,
    }
    return values[plot]


def _bar(value: float, largest: float) -> str:
    eighths = round(value / largest * _WIDTH * 8) if largest else 0
    whole, rest = divmod(eighths, 8)
    return ("█" * whole + _PARTS[rest]).rstrip()
