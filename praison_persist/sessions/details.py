"""What is known of a session beside its messages: whose it is, its metadata; and lists."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from praison_persist._checks import check_id
from praison_persist._json import check_json
from praison_persist.sessions.checks import check_count, check_dict, check_name, check_text
from praison_persist.sessions.models import ExtendedSessionData, SessionData
from praison_persist.sessions.primitives import (
    OpenSession,
    SessionFilter,
    SessionPrimitives,
    SessionView,
)

__all__ = ["DetailMethods"]

_FIELDS = ("agent_id", "agent_name", "user_id")


class DetailMethods(SessionPrimitives):
    """Agent, user, gateway, metadata, title; sessions by any of them, last written first.

    What is said of TurnMethods holds for the methods that write.
    """

    def session_exists(self, session_id: str) -> bool:
        """Whether the session is stored."""
        check_id(session_id, "session_id")
        return self._read(session_id, last=0) is not None

    def delete_session(self, session_id: str) -> bool:
        """Delete a session with all that is kept of it; its children become roots.

        Returns:
            True also if there was none.
        """
        check_id(session_id, "session_id")
        return self._delete(session_id)

    def set_agent_info(
        self, session_id: str, agent_name: str | None = None, user_id: str | None = None
    ) -> bool:
        """Say whose session it is; what is None or empty stays as it is."""
        return self._set(session_id, agent_name=agent_name, user_id=user_id)

    def set_gateway_info(
        self, session_id: str, gateway_session_id: str | None = None, agent_id: str | None = None
    ) -> bool:
        """Say which of the gateway's sessions and agents it belongs to; None: no change."""
        return self._set(session_id, gateway_session_id=gateway_session_id, agent_id=agent_id)

    def _set(self, session_id: str, **values: str | None) -> bool:
        check_id(session_id, "session_id")
        given = {name: value for name, value in values.items() if value not in (None, "")}
        for name, value in given.items():
            check_name(value, name)

        def change(session: OpenSession) -> None:
            for name, value in given.items():
                setattr(session.header, name, value)

        return self._write(session_id, change, what=f"set {' and '.join(given) or 'nothing'}")

    def update_session_metadata(self, session_id: str, **fields: Any) -> bool:
        """Set these keys of the session's metadata to JSON values; those that are None stay.

        `agent_id`, `agent_name` and `user_id` are set as the session's own fields, too.
        """
        check_id(session_id, "session_id")
        given = {key: value for key, value in fields.items() if value is not None}
        check_json(given, "metadata")
        for name in _FIELDS:
            check_name(given.get(name), name)
        if not given:
            return True
        own = deepcopy(given)

        def change(session: OpenSession) -> None:
            session.header.metadata.update(deepcopy(own))
            for name in _FIELDS:
                if name in own:
                    setattr(session.header, name, own[name])

        return self._write(session_id, change, what="update the metadata")

    def merge_session_metadata_map(
        self,
        session_id: str,
        key: str,
        updates: dict[str, Any],
        *,
        defaults: dict[str, Any] | None = None,
    ) -> bool:
        """Update the dict under a key of the metadata; anything else there is replaced.

        Args:
            session_id: of the session.
            key: of the metadata.
            updates: win over what is stored.
            defaults: what is stored wins over them.
        """
        check_id(session_id, "session_id")
        check_text(key, "key")
        check_dict(updates, "updates")
        check_dict(defaults or {}, "defaults")
        first, then = deepcopy(defaults or {}), deepcopy(updates)

        def change(session: OpenSession) -> None:
            stored = session.header.metadata.get(key)
            known = stored if isinstance(stored, dict) else {}
            session.header.metadata[key] = deepcopy(first | known | then)

        return self._write(session_id, change, what=f"update the metadata's {key!r}")

    def rename_session(self, session_id: str, title: str) -> bool:
        """Set the title that lists show; a blank one removes it."""
        check_id(session_id, "session_id")
        check_text(title, "title")
        new = title.strip()

        def change(session: OpenSession) -> None:
            session.header.metadata.pop("title", None)
            session.header.title = new or None
            if new:
                session.header.metadata["title"] = new

        return self._write(session_id, change, what="rename the session")

    def get_session_model(self, session_id: str) -> str | None:
        """Return the model that the session, or else its latest message that says so, ran with."""
        return self._recorded(session_id, "model", "llm")

    def get_session_reasoning_effort(self, session_id: str) -> str | None:
        """Return the reasoning effort that the session, or its latest message, ran with."""
        return self._recorded(session_id, "reasoning_effort")

    def _recorded(self, session_id: str, key: str, other: str | None = None) -> str | None:
        check_id(session_id, "session_id")
        view = self._read(session_id)
        if view is None:
            return None
        metadata = view.session.metadata
        values = [metadata.get(key), metadata.get(other) if other else None]
        values += [message.metadata.get(key) for message in reversed(view.session.messages)]
        return next((value for value in values if isinstance(value, str) and value), None)

    def list_sessions(self, limit: int = 50) -> list[dict[str, Any]]:
        """Return a line about each of the newest `limit` sessions, last written first."""
        check_count(limit, "limit")
        return [_line(view) for view in self._list(SessionFilter(), limit)]

    def list_sessions_by_agent(self, agent_name: str, limit: int = 50) -> list[str]:
        """Return the ids of an agent's sessions, last written first."""
        check_id(agent_name, "agent_name")
        return self._ids(SessionFilter(agent_name=agent_name), limit)

    def list_sessions_by_gateway_agent(self, agent_id: str, limit: int = 50) -> list[str]:
        """Return the ids of the sessions of a gateway's agent, last written first."""
        check_id(agent_id, "agent_id")
        return self._ids(SessionFilter(agent_id=agent_id), limit)

    def _ids(self, only: SessionFilter, limit: int) -> list[str]:
        check_count(limit, "limit")
        return [view.session.session_id for view in self._list(only, limit)]

    def get_sessions_by_agent(self, agent_name: str, limit: int = 10) -> list[SessionData]:
        """Return an agent's sessions with their messages, last written first."""
        views = (
            self._read(session_id, archive=True)
            for session_id in self.list_sessions_by_agent(agent_name, limit)
        )
        return [view.session for view in views if view is not None]

    def get_agent_chat_history(
        self, agent_name: str, max_messages: int | None = None, max_sessions: int = 5
    ) -> list[dict[str, Any]]:
        """Return the newest messages of an agent's newest sessions as models take them.

        Each also has a `session_id` and the `agent_name`. The session last written comes first;
        within a session the oldest message does.
        """
        check_count(max_messages, "max_messages")
        return [
            message | {"session_id": session.session_id, "agent_name": agent_name}
            for session in self.get_sessions_by_agent(agent_name, max_sessions)
            for message in session.get_chat_history(max_messages)
        ]

    def get_by_gateway_session(self, gateway_session_id: str) -> SessionData | None:
        """Return the session that belongs to a gateway's session; the last written of several."""
        check_id(gateway_session_id, "gateway_session_id")
        for view in self._list(SessionFilter(gateway_session_id=gateway_session_id), 1):
            found = self._read(view.session.session_id, archive=True)
            return None if found is None else found.session
        return None


def _line(view: SessionView) -> dict[str, Any]:
    """Return the line about a session, with the keys that the CLI of praisonaiagents reads."""
    session: ExtendedSessionData = view.session
    metadata = session.metadata
    return {
        "session_id": session.session_id,
        "id": session.session_id,
        "agent_name": session.agent_name,
        "title": session.shown_title,
        "agent_id": session.agent_id or metadata.get("agent_id"),
        "source": metadata.get("source"),
        "parent_id": session.parent_id or metadata.get("parent_id"),
        "parent_session_id": metadata.get("parent_session_id"),
        "agent_key": metadata.get("agent_key"),
        "created_at": session.created_at,
        "updated_at": session.updated_at,
        "message_count": view.message_count,
        "model": metadata.get("model") or metadata.get("llm"),
        "total_tokens": metadata.get("total_tokens") or metadata.get("token_count"),
        "cost": metadata.get("cost"),
    }
