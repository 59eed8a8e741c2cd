"""Checks of what callers hand to a session store, before anything is written."""

from __future__ import annotations

from typing import Any

from praison_persist._checks import check_id, check_integer, check_time
from praison_persist._json import check_json
from praison_persist.errors import InvalidDataError
from praison_persist.sessions.messages import SessionMessage

__all__ = ["check_count", "check_dict", "check_message", "check_name", "check_text"]

_ROLE_MAX = 50  # characters


def check_message(message: SessionMessage) -> None:
    """Refuse a message that could not be read back as it is.

    Raises:
        InvalidDataError: names the field, the value and what to do.
    """
    role, content, calls = message.role, message.content, message.tool_calls
    check_text(role, "role")
    if not role or len(role) > _ROLE_MAX:
        raise InvalidDataError(f"role must have 1 to {_ROLE_MAX} characters, not {role!r}")
    if content is not None and not isinstance(content, str | list):
        raise InvalidDataError(
            f"content must be a string, a list of content parts or None, "
            f"not {type(content).__name__}; convert it first"
        )
    check_json(content, "content")
    check_dict(message.metadata, "metadata")
    if calls is not None and not isinstance(calls, list):
        raise InvalidDataError(f"tool_calls must be a list or None, not {type(calls).__name__}")
    check_json(calls, "tool_calls")
    if message.tool_call_id is not None:
        check_text(message.tool_call_id, "tool_call_id")
    check_time(message.timestamp, "timestamp")


def check_dict(value: Any, name: str) -> None:
    """Refuse what is no dict of JSON values.

    Raises:
        InvalidDataError: as said.
    """
    if not isinstance(value, dict):
        raise InvalidDataError(f"{name} must be a dict, not {type(value).__name__}")
    check_json(value, name)


def check_text(value: Any, name: str) -> None:
    """Refuse what is no string.

    Raises:
        InvalidDataError: as said.
    """
    if not isinstance(value, str):
        raise InvalidDataError(f"{name} must be a string, not {type(value).__name__}")


def check_name(value: Any, name: str) -> None:
    """Refuse what sessions cannot be looked up by; None is fine.

    Raises:
        InvalidDataError: empty, no string, too long, NUL or lone surrogates.
    """
    if value is not None:
        check_id(value, name)


def check_count(value: Any, name: str) -> None:
    """Refuse what is no number of things, from 0; None is fine.

    Raises:
        InvalidDataError: as said.
    """
    if value is not None:
        check_integer(value, name, 0)
