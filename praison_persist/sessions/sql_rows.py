"""Sessions and their messages as rows of the conversation stores' tables, and back.

A message's content that is a list of parts is stored as its text, which others can read and search,
with the parts in the metadata.
"""

from __future__ import annotations

from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from praison_persist.models import ConversationMessage, ConversationSession
from praison_persist.sessions.messages import CompactionCheckpoint, SessionMessage
from praison_persist.sessions.models import ExtendedSessionData, SessionSnapshot
from praison_persist.sessions.search import text_of_message
from praison_persist.sql import history
from praison_persist.sql.schema import Tables

__all__ = [
    "checkpoint_of",
    "details_row",
    "header_of",
    "iso",
    "message_of",
    "new_session",
    "row_of",
    "runtime_state_of",
    "seconds",
    "select_headers",
    "session_row",
    "snapshot_of",
]

PARTS = "praison_persist.content"  # in a message's metadata: the content, where it is no text


def row_of(message: SessionMessage) -> ConversationMessage:
    """Return a message to be stored, with a new id."""
    metadata = deepcopy(message.metadata)
    content = message.content
    if isinstance(content, list):
        metadata[PARTS] = deepcopy(content)
        content = text_of_message(message)
    return ConversationMessage(
        role=message.role,
        content=content,
        tool_calls=deepcopy(message.tool_calls),
        tool_call_id=message.tool_call_id,
        metadata=metadata or None,
        created_at=message.timestamp,
    )


def message_of(row: ConversationMessage) -> SessionMessage:
    """Return a message that was stored by a session store or a conversation store."""
    metadata = row.metadata or {}
    content: Any = row.content
    if PARTS in metadata:
        content = metadata.pop(PARTS)
    return SessionMessage(
        role=row.role,
        content=content,
        timestamp=row.created_at,
        metadata=metadata,
        tool_calls=row.tool_calls,
        tool_call_id=row.tool_call_id,
    )


def iso(seconds: float) -> str:
    """Return a time as sessions have it; seconds since the epoch as rows do."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds")


def seconds(time: str, otherwise: float) -> float:
    """Undo `iso`; a time without a zone is UTC, and what is no time is `otherwise`."""
    try:
        parsed = datetime.fromisoformat(time)
    except ValueError:
        return otherwise
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()


def select_headers(t: Tables) -> sa.Select[Any]:
    """Select sessions with their details, which those of a conversation store lack."""
    s, d = t.sessions.c, t.details.c
    columns = (s.session_id, s.user_id, s.name, s.metadata, s.created_at, s.updated_at)
    details = [column for column in d if column.name != "session_id"]
    return sa.select(*columns, *details).select_from(
        t.sessions.outerjoin(t.details, d.session_id == s.session_id)
    )


def header_of(row: Any) -> ExtendedSessionData:
    """Return the header of a row of `select_headers`, without runtime states and snapshots."""
    return ExtendedSessionData(
        session_id=row.session_id,
        created_at=iso(row.created_at),
        updated_at=iso(row.updated_at),
        agent_name=row.agent_name,
        user_id=row.user_id,
        metadata=row.metadata or {},
        gateway_session_id=row.gateway_session_id,
        agent_id=row.gateway_agent_id,
        last_compaction=checkpoint_of(row.last_compaction),
        parent_id=row.parent_id,
        forked_from_message_id=(row.extra or {}).get("forked_from"),
        is_shared=bool(row.is_shared),
        title=row.name,
    )


def checkpoint_of(document: dict[str, Any] | None) -> CompactionCheckpoint | None:
    """Return a stored checkpoint."""
    return CompactionCheckpoint.from_dict(document) if document else None


def session_row(header: ExtendedSessionData) -> dict[str, Any]:
    """Return what of a header stands in the session's row, its times apart."""
    return {
        "user_id": header.user_id,
        "name": header.title,
        "metadata": header.metadata or None,
    }


def details_row(header: ExtendedSessionData) -> dict[str, Any]:
    """Return what of a header stands in the details' row, the checkpoint and `extra` apart."""
    return {
        "agent_name": header.agent_name,
        "gateway_session_id": header.gateway_session_id,
        "gateway_agent_id": header.agent_id,
        "parent_id": header.parent_id,
        "is_shared": int(header.is_shared),
    }


def new_session(header: ExtendedSessionData, now: float) -> ConversationSession:
    """Return the session to be created for a header."""
    return ConversationSession(
        session_id=header.session_id,
        **session_row(header),
        created_at=seconds(header.created_at, now),
        updated_at=seconds(header.updated_at, now),
    )


def runtime_state_of(
    connection: sa.Connection, t: Tables, session_id: str
) -> dict[str, dict[str, Any]]:
    """Read what runtimes left: {runtime_id: {turn_id: state}}, in the order of their ids."""
    c = t.runtime_states.c
    query = sa.select(c.runtime_id, c.turn_id, c.state).where(c.session_id == session_id)
    states: dict[str, dict[str, Any]] = {}
    for runtime_id, turn_id, state in connection.execute(query.order_by(c.runtime_id, c.turn_id)):
        states.setdefault(runtime_id, {})[turn_id] = state
    return states


def snapshot_of(session_id: str, stored: history.Snapshot) -> SessionSnapshot:
    """Return a snapshot; its messages stay where they are."""
    return SessionSnapshot(
        id=stored.snapshot_id,
        session_id=session_id,
        message_index=stored.message_count - 1,
        created_at=stored.created_at,
        label=stored.label,
        metadata=stored.metadata or {},
        invalidated=stored.seq == history.NOT_KNOWN,
    )
