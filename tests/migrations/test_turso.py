"""Migrations on a libSQL server: SQLite's, over a connection that is not a file's."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from praison_persist.errors import SchemaError
from praison_persist.sql import migrate
from praison_persist.sql.stores import SQLConversationStore
from tests.forking import context
from tests.services.sqld import sqld

from . import releases
from .assets import FOLDER, expected_messages, expected_sessions, stored_messages, stored_sessions
from .databases import Scratch

OLD = "sqlite-4.7.19.db"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Scratch]:
    """An empty database on a server."""
    with sqld(tmp_path / "sqld") as server:
        yield Scratch("libsql", server.url)


def test_up_and_down_leave_no_difference(server: Scratch) -> None:
    migrate.upgrade(server.url)
    assert migrate.check(server.url) == []
    assert migrate.current(server.url) == migrate.HEAD
    migrate.downgrade(server.url, revision="base")
    assert migrate.current(server.url) is None
    with SQLConversationStore(server.url) as store:
        store.connect()
    assert migrate.check(server.url) == []


def test_a_later_revision_is_reached_and_left(server: Scratch) -> None:
    migrate.upgrade(server.url)
    releases.upgrade(server.url)
    assert migrate.current(server.url) == releases.LATER
    releases.downgrade(server.url, migrate.HEAD)
    assert migrate.check(server.url) == []


def test_processes_that_come_first_at_once_all_succeed(server: Scratch) -> None:
    with context.Pool(2) as pool:
        prefixes = [f"p{number}_" for number in range(3)] * 2
        pool.starmap(_upgrade, [(server.url, prefix) for prefix in prefixes], 1)
    for prefix in prefixes:
        assert migrate.check(server.url, table_prefix=prefix) == []


def _upgrade(url: str, prefix: str) -> None:
    migrate.upgrade(url, table_prefix=prefix)


def test_tables_of_praisonai_are_adopted_whole(server: Scratch) -> None:
    """Foreign keys are enforced: a table that is made anew would take the rows of another along."""
    old = sqlite3.connect(FOLDER / OLD)
    statements = [text for text in old.iterdump() if text.startswith(("CREATE", "INSERT"))]
    old.close()
    # Sessions before the messages that refer to them.
    statements.sort(key=lambda text: (not text.startswith("CREATE TABLE"), "messages" in text[:40]))
    with server.connect() as connection:
        for text in statements:
            connection.exec_driver_sql(text)
    with SQLConversationStore(server.url) as store, pytest.raises(SchemaError, match="adopt"):
        store.connect()
    migrate.upgrade(server.url)
    assert migrate.check(server.url) == []
    assert stored_sessions(server, "praison_") == expected_sessions(OLD)
    assert stored_messages(server, "praison_") == expected_messages(OLD)
