"""JSON files that are replaced as a whole: old or new is what is there, also after a crash."""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from pathlib import Path
from typing import Any

from praison_persist._json import dumps, loads

__all__ = ["CorruptDocumentError", "Documents", "replace_file", "set_aside", "sync_folder"]

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0)  # of Windows


class CorruptDocumentError(Exception):
    """The file holds no JSON object; the message says why."""


class Documents:
    """Reads JSON objects from files, and keeps the newest in memory while the files are the same.

    What is returned must not be changed.
    """

    def __init__(self, cache_maxsize: int) -> None:
        """See the class.

        Args:
            cache_maxsize: how many are kept in memory; 0: as many as are read.
        """
        self._maxsize = cache_maxsize
        self._guard = threading.Lock()
        self._cache: OrderedDict[Path, tuple[bytes, dict[str, Any]]] = OrderedDict()

    def read(self, path: Path) -> dict[str, Any] | None:
        """Return the object in a file, None without a file.

        Raises:
            CorruptDocumentError: there is something else in it.
            OSError: it cannot be read.
        """
        try:
            raw = path.read_bytes()
        except FileNotFoundError:
            self.forget(path)
            return None
        with self._guard:
            known = self._cache.get(path)
        # The bytes are compared: size, time and inode can all be those of another write.
        document = known[1] if known is not None and known[0] == raw else _parsed(raw)
        with self._guard:
            self._cache[path] = raw, document
            self._cache.move_to_end(path)
            while self._maxsize and len(self._cache) > self._maxsize:
                self._cache.popitem(last=False)
        return document

    def forget(self, path: Path | None = None) -> None:
        """Drop a file, or all, from memory."""
        with self._guard:
            if path is None:
                self._cache.clear()
            else:
                self._cache.pop(path, None)


def _parsed(raw: bytes) -> dict[str, Any]:
    try:
        # praisonaiagents writes NaN and infinities, which no JSON could be written with again.
        document = loads(raw.decode("utf-8"), parse_constant=str)
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError is a ValueError
        raise CorruptDocumentError(f"no JSON: {error}") from error
    if not isinstance(document, dict):
        raise CorruptDocumentError(f"no JSON object, but {type(document).__name__}")
    return document


def replace_file(path: Path, document: dict[str, Any]) -> None:
    """Put a document into a file, in the place of what was there, and wait until it is on disk.

    For one writer at a time: the caller holds a lock, or the name is nobody else's.

    Raises:
        OSError: it could not be written. Either the file is as it was, or it is the new one that a
            power failure might undo.
    """
    data = dumps(document).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.tmp")
    try:
        # Others may not read what is said in sessions.
        descriptor = os.open(temporary, _NEW_FILE, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        _try_unlink(temporary)
        raise
    sync_folder(path.parent)


def _try_unlink(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return  # it holds no more than the next write will replace


def sync_folder(folder: Path) -> None:
    """Make renames and deletions in a folder last; Windows has no such thing."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def set_aside(path: Path) -> Path:
    """Give a file a name of its own, `<name>.corrupt-<milliseconds>`, and return that.

    Raises:
        OSError: it could not be renamed.
    """
    base = f"{path.name}.corrupt-{time.time_ns() // 1_000_000}"
    target, attempt = path.with_name(base), 1
    while target.exists():
        target, attempt = path.with_name(f"{base}-{attempt}"), attempt + 1
    path.rename(target)
    return target
