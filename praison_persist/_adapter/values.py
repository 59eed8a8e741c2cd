"""What the core hands to the hooks, as values that can be stored."""

from __future__ import annotations

import json
import re
from typing import Any

from praison_persist import lifecycle, transcript
from praison_persist._ids import new_id
from praison_persist._json import jsonable
from praison_persist.models import ConversationMessage, ToolCall
from praison_persist.recorder import Turn

__all__ = ["accepted_answer", "announced", "document", "ended", "is_agents", "openai_call"]


def document(value: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return what a hook was given as a JSON object; the agent's data is never refused."""
    return None if value is None else jsonable(value)


def is_agents(metadata: dict[str, Any] | None) -> bool:
    """Whether an Agent began a session, which tells its role and goal; callers do not."""
    return metadata is not None and {"role", "goal"} <= metadata.keys()


def ended(
    metadata: dict[str, Any] | None, name: str | None, agent_id: str | None
) -> dict[str, Any]:
    agent = {"agent_name": name, "agent_id": agent_id}
    told = {key: value for key, value in agent.items() if value}
    return {**told, **(document(metadata) or {}), "ended_at": lifecycle.now()}


def openai_call(call: Any) -> dict[str, Any]:
    """Return a tool call as OpenAI spells it; agents hand over dicts, or DbToolCall objects."""
    if isinstance(call, dict):
        request: dict[str, Any] = jsonable(call)
    else:
        arguments = getattr(call, "args", None)
        request = {
            "id": getattr(call, "call_id", None),
            "type": "function",
            "function": {
                "name": getattr(call, "tool_name", str(call)),
                "arguments": arguments
                if isinstance(arguments, str)
                else json.dumps(jsonable(arguments or {})),
            },
        }
    return request if transcript.call_id(request) else {**request, "id": f"call_{new_id()}"}


def announced(turn: Turn, request: dict[str, Any]) -> ToolCall:
    function = request.get("function") or {}
    arguments = function.get("arguments", {})
    try:
        args = json.loads(arguments) if isinstance(arguments, str) else arguments
    except ValueError:
        args = arguments
    return ToolCall(
        str(function.get("name", "")),
        args=args,
        call_id=request["id"],
        session_id=turn.session_id,
        run_id=turn.run_id,
    )


def accepted_answer(turn: Turn, output: str | None, status: str) -> list[ConversationMessage]:
    """Return the answer of a completed run if the agent did not report it, or reported another.

    After a guardrail's retry only the run's output has the accepted answer: it replaces those
    before it. A structured answer is kept as the JSON that the model wrote, not as its repr.
    """
    if status != "completed" or output is None:
        return []
    last = turn.answers[-1].content or "" if turn.answers else ""
    if turn.answers and (last.strip() == output.strip() or _is_repr_of(output, last)):
        return []
    turn.superseded += [answer.id for answer in turn.answers]
    heard = turn.heard or ""
    answer = turn.message("assistant", heard if _is_repr_of(output, heard) else output)
    turn.answers.append(answer)
    return [answer]


# Such as "name='Ada' age=36", the str() of a pydantic object.
_REPR = re.compile(r"[A-Za-z_]\w*=")


def _is_repr_of(output: str, text: str) -> bool:
    """Whether `output` is the Python form of the JSON in a text, which may have words around it."""
    if _REPR.match(output) is None:
        return False
    start, end = text.find("{"), text.rfind("}")
    try:
        return isinstance(json.loads(text[start : end + 1]), dict)
    except ValueError:
        return False
