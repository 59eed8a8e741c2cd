"""JSON as the stores keep it: what goes in comes back equal, or is refused."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from math import isfinite
from typing import Any

from praison_persist.errors import InvalidDataError

__all__ = ["check_json", "dumps", "escaped", "jsonable", "loads", "unescaped"]

# What was written near the top of the stack has to be readable deep in it: both the parser's
# recursion and this check's count against sys.getrecursionlimit(), 1000 by default.
_DEPTH = 200
# Python does not convert text of more than 4,300 digits to int (sys.int_info).
_INTEGER_BITS = 14_000
# A text that a database cannot hold is kept as JSON behind this mark: PostgreSQL's text has no NUL
# ("Character Types", last paragraph), and no UTF-8 column has lone surrogates.
_ESCAPED = "\x01json:"
_NEEDS_ESCAPE = re.compile("[\x00\ud800-\udfff]")


def dumps(value: Any) -> str:
    """Serialise `value` to ASCII JSON.

    ASCII, so that NUL and lone surrogates survive as escapes in every database encoding.

    Raises:
        ValueError: NaN or infinity. TypeError: not a JSON type. `check_json` turns both into
            an InvalidDataError that names the field.
    """
    return _ENCODER.encode(value)


# json.dumps would make a new one for each call.
_ENCODER = json.JSONEncoder(ensure_ascii=True, allow_nan=False, separators=(",", ":"))

loads = json.loads


def escaped(text: str) -> str:
    """Return what any database holds: the text itself, or JSON behind a mark."""
    if _NEEDS_ESCAPE.search(text) or text.startswith(_ESCAPED):
        return _ESCAPED + dumps(text)
    return text


def unescaped(text: str) -> str:
    """Undo `escaped`."""
    if not text.startswith(_ESCAPED):
        return text
    found: str = loads(text[len(_ESCAPED) :])
    return found


def check_json(value: Any, field: str) -> None:
    """Refuse a value that JSON would change or cannot carry.

    Raises:
        InvalidDataError: NaN, a tuple, a non-string key, a datetime, an object …
    """
    if not _is_plain(value, 0):
        _check(value, field, field, 0)


def _is_plain(value: Any, depth: int) -> bool:
    """Whether all of it can be kept, told quickly: of a no, `_check` finds out why, or that not."""
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return True
    if kind is int:
        return bool(value.bit_length() <= _INTEGER_BITS)
    if kind is float:
        return isfinite(value)
    if depth == _DEPTH or kind not in (dict, list):
        return False
    if kind is dict:
        for key in value:
            if type(key) is not str:
                return False
        value = value.values()
    for item in value:  # noqa: SIM110 - a generator would cost more than what it runs
        if type(item) is not str and not _is_plain(item, depth + 1):
            return False
    return True


def _check(value: Any, path: str, field: str, depth: int) -> None:
    if value is None or isinstance(value, str | bool):
        return
    if isinstance(value, int):
        if value.bit_length() > _INTEGER_BITS:
            raise InvalidDataError(f"{path} has more digits than can be read back; store a string")
        return
    if isinstance(value, float):
        if not isfinite(value):
            raise InvalidDataError(f"{path} is {value!r}, which JSON cannot hold; store a string")
        return
    if depth == _DEPTH:
        raise InvalidDataError(f"{field} is nested deeper than {_DEPTH} levels or contains itself")
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise InvalidDataError(
                    f"{path} has the key {key!r} of type {type(key).__name__}; "
                    "JSON keys are strings, convert it first"
                )
            _check(item, f"{path}[{key!r}]", field, depth + 1)
        return
    if isinstance(value, list):
        for index, item in enumerate(value):
            _check(item, f"{path}[{index}]", field, depth + 1)
        return
    raise InvalidDataError(
        f"{path} is of type {type(value).__name__}, which JSON cannot hold; "
        "convert it to str, int, float, bool, None, list or dict first"
    )


def jsonable(value: Any) -> Any:
    """Return the nearest JSON value, for what an agent's tools produce; never raises on data.

    Datetimes become ISO 8601, tuples and sets lists, dataclasses dicts, bytes and other objects
    their `str`, NaN and infinities their name; so does what is nested too deeply to be stored.
    """
    return _jsonable(value, 0)


def _jsonable(value: Any, depth: int) -> Any:
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, int):
        return value if value.bit_length() <= _INTEGER_BITS else hex(value)
    if isinstance(value, float):
        return value if isfinite(value) else str(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, bytes | bytearray):
        return bytes(value).decode("utf-8", "backslashreplace")
    if depth == _DEPTH // 2:  # leaves room for what the caller wraps it in
        return str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {
            key if isinstance(key, str) else str(key): _jsonable(item, depth + 1)
            for key, item in value.items()
        }
    if isinstance(value, Sequence | set | frozenset):
        return [_jsonable(item, depth + 1) for item in value]
    model_dump = getattr(value, "model_dump", None)
    if callable(model_dump):
        return _jsonable(model_dump(), depth + 1)
    return str(value)
