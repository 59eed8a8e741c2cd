"""Qdrant's local mode: the client's own engine in this process, in memory or in a folder.

It is not thread-safe, and a folder can be opened once (qdrant-client's README, "Local mode"). So
the stores of a process share the client of a folder, and calls wait for each other.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from qdrant_client import QdrantClient

from praison_persist.errors import BackendError, NotFoundError, UnavailableError

__all__ = ["LocalQdrant"]


class _Engine:
    """A client, how many stores use it, and whose turn it is."""

    def __init__(self, client: QdrantClient) -> None:
        self.client, self.users, self.turn = client, 0, threading.Lock()
        self.process = os.getpid()


# By process: a client must not follow a fork, and the folder's lock refuses a second one.
_engines: dict[tuple[int, str], _Engine] = {}
_opening = threading.Lock()


class LocalQdrant:
    """The client's methods over an engine that is opened with the first call.

    Args:
        path: the folder; None: in memory, for this object alone.
        threaded: methods are coroutines, which work in threads.
    """

    def __init__(self, path: str | None, *, threaded: bool) -> None:
        self._path, self._threaded = path and str(Path(path).resolve()), threaded
        self._engine: _Engine | None = None
        self._opening = threading.Lock()

    def get(self) -> Any:
        """Return an object with the methods of a client."""
        return self

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Return a method of the client."""

        def call(*args: Any, **arguments: Any) -> Any:
            engine = self._open()
            if engine.process != os.getpid():
                raise UnavailableError(
                    f"{self} belongs to the process that this one was forked from; use a server"
                )
            with engine.turn:
                try:
                    return getattr(engine.client, name)(*args, **arguments)
                except ValueError as error:
                    if str(error).endswith(" not found"):
                        raise NotFoundError(f"{self}: {error}") from error
                    raise BackendError(f"{self}: {error}") from error
                except (RuntimeError, OSError, sqlite3.Error) as error:
                    raise BackendError(f"{self}: {error}") from error

        return self._colored(call)

    def close(self) -> Any:
        """Close the engine after its last user."""
        return self._colored(self._close)()

    def __repr__(self) -> str:
        return f"qdrant in {self._path or 'memory'}"

    def _colored(self, work: Callable[..., Any]) -> Callable[..., Any]:
        if not self._threaded:
            return work
        return lambda *args, **arguments: asyncio.to_thread(work, *args, **arguments)

    def _open(self) -> _Engine:
        with self._opening:
            if self._engine is None:
                if self._path is None:
                    self._engine = _Engine(QdrantClient(":memory:"))
                else:
                    self._engine = _shared(self._path)
            return self._engine

    def _close(self) -> None:
        with self._opening:
            engine, self._engine = self._engine, None
        if engine is None:
            return
        with _opening:
            engine.users -= 1
            if engine.users > 0 or engine.process != os.getpid():
                return
            if self._path is not None:
                _engines.pop((os.getpid(), self._path), None)
            with engine.turn:
                engine.client.close()


def _shared(path: str) -> _Engine:
    with _opening:
        key = os.getpid(), path
        if key not in _engines:
            try:
                # Calls wait for each other, whichever thread they are made in.
                client = QdrantClient(path=path, force_disable_check_same_thread=True)
            except (RuntimeError, OSError, sqlite3.Error, ValueError) as error:
                raise UnavailableError(
                    f"qdrant in {path} cannot be opened: {error}. A folder belongs to one process; "
                    "several need a server"
                ) from error
            _engines[key] = _Engine(client)
        _engines[key].users += 1
        return _engines[key]
