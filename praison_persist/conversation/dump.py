"""Dumps of sessions, as rows: what is none is refused before anything is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from praison_persist._checks import check_integer, check_message, check_seqs, check_session
from praison_persist._json import dumps, loads
from praison_persist.conversation.driver import Row
from praison_persist.errors import InvalidDataError, UnsupportedError
from praison_persist.models import ConversationMessage, ConversationSession

__all__ = ["FORMAT", "dumped", "loaded", "message_row", "session_row"]

FORMAT = "praison_persist.session/1"

_MESSAGE_FIELDS = tuple(field.name for field in fields(ConversationMessage))
_SESSION_FIELDS = tuple(field.name for field in fields(ConversationSession))

_DONE = ("runs", "tool_calls", "traces", "spans")


def session_row(session: ConversationSession) -> Row:
    """Return a checked session as a row of its own, of version 1 if it has none.

    Raises:
        InvalidDataError: see `check_session`.
    """
    check_session(session)
    row = {name: getattr(session, name) for name in _SESSION_FIELDS}
    return _plain(row | {"version": session.version or 1})


def message_row(message: ConversationMessage, session_id: str, seq: int | None = None) -> Row:
    """Return a checked message as a row of its own.

    Raises:
        InvalidDataError: see `check_message`.
    """
    check_message(message)
    row = {name: getattr(message, name) for name in _MESSAGE_FIELDS}
    return _plain(row | {"session_id": session_id, "seq": seq})


def _plain(row: Row) -> Row:
    # Through JSON: a caller's subclasses of str or dict become what any client can send.
    plain: Row = loads(dumps(row))
    return plain


def dumped(session: Row, messages: Sequence[Row]) -> dict[str, Any]:
    """Return a dump of the rows, which are the caller's own from then on."""
    return {"format": FORMAT, "session": session, "messages": list(messages)}


def loaded(dump: object, name: str) -> tuple[Row, list[Row]]:
    """Return the session, with `last_seq`, and the messages of a dump; a copy.

    Messages that have no `seq`, in a dump that was made by hand, are numbered from 1.

    Args:
        dump: what `dumped` returned, or a dump of another store.
        name: of the store, for messages.

    Raises:
        InvalidDataError: it is no dump. UnsupportedError: it has runs or traces, which would be
            lost.
    """
    if not isinstance(dump, Mapping) or dump.get("format") != FORMAT:
        found = dump.get("format") if isinstance(dump, Mapping) else type(dump).__name__
        raise InvalidDataError(f"Not a session dump: its format is {found!r}, not {FORMAT!r}")
    lost = [part for part in _DONE if dump.get(part)]
    if lost:
        raise UnsupportedError(
            f"{name} keeps conversations only, and the dump has {', '.join(lost)}: keep them in a "
            "state store beside it (state_url=), or leave them out of the dump"
        )
    session, last_seq = _session(dump.get("session"))
    messages = _messages(dump, session["session_id"])
    last = messages[-1]["seq"] if messages else 0
    return {**session, "last_seq": max(last_seq, last)}, messages


def _session(value: object) -> tuple[Row, int]:
    if not isinstance(value, Mapping) or "session_id" not in value:
        raise InvalidDataError("The dump has no session with a session_id")
    last_seq = value.get("last_seq") or 0
    check_integer(last_seq, "session.last_seq", 0)
    return session_row(ConversationSession.from_dict(dict(value))), last_seq


def _messages(dump: Mapping[str, Any], session_id: str) -> list[Row]:
    if "messages" not in dump:
        raise InvalidDataError("The dump has no messages; an empty list says that there are none")
    values = dump["messages"] or []
    if not isinstance(values, list) or not all(isinstance(value, Mapping) for value in values):
        raise InvalidDataError("The dump's messages are not a list of objects")
    messages = [ConversationMessage.from_dict({"id": None} | dict(value)) for value in values]
    check_seqs([message.seq for message in messages])
    rows = [
        message_row(message, session_id, message.seq or number)
        for number, message in enumerate(messages, 1)
    ]
    if len({row["id"] for row in rows}) < len(rows):
        raise InvalidDataError("The dump has two messages of one id")
    return rows
