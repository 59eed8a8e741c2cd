"""Items of the OpenAI Agents SDK as messages that all can read, and messages as items.

The item is kept whole in the metadata; role, content and tool calls say the same for others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from praison_persist._checks import check_id
from praison_persist._json import dumps, jsonable
from praison_persist.errors import InvalidDataError
from praison_persist.models import ConversationMessage

__all__ = ["KEY", "items_of", "message_of"]

KEY = "openai_agents"  # of the metadata: has the item

_TEXTS = ("text", "refusal")  # what parts of a content call their text
_ROLES = {"user": "user", "assistant": "assistant", "system": "system", "developer": "system"}


def message_of(item: Any) -> ConversationMessage:
    """Return a new message that keeps the item.

    Raises:
        InvalidDataError: the item is no dict. What JSON cannot hold in it, the store refuses.
    """
    if not isinstance(item, dict):
        raise InvalidDataError(
            f"An item of a session is a dict, not {type(item).__name__}; pass its model_dump()"
        )
    return ConversationMessage(**_shown(item), metadata={KEY: item})


def _shown(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return role, content and tool calls as other readers of the conversation know them."""
    kind, role = item.get("type"), item.get("role")
    if kind == "function_call":
        return {"role": "assistant", "content": None, "tool_calls": [_call(item)]}
    if kind == "function_call_output":
        output = item.get("output")
        return {"role": "tool", "content": _output(output), "tool_call_id": _id(item)}
    if kind in (None, "message") and role in _ROLES:
        return {"role": _ROLES[role], "content": _text(item.get("content"))}
    # Reasoning, hosted tools, compactions: nothing that another framework could be handed.
    return {"role": "system", "content": None}


def _call(item: Mapping[str, Any]) -> dict[str, Any]:
    function = {"name": item.get("name"), "arguments": item.get("arguments")}
    return {"id": item.get("call_id"), "type": "function", "function": function}


def _id(item: Mapping[str, Any]) -> str | None:
    """Return the id of the call, None if no column could hold it: the item has it all the same."""
    try:
        check_id(item.get("call_id"), "call_id")
    except InvalidDataError:
        return None
    return str(item["call_id"])


def _output(output: Any) -> str:
    if isinstance(output, list):
        return _text(output) or dumps(jsonable(output))
    return output if isinstance(output, str) else dumps(jsonable(output))


def _text(content: Any) -> str | None:
    """Return the text of a content or of its parts, a line each; None if it has none."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return None
    parts = [part for part in content if isinstance(part, Mapping)]
    texts = [part[name] for part in parts for name in _TEXTS if isinstance(part.get(name), str)]
    return "\n".join(texts) if texts else None


def items_of(message: ConversationMessage) -> list[dict[str, Any]]:
    """Return the item that the message keeps, or what a message of others says in items."""
    item = (message.metadata or {}).get(KEY)
    return [item] if isinstance(item, dict) else list(_said(message))


def _said(message: ConversationMessage) -> Iterator[dict[str, Any]]:
    if message.role == "tool":
        if message.tool_call_id:
            yield {
                "type": "function_call_output",
                "call_id": message.tool_call_id,
                "output": message.content or "",
            }
        return
    if message.role in _ROLES and message.content:
        yield {"role": message.role, "content": message.content}
    for call in message.tool_calls or ():
        match call:
            case {"id": str(call_id), "function": {"name": str(name), **function}}:
                arguments = function.get("arguments")
                yield {
                    "type": "function_call",
                    "call_id": call_id,
                    "name": name,
                    "arguments": arguments if isinstance(arguments, str) else dumps(arguments),
                }
