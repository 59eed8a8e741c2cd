"""Messages of a conversation, drawn as turns: who said what, and which tools were called."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.text import Text

from praison_persist.cli.output import visible
from praison_persist.cli.times import when
from praison_persist.models import ConversationMessage

__all__ = ["draw_message", "draw_messages"]

_STYLES = {"user": "bold cyan", "assistant": "bold green", "tool": "yellow", "system": "magenta"}
_LONGEST = 2000  # characters of a result or of arguments that are drawn


def draw_messages(console: Console, messages: Iterable[ConversationMessage]) -> None:
    """Draw messages, oldest first, the results of tools below the calls that they answer."""
    names: dict[str, str] = {}
    for message in messages:
        draw_message(console, message, names)


def draw_message(
    console: Console, message: ConversationMessage, names: dict[str, str] | None = None
) -> None:
    """Draw one message.

    Args:
        console: where to.
        message: what was said.
        names: id of a call -> name of its tool; those of this message are added.
    """
    names = {} if names is None else names
    if message.role == "tool":
        name = names.get(message.tool_call_id or "", "") or message.tool_call_id or "tool"
        console.print(_line("  <- ", name, " ", _cut(message.content or ""), style="yellow"))
        return
    heading = Text(visible(message.role or "?"), style=_STYLES.get(message.role, "bold"))
    heading.append(f"  {when(message.created_at)}", style="dim")
    console.print(heading)
    if message.content:
        console.print(Text(visible(message.content)))
    for call in message.tool_calls or []:
        call_id, name, arguments = _call(call)
        names[call_id] = name
        console.print(_line("  -> ", name, "", f"({_cut(arguments)})", style="yellow"))


def _line(arrow: str, name: str, space: str, rest: str, *, style: str) -> Text:
    line = Text(arrow, style="dim")
    line.append(visible(name), style=style)
    return line.append(f"{space}{visible(rest)}")


def _call(call: Any) -> tuple[str, str, str]:
    """Return id, name and arguments of a requested call, in whatever shape it was stored."""
    if not isinstance(call, dict):
        return "", "?", str(call)
    function = call.get("function")
    function = function if isinstance(function, dict) else call
    arguments = function.get("arguments", function.get("args", ""))
    if not isinstance(arguments, str):
        arguments = json.dumps(arguments, ensure_ascii=False)
    name = function.get("name") or function.get("tool_name") or "?"
    return str(call.get("id") or ""), str(name), arguments


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… ({len(text)} characters)"
