"""Ranges of numbers as terms, for vendors whose indexes have to know each field beforehand.

A double is 16 hexadecimal digits that sort as the doubles do. A number is kept as 16 terms, one for
each beginning of its digits; a range is the fewest beginnings that cover it. "The number lies in
the range" then is "the document has one of these terms", without rounding and for any field.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

from praison_persist.knowledge.filters import And, Filter, Has, Not, Or, Range
from praison_persist.knowledge.terms import numbers_of, terms_of, token

__all__ = ["ANY", "filter_terms", "without_ranges"]

ANY = "d"  # a term of every document
_DIGITS = 16
_SIGN = 1 << 63
_ALL = (1 << 64) - 1


def filter_terms(metadata: Mapping[str, Any] | None) -> list[str]:
    """Return all that filters compare of a document: words of a letter and hexadecimal digits."""
    found = [ANY, *(_word(each) for each in terms_of(metadata))]
    for key, number in numbers_of(metadata).items():
        digits = f"{_place(number):016x}"
        found += [_beginning(key, digits[:size]) for size in range(1, _DIGITS + 1)]
    return found


def without_ranges(where: Filter) -> Filter:
    """Return the same filter over `filter_terms`, whose leaves are Has alone."""
    match where:
        case Has(terms):
            return Has(tuple(map(_word, terms)))
        case Range(key, bounds):
            low, high = 0, _ALL
            for name, bound in bounds:
                place = _place(bound)
                if name in (">", ">="):
                    low = max(low, place + (name == ">"))
                else:
                    high = min(high, place - (name == "<"))
            return Has(tuple(_beginning(key, each) for each in _cover(low, high)))
        case And(parts):
            return And(tuple(map(without_ranges, parts)))
        case Or(parts):
            return Or(tuple(map(without_ranges, parts)))
        case Not(part):
            return Not(without_ranges(part))


def _word(term: str) -> str:
    return f"t{token(term)}"


def _beginning(key: str, digits: str) -> str:
    # Half a token tells the few fields apart, and keeps a filter of hundreds of terms short.
    return f"n{token(key)[:_DIGITS]}{digits}"


def _place(number: float) -> int:
    """Return a whole number of 64 bits that is the larger the larger the double is."""
    (bits,) = struct.unpack(">Q", struct.pack(">d", number + 0.0))  # -0.0 is 0.0
    return int(bits ^ (_ALL if bits & _SIGN else _SIGN))


def _cover(low: int, high: int) -> list[str]:
    """Return the beginnings that all places from low to high have, and no others."""
    found = []
    for size in range(_DIGITS, 0, -1):
        while low <= high and low % 16:
            found.append(f"{low:0{size}x}")
            low += 1
        while low <= high and high % 16 != 15:  # noqa: PLR2004 - the last of 16
            found.append(f"{high:0{size}x}")
            high -= 1
        if low > high:
            break
        low, high = low // 16, high // 16
    return found
