"""agno's databases: its unit is a run, here of one message, beside its session."""

from __future__ import annotations

import importlib
import time
import uuid
from typing import Any

from benchmarks.contenders.base import Contender
from benchmarks.messages import METADATA

__all__ = ["Runs"]


class Runs(Contender):
    """`SqliteDb` or `PostgresDb`."""

    def open(self) -> None:
        """Make the database; it makes its tables at the first session."""
        if self.place.engine == "sqlite":
            module = importlib.import_module("agno.db.sqlite")
            self._db = module.SqliteDb(db_file=str(self.place.path))
        else:
            module = importlib.import_module("agno.db.postgres")
            self._db = module.PostgresDb(db_url=self.place.with_driver("psycopg"))
        self._session = importlib.import_module("agno.session.agent").AgentSession
        self._run = importlib.import_module("agno.run.agent").RunOutput
        self._message = importlib.import_module("agno.models.message").Message
        self._type = importlib.import_module("agno.db.base").SessionType
        self._counts: dict[str, int] = {}

    def session(self, name: str) -> Any:
        """Create a session."""
        made = self._session(
            session_id=name,
            user_id="user-1",
            agent_id="agent-1",
            session_data={},
            metadata={},
            created_at=int(time.time()),
            runs=[],
        )
        self._db.upsert_session(made)
        return made

    def append(self, session: Any, text: str) -> None:
        """Store a run and touch the session."""
        key = session.session_id
        place = self._counts[key] = self._counts.get(key, 0) + 1
        run = self._run(
            run_id=str(uuid.uuid4()),
            agent_id="agent-1",
            session_id=key,
            user_id="user-1",
            messages=[self._message(role="user", content=text)],
            metadata=METADATA,
        )
        self._db.upsert_session(session)
        self._db.upsert_run(run, session_id=key, user_id="user-1", run_index=place)

    def read(self, session: Any) -> list[str]:
        """Get the session with its runs."""
        found = self._db.get_session(
            session.session_id, session_type=self._type.AGENT, user_id="user-1"
        )
        return [run.messages[0].content for run in found.runs or []]
