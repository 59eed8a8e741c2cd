"""A conversation store as one end of a copy: its pages, and what it has beside messages."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from praison_persist._adapt import background_loop
from praison_persist._json import dumps
from praison_persist.connect import Connected
from praison_persist.conversation.base import AsyncBaseConversationStore, BaseConversationStore
from praison_persist.models import ConversationMessage, ConversationSession
from praison_persist.protocols import Capability, ConversationStore

__all__ = ["DUMP_KEYS", "End", "Summary", "beside", "same", "summary_of"]

# What a dump of any store has; all other keys name what it has beside messages.
DUMP_KEYS = frozenset({"format", "session", "session_id", "messages"})

_MESSAGE = (
    *("id", "role", "content", "tool_calls", "tool_call_id", "metadata", "created_at"),
    "run_id",
)
_SESSION = ("session_id", "user_id", "agent_id", "name", "state", "metadata", "created_at")


@dataclass(frozen=True, slots=True)
class Summary:
    """How many messages a session has, and the SHA-256 of it and of these, in hexadecimal."""

    count: int
    digest: str


def same(one: ConversationMessage, other: ConversationMessage) -> bool:
    """Return whether both are one message, wherever they are stored."""
    return all(getattr(one, name) == getattr(other, name) for name in _MESSAGE)


class End:
    """A place that conversations are copied from or to.

    Args:
        connected: the stores of the place.
        page: how many messages are read at a time.
    """

    def __init__(self, connected: Connected, page: int) -> None:
        self._connected = connected
        self._page = page
        self.store: ConversationStore = connected.sync_conversation
        self.address = connected.address

    @property
    def dumps(self) -> bool:
        """Whether it can write and read sessions as a whole."""
        return Capability.DUMP in self.store.capabilities

    @property
    def database(self) -> Any:
        """The database, sync or async, of a place that keeps conversations in SQL; else None."""
        return self._connected.given.database if self._connected.is_sql else None

    @property
    def holds_runs(self) -> bool:
        """Whether the dump of a session may have more than messages."""
        given = self._connected.given
        templates = BaseConversationStore | AsyncBaseConversationStore
        return self.dumps and not isinstance(given, templates)

    def beside_messages(self, session_id: str) -> list[str]:
        """Return the names of what the session has beside its messages, sorted."""
        if not self.holds_runs:
            return []
        if self._connected.is_sql:
            from praison_persist.sql.parts import (  # noqa: PLC0415 - SQLAlchemy only where it is used
                beside_messages,
            )

            found: Any = self._connected.given.database.read(beside_messages, session_id)
            names: list[str] = found if isinstance(found, list) else background_loop().call(found)
            return names
        dump = self.store.dump_session(session_id) or {}
        return sorted(name for name, part in dump.items() if part and name not in DUMP_KEYS)

    def sessions(
        self, cursor: str | None = None
    ) -> Iterator[tuple[list[ConversationSession], str | None]]:
        """Yield pages of sessions, last written first, each with the cursor of the next one."""
        if Capability.CURSORS not in self.store.capabilities:
            yield self.store.list_sessions(limit=None), None
            return
        while True:
            page = self.store.page_sessions(cursor=cursor)
            cursor = page.next_cursor
            yield page.sessions, cursor
            if cursor is None:
                return

    def messages(self, session_id: str) -> Iterator[list[ConversationMessage]]:
        """Yield pages of the session's messages, oldest first."""
        if Capability.CURSORS not in self.store.capabilities:
            found = self.store.get_messages(session_id)
            yield from (found[i : i + self._page] for i in range(0, len(found), self._page))
            return
        cursor = None
        while True:
            page = self.store.page_messages(session_id, limit=self._page, cursor=cursor)
            if page.messages:
                yield page.messages
            cursor = page.next_cursor
            if cursor is None:
                return

    def append(self, session_id: str, messages: list[ConversationMessage]) -> None:
        """Append messages; those that are there are left as they are."""
        if Capability.BATCH in self.store.capabilities:
            self.store.add_messages(session_id, messages)
            return
        for message in messages:
            self.store.add_message(session_id, message)

    def summary(self, session_id: str) -> Summary | None:
        """Return what two copies of a session have in common; None if there is no session."""
        session = self.store.get_session(session_id)
        if session is None:
            return None
        digest, count = hashlib.sha256(), 0
        digest.update(_line(session, _SESSION))
        for page in self.messages(session_id):
            count += len(page)
            for message in page:
                digest.update(_line(message, _MESSAGE))
        return Summary(count, digest.hexdigest())


def _line(record: ConversationSession | ConversationMessage, names: tuple[str, ...]) -> bytes:
    values = {name: getattr(record, name) for name in names}
    values["created_at"] = float(values["created_at"])  # 1 and 1.0 are one time
    return _json_line(values)


def beside(dump: dict[str, Any]) -> dict[str, Any]:
    """Return the parts of a dump that are neither the session nor its messages."""
    return {name: rows for name, rows in dump.items() if rows and name not in DUMP_KEYS}


def summary_of(rows: Iterable[dict[str, Any]]) -> Summary:
    """Return how many rows there are, and a hash of them in any order.

    Databases order texts differently, so that the SHA-256 of the rows are added up.
    """
    count, total = 0, 0
    for row in rows:
        count += 1
        total += int.from_bytes(hashlib.sha256(_json_line(row)).digest())
    return Summary(count, f"{total % (1 << 256):064x}")


def _json_line(values: dict[str, Any]) -> bytes:
    """Return JSON values as bytes that are equal wherever the values are stored."""
    return dumps(_sorted(values)).encode() + b"\n"


def _sorted(value: Any) -> Any:
    """Return the value with its objects' keys in order: databases do not keep theirs."""
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(each) for each in value] if isinstance(value, list) else value
