"""Text as any database can hold it."""

from __future__ import annotations

import re
from typing import Final

from praison_persist import _json

__all__ = ["ESCAPED", "escaped", "unescaped"]

# A text that a database cannot hold is kept as JSON behind this mark: PostgreSQL's text has no NUL
# ("Character Types", last paragraph), and no UTF-8 column has lone surrogates.
ESCAPED: Final = "\x01json:"
_NEEDS_ESCAPE = re.compile("[\x00\ud800-\udfff]")


def escaped(text: str) -> str:
    """Return a text that any database can hold, most often the same."""
    if _NEEDS_ESCAPE.search(text) or text.startswith(ESCAPED):
        return ESCAPED + _json.dumps(text)
    return text


def unescaped(text: str) -> str:
    """Undo `escaped`."""
    if text.startswith(ESCAPED):
        original: str = _json.loads(text[len(ESCAPED) :])
        return original
    return text
