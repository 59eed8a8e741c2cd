"""Run stores over any state store, beside any conversation store; see `run_flows` for the keys."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from praison_persist import _flow
from praison_persist.models import Run, Span, ToolCall, Trace
from praison_persist.protocols import (
    AsyncConversationStore,
    AsyncRunStore,
    AsyncStateStore,
    ConversationStore,
    RunStore,
    StateStore,
)
from praison_persist.state.run_flows import RunFlows

__all__ = ["AsyncStateRunStore", "StateRunStore"]


class StateRunStore(RunStore):
    """Runs, tool calls and traces in a sync state store.

    Args:
        state: where they are kept; closed with this store.
        conversations: the store of the sessions that they belong to; not closed.
        clock: seconds since the epoch.

    Raises:
        ConfigurationError: the state store lacks a capability that this needs; names it.
    """

    def __init__(
        self,
        state: StateStore,
        conversations: ConversationStore,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._state = state
        self._flows = RunFlows(state, conversations, clock)

    def start_run(self, run: Run) -> Run:
        """See `RunStore.start_run`."""
        return _flow.run(self._flows.start_run(run))

    def end_run(
        self,
        session_id: str,
        run_id: str,
        *,
        status: str = "completed",
        output_content: str | None = None,
        metrics: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
        ended_at: float | None = None,
    ) -> bool:
        """See `RunStore.end_run`."""
        return _flow.run(
            self._flows.end_run(
                session_id,
                run_id,
                status=status,
                output_content=output_content,
                metrics=metrics,
                metadata=metadata,
                ended_at=ended_at,
            )
        )

    def get_runs(self, session_id: str, limit: int | None = None) -> list[Run]:
        """See `RunStore.get_runs`."""
        return _flow.run(self._flows.get_runs(session_id, limit))

    def find_runs(self, session_id: str, run_ids: Sequence[str]) -> dict[str, Run]:
        """See `RunStore.find_runs`."""
        return _flow.run(self._flows.find_runs(session_id, run_ids))

    def running(self, session_id: str) -> list[Run]:
        """See `RunStore.running`."""
        return _flow.run(self._flows.running(session_id))

    def add_tool_call(self, call: ToolCall) -> ToolCall:
        """See `RunStore.add_tool_call`."""
        return _flow.run(self._flows.add_tool_call(call))

    def get_tool_calls(
        self, session_id: str, run_id: str | None = None, limit: int | None = None
    ) -> list[ToolCall]:
        """See `RunStore.get_tool_calls`."""
        return _flow.run(self._flows.get_tool_calls(session_id, run_id, limit))

    def start_trace(self, trace: Trace) -> None:
        """See `RunStore.start_trace`."""
        _flow.run(self._flows.start_trace(trace))

    def end_trace(
        self,
        trace_id: str,
        *,
        status: str = "ok",
        metadata: dict[str, Any] | None = None,
        ended_at: float | None = None,
    ) -> bool:
        """See `RunStore.end_trace`."""
        return _flow.run(
            self._flows.end_trace(trace_id, status=status, metadata=metadata, ended_at=ended_at)
        )

    def start_span(self, span: Span) -> None:
        """See `RunStore.start_span`."""
        _flow.run(self._flows.start_span(span))

    def end_span(
        self,
        span_id: str,
        *,
        status: str = "ok",
        attributes: dict[str, Any] | None = None,
        ended_at: float | None = None,
    ) -> bool:
        """See `RunStore.end_span`."""
        return _flow.run(
            self._flows.end_span(span_id, status=status, attributes=attributes, ended_at=ended_at)
        )

    def add_trace(self, trace: Trace) -> None:
        """See `RunStore.add_trace`."""
        _flow.run(self._flows.add_trace(trace))

    def get_traces(
        self,
        session_id: str | None = None,
        user_id: str | None = None,
        limit: int | None = None,
    ) -> list[Trace]:
        """See `RunStore.get_traces`."""
        return _flow.run(self._flows.get_traces(session_id, user_id, limit))

    def delete_session(self, session_id: str) -> None:
        """See `RunStore.delete_session`."""
        _flow.run(self._flows.delete_session(session_id))

    def dump_session(self, session_id: str) -> dict[str, Any]:
        """See `RunStore.dump_session`."""
        return _flow.run(self._flows.dump_session(session_id))

    def load_session(self, session_id: str, dump: Mapping[str, Any]) -> None:
        """See `RunStore.load_session`."""
        _flow.run(self._flows.load_session(session_id, dump))

    def close(self) -> None:
        """See `RunStore.close`."""
        self._state.close()


class AsyncStateRunStore(AsyncRunStore):
    """Runs, tool calls and traces in an async state store.

    Args:
        state: where they are kept; closed with this store.
        conversations: the store of the sessions that they belong to; not closed.
        clock: seconds since the epoch.

    Raises:
        ConfigurationError: the state store lacks a capability that this needs; names it.
    """

    def __init__(
        self,
        state: AsyncStateStore,
        conversations: AsyncConversationStore,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._state = state
        self._flows = RunFlows(state, conversations, clock)

    async def start_run(self, run: Run) -> Run:
        """See `RunStore.start_run`."""
        return await _flow.arun(self._flows.start_run(run))

    async def end_run(
        self,
        session_id: str,
        run_id: str,
        *,
        status: str = "completed",
        output_content: str | None = None,
        metrics: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
        ended_at: float | None = None,
    ) -> bool:
        """See `RunStore.end_run`."""
        return await _flow.arun(
            self._flows.end_run(
                session_id,
                run_id,
                status=status,
                output_content=output_content,
                metrics=metrics,
                metadata=metadata,
                ended_at=ended_at,
            )
        )

    async def get_runs(self, session_id: str, limit: int | None = None) -> list[Run]:
        """See `RunStore.get_runs`."""
        return await _flow.arun(self._flows.get_runs(session_id, limit))

    async def find_runs(self, session_id: str, run_ids: Sequence[str]) -> dict[str, Run]:
        """See `RunStore.find_runs`."""
        return await _flow.arun(self._flows.find_runs(session_id, run_ids))

    async def running(self, session_id: str) -> list[Run]:
        """See `RunStore.running`."""
        return await _flow.arun(self._flows.running(session_id))

    async def add_tool_call(self, call: ToolCall) -> ToolCall:
        """See `RunStore.add_tool_call`."""
        return await _flow.arun(self._flows.add_tool_call(call))

    async def get_tool_calls(
        self, session_id: str, run_id: str | None = None, limit: int | None = None
    ) -> list[ToolCall]:
        """See `RunStore.get_tool_calls`."""
        return await _flow.arun(self._flows.get_tool_calls(session_id, run_id, limit))

    async def start_trace(self, trace: Trace) -> None:
        """See `RunStore.start_trace`."""
        await _flow.arun(self._flows.start_trace(trace))

    async def end_trace(
        self,
        trace_id: str,
        *,
        status: str = "ok",
        metadata: dict[str, Any] | None = None,
        ended_at: float | None = None,
    ) -> bool:
        """See `RunStore.end_trace`."""
        return await _flow.arun(
            self._flows.end_trace(trace_id, status=status, metadata=metadata, ended_at=ended_at)
        )

    async def start_span(self, span: Span) -> None:
        """See `RunStore.start_span`."""
        await _flow.arun(self._flows.start_span(span))

    async def end_span(
        self,
        span_id: str,
        *,
        status: str = "ok",
        attributes: dict[str, Any] | None = None,
        ended_at: float | None = None,
    ) -> bool:
        """See `RunStore.end_span`."""
        return await _flow.arun(
            self._flows.end_span(span_id, status=status, attributes=attributes, ended_at=ended_at)
        )

    async def add_trace(self, trace: Trace) -> None:
        """See `RunStore.add_trace`."""
        await _flow.arun(self._flows.add_trace(trace))

    async def get_traces(
        self,
        session_id: str | None = None,
        user_id: str | None = None,
        limit: int | None = None,
    ) -> list[Trace]:
        """See `RunStore.get_traces`."""
        return await _flow.arun(self._flows.get_traces(session_id, user_id, limit))

    async def delete_session(self, session_id: str) -> None:
        """See `RunStore.delete_session`."""
        await _flow.arun(self._flows.delete_session(session_id))

    async def dump_session(self, session_id: str) -> dict[str, Any]:
        """See `RunStore.dump_session`."""
        return await _flow.arun(self._flows.dump_session(session_id))

    async def load_session(self, session_id: str, dump: Mapping[str, Any]) -> None:
        """See `RunStore.load_session`."""
        await _flow.arun(self._flows.load_session(session_id, dump))

    async def close(self) -> None:
        """See `RunStore.close`."""
        await self._state.close()
