"""What runs took: tokens, cost and time, by agent, by user or by day."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from praison_persist.connect import Connected
from praison_persist.errors import ConfigurationError
from praison_persist.models import ConversationSession, Run, Trace
from praison_persist.protocols import Capability

__all__ = ["GROUPS", "Usage", "usage"]

GROUPS = ("agent", "user", "day")

# What metrics may call them: praisonai's names, ours, OpenAI's and Anthropic's.
_PROMPT = ("prompt_tokens", "input_tokens")
_COMPLETION = ("completion_tokens", "output_tokens")
_COST = ("cost_usd", "cost", "total_cost")


@dataclass(slots=True)
class Usage:
    """What the runs of one agent, user or day took.

    Attributes:
        key: the agent's name, the user's id, or the day as 2026-01-31, UTC; "" if not known.
        runs: how many began.
        failed: how many of these ended in an error.
        prompt_tokens: that models read.
        completion_tokens: that models wrote.
        cost_usd: as the providers' prices were known when it ran.
        duration_s: seconds from the beginning to the end, of all runs together.
        longest_s: of the longest run.
    """

    key: str
    runs: int = 0
    failed: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float = 0.0
    duration_s: float = 0.0
    longest_s: float = 0.0

    @property
    def tokens(self) -> int:
        """Read and written."""
        return self.prompt_tokens + self.completion_tokens

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as JSON values."""
        return asdict(self)


def usage(connected: Connected, by: str = "agent", since: float | None = None) -> list[Usage]:
    """Add up what the runs of all sessions took.

    Tokens and cost come from the traces of a run, or from its metrics where these have none; runs
    that have neither count without. It reads the runs and traces of a session at a time.

    Args:
        connected: where sessions and runs are.
        by: "agent", "user" or "day".
        since: leave out what began before, in seconds since the epoch.

    Returns:
        By name; days in their order.

    Raises:
        ConfigurationError: another `by`, or no runs are kept there.
    """
    if by not in GROUPS:
        raise ConfigurationError(f"by {by!r} is none of {', '.join(GROUPS)}")
    runs = connected.sync_runs
    if runs is None:
        raise ConfigurationError(
            f"{connected.address} keeps messages only. Where are the runs? Name the state store "
            "with --state-url"
        )
    found: dict[str, Usage] = {}
    for session in _sessions(connected, since):
        session_id = session.session_id
        taken: dict[str | None, list[Trace]] = defaultdict(list)
        for trace in runs.get_traces(session_id):
            taken[trace.run_id].append(trace)
        for run in runs.get_runs(session_id):
            traces = taken.pop(run.run_id, [])
            if since is None or run.started_at >= since:
                key = _key(by, run.agent_name, session.user_id, run.started_at)
                _add_run(found.setdefault(key, Usage(key)), run, traces)
        for trace in (each for rest in taken.values() for each in rest):  # of no run that is known
            if since is None or trace.started_at >= since:
                key = _key(by, trace.agent_name, trace.user_id, trace.started_at)
                _add_tokens(found.setdefault(key, Usage(key)), _of_traces([trace]))
    return sorted(found.values(), key=lambda each: each.key)


def _sessions(connected: Connected, since: float | None) -> Iterator[ConversationSession]:
    """Yield the sessions that may have runs since then, last written first."""
    store = connected.sync_conversation
    if Capability.CURSORS not in store.capabilities:
        yield from store.list_sessions(limit=None)
        return
    cursor = None
    while True:
        page = store.page_sessions(cursor=cursor)
        yield from page.sessions
        cursor = page.next_cursor
        # A run is written to its session's messages, so that none is newer than the session.
        if cursor is None or (since is not None and page.sessions[-1].updated_at < since):
            return


def _key(by: str, agent: str | None, user: str | None, began: float) -> str:
    if by == "day":
        return datetime.fromtimestamp(began, UTC).date().isoformat()
    return (agent if by == "agent" else user) or ""


def _add_run(total: Usage, run: Run, traces: list[Trace]) -> None:
    total.runs += 1
    total.failed += run.status == "error"
    tokens = _of_traces(traces)
    _add_tokens(total, tokens if any(tokens) else _of_metrics(run.metrics))
    duration = _number(run.metrics, ("duration_ms",)) / 1000
    if not duration and run.ended_at is not None:
        duration = max(0.0, run.ended_at - run.started_at)
    total.duration_s += duration
    total.longest_s = max(total.longest_s, duration)


def _add_tokens(total: Usage, tokens: tuple[float, float, float]) -> None:
    total.prompt_tokens += int(tokens[0])
    total.completion_tokens += int(tokens[1])
    total.cost_usd += tokens[2]


def _of_traces(traces: list[Trace]) -> tuple[float, float, float]:
    spans = [_of_metrics(span.attributes) for trace in traces for span in trace.spans]
    prompt, completion, cost = (sum(each[i] for each in spans) for i in range(3))
    return prompt, completion, cost


def _of_metrics(metrics: Mapping[str, Any]) -> tuple[float, float, float]:
    return _number(metrics, _PROMPT), _number(metrics, _COMPLETION), _number(metrics, _COST)


def _number(values: Mapping[str, Any], names: tuple[str, ...]) -> float:
    for name in names:
        value = values.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return value
    return 0.0
