"""The keys and the value that contenders set and get."""

from __future__ import annotations

from typing import Any, Final

__all__ = ["KEYS", "MANY", "PREFIX", "VALUE"]

KEYS: Final = 1000
MANY: Final = 100
PREFIX: Final = "praison_bench:"
VALUE: Final[dict[str, Any]] = {"role": "user", "content": "x" * 200, "tags": ["a", "b"]}
