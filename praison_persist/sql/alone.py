"""Operations that mostly read with one statement, which then needs no transaction around it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import sqlalchemy as sa

__all__ = ["ALONE", "NeedsSnapshot", "alone", "is_alone", "needs_snapshot"]

Op = TypeVar("Op", bound=Callable[..., Any])

# Execution option of a connection that commits each statement.
ALONE = "praison_alone"


class NeedsSnapshot(Exception):  # noqa: N818 - it begins a transaction, and is no error
    """An operation found that it takes more than one statement, which are to see one state."""


def alone(op: Op) -> Op:
    """Mark an operation that reads with one statement, or calls `needs_snapshot` before others."""
    op.__dict__["praison_alone"] = True
    return op


def is_alone(op: Callable[..., Any]) -> bool:
    """Whether the operation is marked so."""
    return getattr(op, "praison_alone", False)


def needs_snapshot(connection: sa.Connection) -> None:
    """Begin the operation again in a transaction, unless it is in one.

    Raises:
        NeedsSnapshot: it is not.
    """
    if connection.get_execution_options().get(ALONE, False):
        raise NeedsSnapshot
