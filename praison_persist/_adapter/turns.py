"""How a turn begins and ends: one that an agent reports as a run, and one that it streams."""

from __future__ import annotations

import uuid
from functools import partial
from typing import Any

from praison_persist import core_events, lifecycle, owners, transcript
from praison_persist._adapter.core import AdapterCore, Begun, Make
from praison_persist._adapter.units import Said
from praison_persist._adapter.values import accepted_answer, document
from praison_persist._flow import Flow
from praison_persist.errors import PersistError
from praison_persist.lifecycle import Stores, prompt_text
from praison_persist.models import ConversationMessage, Run, ToolCall
from praison_persist.open_turns import (
    current_turn,
    enter,
    leave,
    open_streams,
    open_turns,
    speaking_turn,
    turns_of_owner,
)
from praison_persist.recorder import Turn

__all__ = ["TurnKeeper", "append"]

_PARTIAL = {"partial": True}  # metadata of an answer that was not finished


class TurnKeeper(AdapterCore):
    """Begins turns and ends them. What it returns is yet to be written."""

    def record_call(self, call: ToolCall) -> None:
        """Store a tool call that begins, or what is now known of it. Called by the tool hooks."""
        self._write(call.session_id, lambda stores: lifecycle.tool_call(stores, call))

    def record_tool_turn(
        self, turn: Turn, call: ToolCall, messages: list[ConversationMessage]
    ) -> None:
        """Store a finished tool call with its messages. Called by the tool hooks."""
        # Tools may return side by side; the user's message comes before all of them.
        with turn.writing:
            user = self._late_user(turn)
            self._write(
                turn.session_id,
                lambda stores: lifecycle.tool_turn(stores, call, [*user, *messages]),
            )

    def _begin_run(
        self, session_id: str, run_id: str, prompt: str | None, metadata: dict[str, Any]
    ) -> list[Make[None]]:
        """Begin the turn of a run, unless it goes on with a stream that failed."""
        self._check_open()
        core_events.install_tool_hooks()
        before = current_turn(self, session_id)
        turn = Turn(self, session_id, run_id, agent_name=metadata.get("agent_name"), prompt=prompt)
        ended: list[Make[None]] = []
        if before is not None and not before.is_reported and not before.in_tool:
            same = before.user is not None and before.user.content == prompt_text(prompt)
            if before.streamed and same:
                return self._fall_back(before, run_id)
            turn.user = before.user if same else None
            ended = self._abandon(before)
        return [*ended, self._enter(turn, metadata)]

    def _fall_back(self, stream: Turn, run_id: str) -> list[Make[None]]:
        """Go on with a stream that failed: the agent now answers its prompt in a run."""
        stream.core_run_id = run_id
        stream.superseded = list(stream.rows)
        stream.announced.clear()
        calls = stream.end_open_calls()
        return [partial(lifecycle.tool_call, call=call) for call in calls]

    def _begin_unreported(
        self, session_id: str, content: str | None, *, by_hand: bool
    ) -> tuple[Turn, list[Make[None]]]:
        """Begin the turn of a user's message outside a run: a stream's, or that of a caller.

        A caller's turn lasts until something else is said: it has no end of its own.
        """
        self._check_open()
        begun = None if by_hand else self._sessions.get(session_id)
        if begun is None or not begun.by_agent:
            for turn in open_turns():
                if turn.owner is self and turn.run_id is None:
                    self._leave(turn)
            turn = Turn(self, session_id)
            enter(turn)
            return turn, []
        turn = Turn(
            self,
            session_id,
            f"run-{uuid.uuid4().hex[:12]}",
            agent_name=begun.agent_name,
            prompt=content,
            streamed=True,
        )
        return turn, [self._enter(turn, {"agent_name": begun.agent_name})]

    def _check_open(self) -> None:
        if self._closed:
            raise PersistError(f"{self!r} is closed; make a new one")

    def _enter(self, turn: Turn, metadata: dict[str, Any]) -> Make[None]:
        enter(turn)
        # Of a stream, only the trace events tell that a tool raised.
        if self._record_traces or turn.streamed:
            core_events.start_tracing(turn)
        run = _run(turn, "running", metadata)
        return lambda stores: lifecycle.run_start(stores, run)

    def _end_turn(
        self,
        turn: Turn,
        status: str,
        output: str | None = None,
        metrics: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> Make[None]:
        """End the turn of a run, with what of its conversation the agent has not reported."""
        messages = [*self._late_user(turn), *accepted_answer(turn, output, status)]
        calls = turn.end_open_calls()
        details = document(metadata) or {}
        if turn.superseded:
            details = {**details, transcript.SUPERSEDED: turn.superseded}
        ended = _run(turn, status, details)
        ended.ended_at, ended.output_content = lifecycle.now(), output
        ended.metrics = document(metrics) or {}
        begun = self._sessions.get(turn.session_id) or Begun()
        trace = None
        if self._record_traces:
            ok = "ok" if status == "completed" else "error"
            trace = turn.trace(ok, ended.ended_at, begun.user_id)
        self._leave(turn)

        def flow(stores: Stores) -> Flow[None]:
            if messages:
                yield from lifecycle.append(stores, messages)
            yield from lifecycle.run_end(stores, ended, calls, trace)

        return flow

    def _answer(self, stream: Turn, answer: ConversationMessage) -> Make[None]:
        """End a stream with its answer."""
        duration_ms = (lifecycle.now() - stream.started_at) * 1000
        return self._end_turn(stream, "completed", answer.content, {"duration_ms": duration_ms})

    def _abandon(self, turn: Turn) -> list[Make[None]]:
        """End a turn that was not answered, and never will be."""
        if turn.streamed:
            failed = any(call.error for call, _arguments in turn.open_calls)
            return [self._end_turn(turn, "error" if failed else "cancelled")]
        self._leave(turn)
        return []

    def stream_turn(self, session_id: str) -> Turn | None:
        """Return the turn of the stream that is being answered in a session; None without one."""
        turn = speaking_turn(self, session_id)
        return turn if turn is not None and turn.streamed else None

    def abandon_stream(self, turn: Turn, content: str, status: str = "cancelled") -> None:
        """Store what was said of an answer whose stream its reader left, and end its turn.

        Nothing happens if the turn has ended, or if the agent goes on with it in a run.

        Args:
            turn: see `stream_turn`.
            content: what was said; empty is nothing.
            status: "cancelled", or "error" if the stream failed.
        """
        if turn.closed or turn.is_reported:
            return
        messages = self._late_user(turn)
        if content:
            messages.append(turn.message("assistant", content, metadata=dict(_PARTIAL)))
        said = [append(*messages)] if messages else []
        self._write(turn.session_id, *said, self._end_turn(turn, status))

    def _abandon_streams(self) -> list[Make[None]]:
        return [make for turn in open_streams(self) for make in self._abandon(turn)]

    def _leave_all(self) -> None:
        for turn in turns_of_owner(self):
            self._leave(turn)

    def _late_user(self, turn: Turn) -> list[ConversationMessage]:
        """Return the user's message of a run for which the agent has not reported it."""
        with turn.lock:
            if turn.user is not None or turn.prompt is None:
                return []
            turn.user = turn.message("user", prompt_text(turn.prompt))
            return [turn.user]

    def _leave(self, turn: Turn) -> None:
        leave(turn)
        core_events.stop_tracing(turn)


def append(*messages: ConversationMessage) -> Make[None]:
    """Return the write that appends these messages to their session."""
    return Said(messages)


def _run(turn: Turn, status: str, metadata: dict[str, Any]) -> Run:
    return Run(
        run_id=turn.run_id or "",
        session_id=turn.session_id,
        agent_name=turn.agent_name,
        started_at=turn.started_at,
        status=status,
        input_content=turn.prompt,
        metadata=metadata,
        owner=owners.this_process(),
    )
