"""What filters compare: each value of a document's metadata as a term, each number as a number.

A vendor keeps with a document the set of its terms and a number for each numeric field, and so
answers any filter exactly with two things that all of them have: "the set has one of these", and a
range of numbers. Terms are ASCII and harmless to store; how they are quoted is the vendor's own.
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Mapping
from typing import Any

from praison_persist._json import dumps

__all__ = ["TERM_MAX", "exists_term", "numbers_of", "safe_key", "term", "terms_of", "token"]

TERM_MAX = 100  # characters

_UNSAFE = re.compile(r"[^A-Za-z0-9]")


def term(key: str, value: str | float | bool) -> str:
    """Return the term of a field that has this value."""
    return _short(f"{dumps(key)}={_value(value)}")


def exists_term(key: str) -> str:
    """Return the term of a field that has any value."""
    return _short(dumps(key))


def terms_of(metadata: Mapping[str, Any] | None) -> list[str]:
    """Return the terms of a document, sorted."""
    found = set()
    for key, value in (metadata or {}).items():
        values = value if isinstance(value, list) else [value]
        scalars = [each for each in values if isinstance(each, str | int | float)]
        if scalars:
            found.add(exists_term(key))
        found.update(term(key, each) for each in scalars)
    return sorted(found)


def numbers_of(metadata: Mapping[str, Any] | None) -> dict[str, float]:
    """Return the numbers of a document by field. Lists have none."""
    return {
        key: _double(value)
        for key, value in (metadata or {}).items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


def safe_key(key: str) -> str:
    """Return a name of ASCII letters, digits and underscores, another one for each key."""
    safe = _UNSAFE.sub(lambda found: f"_{ord(found[0]):x}_", key)
    return safe if len(safe) <= TERM_MAX else f"_{token(key)}"


def token(text: str) -> str:
    """Return 32 hexadecimal digits for a text, where a vendor's own quoting is in doubt."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _short(text: str) -> str:
    return text if len(text) <= TERM_MAX else f"sha256:{token(text)}"


def _value(value: str | float | bool) -> str:
    if isinstance(value, str | bool):
        return dumps(value)
    return repr(_double(value) + 0.0)  # -0.0 is 0.0


def _double(value: float) -> float:
    try:
        return float(value)
    except OverflowError:  # an int beyond all doubles; infinity is no JSON
        return sys.float_info.max if value > 0 else -sys.float_info.max
