"""The session stores of the process, for those who name none."""

from __future__ import annotations

import threading

from praison_persist._environment import own_variable
from praison_persist.errors import ConfigurationError
from praison_persist.sessions.files import DefaultSessionStore, HierarchicalSessionStore
from praison_persist.sessions.home import default_session_dir

__all__ = ["get_default_session_store", "get_hierarchical_session_store"]

_guard = threading.Lock()
_stores: dict[type[DefaultSessionStore], DefaultSessionStore] = {}


def get_default_session_store() -> DefaultSessionStore:
    """Return the store of the default folder; the same one as long as the environment is.

    `PRAISON_SESSION_RETENTION` or `PRAISONAI_SESSION_RETENTION` sets its retention,
    `PRAISON_SESSION_ACTIVE_WINDOW` or `PRAISONAI_SESSION_ACTIVE_WINDOW` its window.

    Raises:
        ConfigurationError: one of them, or the folder, cannot be right.
    """
    return _store(DefaultSessionStore)


def get_hierarchical_session_store() -> HierarchicalSessionStore:
    """Return the hierarchical store of the default folder; see get_default_session_store."""
    store = _store(HierarchicalSessionStore)
    assert isinstance(store, HierarchicalSessionStore)  # noqa: S101 - by its key
    return store


def _store(kind: type[DefaultSessionStore]) -> DefaultSessionStore:
    retention, window = own_variable("SESSION_RETENTION"), own_variable("SESSION_ACTIVE_WINDOW")
    if window is not None and not window.isdecimal():
        raise ConfigurationError(
            f"PRAISON_SESSION_ACTIVE_WINDOW must be a number of messages, not {window!r}"
        )
    made = kind(
        default_session_dir(),
        retention=retention,
        active_window=None if window is None else int(window),
    )
    with _guard:
        known = _stores.get(kind)
        if known is None or _of(known) != _of(made):
            known = _stores[kind] = made
        return known


def _of(store: DefaultSessionStore) -> tuple[str, str, int]:
    return store.session_dir, store.retention, store.active_window
