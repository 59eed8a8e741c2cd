"""What was stored, and what a model was sent, in a form that reads like a conversation."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from local_llm import Json, LocalLLM

from praison_persist import PraisonAIDB

from .driving import SESSION


def lines(messages: Iterable[Any]) -> list[str]:
    """Return a line a message: who said what, what was called, what it returned.

    Takes stored messages and those of a request; system messages are left out.
    """
    return [_line(message) for message in messages if _field(message, "role") != "system"]


def _line(message: Any) -> str:
    role, calls = _field(message, "role"), _field(message, "tool_calls")
    content = _field(message, "content")
    if isinstance(content, list):
        content = " ".join(part["text"] for part in content if "text" in part)
    if calls:
        return "call: " + " + ".join(_call(call["function"]) for call in calls)
    return f"{'result' if role == 'tool' else role}: {content}"


def _call(function: Mapping[str, str]) -> str:
    arguments = json.loads(function["arguments"])
    return f"{function['name']} {json.dumps(arguments, sort_keys=True)}"


def _field(message: Any, name: str) -> Any:
    return message.get(name) if isinstance(message, dict) else getattr(message, name)


def said(db: PraisonAIDB, session_id: str = SESSION) -> list[str]:
    """Return all that is stored of a session, after checking that it hangs together."""
    messages = db.get_messages(session_id)
    assert [message.seq for message in messages] == list(range(1, len(messages) + 1))
    assert len({message.id for message in messages}) == len(messages)
    called: set[str] = set()
    for message in messages:
        called |= {call["id"] for call in message.tool_calls or ()}
        if message.role == "tool":
            assert message.tool_call_id in called
    return lines(messages)


def calls(db: PraisonAIDB, session_id: str = SESSION) -> list[tuple[str, Any, Any, str | None]]:
    """Return the tool calls of a session: name, arguments, result, error."""
    found = db.get_tool_calls(session_id)
    assert all(call.duration_ms is not None for call in found)
    return [(call.tool_name, call.args, call.result, call.error) for call in found]


def runs(db: PraisonAIDB, session_id: str = SESSION) -> list[tuple[str, str | None, list[str]]]:
    """Return the runs of a session, the oldest first: status, output, messages."""
    return [
        (run.status, run.output_content, lines(run.messages))
        for run in reversed(db.get_runs(session_id))
    ]


def spans(db: PraisonAIDB, session_id: str = SESSION) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return the traces of a session, the oldest first: status; name and status of each span."""
    found = list(reversed(db.get_traces(session_id)))
    for trace in found:
        assert trace.run_id is not None
        root, *children = trace.spans
        assert root.parent_span_id is None
        assert all(span.parent_span_id == root.span_id for span in children)
        assert all(span.ended_at and span.ended_at >= span.started_at for span in trace.spans)
    return [(trace.status, [(span.name, span.status) for span in trace.spans]) for trace in found]


def sent(llm: LocalLLM) -> list[str]:
    """Return the last request, without the prompt that LiteLLM agents send twice."""
    return request_lines(llm.chat_requests[-1])


def request_lines(request: Json) -> list[str]:
    """Return a request to the model."""
    found = lines(request["messages"])
    is_doubled = found[-2:-1] == found[-1:] and found[-1].startswith("user:")
    return found[:-1] if is_doubled else found
