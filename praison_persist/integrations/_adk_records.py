"""What the row of a conversation says of a session of the Agent Development Kit.

The events are the truth. The row has the state as far as events were applied to it, so that a
reader applies the few that came after, and need not read all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

from google.adk.sessions.session import Session
from google.adk.sessions.state import State
from pydantic_core import PydanticSerializationError, to_jsonable_python

from praison_persist._json import check_json
from praison_persist.errors import InvalidDataError
from praison_persist.integrations._adk_events import KEY, event_of, kept
from praison_persist.models import ConversationMessage, ConversationSession
from praison_persist.state.keys import check_field, state_key

__all__ = [
    "Changes",
    "Record",
    "after",
    "app_key",
    "conversation_id",
    "mark",
    "merged",
    "shown",
    "split",
    "user_key",
]

_ID_MAX = 255  # characters


def conversation_id(app_name: str, user_id: str, session_id: str) -> str:
    """Return the id of the conversation; no two sessions of any app or user share one."""
    whole = state_key("adk", app_name, user_id, session_id)
    if len(whole) <= _ID_MAX:
        return whole
    return f"adk:%sha256:{hashlib.sha256(whole.encode('utf-8', 'surrogatepass')).hexdigest()}"


@dataclass(frozen=True, slots=True)
class Changes:
    """State as it is set, by its scope, in JSON values; names are without the prefix."""

    app: dict[str, Any] = field(default_factory=dict)
    user: dict[str, Any] = field(default_factory=dict)
    session: dict[str, Any] = field(default_factory=dict)


def split(state: Mapping[str, Any]) -> Changes:
    """Return the changes that `state` stands for; those of `temp:` are left out.

    Raises:
        InvalidDataError: a value has no JSON form, or a name cannot be kept.
    """
    changes = Changes()
    for name, value in state.items():
        if not isinstance(name, str):
            raise InvalidDataError(f"A name of state is a text, not {type(name).__name__}")
        if name.startswith(State.TEMP_PREFIX):
            continue
        try:
            plain = to_jsonable_python(value)
        except PydanticSerializationError as error:
            raise InvalidDataError(f"State {name!r} has no JSON form: {error}") from error
        check_json(plain, f"state {name!r}")  # for NaN: within an event it would become null
        if name.startswith(State.APP_PREFIX):
            changes.app[check_field(name.removeprefix(State.APP_PREFIX))] = plain
        elif name.startswith(State.USER_PREFIX):
            changes.user[check_field(name.removeprefix(State.USER_PREFIX))] = plain
        else:
            changes.session[name] = plain
    return changes


def merged(
    session: Mapping[str, Any], app: Mapping[str, Any], user: Mapping[str, Any]
) -> dict[str, Any]:
    """Return state as a session shows it: app's and user's under their prefixes."""
    return {
        **session,
        **{f"{State.APP_PREFIX}{name}": value for name, value in app.items()},
        **{f"{State.USER_PREFIX}{name}": value for name, value in user.items()},
    }


@dataclass(frozen=True, slots=True)
class Record:
    """What the metadata of a conversation has of its session.

    Attributes:
        epoch: differs for every two sessions, of the same id too.
        revision: number of the last event that was applied; 0 before the first.
        event_id: the id of that event.
        last_update_time: its time, or that of the creation; seconds since the epoch.
        app, user: changes that the state store may not have yet.
    """

    app_name: str
    user_id: str
    id: str
    epoch: str
    last_update_time: float
    revision: int = 0
    event_id: str = ""
    app: dict[str, Any] = field(default_factory=dict)
    user: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, conversation: ConversationSession) -> Self | None:
        """Return the record of a conversation; None if it is of no session, but of a fork."""
        found = (conversation.metadata or {}).get(KEY)
        if not isinstance(found, dict):
            return None
        record = cls(**found)
        known = conversation_id(record.app_name, record.user_id, record.id)
        return record if conversation.session_id == known else None

    def on(self, conversation: ConversationSession) -> ConversationSession:
        """Return the conversation with this record."""
        metadata = {**(conversation.metadata or {}), KEY: asdict(self)}
        return replace(conversation, metadata=metadata)

    @property
    def marker(self) -> str:
        """What of the session has been seen by whom this was shown to."""
        return self.message_id(self.revision)

    def message_id(self, revision: int) -> str:
        """Return the id of the message with this event.

        Who appends names the event that follows what he has seen: of several who saw the same, the
        store takes one, and refuses the others for writing the same id with other content.
        """
        return f"{self.epoch}-{revision}"

    def revision_of(self, marker: str) -> int | None:
        """Return the number in a marker or message id; None if it is of no event of this epoch."""
        epoch, _, number = marker.rpartition("-")
        return int(number) if epoch == self.epoch and number.isdecimal() else None


def after(
    conversation: ConversationSession, record: Record, messages: Sequence[ConversationMessage]
) -> tuple[ConversationSession, Record]:
    """Return the conversation as these events leave it, which follow those that it knows."""
    state = dict(conversation.state or {})
    for message in messages:
        event = kept(message) or {}
        changes = split(event.get("actions", {}).get("state_delta", {}))
        state |= changes.session
        record = replace(
            record,
            revision=record.revision_of(message.id) or record.revision,
            event_id=event.get("id", ""),
            last_update_time=message.created_at,
            app=record.app | changes.app,
            user=record.user | changes.user,
        )
    return record.on(replace(conversation, state=state)), record


def app_key(app_name: str) -> str:
    """Return the key of the app's state, the one that `PraisonAIDB.get_state` reads too."""
    return state_key("state", "app", app_name)


def user_key(app_name: str, user_id: str) -> str:
    """Return the key of the state that the user has in the app, as `app_key`."""
    return state_key("state", "user", app_name, user_id)


def shown(
    conversation: ConversationSession,
    record: Record,
    app: Mapping[str, Any],
    user: Mapping[str, Any],
    messages: Sequence[ConversationMessage],
) -> Session:
    """Return the session with these events. What the state store may lack is shown all the same."""
    session = Session(
        app_name=record.app_name,
        user_id=record.user_id,
        id=record.id,
        state=merged(conversation.state or {}, {**app, **record.app}, {**user, **record.user}),
        events=[event_of(message) for message in messages],
        last_update_time=record.last_update_time,
    )
    mark(session, record.marker)
    return session


def mark(session: Session, marker: str) -> None:
    """Note in the session what of it has been seen."""
    session._storage_update_marker = marker  # noqa: SLF001 - where ADK's own services note it
