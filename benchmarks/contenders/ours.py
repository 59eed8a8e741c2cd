"""This package, by its public names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.contenders.base import Contender, Place
from benchmarks.messages import METADATA
from praison_persist import (
    AsyncSQLConversationStore,
    ConversationMessage,
    ConversationSession,
    SQLConversationStore,
    db,
)

__all__ = ["Ours", "OursAsync", "OursDB", "OursTurns"]

USER = "user-1"
_RESUMED = 50


def _message(text: str) -> ConversationMessage:
    return ConversationMessage(role="user", content=text, metadata=METADATA)


def _texts(messages: Sequence[ConversationMessage]) -> list[str | None]:
    return [message.content for message in messages]


class Ours(Contender):
    """The store of the engine, over its sync driver.

    Args:
        options: of the store.
    """

    def __init__(self, place: Place, **options: Any) -> None:
        super().__init__(place)
        self._options = options
        self._cursors: dict[str, str | None] = {}

    def open(self) -> None:
        """Connect and make the tables."""
        self.store = SQLConversationStore(self.place.url, **self._options)
        self.store.connect()

    def session(self, name: str) -> str:
        """Create a session."""
        return self.store.create_session(
            ConversationSession(session_id=name, user_id=USER)
        ).session_id

    def append(self, session: str, text: str) -> None:
        """Add a message."""
        self.store.add_message(session, _message(text))

    def append_many(self, session: str, texts: Sequence[str]) -> None:
        """Add messages in one transaction."""
        self.store.add_messages(session, [_message(text) for text in texts])

    def read(self, session: str) -> list[str | None]:
        """Read all messages."""
        return _texts(self.store.get_messages(session))

    def newest(self, session: str, limit: int) -> list[str | None]:
        """Read the newest messages."""
        return _texts(self.store.get_messages(session, limit))

    def seek(self, session: str, position: int) -> None:
        """Have the cursor of a page, which a reader gets with the page before."""
        before = self.store.page_messages(session, limit=position) if position else None
        self._cursors[session] = before.next_cursor if before else None

    def page(self, session: str, limit: int) -> list[str | None]:
        """Read the page of the cursor."""
        cursor = self._cursors[session]
        return _texts(self.store.page_messages(session, limit=limit, cursor=cursor).messages)

    def turn(self, session: str, texts: Sequence[str]) -> None:
        """Resume; each message is durable before the next one is begun."""
        self._resume(session)
        for text in texts:
            self.append(session, text)

    def _resume(self, session: str) -> None:
        self.store.ensure_session(ConversationSession(session_id=session, user_id=USER))
        self.newest(session, _RESUMED)

    def page_sessions(self) -> int:
        """Read the newest 50 sessions; return how many there were."""
        return len(self.store.page_sessions(limit=50).sessions)

    def durability(self) -> dict[str, Any]:
        """Ask a connection of the store's for SQLite's settings."""
        if self.place.engine != "sqlite":
            return {}
        return self.store.database.run(
            lambda connection, _tables: {
                name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
                for name in ("journal_mode", "synchronous")
            }
        )

    def close(self) -> None:
        """Close the store."""
        self.store.close()


class OursTurns(Ours):
    """As `Ours`, and the messages of a turn are stored in one transaction at its end."""

    def turn(self, session: str, texts: Sequence[str]) -> None:
        """Resume; the messages are durable when the turn has ended."""
        self._resume(session)
        self.append_many(session, texts)


class OursAsync(Contender):
    """The store of the engine, for asyncio.

    Args:
        options: of the store.
    """

    def __init__(self, place: Place, **options: Any) -> None:
        super().__init__(place)
        self._options = options

    async def open(self) -> None:
        """Connect and make the tables."""
        self.store = AsyncSQLConversationStore(self.place.url, **self._options)
        await self.store.connect()

    async def session(self, name: str) -> str:
        """Create a session."""
        made = await self.store.create_session(ConversationSession(session_id=name, user_id=USER))
        return made.session_id

    async def append(self, session: str, text: str) -> None:
        """Add a message."""
        await self.store.add_message(session, _message(text))

    async def append_many(self, session: str, texts: Sequence[str]) -> None:
        """Add messages in one transaction."""
        await self.store.add_messages(session, [_message(text) for text in texts])

    async def read(self, session: str) -> list[str | None]:
        """Read all messages."""
        return _texts(await self.store.get_messages(session))

    async def newest(self, session: str, limit: int) -> list[str | None]:
        """Read the newest messages."""
        return _texts(await self.store.get_messages(session, limit))

    async def turn(self, session: str, texts: Sequence[str]) -> None:
        """Resume; each message is durable before the next one is begun."""
        await self.store.ensure_session(ConversationSession(session_id=session, user_id=USER))
        await self.newest(session, _RESUMED)
        for text in texts:
            await self.append(session, text)

    async def close(self) -> None:
        """Close the store."""
        await self.store.close()


class OursDB(Contender):
    """The adapter that an Agent calls: `db(…).on_user_message`."""

    def open(self) -> None:
        """Connect and make the tables."""
        self.db = db(database_url=self.place.url, strict=True, history_limit=_RESUMED)

    def session(self, name: str) -> str:
        """Begin as an agent does."""
        self.db.on_agent_start("agent-1", name, USER)
        return name

    def append(self, session: str, text: str) -> None:
        """Tell that the user said it."""
        self.db.on_user_message(session, text, METADATA)

    def turn(self, session: str, texts: Sequence[str]) -> None:
        """Resume as an agent does; what is told in the block is stored in one transaction."""
        self.db.on_agent_start("agent-1", session, USER)
        self.fill(session, texts)

    def fill(self, session: str, texts: Sequence[str]) -> None:
        """Tell all of it in one block."""
        with self.db.turn(session):
            for text in texts:
                self.append(session, text)

    def read(self, session: str) -> list[str | None]:
        """Read all messages."""
        return _texts(self.db.get_messages(session))

    def close(self) -> None:
        """Close the adapter."""
        self.db.close()
