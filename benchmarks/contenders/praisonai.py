"""The original: praisonai.persistence and praisonai.db."""

from __future__ import annotations

import importlib
import json
import sqlite3
import time
import uuid
from collections.abc import Sequence
from typing import Any

from benchmarks.contenders.base import Contender, Place
from benchmarks.messages import METADATA

__all__ = ["Adapter", "AsyncStore", "Store"]

_STORES = "praisonai.persistence.conversation"
_COLUMNS = "id, session_id, role, content, tool_calls, tool_call_id, metadata, created_at"


class Store(Contender):
    """Its sync stores; those of servers have a pool of five connections.

    Args:
        kind: "sync": `SyncSQLiteConversationStore`, which connects for each call.
    """

    def __init__(self, place: Place, kind: str | None = None) -> None:
        super().__init__(place)
        self._kind = kind
        self._after = 0.0

    def open(self) -> None:
        """Make the tables."""
        models = importlib.import_module(f"{_STORES}.base")
        self._message, self._session = models.ConversationMessage, models.ConversationSession
        if self.place.engine == "sqlite":
            name = "sync_sqlite" if self._kind else "sqlite"
            module = importlib.import_module(f"{_STORES}.{name}")
            of = f"{'Sync' if self._kind else ''}SQLiteConversationStore"
            self.store = getattr(module, of)(path=str(self.place.path))
            if self._kind:
                self.store.init()
        elif self.place.engine == "postgresql":
            module = importlib.import_module(f"{_STORES}.postgres")
            self.store = module.PostgresConversationStore(url=self.place.url)
        else:
            module = importlib.import_module(f"{_STORES}.mysql")
            self.store = module.MySQLConversationStore(url=self.place.url)

    def session(self, name: str) -> str:
        """Create a session."""
        self.store.create_session(self._session(session_id=name, user_id="user-1"))
        return name

    def append(self, session: str, text: str) -> None:
        """Add a message."""
        self.store.add_message(session, self._message(role="user", content=text, metadata=METADATA))

    def append_many(self, session: str, texts: Sequence[str]) -> None:
        """Add one after the other: it has no method for many."""
        for text in texts:
            self.append(session, text)

    def fill(self, session: str, texts: Sequence[str]) -> None:
        """Write its rows past it, a millisecond apart: at its own pace it would take minutes."""
        rows = [
            (uuid.uuid4().hex, session, "user", text, None, None, json.dumps(METADATA), at)
            for text, at in zip(texts, self._times(len(texts)), strict=True)
        ]
        marks = ", ".join(["?" if self.place.engine == "sqlite" else "%s"] * 8)
        statement = f"INSERT INTO praison_messages ({_COLUMNS}) VALUES ({marks})"
        if self.place.engine == "sqlite":
            with sqlite3.connect(self.place.path) as connection:
                connection.executemany(statement, rows)
            return
        if self.place.engine == "postgresql":
            psycopg = importlib.import_module("psycopg")
            with psycopg.connect(self.place.url) as connection:
                connection.cursor().executemany(statement, rows)
            return
        url = importlib.import_module("urllib.parse").urlsplit(self.place.url)
        connection = importlib.import_module("pymysql").connect(
            host=url.hostname,
            port=url.port or 3306,
            user=url.username,
            password=url.password or "",
            database=url.path.lstrip("/"),
        )
        with connection:
            connection.cursor().executemany(statement, rows)
            connection.commit()

    def _times(self, count: int) -> list[float]:
        begin = max(self._after, time.time() - 1e6)
        self._after = begin + count / 1000
        return [begin + place / 1000 for place in range(count)]

    def read(self, session: str) -> list[str]:
        """Read all messages."""
        return [message.content for message in self.store.get_messages(session)]

    def newest(self, session: str, limit: int) -> list[str]:
        """Read all and keep the newest: its limit keeps the oldest."""
        return self.read(session)[-limit:]

    def seek(self, session: str, position: int) -> None:
        """Find the time of the message before the page."""
        before = self.store.get_messages(session)[:position]
        self._from = before[-1].created_at if before else None

    def page(self, session: str, limit: int) -> list[str]:
        """Read what is later than that."""
        found = self.store.get_messages(session, limit=limit, after=self._from)
        return [message.content for message in found]

    def turn(self, session: str, texts: Sequence[str]) -> None:
        """Resume, and add each message."""
        self.store.get_session(session)
        self.newest(session, 50)
        for text in texts:
            self.append(session, text)

    def close(self) -> None:
        """Close the store."""
        self.store.close()


class AsyncStore(Contender):
    """Its asyncio stores. Their methods may have a prefix "async_"."""

    async def open(self) -> None:
        """Make the tables."""
        models = importlib.import_module(f"{_STORES}.base")
        self._message, self._session = models.ConversationMessage, models.ConversationSession
        engine = self.place.engine
        name = {"sqlite": "sqlite", "postgresql": "postgres", "mariadb": "mysql"}[engine]
        module = importlib.import_module(f"{_STORES}.async_{name}")
        if engine == "sqlite":
            self.store = module.AsyncSQLiteConversationStore(path=str(self.place.path))
        elif engine == "postgresql":
            self.store = module.AsyncPostgresConversationStore(url=self.place.url)
        else:
            self.store = module.AsyncMySQLConversationStore(url=self.place.url)
        await self.store.init()
        self._add = self._method("add_message")
        self._all = self._method("get_messages")

    def _method(self, name: str) -> Any:
        return getattr(self.store, f"async_{name}", None) or getattr(self.store, name)

    async def session(self, name: str) -> str:
        """Create a session."""
        new = self._session(session_id=name, user_id="user-1")
        await self._method("create_session")(new)
        return name

    async def append(self, session: str, text: str) -> None:
        """Add a message."""
        await self._add(session, self._message(role="user", content=text, metadata=METADATA))

    async def read(self, session: str) -> list[str]:
        """Read all messages."""
        return [message.content for message in await self._all(session)]

    async def newest(self, session: str, limit: int) -> list[str]:
        """Read all and keep the newest: its limit keeps the oldest."""
        return (await self.read(session))[-limit:]

    async def turn(self, session: str, texts: Sequence[str]) -> None:
        """Resume, and add each message."""
        await self._method("get_session")(session)
        await self.read(session)
        for text in texts:
            await self.append(session, text)

    async def fill(self, session: str, texts: Sequence[str]) -> None:
        """Add one after the other."""
        for text in texts:
            await self.append(session, text)

    async def close(self) -> None:
        """Close the store."""
        await self._method("close")()


class Adapter(Contender):
    """What an agent calls: `PraisonAIDB.on_user_message`."""

    def open(self) -> None:
        """Make the tables. Its URLs of SQLite know no absolute path, a bare path may be one."""
        url = str(self.place.path) if self.place.engine == "sqlite" else self.place.url
        self._db = importlib.import_module("praisonai.db.adapter").PraisonAIDB(database_url=url)

    def session(self, name: str) -> str:
        """Begin as an agent does."""
        self._db.on_agent_start("agent-1", name, user_id="user-1")
        return name

    def append(self, session: str, text: str) -> None:
        """Tell that the user said it."""
        self._db.on_user_message(session, text, METADATA)

    def read(self, session: str) -> list[str]:
        """Read all messages."""
        found = self._db.on_agent_start("agent-1", session, user_id="user-1")
        return [message.content for message in found]

    def close(self) -> None:
        """Close the adapter."""
        self._db.close()
