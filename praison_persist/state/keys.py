"""Keys and patterns of keys: what may be one, and which keys a glob means."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

from praison_persist.errors import InvalidDataError

__all__ = ["FIELD_MAX", "KEY_MAX", "Glob", "check_field", "check_key", "check_prefix", "state_key"]

KEY_MAX = 480  # characters: with a field, what InnoDB can index in four bytes each
FIELD_MAX = 255  # characters
# NUL ends a string in some drivers, surrogates have no UTF-8: a key has to be exact everywhere.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def check_key(key: object) -> str:
    """Return `key` if it can be one.

    Raises:
        InvalidDataError: no string, empty, too long, or with NUL or lone surrogates.
    """
    return _check(key, "key", KEY_MAX)


def check_field(field: object) -> str:
    """Return `field` if it can be one of a hash. Raises as `check_key`."""
    return _check(field, "field", FIELD_MAX)


def check_prefix(prefix: object) -> str:
    """Return `prefix` if keys can begin with it; so can they with "". Raises as `check_key`."""
    return "" if prefix == "" else _check(prefix, "prefix", KEY_MAX)


def state_key(kind: str, *parts: str) -> str:
    """Return the key of what these ids name; no two lists of ids share one."""
    key = ":".join([kind, *(part.replace("%", "%25").replace(":", "%3A") for part in parts)])
    if len(key) <= KEY_MAX:
        return key
    return f"{kind}:%sha256:{hashlib.sha256(key.encode()).hexdigest()}"


def _check(value: object, name: str, longest: int) -> str:
    if not isinstance(value, str) or not value:
        raise InvalidDataError(f"A {name} is a non-empty string, not {value!r}")
    if len(value) > longest:
        raise InvalidDataError(
            f"The {name} {value[:40]!r}… has {len(value)} characters, at most {longest} can be "
            "stored; shorten or hash it"
        )
    if _UNSTORABLE.search(value):
        raise InvalidDataError(f"The {name} {value!r} contains NUL or a lone surrogate")
    return value


@dataclass(frozen=True, slots=True)
class Glob:
    """A pattern of keys.

    Attributes:
        literals: the texts between its wildcards. A matching key begins with the first, ends with
            the last and has the others between, in this order: for a vendor to narrow down with.
        exact: decides.
    """

    literals: tuple[str, ...]
    exact: re.Pattern[str]

    @property
    def prefix(self) -> str:
        """What every matching key begins with."""
        return self.literals[0]

    def matches(self, key: str) -> bool:
        """Whether the key matches."""
        return self.exact.fullmatch(key) is not None

    @classmethod
    def of_prefix(cls, prefix: str) -> Self:
        """Return the pattern of all keys that begin with exactly `prefix`."""
        return cls((prefix, ""), re.compile(re.escape(prefix) + ".*", re.DOTALL))

    @classmethod
    def parse(cls, pattern: str) -> Glob:
        """Parse `*`, `?`, `[…]`, `[!…]`, `[^…]` and backslash; all else means itself.

        Raises:
            InvalidDataError: no string.
        """
        if not isinstance(pattern, str):
            raise InvalidDataError(f"A pattern of keys is a string, not {pattern!r}")
        return _parse(pattern)


_TOKEN = re.compile(r"\\(.)|(\*+)|(\?)|\[([!^]?)(\]?(?:\\.|[^\]\\])*)\]|(.)", re.DOTALL)


@lru_cache(maxsize=256)
def _parse(pattern: str) -> Glob:
    literals = [""]
    # Each stretch up to a star is found once and never again (an atomic group): a pattern of many
    # stars takes no longer than its length times the key's.
    stretches = [""]
    for escaped, stars, one, negated, members, plain in _TOKEN.findall(pattern):
        if escaped or plain:
            literals[-1] += escaped or plain
            stretches[-1] += re.escape(escaped or plain)
            continue
        literals.append("")
        if stars:
            stretches.append("")
        elif one:
            stretches[-1] += "."
        else:
            stretches[-1] += _class(members, negated=bool(negated))
    regex = stretches[0]
    if len(stretches) > 1:
        regex += "".join(f"(?>.*?{stretch})" for stretch in stretches[1:-1])
        regex += ".*" + stretches[-1]
    return Glob(tuple(literals), re.compile(regex, re.DOTALL))


_MEMBER = re.compile(r"(\\.|.)(?:-(\\.|.))?", re.DOTALL)


def _class(members: str, *, negated: bool) -> str:
    """Return the regular expression of a set of characters; an empty set has none."""
    ranges = []
    for low, high in _MEMBER.findall(members):
        first = low[-1]
        last = high[-1] if high else first
        first, last = min(first, last), max(first, last)
        ranges.append(f"{re.escape(first)}-{re.escape(last)}")
    if not ranges:
        return "." if negated else "(?!)"
    return f"[{'^' if negated else ''}{''.join(ranges)}]"
