"""The values that stores take and return. Standard library only.

Times are seconds since the epoch, UTC, as floats. A value read from a store is the caller's own:
changing it changes nothing stored.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

from praison_persist._ids import new_id

__all__ = [
    "ConversationMessage",
    "ConversationSession",
    "DocumentPage",
    "KnowledgeCollection",
    "KnowledgeDocument",
    "MessageHit",
    "MessagePage",
    "Run",
    "SessionPage",
    "Span",
    "ToolCall",
    "Trace",
]


class _Record:
    """Conversion to and from plain dicts."""

    __slots__ = ()

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as a new dict of plain values."""
        return asdict(self)  # type: ignore[call-overload,no-any-return]  # subclasses are dataclasses

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Build from a dict; keys that are no fields are ignored."""
        names = {f.name for f in fields(cls)}  # type: ignore[arg-type]  # as above
        return cls(**{key: value for key, value in data.items() if key in names})


@dataclass(slots=True)
class ConversationMessage(_Record):
    """One message of a conversation.

    Attributes:
        id: unique within its session; writing the same id again is the same write.
        role: "user", "assistant", "tool" or "system".
        content: the text; None where a provider sent none.
        tool_calls: the calls an assistant requested, as OpenAI-shaped dicts.
        tool_call_id: on role "tool": the call that this message answers.
        run_id: the run (turn) the message belongs to.
        seq: position in the session, from 1, assigned by the store; None until stored.
    """

    id: str = field(default_factory=new_id)
    session_id: str = ""
    role: str = ""
    content: str | None = ""
    tool_calls: list[Any] | None = None
    tool_call_id: str | None = None
    metadata: dict[str, Any] | None = None
    created_at: float = field(default_factory=time.time)
    run_id: str | None = None
    seq: int | None = None


@dataclass(slots=True)
class ConversationSession(_Record):
    """A conversation: who holds it, its state, and when it was last written to.

    Attributes:
        version: grows by one with each `update_session`; None until stored. Pass it as
            `expected_version` to update only what you have read.
    """

    session_id: str = field(default_factory=new_id)
    user_id: str | None = None
    agent_id: str | None = None
    name: str | None = None
    state: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None
    created_at: float = field(default_factory=time.time)
    updated_at: float = field(default_factory=time.time)
    version: int | None = None


@dataclass(slots=True)
class MessagePage:
    """Some messages of a session, oldest first, and where the next page begins.

    Attributes:
        next_cursor: pass it back for the next page; None when this was the last.
    """

    messages: list[ConversationMessage]
    next_cursor: str | None


@dataclass(slots=True)
class MessageHit:
    """A message that a search found.

    Attributes:
        score: larger is better; comparable within one search only.
        snippet: the part of the content around what was found, in one line; up to 160 characters
            of it, and "…" where it is cut.
    """

    session_id: str
    seq: int
    message: ConversationMessage
    score: float
    snippet: str


@dataclass(slots=True)
class SessionPage:
    """Some sessions, last written first, and where the next page begins.

    Attributes:
        next_cursor: pass it back for the next page; None when this was the last.
    """

    sessions: list[ConversationSession]
    next_cursor: str | None


@dataclass(slots=True)
class KnowledgeDocument(_Record):
    """A text with its embedding.

    Attributes:
        id: unique within its collection.
        embedding: one number for each dimension of the collection, kept in single precision.
        metadata: a JSON object; what filters compare are its values.
        content_hash: the first 16 hexadecimal digits of the content's SHA-256, unless given.
        score: of a document that was found: how near it is, larger is nearer; else None.
    """

    id: str = field(default_factory=new_id)
    content: str = ""
    embedding: list[float] | None = None
    metadata: dict[str, Any] | None = None
    content_hash: str | None = None
    created_at: float = field(default_factory=time.time)
    score: float | None = None

    def __post_init__(self) -> None:
        """Hash the content."""
        if self.content_hash is None and self.content and isinstance(self.content, str):
            content = self.content.encode("utf-8", "surrogatepass")
            self.content_hash = hashlib.sha256(content).hexdigest()[:16]


@dataclass(slots=True)
class KnowledgeCollection(_Record):
    """Documents whose embeddings are compared with each other.

    Attributes:
        dimension: how many numbers each embedding has.
        distance: "cosine", "euclidean" or "dot": how embeddings are compared.
    """

    name: str
    dimension: int
    distance: str = "cosine"
    metadata: dict[str, Any] | None = None


@dataclass(slots=True)
class DocumentPage:
    """Some documents of a collection, and where the next page begins.

    Attributes:
        next_cursor: pass it back for the next page; None when this was the last.
    """

    documents: list[KnowledgeDocument]
    next_cursor: str | None


@dataclass(slots=True)
class ToolCall(_Record):
    """One execution of a tool.

    Attributes:
        call_id: the provider's id, where one is known; links to the messages.
        args: what the tool was called with, any JSON value.
        result: what it returned, as JSON; None while running or if it raised.
        error: what it raised, as text.
        timestamp: when it began.
    """

    tool_name: str
    args: Any = None
    result: Any = None
    call_id: str | None = None
    timestamp: float = field(default_factory=time.time)
    duration_ms: float | None = None
    error: str | None = None
    id: str = field(default_factory=new_id)
    session_id: str = ""
    run_id: str | None = None
    metadata: dict[str, Any] | None = None


@dataclass(slots=True)
class Run(_Record):
    """One turn of an agent: from the prompt to the answer, an error or a cancellation.

    Attributes:
        status: "running", "completed", "error", "cancelled" or "interrupted" (its process died).
        owner: names the process that runs it, so that another can tell whether it is alive.
        seq: position among the runs of the session, assigned by the store.
    """

    run_id: str
    session_id: str
    agent_name: str | None = None
    started_at: float = field(default_factory=time.time)
    ended_at: float | None = None
    status: str = "running"
    input_content: str | None = None
    output_content: str | None = None
    messages: list[ConversationMessage] = field(default_factory=list)
    tool_calls: list[ToolCall] = field(default_factory=list)
    metadata: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    owner: str | None = None
    seq: int | None = None


@dataclass(slots=True)
class Span(_Record):
    """A timed step within a trace."""

    span_id: str
    trace_id: str
    name: str
    started_at: float = field(default_factory=time.time)
    ended_at: float | None = None
    parent_span_id: str | None = None
    status: str = "running"
    attributes: dict[str, Any] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)


@dataclass(slots=True)
class Trace(_Record):
    """What happened during a run, as spans in the order they began."""

    trace_id: str
    session_id: str | None = None
    run_id: str | None = None
    agent_name: str | None = None
    user_id: str | None = None
    started_at: float = field(default_factory=time.time)
    ended_at: float | None = None
    status: str = "running"
    spans: list[Span] = field(default_factory=list)
    metadata: dict[str, Any] = field(default_factory=dict)
