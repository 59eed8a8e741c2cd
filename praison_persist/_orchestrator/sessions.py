"""Sessions as they are stored, and what a model is told of them. In both colours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from praison_persist._orchestrator import flows
from praison_persist._orchestrator.core import OrchestratorCore
from praison_persist._orchestrator.resources import Resources
from praison_persist.models import ConversationMessage, ConversationSession, KnowledgeDocument

__all__ = ["Sessions"]


class Sessions(Resources, OrchestratorCore):
    """get_*, list_* and delete_session, and build_context, in both colours.

    Without a conversation store there are no sessions.
    """

    @property
    def current_session_id(self) -> str | None:
        """The session that was last started here, by whichever thread or task."""
        return self._current

    def cached_session(self, session_id: str) -> ConversationSession | None:
        """Return a copy of a session as it was last seen here, without asking the database."""
        return self._sessions.get(session_id)

    def get_session(self, session_id: str) -> ConversationSession | None:
        """Return the session as it is stored now, or None if there is none."""
        adapter = self.adapter
        return None if adapter is None else self._seen(session_id, adapter.get_session(session_id))

    async def aget_session(self, session_id: str) -> ConversationSession | None:
        """See `get_session`."""
        adapter = self.adapter
        if adapter is None:
            return None
        return self._seen(session_id, await adapter.aget_session(session_id))

    def _seen(
        self, session_id: str, session: ConversationSession | None
    ) -> ConversationSession | None:
        if session is None:
            self._sessions.discard(session_id)
        else:
            self._sessions.put(session)
        return session

    def list_sessions(
        self,
        user_id: str | None = None,
        limit: int = 100,
        *,
        agent_id: str | None = None,
        offset: int = 0,
    ) -> list[ConversationSession]:
        """Return sessions, last written first. A filter that is None does not limit."""
        adapter = self.adapter
        return [] if adapter is None else adapter.list_sessions(user_id, agent_id, limit, offset)

    async def alist_sessions(
        self,
        user_id: str | None = None,
        limit: int = 100,
        *,
        agent_id: str | None = None,
        offset: int = 0,
    ) -> list[ConversationSession]:
        """See `list_sessions`."""
        adapter = self.adapter
        if adapter is None:
            return []
        return await adapter.alist_sessions(user_id, agent_id, limit, offset)

    def delete_session(self, session_id: str) -> bool:
        """Delete the session with all that belongs to it. Return whether it existed."""
        adapter = self.adapter
        existed = adapter is not None and adapter.delete_session(session_id)
        self._sessions.discard(session_id)
        return existed

    async def adelete_session(self, session_id: str) -> bool:
        """See `delete_session`."""
        adapter = self.adapter
        existed = adapter is not None and await adapter.adelete_session(session_id)
        self._sessions.discard(session_id)
        return existed

    def get_messages(self, session_id: str, limit: int | None = None) -> list[ConversationMessage]:
        """Return the newest `limit` messages as they are stored (all if None), oldest first."""
        adapter = self.adapter
        return [] if adapter is None else adapter.get_messages(session_id, limit)

    async def aget_messages(
        self, session_id: str, limit: int | None = None
    ) -> list[ConversationMessage]:
        """See `get_messages`."""
        adapter = self.adapter
        return [] if adapter is None else await adapter.aget_messages(session_id, limit)

    def build_context(
        self,
        session_id: str,
        query_embedding: Sequence[float] | None = None,
        history_limit: int = 20,
        knowledge_limit: int = 5,
        knowledge_collection: str = "default",
    ) -> dict[str, list[dict[str, Any]]]:
        """Return what a model is to be told: {"history": […], "knowledge": […]}.

        Args:
            session_id: whose history.
            query_embedding: what knowledge is to be near to; None: none is looked for.
            history_limit: the newest messages, at most, as providers accept them: fewer rather
                than a turn cut in half. Each is a dict as OpenAI spells it.
            knowledge_limit: documents at most, the nearest first, as {"content", "metadata"}.
            knowledge_collection: where to search.

        Raises:
            NotFoundError: there is no such collection.
        """
        adapter = self.adapter
        history: list[dict[str, Any]] = []
        if adapter is not None:
            history = adapter.run_flow(
                lambda stores: flows.history(stores, session_id, history_limit)
            )
        found: list[KnowledgeDocument] = []
        if query_embedding is not None:
            found = self.retrieve_knowledge(query_embedding, knowledge_collection, knowledge_limit)
        return _context(history, found)

    async def abuild_context(
        self,
        session_id: str,
        query_embedding: Sequence[float] | None = None,
        history_limit: int = 20,
        knowledge_limit: int = 5,
        knowledge_collection: str = "default",
    ) -> dict[str, list[dict[str, Any]]]:
        """See `build_context`."""
        adapter = self.adapter
        history: list[dict[str, Any]] = []
        if adapter is not None:
            history = await adapter.arun_flow(
                lambda stores: flows.history(stores, session_id, history_limit)
            )
        found: list[KnowledgeDocument] = []
        if query_embedding is not None:
            found = await self.aretrieve_knowledge(
                query_embedding, knowledge_collection, knowledge_limit
            )
        return _context(history, found)


def _context(
    history: list[dict[str, Any]], documents: list[KnowledgeDocument]
) -> dict[str, list[dict[str, Any]]]:
    knowledge = [{"content": found.content, "metadata": found.metadata} for found in documents]
    return {"history": history, "knowledge": knowledge}
