"""From what an adapter is given (a URL, a path, a state store) to that store in both colours."""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from typing import Any

from praison_persist._adapt import blocking, offload
from praison_persist.config import create_state_store, detect_backend, get_default_registry
from praison_persist.connect import state_pair
from praison_persist.errors import ConfigurationError, MissingDependencyError
from praison_persist.protocols import AsyncStateStore, StateCapability, StateStore

__all__ = ["OpenState", "StateOrURL", "open_state"]

StateOrURL = StateStore | AsyncStateStore | str | os.PathLike[str]

_NEEDED = (StateCapability.VERSIONS, StateCapability.SET_IF_ABSENT)


@dataclass(frozen=True, slots=True)
class OpenState:
    """A state store in both colours.

    Attributes:
        owned: it was made from a URL here, and is closed here.
    """

    sync: StateStore
    asynchronous: AsyncStateStore
    owned: bool

    def close(self) -> None:
        """Close both colours if they are owned."""
        if not self.owned:
            return
        with ExitStack() as stack:  # one that fails does not leave the other open
            stack.callback(self.sync.close)
            stack.callback(blocking(self.asynchronous, StateStore).close)

    async def aclose(self) -> None:
        """Close both colours if they are owned, the async one on this loop."""
        if not self.owned:
            return
        async with AsyncExitStack() as stack:
            stack.push_async_callback(asyncio.to_thread, self.sync.close)
            stack.push_async_callback(self.asynchronous.close)


def open_state(store: StateOrURL, options: dict[str, Any]) -> OpenState:
    """Return the state store of a URL or path, or the given one.

    Raises:
        ConfigurationError: it is none, lacks a capability that this needs, or has options though
            it exists already.
        MissingDependencyError: the driver is not installed.
    """
    if isinstance(store, str | os.PathLike):
        opened = _open(os.fspath(store), options)
    elif options:
        raise ConfigurationError(
            f"The options {sorted(options)} cannot be given to a store that exists already"
        )
    else:
        opened = OpenState(*state_pair(store), owned=False)
    missing = [kind.name for kind in _NEEDED if kind not in opened.sync.capabilities]
    if missing:
        opened.close()
        raise ConfigurationError(
            f"{opened.sync!r} cannot serve LangGraph: it does not support {', '.join(missing)}"
        )
    return opened


def _open(url: str, options: dict[str, Any]) -> OpenState:
    registry = get_default_registry("state")
    if "://" not in url and registry.has(url):
        backend, location = url, None
    elif "://" not in url and detect_backend(url) == "sqlite":
        backend, location = "sql", url
    else:
        backend, location = detect_backend(url, kind="state"), url
    try:
        sync = create_state_store(backend, location, mode="sync", **options)
    except MissingDependencyError:
        # Perhaps only the driver of the other colour is installed.
        try:
            other = create_state_store(backend, location, mode="async", **options)
        except MissingDependencyError:
            pass
        else:
            return OpenState(blocking(other, StateStore), other, owned=True)
        raise
    name = registry.list_aliases().get(backend, backend)
    # Two stores of a database in memory would not see what the other keeps.
    alone = name == "sql" and sync.database.target.memory
    if alone or not registry.has(f"async_{name}"):
        return OpenState(sync, offload(sync, AsyncStateStore), owned=True)
    try:
        other = create_state_store(backend, location, mode="async", **options)
    except MissingDependencyError:
        other = offload(sync, AsyncStateStore)
    return OpenState(sync, other, owned=True)
