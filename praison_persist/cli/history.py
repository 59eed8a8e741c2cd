"""A conversation drawn for people: its last turns, and the tools that were called."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from praison_persist.cli.output import visible
from praison_persist.cli.times import when
from praison_persist.models import ConversationMessage
from praison_persist.protocols import ConversationStore

__all__ = ["draw_messages", "last_turns"]

_PER_TURN = 8  # messages read at first for each turn
_RESULT = 500  # characters shown of a call's arguments and of its result
_STYLES = {"user": "bold cyan", "assistant": "bold green", "tool": "yellow", "system": "magenta"}


def last_turns(
    store: ConversationStore, session_id: str, turns: int
) -> tuple[list[ConversationMessage], bool]:
    """Return the messages of the newest turns, oldest first, and whether there are older ones.

    A turn begins with what the user says.
    """
    limit = max(1, turns) * _PER_TURN
    while True:
        found = store.get_messages(session_id, limit)
        begins = [index for index, message in enumerate(found) if message.role == "user"]
        if len(begins) > turns:
            first = begins[-turns] if turns else len(found)
            return found[first:], True
        if len(found) < limit:
            return found, False
        limit *= 4


def draw_messages(
    console: Console,
    messages: Sequence[ConversationMessage],
    names: dict[str, str] | None = None,
) -> None:
    """Draw messages, oldest first; a tool call is drawn with its arguments, then its result.

    Args:
        console: where to.
        messages: what was said.
        names: id of a call -> its tool, of messages drawn before; those of these are added.
    """
    names = {} if names is None else names
    for message in messages:
        if message.role == "tool":
            name = names.get(message.tool_call_id or "", message.tool_call_id or "a tool")
            _draw_indented(console, f"← {name}: {_cut(message.content or '')}", "yellow")
            continue
        head = Text(visible(message.role), style=_STYLES.get(message.role, "bold"))
        console.print(head.append(f"  {when(message.created_at)} UTC", style="dim"))
        if message.content:
            _draw_indented(console, message.content)
        for call_id, name, arguments in map(_call, message.tool_calls or ()):
            names[call_id] = name
            _draw_indented(console, f"→ {name}({_cut(arguments)})", "yellow")


def _draw_indented(console: Console, text: str, style: str = "") -> None:
    shown = Text(visible(text), style=style)
    if console.is_terminal:  # which breaks lines, and keeps them indented
        console.print(Padding(shown, (0, 0, 0, 2), expand=False))
    else:
        console.print(textwrap.indent(shown.plain, "  "))


def _call(call: Any) -> tuple[str, str, str]:
    """Return the id, the tool and the arguments of a call, whatever form it was stored in."""
    if not isinstance(call, dict):
        return "", str(call), ""
    function = call.get("function")
    named = function if isinstance(function, dict) else call
    arguments = named.get("arguments", "")
    told = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    return str(call.get("id", "")), str(named.get("name", "?")), told


def _cut(text: str) -> str:
    return text if len(text) <= _RESULT else f"{text[:_RESULT]}… ({len(text)} characters)"
