"""State in the memory of the process, or in a file that several processes share.

With a path, a write is on disk when it returns: the file is replaced as a whole, under a lock. That
suits some thousand keys; for more, use a database.
"""

from __future__ import annotations

import bisect
import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote

import filelock

from praison_persist._durable import replace
from praison_persist._flow import Flow, wait
from praison_persist._json import dumps
from praison_persist.errors import BackendError, ConfigurationError, PersistError
from praison_persist.state.base import BaseStateStore
from praison_persist.state.entries import Change, Entry, EntryDriver, Keep
from praison_persist.state.keys import Glob

__all__ = ["MemoryStateStore"]

R = TypeVar("R")

_FORMAT = "praison_persist state 1"
_LOCK_WAIT_S = 30.0
_SWEEP_S = 60.0  # how often what has expired is dropped from memory


class MemoryStateStore(BaseStateStore):
    """State in memory, or in a file. Shared by threads, with a path also by processes.

    Args:
        path: a JSON file; None keeps nothing beyond this object.
        auto_save: accepted from the original. Every write is saved when it returns, which is sooner
            than this asks for.
        save_interval: accepted likewise.
        url: "memory://", "memory:///relative.json" or "memory:////absolute.json", for a path.
        clock: seconds since the epoch; decides what has expired.

    Raises:
        ConfigurationError: the URL is none of these.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        auto_save: bool = True,
        save_interval: float = 60,
        *,
        url: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        del auto_save, save_interval
        if url is not None:
            path = _path_of(url, path)
        super().__init__(_Memory(clock) if path is None else _File(Path(path), clock))

    def flush(self) -> None:
        """Do nothing: what was written is saved."""


def _path_of(url: str, path: str | os.PathLike[str] | None) -> str | None:
    if path is not None:
        raise ConfigurationError("path= and url= both say where the state is; give one of them")
    scheme, _, location = url.partition(":")
    location = location.removeprefix("//")
    if scheme.lower() != "memory" or (location and not location.startswith("/")):
        raise ConfigurationError(
            f"{url!r} is no URL of a memory store: write memory://, memory:///relative.json "
            "or memory:////absolute.json"
        )
    return unquote(location[1:]) or None


class _Memory(EntryDriver):
    """Entries of one process."""

    address = "memory"

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__(clock)
        self._lock = threading.Lock()
        self._entries: dict[str, Entry] = {}
        self._order: list[str] | None = None  # the keys, sorted, while they stay the same
        self._swept_at = clock()

    def load(self, keys: Sequence[str]) -> Flow[dict[str, Entry]]:
        """See EntryDriver.load."""
        with self._reading() as entries:
            found = {key: entries[key] for key in keys if key in entries}
        return wait(found)

    def change(self, key: str, change: Change[R]) -> Flow[R]:
        """See EntryDriver.change."""
        return wait(self._apply({key: change})[0])

    def change_all(self, changes: Mapping[str, Change[R]]) -> Flow[list[R]]:
        """See EntryDriver.change_all."""
        return wait(self._apply(changes))

    def page(
        self, glob: Glob, limit: int | None, cursor: str | None
    ) -> Flow[tuple[Sequence[str], str | None]]:
        """See StateDriver.page. The cursor is the last key of the page before."""
        with self._reading() as entries:
            if self._order is None:
                self._order = sorted(entries)
            now = self.clock()
            begin = bisect.bisect_left(self._order, glob.prefix)
            if cursor is not None:
                begin = max(begin, bisect.bisect_right(self._order, cursor))
            page: list[str] = []
            for index in range(begin, len(self._order)):
                key = self._order[index]
                if not key.startswith(glob.prefix):
                    break
                if len(page) == limit:
                    return wait((page, page[-1]))
                if glob.matches(key) and entries[key].is_live(now):
                    page.append(key)
        return wait((page, None))

    def close(self) -> Flow[None]:
        """Forget everything."""
        self._entries, self._order = {}, None
        return wait(None)

    @contextmanager
    def _reading(self) -> Iterator[dict[str, Entry]]:
        with self._lock:
            yield self._entries

    def _apply(self, changes: Mapping[str, Change[R]]) -> list[R]:
        with self._lock:
            if self.clock() >= self._swept_at + _SWEEP_S:
                self._sweep()
            return self._apply_to(self._entries, changes)[0]

    def _apply_to(
        self, entries: dict[str, Entry], changes: Mapping[str, Change[R]]
    ) -> tuple[list[R], bool]:
        """Apply changes to `entries`; return their results, and whether anything changed."""
        now, results, changed = self.clock(), [], False
        for key, change in changes.items():
            entry = entries.get(key)
            outcome = change(entry if entry and entry.is_live(now) else None)
            if isinstance(outcome, Keep):
                results.append(outcome.result)
                continue
            new, result = outcome
            results.append(result)
            changed = True
            if new is None:
                entries.pop(key, None)
                self._order = None
            else:
                if entry is None:
                    self._order = None
                entries[key] = new
        return results, changed

    def _sweep(self) -> None:
        now = self._swept_at = self.clock()
        self._entries = {key: e for key, e in self._entries.items() if e.is_live(now)}
        self._order = None


class _File(_Memory):
    """Entries of a file, read again when another store has replaced it."""

    failures = (OSError, filelock.Timeout)

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        super().__init__(clock)
        # Absolute, so that a later chdir does not move the data.
        self._path = path.expanduser().absolute()
        self.address = str(self._path)
        self._file_lock = filelock.FileLock(f"{self._path}.lock", timeout=_LOCK_WAIT_S)
        self._file: Any = None  # what _entries were read from; None: nothing was there

    @property
    def file(self) -> Path:
        """Where the state is; the first write makes it, and its folder."""
        return self._path

    def translate(self, error: BaseException, action: str) -> PersistError:
        """See StateDriver.translate."""
        return BackendError(
            f"Cannot {action} in the state file {self._path}: {self.describe(error)}. "
            "Check its folder, permissions and free space, and who else holds its lock"
        )

    def close(self) -> Flow[None]:
        """Let the file go."""
        self._hold(None)
        return super().close()

    @contextmanager
    def _reading(self) -> Iterator[dict[str, Entry]]:
        with self._lock:
            self._refresh()
            yield self._entries

    def _apply(self, changes: Mapping[str, Change[R]]) -> list[R]:
        with self._lock:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._file_lock:
                self._refresh()
                entries = dict(self._entries)
                results, changed = self._apply_to(entries, changes)
                if changed:
                    self._save(entries)
            return results

    def _refresh(self) -> None:
        """Read the file unless it is the one that was read last."""
        try:
            file = self._path.open("rb")
        except FileNotFoundError:
            self._hold(None)
            self._entries, self._order = {}, None
            return
        if self._file is not None and _is_same(file, self._file):
            file.close()
            return
        try:
            self._entries, self._order = _decode(file.read(), self._path), None
        except BaseException:  # an interrupt too: nothing else would close the file
            file.close()
            raise
        self._hold(file)

    def _hold(self, file: Any) -> None:
        # Kept open, so that the number that tells it from its successors is not given to one.
        if self._file is not None:
            self._file.close()
        self._file = file
        if file is not None and os.name == "nt":
            file.close()  # an open file could not be replaced there, and numbers are not reused

    def _save(self, entries: dict[str, Entry]) -> None:
        now = self.clock()
        live = {key: entry for key, entry in entries.items() if entry.is_live(now)}
        replace(self._path, _encode(live))  # nobody else does: the lock is held
        self._entries, self._order = live, None
        self._hold(self._path.open("rb"))


def _is_same(file: Any, other: Any) -> bool:
    if other.closed:
        return False
    ours, theirs = os.fstat(file.fileno()), os.fstat(other.fileno())
    return (ours.st_dev, ours.st_ino) == (theirs.st_dev, theirs.st_ino)


def _encode(entries: Mapping[str, Entry]) -> bytes:
    keys = {
        key: [entry.text, entry.version, dict(entry.fields), entry.expires_at]
        for key, entry in entries.items()
    }
    return dumps({"format": _FORMAT, "keys": keys}).encode()


def _decode(data: bytes, path: Path) -> dict[str, Entry]:
    try:
        document = json.loads(data)
        if document["format"] == _FORMAT:
            return {key: Entry(*parts) for key, parts in document["keys"].items()}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise _foreign(path) from error
    raise _foreign(path)


def _foreign(path: Path) -> BackendError:
    return BackendError(
        f"{path} is no state file of this version and is left as it is; "
        "move it away or choose another path"
    )
