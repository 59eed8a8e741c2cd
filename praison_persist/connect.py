"""From what an adapter is given (a URL, a store) to the stores of both colours."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, ExitStack, suppress
from dataclasses import dataclass
from typing import Any

from praison_persist._adapt import background_loop, blocking, offload
from praison_persist._duck import adopt
from praison_persist._environment import own_variable
from praison_persist._flow import Flow, finish, run
from praison_persist.config import create_conversation_store, detect_backend, get_default_registry
from praison_persist.conversation.base import AsyncBaseConversationStore, BaseConversationStore
from praison_persist.errors import ConfigurationError, MissingDependencyError, UnsupportedError
from praison_persist.knowledge_protocols import AsyncKnowledgeStore, KnowledgeStore
from praison_persist.lifecycle import Stores
from praison_persist.protocols import (
    AsyncConversationStore,
    AsyncRunStore,
    AsyncStateStore,
    ConversationStore,
    RunStore,
    StateStore,
)

__all__ = ["Connected", "connect", "connect_store", "knowledge_pair", "state_pair"]


@dataclass(slots=True)
class Connected:
    """The stores of an adapter: one database, in both colours.

    Attributes:
        given: the store that the others were derived from.
        is_sql: it is one of ours, with a database and a schema.
        address: where it is, without password.
        apart: state, runs and traces are kept in a store of their own, which is closed with these.
        embedder: of the knowledge that is kept beside the conversations.
    """

    given: Any
    address: str
    sync_conversation: ConversationStore
    async_conversation: AsyncConversationStore
    sync_runs: RunStore | None = None
    async_runs: AsyncRunStore | None = None
    is_sql: bool = False
    sync_state: StateStore | None = None
    async_state: AsyncStateStore | None = None
    apart: bool = False
    sync_knowledge: KnowledgeStore | None = None
    async_knowledge: AsyncKnowledgeStore | None = None
    embedder: Any = None

    @property
    def sync_stores(self) -> Stores:
        """For flows run by `_flow.run`."""
        return Stores(self.sync_conversation, self.sync_runs, self.sync_state, self.apart)

    @property
    def async_stores(self) -> Stores:
        """For flows run by `_flow.arun`."""
        return Stores(self.async_conversation, self.async_runs, self.async_state, self.apart)

    def use_state(self, store: Any) -> None:
        """Keep state, runs and traces in this store, sync or async, from now on.

        Raises:
            ConfigurationError: it is none, or cannot keep runs.
        """
        from praison_persist.state.runs import (  # noqa: PLC0415 - only where it is used
            AsyncStateRunStore,
            StateRunStore,
        )

        sync, other = state_pair(store)
        runs = StateRunStore(sync, self.sync_conversation)
        aruns = AsyncStateRunStore(other, self.async_conversation)
        self.sync_state, self.async_state, self.apart = sync, other, True
        self.sync_runs, self.async_runs = runs, aruns

    def use_knowledge(self, store: Any) -> None:
        """Keep knowledge in this store, sync or async, from now on; it is closed with these.

        Raises:
            ConfigurationError: it is none.
        """
        self.sync_knowledge, self.async_knowledge = knowledge_pair(store)

    def embed_with(self, embedder: Any) -> None:
        """Let this embed the texts of the knowledge that is kept beside the conversations.

        Raises:
            ConfigurationError: none is kept there.
        """
        if embedder is not None and not self.is_sql:
            raise ConfigurationError(
                f"{self.address} keeps no knowledge that an embedder could serve: pass "
                "knowledge_url= or knowledge_backend= with it"
            )
        self.embedder = embedder

    def use_knowledge_beside(self) -> None:
        """Keep knowledge in the database of the conversations, if none was chosen and it is SQL."""
        if self.sync_knowledge is not None or not self.is_sql:
            return
        from praison_persist.knowledge.sql import (  # noqa: PLC0415 - only where it is used
            AsyncSQLKnowledgeStore,
            SQLKnowledgeStore,
        )

        own: Any = self.given
        other: Any = self.async_conversation
        if own is other:
            store = AsyncSQLKnowledgeStore.of(own.database, embedder=self.embedder)
            self.use_knowledge(store)
            return
        self.use_knowledge(SQLKnowledgeStore.of(own.database, embedder=self.embedder))
        if hasattr(other, "database"):  # else the async driver is not installed
            native = AsyncSQLKnowledgeStore.of(other.database, embedder=self.embedder)
            self.async_knowledge = native

    @property
    def is_one_database(self) -> bool:
        """Whether conversation and runs are in one database that can commit them together."""
        return self.is_sql and not self.apart

    def run_as_one(self, makes: Sequence[Callable[[Stores], Flow[Any]]]) -> None:
        """Run flows in one transaction of the database."""
        from praison_persist.sql.unit import Undo  # noqa: PLC0415 - SQL alone has transactions

        database = getattr(self.sync_conversation, "database", None)
        if database is None:  # of an async store, which alone was given
            background_loop().call(self.arun_as_one(makes))
            return
        try:
            database.run(_all, makes, careful=False)
        except Undo:
            database.run(_all, makes, careful=True)

    async def arun_as_one(self, makes: Sequence[Callable[[Stores], Flow[Any]]]) -> None:
        """See `run_as_one`."""
        from praison_persist.sql.unit import Undo  # noqa: PLC0415 - as above

        database = getattr(self.async_conversation, "database", None)
        if database is None:  # of a sync store, without an async driver
            await finish(asyncio.to_thread(self.run_as_one, makes))
            return
        try:
            await database.run(_all, makes, careful=False)
        except Undo:
            await database.run(_all, makes, careful=True)

    def check(self) -> None:
        """Connect to each store that was chosen, and check the schema where there is one."""
        if self.apart and self.sync_state is not None:
            self.sync_state.exists("praison")
        if self.sync_knowledge is not None:
            self.sync_knowledge.list_collections()
        if not self.is_sql:
            return
        connecting = self.given.connect()
        if connecting is not None:  # of an async store: a coroutine
            background_loop().call(connecting)

    def upgrade(self) -> None:
        """Bring the database to this code's schema."""
        if not self.is_sql:
            raise UnsupportedError(f"{self.address} has no schema to migrate")
        from praison_persist.sql import migrate  # noqa: PLC0415 - SQL alone has migrations

        database = self.given.database
        migrate.upgrade_target(database.target, database.options)

    def close(self) -> None:
        """Close both colours. The pools of event loops that have ended are closed already."""
        with ExitStack() as stack:  # one that fails does not leave the others open
            if self.given is not self.async_conversation:
                stack.callback(blocking(self.async_conversation, ConversationStore).close)
            stack.callback(self.sync_conversation.close)
            if self.apart and self.sync_state is not None:
                stack.callback(self.sync_state.close)
            if self.sync_knowledge is not None:
                stack.callback(self.sync_knowledge.close)

    async def aclose(self) -> None:
        """Close both colours, the async one on this loop."""
        async with AsyncExitStack() as stack:
            stack.push_async_callback(asyncio.to_thread, self.sync_conversation.close)
            stack.push_async_callback(self.async_conversation.close)
            if self.apart and self.async_state is not None:
                stack.push_async_callback(self.async_state.close)
            if self.async_knowledge is not None:
                stack.push_async_callback(self.async_knowledge.close)


