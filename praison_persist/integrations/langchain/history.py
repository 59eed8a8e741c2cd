"""Chat message histories of LangChain, each a session of a conversation store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain_core.chat_history import BaseChatMessageHistory
from langchain_core.messages import BaseMessage

from praison_persist._flow import arun, run
from praison_persist.integrations._closing import Closing
from praison_persist.integrations._conversations import Conversations, open_conversations
from praison_persist.integrations._history import append
from praison_persist.integrations.langchain.messages import from_row, to_row
from praison_persist.models import ConversationSession

__all__ = ["PersistChatHistories", "PersistChatMessageHistory"]


class PersistChatMessageHistory(Closing, BaseChatMessageHistory):  # type: ignore[misc]  # no types of LangChain
    """The messages of one session, which is created with the first of them.

    A message with an id is stored once, however often it is added.

    Args:
        session_id: the conversation.
        database: a conversation store, which stays the caller's, or a database URL or path, which
            is closed with the history.
        backend: the name of the backend, if the URL does not tell.
        user_id: whom a new session belongs to.
        agent_id: who speaks in a new session.
        options: of the backend.

    Raises:
        ConfigurationError, UnknownBackendError, MissingDependencyError: see PraisonAIDB.
    """

    def __init__(
        self,
        session_id: str,
        database: Any = None,
        *,
        backend: str | None = None,
        user_id: str | None = None,
        agent_id: str | None = None,
        **options: Any,
    ) -> None:
        if isinstance(database, Conversations):
            self._conversations = database
        else:
            self._conversations = open_conversations(database, backend, options)
        self.session_id = session_id
        self._user_id, self._agent_id = user_id, agent_id

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.session_id!r})"

    # LangChain declares an attribute, and documents that it may be a property.
    @property
    def messages(self) -> list[BaseMessage]:  # type: ignore[override,unused-ignore]  # see above
        """All messages, oldest first."""
        rows = self._conversations.sync.store.get_messages(self.session_id)
        return [from_row(row) for row in rows]

    async def aget_messages(self) -> list[BaseMessage]:
        """Return all messages, oldest first."""
        rows = await self._conversations.asynchronous.store.get_messages(self.session_id)
        return [from_row(row) for row in rows]

    def add_messages(self, messages: Sequence[BaseMessage]) -> None:
        """Append messages, all or none where the store declares BATCH.

        Raises:
            InvalidDataError: one would not come back as it is; none was stored.
            ConflictError: a message is stored under one of the ids with other content.
        """
        rows = [to_row(message) for message in messages]
        run(append(self._conversations.sync, self._session(), rows))

    async def aadd_messages(self, messages: Sequence[BaseMessage]) -> None:
        """Append messages; see `add_messages`."""
        rows = [to_row(message) for message in messages]
        await arun(append(self._conversations.asynchronous, self._session(), rows))

    def clear(self) -> None:
        """Delete all messages; the session stays."""
        self._conversations.sync.store.delete_messages(self.session_id)

    async def aclear(self) -> None:
        """Delete all messages; the session stays."""
        await self._conversations.asynchronous.store.delete_messages(self.session_id)

    def close(self) -> None:
        """See `Closing.close`."""
        self._conversations.close()

    async def aclose(self) -> None:
        """See `Closing.aclose`."""
        await self._conversations.aclose()

    def _session(self) -> ConversationSession:
        return ConversationSession(
            session_id=self.session_id, user_id=self._user_id, agent_id=self._agent_id
        )


class PersistChatHistories(Closing):
    """The histories of all sessions: what `RunnableWithMessageHistory` takes as a function.

    Args:
        database: a conversation store, which stays the caller's, or a database URL or path, which
            is closed with these.
        backend: the name of the backend, if the URL does not tell.
        user_id: whom new sessions belong to.
        agent_id: who speaks in new sessions.
        options: of the backend.

    Raises:
        ConfigurationError, UnknownBackendError, MissingDependencyError: see PraisonAIDB.
    """

    def __init__(
        self,
        database: Any = None,
        *,
        backend: str | None = None,
        user_id: str | None = None,
        agent_id: str | None = None,
        **options: Any,
    ) -> None:
        self._conversations = open_conversations(database, backend, options)
        self._user_id, self._agent_id = user_id, agent_id

    def __call__(self, session_id: str) -> PersistChatMessageHistory:
        """Return the history of a session. It needs no closing."""
        return PersistChatMessageHistory(
            session_id,
            self._conversations.borrowed(),
            user_id=self._user_id,
            agent_id=self._agent_id,
        )

    def close(self) -> None:
        """See `Closing.close`."""
        self._conversations.close()

    async def aclose(self) -> None:
        """See `Closing.aclose`."""
        await self._conversations.aclose()
