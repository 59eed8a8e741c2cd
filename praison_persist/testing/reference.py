"""A conversation store in memory, as plain as the contract allows: what others are compared to.

It keeps whole objects in lists under one lock; nothing outlives the process.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

from praison_persist._checks import (
    check_id,
    check_ids,
    check_integer,
    check_limit,
    check_message,
    check_optional_id,
    check_page_limit,
    check_search,
    check_seqs,
    check_session,
    check_time,
)
from praison_persist._words import snippet, terms_of
from praison_persist.errors import (
    ConflictError,
    InvalidDataError,
    NotFoundError,
    PersistError,
)
from praison_persist.models import (
    ConversationMessage,
    ConversationSession,
    MessageHit,
    MessagePage,
    SessionPage,
)
from praison_persist.protocols import Capability, ConversationStore

__all__ = ["ReferenceConversationStore"]

_FORMAT = "praison_persist.session/1"
_CONTENT = ("role", "content", "tool_calls", "tool_call_id", "metadata")


@dataclass(slots=True)
class _Conversation:
    session: ConversationSession
    messages: list[ConversationMessage] = field(default_factory=list)
    last_seq: int = 0


@dataclass(slots=True)
class _Storage:
    conversations: dict[str, _Conversation] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)


class ReferenceConversationStore(ConversationStore):
    """Conversations in memory. Shared by threads.

    Args:
        clock: tells the time of writes, in seconds since the epoch.
    """

    capabilities = frozenset(Capability)

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self._storage = _Storage()
        self._clock = clock
        self._closed = False

    def open_again(self) -> Self:
        """Return another store of the same conversations, closed on its own."""
        other = type(self)(clock=self._clock)
        other._storage = self._storage  # noqa: SLF001 - of the same class
        return other

    @contextmanager
    def _opened(self) -> Iterator[dict[str, _Conversation]]:
        if self._closed:
            raise PersistError("The store is closed; open a new one")
        with self._storage.lock:
            yield self._storage.conversations

    def create_session(self, session: ConversationSession) -> ConversationSession:
        """See `ConversationStore.create_session`."""
        check_session(session)
        with self._opened() as conversations:
            if session.session_id in conversations:
                raise ConflictError(f"Session {session.session_id!r} exists")
            stored = replace(deepcopy(session), version=session.version or 1)
            conversations[session.session_id] = _Conversation(stored)
            return deepcopy(stored)

    def get_session(self, session_id: str) -> ConversationSession | None:
        """See `ConversationStore.get_session`."""
        check_id(session_id, "session_id")
        with self._opened() as conversations:
            found = conversations.get(session_id)
            return deepcopy(found.session) if found else None

    def update_session(
        self, session: ConversationSession, *, expected_version: int | None = None
    ) -> ConversationSession:
        """See `ConversationStore.update_session`."""
        check_session(session)
        if expected_version is not None:
            check_integer(expected_version, "expected_version", 1)
        with self._opened() as conversations:
            found = _existing(conversations, session.session_id)
            old = found.session
            if expected_version is not None and old.version != expected_version:
                raise ConflictError(f"Session {session.session_id!r} has version {old.version}")
            found.session = replace(
                deepcopy(session),
                created_at=old.created_at,
                updated_at=max(old.updated_at, self._clock()),
                version=(old.version or 0) + 1,
            )
            return deepcopy(found.session)

    def delete_session(self, session_id: str) -> bool:
        """See `ConversationStore.delete_session`."""
        check_id(session_id, "session_id")
        with self._opened() as conversations:
            return conversations.pop(session_id, None) is not None

    def list_sessions(
        self,
        user_id: str | None = None,
        agent_id: str | None = None,
        limit: int | None = 100,
        offset: int = 0,
    ) -> list[ConversationSession]:
        """See `ConversationStore.list_sessions`."""
        check_limit(limit)
        check_integer(offset, "offset", 0)
        found = self._matching(user_id, agent_id)[offset:]
        return deepcopy(found if limit is None else found[:limit])

    def _matching(self, user_id: str | None, agent_id: str | None) -> list[ConversationSession]:
        check_optional_id(user_id, "user_id")
        check_optional_id(agent_id, "agent_id")
        with self._opened() as conversations:
            found = [
                conversation.session
                for conversation in conversations.values()
                if user_id in (None, conversation.session.user_id)
                and agent_id in (None, conversation.session.agent_id)
            ]
            return sorted(found, key=_position, reverse=True)

    def page_sessions(
        self,
        user_id: str | None = None,
        agent_id: str | None = None,
        *,
        limit: int = 100,
        cursor: str | None = None,
    ) -> SessionPage:
        """See `ConversationStore.page_sessions`."""
        check_page_limit(limit)
        found = self._matching(user_id, agent_id)
        if cursor is not None:
            position = _session_cursor(cursor)
            found = [session for session in found if _position(session) < position]
        page = deepcopy(found[:limit])
        more = len(found) > limit
        return SessionPage(page, f"{page[-1].updated_at!r}|{page[-1].session_id}" if more else None)

    def add_message(self, session_id: str, message: ConversationMessage) -> ConversationMessage:
        """See `ConversationStore.add_message`."""
        return self.add_messages(session_id, [message])[0]

    def add_messages(
        self, session_id: str, messages: Sequence[ConversationMessage]
    ) -> list[ConversationMessage]:
        """See `ConversationStore.add_messages`."""
        check_id(session_id, "session_id")
        given: dict[str, ConversationMessage] = {}
        for message in messages:
            check_message(message)
            _check_same(given.setdefault(message.id, message), message)
        if not messages:
            return []
        with self._opened() as conversations:
            conversation = _existing(conversations, session_id)
            known = {message.id: message for message in conversation.messages}
            new: list[ConversationMessage] = []
            for message in messages:
                if message.id in known:
                    _check_same(known[message.id], message)
                    continue
                seq = conversation.last_seq + len(new) + 1
                known[message.id] = replace(deepcopy(message), session_id=session_id, seq=seq)
                new.append(known[message.id])
            if new:
                conversation.messages += new
                conversation.last_seq += len(new)
                session = conversation.session
                session.updated_at = max(session.updated_at, self._clock())
            return [deepcopy(known[message.id]) for message in messages]

    def get_messages(
        self,
        session_id: str,
        limit: int | None = None,
        before: float | None = None,
        after: float | None = None,
    ) -> list[ConversationMessage]:
        """See `ConversationStore.get_messages`."""
        check_limit(limit)
        for name, bound in (("before", before), ("after", after)):
            if bound is not None:
                check_time(bound, name)
        found = [
            message
            for message in self._messages(session_id)
            if (before is None or message.created_at < before)
            and (after is None or message.created_at > after)
        ]
        return found if limit is None else found[max(len(found) - limit, 0) :]

    def _messages(self, session_id: str) -> list[ConversationMessage]:
        check_id(session_id, "session_id")
        with self._opened() as conversations:
            found = conversations.get(session_id)
            return deepcopy(found.messages) if found else []

    def page_messages(
        self,
        session_id: str,
        *,
        limit: int = 100,
        cursor: str | None = None,
        backward: bool = False,
    ) -> MessagePage:
        """See `ConversationStore.page_messages`."""
        check_page_limit(limit)
        found = self._messages(session_id)
        if backward:
            found.reverse()
        if cursor is not None:
            seq = _message_cursor(cursor)
            found = [m for m in found if (m.seq or 0) != seq and ((m.seq or 0) < seq) == backward]
        page = found[:limit]
        next_cursor = str(page[-1].seq) if len(found) > limit else None
        return MessagePage(page[::-1] if backward else page, next_cursor)

    def delete_messages(self, session_id: str, message_ids: Sequence[str] | None = None) -> int:
        """See `ConversationStore.delete_messages`."""
        check_id(session_id, "session_id")
        check_ids(message_ids, "message_ids")
        with self._opened() as conversations:
            if session_id not in conversations:
                return 0
            conversation = conversations[session_id]
            count = len(conversation.messages)
            kept = [] if message_ids is None else conversation.messages
            named = set(message_ids or ())
            conversation.messages = [message for message in kept if message.id not in named]
            return count - len(conversation.messages)

    def search_messages(
        self,
        query: str,
        *,
        session_id: str | None = None,
        user_id: str | None = None,
        agent_id: str | None = None,
        role: str | None = None,
        limit: int = 20,
    ) -> list[MessageHit]:
        """See `ConversationStore.search_messages`. The score is how often the terms occur."""
        check_search(query, session_id, user_id, agent_id, role, limit)
        terms = terms_of(query)
        sessions = {session.session_id for session in self._matching(user_id, agent_id)}
        hits: list[MessageHit] = []
        with self._opened() as conversations:
            for key in sessions & ({session_id} if session_id is not None else sessions):
                for message in conversations[key].messages:
                    text = message.content or ""
                    score = float(terms.count(text))
                    if score and role in (None, message.role):
                        own, found = deepcopy(message), snippet(text, terms)
                        hits.append(MessageHit(key, own.seq or 0, own, score, found))
        hits.sort(key=lambda hit: (hit.score, hit.message.created_at, hit.seq), reverse=True)
        return hits[:limit]

    def dump_session(self, session_id: str) -> dict[str, Any] | None:
        """See `ConversationStore.dump_session`."""
        check_id(session_id, "session_id")
        with self._opened() as conversations:
            if session_id not in conversations:
                return None
            found = conversations[session_id]
            session = asdict(found.session) | {"last_seq": found.last_seq}
            return {
                "format": _FORMAT,
                "session": session,
                "messages": [asdict(message) for message in found.messages],
            }

    def load_session(self, dump: dict[str, Any]) -> str:
        """See `ConversationStore.load_session`."""
        loaded = _loaded(dump)
        session_id = loaded.session.session_id
        with self._opened() as conversations:
            stored = conversations.setdefault(session_id, loaded)
            known = {message.id: message for message in stored.messages}
            for message in loaded.messages:
                if message.id not in known:
                    raise ConflictError(f"Session {session_id!r} exists without {message.id!r}")
                _check_same(known[message.id], message)
        return session_id

    def close(self) -> None:
        """See `ConversationStore.close`."""
        self._closed = True


def _existing(conversations: dict[str, _Conversation], session_id: str) -> _Conversation:
    if session_id not in conversations:
        raise NotFoundError(f"There is no session {session_id!r}")
    return conversations[session_id]


def _check_same(stored: ConversationMessage, message: ConversationMessage) -> None:
    if any(getattr(stored, name) != getattr(message, name) for name in _CONTENT):
        raise ConflictError(f"Message {message.id!r} is stored with other content")


def _position(session: ConversationSession) -> tuple[float, str]:
    return session.updated_at, session.session_id


def _session_cursor(cursor: str) -> tuple[float, str]:
    try:
        updated_at, session_id = cursor.split("|", 1)
        position = float(updated_at), session_id
    except (AttributeError, ValueError):
        raise InvalidDataError(f"{cursor!r} is not a cursor of page_sessions") from None
    check_time(position[0], "cursor")
    check_id(session_id, "cursor")
    return position


def _message_cursor(cursor: str) -> int:
    if not isinstance(cursor, str) or not re.fullmatch("[0-9]{1,18}", cursor):
        raise InvalidDataError(f"{cursor!r} is not a cursor of page_messages")
    return int(cursor)


def _loaded(dump: object) -> _Conversation:
    """Return the conversation that a dump describes.

    Raises:
        InvalidDataError: it is no dump of this store.
    """
    if not isinstance(dump, dict) or dump.get("format") != _FORMAT:
        raise InvalidDataError("Not a session dump of the reference store")
    try:
        values = deepcopy(dump)
        session = ConversationSession.from_dict(values["session"])
        messages = [ConversationMessage.from_dict({"id": None} | row) for row in values["messages"]]
        last_seq = values["session"].get("last_seq") or 0
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InvalidDataError(f"Not a whole session dump: {error!r}") from error
    session.session_id = values["session"].get("session_id")
    check_session(session)
    check_integer(last_seq, "session.last_seq", 0)
    check_seqs([message.seq for message in messages])
    for seq, message in enumerate(messages, 1):
        check_message(message)
        message.session_id, message.seq = session.session_id, message.seq or seq
        last_seq = max(last_seq, message.seq)
    session.version = session.version or 1
    return _Conversation(session, messages, last_seq)
