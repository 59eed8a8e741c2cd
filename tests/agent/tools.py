"""Tools for agents, one for each kind of result."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

A_DICT: dict[str, Any] = {"k": [1, None, "é"], "x": 7}
A_LIST: list[Any] = [1, "two", {"a": None}]
A_TEXT = "plain ü"

# Set while `wait_for_it` runs, and by a test when it may return.
waiting, may_return = threading.Event(), threading.Event()


def add(a: int = 0, b: int = 0) -> int:
    """Add two numbers."""
    return a + b


def a_dict(x: int = 0) -> dict[str, Any]:
    """Return a dict."""
    return A_DICT


def a_list(x: int = 0) -> list[Any]:
    """Return a list."""
    return A_LIST


def a_text(x: int = 0) -> str:
    """Return a text."""
    return A_TEXT


def nothing(x: int = 0) -> None:
    """Return None."""


def zero(x: int = 0) -> int:
    """Return zero."""
    return 0


def fails(x: int = 0) -> None:
    """Raise."""
    raise ValueError("kaboom")


def naps(seconds: float = 0.0, label: str = "") -> str:
    """Sleep, then return the label."""
    time.sleep(seconds)
    return label


async def naps_async(seconds: float = 0.0, label: str = "") -> str:
    """Sleep without blocking, then return the label."""
    await asyncio.sleep(seconds)
    return label


def wait_for_it(x: int = 0) -> str:
    """Return when a test allows it."""
    waiting.set()
    may_return.wait(10)
    return "waited"


TOOLS = [add, a_dict, a_list, a_text, nothing, zero, fails, naps, naps_async, wait_for_it]
