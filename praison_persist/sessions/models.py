"""The values that session stores take and return. Standard library only.

Message times are seconds since the epoch, UTC; a session's `created_at` and `updated_at` are ISO
8601 in UTC, so that they sort as text. `from_dict` reads what `to_dict` of any version wrote: what
is missing or of a wrong type becomes the default. What is returned shares nothing with its source.
"""

from __future__ import annotations

import time
import uuid
from copy import deepcopy
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any, Self

from praison_persist.sessions._reading import count_of, dict_of, dicts_of, number_of, text_of
from praison_persist.sessions.messages import (
    CompactionCheckpoint,
    SessionMessage,
    newest_messages,
    working_history,
)
from praison_persist.sessions.reports import ImportReport, SessionHit, SessionSummary

__all__ = [
    "CompactionCheckpoint",
    "ExtendedSessionData",
    "ImportReport",
    "SessionData",
    "SessionHit",
    "SessionMessage",
    "SessionSnapshot",
    "SessionSummary",
    "now_iso",
]

# Kept in the metadata; written beside it too, where the sessions CLI of praisonaiagents looks.
_MIRRORED = ("model", "llm", "total_tokens", "token_count", "cost", "source", "reasoning_effort")
# Tools write these on the top level of a session's file; they are read as metadata.
_ROUTING = ("agent_key", "parent_session_id", "lineage_id", "root_session_id", "thread_id")


