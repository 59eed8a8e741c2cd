"""LlamaIndex's messages as messages of a conversation, and back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from llama_index.core.base.llms.types import ChatMessage, MessageRole, TextBlock, ToolCallBlock

from praison_persist.errors import InvalidDataError
from praison_persist.integrations._items import checked_item, id_or_none, tool_call
from praison_persist.models import ConversationMessage

__all__ = ["KEY", "count_equal", "from_row", "item_of", "to_row"]

KEY = "llama_index"  # of the metadata, under which is the message's JSON
_ROLES = {
    MessageRole.CHATBOT: "assistant",
    MessageRole.MODEL: "assistant",
    MessageRole.DEVELOPER: "system",
    MessageRole.FUNCTION: "tool",
}


def item_of(message: ChatMessage) -> dict[str, Any]:
    """Return the JSON form of a message."""
    item: dict[str, Any] = message.model_dump(mode="json")
    return item


def to_row(message: ChatMessage) -> ConversationMessage:
    """Return what is stored of a message, under a new id: LlamaIndex's have none.

    Raises:
        InvalidDataError: no message, or one that would not come back as it is.
    """
    if not isinstance(message, ChatMessage):
        raise InvalidDataError(f"A {type(message).__name__} is no ChatMessage of LlamaIndex")
    try:
        item = item_of(message)
    except (ValueError, TypeError) as error:
        raise InvalidDataError(f"The message has no JSON form: {error}") from error
    # Not the JSON is compared: in it, infinity is null.
    checked_item(
        item, message.model_dump(), lambda read: ChatMessage.model_validate(read).model_dump()
    )
    return ConversationMessage(
        role=_ROLES.get(message.role, message.role.value),
        content=message.content,
        tool_calls=_calls(message, item) or None,
        tool_call_id=id_or_none(message.additional_kwargs.get("tool_call_id")),
        metadata={KEY: item},
    )


def from_row(row: ConversationMessage) -> ChatMessage:
    """Return the message that was stored; of what others stored, its text and tool calls.

    A role that LlamaIndex does not know is taken for a user's.
    """
    item = (row.metadata or {}).get(KEY)
    if item is not None:
        found: ChatMessage = ChatMessage.model_validate(item)
        return found
    blocks: list[Any] = [] if row.content is None else [TextBlock(text=row.content)]
    blocks += [block for call in row.tool_calls or () if (block := _block(call)) is not None]
    known = row.role in {role.value for role in MessageRole}
    return ChatMessage(
        role=MessageRole(row.role) if known else MessageRole.USER,
        blocks=blocks,
        additional_kwargs={"tool_call_id": row.tool_call_id} if row.tool_call_id else {},
    )


def count_equal(rows: Sequence[ConversationMessage], messages: Sequence[ChatMessage]) -> int:
    """Return how many of the stored messages, from the first on, equal the given ones."""
    pairs = zip(rows, messages, strict=False)
    return next(
        (
            at
            for at, (row, message) in enumerate(pairs)
            if item_of(from_row(row)) != item_of(message)
        ),
        min(len(rows), len(messages)),
    )


def _calls(message: ChatMessage, item: dict[str, Any]) -> list[Any]:
    """Return the calls that are requested, by blocks or, as older models do, beside the text."""
    blocks = [block for block in message.blocks if isinstance(block, ToolCallBlock)]
    if blocks:
        return [
            tool_call(block.tool_call_id, block.tool_name, block.tool_kwargs) for block in blocks
        ]
    beside = item["additional_kwargs"].get("tool_calls")
    return beside if isinstance(beside, list) else []


def _block(call: Any) -> ToolCallBlock | None:
    """Return a call in the shape of OpenAI's chat completions as a block; None for another one."""
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        return None
    arguments = function.get("arguments") or {}
    if isinstance(arguments, str):
        try:
            read = json.loads(arguments)
        except ValueError:
            read = None
        arguments = read if isinstance(read, dict) else arguments
    return ToolCallBlock(
        tool_call_id=call.get("id"), tool_name=function["name"], tool_kwargs=arguments
    )
