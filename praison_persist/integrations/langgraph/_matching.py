"""What a search of LangGraph's stores finds: filters of values, paths of namespaces, scores."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from math import sqrt
from typing import Any

from langgraph.store.base import MatchCondition

from praison_persist.errors import InvalidDataError

__all__ = ["check_filter", "cosine", "matches_filter", "matches_namespace"]

_ANY = "*"
_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "$gt": operator.gt,
    "$gte": operator.ge,
    "$lt": operator.lt,
    "$lte": operator.le,
}
_EQUALITY: dict[str, Callable[[Any, Any], bool]] = {"$eq": operator.eq, "$ne": operator.ne}
_KNOWN = {**_EQUALITY, **_ORDER}


def check_filter(wanted: Mapping[str, Any] | None) -> None:
    """Refuse operators that do not exist.

    Raises:
        InvalidDataError: names the operator and those there are.
    """
    for value in (wanted or {}).values():
        if not isinstance(value, Mapping):
            continue
        for name in value:
            if name.startswith("$") and name not in _KNOWN:
                raise InvalidDataError(
                    f"Unknown operator of a filter: {name!r}. Known: {', '.join(sorted(_KNOWN))}"
                )
        check_filter(value)


def matches_filter(value: Mapping[str, Any], wanted: Mapping[str, Any] | None) -> bool:
    """Whether all that the filter names is so in `value`; what is missing is None."""
    return all(_matches(value.get(name), each) for name, each in (wanted or {}).items())


def _matches(value: Any, wanted: Any) -> bool:
    if isinstance(wanted, Mapping):
        if any(name.startswith("$") for name in wanted):
            return all(_compares(value, name, each) for name, each in wanted.items())
        return isinstance(value, Mapping) and matches_filter(value, wanted)
    if isinstance(wanted, list | tuple):
        return (
            isinstance(value, list)
            and len(value) == len(wanted)
            and all(map(_matches, value, wanted))
        )
    return bool(value == wanted)


def _compares(value: Any, name: str, wanted: Any) -> bool:
    if name in _EQUALITY:
        return _EQUALITY[name](value, wanted)
    if name not in _ORDER:
        return False  # a name among operators is none: `check_filter` refuses unknown operators
    try:
        return _ORDER[name](float(value), float(wanted))
    except (TypeError, ValueError):
        # Numbers come before nothing and after nothing that is none; texts are ordered.
        both = isinstance(value, str) and isinstance(wanted, str)
        return both and _ORDER[name](value, wanted)


def matches_namespace(namespace: Sequence[str], condition: MatchCondition) -> bool:
    """Whether a namespace begins, or ends, with the condition's path; "*" is any label.

    Raises:
        InvalidDataError: the condition is neither a prefix nor a suffix.
    """
    path = condition.path
    if condition.match_type not in ("prefix", "suffix"):
        raise InvalidDataError(
            f"A namespace is matched by its 'prefix' or 'suffix', not {condition.match_type!r}"
        )
    if len(namespace) < len(path):
        return False
    begin = 0 if condition.match_type == "prefix" else len(namespace) - len(path)
    labels = namespace[begin : begin + len(path)]
    return all(wanted in (_ANY, label) for label, wanted in zip(labels, path, strict=True))


def cosine(one: Sequence[float], other: Sequence[float]) -> float:
    """Return the cosine similarity, 0 where a vector has no direction."""
    length = sqrt(sum(x * x for x in one)) * sqrt(sum(x * x for x in other))
    return sum(map(operator.mul, one, other)) / length if length else 0.0
