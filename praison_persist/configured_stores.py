"""From a configuration to the stores that it asks for."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

from praison_persist._adapt import blocking
from praison_persist.config import (
    create_conversation_store,
    create_knowledge_store,
    create_state_store,
    detect_backend,
)
from praison_persist.errors import ConfigurationError
from praison_persist.knowledge_protocols import AsyncKnowledgeStore, KnowledgeStore
from praison_persist.persistence_config import KINDS, PersistenceConfig
from praison_persist.protocols import (
    AsyncConversationStore,
    AsyncStateStore,
    ConversationStore,
    StateStore,
)

__all__ = ["as_sync", "create_stores_from_config"]


def create_stores_from_config(config: PersistenceConfig | Mapping[str, Any]) -> dict[str, Any]:
    """Create the stores of a configuration: {"conversation", "knowledge", "state"}.

    None is the value of a kind that is not wanted. If one store cannot be created, none is left.

    Raises:
        ConfigurationError: it has problems; names all of them.
        MissingDependencyError: names the extra that brings a driver.
        UnavailableError, SchemaError: only with `lazy_init=False`.
    """
    if not isinstance(config, PersistenceConfig):
        config = PersistenceConfig.from_dict(config)
    problems = config.problems()
    if problems:
        raise ConfigurationError("; ".join(problems))
    created: dict[str, Any] = dict.fromkeys(KINDS)
    with ExitStack() as stack:
        for kind in KINDS:
            if config.wants(kind):
                created[kind] = store = _create(config, kind)
                stack.callback(as_sync(kind, store).close)
        if not config.lazy_init:
            for kind, store in created.items():
                if store is not None:
                    _touch(as_sync(kind, store))
        stack.pop_all()
    return created


def _create(config: PersistenceConfig, kind: str) -> Any:
    name, url = config.named(kind)
    options = dict(getattr(config, f"{kind}_options"))
    if kind == "conversation" and not config.auto_create_tables:
        options.setdefault("auto_create_tables", False)
    create = {
        "conversation": create_conversation_store,
        "knowledge": create_knowledge_store,
        "state": create_state_store,
    }[kind]
    return create(name or detect_backend(url or "", kind=kind), url, **options)


def as_sync(kind: str, store: Any) -> Any:
    """Return a created store as a sync one."""
    contracts: dict[str, tuple[type, type]] = {
        "conversation": (AsyncConversationStore, ConversationStore),
        "knowledge": (AsyncKnowledgeStore, KnowledgeStore),
        "state": (AsyncStateStore, StateStore),
    }
    other, contract = contracts[kind]
    return blocking(store, contract) if isinstance(store, other) else store


def _touch(store: Any) -> None:
    """Connect: ask for something cheap."""
    if isinstance(store, StateStore):
        store.exists("praison")
    elif isinstance(store, KnowledgeStore):
        store.collection_exists("praison")
    else:
        store.list_sessions(limit=1)
