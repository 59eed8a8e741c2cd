"""Session services of Google's Agent Development Kit."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

from benchmarks.contenders.base import Contender, Place
from benchmarks.messages import METADATA

__all__ = ["Events"]

_APP, _USER = "app", "user-1"
_DRIVERS = {"sqlite": "aiosqlite", "postgresql": "asyncpg", "mariadb": "aiomysql"}


class Events(Contender):
    """`DatabaseSessionService`, or `SqliteSessionService`.

    Args:
        kind: "sqlite" for the latter.
    """

    def __init__(self, place: Place, kind: str = "database") -> None:
        super().__init__(place)
        self._kind = kind

    async def open(self) -> None:
        """Make the service; it makes its tables at the first session."""
        self._event = importlib.import_module("google.adk.events").Event
        self._types = importlib.import_module("google.genai.types")
        base = importlib.import_module("google.adk.sessions.base_session_service")
        self._config = base.GetSessionConfig
        if self._kind == "sqlite":
            module = importlib.import_module("google.adk.sessions.sqlite_session_service")
            self._service = module.SqliteSessionService(db_path=str(self.place.path))
        else:
            module = importlib.import_module("google.adk.sessions")
            url = self.place.with_driver(_DRIVERS[self.place.engine])
            self._service = module.DatabaseSessionService(db_url=url)

    async def session(self, name: str) -> Any:
        """Create a session."""
        return await self._service.create_session(app_name=_APP, user_id=_USER, session_id=name)

    async def append(self, session: Any, text: str) -> None:
        """Append an event. The object is emptied: what it keeps in memory is not measured."""
        part = self._types.Part(text=text)
        event = self._event(
            author="user",
            invocation_id="invocation-1",
            content=self._types.Content(role="user", parts=[part]),
            custom_metadata=METADATA,
        )
        await self._service.append_event(session, event)
        session.events.clear()

    async def append_many(self, session: Any, texts: Sequence[str]) -> None:
        """Append one after the other: it has no method for many."""
        for text in texts:
            await self.append(session, text)

    async def read(self, session: Any) -> list[str]:
        """Get the session with all events."""
        return await self._texts(session, None)

    async def newest(self, session: Any, limit: int) -> list[str]:
        """Get the session with the newest events."""
        return await self._texts(session, self._config(num_recent_events=limit))

    async def _texts(self, session: Any, config: Any) -> list[str]:
        found = await self._service.get_session(
            app_name=_APP, user_id=_USER, session_id=session.id, config=config
        )
        return [event.content.parts[0].text for event in found.events]

    async def turn(self, session: Any, texts: Sequence[str]) -> None:
        """Resume, and append each event."""
        config = self._config(num_recent_events=50)
        resumed = await self._service.get_session(
            app_name=_APP, user_id=_USER, session_id=session.id, config=config
        )
        for text in texts:
            await self.append(resumed, text)
        session.last_update_time = resumed.last_update_time
