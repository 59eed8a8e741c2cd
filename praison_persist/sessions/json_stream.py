"""A JSON object from a file of any size, part by part: no more is in memory than one part."""

from __future__ import annotations

import json
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import IO, Any

__all__ = ["parts_of"]

_CHUNK = 1 << 16  # characters
_SPACE = " \t\n\r"


def parts_of(path: Path, streamed: AbstractSet[str]) -> Iterator[tuple[str, Any]]:
    """Yield the members of the object in a file as (key, value), in their order.

    Of the keys in `streamed` that hold a list, each item is yielded for itself; an empty list, or
    what is none, is not yielded.

    Raises:
        ValueError: the file holds no JSON object, or not the whole of it. What came before has been
            yielded.
        OSError: it cannot be read.
    """
    with path.open(encoding="utf-8") as file:
        text = _Text(file)
        text.expect("{")
        if text.peek() != "}":
            yield from _member(text, streamed)
            while text.peek() == ",":
                text.expect(",")
                yield from _member(text, streamed)
        text.expect("}")
        if text.peek():
            raise ValueError("there is something behind the JSON object")


def _member(text: _Text, streamed: AbstractSet[str]) -> Iterator[tuple[str, Any]]:
    key = text.value()
    text.expect(":")
    if key not in streamed or text.peek() != "[":
        value = text.value()
        if key not in streamed:
            yield key, value
        return
    text.expect("[")
    if text.peek() != "]":
        yield key, text.value()
        while text.peek() == ",":
            text.expect(",")
            yield key, text.value()
    text.expect("]")


class _Text:
    """The text of a file, read as it is needed."""

    def __init__(self, file: IO[str]) -> None:
        self._file, self._text, self._at = file, "", 0
        self._ended = False
        self._decoder = json.JSONDecoder()

    def _read(self, size: int) -> None:
        more = self._file.read(size)
        self._ended = not more
        self._text, self._at = self._text[self._at :] + more, 0

    def peek(self) -> str:
        """Return the next character that is no space; "" at the end."""
        while True:
            while self._at < len(self._text):
                if self._text[self._at] not in _SPACE:
                    return self._text[self._at]
                self._at += 1
            if self._ended:
                return ""
            self._read(_CHUNK)

    def expect(self, character: str) -> None:
        """Go behind this character.

        Raises:
            ValueError: another one comes.
        """
        if (found := self.peek()) != character:
            found = found or "the end"
            raise ValueError(f"no JSON object: {found!r} in the place of {character!r}")
        self._at += 1

    def value(self) -> Any:
        """Return the next value and go behind it.

        Raises:
            ValueError: there is none, or it does not end.
        """
        self.peek()
        size = _CHUNK
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
            except json.JSONDecodeError:
                if self._ended:
                    raise
            else:
                # A number at the end of what was read may go on.
                if end < len(self._text) or self._ended:
                    self._at = end
                    return value
            self._read(size)
            size *= 2
