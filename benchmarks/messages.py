"""The message that everyone stores: 300 characters, numbered so that it is known when read back."""

from __future__ import annotations

from typing import Any, Final

__all__ = ["METADATA", "number_of", "text_of"]

_DIGITS = 8
_FILLER = ("An agent reasons, calls a tool, and sums up what it answered. " * 5)[
    : 300 - _DIGITS - 1
]

METADATA: Final[dict[str, Any]] = {"model": "small", "tokens": 123, "cost": 0.00042, "trace": "abc"}


def text_of(number: int) -> str:
    """Return the text of the message with this number."""
    return f"{number:0{_DIGITS}d} {_FILLER}"


def number_of(text: str) -> int:
    """Return the number in a text of `text_of`."""
    return int(text[:_DIGITS])