def _all(
    connection: Any, t: Any, makes: Sequence[Callable[[Stores], Flow[Any]]], *, careful: bool
) -> None:
    """Run flows one after the other, as one operation."""
    from praison_persist.sql.unit import store_on  # noqa: PLC0415 - as above

    store = store_on(connection, t, careful=careful)
    for make in makes:
        run(make(Stores(store, store.runs)))


def state_pair(store: Any) -> tuple[StateStore, AsyncStateStore]:
    """Return a state store of either colour in both.

    Raises:
        ConfigurationError: it is none.
    """
    if isinstance(store, StateStore):
        return store, offload(store, AsyncStateStore)
    if isinstance(store, AsyncStateStore):
        return blocking(store, StateStore), store
    raise ConfigurationError(
        f"{type(store).__name__} is no state store: it derives neither from StateStore nor from "
        "AsyncStateStore"
    )


def knowledge_pair(store: Any) -> tuple[KnowledgeStore, AsyncKnowledgeStore]:
    """Return a knowledge store of either colour in both.

    Raises:
        ConfigurationError: it is none.
    """
    if isinstance(store, KnowledgeStore):
        return store, offload(store, AsyncKnowledgeStore)
    if isinstance(store, AsyncKnowledgeStore):
        return blocking(store, KnowledgeStore), store
    raise ConfigurationError(
        f"{type(store).__name__} is no knowledge store: it derives neither from KnowledgeStore "
        "nor from AsyncKnowledgeStore"
    )


