"""A folder of sessions: one file each, and one lock while it is used."""

from __future__ import annotations

import io
import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from io import FileIO
from pathlib import Path
from typing import BinaryIO

from praison_persist._durable import make_folder, replace, sync_folder, temporary
from praison_persist._recent import Recent
from praison_persist.conversation.driver import Row
from praison_persist.conversation.json_legacy import LEGACY_SUFFIX, legacy_path, read_legacy
from praison_persist.conversation.json_lines import Place, Transcript, summary, whole
from praison_persist.conversation.json_locks import locked
from praison_persist.conversation.json_names import SUFFIX, lock_name, session_name
from praison_persist.errors import BackendError

__all__ = ["Folder"]

_log = logging.getLogger(__name__)

_LOCKS = ".locks"
_KNOWN = 256  # sessions of which it is remembered where their messages are
_MODE = 0o600  # of new files: what people said is their owner's


class Folder:
    """The files of a folder.

    What was learned of a file is remembered, and continued by what others have appended since; the
    file is read from its beginning only if it is a new one.

    Args:
        path: made when the first session is.
        pretty: writes text as it is, not as ASCII.
        wait_s: how long to wait for a lock.
    """

    def __init__(self, path: Path, *, pretty: bool, wait_s: float) -> None:
        self.path, self.pretty, self.wait_s = path, pretty, wait_s
        self.forget()

    def forget(self) -> None:
        """Forget what was remembered."""
        self._known: Recent[str, Transcript] = Recent(_KNOWN)
        self._process = os.getpid()

    def _path(self, session_id: str) -> Path:
        return self.path / session_name(session_id)

    @contextmanager
    def holding(self, session_id: str) -> Iterator[Transcript | None]:
        """Hold the session's lock, with what is known of its file; None if it has none."""
        make_folder(self.path / _LOCKS)
        with locked(self.path / _LOCKS / lock_name(session_id), self.wait_s):
            yield self._read(session_id)

    @contextmanager
    def reading(self, session_id: str) -> Iterator[Transcript | None]:
        """`holding`, without making the folder of a path that was mistyped."""
        with self.holding(session_id) if self.path.is_dir() else nullcontext() as found:
            yield found

    @contextmanager
    def writing(self, session_id: str) -> Iterator[Transcript | None]:
        """`reading`, with a file of praisonai's taken over."""
        with self.reading(session_id) as found:
            if found is not None and found.unsaved is not None:
                replace(found.path, found.unsaved, _MODE)
                found.unsaved = None
                self._known.put(session_id, found)
            if found is not None:
                self._drop_legacy(session_id)  # always: a crash may have come between the two
            yield found

    def _read(self, session_id: str) -> Transcript | None:
        if self._process != os.getpid():
            self.forget()  # a thread of the parent may have been about to learn
        path, known = self._path(session_id), self._known.get(session_id)
        try:
            with path.open("rb") as file:
                if known is None or not known.continues(file):
                    known = Transcript(path, session_id)
                known.read(file)
        except FileNotFoundError:
            return self._read_legacy(session_id)
        except BaseException:
            if known is not None:
                self._known.discard(session_id, known)
            raise
        self._known.put(session_id, known)
        return known

    def _read_legacy(self, session_id: str) -> Transcript | None:
        legacy = legacy_path(self.path, session_id)
        try:
            found = read_legacy(legacy) if legacy else None
        except FileNotFoundError:
            found = None
        if found is None:
            return None
        transcript = Transcript(self._path(session_id), session_id)
        transcript.unsaved = whole(*found, pretty=self.pretty)
        transcript.learn(transcript.unsaved)
        return transcript

    def _drop_legacy(self, session_id: str) -> None:
        """Delete praisonai's file of the session; not a document of others that has its name."""
        legacy = legacy_path(self.path, session_id)
        if legacy is None or not legacy.exists():
            return
        with suppress(BackendError):  # it is no session of praisonai's
            if read_legacy(legacy) is not None:
                legacy.unlink()
                sync_folder(self.path)

    def create(self, session: Row, messages: Sequence[Row]) -> None:
        """Write the file of a new session, whose lock is held."""
        path = self._path(session["session_id"])
        replace(path, whole(session, messages, pretty=self.pretty), _MODE)

    def remove(self, found: Transcript) -> None:
        """Delete the session, whose lock is held."""
        session_id = found.session["session_id"]
        # The file comes last: without it the session is that of praisonai's file, if any.
        self._drop_legacy(session_id)
        temporary(found.path).unlink(missing_ok=True)
        found.path.unlink(missing_ok=True)
        sync_folder(self.path)
        self._known.discard(session_id, found)

    def rows(self, found: Transcript, places: Iterable[Place]) -> list[Row]:
        """Return the messages at these places."""
        wanted = list(places)
        if not wanted:
            return []
        with _open(found) as file:
            return found.rows(file, wanted)

    def append(self, found: Transcript, lines: bytes) -> None:
        """Write lines at the end of the file, all or none."""
        data = found.appended(lines)
        try:
            with found.path.open("r+b", buffering=0) as file:
                _write_at(file, found.end, data, found.path)
            found.learn(data)
        except BaseException:
            self._known.discard(found.session["session_id"], found)
            raise

    def rewrite(self, found: Transcript, session: Row, places: Iterable[Place]) -> None:
        """Write the file anew, with this session and these of its messages."""
        rows = self.rows(found, places)
        replace(found.path, whole(session, rows, pretty=self.pretty))
        self._known.discard(session["session_id"], found)

    def summaries(self) -> Iterable[Row]:
        """Return all sessions of the folder.

        Without locks: each file is read at one instant, and what was not wholly written is not
        taken for a session.
        """
        names = [path.name for path in self.path.iterdir()] if self.path.is_dir() else []
        found: dict[str, Row] = {}
        for name in names:
            session_id = name.removesuffix(LEGACY_SUFFIX)
            if session_id != name and legacy_path(self.path, session_id):
                with suppress(FileNotFoundError):  # taken over since, or deleted
                    legacy = read_legacy(self.path / name)
                    if legacy is not None:
                        found[session_id] = legacy[0]
                        continue
                # Taken over since the names were read, when its new file was not among them.
                found |= self._summary(self._path(session_id))
        for name in names:  # after the others: a session that was taken over may still be there
            if name.endswith(SUFFIX):
                found |= self._summary(self.path / name)
        return found.values()

    def _summary(self, path: Path) -> dict[str, Row]:
        """Return the session of a file, by its id; nothing if the file is not there."""
        try:
            row = summary(path.read_bytes(), path)
        except FileNotFoundError:
            return {}
        if path.name != session_name(row["session_id"]):
            raise BackendError(
                f"{path} is session {row['session_id']!r}, whose file has another name: "
                "move the copy away"
            )
        return {row["session_id"]: row}


def _open(found: Transcript) -> BinaryIO:
    return found.path.open("rb") if found.unsaved is None else io.BytesIO(found.unsaved)


def _write_at(file: FileIO, end: int, data: bytes, path: Path) -> None:
    rest = file.seek(0, os.SEEK_END) - end
    if rest > 0:
        _log.warning("%s: cutting %d bytes of a write that was not finished", path, rest)
        file.truncate(end)
    file.seek(end)
    try:
        view = memoryview(data)
        while view:
            view = view[file.write(view) :]
        os.fsync(file.fileno())
    except BaseException:
        with suppress(OSError):  # what fails now is cut off by the next write
            file.truncate(end)
        raise
