"""An async store of your own: what the contract makes abstract, here over a dict.

It derives from AsyncConversationStore: by its class it is known to be awaited. Stores with more
(pages, batches, runs) are in plugin/, with the tests that hold them to the contract.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from copy import deepcopy

from surroundings import surroundings

from praison_persist import (
    Agent,
    AsyncConversationStore,
    ConflictError,
    ConversationMessage,
    ConversationSession,
    NotFoundError,
)


class DictStore(AsyncConversationStore):
    """Keeps conversations for as long as the process lives."""

    def __init__(self) -> None:
        self._sessions: dict[str, ConversationSession] = {}
        self._messages: dict[str, list[ConversationMessage]] = {}

    async def create_session(self, session: ConversationSession) -> ConversationSession:
        """Store a new session."""
        if session.session_id in self._sessions:
            raise ConflictError(f"Session {session.session_id!r} exists")
        self._sessions[session.session_id] = deepcopy(session)
        self._messages[session.session_id] = []
        return session

    async def get_session(self, session_id: str) -> ConversationSession | None:
        """Return a session, or None."""
        return deepcopy(self._sessions.get(session_id))

    async def update_session(
        self, session: ConversationSession, *, expected_version: int | None = None
    ) -> ConversationSession:
        """Replace a session; versions are not kept, so that none can be expected."""
        if expected_version is not None:
            raise ConflictError(f"Session {session.session_id!r} has no version")
        if session.session_id not in self._sessions:
            raise NotFoundError(f"No session {session.session_id!r}")
        self._sessions[session.session_id] = deepcopy(session)
        return session

    async def delete_session(self, session_id: str) -> bool:
        """Delete a session and its messages."""
        self._messages.pop(session_id, None)
        return self._sessions.pop(session_id, None) is not None

    async def list_sessions(
        self,
        user_id: str | None = None,
        agent_id: str | None = None,
        limit: int | None = 100,
        offset: int = 0,
    ) -> list[ConversationSession]:
        """Return the sessions of a user and an agent, where these are given."""
        found = [
            session
            for session in self._sessions.values()
            if user_id in (None, session.user_id) and agent_id in (None, session.agent_id)
        ]
        found.sort(key=lambda session: session.updated_at, reverse=True)
        return deepcopy(found[offset:][:limit])

    async def add_message(
        self, session_id: str, message: ConversationMessage
    ) -> ConversationMessage:
        """Append a message; the same one again is the same write."""
        if session_id not in self._messages:
            raise NotFoundError(f"No session {session_id!r}")
        known = self._messages[session_id]
        if message.id not in [other.id for other in known]:
            stored = deepcopy(message)
            stored.session_id, stored.seq = session_id, len(known) + 1
            known.append(stored)
        return deepcopy(next(other for other in known if other.id == message.id))

    async def get_messages(
        self,
        session_id: str,
        limit: int | None = None,
        before: float | None = None,
        after: float | None = None,
    ) -> list[ConversationMessage]:
        """Return the newest messages, oldest first."""
        found = [
            message
            for message in self._messages.get(session_id, [])
            if (before is None or message.created_at < before)
            and (after is None or message.created_at > after)
        ]
        return deepcopy(found if limit is None else found[max(len(found) - limit, 0) :])

    async def delete_messages(
        self, session_id: str, message_ids: Sequence[str] | None = None
    ) -> int:
        """Delete the named messages, or all of them."""
        known = self._messages.get(session_id, [])
        kept = [] if message_ids is None else [m for m in known if m.id not in message_ids]
        self._messages[session_id] = kept
        return len(known) - len(kept)

    async def close(self) -> None:
        """Release nothing: there is no connection."""


async def talk() -> None:
    """Let two agents share the store."""
    async with DictStore() as store:
        for prompt in ("My name is Ada.", "What is my name?"):
            agent = Agent(name="Assistant", conversation_store=store, session_id="s", user_id="ada")
            print(await agent.start(prompt))
        for session in await store.list_sessions(user_id="ada"):
            print(f"{session.session_id}: {await store.count(session.session_id)} messages")


def main() -> None:
    """Run it."""
    with surroundings():
        asyncio.run(talk())


if __name__ == "__main__":
    main()