def now_iso() -> str:
    """Return the time as sessions keep it: ISO 8601, UTC, microseconds always written."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


@dataclass
class SessionData:
    """A session with its messages.

    Attributes:
        messages: the window: what the model is shown, oldest first.
        archived_messages: what was taken out of the window to make room, oldest first.
        gateway_session_id, agent_id: the gateway's session and agent that this one belongs to.
        runtime_state: what runtimes left for one another: {runtime_id: {turn_id: state}}.
    """

    session_id: str
    messages: list[SessionMessage] = field(default_factory=list)
    created_at: str = field(default_factory=now_iso)
    updated_at: str = field(default_factory=now_iso)
    agent_name: str | None = None
    user_id: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    gateway_session_id: str | None = None
    agent_id: str | None = None
    runtime_state: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    archived_messages: list[SessionMessage] = field(default_factory=list)
    last_compaction: CompactionCheckpoint | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as a new dict of JSON values."""
        checkpoint = self.last_compaction
        data: dict[str, Any] = {
            "session_id": self.session_id,
            "messages": [message.to_dict() for message in self.messages],
            "created_at": self.created_at,
            "updated_at": self.updated_at,
            "agent_name": self.agent_name,
            "user_id": self.user_id,
            "metadata": deepcopy(self.metadata),
            "gateway_session_id": self.gateway_session_id,
            "agent_id": self.agent_id,
            "runtime_state": deepcopy(self.runtime_state),
            "archived_messages": [message.to_dict() for message in self.archived_messages],
        }
        if checkpoint is not None:
            data["last_compaction"] = checkpoint.to_dict()
        return data | {key: data["metadata"][key] for key in _MIRRORED if key in self.metadata}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Build from a dict as `to_dict` makes it; messages that are no dicts are left out."""
        return cls(**cls._values(data))

    @classmethod
    def _values(cls, data: dict[str, Any]) -> dict[str, Any]:
        metadata = dict_of(data.get("metadata"))
        for key in _MIRRORED + _ROUTING:
            if metadata.get(key) is None and data.get(key) is not None:
                metadata[key] = deepcopy(data[key])
        now = now_iso()
        return {
            "session_id": text_of(data.get("session_id")) or "",
            "messages": _messages(data.get("messages")),
            "created_at": text_of(data.get("created_at")) or now,
            "updated_at": text_of(data.get("updated_at")) or now,
            "agent_name": text_of(data.get("agent_name")),
            "user_id": text_of(data.get("user_id")),
            "metadata": metadata,
            "gateway_session_id": text_of(data.get("gateway_session_id")),
            "agent_id": text_of(data.get("agent_id")),
            "runtime_state": _runtime_state(data.get("runtime_state")),
            "archived_messages": _messages(data.get("archived_messages")),
            "last_compaction": _checkpoint(data.get("last_compaction"), data.get("messages")),
        }

    def get_chat_history(self, max_messages: int | None = None) -> list[dict[str, Any]]:
        """Return the newest messages (0 or None: all) as models take them, oldest first."""
        return [m.to_llm_message() for m in newest_messages(self.messages, max_messages)]

    def get_working_history(self, max_messages: int | None = None) -> list[dict[str, Any]]:
        """Return the last summary and what was said since, as models take them, oldest first."""
        return working_history(self.last_compaction, self.messages, max_messages)

    def trim_messages(self, max_messages: int) -> None:
        """Drop all but the newest `max_messages`; the checkpoint keeps its place among them."""
        dropped = len(self.messages) - max(0, max_messages)
        if dropped > 0:
            self.messages = self.messages[dropped:]
            if self.last_compaction is not None:
                at = self.last_compaction.message_index
                self.last_compaction.message_index = max(0, at - dropped)


def _messages(value: object) -> list[SessionMessage]:
    return [SessionMessage.from_dict(item) for item in dicts_of(value)]


def _runtime_state(value: object) -> dict[str, dict[str, dict[str, Any]]]:
    return {
        runtime: {turn: state for turn, state in turns.items() if isinstance(state, dict)}
        for runtime, turns in dict_of(value).items()
        if isinstance(turns, dict)
    }


def _checkpoint(value: object, messages: object) -> CompactionCheckpoint | None:
    """Read a checkpoint; messages that are left out do not count in its place."""
    if not isinstance(value, dict) or not value:
        return None
    checkpoint = CompactionCheckpoint.from_dict(value)
    before = messages[: max(0, checkpoint.message_index)] if isinstance(messages, list) else []
    checkpoint.message_index -= sum(not isinstance(message, dict) for message in before)
    checkpoint.message_index = max(0, checkpoint.message_index)
    return checkpoint


@dataclass
class SessionSnapshot:
    """A state of a session's messages that it can be set back to.

    Attributes:
        message_index: index of the last message in it; -1 where there was none.
        created_at: seconds since the epoch, UTC.
        transcript: `messages`, `archived_messages` and `last_compaction` of that state, or None
            where the store keeps them in another way, or where only the index is known.
        invalidated: only the index was known, and the messages up to it have changed since.
    """

    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    session_id: str = ""
    message_index: int = 0
    created_at: float = field(default_factory=time.time)
    label: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    transcript: dict[str, Any] | None = None
    invalidated: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as a new dict; the last two only where they say something."""
        data = {f.name: deepcopy(getattr(self, f.name)) for f in fields(self)}
        if self.transcript is None:
            del data["transcript"]
        if not self.invalidated:
            del data["invalidated"]
        return data

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Build from a dict as `to_dict` makes it."""
        transcript = data.get("transcript")
        return cls(
            id=text_of(data.get("id")) or str(uuid.uuid4()),
            session_id=text_of(data.get("session_id")) or "",
            message_index=count_of(data.get("message_index")),
            created_at=number_of(data.get("created_at")),
            label=text_of(data.get("label")),
            metadata=dict_of(data.get("metadata")),
            transcript=deepcopy(transcript) if isinstance(transcript, dict) else None,
            invalidated=data.get("invalidated") is True,
        )


@dataclass
class ExtendedSessionData(SessionData):
    """A session with its place among others.

    Attributes:
        forked_from_message_id: index of the last message taken over, as text; None: all were.
        children_ids: sessions that have this one as their parent, oldest first.
    """

    parent_id: str | None = None
    forked_from_message_id: str | None = None
    children_ids: list[str] = field(default_factory=list)
    snapshots: list[SessionSnapshot] = field(default_factory=list)
    is_shared: bool = False
    title: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as a new dict of JSON values."""
        return super().to_dict() | {
            "parent_id": self.parent_id,
            "forked_from_message_id": self.forked_from_message_id,
            "children_ids": list(self.children_ids),
            "snapshots": [snapshot.to_dict() for snapshot in self.snapshots],
            "is_shared": self.is_shared,
            "title": self.title,
        }

    @classmethod
    def _values(cls, data: dict[str, Any]) -> dict[str, Any]:
        children = data.get("children_ids")
        return super()._values(data) | {
            "parent_id": text_of(data.get("parent_id")),
            "forked_from_message_id": text_of(data.get("forked_from_message_id")),
            "children_ids": [
                child
                for child in (children if isinstance(children, list) else ())
                if isinstance(child, str)
            ],
            "snapshots": [
                SessionSnapshot.from_dict(item) for item in dicts_of(data.get("snapshots"))
            ],
            "is_shared": data.get("is_shared") is True,
            "title": text_of(data.get("title")),
        }

    @classmethod
    def from_session_data(cls, session: SessionData) -> Self:
        """Return a copy of a session, with no place among others yet."""
        values = {f.name: deepcopy(getattr(session, f.name)) for f in fields(SessionData)}
        return cls(**values)

    @property
    def shown_title(self) -> str | None:
        """The title, wherever it was set: `set_title` or `rename_session`."""
        renamed = self.metadata.get("title")
        return self.title or (renamed if isinstance(renamed, str) else None) or None
