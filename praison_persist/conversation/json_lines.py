"""The format of a session's file: JSON, one record a line, appended to.

The first line is the header; it names the format and has the session as it was when the file was
written as a whole. Each line behind it is a message or, after an update, the session:

    {"format": …, "generation": …, "session": {…, "last_seq": 2}}
    {"message": {"seq": 3, "role": "user", …}, "updated_at": 1795247798.4}
    {"session": {…, "last_seq": 3}}

`more` on a line says how many lines of the same append follow: a reader takes all of them or none.
What is not whole at the end of a file is the rest of a write that was never acknowledged.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from praison_persist._json import dumps, loads
from praison_persist.conversation.driver import Row
from praison_persist.errors import BackendError

__all__ = ["Place", "Transcript", "message_lines", "session_line", "summary", "whole"]

FORMAT = "praison_persist conversation 1"

_HEAD = 96  # bytes of a file that no other file begins with: they reach beyond the generation
_NO_MESSAGE: Row = {
    "id": None,
    "role": None,
    "content": None,
    "tool_calls": None,
    "tool_call_id": None,
    "metadata": None,
    "created_at": None,
    "run_id": None,
    "seq": None,
}
_NO_SESSION: Row = {
    "session_id": None,
    "user_id": None,
    "agent_id": None,
    "name": None,
    "state": None,
    "metadata": None,
    "created_at": None,
    "updated_at": None,
    "version": None,
    "last_seq": None,
}
_ORDER = ("seq", "role", "content")  # first, for people who read the file
_NEEDED = {
    "message": ("id", "role", "seq", "created_at"),
    "session": ("session_id", "created_at", "updated_at", "version", "last_seq"),
}


class Place(NamedTuple):
    """Where a message is: `length` bytes from `offset`, without the end of the line."""

    seq: int
    created_at: float
    offset: int
    length: int


class Transcript:
    """What is known of a session's file: its session, and where its messages are.

    Attributes:
        path: the file.
        session: the row, with `last_seq`.
        places: of the messages, by id, in their order.
        end: how many bytes of the file are whole.
        superseded: how many of them are sessions that an update replaced.
        unsaved: the content of a file that is not yet written; None if it is.
    """

    def __init__(self, path: Path, session_id: str) -> None:
        self.session: Row = {}
        self.places: dict[str, Place] = {}
        self.end = self.superseded = 0
        self.unsaved: bytes | None = None
        self.path, self._session_id = path, session_id
        self._head = b""
        self._last_line = 0  # bytes of the line that has the session
        self._is_open = False  # the last line has no end

    def continues(self, file: BinaryIO) -> bool:
        """Whether the file is the one that is known, perhaps with more behind its end."""
        if file.seek(0, os.SEEK_END) < self.end:
            return False
        file.seek(0)
        return file.read(_HEAD) == self._head

    def read(self, file: BinaryIO) -> None:
        """Learn what is in the file behind the end.

        Raises:
            BackendError: it is damaged, or of something else.
        """
        file.seek(self.end)
        self.learn(file.read())

    def learn(self, data: bytes) -> None:
        """Learn `data`, which is behind the end. Errors are those of `read`."""
        at, lines = self.end, data.split(b"\n")
        head = self._head or data[:_HEAD]
        batch: list[tuple[Row, int, int]] = []
        for number, line in enumerate(lines, 1):
            is_open = number == len(lines)
            begin, at = at, at + len(line) + (not is_open)
            if not line:
                continue
            record = self._record(line, begin, is_open=is_open)
            if record is None:
                break
            batch.append((record, begin, len(line)))
            if not record.get("more"):
                for part in batch:
                    self._apply(*part)
                batch = []
                self.end, self._is_open = at, is_open
        if not self.session:
            raise self._damaged(0, "it has no header")
        self._head = head

    def _record(self, line: bytes, begin: int, *, is_open: bool) -> Row | None:
        """Return the record of a line; None if it was not written to its end."""
        try:
            record = _checked(loads(line))
        except (ValueError, RecursionError) as error:
            if is_open and self.session:
                return None
            raise self._damaged(begin, f"it is no record: {error}") from error
        if ("format" in record) == bool(self.session):
            raise self._damaged(begin, "a header is the first line, and only that")
        return record

    def _apply(self, record: Row, begin: int, length: int) -> None:
        if "session" in record:
            session = {**_NO_SESSION, **record["session"]}
            if session["session_id"] != self._session_id:
                raise self._damaged(
                    begin, f"it is session {session['session_id']!r}, not {self._session_id!r}"
                )
            self.superseded += self._last_line
            self.session, self._last_line = session, length
            return
        message = record["message"]
        if message["id"] in self.places or message["seq"] <= self._last_place():
            raise self._damaged(begin, f"message {message['id']!r} is out of order")
        place = Place(message["seq"], message["created_at"], begin, length)
        self.places[message["id"]] = place
        self.session["last_seq"] = max(self.session["last_seq"], message["seq"])
        self.session["updated_at"] = record.get("updated_at", self.session["updated_at"])

    def _last_place(self) -> int:
        return next(reversed(self.places.values())).seq if self.places else 0

    def rows(self, file: BinaryIO, places: Sequence[Place]) -> list[Row]:
        """Return the messages at these places."""
        found: list[Row] = []
        for place in places:
            file.seek(place.offset)
            message = loads(file.read(place.length))["message"]
            found.append({**_NO_MESSAGE, **message, "session_id": self._session_id})
        return found

    def own_session(self) -> Row:
        """Return a copy of the session."""
        return deepcopy(self.session)

    def appended(self, lines: bytes) -> bytes:
        """Return what has to be written at `end` so that these lines follow."""
        return b"\n" + lines if self._is_open else lines

    def _damaged(self, at: int, reason: str) -> BackendError:
        return BackendError(
            f"{self.path} is damaged at byte {at}: {reason}. It was left as it is: repair it, or "
            "move it away"
        )


def _checked(record: Any) -> Row:
    """Return the record if it is one.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(record, dict) or record.get("format", FORMAT) != FORMAT:
        raise ValueError("not of this format")
    kind, known = ("session", _NO_SESSION) if "session" in record else ("message", _NO_MESSAGE)
    row = record.get(kind)
    if not isinstance(row, dict) or row.keys() - known.keys():
        raise ValueError("neither a session nor a message")
    if any(row.get(name) is None for name in _NEEDED[kind]):
        raise ValueError("not all that it needs")
    return record


