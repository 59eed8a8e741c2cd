"""How a connection is made: to one of several hosts, within a time limit, with errors that say why.

The client libraries of PostgreSQL know URLs of several hosts. For the drivers that take one host,
the walk is here: in the order of the URL, hosts that failed lately last.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import event

from praison_persist.errors import ConfigurationError
from praison_persist.sql.dialects import Cluster, Driver
from praison_persist.sql.failures import codes, connect_errors, is_transient
from praison_persist.sql.url import Target

__all__ = ["Hosts", "as_configuration", "watch_connects"]

# For how long a host that could not be used is tried after the others.
_AVOIDED_S: Final = 30.0


@contextmanager
def as_configuration(target: Target, *errors: type[BaseException]) -> Iterator[None]:
    """Report an error as one of the URL's parameters."""
    try:
        yield
    except errors as error:
        raise ConfigurationError(
            f"The URL of {target.address} has a parameter that cannot be used: {error}"
        ) from error


def watch_connects(engine: sa.Engine, target: Target, driver: Driver) -> None:
    """Let an engine connect as its target and driver need."""
    hosts = Hosts(target.hosts, spread=target.spread) if driver.one_host else None
    elsewhere = target.dialect.elsewhere

    @event.listens_for(engine, "do_connect")
    def _connect(
        dialect: sa.Dialect, _record: object, arguments: list[Any], keywords: dict[str, Any]
    ) -> Any:
        refusals = (TypeError, ValueError, LookupError, dialect.loaded_dbapi.ProgrammingError)
        with as_configuration(target, *refusals):
            try:
                if hosts is None or not hosts.several:
                    return _member(dialect, driver, target, arguments, keywords)
                return hosts.walk(
                    lambda place: _member(dialect, driver, target, arguments, keywords | place),
                    lambda error: is_transient(error, target.dialect),
                )
            except dialect.loaded_dbapi.Error as error:
                # SQLAlchemy's asyncpg hides a ValueError behind one of its own. A certificate that
                # cannot be verified is one too, and no parameter.
                cause = error.__cause__
                refused = isinstance(cause, refusals) and not isinstance(cause, OSError)
                # Of asyncpg, that no host takes writes: behind what looks like a refusal.
                if refused or (isinstance(cause, connect_errors(driver)) and not codes(error)):
                    raise cause from error  # type: ignore[misc]  # pyright: ignore[reportGeneralTypeIssues]  # no None: it is one of `refusals` or of the driver's
                raise

    if elsewhere:

        @event.listens_for(engine, "handle_error")
        def _failed(context: Any) -> None:
            # The pool is emptied, so that the next try connects anew: to whoever serves now.
            if not codes(context.original_exception).isdisjoint(elsewhere):
                context.is_disconnect = True


class Hosts:
    """The servers of a URL, for a driver that takes one. Shared by threads."""

    def __init__(self, hosts: Sequence[tuple[str, int | None]], *, spread: bool) -> None:
        self._places = [{"host": host, "port": port} for host, port in hosts]
        self._spread = spread
        self._failed_at: dict[int, float] = {}

    @property
    def several(self) -> bool:
        """Whether there is more than one."""
        return len(self._places) > 1

    def walk(self, connect: Any, goes_on: Any) -> Any:
        """Return the first connection to be had.

        Raises:
            Exception: of the last host, or of the first that another one cannot make good.
        """
        order = self._order()
        for index in order:
            try:
                connection = connect(self._places[index])
            except Exception as error:  # of any driver, and raised unless another host may do
                self._failed_at[index] = time.monotonic()
                if index == order[-1] or not goes_on(error):
                    raise
            else:
                self._failed_at.pop(index, None)
                return connection
        return None

    def _order(self) -> list[int]:
        order = list(range(len(self._places)))
        if self._spread:
            random.shuffle(order)
        since = time.monotonic() - _AVOIDED_S
        return sorted(order, key=lambda index: self._failed_at.get(index, since) > since)


def _member(
    dialect: sa.Dialect,
    driver: Driver,
    target: Target,
    arguments: Sequence[Any],
    keywords: dict[str, Any],
) -> Any:
    """Connect, and set up a connection to a member of a cluster."""
    connection = _connected(dialect, driver, arguments, keywords)
    cluster = target.dialect.cluster
    if cluster is not None:
        try:
            _join(connection, cluster, dialect.loaded_dbapi.OperationalError)
        except BaseException:  # a cancelled task too: nobody else has the connection
            connection.close()
            raise
    return connection


def _join(connection: Any, cluster: Cluster, failure: type[Exception]) -> None:
    cursor = connection.cursor()
    try:
        cursor.execute(cluster.is_member)
        if not cursor.fetchall():
            return
        cursor.execute(cluster.is_ready)
        if not cursor.fetchall():
            raise failure(cluster.not_ready, "this node is not part of a majority of its cluster")
        cursor.execute(cluster.see_commits)
    finally:
        cursor.close()


def _connected(
    dialect: sa.Dialect, driver: Driver, arguments: Sequence[Any], keywords: dict[str, Any]
) -> Any:
    """Connect; a server that accepts and then says nothing is given up too."""
    if not driver.handshake or driver.handshake in keywords:
        return dialect.connect(*arguments, **keywords)
    limit_s = keywords["connect_timeout"]
    if driver.handshake == "async_creator_fn":
        connect = import_module(driver.module).connect

        async def limited(*args: Any, **kwargs: Any) -> Any:
            async with asyncio.timeout(limit_s):
                return await connect(*args, **kwargs)

        return dialect.connect(*arguments, **keywords, async_creator_fn=limited)
    module, _, name = driver.connector.rpartition(".")
    connect = getattr(import_module(module), name) if module else dialect.connect
    connection: Any = connect(*arguments, **keywords, **{driver.handshake: limit_s})
    # Statements may take as long as they need.
    setattr(connection, f"_{driver.handshake}", None)
    connection._sock.settimeout(None)  # noqa: SLF001 - as above; not every driver does it itself
    asked = [key for key in sorted(driver.tls_keys) if keywords.get(key)]
    if asked and not connection._secure:  # noqa: SLF001 - the driver tells it nowhere else
        connection.close()
        raise ValueError(f"{', '.join(asked)}: the server offers no TLS")
    return connection
