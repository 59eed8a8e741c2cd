"""The part of Couchbase's SQL++ that a knowledge store uses.

docs.couchbase.com, "SQL++ Language Reference". What does not exist is MISSING: a comparison with it
is MISSING as well, and rows are returned whose condition is true.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["BadStatementError", "Row", "Select", "keyspace", "parse"]

Row = tuple[str, dict[str, Any]]  # key and document
Expression = Callable[[Row], Any]

_TOKEN = re.compile(
    r"""\s*(?:(?P<quoted>`[^`]+`)|(?P<text>"[^"\\]*")|(?P<number>-?\d+(?:\.\d+)?)"""
    r"""|(?P<parameter>\$\w+)|(?P<word>[A-Za-z_]\w*)|(?P<sign><=|>=|!=|[=<>(),.*]))"""
)
_SIGNS: dict[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_MISSING: Any = type("Missing", (), {"__repr__": lambda _: "MISSING"})()


class BadStatementError(Exception):
    """The statement is refused."""


@dataclass
class Select:
    """A parsed SELECT."""

    source: list[str] = field(default_factory=list)
    raw: bool = False
    columns: list[tuple[str, Expression]] = field(default_factory=list)
    where: Expression = lambda _: True
    order: Expression | None = None
    limit: Expression | None = None
    counts: bool = False

    def run(self, rows: list[Row]) -> list[Any]:
        """Return the results."""
        found = [row for row in rows if self.where(row) is True]
        if self.counts:
            return [len(found)]
        if self.order is not None:
            found.sort(key=self.order)
        if self.limit is not None:
            found = found[: self.limit(("", {}))]
        return [self._result(row) for row in found]

    def _result(self, row: Row) -> Any:
        if self.raw:
            return self.columns[0][1](row)
        result = {name: column(row) for name, column in self.columns}
        return {name: value for name, value in result.items() if value is not _MISSING}


def keyspace(statement: str) -> list[str]:
    """Return bucket, scope and collection that CREATE INDEX names."""
    found = re.match(
        r"CREATE (?:PRIMARY )?INDEX (?:`\w+` )?IF NOT EXISTS ON "
        r"`([^`]+)`\.`([^`]+)`\.`([^`]+)`( ?\(.+\))?$",
        statement,
    )
    if found is None:
        raise BadStatementError(f"syntax error - {statement[:60]}")
    return [found[1], found[2], found[3]]


def parse(statement: str, parameters: Mapping[str, Any]) -> Select:
    """Return a SELECT with its named parameters, each with its $."""
    return _Parser(statement, parameters).select()


class _Parser:
    def __init__(self, statement: str, parameters: Mapping[str, Any]) -> None:
        self._parameters = parameters
        self._tokens: list[tuple[str, str]] = []
        at = 0
        while statement[at:].strip():
            found = _TOKEN.match(statement, at)
            if found is None:
                raise BadStatementError(f"syntax error - at {statement[at : at + 10]}")
            self._tokens.append((str(found.lastgroup), found[str(found.lastgroup)]))
            at = found.end()
        self._at = 0
        self._variables: list[str] = []

    def select(self) -> Select:
        select = Select()
        self._need("SELECT")
        select.raw = self._eat("RAW")
        if self._eat("COUNT"):
            self._need("(", "*", ")")
            select.counts = True
        else:
            select.columns.append(self._column())
            while self._eat(","):
                select.columns.append(self._column())
        self._need("FROM")
        select.source.append(self._next()[1].strip("`"))
        while self._eat("."):
            select.source.append(self._next()[1].strip("`"))
        self._need("AS", "d")
        if self._eat("WHERE"):
            select.where = self._either()
        if self._eat("ORDER"):
            self._need("BY")
            select.order = self._value()
        if self._eat("LIMIT"):
            select.limit = self._value()
        if self._at < len(self._tokens):
            raise BadStatementError(f"syntax error - at {self._next()[1]}")
        return select

    def _column(self) -> tuple[str, Expression]:
        column = self._value()
        name = self._tokens[self._at - 1][1].strip("`")
        return (self._next()[1] if self._eat("AS") else name), column

    def _next(self) -> tuple[str, str]:
        if self._at == len(self._tokens):
            raise BadStatementError("syntax error - at end of input")
        self._at += 1
        return self._tokens[self._at - 1]

    def _eat(self, text: str) -> bool:
        found = self._at < len(self._tokens) and self._tokens[self._at][1] == text
        self._at += found
        return found

    def _need(self, *texts: str) -> None:
        for text in texts:
            if not self._eat(text):
                raise BadStatementError(f"syntax error - {text} expected")

    def _either(self) -> Expression:
        parts = [self._all()]
        while self._eat("OR"):
            parts.append(self._all())
        return parts[0] if len(parts) == 1 else lambda row: _or([part(row) for part in parts])

    def _all(self) -> Expression:
        parts = [self._not()]
        while self._eat("AND"):
            parts.append(self._not())
        return parts[0] if len(parts) == 1 else lambda row: _and([part(row) for part in parts])

    def _not(self) -> Expression:
        if self._eat("NOT"):
            part = self._not()
            return lambda row: not found if (found := part(row)) is not _MISSING else _MISSING
        left = self._value()
        if self._eat("IS"):
            self._need("NOT", "MISSING")
            return lambda row: left(row) is not _MISSING
        for sign, compare in _SIGNS.items():
            if self._eat(sign):
                right = self._value()
                return lambda row: _compared(compare, left(row), right(row))
        return left

    def _value(self) -> Expression:
        kind, text = self._next()
        if kind == "text":
            return lambda _: text[1:-1]
        if kind == "number":
            return lambda _: int(text)
        if kind == "parameter":
            if text not in self._parameters:
                raise BadStatementError(f"No value for named parameter {text}")
            return lambda _: self._parameters[text]
        if text == "(":
            inner = self._either()
            self._need(")")
            return inner
        if text in ("TRUE", "FALSE"):
            return lambda _: text == "TRUE"
        if text == "ANY":
            return self._any()
        if text == "META":
            self._need("(", "d", ")", ".", "id")
            return lambda row: row[0]
        if text == "VECTOR_DISTANCE":
            return self._distance()
        if text == "d":
            return self._path()
        raise BadStatementError(f"syntax error - at {text}")

    def _any(self) -> Expression:
        self._need("t", "IN")
        values = self._value()
        self._need("SATISFIES", "t", "IN")
        wanted = self._value()
        self._need("END")
        return lambda row: any(value in wanted(row) for value in values(row))

    def _distance(self) -> Expression:
        self._need("(")
        vector = self._value()
        self._need(",")
        question = self._value()
        self._need(",")
        metric = self._value()
        self._need(")")
        return lambda row: _distance(metric(row), vector(row), question(row))

    def _path(self) -> Expression:
        names: list[str] = []
        while self._eat("."):
            names.append(self._next()[1].strip("`"))
        return lambda row: _reached(row[1], names)


def _reached(value: Any, names: list[str]) -> Any:
    for name in names:
        if not isinstance(value, dict) or name not in value:
            return _MISSING
        value = value[name]
    return value


def _or(values: list[Any]) -> Any:
    if True in values:
        return True
    return _MISSING if _MISSING in values else False


def _and(values: list[Any]) -> Any:
    if False in values:
        return False
    return _MISSING if _MISSING in values else True


def _compared(compare: Callable[[Any, Any], Any], left: Any, right: Any) -> Any:
    return _MISSING if _MISSING in (left, right) else compare(left, right)


def _distance(metric: str, left: list[float], right: list[float]) -> float:
    if len(left) != len(right):
        raise BadStatementError("VECTOR_DISTANCE: the vectors are of different dimensions")
    dot: float = sum(map(operator.mul, left, right))
    if metric == "EUCLIDEAN":
        return math.dist(left, right)
    if metric == "DOT":
        return -dot
    if metric == "COSINE":
        return 1 - dot / (math.hypot(*left) * math.hypot(*right))
    raise BadStatementError(f"VECTOR_DISTANCE: no such metric {metric}")
