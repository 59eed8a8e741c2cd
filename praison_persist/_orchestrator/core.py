"""The stores of an orchestrator, and its life."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, ExitStack
from typing import Any, Self

from praison_persist._environment import own_variable
from praison_persist._orchestrator.cache import SessionCache
from praison_persist.adapter import PraisonAIDB
from praison_persist.configured_stores import as_sync, create_stores_from_config
from praison_persist.connect import knowledge_pair, state_pair
from praison_persist.errors import ConfigurationError, PersistError
from praison_persist.lifecycle import History
from praison_persist.persistence_config import KINDS, PersistenceConfig

__all__ = ["OrchestratorCore"]

_CACHED_SESSIONS = 1024


class OrchestratorCore:
    """Makes the stores, and closes them. See `PersistenceOrchestrator` for the arguments."""

    def __init__(
        self,
        conversation_store: Any = None,
        knowledge_store: Any = None,
        state_store: Any = None,
        config: PersistenceConfig | Mapping[str, Any] | None = None,
        *,
        history_limit: int | None = 200,
    ) -> None:
        self.history = History(history_limit)
        self._sessions = SessionCache(_cache_limit())
        self._current: str | None = None
        self._closed = False
        given = {
            "conversation": conversation_store,
            "knowledge": knowledge_store,
            "state": state_store,
        }
        self.config = _config(config, given)
        with ExitStack() as stack:  # what is created here is closed if the rest fails
            created = create_stores_from_config(self.config)
            for kind, store in created.items():
                if store is not None:
                    stack.callback(as_sync(kind, store).close)
            self.conversation, self.knowledge, self.state = (
                given[kind] if created[kind] is None else created[kind] for kind in KINDS
            )
            self._knowledge = None if self.knowledge is None else knowledge_pair(self.knowledge)
            self._states = None if self.state is None else state_pair(self.state)
            self._adapter: PraisonAIDB | None = None
            if self.conversation is not None:
                self._adapter = PraisonAIDB._from_stores(  # noqa: SLF001 - a constructor
                    self.conversation, self.state, self.knowledge, history=self.history
                )
            stack.pop_all()

    @classmethod
    def from_config(cls, config: PersistenceConfig | Mapping[str, Any]) -> Self:
        """Create the stores of a configuration, and the orchestrator of them.

        Raises:
            ConfigurationError, MissingDependencyError: see `create_stores_from_config`.
        """
        return cls(config=config)

    @classmethod
    def from_env(cls) -> Self:
        """Create the stores that the environment asks for; see `PersistenceConfig.from_env`.

        Raises:
            ConfigurationError, MissingDependencyError: see `create_stores_from_config`.
        """
        return cls(config=PersistenceConfig.from_env())

    def __repr__(self) -> str:
        stores = ", ".join(
            f"{kind}={type(store).__name__}"
            for kind in KINDS
            if (store := getattr(self, kind)) is not None
        )
        return f"{type(self).__name__}({stores})"

    @property
    def adapter(self) -> PraisonAIDB | None:
        """The adapter that agents report to; None without a conversation store."""
        self._check_open()
        return self._adapter

    def _check_open(self) -> None:
        if self._closed:
            raise PersistError(f"{self!r} is closed; make a new one")

    def close(self) -> None:
        """Store what waits, and close all stores. Closing twice is closing once.

        Raises:
            UnavailableError: the database is away; what waited is lost, and logged. All stores
                are closed all the same.
        """
        if self._begin_to_close():
            with ExitStack() as stack:  # one that fails does not leave the others open
                for one in self._to_close(sync=True):
                    stack.callback(one)

    async def aclose(self) -> None:
        """See `close`."""
        if self._begin_to_close():
            async with AsyncExitStack() as stack:
                for one in self._to_close(sync=False):
                    stack.push_async_callback(one)

    def _begin_to_close(self) -> bool:
        """Whether it is yet to be closed; from now on it is."""
        was_open, self._closed = not self._closed, True
        self._sessions.clear()
        return was_open

    def _to_close(self, *, sync: bool) -> list[Callable[[], Any]]:
        if self._adapter is not None:  # which has all of them
            return [self._adapter.close if sync else self._adapter.aclose]
        pairs = (pair for pair in (self._knowledge, self._states) if pair is not None)
        return [pair[0 if sync else 1].close for pair in pairs]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self.aclose()


def _config(
    config: PersistenceConfig | Mapping[str, Any] | None, given: Mapping[str, Any]
) -> PersistenceConfig:
    """Return the configuration, of which no store is given as well."""
    if config is None:
        return PersistenceConfig()
    if not isinstance(config, PersistenceConfig):
        config = PersistenceConfig.from_dict(config)
    twice = [kind for kind, store in given.items() if store is not None and config.wants(kind)]
    if twice:
        raise ConfigurationError(
            f"Which {' and '.join(twice)} store? One is given, and the configuration asks for one"
        )
    return config


def _cache_limit() -> int:
    text = own_variable("SESSION_CACHE_MAX")
    if text is None:
        return _CACHED_SESSIONS
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise ConfigurationError(
            f"PRAISON_SESSION_CACHE_MAX={text!r} must be a number of sessions, at least 1"
        )
    return int(text)
