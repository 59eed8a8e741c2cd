"""What stores leave behind: engines that nobody closed, connections that nobody returned."""

from __future__ import annotations

import sqlalchemy as sa

from praison_persist.sql import engines


def checked_out() -> int:
    """Return how many connections of all engines are in use."""
    return sum(engine.pool.checkedout() for engine in open_engines())  # type: ignore[attr-defined]  # QueuePool


def open_engines() -> set[sa.Engine]:
    """Return the engines of all stores of this process that are open, of either colour."""
    found = {
        engine for pair, _users in engines._sync_cache.entries.values() for engine in pair.engines
    }
    for loop, loop_engines in list(engines._loops.items()):
        if not loop.is_closed():
            for pair in loop_engines._pairs.values():
                found |= {engine.sync_engine for engine in pair.engines}
    return found