def connect(database: Any, backend: str | None, options: dict[str, Any]) -> Connected:
    """Return the stores for a URL, a path, or a store.

    Raises:
        ConfigurationError, UnknownBackendError, MissingDependencyError: see PraisonAIDB.
    """
    if database is None and backend is None:
        database = own_variable("CONVERSATION_URL")
        if not database:
            raise ConfigurationError(
                "Where is the conversation to be kept? Pass database_url='sqlite:///agent.db', "
                "another database URL or a store, or set PRAISON_CONVERSATION_URL or "
                "PRAISONAI_CONVERSATION_URL"
            )
        replica_url = own_variable("CONVERSATION_REPLICA_URL")
        if replica_url:
            options = {"replica_url": replica_url, **options}
    if isinstance(database, str | os.PathLike) or database is None:
        url = None if database is None else os.fspath(database)
        return _of_store(_create(backend or detect_backend(url or ""), url, options))
    if options:
        raise ConfigurationError(
            f"The options {sorted(options)} cannot be given to a store that exists already"
        )
    return _of_store(database)


def _create(backend: str, url: str | None, options: dict[str, Any]) -> Any:
    try:
        return create_conversation_store(backend, url, **options)
    except MissingDependencyError:
        # Perhaps only the driver of the other colour is installed.
        try:
            return create_conversation_store(backend, url, "async", **options)
        except MissingDependencyError:
            pass
        raise


def _of_store(store: Any) -> Connected:
    stores = sys.modules.get("praison_persist.sql.stores")  # loaded, if this is one of its stores
    if stores and isinstance(store, stores.SQLConversationStore | stores.AsyncSQLConversationStore):
        return _of_sql(store)
    address = f"<{type(store).__name__}>"
    if isinstance(store, BaseConversationStore | AsyncBaseConversationStore):
        address = store.driver.address
    if isinstance(store, ConversationStore):
        return Connected(store, address, store, offload(store, AsyncConversationStore))
    if isinstance(store, AsyncConversationStore):
        return Connected(store, address, blocking(store, ConversationStore), store)
    return Connected(store, address, *adopt(store))


def _of_sql(store: Any) -> Connected:
    from praison_persist.sql.stores import (  # noqa: PLC0415 - SQLAlchemy only where it is used
        AsyncSQLConversationStore,
        SQLConversationStore,
    )
    from praison_persist.state.sql import AsyncSQLStateStore, SQLStateStore  # noqa: PLC0415 - as above

    address = str(store.database.target)
    if not isinstance(store, SQLConversationStore):
        state = AsyncSQLStateStore.of(store.database)
        return Connected(
            store,
            address,
            blocking(store, ConversationStore),
            store,
            blocking(store.runs, RunStore),
            store.runs,
            is_sql=True,
            sync_state=blocking(state, StateStore),
            async_state=state,
        )
    beside = SQLStateStore.of(store.database)
    found = Connected(
        store,
        address,
        store,
        offload(store, AsyncConversationStore),
        store.runs,
        offload(store.runs, AsyncRunStore),
        is_sql=True,
        sync_state=beside,
        async_state=offload(beside, AsyncStateStore),
    )
    with suppress(MissingDependencyError):  # of the async driver: the sync one is offloaded
        native = AsyncSQLConversationStore.beside(store)
        found.async_conversation, found.async_runs = native, native.runs
        found.async_state = AsyncSQLStateStore.of(native.database)
    return found


def connect_store(kind: str, url: Any, backend: str | None, options: dict[str, Any] | None) -> Any:
    """Return the state or knowledge store of a URL or name, or the given one; None without any.

    Raises:
        ConfigurationError, UnknownBackendError, MissingDependencyError: see PraisonAIDB.
    """
    if url is None and backend is None:
        if options:
            raise ConfigurationError(f"{kind}_options without {kind}_url or {kind}_backend")
        return None
    if url is not None and not isinstance(url, str | os.PathLike):
        if backend or options:
            raise ConfigurationError(
                f"{kind}_backend and {kind}_options cannot be given to a store that exists already"
            )
        return url
    url = None if url is None else os.fspath(url)
    name = backend or detect_backend(url or "", kind=kind)
    location = {} if url is None else {"url": url}
    return get_default_registry(kind).create(name, **location, **(options or {}))
