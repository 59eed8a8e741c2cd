"""The chat store of LlamaIndex's `ChatMemoryBuffer` and `ChatSummaryMemoryBuffer`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.storage.chat_store.base import BaseChatStore

from praison_persist._flow import arun, run
from praison_persist.integrations._closing import Closing
from praison_persist.integrations._conversations import Conversations, open_conversations
from praison_persist.integrations._history import Kept, Rows, append, delete, replace, take
from praison_persist.integrations.llama_index.messages import count_equal, from_row, to_row
from praison_persist.models import ConversationMessage, ConversationSession

__all__ = ["PersistChatStore"]


class PersistChatStore(Closing, BaseChatStore):  # type: ignore[misc]  # no types of LlamaIndex
    """Conversations, each a key: the id of its session.

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
        return "PersistChatStore"

    def set_messages(self, key: str, messages: list[ChatMessage]) -> None:
        """Let the conversation have these messages alone. Equal ones at its begin stay.

        On a SQL store this is one transaction. Elsewhere the new messages are appended before the
        old ones are deleted, and of two that set messages at the same time both leave theirs.

        Raises:
            InvalidDataError: a message would not come back as it is; nothing was changed.
        """
        rows, kept = _replacing(messages)
        run(replace(self._conversations.sync, self._session(key), rows, kept))

    async def aset_messages(self, key: str, messages: list[ChatMessage]) -> None:
        """Replace a conversation; see `set_messages`."""
        rows, kept = _replacing(messages)
        await arun(replace(self._conversations.asynchronous, self._session(key), rows, kept))

    def get_messages(self, key: str) -> list[ChatMessage]:
        """Return all messages, oldest first; none if there is no such key."""
        return [from_row(row) for row in self._conversations.sync.store.get_messages(key)]

    async def aget_messages(self, key: str) -> list[ChatMessage]:
        """Return all messages; see `get_messages`."""
        rows = await self._conversations.asynchronous.store.get_messages(key)
        return [from_row(row) for row in rows]

    def add_message(self, key: str, message: ChatMessage) -> None:
        """Append a message to a conversation, which is created with it.

        Raises:
            InvalidDataError: it would not come back as it is.
        """
        run(append(self._conversations.sync, self._session(key), [to_row(message)]))

    async def async_add_message(self, key: str, message: ChatMessage) -> None:
        """Append a message; see `add_message`."""
        await arun(append(self._conversations.asynchronous, self._session(key), [to_row(message)]))

    def delete_messages(self, key: str) -> list[ChatMessage] | None:
        """Delete the key with all that belongs to its session.

        Returns:
            The messages there were, oldest first; None if there is no such key.
        """
        return _messages(run(delete(self._conversations.sync, key)))

    async def adelete_messages(self, key: str) -> list[ChatMessage] | None:
        """Delete a key; see `delete_messages`."""
        return _messages(await arun(delete(self._conversations.asynchronous, key)))

    def delete_message(self, key: str, idx: int) -> ChatMessage | None:
        """Delete the message at `idx`, from 0, or from -1 for the last one.

        Returns:
            The message; None if there is none.
        """
        return _message(run(take(self._conversations.sync, key, lambda rows: _at(rows, idx))))

    async def adelete_message(self, key: str, idx: int) -> ChatMessage | None:
        """Delete a message; see `delete_message`."""
        side = self._conversations.asynchronous
        return _message(await arun(take(side, key, lambda rows: _at(rows, idx))))

    def delete_last_message(self, key: str) -> ChatMessage | None:
        """Delete the newest message. Of several callers each gets another one.

        Returns:
            The message; None if there is none.
        """
        side = self._conversations.sync
        return _message(run(take(side, key, lambda rows: _at(rows, -1), newest=1)))

    async def adelete_last_message(self, key: str) -> ChatMessage | None:
        """Delete the newest message; see `delete_last_message`."""
        side = self._conversations.asynchronous
        return _message(await arun(take(side, key, lambda rows: _at(rows, -1), newest=1)))

    def get_keys(self) -> list[str]:
        """Return the ids of all sessions, of this user and agent if given; last written first."""
        store = self._conversations.sync.store
        found = store.list_sessions(self._user_id, self._agent_id, limit=None)
        return [session.session_id for session in found]

    async def aget_keys(self) -> list[str]:
        """Return all keys; see `get_keys`."""
        store = self._conversations.asynchronous.store
        found = await store.list_sessions(self._user_id, self._agent_id, limit=None)
        return [session.session_id for session in found]

    def close(self) -> None:
        """See `Closing.close`."""
        self._conversations.close()

    async def aclose(self) -> None:
        """See `Closing.aclose`."""
        await self._conversations.aclose()

    def _session(self, key: str) -> ConversationSession:
        return ConversationSession(session_id=key, user_id=self._user_id, agent_id=self._agent_id)


def _replacing(messages: Sequence[ChatMessage]) -> tuple[Rows, Kept]:
    return [to_row(message) for message in messages], lambda _, rows: count_equal(rows, messages)


def _at(rows: Rows, index: int) -> ConversationMessage | None:
    return rows[index] if -len(rows) <= index < len(rows) else None


def _message(row: ConversationMessage | None) -> ChatMessage | None:
    return None if row is None else from_row(row)


def _messages(rows: list[ConversationMessage] | None) -> list[ChatMessage] | None:
    return None if rows is None else [from_row(row) for row in rows]
