"""The adapters of praisonai: ours, whose queries return dicts, and the one for Redis."""

from __future__ import annotations

import warnings
from contextlib import suppress
from typing import Any

from praison_persist import adapter
from praison_persist.config import detect_backend
from praison_persist.errors import ConfigurationError

__all__ = [
    "DB",
    "CockroachDB",
    "NeonDB",
    "PostgresDB",
    "PraisonAIDB",
    "PraisonDB",
    "RedisDB",
    "SQLiteDB",
    "TursoDB",
    "XataDB",
]

_KINDS = ("conversation", "state", "knowledge")


class PraisonAIDB(adapter.PraisonAIDB):
    """See `praison_persist.PraisonAIDB`. Runs and traces are dicts here, as praisonai's are."""

    def get_runs(  # type: ignore[override]  # what programs read by key
        self, session_id: str, limit: int | None = None
    ) -> list[dict[str, Any]]:
        """Return the runs of this session, newest first."""
        return [run.to_dict() for run in super().get_runs(session_id, limit)]

    def get_traces(  # type: ignore[override]  # as above
        self,
        session_id: str | None = None,
        user_id: str | None = None,
        limit: int | None = None,
    ) -> list[dict[str, Any]]:
        """Return the newest traces with their spans, newest first."""
        return [trace.to_dict() for trace in super().get_traces(session_id, user_id, limit)]

    @staticmethod
    def _detect_backend(url: str, *, kind: str | None = None) -> str:
        """Return the backend that a URL means; without a kind, of the first that knows it."""
        first, *others = _KINDS if kind is None else (kind,)
        try:
            return detect_backend(url, kind=first)
        except ConfigurationError:
            for other in others:
                with suppress(ConfigurationError):
                    return detect_backend(url, kind=other)
            raise


class SQLiteDB(adapter.SQLiteDB, PraisonAIDB):
    """See `praison_persist.SQLiteDB`."""


class PostgresDB(adapter.PostgresDB, PraisonAIDB):
    """See `praison_persist.PostgresDB`."""


class NeonDB(adapter.NeonDB, PraisonAIDB):
    """See `praison_persist.NeonDB`."""


class XataDB(adapter.XataDB, PraisonAIDB):
    """See `praison_persist.XataDB`."""


class CockroachDB(adapter.CockroachDB, PraisonAIDB):
    """See `praison_persist.CockroachDB`."""


class TursoDB(adapter.TursoDB, PraisonAIDB):
    """See `praison_persist.TursoDB`."""


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


DB = PraisonDB = PraisonAIDB
