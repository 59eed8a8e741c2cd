"""Numbers for vendors that hold no infinity: an int beyond all doubles is one as a number.

The bounds of a `Range` are finite, so an infinity lies in it if nothing bounds that side. It is
kept as a term, which no term of metadata is equal to.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isinf
from typing import Any

from praison_persist.knowledge.filters import Has, Range
from praison_persist.knowledge.terms import exists_term, numbers_of, terms_of

__all__ = ["all_terms_of", "finite_numbers_of", "infinite_in"]


def all_terms_of(metadata: Mapping[str, Any] | None) -> list[str]:
    """Return the terms of a document, and one more for each number that is infinite."""
    infinite = {key: number for key, number in numbers_of(metadata).items() if isinf(number)}
    return [*terms_of(metadata), *(_term(key, number > 0) for key, number in infinite.items())]


def finite_numbers_of(metadata: Mapping[str, Any] | None) -> dict[str, float]:
    """Return the other numbers of a document by field."""
    return {key: number for key, number in numbers_of(metadata).items() if not isinf(number)}


def infinite_in(where: Range) -> Has:
    """Return the condition that the number is infinite and in the range."""
    signs = {name[0] for name, _ in where.bounds}
    if signs == {">"}:
        return Has((_term(where.key, True),))
    return Has((_term(where.key, False),)) if signs == {"<"} else Has(())


def _term(key: str, positive: bool) -> str:
    return f"infinite:{'+' if positive else '-'}{exists_term(key)}"
