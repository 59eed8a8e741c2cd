"""The chat store of LlamaIndex's `Memory`, which archives messages that it hands to its blocks.

Archiving writes no message. How far a conversation is archived is a number in the metadata of its
session: messages up to it are archived, those behind it are active. A message that was added as an
archived one says so in its own metadata.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace as changed
from typing import Any

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.storage.chat_store.base_db import AsyncDBChatStore, MessageStatus

from praison_persist._flow import arun
from praison_persist.errors import ConflictError, NotFoundError, UnsupportedError
from praison_persist.integrations._closing import Closing
from praison_persist.integrations._conversations import Conversations, open_conversations
from praison_persist.integrations._history import Rows, append, delete, replace, take
from praison_persist.integrations.llama_index.messages import count_equal, from_row, to_row
from praison_persist.models import ConversationMessage, ConversationSession
from praison_persist.protocols import AsyncConversationStore, Capability

__all__ = ["PersistMemoryStore"]

_STATUS = "llama_index_status"  # of a message's metadata
_ARCHIVED_SEQ = "llama_index_archived_seq"  # of a session's metadata


class PersistMemoryStore(Closing, AsyncDBChatStore):  # type: ignore[misc]  # no types of LlamaIndex
    """Conversations, each a key: the id of its session. Messages are active or archived.

    Args:
        database: a conversation store, which stays the caller's, or a database URL or path, which
            is closed with this.
        backend: the name of the backend, if the URL does not tell.
        user_id: whom new sessions belong to, and whose keys are listed; None: everybody's.
        agent_id: who speaks in new sessions, and whose keys are listed; None: everybody's.
        options: of the backend.

    Raises:
        ConfigurationError, UnknownBackendError, MissingDependencyError: see PraisonAIDB.
    """

    _conversations: Conversations = PrivateAttr()
    _user_id: str | None = PrivateAttr()
    _agent_id: str | None = PrivateAttr()

    def __init__(
        self,
        database: Any = None,
        *,
        backend: str | None = None,
        user_id: str | None = None,
        agent_id: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__()
        self._conversations = open_conversations(database, backend, options)
        self._user_id, self._agent_id = user_id, agent_id

    @classmethod
    def class_name(cls) -> str:
        """Return the name that LlamaIndex knows the class by."""
        return "PersistMemoryStore"

    async def get_messages(
        self,
        key: str,
        status: MessageStatus | None = MessageStatus.ACTIVE,
        limit: int | None = None,
        offset: int | None = None,
    ) -> list[ChatMessage]:
        """Return the first `limit` messages behind `offset`, oldest first.

        Args:
            key: the conversation; without messages if there is none.
            status: only those of it; None: all.
            limit: None: all.
            offset: how many are left out; None: none.
        """
        rows = await self._rows(key, status)
        begin = offset or 0
        return [from_row(row) for row in rows[begin : None if limit is None else begin + limit]]

    async def count_messages(
        self, key: str, status: MessageStatus | None = MessageStatus.ACTIVE
    ) -> int:
        """Return how many messages there are of a status; None: of both."""
        if status is None:
            return await self._store.count(key)
        return len(await self._rows(key, status))

    async def add_message(
        self, key: str, message: ChatMessage, status: MessageStatus = MessageStatus.ACTIVE
    ) -> None:
        """Append a message to a conversation, which is created with it."""
        await self.add_messages(key, [message], status)

    async def add_messages(
        self, key: str, messages: list[ChatMessage], status: MessageStatus = MessageStatus.ACTIVE
    ) -> None:
        """Append messages, all or none where the store declares BATCH.

        Raises:
            InvalidDataError: one would not come back as it is; none was stored.
        """
        rows = [_row(message, status) for message in messages]
        await arun(append(self._conversations.asynchronous, self._session(key), rows))

    async def set_messages(
        self, key: str, messages: list[ChatMessage], status: MessageStatus = MessageStatus.ACTIVE
    ) -> None:
        """Let the conversation have these messages alone, of one status.

        As atomic as `PersistChatStore.set_messages`.
        """
        rows = [_row(message, status) for message in messages]

        def kept(session: ConversationSession, stored: Rows) -> int:
            archived_seq = _archived_seq(session)
            others = (at for at, row in enumerate(stored) if _status(row, archived_seq) != status)
            return count_equal(stored[: next(others, len(stored))], messages)

        await arun(replace(self._conversations.asynchronous, self._session(key), rows, kept))

    async def delete_message(self, key: str, idx: int) -> ChatMessage | None:
        """Delete the message with the number `idx`, its `seq` in the session.

        Returns:
            The message; None if there is none.
        """
        row = await self._take(key, lambda rows: next((r for r in rows if r.seq == idx), None))
        return None if row is None else from_row(row)

    async def delete_messages(self, key: str, status: MessageStatus | None = None) -> None:
        """Delete the messages of a status; None: the key with all that belongs to its session."""
        if status is None:
            await arun(delete(self._conversations.asynchronous, key))
            return
        ids = [row.id for row in await self._rows(key, status)]
        if ids:
            await self._store.delete_messages(key, ids)

    async def delete_oldest_messages(self, key: str, n: int) -> list[ChatMessage]:
        """Archive the oldest `n` active messages, delete them, and return them, oldest first.

        Of several callers, also of `archive_oldest_messages`, each gets others.

        Raises:
            UnsupportedError: the store does not declare EXPECTED_VERSION.
        """
        oldest = await self._archive(key, n)
        if oldest:
            await self._store.delete_messages(key, [row.id for row in oldest])
        return [from_row(row) for row in oldest]

    async def archive_oldest_messages(self, key: str, n: int) -> list[ChatMessage]:
        """Archive the oldest `n` active messages, and return them, oldest first.

        Of several callers each gets others.

        Raises:
            UnsupportedError: the store does not declare EXPECTED_VERSION.
        """
        return [from_row(row) for row in await self._archive(key, n)]

    async def get_keys(self) -> list[str]:
        """Return the ids of all sessions, of this user and agent if given; last written first."""
        found = await self._store.list_sessions(self._user_id, self._agent_id, limit=None)
        return [session.session_id for session in found]

    def close(self) -> None:
        """See `Closing.close`."""
        self._conversations.close()

    async def aclose(self) -> None:
        """See `Closing.aclose`."""
        await self._conversations.aclose()

    @property
    def _store(self) -> AsyncConversationStore:
        store: AsyncConversationStore = self._conversations.asynchronous.store
        return store

    async def _rows(self, key: str, status: MessageStatus | None) -> list[ConversationMessage]:
        # The session first: a message that is archived meanwhile shows as active, never not at all.
        archived_seq = _archived_seq(await self._store.get_session(key))
        rows = await self._store.get_messages(key)
        return [row for row in rows if status is None or _status(row, archived_seq) == status]

    async def _archive(self, key: str, n: int) -> list[ConversationMessage]:
        if Capability.EXPECTED_VERSION not in (self._store.capabilities or ()):
            raise UnsupportedError(
                f"{self._store!r} does not support {Capability.EXPECTED_VERSION.name}, which "
                "archiving needs; keep the conversations in another store"
            )
        while (session := await self._store.get_session(key)) is not None:
            rows = await self._store.get_messages(key)
            oldest = _active(rows, _archived_seq(session))[: max(n, 0)]
            if not oldest:
                return []
            metadata = {**(session.metadata or {}), _ARCHIVED_SEQ: oldest[-1].seq}
            try:
                await self._store.update_session(
                    changed(session, metadata=metadata), expected_version=session.version
                )
            except (ConflictError, NotFoundError):  # others changed the session: what is oldest
                continue  # may differ
            return oldest
        return []

    async def _take(self, key: str, choose: Any) -> ConversationMessage | None:
        return await arun(take(self._conversations.asynchronous, key, choose))

    def _session(self, key: str) -> ConversationSession:
        return ConversationSession(session_id=key, user_id=self._user_id, agent_id=self._agent_id)


def _row(message: ChatMessage, status: MessageStatus) -> ConversationMessage:
    row = to_row(message)
    if status == MessageStatus.ARCHIVED:
        row.metadata = {**(row.metadata or {}), _STATUS: status.value}
    return row


def _archived_seq(session: ConversationSession | None) -> int:
    """Return the number up to which messages are archived; 0: none is."""
    found = ((session.metadata if session else None) or {}).get(_ARCHIVED_SEQ, 0)
    return int(found)


def _status(row: ConversationMessage, archived_seq: int) -> MessageStatus:
    before = row.seq is not None and row.seq <= archived_seq
    is_archived = before or _STATUS in (row.metadata or {})
    return MessageStatus.ARCHIVED if is_archived else MessageStatus.ACTIVE


def _active(rows: Sequence[ConversationMessage], archived_seq: int) -> list[ConversationMessage]:
    return [row for row in rows if _status(row, archived_seq) == MessageStatus.ACTIVE]
