"""From names, URLs and modes to stores."""

from __future__ import annotations

import threading
from typing import Any
from urllib.parse import urlsplit

from praison_persist import backends
from praison_persist._adapt import blocking, offload
from praison_persist.errors import ConfigurationError
from praison_persist.knowledge_protocols import AsyncKnowledgeStore, KnowledgeStore
from praison_persist.protocols import (
    AsyncConversationStore,
    AsyncStateStore,
    ConversationStore,
    StateStore,
)
from praison_persist.registry import Backend, StoreRegistry

__all__ = [
    "CONVERSATION_STORES",
    "KNOWLEDGE_STORES",
    "STATE_STORES",
    "create_conversation_store",
    "create_knowledge_store",
    "create_state_store",
    "detect_backend",
    "get_default_registry",
]

_MODES = ("auto", "sync", "async")
_KINDS: dict[str, tuple[Backend, ...]] = {
    "conversation": backends.CONVERSATION,
    "knowledge": backends.KNOWLEDGE,
    "state": backends.STATE,
}
_SCHEMES = {
    "postgres": "postgres",
    "postgresql": "postgres",
    "cockroachdb": "cockroachdb",
    "cockroach": "cockroachdb",
    "crdb": "cockroachdb",
    "mysql": "mysql",
    "mariadb": "mysql",
    "singlestoredb": "singlestore",
    "sqlite": "sqlite",
    "libsql": "turso",
    "turso": "turso",
    "sqlite+libsql": "turso",
    **dict.fromkeys(("surrealdb", "surreal", "surrealkv", "ws", "wss", "mem"), "surrealdb"),
}
_HOSTS = {  # ends of the host in a URL of http or https
    ".turso.io": "turso",
    ".supabase.co": "supabase",
    ".supabase.com": "supabase",
}
_KNOWLEDGE_PLACES = {  # what is in host and port of a URL of http or https
    "qdrant": "qdrant",
    ":6333": "qdrant",
    "weaviate": "weaviate",
    "upstash.io": "upstash_vector",
}
_ACCOUNT = "AccountEndpoint="  # begins a connection string of Azure Cosmos DB

_registries: dict[str, StoreRegistry] = {}
_lock = threading.Lock()


def get_default_registry(kind: str) -> StoreRegistry:
    """Return the process's registry of "conversation", "knowledge" or "state" stores.

    Raises:
        ConfigurationError: another kind.
    """
    if kind not in _KINDS:
        raise ConfigurationError(f"Unknown kind of store: {kind!r}. Known: {sorted(_KINDS)}")
    with _lock:
        if kind not in _registries:
            _registries[kind] = StoreRegistry(kind, backends=_KINDS[kind])
        return _registries[kind]


CONVERSATION_STORES = get_default_registry("conversation")
KNOWLEDGE_STORES = get_default_registry("knowledge")
STATE_STORES = get_default_registry("state")


def detect_backend(url: str, *, kind: str = "conversation") -> str:
    """Return the name of the backend that a URL or path means.

    Raises:
        ConfigurationError: it cannot be told; names what would be understood.
    """
    registry = get_default_registry(kind)
    scheme, separator, _ = url.partition("://")
    name = scheme.lower().partition("+")[0] if separator else ""
    if kind == "knowledge" and url.startswith(_ACCOUNT):
        return "cosmosdb"
    if name in ("http", "https"):
        name = _served(url, kind, name)
    if kind == "conversation":
        if not separator and url.partition(":")[0].lower() == "json":
            return "json"  # json:folder
        if not separator:
            _check_path(url)
            return "sqlite"  # a path, or ":memory:"
        name = _SCHEMES.get(scheme.lower()) or _SCHEMES.get(name, name)
    if name and registry.has(name):
        return name
    known = sorted({*(_SCHEMES if kind == "conversation" else ()), *registry.list_all_names()})
    raise ConfigurationError(
        f"Unable to infer a {kind} backend from {_said(scheme, separator)}. "
        f"Known: {known}; or name a registered one with {kind}_backend="
    )


def _said(scheme: str, separator: str) -> str:
    # What is no URL may be anything, a password too.
    return f"the scheme {scheme!r}" if separator else "what is no URL"


