"""The shelves of this process."""

from __future__ import annotations

import threading
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


_shelves: dict[str, Shelf] = {}


def shelf_of(url: str) -> Shelf:
    """Return the shelf of a URL."""
    # In one step: of two threads that ask first, both get the same one.
    return _shelves.setdefault(url, Shelf())
