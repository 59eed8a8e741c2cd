"""Session files that name one another: children, forks, deletion.

Two sessions are never locked at once. A child is stored before its parent names it and let go
before its parent is deleted: after a crash a parent may not know of a child, but nothing points to
what is not there.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from praison_persist.errors import BackendError, ConflictError, InvalidDataError, NotFoundError
from praison_persist.sessions.file_changes import FileChanges
from praison_persist.sessions.models import ExtendedSessionData
from praison_persist.sessions.open_document import OpenDocument, checkpoint_within
from praison_persist.sessions.pooling import to_storage

__all__ = ["FileLinks"]

_log = logging.getLogger(__name__)


class FileLinks(FileChanges):
    """Sessions with parents and children."""

    def _put(self, session: ExtendedSessionData, *, overwrite: bool) -> None:
        session_id, parent_id = session.session_id, session.parent_id
        with self._failing(session_id, "store"), self._files.locked(session_id) as path:
            opened, spilled = self._open(session_id, path)
            if not opened.is_new and not overwrite:
                raise ConflictError(
                    f"session {session_id!r} exists; take another id, or delete it first"
                )
            session.children_ids = opened.header.children_ids
            new = OpenDocument(session, is_new=True)
            for entry in spilled if opened.is_new else ():
                new.take_in(entry.messages, entry.replaced)
            self._files.write(path, to_storage(new.finished()))
            self._spill.remove(spilled)
        if parent_id is not None:
            self._adopt(parent_id, session_id)

    def _fork(self, session_id: str, fork: ExtendedSessionData, count: int | None) -> None:
        with self._failing(session_id, "fork"), self._files.locked(session_id) as path:
            opened, _ = self._open(session_id, path)
        parent = opened.header
        if opened.is_new:
            raise NotFoundError(f"there is no session {session_id!r} to fork")
        if count is not None and count > len(parent.messages):
            raise InvalidDataError(
                f"session {session_id!r} has {len(parent.messages)} messages; "
                f"from_message_index must be less, not {count - 1}"
            )
        fork.messages = parent.messages[:count]
        fork.last_compaction = checkpoint_within(parent.last_compaction, len(fork.messages))
        self._put(fork, overwrite=False)

    def _adopt(self, parent_id: str, child_id: str) -> None:
        def change(session: OpenDocument) -> None:
            if child_id not in session.header.children_ids:
                session.header.children_ids.append(child_id)

        done = self._change(parent_id, change, what="note a child", retention=False, touch=False)
        if not done:
            raise BackendError(
                f"session {child_id!r} is stored, but its parent {parent_id!r} does not know "
                "of it; the log says why"
            )

    def _children(self, session_id: str) -> list[str]:
        view = self._read(session_id, last=0)
        listed = [] if view is None else view.session.children_ids
        children = ((child, self._read(child, last=0)) for child in dict.fromkeys(listed))
        return [
            child
            for child, view in children
            if view is not None and view.session.parent_id == session_id
        ]

    def _delete(self, session_id: str) -> bool:
        released: set[str] = set()
        try:
            while True:
                with self._files.locked(session_id) as path:
                    opened, spilled = self._open(session_id, path)
                    waiting = set(opened.header.children_ids) - released
                    if not waiting:  # first the children: a crash leaves no link to nowhere
                        self._files.remove(path)
                        self._spill.remove(spilled)
                        break
                for child in waiting:
                    self._unlink(child, of=session_id, field="parent_id")
                released |= waiting
        except OSError as error:
            _log.error("session %r: could not delete it: %s", session_id, error)
            return False
        parent = opened.header.parent_id
        if parent is not None:
            self._unlink(parent, of=session_id, field="children_ids")
        return True

    def _unlink(self, session_id: str, *, of: str, field: str) -> None:
        """Take the link to a session out of another, if it is there."""

        def change(session: OpenDocument) -> None:
            header = session.header
            if session.is_new:
                raise _Gone
            if field == "parent_id" and header.parent_id == of:
                header.parent_id = None
            elif field == "children_ids" and of in header.children_ids:
                header.children_ids.remove(of)
            else:
                raise _Gone

        with suppress(_Gone):
            self._change(session_id, change, what="drop a link", retention=False, touch=False)

    @staticmethod
    @contextmanager
    def _failing(session_id: str, what: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise BackendError(f"session {session_id!r}: could not {what} it: {error}") from error


class _Gone(Exception):  # noqa: N818 - no error: it ends a change that has nothing to do
    """The link is not there any more."""
