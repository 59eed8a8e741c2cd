"""Conversations: who appends, reads and takes turns how fast."""

from __future__ import annotations

from typing import Final

from benchmarks.contenders import CONTENDERS, MARIADB, POSTGRESQL, SQLITE
from benchmarks.pairing import Pair
from benchmarks.team import Team

__all__ = ["NUMBERED", "RAW", "append", "batch", "crowd", "pairs_of", "read", "sweep", "turn"]

RAW: Final = {SQLITE: "sqlite3", POSTGRESQL: "psycopg", MARIADB: "pymysql"}
"""The least that any contender can do on an engine."""
NUMBERED: Final = {engine: f"{name}-numbered" for engine, name in RAW.items()}
"""The same with a number in the session and its time, which is what a store of ours promises."""

_PEERS = tuple(name for name, entry in CONTENDERS.items() if entry.environment == "peers")
_OURS = "ours", "ours-async"
_PRAISONAI = "praisonai", "praisonai-async"
# Adjacent, since these are the ratios that are wanted most.
_DUELS = (
    Pair("praisonai", "ours"),
    Pair("praisonai-async", "ours-async"),
    Pair("openai", "ours"),
    Pair("openai-sqlalchemy", "ours"),
    Pair("adk", "ours"),
    Pair("agno", "ours"),
)
_OF_READING = tuple(Pair(name, "ours") for name in ("praisonai", "openai", "openai-sqlalchemy"))


def pairs_of(team: Team, baseline: str, names: tuple[str, ...], *more: Pair) -> list[Pair]:
    """Return the pairs with a baseline, and more, of those contenders that know the engine."""
    pairs = [*[Pair(baseline, name) for name in names], *more]
    return [pair for pair in pairs if team.has(pair.contender) and team.has(pair.baseline)]


def append(team: Team) -> None:
    """One writer, one message after the other, each durable when it returns."""
    form = team.form
    pairs = pairs_of(
        team,
        RAW[team.engine],
        (
            "mysqlclient",
            NUMBERED[team.engine],
            *("ours", "ours-async", "ours-normal", "ours-db"),
            *("praisonai", "praisonai-sync", "praisonai-async", "praisonai-db"),
            *_PEERS,
        ),
        *_DUELS,
        Pair("praisonai-db", "ours-db"),
    )
    team.compared(
        "append",
        "appends/s",
        pairs,
        lambda worker: worker.call("append", seconds=form.slice_s),
        form.rounds,
    )
    told = {
        name: team.worker(name).call("call", "durability")
        for name in team.ready("append", (RAW[team.engine], NUMBERED[team.engine], "ours"))
    }
    known = {name: settings for name, settings in told.items() if settings}
    team.results.durability.setdefault(team.engine, {}).update(known)


def crowd(team: Team) -> None:
    """Many agents append at once, each to a session of its own."""
    form = team.form
    pool = tuple(name for name in CONTENDERS if name.endswith("-pool"))
    pairs = pairs_of(
        team,
        NUMBERED[team.engine],
        (*pool, "pgbench", *_OURS, "ours-alone", *_PRAISONAI, *_PEERS),
        Pair("pgbench", "ours-async"),
        Pair("praisonai-async", "ours-async"),
        Pair("asyncpg-pool", "ours-async"),
        Pair(f"{RAW[team.engine]}-pool", "ours-async"),
        Pair("openai", "ours-async"),
    )
    team.compared(
        "crowd",
        "appends/s",
        pairs,
        lambda worker: worker.call("crowd", agents=form.agents, seconds=form.crowd_s),
        form.crowd_rounds,
        size=form.agents,
    )


def sweep(team: Team) -> None:
    """The same with ever more agents, against the raw drivers with a connection for each."""
    form = team.form
    raw = f"{RAW[team.engine]}-pool"
    for agents in form.widths:
        pairs = pairs_of(team, raw, (*_OURS, "asyncpg-pool"), Pair("asyncpg-pool", "ours-async"))
        team.compared(
            "sweep",
            "appends/s",
            pairs,
            lambda worker, agents=agents: worker.call(  # type: ignore[misc]  # bound now, not later
                "crowd", agents=agents, seconds=form.crowd_s / 2
            ),
            form.crowd_rounds,
            size=agents,
        )


def batch(team: Team) -> None:
    """Many messages in one transaction; the rate is of messages."""
    form = team.form
    names = (
        *(NUMBERED[team.engine], *_OURS, "praisonai"),
        *("openai", "openai-sqlalchemy", "adk", "langchain"),
    )
    pairs = pairs_of(team, RAW[team.engine], names, Pair("praisonai", "ours"))
    for size in (100, 1000):
        team.compared(
            "batch",
            "messages/s",
            [pair for pair in pairs if size == 100 or pair.contender not in ("adk", "praisonai")],
            lambda worker, size=size: worker.call(  # type: ignore[misc]  # bound now, not later
                "batch", size=size, seconds=form.slice_s
            ),
            form.fewer_rounds,
            size=size,
        )


def read(team: Team) -> None:
    """Read from a long session: its newest messages, and pages of 50."""
    form, long = team.form, "long"
    # praisonai's asyncio stores have no way past themselves to so long a session.
    names = ("ours", "ours-async", "praisonai", "openai", "openai-sqlalchemy")
    raw = NUMBERED[team.engine]
    team.compared(
        "read",
        "newest 50/s",
        pairs_of(team, raw, names, *_OF_READING),
        lambda worker: worker.call("newest", long, seconds=form.slice_s),
        form.fewer_rounds,
        prepare=lambda worker: worker.call("fill", long, form.history),
        size=form.history,
        verify=False,
    )
    for position in (0, form.history // 2):
        team.compared(
            "read",
            "first pages/s" if not position else "middle pages/s",
            pairs_of(team, raw, ("ours", "praisonai"), Pair("praisonai", "ours")),
            lambda worker, position=position: worker.call(  # type: ignore[misc]  # bound now
                "page", long, position=position, seconds=form.slice_s
            ),
            form.fewer_rounds,
            prepare=lambda worker: worker.call("fill", long, form.history),
            size=form.history,
            verify=position > 0,
        )


def turn(team: Team) -> None:
    """Resume a session of 200 messages with its newest 50, and store four messages."""
    form = team.form
    pairs = pairs_of(
        team,
        "praisonai",
        (
            "ours",
            "ours-batched",
            "ours-db",
            "praisonai-async",
            "openai",
            "openai-sqlalchemy",
            "adk",
        ),
        Pair("ours", "ours-batched"),
        Pair("ours", "ours-db"),
        Pair("praisonai-async", "ours-async"),
        Pair("openai", "ours-batched"),
    )
    team.compared(
        "turn",
        "turns/s",
        pairs,
        lambda worker: worker.call("turn", seconds=form.slice_s),
        form.fewer_rounds,
    )
