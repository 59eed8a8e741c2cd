"""Cold starts: a new process stores one message where the tables are, and ends."""

from __future__ import annotations

import statistics
import subprocess
import time

from benchmarks.contenders import CONTENDERS
from benchmarks.databases import database
from benchmarks.process import ROOT, NotInstalledError, environment_of, interpreter
from benchmarks.results import Measurement
from benchmarks.team import Team

__all__ = ["PROGRAMS", "run"]

_LIMIT_S = 60
# Not ru_maxrss: that begins with the size of the process that was forked.
_PEAK = """
for line in open("/proc/self/status"):
    if line.startswith("VmHWM"):
        print(line.split()[1])
"""

PROGRAMS = {
    "sqlite3": """
import sqlite3
connection = sqlite3.connect({path!r})
connection.execute("CREATE TABLE IF NOT EXISTS messages (session TEXT, content TEXT)")
connection.execute("INSERT INTO messages VALUES (?, ?)", ({session!r}, "hello"))
connection.commit()
""",
    "ours": """
from praison_persist import ConversationMessage, ConversationSession, SQLConversationStore
store = SQLConversationStore({path!r})
store.create_session(ConversationSession(session_id={session!r}))
store.add_message({session!r}, ConversationMessage(role="user", content="hello"))
store.close()
""",
    "ours-db": """
from praison_persist import db
store = db(database_url={path!r})
store.on_agent_start("agent", {session!r})
store.on_user_message({session!r}, "hello")
store.close()
""",
    "praisonai": """
from praisonai.persistence.conversation.base import ConversationMessage, ConversationSession
from praisonai.persistence.conversation.sqlite import SQLiteConversationStore
store = SQLiteConversationStore(path={path!r})
store.create_session(ConversationSession(session_id={session!r}))
store.add_message({session!r}, ConversationMessage(role="user", content="hello"))
store.close()
""",
    "praisonai-db": """
from praisonai.db.adapter import PraisonAIDB
store = PraisonAIDB(database_url={path!r})
store.on_agent_start("agent", {session!r})
store.on_user_message({session!r}, "hello")
store.close()
""",
    "openai": """
import asyncio
from agents import SQLiteSession
session = SQLiteSession({session!r}, {path!r})
asyncio.run(session.add_items([{{"role": "user", "content": "hello"}}]))
""",
    "adk": """
import asyncio
from google.adk.events import Event
from google.adk.sessions import DatabaseSessionService
from google.genai import types
async def main():
    service = DatabaseSessionService(db_url="sqlite+aiosqlite:///" + {path!r})
    session = await service.create_session(app_name="app", user_id="user", session_id={session!r})
    content = types.Content(role="user", parts=[types.Part(text="hello")])
    await service.append_event(session, Event(author="user", invocation_id="i", content=content))
asyncio.run(main())
""",
    "langchain": """
from langchain_community.chat_message_histories import SQLChatMessageHistory
SQLChatMessageHistory({session!r}, connection="sqlite:///" + {path!r}).add_user_message("hello")
""",
    "agno": """
import time
from agno.db.sqlite import SqliteDb
from agno.session.agent import AgentSession
from agno.run.agent import RunOutput
db = SqliteDb(db_file={path!r})
db.upsert_session(AgentSession(session_id={session!r}, created_at=int(time.time())))
db.upsert_run(RunOutput(run_id={session!r}), session_id={session!r})
""",
}
"""Who starts, to its program."""

_IMPORTS = {"python": "pass", "import": "import praison_persist"}


def run(team: Team) -> None:
    """Start each in turn, as often as the form says, after a first time that makes the tables."""
    programs = [*_IMPORTS, *filter(team.wanted, PROGRAMS)]
    took: dict[str, list[float]] = {name: [] for name in programs}
    peaks: dict[str, list[float]] = {name: [] for name in programs}
    with database(team.engine, team.folder) as place:
        for number in range(team.form.starts + 1):
            for name in list(programs):
                path = f"{place.path}-{name}.db"
                try:
                    seconds, peak = _started(name, path, f"session-{number}")
                except (NotInstalledError, subprocess.SubprocessError) as error:
                    told = str(getattr(error, "stderr", None) or error)
                    team.failed("start", name, NotInstalledError(told))
                    programs.remove(name)
                    continue
                if number:
                    took[name].append(seconds)
                    peaks[name].append(peak)
    for name in programs:
        ratios = [
            mine / theirs
            for mine, theirs in zip(took[name], took.get("praisonai", []), strict=False)
        ]
        with_baseline = name not in _IMPORTS and name != "praisonai" and bool(ratios)
        team.results.measurements += [
            Measurement(
                "start",
                team.engine,
                name,
                "ms",
                statistics.median(took[name]) * 1e3,
                baseline="praisonai" if with_baseline else None,
                ratio=statistics.median(ratios) if with_baseline else None,
                rounds=len(took[name]),
            ),
            Measurement("start", team.engine, name, "MB", statistics.median(peaks[name]) / 1024),
        ]


def _started(name: str, path: str, session: str) -> tuple[float, float]:
    """Return the seconds that a process took, and its greatest memory in KiB."""
    template = _IMPORTS.get(name) or PROGRAMS[name].format(path=path, session=session)
    environment = "ours" if name in _IMPORTS else CONTENDERS[name].environment
    command = [str(interpreter(environment)), "-c", template + _PEAK]
    start = time.perf_counter()
    ended = subprocess.run(
        command,
        check=True,
        capture_output=True,
        text=True,
        env=environment_of(),
        cwd=ROOT,
        timeout=_LIMIT_S,
    )
    seconds = time.perf_counter() - start
    return seconds, float(ended.stdout.split()[-1])
