"""Filters as conditions of SQL."""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa

from praison_persist.knowledge.filters import And, Filter, Has, Not, Or, Range

__all__ = ["Within", "condition"]

Within = Callable[[sa.ColumnElement[float]], sa.ColumnElement[bool]]


def condition(
    where: Filter,
    has: Callable[[tuple[str, ...]], sa.ColumnElement[bool]],
    ranges: Callable[[str, Within], sa.ColumnElement[bool]],
) -> sa.ColumnElement[bool]:
    """Return what a filter means for a row.

    Args:
        where: the filter.
        has: whether the row has one of these terms, of which there is one at least; never NULL.
        ranges: whether the row has a number of this key that is within bounds; never NULL.
    """
    match where:
        case Has(()):
            return sa.false()
        case Has(terms):
            return has(terms)
        case Range(key, bounds):
            return ranges(
                key,
                lambda number: sa.and_(*(number.bool_op(name)(bound) for name, bound in bounds)),
            )
        case And(parts):
            return sa.and_(*(condition(part, has, ranges) for part in parts))
        case Or(parts):
            return sa.or_(*(condition(part, has, ranges) for part in parts))
        case Not(part):
            return sa.not_(condition(part, has, ranges))
