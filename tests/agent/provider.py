"""The rules that providers hold a transcript to, written down once more and independently."""

from __future__ import annotations

from collections.abc import Sequence

from praison_persist import ConversationMessage


def complaint(messages: Sequence[ConversationMessage]) -> str | None:
    """Return why a provider would refuse this transcript, or None if none would."""
    waiting: list[str] = []
    seen: set[str] = set()
    for number, message in enumerate(messages):
        if message.role == "tool":
            if message.tool_call_id not in waiting:
                return f"{number}: the result of {message.tool_call_id!r} has no call before it"
            waiting.remove(message.tool_call_id)
            continue
        if waiting:
            return f"{number}: no result of {waiting}"
        if message.role not in ("user", "assistant"):
            return f"{number}: a {message.role} message"
        if message.role == "assistant":
            if message.tool_calls == []:
                return f"{number}: an empty list of calls"
            if not message.tool_calls and not message.content:
                return f"{number}: says nothing"
            waiting = [call["id"] for call in message.tool_calls or ()]
            if len(set(waiting)) != len(waiting) or seen & set(waiting):
                return f"{number}: an id twice"
            seen |= set(waiting)
        elif message.tool_calls or message.tool_call_id:
            return f"{number}: a user with tools"
    return f"end: no result of {waiting}" if waiting else None
