"""One message after the other, a millisecond from the server: it is round trips that count."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from benchmarks.contenders import MARIADB, POSTGRESQL
from benchmarks.contenders.base import Place
from benchmarks.databases import server_url
from benchmarks.pairing import Pair
from benchmarks.process import Worker, WorkerError
from benchmarks.proxy import Distant
from benchmarks.results import Measurement
from benchmarks.team import Team
from benchmarks.workloads.conversations import NUMBERED, RAW, pairs_of

__all__ = ["run"]

_ONE_WAY_S = 0.0005
_PORTS = {POSTGRESQL: 5432, MARIADB: 3306}
_NAMES = (
    *("ours", "ours-async", "praisonai", "praisonai-async"),
    *("openai-sqlalchemy", "adk", "agno", "langgraph-postgres", "langchain", "llamaindex-postgres"),
)
_COUNTED = 20  # appends


def run(team: Team) -> None:
    """Measure appends through the proxy, and count round trips, of a lone contender each."""
    url = urlsplit(server_url(team.engine))
    host, port = url.hostname or "127.0.0.1", url.port or _PORTS[team.engine]
    with (
        Distant(host, port, _ONE_WAY_S) as proxy,
        Team(
            team.engine,
            team.form,
            team.results,
            team.folder,
            only=team.only,
            place=lambda place: _through(place, proxy.port),
        ) as far,
    ):
        raw = RAW[team.engine]
        pairs = pairs_of(
            far,
            raw,
            (NUMBERED[team.engine], *_NAMES),
            Pair("praisonai", "ours"),
            Pair("praisonai-async", "ours-async"),
            Pair("openai-sqlalchemy", "ours"),
            Pair("adk", "ours"),
            Pair("agno", "ours"),
        )
        far.compared(
            "latency",
            "appends/s",
            pairs,
            lambda worker: _append(worker, team.form.slice_s),
            team.form.fewer_rounds,
        )
        for name in far.ready("latency", [raw, *[pair.contender for pair in pairs]]):
            try:
                trips = _trips(far.worker(name), proxy)
            except WorkerError as error:
                far.failed("latency", name, error)
                continue
            team.results.measurements.append(
                Measurement("latency", team.engine, name, "round trips/append", trips)
            )


def _append(worker: Worker, seconds: float) -> Any:
    return worker.call("append", seconds=seconds)


def _trips(worker: Worker, proxy: Distant) -> float:
    # Warm: what is prepared at the first appends is not counted, nor is the session.
    worker.call("append", seconds=0.05)
    before = proxy.trips
    done = worker.call("append", seconds=60, most=_COUNTED)["operations"]
    return (proxy.trips - before) / float(done)


def _through(place: Place, port: int) -> Place:
    url = urlsplit(place.url)
    user, at, _ = url.netloc.rpartition("@")
    return Place(place.engine, url._replace(netloc=f"{user}{at}127.0.0.1:{port}").geturl())
