"""The hooks for traces and spans, which callers use; traces as they are stored."""

from __future__ import annotations

from typing import Any

from praison_persist import lifecycle
from praison_persist._adapter.core import AdapterCore, Make, runs_of
from praison_persist._adapter.values import document
from praison_persist._flow import wait
from praison_persist.models import Span, Trace

__all__ = ["TraceHooks"]


class TraceHooks(AdapterCore):
    """on_trace_*, on_span_* and get_traces, in both colours."""

    def on_trace_start(
        self,
        trace_id: str,
        session_id: str | None = None,
        run_id: str | None = None,
        agent_name: str | None = None,
        user_id: str | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Store that a trace begins."""
        trace = Trace(
            trace_id, session_id, run_id, agent_name, user_id, metadata=document(metadata) or {}
        )
        self._write(None, lambda stores: wait(runs_of(stores).start_trace(trace)))

    async def aon_trace_start(
        self,
        trace_id: str,
        session_id: str | None = None,
        run_id: str | None = None,
        agent_name: str | None = None,
        user_id: str | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """See `on_trace_start`."""
        trace = Trace(
            trace_id, session_id, run_id, agent_name, user_id, metadata=document(metadata) or {}
        )
        await self._awrite(None, lambda stores: wait(runs_of(stores).start_trace(trace)))

    def on_trace_end(
        self, trace_id: str, status: str = "ok", metadata: dict[str, Any] | None = None
    ) -> None:
        """Store how a trace ended; `metadata` is merged."""
        self._write(None, self._trace_end(trace_id, status, metadata))

    async def aon_trace_end(
        self, trace_id: str, status: str = "ok", metadata: dict[str, Any] | None = None
    ) -> None:
        """See `on_trace_end`."""
        await self._awrite(None, self._trace_end(trace_id, status, metadata))

    def _trace_end(self, trace_id: str, status: str, metadata: dict[str, Any] | None) -> Make[None]:
        ended_at, details = lifecycle.now(), document(metadata)
        return lambda stores: wait(
            runs_of(stores).end_trace(trace_id, status=status, metadata=details, ended_at=ended_at)
        )

    def on_span_start(
        self,
        span_id: str,
        trace_id: str,
        name: str,
        parent_span_id: str | None = None,
        attributes: dict[str, Any] | None = None,
    ) -> None:
        """Store that a span begins."""
        span = Span(
            span_id,
            trace_id,
            name,
            parent_span_id=parent_span_id,
            attributes=document(attributes) or {},
        )
        self._write(None, lambda stores: wait(runs_of(stores).start_span(span)))

    async def aon_span_start(
        self,
        span_id: str,
        trace_id: str,
        name: str,
        parent_span_id: str | None = None,
        attributes: dict[str, Any] | None = None,
    ) -> None:
        """See `on_span_start`."""
        span = Span(
            span_id,
            trace_id,
            name,
            parent_span_id=parent_span_id,
            attributes=document(attributes) or {},
        )
        await self._awrite(None, lambda stores: wait(runs_of(stores).start_span(span)))

    def on_span_end(
        self, span_id: str, status: str = "ok", attributes: dict[str, Any] | None = None
    ) -> None:
        """Store how a span ended; `attributes` are merged."""
        self._write(None, self._span_end(span_id, status, attributes))

    async def aon_span_end(
        self, span_id: str, status: str = "ok", attributes: dict[str, Any] | None = None
    ) -> None:
        """See `on_span_end`."""
        await self._awrite(None, self._span_end(span_id, status, attributes))

    def _span_end(self, span_id: str, status: str, attributes: dict[str, Any] | None) -> Make[None]:
        ended_at, details = lifecycle.now(), document(attributes)
        return lambda stores: wait(
            runs_of(stores).end_span(span_id, status=status, attributes=details, ended_at=ended_at)
        )

    def get_traces(
        self,
        session_id: str | None = None,
        user_id: str | None = None,
        limit: int | None = None,
    ) -> list[Trace]:
        """Return the newest traces with their spans, newest first."""
        return self._read(
            lambda stores: wait(runs_of(stores).get_traces(session_id, user_id, limit)),
            replicas=True,
        )

    async def aget_traces(
        self,
        session_id: str | None = None,
        user_id: str | None = None,
        limit: int | None = None,
    ) -> list[Trace]:
        """See `get_traces`."""
        return await self._aread(
            lambda stores: wait(runs_of(stores).get_traces(session_id, user_id, limit)),
            replicas=True,
        )
