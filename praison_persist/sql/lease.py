"""The migration lock of a cluster whose servers all take writes, and lock each for itself.

A row says which server the holder is connected to, and counts up while it works. Who changes the
row has it: of two that do so on different servers, the cluster lets one commit.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateTable

from praison_persist.errors import UnavailableError
from praison_persist.sql.dialects import Cluster
from praison_persist.sql.failures import is_transient
from praison_persist.sql.lock_table import FREE, FREE_ROW, lock_table
from praison_persist.sql.schema import Tables
from praison_persist.sql.statements import insert_new
from praison_persist.sql.url import Target

__all__ = ["leased"]

_BEAT_S: Final = 5.0
# Without a beat for so long, a holder is dead. A DDL statement stops the whole cluster, and with
# it those who wait: its time does not count.
_STALE_S: Final = 60.0
_LOOK_S: Final = 0.1


@contextmanager
def leased(
    holder: sa.Connection, connection: sa.Connection, target: Target, tables: Tables, wait_s: float
) -> Iterator[None]:
    """Have the lock while `connection` works, where there is a cluster.

    Args:
        holder: in autocommit, to a server whose own lock the caller has.
        connection: each of its statements, and its commit, first makes sure of the lock.
        target: the database.
        tables: what is locked.
        wait_s: how long to wait for another holder.

    Raises:
        UnavailableError: another one has it for longer, or took it over.
    """
    cluster = target.dialect.cluster
    if cluster is None or not holder.exec_driver_sql(cluster.is_member).all():
        yield
        return
    lease = _Lease(holder, target, tables, cluster)
    lease.acquire(wait_s)
    unwatch = _watch(connection, lease.beat)
    try:
        yield
    finally:
        unwatch()
        lease.release()


def _watch(connection: sa.Connection, beat: Callable[[], None]) -> Callable[[], None]:
    """Call `beat` before each statement and commit, until the returned function is called."""

    def before(*_arguments: Any) -> None:
        beat()

    names = ("before_cursor_execute", "commit")
    for name in names:
        event.listen(connection, name, before)

    def unwatch() -> None:
        for name in names:
            event.remove(connection, name, before)

    return unwatch


class _Lease:
    def __init__(
        self, holder: sa.Connection, target: Target, tables: Tables, cluster: Cluster
    ) -> None:
        self._holder, self._target = holder, target
        self._table = lock_table(tables)
        self._server = str(holder.exec_driver_sql(cluster.identity).one()[1])
        self._beats = 0
        self._beaten_at = 0.0

    def acquire(self, wait_s: float) -> None:
        """Wait for the row to be free, or its holder to be dead, and take it."""
        for statement in (
            CreateTable(self._table, if_not_exists=True),
            insert_new(self._holder, self._table).values(FREE_ROW),
        ):
            while self._changed(statement) is None:
                time.sleep(_LOOK_S)
        deadline = time.monotonic() + wait_s
        seen, seen_at = None, time.monotonic()
        while True:
            found = self._holder.execute(sa.select(self._table.c.server, self._table.c.beats)).one()
            if found != seen:
                seen, seen_at = found, time.monotonic()
            # One on this server had to have the server's own lock, which is ours.
            over = found.server in (FREE, self._server) or time.monotonic() > seen_at + _STALE_S
            if over and self._take(found.server, found.beats, self._server):
                return
            if time.monotonic() > deadline:
                raise UnavailableError(
                    f"{self._target.address} has been locked for {wait_s:.0f} s by another process "
                    f"that migrates these tables through another server (see the table "
                    f"{self._table.name}). Wait for it and try again"
                )
            time.sleep(_LOOK_S)

    def beat(self) -> None:
        """Show to be alive, now and then.

        Raises:
            UnavailableError: another process took it for dead.
        """
        if time.monotonic() < self._beaten_at + _BEAT_S:
            return
        while not self._take(self._server, self._beats, self._server):
            found = self._holder.execute(sa.select(self._table.c.server, self._table.c.beats)).one()
            if tuple(found) != (self._server, self._beats):
                raise UnavailableError(
                    f"The migration of {self._target.address} stood still for so long that another "
                    "process took it over. Try again when that has ended"
                )

    def release(self) -> None:
        """Free the row, if it is still ours."""
        self._take(self._server, self._beats, FREE)

    def _take(self, server: str, beats: int, new: str) -> bool:
        c = self._table.c
        update = sa.update(self._table).where(c.server == server, c.beats == beats)
        if not self._changed(update.values(server=new, beats=beats + 1)):
            return False
        self._beats, self._beaten_at = beats + 1, time.monotonic()
        return True

    def _changed(self, statement: Any) -> bool | None:
        """Run a write. Return whether it changed the row; None if another one was faster."""
        try:
            return self._holder.execute(statement).rowcount == 1
        except DBAPIError as error:
            if error.connection_invalidated or not is_transient(error, self._target.dialect):
                raise
            return None
