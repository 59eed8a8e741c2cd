"""The driver of conversations in a folder: one file a session, one lock while it is used."""

from __future__ import annotations

import io
import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from io import FileIO
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import filelock

from praison_persist._durable import make_folder, replace, sync_folder, temporary
from praison_persist._flow import Flow
from praison_persist._recent import Recent
from praison_persist.conversation.driver import (
    ConversationDriver,
    Row,
    done,
    numbered,
    replaced,
)
from praison_persist.conversation.json_legacy import LEGACY_SUFFIX, legacy_path, read_legacy
from praison_persist.conversation.json_lines import (
    Place,
    Transcript,
    message_lines,
    session_line,
    summary,
    whole,
)
from praison_persist.conversation.json_locks import locked
from praison_persist.conversation.json_names import SUFFIX, lock_name, session_name
from praison_persist.errors import BackendError, PersistError, UnavailableError

__all__ = ["JSONDriver"]

_log = logging.getLogger(__name__)

_LOCKS = ".locks"
_LOCK_WAIT_S = 30.0
_KNOWN = 256  # sessions of which it is remembered where their messages are
_SUPERSEDED = 65_536  # bytes of old sessions in a file that are not worth writing it anew


class JSONDriver(ConversationDriver):
    """Conversations in the files of a folder.

    What was learned of a file is remembered, and continued by what others have appended since; the
    file is read from its beginning only if it is a new one.
    """

    failures = (OSError, filelock.Timeout)

    def __init__(self, folder: Path, *, pretty: bool) -> None:
        self.address = str(folder)
        self._folder, self._pretty = folder, pretty
        self._known: Recent[str, Transcript] = Recent(_KNOWN)

    def close(self) -> Flow[None]:
        """Forget what was remembered."""
        self._known = Recent(_KNOWN)
        return done(None)

    def translate(self, error: BaseException, action: str) -> PersistError:
        """See Vendor.translate."""
        if isinstance(error, filelock.Timeout):
            return UnavailableError(
                f"Cannot {action} in {self._folder}: another process has held "
                f"{error.lock_file} for {_LOCK_WAIT_S:.0f} s. Look what it waits for",
                elapsed_s=_LOCK_WAIT_S,
            )
        return BackendError(
            f"Cannot {action} in {self._folder}: {self.describe(error)}. Nothing was written; "
            "check the folder, its permissions and its free space"
        )

    def insert_session(self, session: Row) -> Flow[bool]:
        """See ConversationDriver.insert_session."""
        return self.insert_whole(session | {"last_seq": 0}, [])

    def find_session(self, session_id: str) -> Flow[Row | None]:
        """See ConversationDriver.find_session."""
        with self._reading(session_id) as found:
            return done(None if found is None else found.own_session())

    def replace_session(
        self, session: Row, now: float, expected_version: int | None
    ) -> Flow[Row | None]:
        """See ConversationDriver.replace_session."""
        with self._writing(session["session_id"]) as found:
            if found is None:
                return done(None)
            new = replaced(found.session, session, now, expected_version)
            if found.superseded > max(_SUPERSEDED, found.end // 2):
                self._rewrite(found, new, found.places.values())
            else:
                self._append(found, session_line(new, pretty=self._pretty))
            return done(new)

    def remove_session(self, session_id: str) -> Flow[bool]:
        """See ConversationDriver.remove_session."""
        with self._reading(session_id) as found:
            if found is None:
                return done(False)
            path = self._path(session_id)
            # The file comes last: without it the session is that of praisonai's file, if any.
            for old in (legacy_path(self._folder, session_id), temporary(path), path):
                if old is not None:
                    old.unlink(missing_ok=True)
            sync_folder(self._folder)
            self._known.discard(session_id, found)
            return done(True)

    def sessions(
        self,
        user_id: str | None,
        agent_id: str | None,
        *,
        limit: int | None,
        offset: int,
        below: tuple[float, str] | None,
    ) -> Flow[list[Row]]:
        """See ConversationDriver.sessions. Reads every file of the folder."""
        found = [
            row
            for row in self._summaries()
            if user_id in (None, row["user_id"])
            and agent_id in (None, row["agent_id"])
            and (below is None or _position(row) < below)
        ]
        found.sort(key=_position, reverse=True)
        return done(found[offset:] if limit is None else found[offset : offset + limit])

    def append(
        self, session_id: str, messages: Sequence[Row], now: float
    ) -> Flow[list[Row] | None]:
        """See ConversationDriver.append."""
        with self._writing(session_id) as found:
            if found is None:
                return done(None)
            places = [found.places[m["id"]] for m in messages if m["id"] in found.places]
            known = {row["id"]: row for row in self._rows(found, places)}
            stored, new = numbered(messages, known, found.session["last_seq"])
            if new:
                updated_at = max(found.session["updated_at"], now)
                self._append(found, message_lines(new, updated_at, pretty=self._pretty))
            return done(stored)

    def messages(
        self,
        session_id: str,
        *,
        limit: int | None,
        above: int | None,
        below: int | None,
        before: float | None,
        after: float | None,
        newest_first: bool,
    ) -> Flow[list[Row]]:
        """See ConversationDriver.messages."""
        with self._reading(session_id) as found:
            if found is None:
                return done([])
            every = found.places.values()
            places = (
                place
                for place in (reversed(every) if newest_first else every)
                if (above is None or place.seq > above)
                and (below is None or place.seq < below)
                and (before is None or place.created_at < before)
                and (after is None or place.created_at > after)
            )
            return done(self._rows(found, islice(places, limit)))

    def remove_messages(self, session_id: str, ids: Sequence[str] | None) -> Flow[int]:
        """See ConversationDriver.remove_messages. Writes the file anew: nothing of them stays."""
        with self._writing(session_id) as found:
            if found is None:
                return done(0)
            gone = found.places.keys() if ids is None else found.places.keys() & set(ids)
            count = len(gone)
            if count:
                kept = [place for key, place in found.places.items() if key not in gone]
                self._rewrite(found, found.session, kept)
            return done(count)

    def count(self, session_id: str) -> Flow[int]:
        """See ConversationDriver.count."""
        with self._reading(session_id) as found:
            return done(len(found.places) if found else 0)

    def find_whole(self, session_id: str) -> Flow[tuple[Row, list[Row]] | None]:
        """See ConversationDriver.find_whole."""
        with self._reading(session_id) as found:
            if found is None:
                return done(None)
            return done((found.own_session(), self._rows(found, found.places.values())))

    def insert_whole(self, session: Row, messages: Sequence[Row]) -> Flow[bool]:
        """See ConversationDriver.insert_whole."""
        session_id = session["session_id"]
        with self._holding(session_id) as found:
            if found is not None:
                return done(False)
            replace(self._path(session_id), whole(session, messages, pretty=self._pretty))
            return done(True)

    def _path(self, session_id: str) -> Path:
        return self._folder / session_name(session_id)

    @contextmanager
    def _holding(self, session_id: str) -> Iterator[Transcript | None]:
        """Hold the session's lock, with what is known of its file; None if it has none."""
        make_folder(self._folder / _LOCKS)
        with locked(self._folder / _LOCKS / lock_name(session_id), _LOCK_WAIT_S):
            yield self._read(session_id)

    @contextmanager
    def _reading(self, session_id: str) -> Iterator[Transcript | None]:
        """`_holding`, without making the folder of a path that was mistyped."""
        with self._holding(session_id) if self._folder.is_dir() else nullcontext() as found:
            yield found

    @contextmanager
    def _writing(self, session_id: str) -> Iterator[Transcript | None]:
        """`_reading`, with a file of praisonai's taken over."""
        with self._reading(session_id) as found:
            legacy = legacy_path(self._folder, session_id)
            if found is not None and found.unsaved is not None:
                replace(found.path, found.unsaved)
                found.unsaved = None
                self._known.put(session_id, found)
            if found is not None and legacy is not None and legacy.exists():
                legacy.unlink()  # also if a crash had come between the two
                sync_folder(self._folder)
            yield found

    def _read(self, session_id: str) -> Transcript | None:
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
        legacy = legacy_path(self._folder, session_id)
        try:
            found = read_legacy(legacy) if legacy else None
        except FileNotFoundError:
            found = None
        if found is None:
            return None
        transcript = Transcript(self._path(session_id), session_id)
        transcript.unsaved = whole(*found, pretty=self._pretty)
        transcript.learn(transcript.unsaved)
        return transcript

    def _rows(self, found: Transcript, places: Iterable[Place]) -> list[Row]:
        wanted = list(places)
        if not wanted:
            return []
        with _open(found) as file:
            return found.rows(file, wanted)

    def _append(self, found: Transcript, lines: bytes) -> None:
        """Write lines at the end of the file, all or none."""
        data = found.appended(lines)
        try:
            with found.path.open("r+b", buffering=0) as file:
                _write_at(file, found.end, data, found.path)
            found.learn(data)
        except BaseException:
            self._known.discard(found.session["session_id"], found)
            raise

    def _rewrite(self, found: Transcript, session: Row, places: Iterable[Place]) -> None:
        """Write the file anew, with this session and these of its messages."""
        rows = self._rows(found, places)
        replace(found.path, whole(session, rows, pretty=self._pretty))
        self._known.discard(session["session_id"], found)

    def _summaries(self) -> Iterable[Row]:
        """Return all sessions of the folder.

        Without locks: each file is read at one instant, and what was not wholly written is not
        taken for a session.
        """
        names = [path.name for path in self._folder.iterdir()] if self._folder.is_dir() else []
        found: dict[str, Row] = {}
        for name in names:
            session_id = name.removesuffix(LEGACY_SUFFIX)
            if session_id != name and legacy_path(self._folder, session_id):
                with suppress(FileNotFoundError):  # taken over since, or deleted
                    legacy = read_legacy(self._folder / name)
                    if legacy is not None:
                        found[session_id] = legacy[0]
                        continue
                # Taken over since the names were read, when its new file was not among them.
                found |= self._summary(self._path(session_id))
        for name in names:  # after the others: a session that was taken over may still be there
            if name.endswith(SUFFIX):
                found |= self._summary(self._folder / name)
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


def _position(row: Row) -> tuple[float, str]:
    return row["updated_at"], row["session_id"]


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
