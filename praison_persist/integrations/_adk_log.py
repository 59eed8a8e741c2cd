"""The messages of a conversation, read as the events of a session."""

from __future__ import annotations

import math
from collections.abc import Sequence

from google.adk.sessions.base_session_service import GetSessionConfig

from praison_persist.integrations._adk_records import Record
from praison_persist.models import ConversationMessage
from praison_persist.protocols import AsyncConversationStore

__all__ = ["read", "since"]

_WINDOW = 16  # messages that are read first, to find those that were not applied


async def read(
    store: AsyncConversationStore, key: str, config: GetSessionConfig | None
) -> tuple[list[ConversationMessage], ConversationMessage | None]:
    """Return the messages that are asked for, and the newest of all at that moment."""
    limit = None if config is None else config.num_recent_events
    earliest = None if config is None else config.after_timestamp
    if limit != 0 and earliest is None:
        messages = await store.get_messages(key, limit=limit)
        return messages, messages[-1] if messages else None
    newest = next(iter(await store.get_messages(key, limit=1)), None)
    if limit == 0 or newest is None:
        return [], newest
    bound = None if earliest is None else math.nextafter(earliest, -math.inf)
    messages = await store.get_messages(key, limit=limit, after=bound)
    return _until(newest, messages), newest


async def since(
    store: AsyncConversationStore,
    key: str,
    record: Record,
    newest: ConversationMessage | None,
) -> list[ConversationMessage]:
    """Return the events up to `newest` that the record does not know, oldest first."""
    if newest is None or _is_known(newest, record):
        return []
    window = _WINDOW
    while True:
        messages = await store.get_messages(key, limit=window)
        if len(messages) < window or any(_is_known(message, record) for message in messages):
            break
        window *= 2
    return [
        message
        for message in _until(newest, messages)
        if (record.revision_of(message.id) or 0) > record.revision
    ]


def _is_known(message: ConversationMessage, record: Record) -> bool:
    revision = record.revision_of(message.id)
    return revision is not None and revision <= record.revision


def _until(
    newest: ConversationMessage, messages: Sequence[ConversationMessage]
) -> list[ConversationMessage]:
    return [message for message in messages if (message.seq or 0) <= (newest.seq or 0)]
