"""Sessions and their messages, as they are stored: read, deleted, exported, imported."""

from __future__ import annotations

from typing import Any

from praison_persist import lifecycle
from praison_persist._adapter.core import AdapterCore
from praison_persist._flow import wait
from praison_persist.errors import NotFoundError
from praison_persist.exchange import export_flow, import_flow
from praison_persist.models import ConversationMessage, ConversationSession

__all__ = ["SessionQueries"]


class SessionQueries(AdapterCore):
    """get_*, list_*, delete_*, export_* and import_*, in both colours."""

    def get_session(self, session_id: str) -> ConversationSession | None:
        """Return the session, or None if there is none."""
        return self._read(
            lambda stores: wait(stores.conversation.get_session(session_id)), replicas=True
        )

    async def aget_session(self, session_id: str) -> ConversationSession | None:
        """See `get_session`."""
        return await self._aread(
            lambda stores: wait(stores.conversation.get_session(session_id)), replicas=True
        )

    def list_sessions(
        self,
        user_id: str | None = None,
        agent_id: str | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> list[ConversationSession]:
        """Return sessions, last written first."""
        return self._read(
            lambda stores: wait(
                stores.conversation.list_sessions(user_id, agent_id, limit, offset)
            ),
            replicas=True,
        )

    async def alist_sessions(
        self,
        user_id: str | None = None,
        agent_id: str | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> list[ConversationSession]:
        """See `list_sessions`."""
        return await self._aread(
            lambda stores: wait(
                stores.conversation.list_sessions(user_id, agent_id, limit, offset)
            ),
            replicas=True,
        )

    def get_messages(self, session_id: str, limit: int | None = None) -> list[ConversationMessage]:
        """Return the newest `limit` messages as they are stored (all if None), oldest first."""
        return self._read(
            lambda stores: wait(stores.conversation.get_messages(session_id, limit)), replicas=True
        )

    async def aget_messages(
        self, session_id: str, limit: int | None = None
    ) -> list[ConversationMessage]:
        """See `get_messages`."""
        return await self._aread(
            lambda stores: wait(stores.conversation.get_messages(session_id, limit)), replicas=True
        )

    def delete_session(self, session_id: str) -> bool:
        """Delete the session with all that belongs to it. Return whether it existed."""
        return self._read(lambda stores: lifecycle.delete_session(stores, session_id))

    async def adelete_session(self, session_id: str) -> bool:
        """See `delete_session`."""
        return await self._aread(lambda stores: lifecycle.delete_session(stores, session_id))

    def export_session(self, session_id: str) -> dict[str, Any]:
        """Return all that is stored of the session, as JSON values; nothing is left out.

        Raises:
            NotFoundError: there is no such session.
        """
        return _exported(session_id, self._read(lambda stores: export_flow(stores, session_id)))

    async def aexport_session(self, session_id: str) -> dict[str, Any]:
        """See `export_session`."""
        return _exported(
            session_id, await self._aread(lambda stores: export_flow(stores, session_id))
        )

    def import_session(self, data: dict[str, Any]) -> str:
        """Store what `export_session` returned, of this adapter or of praisonai's.

        All or nothing; importing again changes nothing. Return the session's id.

        Raises:
            InvalidDataError: not an export. ConflictError: the session exists with other content.
        """
        return self._read(lambda stores: import_flow(stores, data))

    async def aimport_session(self, data: dict[str, Any]) -> str:
        """See `import_session`."""
        return await self._aread(lambda stores: import_flow(stores, data))


def _exported(session_id: str, dump: dict[str, Any] | None) -> dict[str, Any]:
    if dump is None:
        raise NotFoundError(f"There is no session {session_id!r}")
    return dump
