"""The turn an agent is in: gathers what the agent reports in pieces, or not at all.

The Agent of praisonaiagents 1.7 reports no tool calls in chat and achat, no user turn in achat over
the OpenAI client, no assistant turn in achat over LiteLLM, and of a stream no run. A turn
completes the record from three sources: the adapter's hooks, the tool hooks of the core's registry,
and its trace events.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from dataclasses import dataclass, field
from typing import Any, Protocol

from praison_persist._ids import new_id
from praison_persist._json import jsonable
from praison_persist.models import ConversationMessage, Span, ToolCall, Trace

__all__ = ["Turn", "TurnOwner"]

_EVENTS = 1_000  # of a trace, beyond which they are counted only


class TurnOwner(Protocol):
    """What a turn needs of the adapter that keeps it."""

    def record_call(self, call: ToolCall) -> None:
        """Store a tool call that begins, or what is now known of it."""

    def record_tool_turn(
        self, turn: Turn, call: ToolCall, messages: list[ConversationMessage]
    ) -> None:
        """Store a finished tool call and the messages that show it to the model."""


@dataclass(eq=False, slots=True, weakref_slot=True)
class Turn:
    """One turn of an agent, as far as it is known.

    Attributes:
        run_id: None for what is said outside any run, by a caller of the hooks.
        streamed: the agent reports no run for it; it ends with the answer.
        core_run_id: the agent reports its end after all, under this id: its stream failed, and it
            answers the same prompt in a run.
        prompt: what the run was started with; the user's row may show only its text.
        user: the user's message, once it is written.
        answers: the assistant's messages without tool calls, in order.
        rows: ids of the other messages of the turn.
        open_calls: tool calls that have not returned, with the arguments object of the agent.
        announced: calls that a stream reported and whose results it will report itself.
        heard: the last text of the model, as far as the agent traces it.
        trace_id: id of the trace of this turn, and of its first span.
        parent: the turn that this one was started in (a handoff).
        emitter: the trace emitter that was set for it, if any.
        lock: guards what is known; writing: puts its writes of tool calls one after another.
    """

    owner: TurnOwner
    session_id: str
    run_id: str | None = None
    agent_name: str | None = None
    prompt: str | None = None
    started_at: float = field(default_factory=time.time)
    trace_id: str = field(default_factory=new_id)
    streamed: bool = False
    core_run_id: str | None = None
    parent: Turn | None = None
    user: ConversationMessage | None = None
    answers: list[ConversationMessage] = field(default_factory=list)
    rows: list[str] = field(default_factory=list)
    superseded: list[str] = field(default_factory=list)
    open_calls: list[tuple[ToolCall, object]] = field(default_factory=list)
    announced: dict[str, ToolCall] = field(default_factory=dict)
    stored_calls: set[str] = field(default_factory=set)
    tool_spans: list[Span] = field(default_factory=list)
    llm_spans: list[Span] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    dropped_events: int = 0
    heard: str | None = None
    emitter: Any = None
    closed: bool = False
    lock: threading.RLock = field(default_factory=threading.RLock)
    writing: threading.Lock = field(default_factory=threading.Lock)

    @property
    def is_reported(self) -> bool:
        """Whether the agent will report the end of it."""
        return self.run_id is not None and (not self.streamed or self.core_run_id is not None)

    @property
    def in_tool(self) -> bool:
        """Whether a tool runs: what begins now is inside this turn, and does not end it."""
        return any(call.error is None for call, _arguments in self.open_calls)

    def close(self) -> None:
        """End it, and let go of what it gathered: contexts may hold it for much longer."""
        with self.lock:
            self.closed = True
            self.prompt = self.user = self.heard = None
            self.answers, self.rows, self.superseded = [], [], []
            self.tool_spans, self.llm_spans, self.events = [], [], []
            self.announced = {}

    def has_room(self) -> bool:
        """Whether another trace event may be kept; counts it if not."""
        if len(self.events) + len(self.llm_spans) < _EVENTS:
            return True
        self.dropped_events += 1
        return False

    def message(self, role: str, content: str | None, **fields: Any) -> ConversationMessage:
        """Return a new message of this turn."""
        return ConversationMessage(
            session_id=self.session_id, role=role, content=content, run_id=self.run_id, **fields
        )

    def begin_call(self, tool_name: str, arguments: object) -> ToolCall:
        """Note that a tool is called."""
        args = jsonable(arguments)
        with self.lock:
            known = [
                call
                for call in self.announced.values()
                if call.tool_name == tool_name and not self._is_open(call)
            ]
            same = [call for call in known if call.args == args]
            call = next(iter(same or known), None) or ToolCall(
                tool_name,
                args=args,
                call_id=f"call_{uuid.uuid4().hex[:24]}",
                session_id=self.session_id,
                run_id=self.run_id,
            )
            self.open_calls.append((call, arguments))
            return call

    def _is_open(self, call: ToolCall) -> bool:
        return any(call is other for other, _arguments in self.open_calls)

    def end_call(
        self, tool_name: str, arguments: object, output: object, error: str | None
    ) -> ToolCall | None:
        """Note what a tool returned. Return its call, or None if it was not seen to begin."""
        with self.lock:
            same = [pair for pair in self.open_calls if pair[1] is arguments]
            named = [pair for pair in self.open_calls if pair[0].tool_name == tool_name]
            if not (same or named):
                return None
            pair = (same or named)[0]
            self.open_calls.remove(pair)
            call = pair[0]
            call.result = jsonable(output)
            call.error = error or _reported_error(output)
            self._time(call)
            return call

    def fail_call(self, tool_name: str, error: str) -> None:
        """Note why a tool raised. The call stays open: its turn fails, and ends it."""
        with self.lock:
            for call, _arguments in self.open_calls:
                if call.tool_name == tool_name and call.error is None:
                    call.error = error
                    return

    def end_open_calls(self) -> list[ToolCall]:
        """Return the calls that never returned, ended with the turn."""
        with self.lock:
            ended = [call for call, _arguments in self.open_calls]
            self.open_calls.clear()
            for call in ended:
                call.error = call.error or "the turn ended before the tool returned"
                self._time(call)
            return ended

    def _time(self, call: ToolCall) -> None:
        now = time.time()
        call.duration_ms = (now - call.timestamp) * 1000
        self.tool_spans.append(
            Span(
                span_id=new_id(),
                trace_id=self.trace_id,
                name=f"tool {call.tool_name}",
                started_at=call.timestamp,
                ended_at=now,
                parent_span_id=self.trace_id,
                status="error" if call.error else "ok",
                attributes={"tool_call": call.id, "call_id": call.call_id},
            )
        )

    def trace(self, status: str, ended_at: float, user_id: str | None = None) -> Trace:
        """Return the trace of the turn: names, times, tokens and costs, never content."""
        root = Span(
            span_id=self.trace_id,
            trace_id=self.trace_id,
            name=f"agent {self.agent_name or ''}".strip(),
            started_at=self.started_at,
            ended_at=ended_at,
            status=status,
            events=list(self.events),
        )
        with self.lock:
            children = [*self.llm_spans, *self.tool_spans]
        for span in children:
            if span.ended_at is None:
                span.ended_at, span.status = ended_at, "error"
        return Trace(
            trace_id=self.trace_id,
            session_id=self.session_id,
            run_id=self.run_id,
            agent_name=self.agent_name,
            user_id=user_id,
            started_at=self.started_at,
            ended_at=ended_at,
            status=status,
            metadata={"dropped_events": self.dropped_events} if self.dropped_events else {},
            spans=[root, *sorted(children, key=lambda span: span.started_at)],
        )

    def tool_messages(self, call: ToolCall, output: object) -> list[ConversationMessage]:
        """Return the assistant's request of a call and its result, as the model sees them."""
        request = {
            "id": call.call_id,
            "type": "function",
            "function": {"name": call.tool_name, "arguments": json.dumps(call.args)},
        }
        messages = [
            self.message("assistant", None, tool_calls=[request]),
            self.message("tool", tool_content(output), tool_call_id=call.call_id),
        ]
        self.rows += [message.id for message in messages]
        return messages


def tool_content(output: object) -> str:
    """Return a tool's result as the text that praisonaiagents hands to the model."""
    if output is None:
        return "Function returned an empty output"
    return json.dumps(jsonable(output))


def _reported_error(output: object) -> str | None:
    """Return the error of a tool that raised in achat, which hands it on as its result."""
    if isinstance(output, dict) and output.keys() == {"error"}:
        return str(output["error"])
    return None
