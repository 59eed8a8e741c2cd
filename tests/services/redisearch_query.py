"""The query language of RediSearch, dialect 2, as far as the tests need it.

redis.io, "Query syntax": parts side by side all hold, "|" is or, "-" is not; @tag:{a|b}, @number:[1
(2], @text:word, and "*" for all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from math import inf

Fields = Mapping[str, bytes]
Test = Callable[[Fields], bool]

_TOKEN = re.compile(r"\s*(?:@(\w+):(?:\{([^}]*)\}|\[([^\]]*)\]|(\w+))|([()|*-]))")
_BOUNDS = 2


class QueryError(Exception):
    """What the server answers to a query that it does not understand."""


def parse(query: str, kinds: Mapping[str, str]) -> Test:
    """Return whether a document matches, as a function of its fields.

    Args:
        kinds: TAG, NUMERIC or TEXT of each field of the index.
    """
    parser = _Parser(query, kinds)
    test = parser.union()
    if parser.rest():
        raise parser.error()
    return test


class _Parser:
    def __init__(self, query: str, kinds: Mapping[str, str]) -> None:
        self._query, self._kinds, self._at = query, kinds, 0

    def rest(self) -> str:
        return self._query[self._at :].strip()

    def error(self) -> QueryError:
        return QueryError(f"Syntax error at offset {self._at} near {self.rest()[:20]}")

    def union(self) -> Test:
        parts = [self._all()]
        while self.rest().startswith("|"):
            self._take()
            parts.append(self._all())
        return lambda fields: any(part(fields) for part in parts)

    def _all(self) -> Test:
        parts = [self._one()]
        while self.rest() and self.rest()[0] not in "|)":
            parts.append(self._one())
        return lambda fields: all(part(fields) for part in parts)

    def _one(self) -> Test:
        found = self._take()
        name, tags, numbers, word, sign = found.groups()
        if sign == "*":
            return lambda _fields: True
        if sign == "-":
            part = self._one()
            return lambda fields: not part(fields)
        if sign == "(":
            inner = self.union()
            if self._take().group(5) != ")":
                raise self.error()
            return inner
        if tags is not None:
            return self._tags(self._known(name, "TAG"), tags)
        if numbers is not None:
            return self._numbers(self._known(name, "NUMERIC"), numbers)
        if word is not None:
            wanted = self._known(name, "TEXT")
            return lambda fields: word.lower() in words(fields.get(wanted, b""))
        raise self.error()

    def _take(self) -> re.Match[str]:
        found = _TOKEN.match(self._query, self._at)
        if found is None:
            raise self.error()
        self._at = found.end()
        return found

    def _known(self, name: str, kind: str) -> str:
        if self._kinds.get(name) != kind:
            raise QueryError(f"Unknown field at offset {self._at} near {name}")
        return name

    def _tags(self, name: str, text: str) -> Test:
        wanted = {each.strip().lower() for each in text.split("|")}
        if "" in wanted:
            raise self.error()
        return lambda fields: (
            not wanted.isdisjoint(
                each.strip().lower() for each in fields.get(name, b"").decode().split(",")
            )
        )

    def _numbers(self, name: str, text: str) -> Test:
        bounds = text.split()
        if len(bounds) != _BOUNDS:
            raise self.error()
        low, high = ((each.removeprefix("("), each.startswith("(")) for each in bounds)

        def test(fields: Fields) -> bool:
            if name not in fields:
                return False
            number = float(fields[name])
            above = number > _number(low[0]) if low[1] else number >= _number(low[0])
            return above and (number < _number(high[0]) if high[1] else number <= _number(high[0]))

        return test


def words(content: bytes) -> list[str]:
    """Return the words of a text, as the server cuts it: redis.io, "Tokenization"."""
    text = content.decode(errors="replace").lower()
    return re.split(r"[\s,.<>{}\[\]\"':;!@#$%^&*()\-+=~/\\|?`]+", text)


def _number(text: str) -> float:
    return {"inf": inf, "+inf": inf, "-inf": -inf}.get(text) or float(text)
