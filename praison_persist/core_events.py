"""Where the core of praisonaiagents tells what its hooks do not: tool hooks and trace events.

Nothing here imports praisonaiagents before an agent of it has called an adapter.
"""

from __future__ import annotations

import asyncio
import copy
import logging
import sys
import threading
from functools import lru_cache
from typing import Any

from praison_persist._ids import new_id
from praison_persist.models import Span
from praison_persist.open_turns import turn_of
from praison_persist.outbox import RETRIED
from praison_persist.recorder import Turn

__all__ = ["install_tool_hooks", "start_tracing", "stop_tracing"]

_log = logging.getLogger(__name__)

_installing = threading.Lock()


def install_tool_hooks(registry: Any = None) -> None:
    """Have a hook registry (the core's default one) report tool calls to the turn they belong to.

    Installing twice is installing once. Tools outside any turn are not touched.
    """
    if "praisonaiagents" not in sys.modules:
        return
    from praisonaiagents.hooks import HookEvent, get_default_registry  # noqa: PLC0415 - see above

    registry = get_default_registry() if registry is None else registry  # an empty one is false
    with _installing:
        # Async on purpose: the core denies a tool while a sync hook of another turn is running.
        for event, hook in (
            (HookEvent.BEFORE_TOOL, _before_tool),
            (HookEvent.AFTER_TOOL, _after_tool),
        ):
            # Looked up each time, because a registry may have been cleared meanwhile.
            if all(getattr(known, "func", None) is not hook for known in registry.get_hooks(event)):
                registry.register_function(
                    event, hook, name=f"praison_persist{hook.__name__}", is_async=True
                )


async def _before_tool(data: Any) -> None:
    turn = turn_of(data.session_id)
    if turn is not None:
        call = turn.begin_call(data.tool_name, data.tool_input)
        await _record(turn.owner.record_call, call)


async def _after_tool(data: Any) -> None:
    turn = turn_of(data.session_id)
    if turn is None:
        return
    call = turn.end_call(data.tool_name, data.tool_input, data.tool_output, data.tool_error)
    if call is None:
        return
    if data.execution_time_ms:
        call.duration_ms = data.execution_time_ms
    if call.call_id in turn.announced:
        # The stream reports the result itself, in its own words.
        turn.stored_calls.add(call.call_id or "")
        await _record(turn.owner.record_call, call)
    else:
        messages = turn.tool_messages(call, data.tool_output)
        await _record(turn.owner.record_tool_turn, turn, call, messages)


async def _record(write: Any, *args: Any) -> None:
    """Write in a worker thread, whatever loop this is: the core may run a hook on one of its own.

    A hook that raises would forbid the tool, so nothing may leave it.
    """
    try:
        await asyncio.to_thread(write, *args)
    except RETRIED as error:
        _log.debug("tool call kept for later: %s", error)  # the outbox has said it, loudly
    except Exception:  # noqa: BLE001 - see above
        _log.exception("A tool call could not be recorded")


class _Sink:
    """Takes the core's trace events of one turn: model calls become spans, others events."""

    def __init__(self, turn: Turn) -> None:
        self._turn = turn

    def emit(self, event: Any) -> None:
        """Take one event."""
        turn = self._turn
        if turn.closed:
            return
        kind = str(getattr(event.event_type, "value", event.event_type))
        with turn.lock:
            if kind == "llm_response":
                turn.heard = event.data.get("response_content") or turn.heard
                _end_llm_span(turn, event)
            elif kind == "tool_call_end":
                # An agent without an adapter may run inside this turn.
                if event.data.get("error") and event.agent_name == turn.agent_name:
                    turn.fail_call(event.data.get("tool_name", ""), str(event.data["error"]))
            elif kind == "tool_call_start" or not turn.has_room():
                return
            elif kind == "llm_request":
                turn.llm_spans.append(_llm_span(turn, event))
            else:
                turn.events.append({"name": kind, "timestamp": event.timestamp})

    def flush(self) -> None:
        """Nothing is buffered."""

    def close(self) -> None:
        """Nothing is held."""


