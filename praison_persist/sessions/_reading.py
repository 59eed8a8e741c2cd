"""Reading what may have been written by anybody: a value of a wrong type becomes the default."""

from __future__ import annotations

import time
from copy import deepcopy
from typing import Any

__all__ = ["count_of", "dict_of", "dicts_of", "number_of", "text_of"]


def dict_of(value: object) -> dict[str, Any]:
    return deepcopy(value) if isinstance(value, dict) and value else {}


def text_of(value: object) -> str | None:
    return value if isinstance(value, str) else None


def number_of(value: object) -> float:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else time.time()


def count_of(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def dicts_of(value: object) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
