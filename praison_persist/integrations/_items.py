"""A framework's message as one of ours: readable fields, and the whole of it in the metadata."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from praison_persist._checks import check_id
from praison_persist._json import check_json, dumps
from praison_persist.errors import InvalidDataError

__all__ = ["checked_item", "id_or_none", "tool_call"]

_REMEDY = "Replace what in it is no JSON value: objects, tuples, NaN and infinity"


def checked_item(
    item: dict[str, Any], expected: Any, again: Callable[[dict[str, Any]], Any]
) -> None:
    """Refuse a message whose JSON would not come back as it is.

    Args:
        item: the JSON form.
        expected: what the message is made of.
        again: reads a message from the JSON form, and returns what that one is made of.

    Raises:
        InvalidDataError: a part is no JSON, or the framework reads something else from it.
    """
    check_json(item, "message")
    try:
        same = again(item) == expected
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise InvalidDataError(
            f"The message cannot be read back from its JSON: {type(error).__name__}. {_REMEDY}"
        ) from error
    if not same:
        raise InvalidDataError(f"The message's JSON is read back as another message. {_REMEDY}")


def id_or_none(value: object) -> str | None:
    """Return what can be an id of ours; None for anything else, which the whole message has."""
    try:
        check_id(value, "id")
    except InvalidDataError:
        return None
    return str(value)


def tool_call(call_id: str | None, name: str, arguments: Any) -> dict[str, Any]:
    """Return a requested call in the shape of OpenAI's chat completions."""
    text = arguments if isinstance(arguments, str) else dumps(arguments)
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": text}}
