"""PraisonAIDB: what an Agent of praisonaiagents is given to keep its conversation."""

from __future__ import annotations

import os
import warnings
from typing import Any, Self
from urllib.parse import quote

from praison_persist._adapter.messages import MessageHooks
from praison_persist._adapter.runs import RunHooks
from praison_persist._adapter.sessions import SessionQueries
from praison_persist._adapter.state import StateMethods
from praison_persist._adapter.tools import ToolHooks
from praison_persist._adapter.traces import TraceHooks
from praison_persist.connect import connect, connect_store
from praison_persist.errors import ConfigurationError
from praison_persist.lifecycle import History

__all__ = [
    "DB",
    "CockroachDB",
    "NeonDB",
    "PostgresDB",
    "PraisonAIDB",
    "PraisonDB",
    "SQLiteDB",
    "TursoDB",
    "XataDB",
    "db",
]


class PraisonAIDB(MessageHooks, ToolHooks, RunHooks, TraceHooks, SessionQueries, StateMethods):
    """Keeps what agents say and do in a database; hand it to an Agent.

    Args:
        database_url: a database URL, a path of an SQLite file, ":memory:", or a conversation
            store of your own, sync or async.
        state_url: a store of state (a URL, or a state store of your own), which then also keeps
            runs, tool calls, traces and what is known of agents. Without it they are kept beside
            the conversation, in a SQL database.
        knowledge_url: where knowledge is kept, a URL or a store. Default: beside the conversation,
            if that is kept in SQL; then `knowledge_options` may have an `embedder` alone.
        conversation_options: options of the conversation store.
        state_options: options of the state store.
        knowledge_options: options of the knowledge store.
        database_backend: a registered name, where the URL does not tell it.
        state_backend: the same for state.
        knowledge_backend: the same for knowledge.
        strict: connect and check the schema now. Otherwise that is done at the first use, so that
            an agent answers while its database is down: see `health`.
        history_limit: messages that a resume hands to the model, at most; None is all.
        history_tokens: tokens that it hands over, at most, estimated; None is no limit.
        record_traces: store a trace with spans (names, times, tokens, no content) of each run.
        app_name: whose the state of scope `app:` and of its users is; see `update_state`.
        options: more options of the conversation store.

    Raises:
        ConfigurationError: a URL or an option cannot be right.
        UnknownBackendError: lists the names there are.
        MissingDependencyError: names the extra that brings the driver.
        UnavailableError, SchemaError: only with `strict`.
    """

    def __init__(
        self,
        database_url: Any = None,
        state_url: Any = None,
        knowledge_url: str | None = None,
        *,
        conversation_options: dict[str, Any] | None = None,
        state_options: dict[str, Any] | None = None,
        knowledge_options: dict[str, Any] | None = None,
        database_backend: str | None = None,
        state_backend: str | None = None,
        knowledge_backend: str | None = None,
        strict: bool = False,
        history_limit: int | None = 200,
        history_tokens: int | None = None,
        record_traces: bool = True,
        app_name: str = "default",
        **options: Any,
    ) -> None:
        if options.pop("init_retry_cooldown", None) is not None:
            warnings.warn(
                "init_retry_cooldown has no effect: the database is tried at every use",
                DeprecationWarning,
                stacklevel=2,
            )
        others = [
            name
            for name in (state_url, state_backend, knowledge_url, knowledge_backend)
            if name is not None
        ]
        if options and others:
            raise ConfigurationError(
                f"To which store do the options {sorted(options)} belong? Pass them as "
                "conversation_options=, state_options= or knowledge_options="
            )
        self._use(
            connect(database_url, database_backend, {**(conversation_options or {}), **options}),
            History(history_limit, history_tokens),
            record_traces=record_traces,
        )
        self._app_name = app_name
        try:
            state = connect_store("state", state_url, state_backend, state_options)
            if state is not None:
                self._connected.use_state(state)
            beside = knowledge_url is None and knowledge_backend is None
            if beside and set(knowledge_options or {}) <= {"embedder"}:
                self._connected.embed_with((knowledge_options or {}).get("embedder"))
            else:
                self._connected.use_knowledge(
                    connect_store("knowledge", knowledge_url, knowledge_backend, knowledge_options)
                )
            if strict:
                self.connect()
        except BaseException:  # an interrupt too: nobody else has the stores
            self.close()
            raise

    @classmethod
    def _from_stores(
        cls,
        conversation_store: Any = None,
        state_store: Any = None,
        knowledge_store: Any = None,
        *,
        history: History | None = None,
    ) -> Self:
        """Build an adapter around stores that exist."""
        new = cls.__new__(cls)
        connected = connect(conversation_store, None, {})
        new._use(connected, history or History(), record_traces=True)  # noqa: SLF001 - a constructor
        if state_store is not None:
            connected.use_state(state_store)
        if knowledge_store is not None:
            connected.use_knowledge(knowledge_store)
        return new


