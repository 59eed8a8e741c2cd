"""The hooks for tools, which streams and callers report. For other turns the core's hooks do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from praison_persist import lifecycle
from praison_persist._adapter.core import Make
from praison_persist._adapter.turns import TurnKeeper, append
from praison_persist._adapter.values import announced, document, openai_call
from praison_persist._json import jsonable
from praison_persist.open_turns import speaking_turn
from praison_persist.recorder import Turn

__all__ = ["ToolHooks"]


class ToolHooks(TurnKeeper):
    """on_assistant_message, on_tool_message and on_tool_call, in both colours."""

    def on_assistant_message(
        self,
        session_id: str,
        content: str | None,
        tool_calls: Sequence[Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Store an assistant's message that requests tools."""
        self._write(session_id, self._assistant_message(session_id, content, tool_calls, metadata))

    async def aon_assistant_message(
        self,
        session_id: str,
        content: str | None,
        tool_calls: Sequence[Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """See `on_assistant_message`."""
        await self._awrite(
            session_id, self._assistant_message(session_id, content, tool_calls, metadata)
        )

    def _assistant_message(
        self,
        session_id: str,
        content: str | None,
        tool_calls: Sequence[Any] | None,
        metadata: dict[str, Any] | None,
    ) -> Make[None]:
        turn = speaking_turn(self, session_id) or Turn(self, session_id)
        requests = [openai_call(call) for call in tool_calls or ()]
        for request in requests:
            turn.announced[request["id"]] = announced(turn, request)
        message = turn.message(
            "assistant", content, tool_calls=requests or None, metadata=document(metadata)
        )
        turn.rows.append(message.id)
        return append(*self._late_user(turn), message)

    def on_tool_message(
        self,
        session_id: str,
        content: str | None,
        tool_call_id: str,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Store a tool's result, as the answer to the call of that id."""
        self._write(session_id, self._tool_message(session_id, content, tool_call_id, metadata))

    async def aon_tool_message(
        self,
        session_id: str,
        content: str | None,
        tool_call_id: str,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """See `on_tool_message`."""
        await self._awrite(
            session_id, self._tool_message(session_id, content, tool_call_id, metadata)
        )

    def _tool_message(
        self,
        session_id: str,
        content: str | None,
        tool_call_id: str,
        metadata: dict[str, Any] | None,
    ) -> Make[None]:
        turn = speaking_turn(self, session_id) or Turn(self, session_id)
        message = turn.message(
            "tool", content, tool_call_id=tool_call_id, metadata=document(metadata)
        )
        turn.rows.append(message.id)
        call = turn.announced.pop(tool_call_id, None)
        if call is None or tool_call_id in turn.stored_calls:
            return append(message)
        call.result = content
        return lambda stores: lifecycle.tool_turn(stores, call, [message])

    def on_tool_call(
        self,
        session_id: str,
        tool_name: str,
        args: Any = None,
        result: Any = None,
        metadata: dict[str, Any] | None = None,
        *,
        arguments: Any = None,
    ) -> None:
        """Store a tool call that was made, with its result, and the messages that show it."""
        self._write(
            session_id,
            self._tool_call(
                session_id, tool_name, arguments if args is None else args, result, metadata
            ),
        )

    async def aon_tool_call(
        self,
        session_id: str,
        tool_name: str,
        arguments: Any = None,
        result: Any = None,
        metadata: dict[str, Any] | None = None,
        *,
        args: Any = None,
    ) -> None:
        """See `on_tool_call`."""
        await self._awrite(
            session_id,
            self._tool_call(
                session_id, tool_name, args if arguments is None else arguments, result, metadata
            ),
        )

    def _tool_call(
        self,
        session_id: str,
        tool_name: str,
        args: Any,
        result: Any,
        metadata: dict[str, Any] | None,
    ) -> Make[None]:
        turn = speaking_turn(self, session_id) or Turn(self, session_id)
        marker = object()
        turn.begin_call(tool_name, marker).args = jsonable(args)
        call = turn.end_call(tool_name, marker, result, None)
        assert call is not None  # noqa: S101 - it was begun just above
        call.metadata, call.duration_ms = document(metadata), None
        messages = [*self._late_user(turn), *turn.tool_messages(call, result)]
        return lambda stores: lifecycle.tool_turn(stores, call, messages)
