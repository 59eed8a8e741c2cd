"""What the indexes for searching messages have in common: their names, and what they answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from praison_persist.sql.schema import Tables

__all__ = ["Narrow", "Narrowed", "index_name", "is_search_name", "search_name"]


@dataclass(frozen=True, slots=True)
class Narrowed:
    """How a query reads messages through the index.

    Attributes:
        rows: the messages, joined with what the index needs.
        condition: holds for each message that has all words, and for some others.
        score: larger is better; None: how often the words occur.
    """

    rows: sa.FromClause
    condition: sa.ColumnElement[bool]
    score: sa.ColumnElement[Any] | None


# Words that a message has to have, folded -> how to find those that may; None: not through the
# index, because it is not there or does not have these words.
Narrow = Callable[[sa.Connection, Tables, Sequence[str]], Narrowed | None]


def index_name(t: Tables) -> str:
    """Return the name of an index on the messages."""
    return f"ix_{t.prefix}messages_search"


def search_name(t: Tables, part: str = "") -> str:
    """Return the name of a table or trigger that the index consists of."""
    return f"{t.prefix}search{part}"


def is_search_name(t: Tables, name: str | None) -> bool:
    """Whether a table or index of this name belongs to the search, not to the schema."""
    return name is not None and (name == index_name(t) or name.startswith(search_name(t)))
