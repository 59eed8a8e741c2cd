"""Options of the SQL stores, checked where they are given."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from praison_persist._retry import RetryPolicy
from praison_persist.errors import ConfigurationError
from praison_persist.sql.schema import DEFAULT_PREFIX, check_identifier

__all__ = ["SQLOptions"]

_SYNCHRONOUS = ("OFF", "NORMAL", "FULL", "EXTRA")
# The original's spelling -> ours.
_ALIASES = {"auto_create_tables": "auto_migrate"}


@dataclass(frozen=True, slots=True)
class SQLOptions:
    """How to use a SQL database. Times are seconds.

    Attributes:
        table_prefix: begins the name of every table.
        schema: database schema of the tables; None is the connection's default.
        auto_migrate: create the tables in an empty database when it is first used.
        pool_size: connections kept; a caller beyond `pool_size + max_overflow` waits.
        pool_timeout: how long a caller waits for a connection before UnavailableError.
        pool_recycle: age at which a connection is replaced instead of used.
        pool_pre_ping: test a pooled connection before it is used.
        max_retries: further tries of an operation that failed transiently.
        retry_delay: bound of the wait before the first retry; it doubles with each.
        synchronous: SQLite's setting. FULL: acknowledged means on disk. NORMAL is faster and
            loses the last commits on power failure.
        group_commit: append what several callers append at the same moment in one commit.
        touch_interval: a session's `updated_at` may be so much older than its last message. 0: it
            is that of the last append; each then costs more, for two indexes have it.
        replica_url: a copy of the database that answers reads; see docs/scaling.md.
        replica_lag: how far behind it may be, where the database cannot tell (MariaDB, MySQL):
            what this process wrote is read from the primary for so long.
    """

    table_prefix: str = DEFAULT_PREFIX
    schema: str | None = None
    auto_migrate: bool = True
    pool_size: int = 5
    max_overflow: int = 10
    pool_timeout: float = 30.0
    pool_recycle: float = 1800.0
    pool_pre_ping: bool = True
    max_retries: int = 3
    retry_delay: float = 0.1
    synchronous: str = "FULL"
    group_commit: bool = True
    touch_interval: float = 1.0
    replica_url: str | None = dataclasses.field(default=None, repr=False)
    replica_lag: float = 10.0

    def __post_init__(self) -> None:
        if self.table_prefix:
            check_identifier(self.table_prefix, "table_prefix")
        if self.schema is not None:
            check_identifier(self.schema, "schema")
        if self.synchronous.upper() not in _SYNCHRONOUS:
            raise ConfigurationError(
                f"synchronous={self.synchronous!r} is unknown; "
                f"write one of {', '.join(_SYNCHRONOUS)}"
            )
        _at_least("pool_size", self.pool_size, 1)
        if self.replica_url is not None and not isinstance(self.replica_url, str):
            raise ConfigurationError("replica_url must be a database URL")
        for name in (
            "max_overflow",
            "pool_timeout",
            "max_retries",
            "retry_delay",
            "touch_interval",
            "replica_lag",
        ):
            _at_least(name, getattr(self, name), 0)

    @classmethod
    def from_mapping(
        cls, options: Mapping[str, Any], defaults: Mapping[str, Any] | None = None
    ) -> Self:
        """Build from keyword arguments, and from `defaults` where they are not given.

        Raises:
            ConfigurationError: an option that does not exist, or a value that cannot be right.
        """
        names = {field.name for field in dataclasses.fields(cls)}
        known: dict[str, Any] = dict(defaults or {})
        for key, value in options.items():
            name = _ALIASES.get(key, key)
            if name not in names:
                raise ConfigurationError(unknown_option(key, sorted(names | _ALIASES.keys())))
            known[name] = value
        try:
            return cls(**known)
        except (TypeError, AttributeError) as error:
            raise ConfigurationError(f"An option has a value of the wrong type: {error}") from error

    @property
    def retry(self) -> RetryPolicy:
        """The retry policy of these options."""
        return RetryPolicy(self.max_retries, self.retry_delay)


def unknown_option(key: str, names: list[str]) -> str:
    """Return the message for an option that does not exist."""
    close = difflib.get_close_matches(key, names, 1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"Unknown option {key!r}{hint} Known: {', '.join(names)}"


def _at_least(name: str, value: float, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or value < least:
        raise ConfigurationError(f"{name}={value!r} must be a number of at least {least}")
