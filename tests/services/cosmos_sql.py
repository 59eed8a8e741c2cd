"""The part of Azure Cosmos DB's query language that a knowledge store uses.

learn.microsoft.com, "Queries in Azure Cosmos DB for NoSQL". What does not exist is undefined: a
comparison with it is undefined as well, and rows are returned whose condition is true.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

__all__ = ["BadQueryError", "Query", "parse"]

_TOKEN = re.compile(
    r"""\s*(?:(?P<text>"(?:\\.|[^"\\])*")|(?P<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)"""
    r"""|(?P<parameter>@\w+)|(?P<word>[A-Za-z_]\w*)|(?P<sign><=|>=|!=|[=<>(),.\[\]{}:]))"""
)
_SIGNS: dict[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_UNDEFINED: Any = type("Undefined", (), {"__repr__": lambda _: "undefined"})()
_COUNT = "count of the rows"

Expression = Callable[[dict[str, Any]], Any]


class BadQueryError(Exception):
    """The query is refused."""


@dataclass
class Query:
    """A parsed query. The texts are those of its parts, to be written anew."""

    top: int | None = None
    value: bool = False
    columns: list[tuple[str, Expression, str]] = field(default_factory=list)
    where: Expression = lambda _: True
    where_text: str = "true"
    order: Expression | None = None
    order_text: str = ""
    descending: bool = False
    by_distance: bool = False
    counts: bool = False

    def run(self, items: list[dict[str, Any]]) -> list[Any]:
        """Return the rows."""
        found = [item for item in items if self.where(item) is True]
        if self.counts:
            found = [{_COUNT: len(found)}]
        if self.order is not None:
            order = self.order
            found = [item for item in found if order(item) is not _UNDEFINED]
            found.sort(key=order, reverse=self.descending)
        return [self._row(item) for item in found[: self.top]]

    def _row(self, item: dict[str, Any]) -> Any:
        if self.value:
            return self.columns[0][1](item)
        row = {name: column(item) for name, column, _ in self.columns}
        return {name: value for name, value in row.items() if value is not _UNDEFINED}

    def rewritten(self) -> str:
        """Return what is asked of each partition, so that the answers can be merged."""
        top = "" if self.top is None else f"TOP {self.top} "
        if self.counts:
            return f'SELECT VALUE [{{"item": COUNT(1)}}] FROM c WHERE {self.where_text}'
        if self.order is None:
            return ""
        payload = ", ".join(f'"{name}": {text}' for name, _, text in self.columns)
        return (
            f'SELECT {top}c._rid, [{{"item": {self.order_text}}}] AS orderByItems, '
            f"{{{payload}}} AS payload FROM c WHERE {self.where_text} ORDER BY {self.order_text}"
        )


def parse(text: str, parameters: list[dict[str, Any]], metric: str) -> Query:
    """Return a query on items whose embeddings are compared by this metric."""
    values = {each["name"]: each["value"] for each in parameters}
    return _Parser(text, values, metric).query()


class _Parser:
    def __init__(self, text: str, values: dict[str, Any], metric: str) -> None:
        self._text, self._values, self._metric = text, values, metric
        self._tokens: list[tuple[str, str, int, int]] = []
        at = 0
        while text[at:].strip():
            found = _TOKEN.match(text, at)
            if found is None:
                raise BadQueryError(f"Syntax error, incorrect syntax near '{text[at : at + 10]}'.")
            kind = str(found.lastgroup)
            self._tokens.append((kind, found[kind], found.start(kind), found.end(kind)))
            at = found.end()
        self._at = 0
        self._counts = False

    def query(self) -> Query:
        query = Query()
        self._need("SELECT")
        if self._eat("TOP"):
            query.top = int(self._next()[1])
        query.value = self._eat("VALUE")
        query.columns.append(self._column())
        while self._eat(","):
            query.columns.append(self._column())
        query.counts = self._counts
        self._need("FROM")
        self._need("c")
        if self._eat("WHERE"):
            query.where, query.where_text = self._with_text(self._either)
        if self._eat("ORDER"):
            self._need("BY")
            query.by_distance = self._is("VectorDistance")
            query.order, query.order_text = self._with_text(self._value)
            query.descending = query.by_distance and self._metric != "euclidean"
        if self._at < len(self._tokens):
            raise BadQueryError(f"Syntax error, incorrect syntax near '{self._next()[1]}'.")
        return query

    def _column(self) -> tuple[str, Expression, str]:
        column, text = self._with_text(self._either)
        name = self._next()[1] if self._eat("AS") else text.rpartition(".")[2]
        return name, column, text

    def _with_text(self, part: Callable[[], Expression]) -> tuple[Expression, str]:
        begin = self._at
        found = part()
        return found, self._text[self._tokens[begin][2] : self._tokens[self._at - 1][3]]

    def _next(self) -> tuple[str, str]:
        if self._at == len(self._tokens):
            raise BadQueryError("Syntax error, unexpected end of the query.")
        kind, text, _, _ = self._tokens[self._at]
        self._at += 1
        return kind, text

    def _is(self, text: str) -> bool:
        return self._at < len(self._tokens) and self._tokens[self._at][1] == text

    def _eat(self, text: str) -> bool:
        found = self._is(text)
        self._at += found
        return found

    def _need(self, text: str) -> None:
        if not self._eat(text):
            raise BadQueryError(f"Syntax error, {text} expected.")

    def _either(self) -> Expression:
        parts = [self._all()]
        while self._eat("OR"):
            parts.append(self._all())
        return parts[0] if len(parts) == 1 else lambda item: _or([part(item) for part in parts])

    def _all(self) -> Expression:
        parts = [self._not()]
        while self._eat("AND"):
            parts.append(self._not())
        return parts[0] if len(parts) == 1 else lambda item: _and([part(item) for part in parts])

    def _not(self) -> Expression:
        if self._eat("NOT"):
            part = self._not()
            return lambda item: _negated(part(item))
        return self._compared()

    def _compared(self) -> Expression:
        left = self._value()
        if self._eat("IN"):
            self._need("(")
            others = self._list(")")
            return lambda item: left(item) in [other(item) for other in others]
        for sign, compare in _SIGNS.items():
            if self._eat(sign):
                right = self._value()
                return lambda item: _compared(compare, left(item), right(item))
        return left

    def _list(self, end: str) -> list[Expression]:
        found: list[Expression] = []
        while not self._eat(end):
            found.append(self._either())
            if not self._is(end):
                self._need(",")
        return found

    def _value(self) -> Expression:
        kind, text = self._next()
        if kind == "text":
            return lambda _: text[1:-1]
        if kind == "number":
            return lambda _: float(text)
        if kind == "parameter":
            if text not in self._values:
                raise BadQueryError(f"The parameter {text} was not given.")
            return lambda _: self._values[text]
        if text == "(":
            inner = self._either()
            self._need(")")
            return inner
        if text == "[":
            items = self._list("]")
            return lambda item: [each(item) for each in items]
        if text == "{":
            return self._object()
        if text in ("true", "false"):
            return lambda _: text == "true"
        if text == "c":
            return self._path()
        if self._eat("("):
            return self._function(text)
        raise BadQueryError(f"Syntax error, incorrect syntax near '{text}'.")

    def _object(self) -> Expression:
        fields: dict[str, Expression] = {}
        while not self._eat("}"):
            name = self._next()[1][1:-1]
            self._need(":")
            fields[name] = self._either()
            self._eat(",")
        return lambda item: {
            name: value for name, part in fields.items() if (value := part(item)) is not _UNDEFINED
        }

    def _path(self) -> Expression:
        names: list[str] = []
        while True:
            if self._eat("."):
                names.append(self._next()[1])
            elif self._eat("["):
                names.append(self._next()[1][1:-1])
                self._need("]")
            else:
                return lambda item: _reached(item, names)

    def _function(self, name: str) -> Expression:
        arguments = self._list(")")
        if name == "COUNT":
            self._counts = True
            return lambda item: item[_COUNT]
        if name == "IS_DEFINED":
            return lambda item: arguments[0](item) is not _UNDEFINED
        if name == "ARRAY_CONTAINS":
            return lambda item: _contains(*(argument(item) for argument in arguments))
        if name == "VectorDistance":
            return lambda item: _distance(self._metric, *(part(item) for part in arguments))
        raise BadQueryError(f"'{name}' is not a recognized built-in function name.")


def _reached(item: Any, names: list[str]) -> Any:
    for name in names:
        if not isinstance(item, dict) or name not in item:
            return _UNDEFINED
        item = item[name]
    return item


def _or(values: list[Any]) -> Any:
    if True in values:
        return True
    return False if all(value is False for value in values) else _UNDEFINED


def _and(values: list[Any]) -> Any:
    if False in values:
        return False
    return True if all(value is True for value in values) else _UNDEFINED


def _negated(value: Any) -> Any:
    return not value if isinstance(value, bool) else _UNDEFINED


def _compared(compare: Callable[[Any, Any], Any], left: Any, right: Any) -> Any:
    kinds = {_kind(left), _kind(right)}
    return compare(left, right) if len(kinds) == 1 and "other" not in kinds else _UNDEFINED


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return "string" if isinstance(value, str) else "other"


def _contains(array: Any, value: Any) -> Any:
    return value in array if isinstance(array, list) else _UNDEFINED


def _distance(metric: str, left: Any, right: Any) -> Any:
    if not isinstance(left, list) or not isinstance(right, list) or len(left) != len(right):
        return _UNDEFINED
    if metric == "euclidean":
        return math.dist(left, right)
    dot: float = sum(map(operator.mul, left, right))
    return dot if metric == "dotproduct" else dot / (math.hypot(*left) * math.hypot(*right))
