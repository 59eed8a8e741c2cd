"""State: set and get, one key at a time and a hundred at a time; the rate is of keys."""

from __future__ import annotations

from benchmarks.contenders import REDIS
from benchmarks.contenders.values import MANY
from benchmarks.pairing import Pair
from benchmarks.process import WorkerError
from benchmarks.results import Failure
from benchmarks.team import Team

__all__ = ["run"]


def run(team: Team) -> None:
    """Measure each method, and check that what was set is got."""
    pairs = (
        [Pair("redis-py", "ours-state"), Pair("praisonai-state", "ours-state")]
        if team.engine == REDIS
        else [Pair("ours-state", "ours-state")]
    )
    for method, each in (("set", 1), ("get", 1), ("set_many", MANY), ("get_many", MANY)):
        team.compared(
            "state",
            f"{method}, keys/s",
            pairs,
            lambda worker, method=method, each=each: worker.call(  # type: ignore[misc]  # bound now
                "time", method, team.form.slice_s, each=each
            ),
            team.form.fewer_rounds,
            verify=False,
        )
    for name in team.ready(
        "state", [name for pair in pairs for name in (pair.baseline, pair.contender)]
    ):
        try:
            wrong = team.worker(name).call("call", "check")
        except WorkerError as error:
            team.failed("state", name, error)
            continue
        if wrong:
            team.results.failures.append(
                Failure("state", team.engine, name, f"{wrong} of {MANY} values were not those set")
            )
