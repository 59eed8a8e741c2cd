"""The shelves of this process."""

from __future__ import annotations

import threading
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Shelf", "shelf_of"]


@dataclass
class Shelf:
    """What the stores of one URL share.

    Attributes:
        lock: whoever looks or writes has it.
    """

    sessions: dict[str, dict[str, Any]] = field(default_factory=dict)
    messages: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    entries: dict[str, Any] = field(default_factory=dict)
    collections: dict[str, Any] = field(default_factory=dict)
    documents: dict[str, dict[str, Any]] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)


_shelves: defaultdict[str, Shelf] = defaultdict(Shelf)


def shelf_of(url: str) -> Shelf:
    """Return the shelf of a URL."""
    return _shelves[url]
