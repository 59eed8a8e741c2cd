"""What redis-py raises, and what of it may not meet the next try."""

from __future__ import annotations

import redis
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    ClusterError,
    NoPermissionError,
    ReadOnlyError,
    RedisClusterException,
    TryAgainError,
)

__all__ = ["REDIS_FAILURES", "is_refused", "is_transient"]

REDIS_FAILURES: tuple[type[BaseException], ...] = (
    redis.RedisError,
    RedisClusterException,
    OSError,
)
_TRANSIENT = (
    redis.ConnectionError,
    redis.TimeoutError,
    ReadOnlyError,
    ClusterError,
    TryAgainError,
    RedisClusterException,
    OSError,
)
_TRANSIENT_WORDS = ("NOREPLICAS", "MASTERDOWN", "LOADING", "CLUSTERDOWN", "READONLY")


def is_refused(error: BaseException) -> bool:
    """Whether the server does not accept the credentials."""
    return isinstance(error, AuthenticationError | AuthorizationError | NoPermissionError)


def is_transient(error: BaseException) -> bool:
    """Whether one of REDIS_FAILURES may not meet the next try."""
    if is_refused(error):
        return False
    return isinstance(error, _TRANSIENT) or str(error).startswith(_TRANSIENT_WORDS)