def _served(url: str, kind: str, otherwise: str) -> str:
    """Return the backend that a URL of http or https means."""
    if kind == "knowledge":
        place = urlsplit(url).netloc.rpartition("@")[2].lower()
        found = (name for part, name in _KNOWLEDGE_PLACES.items() if part in place)
    else:
        host = urlsplit(url).hostname or ""
        found = (name for end, name in _HOSTS.items() if host.endswith(end))
    return next(found, otherwise)


def _check_path(url: str) -> None:
    """Refuse what was meant to be a URL: as a path it would be a file that holds a password."""
    scheme = url.partition(":")[0].lower().partition("+")[0]
    if ":" in url and scheme in _SCHEMES:
        raise ConfigurationError(
            f"A database URL begins with {scheme}:// and goes on with user:password@host/database"
        )


def create_conversation_store(
    backend: str,
    url: str | None = None,
    mode: str = "auto",
    *,
    registry: StoreRegistry | None = None,
    **options: Any,
) -> Any:
    """Create a conversation store by name.

    Args:
        backend: a name or alias of the registry.
        url: the database; None leaves it to the backend's other options and defaults.
        mode: "sync" and "async" choose the colour of the store, whatever the name says; "auto"
            takes the name as it is.
        registry: where names are looked up; None is the process's registry.
        options: the backend's own.

    Raises:
        ConfigurationError: the mode, the URL or an option cannot be right.
        UnknownBackendError: lists the names there are.
    """
    if mode not in _MODES:
        raise ConfigurationError(f"Invalid conversation mode: {mode}. Expected sync|async|auto")
    registry = registry or get_default_registry("conversation")
    name = registry.list_aliases().get(backend.lower(), backend.lower())
    name = _of_colour(name, mode, registry)
    store = registry.create(name, **({} if url is None else {"url": url}), **options)
    return _coloured(store, mode)


def _of_colour(name: str, mode: str, registry: StoreRegistry) -> str:
    """Return the name of the colour that is wanted, if the backend has one."""
    base = name.removeprefix("async_").removeprefix("sync_")
    wanted = {"sync": (f"sync_{base}", base), "async": (f"async_{base}",)}.get(mode, ())
    return next((other for other in wanted if registry.has(other)), name)


def _coloured(store: Any, mode: str) -> Any:
    """Adapt a store whose backend has only the other colour."""
    if mode == "async" and isinstance(store, ConversationStore):
        return offload(store, AsyncConversationStore)
    if mode == "sync" and isinstance(store, AsyncConversationStore):
        return blocking(store, ConversationStore)
    return store


def create_state_store(
    backend: str,
    url: str | None = None,
    *,
    mode: str = "auto",
    registry: StoreRegistry | None = None,
    **options: Any,
) -> Any:
    """Create a state store by name.

    Args:
        backend: a name or alias of the registry.
        url: where the state is; None leaves it to the backend's other options and defaults.
        mode: as in `create_conversation_store`.
        registry: of other backends than the process's own.
        options: the backend's own.

    Raises:
        ConfigurationError: the mode, the URL or an option cannot be right.
        UnknownBackendError: lists the names there are.
    """
    store = _create("state", backend, url, mode, registry, options)
    if mode == "async" and isinstance(store, StateStore):
        return offload(store, AsyncStateStore)
    if mode == "sync" and isinstance(store, AsyncStateStore):
        return blocking(store, StateStore)
    return store


def create_knowledge_store(
    backend: str,
    url: str | None = None,
    *,
    mode: str = "auto",
    registry: StoreRegistry | None = None,
    **options: Any,
) -> Any:
    """Create a knowledge store by name. Arguments and errors are those of `create_state_store`."""
    store = _create("knowledge", backend, url, mode, registry, options)
    if mode == "async" and isinstance(store, KnowledgeStore):
        return offload(store, AsyncKnowledgeStore)
    if mode == "sync" and isinstance(store, AsyncKnowledgeStore):
        return blocking(store, KnowledgeStore)
    return store


def _create(
    kind: str,
    backend: str,
    url: str | None,
    mode: str,
    registry: StoreRegistry | None,
    options: dict[str, Any],
) -> Any:
    """Create a store of the colour that is wanted, if the backend has one."""
    if mode not in _MODES:
        raise ConfigurationError(f"Invalid {kind} mode: {mode}. Expected sync|async|auto")
    registry = registry or get_default_registry(kind)
    name = registry.list_aliases().get(backend.lower(), backend.lower())
    name = _of_colour(name, mode, registry)
    return registry.create(name, **({} if url is None else {"url": url}), **options)
