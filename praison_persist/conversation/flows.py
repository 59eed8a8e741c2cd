"""The contract of conversation stores, once for both colours: checks, copies, cursors, dumps."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any

from praison_persist._checks import (
    check_id,
    check_ids,
    check_integer,
    check_limit,
    check_optional_id,
    check_page_limit,
    check_time,
)
from praison_persist._cursors import (
    message_position,
    session_cursor,
    session_position,
)
from praison_persist._flow import Flow
from praison_persist._vendor import Calls
from praison_persist.conversation.driver import (
    ConversationDriver,
    Differs,
    Row,
    Stale,
    difference,
    done,
)
from praison_persist.conversation.dump import dumped, loaded, message_row, session_row
from praison_persist.errors import ConflictError, NotFoundError, UnsupportedError
from praison_persist.models import (
    ConversationMessage,
    ConversationSession,
    MessagePage,
    SessionPage,
)
from praison_persist.protocols import Capability

__all__ = ["ConversationFlows"]

_REPLACED = ("user_id", "agent_id", "name", "state", "metadata")


class ConversationFlows(Calls):
    """The methods of a conversation store as flows over a driver of either colour."""

    def __init__(
        self, driver: ConversationDriver, name: str, clock: Callable[[], float] = time.time
    ) -> None:
        super().__init__(driver)
        self._driver, self._name, self._clock = driver, name, clock

    def create_session(self, session: ConversationSession) -> Flow[ConversationSession]:
        """See ConversationStore.create_session."""
        row = session_row(session)
        if not (yield from self._insert(row)):
            raise ConflictError(f"Session {session.session_id!r} exists; it was left as it is")
        return _session(row)

    def _insert(self, row: Row) -> Flow[bool]:
        """Insert a session; whether it was inserted, by this call or by a try that was lost."""
        tries = 0

        def insert() -> Flow[bool]:
            nonlocal tries
            tries += 1
            return self._driver.insert_session(row)

        if (yield from self.call("create a session", insert)):
            return True
        if tries == 1:
            return False
        found = yield from self._find(row["session_id"])
        return found is not None and found == row | {"last_seq": found["last_seq"]}

    def get_session(self, session_id: str) -> Flow[ConversationSession | None]:
        """See ConversationStore.get_session."""
        check_id(session_id, "session_id")
        found = yield from self._find(session_id)
        return None if found is None else _session(found)

    def _find(self, session_id: str) -> Flow[Row | None]:
        return (
            yield from self.call("read a session", lambda: self._driver.find_session(session_id))
        )

    def update_session(
        self, session: ConversationSession, expected_version: int | None
    ) -> Flow[ConversationSession]:
        """See ConversationStore.update_session."""
        row = session_row(session)
        if expected_version is not None:
            self._need(Capability.EXPECTED_VERSION)
            check_integer(expected_version, "expected_version", 1)
        found = yield from self._replace(row, expected_version)
        if found is None:
            raise _no_session(session.session_id)
        return _session(found)

    def _replace(self, row: Row, expected_version: int | None) -> Flow[Row | None]:
        tries, now = 0, self._clock()

        def replace() -> Flow[Row | None]:
            nonlocal tries
            tries += 1
            return self._driver.replace_session(row, now, expected_version)

        try:
            return (yield from self.call("update a session", replace))
        except Stale as stale:
            version = stale.version
        if tries > 1 and version == (expected_version or 0) + 1:
            found = yield from self._find(row["session_id"])
            if found is not None and all(found[name] == row[name] for name in _REPLACED):
                return found  # a try whose answer was lost wrote it
        raise ConflictError(
            f"Session {row['session_id']!r} has version {version}, not {expected_version}: it was "
            "updated meanwhile. Read it again and repeat the change"
        )

    def ensure_session(self, session: ConversationSession) -> Flow[ConversationSession]:
        """See ConversationStore.ensure_session."""
        row = session_row(session)
        while True:  # ends unless others create and delete it between each two calls
            found = yield from self._find(row["session_id"])
            if found is not None:
                return _session(found)
            if (yield from self._insert(row)):
                return _session(row)

    def upsert_session(self, session: ConversationSession) -> Flow[ConversationSession]:
        """See ConversationStore.upsert_session."""
        row = session_row(session)
        while True:  # as in ensure_session
            found = yield from self._replace(row, None)
            if found is not None:
                return _session(found)
            if (yield from self._insert(row)):
                return _session(row)

    def delete_session(self, session_id: str) -> Flow[bool]:
        """See ConversationStore.delete_session."""
        check_id(session_id, "session_id")
        return (
            yield from self.call(
                "delete a session", lambda: self._driver.remove_session(session_id)
            )
        )

    def list_sessions(
        self, user_id: str | None, agent_id: str | None, limit: int | None, offset: int
    ) -> Flow[list[ConversationSession]]:
        """See ConversationStore.list_sessions."""
        check_limit(limit)
        check_integer(offset, "offset", 0)
        rows = yield from self._sessions(user_id, agent_id, limit, offset=offset)
        return [_session(row) for row in rows]

    def page_sessions(
        self, user_id: str | None, agent_id: str | None, limit: int, cursor: str | None
    ) -> Flow[SessionPage]:
        """See ConversationStore.page_sessions."""
        self._need(Capability.CURSORS)
        check_page_limit(limit)
        below = None if cursor is None else session_position(cursor)
        rows = yield from self._sessions(user_id, agent_id, limit + 1, below=below)
        page = [_session(row) for row in rows[:limit]]
        if len(rows) <= limit:
            return SessionPage(page, None)
        return SessionPage(page, session_cursor(page[-1].updated_at, page[-1].session_id))

    def _sessions(
        self,
        user_id: str | None,
        agent_id: str | None,
        limit: int | None,
        *,
        offset: int = 0,
        below: tuple[float, str] | None = None,
    ) -> Flow[list[Row]]:
        check_optional_id(user_id, "user_id")
        check_optional_id(agent_id, "agent_id")

        def sessions() -> Flow[list[Row]]:
            if limit == 0:
                return done([])
            return self._driver.sessions(user_id, agent_id, limit=limit, offset=offset, below=below)

        return (yield from self.call("list sessions", sessions))

    def add_message(
        self, session_id: str, message: ConversationMessage
    ) -> Flow[ConversationMessage]:
        """See ConversationStore.add_message."""
        stored = (yield from self._append(session_id, [message]))[0]
        message.session_id, message.seq = stored.session_id, stored.seq
        return stored

    def add_messages(
        self, session_id: str, messages: Sequence[ConversationMessage]
    ) -> Flow[list[ConversationMessage]]:
        """See ConversationStore.add_messages."""
        self._need(Capability.BATCH)
        return (yield from self._append(session_id, messages))

    def _append(
        self, session_id: str, messages: Sequence[ConversationMessage]
    ) -> Flow[list[ConversationMessage]]:
        check_id(session_id, "session_id")
        by_id: dict[str, Row] = {}
        ids: list[str] = []
        for message in messages:
            row = message_row(message, session_id)
            field = difference(by_id.setdefault(row["id"], row), row)
            if field is not None:
                raise _other_content(row["id"], field)
            ids.append(row["id"])
        rows, now = list(by_id.values()), self._clock()

        def append() -> Flow[list[Row] | None]:
            return self._driver.append(session_id, rows, now) if rows else done([])

        try:
            stored = yield from self.call("add messages", append)
        except Differs as differs:
            raise _other_content(differs.id, differs.field) from None
        if stored is None:
            raise _no_session(session_id, "; create it before its messages")
        found = {row["id"]: row for row in stored}
        repeats = len(ids) > len(found)  # each of them is a copy of its own
        return [
            ConversationMessage(**(deepcopy(found[name]) if repeats else found[name]))
            for name in ids
        ]

    def get_messages(
        self, session_id: str, limit: int | None, before: float | None, after: float | None
    ) -> Flow[list[ConversationMessage]]:
        """See ConversationStore.get_messages."""
        check_limit(limit)
        for name, bound in (("before", before), ("after", after)):
            if bound is not None:
                check_time(bound, name)
        newest_first = limit is not None
        found = yield from self._messages(
            session_id, limit=limit, before=before, after=after, newest_first=newest_first
        )
        return found[::-1] if newest_first else found

    def page_messages(
        self, session_id: str, limit: int, cursor: str | None, *, backward: bool
    ) -> Flow[MessagePage]:
        """See ConversationStore.page_messages. The cursor of a message is its seq."""
        self._need(Capability.CURSORS)
        check_page_limit(limit)
        position = None if cursor is None else message_position(cursor)
        found = yield from self._messages(
            session_id,
            limit=limit + 1,
            above=None if backward else position,
            below=position if backward else None,
            newest_first=backward,
        )
        page = found[:limit]
        next_cursor = str(page[-1].seq) if len(found) > limit else None
        return MessagePage(page[::-1] if backward else page, next_cursor)

    def _messages(
        self,
        session_id: str,
        *,
        limit: int | None,
        newest_first: bool,
        above: int | None = None,
        below: int | None = None,
        before: float | None = None,
        after: float | None = None,
    ) -> Flow[list[ConversationMessage]]:
        check_id(session_id, "session_id")

        def messages() -> Flow[list[Row]]:
            if limit == 0:
                return done([])
            return self._driver.messages(
                session_id,
                limit=limit,
                above=above,
                below=below,
                before=before,
                after=after,
                newest_first=newest_first,
            )

        rows = yield from self.call("read messages", messages)
        return [ConversationMessage(**row) for row in rows]

    def delete_messages(self, session_id: str, message_ids: Sequence[str] | None) -> Flow[int]:
        """See ConversationStore.delete_messages."""
        check_id(session_id, "session_id")
        check_ids(message_ids, "message_ids")
        ids = None if message_ids is None else list(dict.fromkeys(message_ids))

        def remove() -> Flow[int]:
            return done(0) if ids == [] else self._driver.remove_messages(session_id, ids)

        return (yield from self.call("delete messages", remove))

    def count(self, session_id: str) -> Flow[int]:
        """See ConversationStore.count."""
        check_id(session_id, "session_id")
        return (yield from self.call("count messages", lambda: self._driver.count(session_id)))

    def dump_session(self, session_id: str) -> Flow[dict[str, Any] | None]:
        """See ConversationStore.dump_session."""
        self._need(Capability.DUMP)
        check_id(session_id, "session_id")
        found = yield from self._whole(session_id)
        return None if found is None else dumped(*found)

    def _whole(self, session_id: str) -> Flow[tuple[Row, list[Row]] | None]:
        return (yield from self.call("read a session", lambda: self._driver.find_whole(session_id)))

    def load_session(self, dump: dict[str, Any]) -> Flow[str]:
        """See ConversationStore.load_session."""
        self._need(Capability.DUMP)
        session, messages = loaded(dump, self._name)
        session_id: str = session["session_id"]
        while True:  # as in ensure_session
            if (
                yield from self.call(
                    "load a session", lambda: self._driver.insert_whole(session, messages)
                )
            ):
                return session_id
            found = yield from self._whole(session_id)
            if found is not None:
                _check_contained(session_id, found[1], messages)
                return session_id

    def _need(self, capability: Capability) -> None:
        if capability not in self._driver.capabilities:
            raise UnsupportedError(
                f"{self._name} does not support {capability.name} ({capability.value})"
            )


def _session(row: Row) -> ConversationSession:
    return ConversationSession.from_dict(row)  # which leaves last_seq out


def _no_session(session_id: str, remedy: str = "") -> NotFoundError:
    return NotFoundError(f"There is no session {session_id!r}{remedy}")


def _other_content(message_id: str, field: str) -> ConflictError:
    return ConflictError(
        f"Message {message_id!r} is stored with another {field}: give a new message a new id; a "
        "stored one is never changed"
    )


def _check_contained(session_id: str, stored: Sequence[Row], messages: Sequence[Row]) -> None:
    known = {row["id"]: row for row in stored}
    for message in messages:
        if message["id"] not in known:
            raise ConflictError(
                f"Session {session_id!r} exists without message {message['id']!r} of the dump; "
                "delete it first, or load the dump under another session_id"
            )
        field = difference(known[message["id"]], message)
        if field is not None:
            raise _other_content(message["id"], field)