def summary(data: bytes, path: Path) -> Row:
    """Return the session of a file's content, without reading each of its messages.

    Raises:
        BackendError: the file is damaged, or of something else.
    """
    at = data.rfind(b'\n{"session":') + 1  # 0, where the header is, if there is none
    last = data.rfind(b"\n", 0, -1) + 1
    try:
        session = _checked(loads(data[at : data.index(b"\n", at)]))["session"]
        record = _checked(loads(data[last:]))
    except (ValueError, LookupError):
        return _read_through(data, path)
    if record.get("more"):
        return _read_through(data, path)
    row = {**_NO_SESSION, **session}
    if "message" in record:
        row["last_seq"] = max(row["last_seq"], record["message"]["seq"])
        row["updated_at"] = record.get("updated_at", row["updated_at"])
    return row


def _read_through(data: bytes, path: Path) -> Row:
    try:
        session_id = _checked(loads(data.partition(b"\n")[0]))["session"]["session_id"]
    except (ValueError, LookupError):
        session_id = ""  # of no session: learning says what is wrong
    transcript = Transcript(path, session_id)
    transcript.learn(data)
    return transcript.session


def whole(session: Row, messages: Sequence[Row], *, pretty: bool) -> bytes:
    """Return the content of a new file. Messages are ordered by `seq`."""
    header = {
        "format": FORMAT,
        "generation": secrets.token_hex(8),
        "session": {name: value for name, value in session.items() if value is not None},
    }
    lines = [_line(header, pretty=pretty)]
    lines += [_line({"message": _told(message)}, pretty=pretty) for message in messages]
    return b"".join(lines)


def session_line(session: Row, *, pretty: bool) -> bytes:
    """Return the line that says how the session is from now on."""
    told = {name: value for name, value in session.items() if value is not None}
    return _line({"session": told}, pretty=pretty)


def message_lines(messages: Sequence[Row], updated_at: float, *, pretty: bool) -> bytes:
    """Return the lines of one append."""
    lines: list[bytes] = []
    for more, message in zip(reversed(range(len(messages))), messages, strict=True):
        record: Row = {"message": _told(message), "updated_at": updated_at}
        lines.append(_line(record | {"more": more} if more else record, pretty=pretty))
    return b"".join(lines)


def _told(message: Row) -> Row:
    """Return the message without what says nothing, the text near the beginning."""
    first = {name: message[name] for name in _ORDER}
    told = {**first, **message}
    return {
        name: value for name, value in told.items() if value is not None and name != "session_id"
    }


def _line(record: Row, *, pretty: bool) -> bytes:
    if pretty:
        try:
            return json.dumps(record, ensure_ascii=False, allow_nan=False).encode() + b"\n"
        except UnicodeEncodeError:  # a lone surrogate, which only an escape can carry
            pass
    return dumps(record).encode() + b"\n"
