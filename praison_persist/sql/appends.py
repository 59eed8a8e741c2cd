"""Appending: what many callers append becomes one transaction, in few statements.

A fast form of `conversation.add_messages` for messages that are new, in sessions that exist. Of
others it tells that they are not, and they are left to that operation, which knows all cases.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy.pool import PoolProxiedConnection

from praison_persist._checks import check_id, check_message
from praison_persist.models import ConversationMessage
from praison_persist.sql.conversation import check_same
from praison_persist.sql.schema import Tables

__all__ = [
    "MESSAGE_COLUMNS",
    "Append",
    "Appender",
    "Irregular",
    "encoders",
    "number",
    "result",
    "row",
    "totals",
]

MESSAGE_COLUMNS = (
    "session_id",
    "seq",
    "id",
    "run_id",
    "role",
    "content",
    "tool_calls",
    "tool_call_id",
    "metadata",
    "created_at",
)


class Irregular(Exception):  # noqa: N818 - it sends appends to add_messages, and is no error
    """Something to append is stored already. Nothing was written."""


@dataclass(slots=True)
class Append:
    """What one caller appends to one session.

    Attributes:
        messages: copies of the caller's, checked, without repeats; given their numbers when
            they are stored.
        size: of their texts, in characters.
    """

    session_id: str
    messages: list[ConversationMessage]
    now: float
    size: int

    @classmethod
    def of(cls, session_id: str, messages: Sequence[ConversationMessage], now: float) -> Append:
        """Check what is to be appended.

        Raises:
            InvalidDataError: a message could not be read back as it is.
            ConflictError: two messages with one id differ.
        """
        check_id(session_id, "session_id")
        for message in messages:
            check_message(message)
        new = [_copy(message, session_id) for message in messages]
        if len(new) > 1:
            by_id: dict[str, ConversationMessage] = {}
            for message in new:
                check_same(by_id.setdefault(message.id, message), message)
            new = list(by_id.values())
        return cls(session_id, new, float(now), sum(len(m.content or "") for m in new))


def _copy(m: ConversationMessage, session_id: str) -> ConversationMessage:
    # As dataclasses.replace does, in a third of the time.
    return ConversationMessage(
        m.id,
        session_id,
        m.role,
        m.content,
        m.tool_calls,
        m.tool_call_id,
        m.metadata,
        m.created_at,
        m.run_id,
    )


def result(
    messages: Sequence[ConversationMessage], stored: list[ConversationMessage]
) -> list[ConversationMessage]:
    """Return what is stored for each of the caller's messages, which may repeat one."""
    if len(messages) == len(stored):
        return stored
    by_id = {message.id: message for message in stored}
    return [replace(by_id[message.id]) for message in messages]


class Appender(Protocol):
    """Appends in one transaction of its own, on a connection that is in none."""

    def __call__(self, connection: PoolProxiedConnection, appends: Sequence[Append]) -> list[bool]:
        """Append all. Numbers are set on the messages.

        Returns:
            For each, whether it was stored; it was not where there is no such session.

        Raises:
            Irregular: nothing was stored.
        """
        ...


def totals(appends: Sequence[Append]) -> dict[str, tuple[int, float]]:
    """Return how many messages each session gets, and when, in the order to lock them."""
    found: dict[str, tuple[int, float]] = {}
    for append in appends:
        count, now = found.get(append.session_id, (0, append.now))
        found[append.session_id] = (count + len(append.messages), max(now, append.now))
    return dict(sorted(found.items())) if len(found) > 1 else found


def encoders(t: Tables, dialect: sa.Dialect) -> list[tuple[int, Callable[[Any], Any]]]:
    """Return how the columns of a message's row are written that are not written as they are."""
    found: list[tuple[int, Callable[[Any], Any]]] = []
    for index, name in enumerate(MESSAGE_COLUMNS):
        column_type = t.messages.c[name].type
        processor = column_type.dialect_impl(dialect).bind_processor(dialect)
        if processor is not None:
            found.append((index, processor))
    return found


def row(
    message: ConversationMessage, encoded: Sequence[tuple[int, Callable[[Any], Any]]]
) -> list[Any]:
    """Return a message as its row."""
    values = [
        message.session_id,
        message.seq,
        message.id,
        message.run_id,
        message.role,
        message.content,
        message.tool_calls,
        message.tool_call_id,
        message.metadata,
        float(message.created_at),  # psycopg sends no lists of mixed numbers
    ]
    for index, encode in encoded:
        values[index] = encode(values[index])
    return values


def number(
    appends: Sequence[Append], bases: dict[str, int]
) -> tuple[list[bool], list[ConversationMessage]]:
    """Give the messages their numbers, in the order of the appends, and return them.

    Args:
        appends: what is appended.
        bases: the last number used in each session that exists; counted up.
    """
    stored, numbered = [], []
    for append in appends:
        base = bases.get(append.session_id)
        stored.append(base is not None)
        if base is None:
            continue
        for message in append.messages:
            base += 1
            message.seq = base
            numbered.append(message)
        bases[append.session_id] = base
    return stored, numbered
