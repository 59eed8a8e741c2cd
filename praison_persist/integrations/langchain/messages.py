"""LangChain's messages as messages of a conversation, and back."""

from __future__ import annotations

from typing import Any

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
    convert_to_messages,
    message_to_dict,
    messages_from_dict,
)

from praison_persist._ids import new_id
from praison_persist.errors import InvalidDataError
from praison_persist.integrations._items import checked_item, id_or_none, tool_call
from praison_persist.models import ConversationMessage

__all__ = ["KEY", "from_row", "to_row"]

KEY = "langchain"  # of the metadata, under which is what message_to_dict returns
_ROLES: tuple[tuple[type[BaseMessage], str], ...] = (
    (HumanMessage, "user"),
    (AIMessage, "assistant"),
    (SystemMessage, "system"),
    (ToolMessage, "tool"),
    (FunctionMessage, "tool"),
)


def to_row(message: BaseMessage) -> ConversationMessage:
    """Return what is stored of a message; its id, if it has one, is the stored one's.

    Raises:
        InvalidDataError: no message, or one that would not come back as it is.
    """
    if not isinstance(message, BaseMessage):
        raise InvalidDataError(f"A {type(message).__name__} is no message of LangChain")
    item: dict[str, Any] = message_to_dict(message)
    checked_item(item, item, lambda read: message_to_dict(messages_from_dict([read])[0]))
    calls = [
        tool_call(each["id"], each["name"], each["args"])
        for each in getattr(message, "tool_calls", None) or ()
    ]
    return ConversationMessage(
        id=message.id or new_id(),
        role=_role(message),
        content=_text(message.content),
        tool_calls=calls or None,
        tool_call_id=id_or_none(getattr(message, "tool_call_id", None)),
        metadata={KEY: item},
    )


def from_row(row: ConversationMessage) -> BaseMessage:
    """Return the message that was stored; of what others stored, its text and tool calls."""
    item = (row.metadata or {}).get(KEY)
    if item is not None:
        found: BaseMessage = messages_from_dict([item])[0]
        return found
    content = row.content or ""
    if row.role not in ("user", "assistant", "system", "developer", "tool"):
        return ChatMessage(role=row.role, content=content, id=row.id)
    plain: dict[str, Any] = {"role": row.role, "content": content, "id": row.id}
    if row.role == "assistant" and row.tool_calls:
        plain["tool_calls"] = row.tool_calls
    if row.role == "tool":
        plain["tool_call_id"] = row.tool_call_id or ""
    try:
        read: BaseMessage = convert_to_messages([plain])[0]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InvalidDataError(
            f"Message {row.id!r} of session {row.session_id!r} has tool calls that LangChain "
            "cannot read: they are not of the shape of OpenAI's chat completions"
        ) from error
    return read


def _role(message: BaseMessage) -> str:
    if isinstance(message, ChatMessage):
        return str(message.role)
    return next((role for kind, role in _ROLES if isinstance(message, kind)), str(message.type))


def _text(content: str | list[str | dict[str, Any]]) -> str:
    """Return the text of a content; images and others are in the whole message alone."""
    if isinstance(content, str):
        return content
    parts = [
        part if isinstance(part, str) else part.get("text")
        for part in content
        if isinstance(part, str) or part.get("type") == "text"
    ]
    return "".join(part for part in parts if isinstance(part, str))
