"""An upgrade that dies at any statement: undone where DDL is transactional, else completed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from praison_persist.errors import SchemaError
from praison_persist.sql import migrate
from praison_persist.sql.options import SQLOptions
from praison_persist.sql.url import parse_url

from .assets import expected_messages, expected_sessions, load, stored_messages, stored_sessions
from .catalog import catalog
from .databases import MARIADB, POSTGRESQL, SQLITE, Scratch, scratch

OLD = {
    SQLITE: "async_sqlite-4.6.34-orphans.db",
    POSTGRESQL: "async_postgres-4.6.34.sql",
    MARIADB: "async_mysql-4.6.34.sql",
}
PREFIX = "praisonai_"
READING = ("select", "show", "pragma", "set", "begin", "describe")


class Died(BaseException):
    """Nothing handles it, as nothing handles a kill."""


@contextmanager
def dying_at(statement_number: int) -> Iterator[list[str]]:
    """Die before the given writing statement; yield those that were executed."""
    seen: list[str] = []

    def count(*arguments: Any) -> None:
        words = arguments[2].strip()
        if words.lower().startswith(READING):
            return
        if len(seen) == statement_number:
            raise Died
        seen.append(words)

    event.listen(sa.Engine, "before_cursor_execute", count)
    try:
        yield seen
    finally:
        event.remove(sa.Engine, "before_cursor_execute", count)


def upgrade_dies_at(number: int, database: Scratch) -> bool:
    """Whether it died; it did not when it has fewer statements."""
    with dying_at(number):
        try:
            migrate.upgrade(database.url, table_prefix=PREFIX)
        except Died:
            return True
    return False


@pytest.mark.parametrize("legacy", [False, True], ids=["creation", "adoption"])
@pytest.mark.parametrize("kind", [SQLITE, POSTGRESQL])
def test_where_ddl_is_transactional_nothing_has_happened(
    kind: str, legacy: bool, request: pytest.FixtureRequest
) -> None:
    database: Scratch = request.getfixturevalue(kind)
    if legacy:
        load(OLD[kind], database)
    before, number = catalog(database), 0
    rows = f"SELECT * FROM {PREFIX}messages ORDER BY id"
    messages = database.rows(rows) if legacy else []
    while upgrade_dies_at(number, database):
        assert catalog(database) == before
        assert (database.rows(rows) if legacy else []) == messages
        number += 1
    assert number > 10
    assert migrate.check(database.url, table_prefix=PREFIX) == []


def test_mariadb_completes_a_half_done_creation(tmp_path: Path) -> None:
    """A store's first use completes it as well as the command: nothing of others is touched."""
    number, died = 0, True
    while died:
        with scratch(MARIADB, tmp_path) as database:
            died = upgrade_dies_at(number, database)
            migrate.ensure(parse_url(database.url), SQLOptions(table_prefix=PREFIX))
            assert migrate.check(database.url, table_prefix=PREFIX) == []
        number += 1
    assert number > 10


@pytest.mark.parametrize(
    ("name", "step"), [("mysql-4.7.19-spellings.sql", 3), ("async_mysql-4.7.19-latin1.sql", 4)]
)
def test_mariadb_completes_a_half_done_adoption(name: str, step: int, tmp_path: Path) -> None:
    number, adopting = 0, True
    with scratch(MARIADB, tmp_path) as fresh:
        migrate.upgrade(fresh.url)
        final = catalog(fresh)
    while adopting:
        with scratch(MARIADB, tmp_path) as database:
            load(name, database)
            with dying_at(number) as seen, pytest.raises(Died):
                migrate.upgrade(database.url)
            migrate.adopt_report(database.url)
            migrate.upgrade(database.url)
            assert catalog(database) == final, seen
            assert stored_sessions(database, "praison_") == expected_sessions(name)
            assert stored_messages(database, "praison_") == expected_messages(name)
        number += step
        adopting = not any("CREATE TABLE praison_runs" in one for one in seen)
    assert number > 10


KILLED = """
import os, signal, sys
import sqlalchemy as sa
from praison_persist.sql import migrate

def kill(connection, cursor, statement, *rest):
    if "ADD UNIQUE" in statement or "ADD CONSTRAINT" in statement:
        os.kill(os.getpid(), signal.SIGKILL)

sa.event.listen(sa.Engine, "before_cursor_execute", kill)
migrate.upgrade(sys.argv[1], table_prefix="praisonai_")
"""


def test_a_killed_process_leaves_no_lock(database: Scratch) -> None:
    load(OLD[database.kind], database)
    program = KILLED if database.kind != SQLITE else KILLED.replace("ADD UNIQUE", "DROP TABLE")
    environment = {**os.environ, "PYTHONPATH": ":".join(path for path in sys.path if path)}
    ended = subprocess.run(
        [sys.executable, "-c", program, database.url], env=environment, check=False
    )
    assert ended.returncode == -signal.SIGKILL
    if database.is_transactional:
        with pytest.raises(SchemaError):
            migrate.check(database.url, table_prefix=PREFIX)
    migrate.upgrade(database.url, table_prefix=PREFIX)
    assert migrate.check(database.url, table_prefix=PREFIX) == []
