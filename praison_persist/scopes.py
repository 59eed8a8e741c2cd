"""State with a scope: of one session, of a user in all sessions, of an app for all users.

    name, session:name   of the session
    user:name            of the session's user
    app:name             of the app

Each name is a field of a hash in the state store, so that a change of one never touches another.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from praison_persist._flow import Flow, wait
from praison_persist.errors import InvalidDataError
from praison_persist.lifecycle import Stores, state_of
from praison_persist.state.keys import state_key

__all__ = ["delete_state", "get_state", "update_state"]

_SESSION, _USER, _APP = "session", "user", "app"


def get_state(
    stores: Stores, app: str, session_id: str, user_id: str | None
) -> Flow[dict[str, Any]]:
    """Return what is kept for the session, its user and the app, by the names above."""
    found: dict[str, Any] = {}
    for scope in (_APP, _USER, _SESSION):
        key = yield from _key(stores, scope, app, session_id, user_id)
        if key is None:
            continue
        fields = yield from wait(state_of(stores).hgetall(key))
        found |= {_name(scope, field): value for field, value in fields.items()}
    return found


def update_state(
    stores: Stores, app: str, session_id: str, user_id: str | None, changes: Mapping[str, Any]
) -> Flow[None]:
    """Set these names; the others stay as they are, or as others set them meanwhile.

    Raises:
        InvalidDataError: a name or value cannot be kept, or `user:` is used where no user is known.
    """
    places = yield from _places(stores, app, session_id, user_id, list(changes))
    for name, (key, field) in places.items():
        yield from wait(state_of(stores).hset(key, field, changes[name]))


def delete_state(
    stores: Stores, app: str, session_id: str, user_id: str | None, names: list[str]
) -> Flow[int]:
    """Delete these names; return how many there were."""
    places = yield from _places(stores, app, session_id, user_id, names)
    deleted = 0
    for key, field in places.values():
        deleted += yield from wait(state_of(stores).hdel(key, field))
    return deleted


def _places(
    stores: Stores, app: str, session_id: str, user_id: str | None, names: list[str]
) -> Flow[dict[str, tuple[str, str]]]:
    """Return the key and the field of each name. Nothing is changed if one of them has none."""
    found: dict[str, tuple[str, str]] = {}
    for name in names:
        scope, field = _scope(name)
        key = yield from _key(stores, scope, app, session_id, user_id)
        if key is None:
            raise InvalidDataError(
                f"{name!r} belongs to a user, and session {session_id!r} has none; pass user_id="
            )
        found[name] = key, field
    return found


def _scope(name: str) -> tuple[str, str]:
    if not isinstance(name, str):
        raise InvalidDataError(f"A name of state is a text, not {type(name).__name__}")
    scope, separator, field = name.partition(":")
    if separator and scope in (_SESSION, _USER, _APP):
        return scope, field
    return _SESSION, name


def _name(scope: str, field: str) -> str:
    """Return the name of a field; that of a session may itself begin like a scope."""
    if scope == _SESSION and _scope(field) == (_SESSION, field):
        return field
    return f"{scope}:{field}"


def _key(
    stores: Stores, scope: str, app: str, session_id: str, user_id: str | None
) -> Flow[str | None]:
    if scope == _APP:
        return state_key("state", _APP, app)
    if scope == _SESSION:
        return state_key("state", _SESSION, session_id)
    if user_id is None:
        session = yield from wait(stores.conversation.get_session(session_id))
        user_id = None if session is None else session.user_id
    return None if user_id is None else state_key("state", _USER, app, user_id)
