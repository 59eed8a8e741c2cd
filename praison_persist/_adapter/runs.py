"""The hooks for runs; runs and tool calls as they are stored."""

from __future__ import annotations

from typing import Any

from praison_persist import lifecycle, owners
from praison_persist._adapter.core import Make, runs_of
from praison_persist._adapter.turns import TurnKeeper
from praison_persist._adapter.values import document
from praison_persist._flow import wait
from praison_persist.models import Run, ToolCall
from praison_persist.open_turns import run_turn

__all__ = ["RunHooks"]


class RunHooks(TurnKeeper):
    """on_run_*, get_runs and get_tool_calls, in both colours."""

    def on_run_start(
        self,
        session_id: str,
        run_id: str,
        input_content: str | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Store that a run (turn) begins. What this context reports from now on belongs to it."""
        details = document(metadata) or {}
        self._write(session_id, *self._begin_run(session_id, run_id, input_content, details))

    async def aon_run_start(
        self,
        session_id: str,
        run_id: str,
        input_content: str | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """See `on_run_start`."""
        details = document(metadata) or {}
        await self._awrite(session_id, *self._begin_run(session_id, run_id, input_content, details))

    def on_run_end(
        self,
        session_id: str,
        run_id: str,
        output_content: str | None = None,
        status: str = "completed",
        metrics: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Store how a run ended, and what of its conversation the agent has not reported."""
        self._write(
            session_id, self._run_end(session_id, run_id, output_content, status, metrics, metadata)
        )

    async def aon_run_end(
        self,
        session_id: str,
        run_id: str,
        output_content: str | None = None,
        status: str = "completed",
        metrics: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """See `on_run_end`."""
        await self._awrite(
            session_id, self._run_end(session_id, run_id, output_content, status, metrics, metadata)
        )

    def _run_end(
        self,
        session_id: str,
        run_id: str,
        output_content: str | None,
        status: str,
        metrics: dict[str, Any] | None,
        metadata: dict[str, Any] | None,
    ) -> Make[None]:
        turn = run_turn(self, session_id, run_id)
        if turn is not None:
            return self._end_turn(turn, status, output_content, metrics, metadata)
        # Begun elsewhere: what was said in it is not known here.
        ended = Run(
            run_id,
            session_id,
            ended_at=lifecycle.now(),
            status=status,
            output_content=output_content,
            metrics=document(metrics) or {},
            metadata=document(metadata) or {},
            owner=owners.this_process(),
        )
        return lambda stores: lifecycle.run_end(stores, ended, [], None)

    def get_runs(self, session_id: str, limit: int | None = None) -> list[Run]:
        """Return the runs of this session, newest first, with their messages and tool calls."""
        return self._read(
            lambda stores: wait(runs_of(stores).get_runs(session_id, limit)), replicas=True
        )

    async def aget_runs(self, session_id: str, limit: int | None = None) -> list[Run]:
        """See `get_runs`."""
        return await self._aread(
            lambda stores: wait(runs_of(stores).get_runs(session_id, limit)), replicas=True
        )

    def get_tool_calls(
        self, session_id: str, run_id: str | None = None, limit: int | None = None
    ) -> list[ToolCall]:
        """Return the newest tool calls of the session or run, in the order they began."""
        return self._read(
            lambda stores: wait(runs_of(stores).get_tool_calls(session_id, run_id, limit)),
            replicas=True,
        )

    async def aget_tool_calls(
        self, session_id: str, run_id: str | None = None, limit: int | None = None
    ) -> list[ToolCall]:
        """See `get_tool_calls`."""
        return await self._aread(
            lambda stores: wait(runs_of(stores).get_tool_calls(session_id, run_id, limit)),
            replicas=True,
        )
