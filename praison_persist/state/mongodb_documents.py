"""The documents that keep state in MongoDB, and the pipelines that update one of them.

A document is:

    _id         prefix and key
    format      1; documents of others lack it
    value       JSON, if there is a value, and its version
    version
    fields      the hash, escaped field -> JSON
    expires_at  seconds since the epoch; null or missing: never
    purge_at    the same as a date, for the index that lets the server delete what expired
    answers     what conditional writes were answered lately, newest first

A pipeline begins with a new document where the old one has expired. A write whose answer was lost
is repeated with the same version: its answer is still there, so that it is not done twice though
others have written since. (PyMongo's own repetition, the first, is known to the server anyhow.)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import inf
from typing import Any
from urllib.parse import unquote

from bson import DatetimeMS, Int64

__all__ = [
    "FORMAT",
    "adding",
    "answer_in",
    "answer_to",
    "escaped",
    "expiry",
    "field_path",
    "id_range",
    "is_live",
    "putting",
    "putting_fields",
    "putting_if",
    "removing_fields",
    "unescaped",
]

FORMAT = 1
_ANSWERS = 64
_INT64_MIN, _INT64_MAX = -(2**63), 2**63 - 1
_SURROGATES, _AFTER_SURROGATES = 0xD800, 0xE000

Document = dict[str, Any]


def is_live(now: float) -> Document:
    """Return the condition of a query that a document has not expired."""
    # Compares numbers only: null and missing are not less.
    return {"expires_at": {"$not": {"$lte": now}}}


def id_range(prefix: str) -> Document:
    """Return the condition that an id begins with `prefix`, as bounds of the index.

    Strings are compared as UTF-8, whose order is that of code points.
    """
    begin = prefix.rstrip("\U0010ffff")
    if not begin:
        return {"$gte": prefix}
    last = ord(begin[-1]) + 1
    end = begin[:-1] + chr(_AFTER_SURROGATES if last == _SURROGATES else last)
    return {"$gte": prefix, "$lt": end}


def expiry(now: float, ttl: float | None) -> Document:
    """Return the parts that say when a document expires."""
    if ttl is None:
        return {"expires_at": None, "purge_at": None}
    return {"expires_at": now + ttl, "purge_at": DatetimeMS(int((now + ttl) * 1000))}


def putting(text: str, version: int, now: float, ttl: float | None) -> list[Document]:
    """Return the pipeline that sets the value."""
    return [_new_if_expired(now), {"$set": _value(text, version, now, ttl)}]


def putting_if(
    text: str, version: int, now: float, ttl: float | None, expected: int
) -> list[Document]:
    """Return the pipeline that sets the value if its version is the expected one, 0 if none."""
    is_expected = {"$eq": [{"$ifNull": ["$version", 0]}, Int64(expected)]}
    parts = {**_value(text, version, now, ttl), "answers": _answered({"v": Int64(version)})}
    return [_new_if_expired(now), {"$replaceWith": _merged_if(is_expected, parts)}]


def adding(amount: int, version: int, now: float) -> list[Document]:
    """Return the pipeline that adds to the value if it is an integer and the sum is one."""
    number = {"input": "$value", "to": "long", "onError": None, "onNull": Int64(0)}
    total = {"$add": ["$$number", Int64(amount)]}
    possible = {
        "$and": [
            {"$not": [{"$in": [Int64(version), {"$ifNull": ["$answers.v", []]}]}]},
            # Null, for what is no number, is less than any.
            {"$gte": ["$$number", Int64(max(_INT64_MIN, _INT64_MIN - amount))]},
            {"$lte": ["$$number", Int64(min(_INT64_MAX, _INT64_MAX - amount))]},
        ]
    }
    parts = {
        "value": {"$toString": total},
        "version": Int64(version),
        "answers": _answered({"v": Int64(version), "n": total}),
    }
    sum_up = {"vars": {"number": {"$convert": number}}, "in": _merged_if(possible, parts)}
    return [_new_if_expired(now), {"$replaceWith": {"$let": sum_up}}]


def answer_to(version: int) -> Document:
    """Return the projection of what the write of this version was answered, if it was done."""
    return {"answers": {"$elemMatch": {"v": Int64(version)}}}


def answer_in(document: Mapping[str, Any] | None, version: int) -> Document | None:
    """Return that answer, None if the write was not done."""
    # A document that the server kept for PyMongo's own repetition comes without its projection.
    answers = (document or {}).get("answers", ())
    return next((answer for answer in answers if answer["v"] == version), None)


def putting_fields(texts: Mapping[str, str], now: float) -> list[Document]:
    """Return the pipeline that sets fields of the hash."""
    parts = {field_path(field): {"$literal": text} for field, text in texts.items()}
    return [_new_if_expired(now), {"$set": parts}]


def removing_fields(fields: Iterable[str]) -> list[Document]:
    """Return the pipeline that removes fields. A document of which nothing is left has expired."""
    empty = {
        "$and": [
            {"$eq": [{"$type": "$value"}, "missing"]},
            {"$eq": ["$fields", {"$literal": {}}]},
        ]
    }
    parts = {
        "expires_at": {"$cond": [empty, -inf, "$expires_at"]},
        "purge_at": {"$cond": [empty, DatetimeMS(0), "$purge_at"]},
    }
    return [{"$unset": [field_path(field) for field in fields]}, {"$set": parts}]


# What has a meaning in the path of a field. The letter before it keeps an empty name apart.
_ESCAPES = str.maketrans({"%": "%25", ".": "%2E", "$": "%24"})


def escaped(field: str) -> str:
    """Return the name under which a field is stored."""
    return "f" + field.translate(_ESCAPES)


def unescaped(name: str) -> str:
    """Return the field that is stored under a name."""
    return unquote(name[1:])


def field_path(field: str) -> str:
    """Return where a field is in the document."""
    return f"fields.{escaped(field)}"


def _new_if_expired(now: float) -> Document:
    live = {"$gt": [{"$ifNull": ["$expires_at", inf]}, now]}
    new = {"_id": "$_id", "format": "$format"}
    return {"$replaceWith": {"$cond": [live, "$$ROOT", new]}}


def _value(text: str, version: int, now: float, ttl: float | None) -> Document:
    return {"value": {"$literal": text}, "version": Int64(version), **expiry(now, ttl)}


def _answered(answer: Document) -> Document:
    earlier = {"$ifNull": ["$answers", []]}
    return {"$slice": [{"$concatArrays": [[answer], earlier]}, _ANSWERS]}


def _merged_if(condition: Document, parts: Document) -> Document:
    merged = {"$mergeObjects": ["$$ROOT", parts]}
    return {"$cond": [condition, merged, "$$ROOT"]}
