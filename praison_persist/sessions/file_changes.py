"""Reading and changing one session's file, and what happens if that fails."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from praison_persist.errors import BackendError
from praison_persist.sessions.base import SessionStore
from praison_persist.sessions.failure_hooks import Failure, report_failure
from praison_persist.sessions.messages import SessionMessage
from praison_persist.sessions.models import ExtendedSessionData, now_iso
from praison_persist.sessions.open_document import OpenDocument
from praison_persist.sessions.pooling import from_storage, to_storage
from praison_persist.sessions.primitives import Change, SessionView
from praison_persist.sessions.search import text_of_message
from praison_persist.sessions.session_files import SessionFiles
from praison_persist.sessions.spill import Spill, Spilled

__all__ = ["FileChanges", "stored_session"]

_log = logging.getLogger(__name__)


class FileChanges(SessionStore):
    """Each session a file, which a change reads, replaces and leaves within its lock."""

    _files: SessionFiles
    _spill: Spill

    def _read(
        self, session_id: str, *, last: int | None = None, archive: bool = False
    ) -> SessionView | None:
        try:
            if not self._files.find(session_id).exists() and not self._spill.waiting(session_id):
                return None
            with self._files.locked_to_read(session_id) as path:
                opened, spilled = self._open(session_id, path)
        except OSError as error:
            raise BackendError(f"session {session_id!r} cannot be read: {error}") from error
        if opened.is_new and not spilled:
            return None
        session = opened.header
        count = len(session.messages)
        if last is not None:
            session.messages = session.messages[max(0, count - last) :]
        if not archive:  # which an encrypted store would decrypt
            session.archived_messages = []
            for snapshot in session.snapshots:
                snapshot.transcript = None
        return SessionView(session, count)

    def _open(self, session_id: str, path: Path) -> tuple[OpenDocument, list[Spilled]]:
        """Return a session, spilled messages included; to be called under its lock."""
        document = self._files.read(session_id, path)
        session = (
            ExtendedSessionData(session_id)
            if document is None
            else stored_session(session_id, document)
        )
        opened = OpenDocument(session, is_new=document is None)
        spilled = self._spill.waiting(session_id)
        for entry in spilled:
            opened.take_in(entry.messages, entry.replaced)
        return opened, spilled

    def _append_by(
        self, session_id: str, message: SessionMessage, change: Change, *, retention: bool = True
    ) -> bool:
        return self._change(
            session_id, change, what="add a message", retention=retention, unread=[message]
        )

    def _write(self, session_id: str, change: Change, *, what: str, retention: bool = True) -> bool:
        return self._change(session_id, change, what=what, retention=retention)

    def _change(
        self,
        session_id: str,
        change: Callable[[OpenDocument], None],
        *,
        what: str,
        retention: bool = True,
        touch: bool = True,
        unread: Sequence[SessionMessage] = (),
    ) -> bool:
        """Change a session as `_write` does.

        Args:
            session_id: of the session.
            change: is given the open session.
            what: for the log.
            retention: whether to make room in the window.
            touch: whether the session counts as written to.
            unread: what to spill where not even the session could be read.
        """
        changed: OpenDocument | None = None
        try:
            with self._files.locked(session_id) as path:
                opened, spilled = self._open(session_id, path)
                change(opened)
                changed = opened
                if retention:
                    self._enforce_window(opened)
                if touch:
                    opened.header.updated_at = now_iso()
                self._files.write(path, to_storage(opened.finished()))
                self._spill.remove(spilled)  # within the lock: the next change takes in the rest
        except OSError as error:
            lost, replaced = (list(unread), None) if changed is None else changed.salvage()
            self._failed(session_id, what, error, lost, replaced)
            return False
        return True

    def _failed(
        self,
        session_id: str,
        what: str,
        error: OSError,
        lost: Sequence[SessionMessage],
        replaced: dict[str, Any] | None,
    ) -> None:
        """Say that a change is not stored, and keep the messages that it would have added."""
        if not lost:
            _log.error("session %r: could not %s: %s", session_id, what, error)
            return
        kept: Path | None = None
        try:
            kept = self._spill.put(session_id, lost, replaced)
        except OSError as second:
            _log.error(
                "session %r: could not %s: %s; its %d messages are lost, for they could not be "
                "spilled: %s",
                session_id,
                what,
                error,
                len(lost),
                second,
            )
        else:
            _log.error(
                "session %r: could not %s: %s; the next change takes in its %d messages from %s",
                session_id,
                what,
                error,
                len(lost),
                kept,
            )
        last = lost[-1]
        report_failure(
            Failure(session_id, str(error), last.role, text_of_message(last), kept_in=kept)
        )


def stored_session(session_id: str, document: dict[str, Any]) -> ExtendedSessionData:
    """Return the session that a file holds."""
    session = from_storage(document)
    session.session_id = session_id
    return session
