"""The filter language, parsed. What it means is written at `KnowledgeStore`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sized
from dataclasses import dataclass
from math import isfinite
from typing import Any

from praison_persist.errors import InvalidDataError
from praison_persist.knowledge.terms import exists_term, numbers_of, term, terms_of

__all__ = ["And", "Filter", "Has", "Not", "Or", "Range", "matches", "parse_filters", "pushed_down"]

_DEPTH = 50
_WIDTH = 1000  # values or filters of a list: each is a parameter of a query


@dataclass(frozen=True, slots=True)
class Has:
    """The document has one of these terms; never, if there are none."""

    terms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Range:
    """A number of the document lies in a range.

    Attributes:
        bounds: ">", ">=", "<" or "<=" and a finite number each; all hold.
    """

    key: str
    bounds: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class And:
    """All parts hold; there is at least one."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """One of the parts holds; there is at least one."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not hold."""

    part: Filter


Filter = Has | Range | And | Or | Not

_BOUNDS = {"$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<="}


def parse_filters(filters: Mapping[str, Any] | None) -> Filter | None:
    """Return what filters mean; None if they say nothing.

    Raises:
        InvalidDataError: no filters; says where, and what there is.
    """
    return None if filters is None else _parse(filters, "filters", 0)


def _parse(filters: object, path: str, depth: int) -> Filter | None:
    if not isinstance(filters, Mapping):
        raise InvalidDataError(f"{path} must be a dict of field -> value, not {filters!r}")
    if depth == _DEPTH:
        raise InvalidDataError(f"{path} is nested deeper than {_DEPTH} levels")
    parts = [_part(key, value, f"{path}[{key!r}]", depth) for key, value in filters.items()]
    return _joined(And, parts)


def _joined(kind: type[And | Or], parts: list[Filter]) -> Filter | None:
    return kind(tuple(parts)) if len(parts) > 1 else next(iter(parts), None)


def _part(key: object, value: object, path: str, depth: int) -> Filter:
    if not isinstance(key, str):
        raise InvalidDataError(f"{path}: a field is a string, not {type(key).__name__}")
    if key in ("$and", "$or"):
        return _several(key, value, path, depth)
    if key == "$not":
        return Not(_given(_parse(value, path, depth + 1), path))
    if key.startswith("$"):
        raise InvalidDataError(f"{path}: there is no such operator; there are $and, $or and $not")
    if isinstance(value, Mapping):
        return _conditions(key, value, path)
    return Has((term(key, _scalar(value, path)),))


def _several(key: str, value: object, path: str, depth: int) -> Filter:
    if not isinstance(value, list | tuple) or not value:
        raise InvalidDataError(f"{path} must be a list of at least one filter, not {value!r}")
    _check_width(value, path)
    parts = [
        _given(_parse(each, f"{path}[{index}]", depth + 1), f"{path}[{index}]")
        for index, each in enumerate(value)
    ]
    return _given(_joined(And if key == "$and" else Or, parts), path)


def _given(part: Filter | None, path: str) -> Filter:
    if part is None:
        raise InvalidDataError(f"{path} is empty: write what to compare, or leave it out")
    return part


def _conditions(key: str, conditions: Mapping[Any, Any], path: str) -> Filter:
    parts: list[Filter] = []
    bounds: list[tuple[str, float]] = []
    for operator, value in conditions.items():
        here = f"{path}[{operator!r}]"
        if operator in _BOUNDS:
            bounds.append((_BOUNDS[operator], _number(value, here)))
        elif isinstance(operator, str) and operator in _CONDITIONS:
            parts.append(_CONDITIONS[operator](key, value, here))
        else:
            known = ", ".join([*_CONDITIONS, *_BOUNDS])
            raise InvalidDataError(f"{here}: there is no such operator; there are {known}")
    if bounds:
        parts.append(Range(key, tuple(bounds)))
    return _given(_joined(And, parts), path)


def _equals(key: str, value: object, path: str) -> Filter:
    return Has((term(key, _scalar(value, path)),))


def _one_of(key: str, values: object, path: str) -> Filter:
    if not isinstance(values, list | tuple | set | frozenset):
        raise InvalidDataError(f"{path} must be a list of values, not {values!r}")
    _check_width(values, path)
    return Has(tuple(sorted({term(key, _scalar(value, path)) for value in values})))


def _check_width(values: Sized, path: str) -> None:
    if len(values) > _WIDTH:
        raise InvalidDataError(
            f"{path} has {len(values)} parts, at most {_WIDTH} are compared; ask several times"
        )


def _exists(key: str, value: object, path: str) -> Filter:
    if not isinstance(value, bool):
        raise InvalidDataError(f"{path} must be True or False, not {value!r}")
    found = Has((exists_term(key),))
    return found if value else Not(found)


_CONDITIONS: dict[str, Callable[[str, Any, str], Filter]] = {
    "$eq": _equals,
    "$ne": lambda key, value, path: Not(_equals(key, value, path)),
    "$in": _one_of,
    "$nin": lambda key, values, path: Not(_one_of(key, values, path)),
    "$exists": _exists,
}


def _scalar(value: object, path: str) -> Any:
    if isinstance(value, float) and not isfinite(value):
        raise InvalidDataError(f"{path} is {value!r}, which no metadata can hold")
    if not isinstance(value, str | int | float):
        hint = "; $exists tells what is there" if value is None else ""
        raise InvalidDataError(
            f"{path} must be a string, a number or a boolean, not {type(value).__name__}{hint}"
        )
    return value


def _number(value: object, path: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidDataError(
            f"{path} must be a number, not {type(value).__name__}; keep times as epoch seconds"
        )
    try:
        number = float(value)
    except OverflowError:
        number = float("inf")
    if not isfinite(number):
        raise InvalidDataError(f"{path} must be a number that doubles can hold")
    return number


_COMPARE: dict[str, Callable[[float, float], bool]] = {
    ">": lambda number, bound: number > bound,
    ">=": lambda number, bound: number >= bound,
    "<": lambda number, bound: number < bound,
    "<=": lambda number, bound: number <= bound,
}


def matches(where: Filter, metadata: Mapping[str, Any] | None) -> bool:
    """Whether a document of this metadata is meant: what every vendor has to agree with."""
    return _matches(where, set(terms_of(metadata)), numbers_of(metadata))


def _matches(where: Filter, terms: set[str], numbers: Mapping[str, float]) -> bool:
    match where:
        case Has(wanted):
            return not terms.isdisjoint(wanted)
        case Range(key, bounds):
            return key in numbers and all(
                _COMPARE[name](numbers[key], bound) for name, bound in bounds
            )
        case And(parts):
            return all(_matches(part, terms, numbers) for part in parts)
        case Or(parts):
            return any(_matches(part, terms, numbers) for part in parts)
        case Not(part):
            return not _matches(part, terms, numbers)


def pushed_down(where: Filter) -> Filter:
    """Return the same filter with Not only right above Has and Range, for vendors that ask so."""
    match where:
        case And(parts):
            return And(tuple(map(pushed_down, parts)))
        case Or(parts):
            return Or(tuple(map(pushed_down, parts)))
        case Not(Not(part)):
            return pushed_down(part)
        case Not(And(parts)):
            return Or(tuple(pushed_down(Not(part)) for part in parts))
        case Not(Or(parts)):
            return And(tuple(pushed_down(Not(part)) for part in parts))
        case _:
            return where
