"""Messages of sessions, and which of them a model is shown."""

from __future__ import annotations

import time
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field, fields
from typing import Any, Self

from praison_persist.sessions._reading import count_of, dict_of, number_of, text_of

__all__ = [
    "CompactionCheckpoint",
    "Content",
    "SessionMessage",
    "from_a_turn",
    "newest_messages",
    "working_history",
]

Content = str | list[Any] | None


@dataclass
class SessionMessage:
    """One message of a session.

    Attributes:
        role: "user", "assistant", "system" or "tool".
        content: the text, or a list of content parts; None where a provider sent none.
        timestamp: seconds since the epoch, UTC.
        metadata: JSON. `{"partial": True}` marks an answer that is still being written, and
            `{"compaction": True, "compacted_count": n}` the summary of n archived messages.
        tool_calls: the calls an assistant requested, as OpenAI-shaped dicts.
        tool_call_id: on role "tool": the call that this message answers.
    """

    role: str
    content: Content
    timestamp: float = field(default_factory=time.time)
    metadata: dict[str, Any] = field(default_factory=dict)
    tool_calls: list[Any] | None = None
    tool_call_id: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return a new dict; the tool fields only where there are any."""
        content = self.content
        data: dict[str, Any] = {
            "role": self.role,
            "content": content if isinstance(content, str) else deepcopy(content),
            "timestamp": self.timestamp,
            "metadata": deepcopy(self.metadata) if self.metadata else {},  # mostly empty
        }
        return data | self._tools()

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Build from a dict as `to_dict` makes it."""
        content, calls = data.get("content", ""), data.get("tool_calls")
        if isinstance(calls, str):  # encrypted by praisonaiagents
            calls = [calls]
        if content is not None and not isinstance(content, str | list):
            content = str(content)
        return cls(
            role=text_of(data.get("role")) or "user",
            content=content if isinstance(content, str) else deepcopy(content),
            timestamp=number_of(data.get("timestamp")),
            metadata=dict_of(data.get("metadata")),
            tool_calls=deepcopy(calls) if isinstance(calls, list) else None,
            tool_call_id=text_of(data.get("tool_call_id")),
        )

    def to_llm_message(self) -> dict[str, Any]:
        """Return the message as models take it: role, content and the tool fields."""
        return {"role": self.role, "content": deepcopy(self.content)} | self._tools()

    def _tools(self) -> dict[str, Any]:
        data: dict[str, Any] = {}
        if self.tool_calls:
            data["tool_calls"] = deepcopy(self.tool_calls)
        if self.tool_call_id is not None:
            data["tool_call_id"] = self.tool_call_id
        return data


def newest_messages(messages: Sequence[SessionMessage], limit: int | None) -> list[SessionMessage]:
    """Return the newest `limit` messages (all if None or 0), oldest first.

    Fewer where the first of them would be a tool's result: models refuse one whose call is missing.
    """
    if not limit or len(messages) <= limit:
        return list(messages)
    return from_a_turn(messages[-limit:])


def from_a_turn(messages: Sequence[SessionMessage]) -> list[SessionMessage]:
    """Return messages without the tools' results at their beginning, whose calls came before."""
    start = 0
    while start < len(messages) and messages[start].role == "tool":
        start += 1
    return list(messages[start:])


@dataclass
class CompactionCheckpoint:
    """A summary that stands for the messages before `message_index` when a session is resumed.

    Attributes:
        message_index: how many messages the window held when the summary was made.
        role: the role in which the summary is given to the model.
        tokens_before, tokens_after: size of the model's context before and after compaction.
    """

    summary: str
    message_index: int = 0
    role: str = "system"
    tokens_before: int = 0
    tokens_after: int = 0
    timestamp: float = field(default_factory=time.time)
    metadata: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as a new dict."""
        return {f.name: deepcopy(getattr(self, f.name)) for f in fields(self)}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Build from a dict as `to_dict` makes it."""
        return cls(
            summary=text_of(data.get("summary")) or "",
            message_index=count_of(data.get("message_index")),
            role=text_of(data.get("role")) or "system",
            tokens_before=count_of(data.get("tokens_before")),
            tokens_after=count_of(data.get("tokens_after")),
            timestamp=number_of(data.get("timestamp")),
            metadata=dict_of(data.get("metadata")),
        )

    def as_message(self) -> dict[str, str]:
        """Return the summary as a message for a model."""
        return {"role": self.role, "content": self.summary}


def working_history(
    checkpoint: CompactionCheckpoint | None,
    messages: Sequence[SessionMessage],
    limit: int | None,
    *,
    skipped: int = 0,
) -> list[dict[str, Any]]:
    """Return what a resumed agent is to know, oldest first, at most `limit` messages (0: all).

    The checkpoint's summary and the messages after it; without one the newest messages. A summary
    at the beginning counts among the `limit` and is kept.

    Args:
        checkpoint: of the session.
        messages: the newest messages of the window, at least `limit` of them or all.
        limit: at most so many, the summary included.
        skipped: how many messages of the window come before `messages`.
    """
    head: list[dict[str, Any]] = []
    if checkpoint is not None:
        head.append(dict(checkpoint.as_message()))
        messages = messages[max(0, checkpoint.message_index - skipped) :]
    elif not skipped and messages and messages[0].metadata.get("compaction"):
        head.append(messages[0].to_llm_message())
        messages = messages[1:]
    if limit and len(head) >= limit:
        return head[:limit]
    if head or skipped:
        messages = from_a_turn(messages)
    recent = newest_messages(messages, limit - len(head) if limit else None)
    return head + [message.to_llm_message() for message in recent]
