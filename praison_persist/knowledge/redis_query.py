"""The query language of RediSearch and valkey-search, and the replies to it in both protocols.

redis.io, "Query dialects", dialect 2, which is the only one of valkey-search. A query has nothing
in it but words of letters, digits and underscores: a TAG holds tokens, texts are cut into words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from praison_persist.knowledge.filters import And, Filter, Has, Not, Or, Range, pushed_down
from praison_persist.knowledge.ranges import ANY, without_ranges

__all__ = ["hits", "narrowed", "query_of", "total", "words_of"]

_NONE = "nothing"  # a term of no document
_WORD = re.compile(r"\w+")
_WORDS = 64  # of a question; those beyond are not looked for


def query_of(where: Filter | None) -> str:
    """Return a query for the documents that match."""
    if where is None:
        return f"@terms:{{{ANY}}}"
    return _compiled(pushed_down(without_ranges(where)))


def narrowed(query: str, *others: str) -> str:
    """Return a query for what all of these find."""
    return f"({' '.join((query, *others))})"


def words_of(text: str) -> str | None:
    """Return a query for the documents that have one of the words, if there is any word."""
    words = list(dict.fromkeys(_WORD.findall(text)))[:_WORDS]
    return f"({'|'.join(f'@content:{each}' for each in words)})" if words else None


def _compiled(where: Filter) -> str:
    match where:
        case Has(terms):
            return f"@terms:{{{'|'.join(terms) or _NONE}}}"
        case And(parts):
            return f"({' '.join(map(_compiled, parts))})"
        case Or(parts):
            return f"({'|'.join(map(_compiled, parts))})"
        case Not(part):
            return f"(-{_compiled(part)})"
        case Range():
            raise AssertionError(where)  # they are terms by now


def total(reply: Any) -> int:
    """Return how many documents a reply to FT.SEARCH says there are."""
    return int(_by_name(reply)["total_results"] if isinstance(reply, Mapping) else reply[0])


def hits(reply: Any) -> Iterator[tuple[bytes, dict[str, bytes]]]:
    """Yield key and fields of each document of a reply to FT.SEARCH."""
    if isinstance(reply, Mapping):  # RESP3
        for each in _by_name(reply)["results"]:
            found = _by_name(each)
            yield found["id"], _by_name(found["extra_attributes"])
        return
    for key, fields in zip(reply[1::2], reply[2::2], strict=True):
        yield key, {_text(name): value for name, value in zip(*[iter(fields)] * 2, strict=True)}


def _by_name(reply: Mapping[Any, Any]) -> dict[str, Any]:
    return {_text(name): value for name, value in reply.items()}


def _text(name: bytes | str) -> str:
    return name.decode() if isinstance(name, bytes) else name
