"""The adapter that praisonai has for Redis."""

from __future__ import annotations

import warnings
from typing import Any

from praison_persist.adapter import PraisonAIDB

__all__ = ["RedisDB"]


class RedisDB(PraisonAIDB):
    """An adapter that keeps runs, traces and state in Redis.

    Redis keeps no conversations: without a `database_url` they last as long as this object, and a
    warning says so.
    """

    def __init__(self, host: str = "localhost", port: int = 6379, **options: Any) -> None:
        if options.get("database_url") is None and options.get("database_backend") is None:
            warnings.warn(
                "RedisDB keeps runs, traces and state; the conversation is kept in memory. Pass "
                "database_url= to keep it",
                stacklevel=2,
            )
            options["database_url"] = ":memory:"
        super().__init__(state_url=f"redis://{host}:{port}", **options)
