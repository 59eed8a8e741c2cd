"""Events of the Agent Development Kit as messages that all can read, and messages as events.

The event is kept whole in the metadata; role, content and tool calls say the same for others.
"""

from __future__ import annotations

from typing import Any

from google.adk.events.event import Event
from google.genai import types
from pydantic_core import PydanticSerializationError

from praison_persist._checks import check_id
from praison_persist._json import dumps, jsonable
from praison_persist.errors import InvalidDataError
from praison_persist.models import ConversationMessage

__all__ = ["KEY", "event_of", "kept", "message_of"]

KEY = "google_adk"  # of the metadata: has the event of a message, the record of a session


def message_of(event: Event, message_id: str) -> ConversationMessage:
    """Return the message that keeps the event.

    Raises:
        InvalidDataError: something in the event has no JSON form.
    """
    try:
        data = event.model_dump(mode="json", exclude_none=True)
    except PydanticSerializationError as error:
        raise InvalidDataError(f"Event {event.id!r} has no JSON form: {error}") from error
    return ConversationMessage(
        id=message_id,
        **_shown(event),
        metadata={KEY: data},
        created_at=event.timestamp,
        run_id=_id(event.invocation_id),
    )


def _shown(event: Event) -> dict[str, Any]:
    """Return role, content and tool calls as other readers of the conversation know them."""
    parts = (event.content.parts if event.content else None) or []
    answers = [part.function_response for part in parts if part.function_response]
    text = "\n".join(part.text for part in parts if part.text and not part.thought) or None
    if answers:
        results = [dumps(jsonable(answer.response)) for answer in answers]
        # A message answers one call; what answers several is whole in the event alone.
        answered = _id(answers[0].id) if len(answers) == 1 else None
        return {"role": "tool", "content": "\n".join(results), "tool_call_id": answered}
    calls = [_call(part.function_call) for part in parts if part.function_call]
    if text is None and not calls:
        # State, artifacts, control: nothing that another framework could be handed.
        return {"role": "system", "content": None}
    if event.author == "user":
        return {"role": "user", "content": text}
    return {"role": "assistant", "content": text, "tool_calls": calls or None}


def _call(call: types.FunctionCall) -> dict[str, Any]:
    function = {"name": call.name, "arguments": dumps(jsonable(call.args or {}))}
    return {"id": call.id, "type": "function", "function": function}


def _id(value: str | None) -> str | None:
    """Return an id, None if no column could hold it: the event has it all the same."""
    try:
        check_id(value, "id")
    except InvalidDataError:
        return None
    return value


def kept(message: ConversationMessage) -> dict[str, Any] | None:
    """Return the event that the message keeps, as JSON; None if another framework wrote it."""
    found = (message.metadata or {}).get(KEY)
    return found if isinstance(found, dict) else None


def event_of(message: ConversationMessage) -> Event:
    """Return the event that the message keeps, or the text of a message of others as one.

    Tool calls of others and their results are left out: an event without content.
    """
    data = kept(message)
    if data is not None:
        # As JSON text, by whose rules bytes come back.
        return Event.model_validate_json(dumps(data))
    role = {"user": "user", "assistant": "model"}.get(message.role)
    content = None
    if role is not None and message.content:
        content = types.Content(role=role, parts=[types.Part(text=message.content)])
    return Event(
        id=message.id,
        author=message.role,
        invocation_id=message.run_id or "",
        timestamp=message.created_at,
        content=content,
    )