def _llm_span(turn: Turn, event: Any) -> Span:
    return Span(
        span_id=new_id(),
        trace_id=turn.trace_id,
        name="llm",
        started_at=event.timestamp,
        parent_span_id=turn.trace_id,
        attributes={"model": event.data.get("model"), "messages": event.messages_count},
    )


def _end_llm_span(turn: Turn, event: Any) -> None:
    span = next((span for span in reversed(turn.llm_spans) if span.ended_at is None), None)
    if span is None:
        return
    span.ended_at = event.timestamp
    span.status = "error" if event.data.get("finish_reason") == "error" else "ok"
    span.attributes |= {
        "prompt_tokens": event.prompt_tokens,
        "completion_tokens": event.completion_tokens,
        "cost_usd": event.cost_usd,
        "finish_reason": event.data.get("finish_reason"),
    }
    if event.data.get("model"):
        span.attributes["model"] = event.data["model"]


class _Both:
    """An emitter beside the one that the user set: each gets every event, with its own rules."""

    def __init__(self, own: Any, previous: Any) -> None:
        self.own, self.previous = own, previous

    @property
    def enabled(self) -> bool:
        """Whether either records."""
        return bool(self.own.enabled or self.previous.enabled)

    @property
    def _enabled(self) -> bool:
        return self.enabled

    def _emit(self, event: Any, *args: Any) -> None:
        # An emitter numbers the event it is given: each gets one of its own.
        self.own._emit(copy.copy(event), *args)  # noqa: SLF001 - stands for both
        self.previous._emit(event, *args)  # noqa: SLF001 - as above

    def __getattr__(self, name: str) -> Any:
        theirs = getattr(self.previous, name)
        if not callable(theirs):
            return theirs
        ours = getattr(self.own, name)

        def both(*args: Any, **kwargs: Any) -> Any:
            ours(*args, **kwargs)
            return theirs(*args, **kwargs)

        return both


@lru_cache(maxsize=1)
def _emitter_class() -> type[Any]:
    from praisonaiagents.trace.context_events import ContextTraceEmitter  # noqa: PLC0415 - as above

    class TurnEmitter(ContextTraceEmitter):  # type: ignore[misc]  # its base has no types
        """The emitter of one turn; remembers whose place it took."""

        __slots__ = ("previous",)

    return TurnEmitter


def start_tracing(turn: Turn) -> None:
    """Have the core report its trace events of this context to `turn`."""
    if "praisonaiagents" not in sys.modules:
        return
    from praisonaiagents.trace import context_events  # noqa: PLC0415 - as above

    own_class = _emitter_class()
    previous = _users_emitter(context_events.get_context_emitter(), own_class)
    own = own_class(sink=_Sink(turn), session_id=turn.session_id, enabled=True)
    own.previous = previous
    turn.emitter = _Both(own, previous) if previous.enabled else own
    context_events.set_context_emitter(turn.emitter)


def _users_emitter(emitter: Any, own_class: type[Any]) -> Any:
    """Return the emitter behind those that ended turns have left in this context."""
    while isinstance(emitter, _Both | own_class):
        own = emitter.own if isinstance(emitter, _Both) else emitter
        if own.enabled:
            return emitter  # of a turn that is still open, around this one
        emitter = own.previous
    return emitter


def stop_tracing(turn: Turn) -> None:
    """End what `start_tracing` began; restores this context's emitter if that is over."""
    emitter, turn.emitter = turn.emitter, None
    if emitter is None:
        return
    from praisonaiagents.trace import context_events  # noqa: PLC0415 - as above

    own = emitter.own if isinstance(emitter, _Both) else emitter
    own.enabled = False
    current = context_events.get_context_emitter()
    following = _users_emitter(current, _emitter_class())
    if following is not current:
        context_events.set_context_emitter(following)
