"""Conversations on a shelf."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any

from praison_persist.conversation.base import BaseConversationStore, ConversationDriver
from praison_persist.conversation.driver import done, numbered, replaced
from praison_shelf.shelves import shelf_of

__all__ = ["ShelfConversationStore"]


class ShelfConversationStore(BaseConversationStore):
    """A conversation store on the shelf of a URL."""

    def __init__(self, url: str = "shelf://", *, clock: Callable[[], float] = time.time) -> None:
        super().__init__(_Driver(url), clock=clock)


class _Driver(ConversationDriver):
    """The hooks: what they are given was checked, what they return is the caller's.

    Session and messages are rows, dicts of JSON values. Nothing waits, so that a hook is done when
    it returns.
    """

    def __init__(self, url: str) -> None:
        self.address = url
        self._shelf = shelf_of(url)

    def insert_session(self, session: dict[str, Any]) -> Any:
        return self.insert_whole({**session, "last_seq": 0}, ())

    def insert_whole(self, session: dict[str, Any], messages: Sequence[dict[str, Any]]) -> Any:
        with self._shelf.lock:
            session_id = session["session_id"]
            if session_id in self._shelf.sessions:
                return done(False)
            self._shelf.sessions[session_id] = deepcopy(session)
            self._shelf.messages[session_id] = {row["id"]: deepcopy(row) for row in messages}
            return done(True)

    def find_session(self, session_id: str) -> Any:
        with self._shelf.lock:
            return done(deepcopy(self._shelf.sessions.get(session_id)))

    def find_whole(self, session_id: str) -> Any:
        with self._shelf.lock:
            if session_id not in self._shelf.sessions:
                return done(None)
            messages = list(self._shelf.messages[session_id].values())
            return done(deepcopy((self._shelf.sessions[session_id], messages)))

    def replace_session(
        self, session: dict[str, Any], now: float, expected_version: int | None
    ) -> Any:
        with self._shelf.lock:
            stored = self._shelf.sessions.get(session["session_id"])
            if stored is None:
                return done(None)
            new = replaced(stored, deepcopy(session), now, expected_version)
            self._shelf.sessions[session["session_id"]] = new
            return done(deepcopy(new))

    def remove_session(self, session_id: str) -> Any:
        with self._shelf.lock:
            self._shelf.messages.pop(session_id, None)
            return done(self._shelf.sessions.pop(session_id, None) is not None)

    def sessions(
        self,
        user_id: str | None,
        agent_id: str | None,
        *,
        limit: int | None,
        offset: int,
        below: tuple[float, str] | None,
    ) -> Any:
        def position(row: dict[str, Any]) -> tuple[float, str]:
            return row["updated_at"], row["session_id"]

        with self._shelf.lock:
            found = [
                row
                for row in self._shelf.sessions.values()
                if user_id in (None, row["user_id"])
                and agent_id in (None, row["agent_id"])
                and (below is None or position(row) < below)
            ]
            found.sort(key=position, reverse=True)
            return done(deepcopy(found[offset:][:limit]))

    def append(self, session_id: str, messages: Sequence[dict[str, Any]], now: float) -> Any:
        with self._shelf.lock:
            session = self._shelf.sessions.get(session_id)
            if session is None:
                return done(None)
            known = self._shelf.messages[session_id]
            stored, new = numbered(messages, known, session["last_seq"])
            known |= {row["id"]: deepcopy(row) for row in new}
            if new:
                session["last_seq"] = new[-1]["seq"]
                session["updated_at"] = max(session["updated_at"], now)
            return done(deepcopy(stored))

    def messages(
        self,
        session_id: str,
        *,
        limit: int | None,
        above: int | None,
        below: int | None,
        before: float | None,
        after: float | None,
        newest_first: bool,
    ) -> Any:
        with self._shelf.lock:
            found = [
                row
                for row in self._shelf.messages.get(session_id, {}).values()
                if (above is None or row["seq"] > above)
                and (below is None or row["seq"] < below)
                and (before is None or row["created_at"] < before)
                and (after is None or row["created_at"] > after)
            ]
            if newest_first:
                found.reverse()
            return done(deepcopy(found[:limit]))

    def remove_messages(self, session_id: str, ids: Sequence[str] | None) -> Any:
        with self._shelf.lock:
            messages = self._shelf.messages.get(session_id, {})
            gone = [each for each in messages if ids is None or each in ids]
            for each in gone:
                del messages[each]
            return done(len(gone))

    def count(self, session_id: str) -> Any:
        with self._shelf.lock:
            return done(len(self._shelf.messages.get(session_id, {})))

    def close(self) -> Any:
        return done(None)
