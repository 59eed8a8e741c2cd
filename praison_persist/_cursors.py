"""Cursors of pages: positions in an order, as text. They come from outside, so they are checked."""

from __future__ import annotations

import re

from praison_persist._checks import check_id, check_time
from praison_persist.errors import InvalidDataError

__all__ = ["message_position", "session_cursor", "session_position"]

_SEQ = re.compile("[0-9]{1,18}")  # below 2**62


def session_cursor(updated_at: float, session_id: str) -> str:
    """Return the cursor of the page behind this session."""
    return f"{updated_at!r}|{session_id}"


def session_position(cursor: str) -> tuple[float, str]:
    """Return what `session_cursor` was given.

    Raises:
        InvalidDataError: it returned no such cursor.
    """
    if isinstance(cursor, str):
        updated_at, _, session_id = cursor.partition("|")
        try:
            check_id(session_id, "session_id")
            check_time(float(updated_at), "updated_at")
            return float(updated_at), session_id
        except ValueError:  # InvalidDataError is one
            pass
    raise InvalidDataError(f"{cursor!r} is not a cursor of page_sessions")


def message_position(cursor: str) -> int:
    """Return the seq of the message that the page begins behind: its cursor is its seq.

    Raises:
        InvalidDataError: it is none.
    """
    if not isinstance(cursor, str) or not _SEQ.fullmatch(cursor):
        raise InvalidDataError(f"{cursor!r} is not a cursor of page_messages")
    return int(cursor)
