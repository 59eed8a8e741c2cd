"""Sessions in files: a JSON document for each, replaced as a whole under a lock.

Any number of threads and processes may share a folder; what one has stored, the next read of
another returns. The folder, its locks and its files are those of praisonaiagents: both libraries
can use it at the same time.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from praison_persist.errors import BackendError, ConfigurationError
from praison_persist.sessions._reading import dicts_of
from praison_persist.sessions.documents import CorruptDocumentError
from praison_persist.sessions.file_changes import stored_session
from praison_persist.sessions.file_links import FileLinks
from praison_persist.sessions.home import default_session_dir, default_spill_dir
from praison_persist.sessions.mirror import SessionMirror
from praison_persist.sessions.models import ExtendedSessionData
from praison_persist.sessions.primitives import SessionFilter, SessionView
from praison_persist.sessions.retention import DEFAULT_MAX_MESSAGES
from praison_persist.sessions.session_files import SessionFiles
from praison_persist.sessions.spill import Spill

__all__ = ["DefaultSessionStore", "HierarchicalSessionStore"]

_LOCK_TIMEOUT_S = 5.0
_CACHE_MAXSIZE = 256  # sessions


class DefaultSessionStore(FileLinks):
    """Sessions in JSON files.

    A message that cannot be stored, because the disk is full or read-only, is kept in a spill file,
    `add_message` returns False, and an error is logged; the session's next change that succeeds
    takes it in. A damaged file is renamed to `<name>.corrupt-<time>`, with an error in the log.
    """

    def __init__(
        self,
        session_dir: str | Path | None = None,
        max_messages: int = DEFAULT_MAX_MESSAGES,
        lock_timeout: float = _LOCK_TIMEOUT_S,
        retention: str | None = None,
        active_window: int | None = None,
        mirror: SessionMirror | None = None,
        cache_maxsize: int = _CACHE_MAXSIZE,
        *,
        spill_dir: str | Path | None = None,
    ) -> None:
        """See the class.

        Args:
            session_dir: the folder; None: `sessions` in `PRAISON_HOME`, `PRAISONAI_HOME` or
                `~/.praisonai`.
            max_messages: see retention.WindowedStore, and so for the next two.
            lock_timeout: seconds to wait for others who have a session locked.
            retention: see max_messages.
            active_window: see max_messages.
            mirror: see mirror.MirroredStore.
            cache_maxsize: how many sessions' parsed files to keep in memory; 0: all.
            spill_dir: the folder of spill files; None: `state/session_spill` beside `sessions`.

        Raises:
            ConfigurationError: one of them cannot be right, or the folder cannot be made.
        """
        if isinstance(lock_timeout, bool) or not lock_timeout >= 0:
            raise ConfigurationError(f"lock_timeout must be seconds, not {lock_timeout!r}")
        if isinstance(cache_maxsize, bool) or cache_maxsize < 0:
            raise ConfigurationError(f"cache_maxsize must be 0 or more, not {cache_maxsize!r}")
        # Absolute, so that a later chdir does not move the data.
        folder = default_session_dir() if session_dir is None else Path(session_dir).expanduser()
        folder = folder.absolute()
        spills = default_spill_dir() if spill_dir is None else Path(spill_dir).expanduser()
        try:
            self._files = SessionFiles(
                folder, lock_timeout_s=lock_timeout, cache_maxsize=cache_maxsize
            )
        except OSError as error:
            raise ConfigurationError(
                f"session_dir {str(folder)!r} cannot be used: {error}. Name a folder to write to"
            ) from error
        is_default = folder == default_session_dir()
        self._spill = Spill(spills.absolute(), folder, is_default=is_default)
        super().__init__(max_messages, retention, active_window, mirror)
        self.lock_timeout = lock_timeout

    @property
    def session_dir(self) -> str:
        """The folder of the session files."""
        return str(self._files.folder)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.session_dir!r})"

    def invalidate_cache(self, session_id: str | None = None) -> None:
        """Forget the parsed file of a session, or all of them: the next read parses it again."""
        self._files.forget(session_id)

    def _list(self, only: SessionFilter, limit: int | None) -> list[SessionView]:
        wanted = {f.name: getattr(only, f.name) for f in fields(only)}
        wanted = {name: value for name, value in wanted.items() if value is not None}
        found = (
            _header(session_id, document)
            for session_id, document in self._scan(strict=False)
            if all(document.get(name) == value for name, value in wanted.items())
        )
        if limit is None:
            return sorted(found, key=_age, reverse=True)
        return heapq.nlargest(limit, found, key=_age)

    def _all(self) -> Iterator[ExtendedSessionData]:
        for session_id, document in self._scan(strict=True):
            yield stored_session(session_id, document)

    def _matching(self, terms: Sequence[str]) -> Iterator[ExtendedSessionData]:
        del terms  # every file is read anyway
        for session_id, document in self._scan(strict=False):
            yield stored_session(session_id, document)

    def _scan(self, *, strict: bool) -> Iterator[tuple[str, dict[str, Any]]]:
        try:
            yield from self._files.scan(strict=strict)
        except (OSError, CorruptDocumentError) as error:
            raise BackendError(
                f"the sessions in {self.session_dir} cannot all be read: {error}"
            ) from error


def _header(session_id: str, document: dict[str, Any]) -> SessionView:
    """Return a session of which the messages are counted only: there may be thousands of them."""
    without: dict[str, Any] = {name: [] for name in ("messages", "archived_messages", "snapshots")}
    session = stored_session(session_id, document | without)
    return SessionView(session, len(dicts_of(document.get("messages"))))


def _age(view: SessionView) -> tuple[str, str]:
    return view.session.updated_at, view.session.session_id


class HierarchicalSessionStore(DefaultSessionStore):
    """Sessions in JSON files; a session is exported as its dict alone, for `import_session`.

    Else it is as DefaultSessionStore, which has forks and snapshots too.
    """

    def export_session(self, session_id: str, *, include_lineage: bool = True) -> dict[str, Any]:
        """Return the session as a dict; that of an empty session if it is not stored.

        `import_session` takes it, and so does `import_sessions`.

        Args:
            session_id: of the session.
            include_lineage: has no meaning here: there is one session in the answer.
        """
        del include_lineage
        return self.get_extended_session(session_id, force_reload=True).to_dict()
