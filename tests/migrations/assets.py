"""Databases written by the real praisonai, and what a reader has to find in them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from praison_persist.sql.schema import tables
from praison_persist.sql.url import parse_url

from .databases import SQLITE, Scratch

FOLDER = Path(__file__).parent.parent / "assets" / "legacy"
EXPECTED: dict[str, Any] = json.loads((FOLDER / "expected.json").read_text("utf-8"))
NAMES = sorted(EXPECTED)

SESSION_FIELDS = (
    "session_id",
    "user_id",
    "agent_id",
    "name",
    "state",
    "metadata",
    "created_at",
    "updated_at",
)
MESSAGE_FIELDS = (
    "id",
    "session_id",
    "role",
    "content",
    "tool_calls",
    "tool_call_id",
    "metadata",
    "created_at",
)


def load(name: str, database: Scratch) -> None:
    """Fill an empty database with an asset."""
    if database.kind == SQLITE:
        shutil.copy(FOLDER / name, parse_url(database.url).address)
        return
    statements = (FOLDER / name).read_text("utf-8").split(";\n")
    database.run(*filter(str.strip, statements))


def stored_sessions(database: Scratch, prefix: str) -> dict[str, dict[str, Any]]:
    sessions = tables(prefix).sessions
    columns = [sessions.c[name] for name in SESSION_FIELDS]
    with database.connect() as connection:
        rows = connection.execute(sa.select(*columns)).mappings()
        return {row["session_id"]: dict(row) for row in rows}


def stored_messages(database: Scratch, prefix: str) -> dict[str, list[dict[str, Any]]]:
    """Return the messages of each session by seq, which has to count from 1 without a gap."""
    messages = tables(prefix).messages
    columns = [messages.c[name] for name in MESSAGE_FIELDS]
    query = sa.select(messages.c.seq, *columns).order_by(messages.c.session_id, messages.c.seq)
    found: dict[str, list[dict[str, Any]]] = {}
    with database.connect() as connection:
        for row in connection.execute(query).mappings():
            of_session = found.setdefault(row["session_id"], [])
            of_session.append({name: row[name] for name in MESSAGE_FIELDS})
            assert row["seq"] == len(of_session)
    return found


def last_seqs(database: Scratch, prefix: str) -> dict[str, int]:
    sessions = tables(prefix).sessions
    query = sa.select(sessions.c.session_id, sessions.c.last_seq)
    with database.connect() as connection:
        return {row.session_id: row.last_seq for row in connection.execute(query)}


def expected_sessions(name: str) -> dict[str, dict[str, Any]]:
    return {row["session_id"]: row for row in EXPECTED[name]["sessions"]}


def expected_messages(name: str) -> dict[str, list[dict[str, Any]]]:
    """Return the messages of each session that has any.

    A message may spell its session otherwise, where the old collation held that for equal.
    """
    return {
        key: [{**row, "session_id": key} for row in rows]
        for key, rows in EXPECTED[name]["messages"].items()
        if rows
    }
