"""Sessions of the OpenAI Agents SDK."""

from __future__ import annotations

import importlib
import uuid
from collections.abc import Sequence
from typing import Any

from benchmarks.contenders.base import Contender, Place
from benchmarks.messages import METADATA

__all__ = ["Database", "Memory"]


def _item(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text, "metadata": METADATA}


class _Sessions(Contender):
    """What its sessions have in common: an object each."""

    async def append(self, session: Any, text: str) -> None:
        """Add an item."""
        await session.add_items([_item(text)])

    async def append_many(self, session: Any, texts: Sequence[str]) -> None:
        """Add items at once."""
        await session.add_items([_item(text) for text in texts])

    async def read(self, session: Any) -> list[str]:
        """Get all items."""
        return [item["content"] for item in await session.get_items()]

    async def newest(self, session: Any, limit: int) -> list[str]:
        """Get the newest items."""
        return [item["content"] for item in await session.get_items(limit)]

    async def turn(self, session: Any, texts: Sequence[str]) -> None:
        """Resume; the runner adds the input at the beginning, the rest at the end."""
        await session.get_items(50)
        await self.append_many(session, texts[:1])
        await self.append_many(session, texts[1:])


class Memory(_Sessions):
    """Its sessions of SQLite.

    Args:
        kind: the class.
    """

    def __init__(self, place: Place, kind: str = "SQLiteSession") -> None:
        super().__init__(place)
        self._kind = kind

    def open(self) -> None:
        """Find the class; sessions make the tables."""
        plain = self._kind == "SQLiteSession"
        module = importlib.import_module("agents" if plain else "agents.extensions.memory")
        self._class = getattr(module, self._kind)

    async def session(self, name: str) -> Any:
        """Begin a session: it connects by itself."""
        path = self.place.path
        if self._kind == "AdvancedSQLiteSession":
            return self._class(session_id=name, db_path=path, create_tables=True)
        made = self._class(name, path)
        await made.get_items()
        return made


class Database(_Sessions):
    """Its sessions over SQLAlchemy, all of one engine."""

    def open(self) -> None:
        """Make the engine."""
        self._class = importlib.import_module("agents.extensions.memory").SQLAlchemySession
        driver = {"sqlite": "aiosqlite", "postgresql": "asyncpg"}[self.place.engine]
        create = importlib.import_module("sqlalchemy.ext.asyncio").create_async_engine
        self._engine = create(self.place.with_driver(driver))

    async def session(self, name: str) -> Any:
        """Begin a session; the first one makes the tables."""
        made = self._class(f"{name}-{uuid.uuid4().hex}", engine=self._engine, create_tables=True)
        await made.get_items()
        return made
