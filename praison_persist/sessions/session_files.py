"""The folder of session files: which file is whose, and reading and replacing it under its lock."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from praison_persist.sessions.documents import (
    CorruptDocumentError,
    Documents,
    replace_file,
    set_aside,
    sync_folder,
)
from praison_persist.sessions.failure_hooks import Failure, report_failure
from praison_persist.sessions.file_locks import locked
from praison_persist.sessions.file_names import file_name, hashed_name, is_plain, original_name

__all__ = ["SessionFiles"]

_log = logging.getLogger(__name__)

_SUFFIX = ".json"
_NAME_MAX = 255  # bytes, of most file systems


class SessionFiles:
    """The files of the sessions in a folder; also those that praisonaiagents has written there.

    A session's file is named by `file_names.file_name`. One of praisonaiagents, whose names can
    stand for several ids, is that of the id it holds, and stays where it is.
    """

    def __init__(self, folder: Path, *, lock_timeout_s: float, cache_maxsize: int) -> None:
        """See the class; for `cache_maxsize` see Documents.

        Raises:
            OSError: the folder is not there and cannot be made.
        """
        self.folder = folder
        self._lock_timeout_s = lock_timeout_s
        self._documents = Documents(cache_maxsize)
        self._damage = threading.local()
        folder.mkdir(parents=True, exist_ok=True)

    def find(self, session_id: str) -> Path:
        """Return a session's file: the one there is, or else the one to make.

        Raises:
            OSError: a file that may be the session's cannot be read.
        """
        hashed = self._path(hashed_name(session_id))
        if hashed.exists():
            return hashed
        named = self._path(original_name(session_id))
        plain = is_plain(session_id)
        owner = self._owner(named) if plain or len(os.fsencode(named.name)) <= _NAME_MAX else None
        if owner == session_id or (plain and owner in (None, "")):
            return named
        return hashed

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}{_SUFFIX}"

    def _owner(self, path: Path) -> str | None:
        """Return whose file it is: None without a file, "" if its content does not say."""
        try:
            document = self._documents.read(path)
        except CorruptDocumentError:
            return ""
        return None if document is None else _id_in(document, path)

    @contextmanager
    def locked(self, session_id: str) -> Iterator[Path]:
        """Hold the lock of a session's file, which is yielded.

        Raises:
            UnavailableError: others held it for too long.
            OSError: its file cannot be made or read.
        """
        with ExitStack() as stack:
            stack.callback(self._report_damage)  # when nothing is locked any more
            own = self._path(file_name(session_id))
            stack.enter_context(locked(own, self._lock_timeout_s))
            path = self.find(session_id)
            if path != own:
                # Nobody takes these two the other way round: one with a hash is of one id alone.
                stack.enter_context(locked(path, self._lock_timeout_s))
                path = self.find(session_id)
            yield path

    @contextmanager
    def locked_to_read(self, session_id: str) -> Iterator[Path]:
        """As `locked`, but without a lock where none can be made, as on a read-only disk."""
        with ExitStack() as stack:
            try:
                path = stack.enter_context(self.locked(session_id))
            except OSError:
                stack.callback(self._report_damage)
                path = self.find(session_id)
            yield path

    def read(self, session_id: str, path: Path) -> dict[str, Any] | None:
        """Return what is in a session's file, to be called under its lock; do not change it.

        A damaged file is renamed, and is as none.

        Raises:
            OSError: it cannot be read, or renamed.
        """
        try:
            return self._documents.read(path)
        except CorruptDocumentError as error:
            kept = set_aside(path)
            _log.error(
                "session %r: its file %s is damaged and now called %s; the session begins anew: %s",
                session_id,
                path,
                kept.name,
                error,
            )
            self._damage.found = Failure(session_id, f"corrupt session file: {error}", kept_in=kept)
            return None

    def _report_damage(self) -> None:
        """Tell the hooks, which may use the session, what this thread has found in a file."""
        found = getattr(self._damage, "found", None)
        if found is not None:
            del self._damage.found
            report_failure(found)

    def write(self, path: Path, document: dict[str, Any]) -> None:
        """Replace a session's file, to be called under its lock.

        Raises:
            OSError: see replace_file.
        """
        replace_file(path, document)

    def remove(self, path: Path) -> None:
        """Delete a session's file, to be called under its lock.

        Raises:
            OSError: it is still there.
        """
        path.unlink(missing_ok=True)
        self._documents.forget(path)
        sync_folder(self.folder)

    def forget(self, session_id: str | None) -> None:
        """Drop a session, or all, from memory."""
        if session_id is None:
            self._documents.forget()
        else:
            for name in (hashed_name(session_id), original_name(session_id)):
                self._documents.forget(self._path(name))

    def scan(self, *, strict: bool) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield the id and the content of each session, by file name; see `read`.

        No lock is held: each is as one of its writers left it.

        Args:
            strict: raise for a damaged file instead of leaving it out with a warning.

        Raises:
            OSError: the folder, or one of the files, cannot be read.
            CorruptDocumentError: a file is damaged.
        """
        for path in sorted(self.folder.glob(f"*{_SUFFIX}")):
            try:
                document = self._documents.read(path)
            except (CorruptDocumentError, OSError) as error:
                if strict:
                    raise
                _log.warning("the session file %s is left out: %s", path, error)
                continue
            if document is None:
                continue
            session_id = _id_in(document, path)
            # Another file may hold the session's id: a copy, or one that has been replaced.
            if self.find(session_id) == path:
                yield session_id, document


def _id_in(document: dict[str, Any], path: Path) -> str:
    session_id = document.get("session_id")
    return session_id if isinstance(session_id, str) and session_id else path.stem
