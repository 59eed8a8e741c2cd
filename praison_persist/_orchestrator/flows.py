"""What the orchestrator's methods do: one flow each, for stores of either colour."""

from __future__ import annotations

from typing import Any

from praison_persist import lifecycle
from praison_persist._flow import Flow, wait
from praison_persist.errors import NotFoundError
from praison_persist.lifecycle import History, Stores
from praison_persist.models import ConversationMessage, ConversationSession

__all__ = ["Started", "history", "openai_message", "say", "start"]

Started = tuple[ConversationSession, list[ConversationMessage]]


def start(stores: Stores, session: ConversationSession, resumed: History | None) -> Flow[Started]:
    """Begin the session. Return it as stored, and what the model is to be handed.

    Args:
        stores: where it is kept.
        session: what to create if there is none of its id.
        resumed: how much is handed over; None is nothing.
    """
    stored = yield from lifecycle.begin(stores, session)
    if resumed is None:
        return stored, []
    return stored, (yield from lifecycle.resume(stores, session.session_id, resumed))


def say(stores: Stores, message: ConversationMessage) -> Flow[ConversationMessage]:
    """Append a message to its session, which is created if it does not exist."""
    store = stores.conversation
    try:
        return (yield from wait(store.add_message(message.session_id, message)))
    except NotFoundError:
        session = ConversationSession(session_id=message.session_id)
        yield from wait(store.ensure_session(session))
        return (yield from wait(store.add_message(message.session_id, message)))


def history(stores: Stores, session_id: str, limit: int) -> Flow[list[dict[str, Any]]]:
    """Return the newest messages as a provider takes them, oldest first."""
    found = yield from lifecycle.resume(stores, session_id, History(limit))
    return [openai_message(message) for message in found]


def openai_message(message: ConversationMessage) -> dict[str, Any]:
    """Return a message as OpenAI spells it."""
    spelled: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        spelled["tool_calls"] = message.tool_calls
    if message.tool_call_id:
        spelled["tool_call_id"] = message.tool_call_id
    return spelled
