"""Sessions as JSON values between databases: our own export, and that of praisonai."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from praison_persist import lifecycle
from praison_persist._flow import Flow, wait
from praison_persist.errors import InvalidDataError
from praison_persist.lifecycle import Stores
from praison_persist.models import ConversationMessage, ConversationSession
from praison_persist.protocols import Capability

__all__ = ["FORMAT", "export_flow", "import_flow"]

FORMAT = "praison_persist.session/1"

_DONE = ("runs", "tool_calls", "traces", "spans")


def export_flow(stores: Stores, session_id: str) -> Flow[dict[str, Any] | None]:
    """Return all that the store has of a session, or None if there is no such session."""
    store = stores.conversation
    if Capability.DUMP in store.capabilities:
        dump = yield from wait(store.dump_session(session_id))
        if dump is None:
            return None
        done = yield from _done_in(stores, session_id)
        return {**dump, **done, "session_id": session_id}
    session = yield from wait(store.get_session(session_id))
    if session is None:
        return None
    messages = yield from wait(store.get_messages(session_id))
    done = yield from _done_in(stores, session_id)
    return {
        **done,
        "format": FORMAT,
        "session_id": session_id,
        "session": session.to_dict(),
        "messages": [message.to_dict() for message in messages],
    }


def import_flow(stores: Stores, data: Any) -> Flow[str]:
    """Store an export; again, and nothing changes. Return the session's id."""
    if not isinstance(data, dict):
        raise InvalidDataError(f"An export is a dict, not {type(data).__name__}")
    dump = data if data.get("format") == FORMAT else _of_praisonai(data)
    store = stores.conversation
    if Capability.DUMP in store.capabilities:
        if not stores.apart or stores.runs is None:
            return (yield from wait(store.load_session(dump)))
        told = {name: part for name, part in dump.items() if name not in _DONE}
        session_id = yield from wait(store.load_session(told))
        yield from wait(stores.runs.load_session(session_id, dump))
        return session_id
    session = ConversationSession.from_dict(dump["session"])
    yield from wait(store.ensure_session(session))
    messages = [ConversationMessage.from_dict(row) for row in dump["messages"]]
    for message in messages:
        message.session_id = session.session_id
    yield from lifecycle.append(stores, messages)
    if stores.apart and stores.runs is not None:
        yield from wait(stores.runs.load_session(session.session_id, dump))
    return session.session_id


def _done_in(stores: Stores, session_id: str) -> Flow[dict[str, Any]]:
    """Return the runs, tool calls and traces that the dump of the conversation does not have."""
    if not stores.apart or stores.runs is None:
        return {}
    return (yield from wait(stores.runs.dump_session(session_id)))


def _of_praisonai(data: dict[str, Any]) -> dict[str, Any]:
    """Return an export of praisonai's adapter as one of ours."""
    rows = data.get("messages")
    if "format" in data or not isinstance(rows, list):
        raise InvalidDataError(
            f"Not an export of a session: its format is {data.get('format')!r}, "
            f"not {FORMAT!r}, and it has no list of messages"
        )
    session_id = data.get("session_id") or f"imported-{_digest(data)}"
    session = ConversationSession.from_dict({**data, "session_id": session_id})
    messages = [_message(session_id, index, row) for index, row in enumerate(rows)]
    return {"format": FORMAT, "session": session.to_dict(), "messages": messages}


def _message(session_id: str, index: int, row: Any) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise InvalidDataError(f"messages[{index}] is {type(row).__name__}, not a dict")
    message = ConversationMessage.from_dict({**row, "session_id": session_id, "seq": None})
    if not row.get("id"):
        message.id = f"imported-{_digest([session_id, index, row])}"
    return message.to_dict()


def _digest(content: Any) -> str:
    """Return an id made from the content, so that importing again is importing once."""
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]
