"""Whether a read may be answered by a replica, which may be behind what other processes wrote."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["is_newest", "newest"]

_newest: ContextVar[bool] = ContextVar("praison_newest", default=False)


@contextmanager
def newest() -> Iterator[None]:
    """Let the reads inside go to the primary: what they find is the newest there is.

    For what continues a session that another process may have written to. Adapters do so for all
    that they hand to an agent or decide a write with.
    """
    token = _newest.set(True)
    try:
        yield
    finally:
        _newest.reset(token)


def is_newest() -> bool:
    """Whether this is inside `newest`."""
    return _newest.get()
