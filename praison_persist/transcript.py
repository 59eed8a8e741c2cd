"""From what is stored to what a model may be handed: valid for providers, and bounded.

Providers refuse a tool result without its call, a call without its result, and a history that
begins in the middle of either; what failed turns left behind would be answered again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from praison_persist.models import ConversationMessage, Run

__all__ = ["SUPERSEDED", "repair", "tokens", "visible", "window"]

# Key in a run's metadata: ids of messages that a later one of the same turn replaces.
SUPERSEDED = "superseded_messages"

_HIDDEN_STATUSES = frozenset({"running", "error", "cancelled", "interrupted"})
_ROLES = frozenset({"user", "assistant", "tool"})
_CHARACTERS_PER_TOKEN = 4  # of English text, as OpenAI's tokenizer documentation puts it


def visible(
    messages: Iterable[ConversationMessage], runs: Mapping[str, Run]
) -> list[ConversationMessage]:
    """Return the messages of turns that were completed, without those replaced within them.

    `runs` are the known runs of these messages by id; a message without one is visible.
    """
    superseded = {
        message_id
        for run in runs.values()
        if run.status == "completed"
        for message_id in run.metadata.get(SUPERSEDED) or ()
    }
    return [
        message
        for message in messages
        if message.id not in superseded
        and (
            message.run_id is None
            or message.run_id not in runs
            or runs[message.run_id].status not in _HIDDEN_STATUSES
        )
    ]


def repair(messages: Iterable[ConversationMessage]) -> list[ConversationMessage]:
    """Return the messages as a transcript that providers accept.

    Turns that ran side by side are put one after another; results follow their calls; what has no
    counterpart is left out, and so are system messages: the agent brings its own. Ids of calls
    that several turns use, as some models number them, are made unique.
    """
    turns = _by_turn(message for message in messages if message.role in _ROLES)
    used: dict[str, int] = {}
    return [message for turn in turns for message in _repair_turn(turn, used)]


def _by_turn(messages: Iterable[ConversationMessage]) -> list[list[ConversationMessage]]:
    """Group the messages of each run at the place of its first; others stay in sequence."""
    turns: list[list[ConversationMessage]] = []
    of_run: dict[str, list[ConversationMessage]] = {}
    loose: list[ConversationMessage] | None = None
    for message in messages:
        if message.run_id is None:
            if loose is None:
                loose = []
                turns.append(loose)
            loose.append(message)
            continue
        if message.run_id not in of_run:
            loose = None
            of_run[message.run_id] = []
            turns.append(of_run[message.run_id])
        of_run[message.run_id].append(message)
    return turns


def _repair_turn(
    messages: Sequence[ConversationMessage], used: dict[str, int]
) -> list[ConversationMessage]:
    results: dict[str, ConversationMessage] = {}
    for message in messages:
        if message.role == "tool" and message.tool_call_id:
            results.setdefault(message.tool_call_id, message)
    transcript: list[ConversationMessage] = []
    for message in messages:
        if message.role == "tool":
            continue
        calls = {call_id(call): call for call in message.tool_calls or ()}
        answered = [known for known in calls if known in results and message.role == "assistant"]
        if message.role == "assistant" and not answered and not message.content:
            continue
        names = {known: _unused(known, used) for known in answered}
        requests = [{**calls[known], "id": name} for known, name in names.items()]
        transcript.append(replace(message, tool_calls=requests or None, tool_call_id=None))
        transcript += [
            replace(results.pop(known), tool_calls=None, tool_call_id=name)
            for known, name in names.items()
        ]
    return transcript


def _unused(name: str, used: dict[str, int]) -> str:
    """Return `name`, numbered if it is in `used`: names in use, with the last number of each."""
    unused = name
    while unused in used:
        used[name] += 1
        unused = f"{name}-{used[name]}"
    used[unused] = 1
    return unused


def call_id(call: Any) -> str:
    """Return the id of an OpenAI-shaped tool call; "" if it has none."""
    found = call.get("id") if isinstance(call, Mapping) else None
    return found if isinstance(found, str) else ""


def tokens(message: ConversationMessage) -> int:
    """Estimate the tokens of a message from its length."""
    length = len(message.content or "") + sum(len(str(call)) for call in message.tool_calls or ())
    return length // _CHARACTERS_PER_TOKEN + 1


def window(
    messages: Sequence[ConversationMessage],
    limit: int | None = None,
    token_limit: int | None = None,
    count_tokens: Callable[[ConversationMessage], int] = tokens,
) -> list[ConversationMessage]:
    """Return the newest messages within both limits, beginning where a turn begins.

    Fewer than `limit` are returned rather than a turn cut in half; if not even the last turn fits,
    its last messages from a plain assistant message on.
    """
    kept = list(messages if limit is None else messages[max(len(messages) - limit, 0) :])
    if token_limit is not None:
        kept = _within_tokens(kept, token_limit, count_tokens)
    if len(kept) == len(messages):
        return kept
    for begins in (_asks, _answers):
        first = next((index for index, message in enumerate(kept) if begins(message)), None)
        if first is not None:
            return kept[first:]
    return []


def _asks(message: ConversationMessage) -> bool:
    return message.role == "user"


def _answers(message: ConversationMessage) -> bool:
    return message.role == "assistant" and not message.tool_calls


def _within_tokens(
    messages: list[ConversationMessage],
    token_limit: int,
    count_tokens: Callable[[ConversationMessage], int],
) -> list[ConversationMessage]:
    used = 0
    for index in range(len(messages) - 1, -1, -1):
        used += count_tokens(messages[index])
        if used > token_limit:
            return messages[index + 1 :]
    return messages
