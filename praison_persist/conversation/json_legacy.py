"""Conversations as praisonai's JSON store keeps them: `<id>.json`, one document a session."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from praison_persist._json import jsonable, loads
from praison_persist.conversation.driver import Row
from praison_persist.conversation.dump import message_row, session_row
from praison_persist.errors import BackendError, InvalidDataError
from praison_persist.models import ConversationMessage, ConversationSession

__all__ = ["LEGACY_SUFFIX", "legacy_path", "read_legacy"]

LEGACY_SUFFIX = ".json"
_INDEX = "_sessions_index"
_ID = re.compile(r"[A-Za-z0-9_\-:.]{1,128}")  # what praisonai takes as the id of a session
_DOCUMENTS = ("state", "metadata", "tool_calls")


def legacy_path(folder: Path, session_id: str) -> Path | None:
    """Return where praisonai would keep the session; None if it would refuse its id."""
    if not _ID.fullmatch(session_id) or ".." in session_id or session_id == _INDEX:
        return None
    return folder / f"{session_id}{LEGACY_SUFFIX}"


def read_legacy(path: Path) -> tuple[Row, list[Row]] | None:
    """Return the session, with its `last_seq`, and its messages; None if the file is none.

    The order is that of the file. Where two messages have one id, the later gets another one.

    Raises:
        BackendError: it is no JSON, or a session that cannot be taken over.
        FileNotFoundError: it is not there.
    """
    try:
        document = loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise _unreadable(path, error) from error
    if path.stem == _INDEX or not isinstance(document, dict):
        return None
    session, messages = document.get("session"), document.get("messages")
    if not isinstance(session, dict) or not isinstance(messages, list):
        return None
    if session.get("session_id") != path.stem:
        return None  # on a file system that takes "A" for "a": of another session
    try:
        row = session_row(ConversationSession.from_dict(_plain(session)))
        rows: list[Row] = []
        taken: set[str] = set()
        for seq, message in enumerate(messages, 1):
            found = ConversationMessage.from_dict(_plain(message))
            found.id = _unused(message, seq, taken)
            rows.append(message_row(found, row["session_id"], seq))
    except (InvalidDataError, AttributeError, TypeError) as error:
        raise _unreadable(path, error) from error
    return row | {"last_seq": len(rows)}, rows


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """Return the values as ours: the original writes NaN, and content that is no text."""
    plain = {
        name: jsonable(value) if name in _DOCUMENTS else value for name, value in values.items()
    }
    content = plain.get("content")
    if content is not None and not isinstance(content, str):
        plain["content"] = json.dumps(content)
    return plain


def _unused(message: dict[str, Any], seq: int, taken: set[str]) -> str:
    """Return the message's id; another one, the same each time, if it has none or it is taken."""
    wanted = message.get("id")
    if not isinstance(wanted, str) or not wanted or wanted in taken:
        text = json.dumps([seq, message], sort_keys=True)
        wanted = f"imported-{hashlib.sha256(text.encode()).hexdigest()[:32]}"
    taken.add(wanted)
    return wanted


def _unreadable(path: Path, error: Exception) -> BackendError:
    return BackendError(
        f"{path} cannot be read as a session of praisonai: {error}. It was left as it is: repair "
        "it, or move it away"
    )