class SQLiteDB(PraisonAIDB):
    """An adapter for an SQLite file. `database_url` wins over `path`."""

    def __init__(
        self,
        path: str | os.PathLike[str] = "praisonai.db",
        database_url: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(database_url or os.fspath(path), database_backend="sqlite", **options)


class PostgresDB(PraisonAIDB):
    """An adapter for PostgreSQL, by the parts of its URL."""

    def __init__(
        self,
        host: str = "localhost",
        port: int = 5432,
        database: str = "praisonai",
        user: str = "postgres",
        password: str = "",
        **options: Any,
    ) -> None:
        credentials = quote(user, safe="") + (f":{quote(password, safe='')}" if password else "")
        address = f"{host}:{port}/{quote(database, safe='')}"
        super().__init__(f"postgresql://{credentials}@{address}", **options)


class NeonDB(PraisonAIDB):
    """An adapter for Neon: `database_url`, or the environment's NEON_DATABASE_URL."""

    def __init__(self, database_url: str | None = None, **options: Any) -> None:
        url = _given(database_url, "NEON_DATABASE_URL")
        super().__init__(url, database_backend="neon", **options)


class XataDB(PraisonAIDB):
    """An adapter for Xata: `database_url`, or the environment's XATA_DATABASE_URL."""

    def __init__(self, database_url: str | None = None, **options: Any) -> None:
        url = _given(database_url, "XATA_DATABASE_URL")
        super().__init__(url, database_backend="xata", **options)


class CockroachDB(PraisonAIDB):
    """An adapter for CockroachDB: `database_url`, or the environment's COCKROACHDB_URL.

    The URL may be cockroachdb://… or postgresql://….
    """

    def __init__(self, database_url: str | None = None, **options: Any) -> None:
        url = _given(database_url, "COCKROACHDB_URL")
        super().__init__(url, database_backend="cockroachdb", **options)


class TursoDB(PraisonAIDB):
    """An adapter for Turso: the arguments, or TURSO_DATABASE_URL and TURSO_AUTH_TOKEN."""

    def __init__(
        self,
        database_url: str | None = None,
        turso_auth_token: str | None = None,
        *,
        conversation_options: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(
            _given(database_url, "TURSO_DATABASE_URL", "libsql://…"),
            database_backend="turso",
            conversation_options={"auth_token": turso_auth_token, **(conversation_options or {})},
            **options,
        )


def _given(url: str | None, variable: str, form: str = "postgresql://…") -> str:
    found = url or os.environ.get(variable)
    if not found:
        raise ConfigurationError(f"Which database? Pass database_url={form!r}, or set {variable}")
    return found


class _Namespace:
    """`praison_persist.db`: call it to make an adapter, or take an adapter class from it."""

    def __init__(self) -> None:
        self.DB = self.PraisonDB = self.PraisonAIDB = PraisonAIDB
        self.CockroachDB = CockroachDB
        self.NeonDB = NeonDB
        self.PostgresDB = PostgresDB
        self.SQLiteDB = SQLiteDB
        self.TursoDB = TursoDB
        self.XataDB = XataDB

    def __call__(self, database_url: Any = None, **options: Any) -> PraisonAIDB:
        """Return an adapter; see `PraisonAIDB` for the arguments."""
        return PraisonAIDB(database_url, **options)

    def __repr__(self) -> str:
        return "praison_persist.db"


db = _Namespace()
DB = PraisonDB = PraisonAIDB
