"""Migrations where every statement is a transaction and the lock is a row."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from alembic.util import CommandError

from praison_persist.errors import SchemaError, UnavailableError
from praison_persist.sql import exclusive, locks, migrate
from praison_persist.sql.options import SQLOptions
from praison_persist.sql.schema import tables
from praison_persist.sql.stores import SQLConversationStore
from praison_persist.sql.url import parse_url
from tests import servers
from tests.services.cockroach import RETRY, Cockroach

from . import releases
from .assets import FOLDER
from .catalog import catalog
from .databases import Scratch
from .test_interrupted import Died, dying_at
from .test_offline import feed

DATABASE_DIED = "57P01", "server is shutting down"


@pytest.fixture
def cockroach() -> Iterator[Cockroach]:
    """A stand-in for CockroachDB with an empty database."""
    with servers.scratch(servers.COCKROACHDB) as url, Cockroach(url) as server:
        yield server


@pytest.fixture
def database(cockroach: Cockroach) -> Scratch:
    return Scratch(servers.POSTGRESQL, cockroach.url)


def names(url: str) -> set[str]:
    found = servers.administer(
        url, "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
    )
    return {name for (name,) in found}


@pytest.mark.parametrize("schema", [None, "agents"])
def test_up_down_up(cockroach: Cockroach, schema: str | None) -> None:
    for _ in range(2):
        migrate.upgrade(cockroach.url, schema=schema)
        assert migrate.check(cockroach.url, schema=schema) == []
        migrate.downgrade(cockroach.url, revision="base", schema=schema)
        assert migrate.current(cockroach.url, schema=schema) is None


def test_over_asyncpg_alone(cockroach: Cockroach, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where psycopg is not installed."""
    target = parse_url(cockroach.url)
    monkeypatch.setattr(exclusive, "_driver", lambda _target: target.driver(is_async=True))
    migrate.upgrade(cockroach.url)
    assert migrate.check(cockroach.url) == []


def test_a_difference_is_found(cockroach: Cockroach) -> None:
    """A check that reflects nothing finds nothing."""
    migrate.upgrade(cockroach.url)
    servers.administer(
        cockroach.url,
        "ALTER TABLE praison_spans DROP COLUMN events",
        "DROP INDEX ix_praison_spans_id",
        "ALTER TABLE praison_state ALTER COLUMN value TYPE VARCHAR(9)",
        "ALTER TABLE praison_messages DROP CONSTRAINT uq_praison_messages_id",
        "ALTER TABLE praison_messages DROP CONSTRAINT praison_messages_session_id_fkey",
        "ALTER TABLE praison_sessions ALTER COLUMN version SET DEFAULT 7",
        "ALTER TABLE praison_runs ALTER COLUMN status DROP NOT NULL",
    )
    found = "\n".join(migrate.check(cockroach.url))
    for kind in ("add_column", "add_index", "add_constraint", "add_fk"):
        assert kind in found
    for kind in ("modify_type", "modify_default", "modify_nullable"):
        assert kind in found


def test_the_script_makes_what_an_upgrade_makes(database: Scratch, cockroach: Cockroach) -> None:
    script = migrate.offline_sql(url=cockroach.url, schema="agents")
    assert script == migrate.offline_sql(dialect="cockroachdb", schema="agents")
    assert "BEGIN" not in script
    feed(script, database)
    assert migrate.check(cockroach.url, schema="agents") == []


def test_a_later_revision_can_be_run_again(cockroach: Cockroach) -> None:
    """Its index is built beside writers without being asked to."""
    migrate.upgrade(cockroach.url)
    cockroach.refuse("CREATE INDEX", DATABASE_DIED)
    with pytest.raises(CommandError):
        releases.upgrade(cockroach.url)
    releases.upgrade(cockroach.url)
    releases.downgrade(cockroach.url, migrate.HEAD)
    assert migrate.check(cockroach.url) == []


def test_a_half_done_creation_is_completed(cockroach: Cockroach) -> None:
    """Nothing is undone: each statement is committed for itself."""
    number, died = 0, True
    while died:
        prefix = f"n{number}_"
        with dying_at(number):
            try:
                migrate.upgrade(cockroach.url, table_prefix=prefix)
                died = False
            except Died:
                pass
        migrate.ensure(parse_url(cockroach.url), SQLOptions(table_prefix=prefix))
        assert migrate.check(cockroach.url, table_prefix=prefix) == []
        number += 3
    assert number > 12


@pytest.mark.parametrize("beginning", ["CREATE TABLE praison_m", "INSERT INTO", "CREATE INDEX"])
def test_a_lost_conflict_does_not_end_an_upgrade(cockroach: Cockroach, beginning: str) -> None:
    """Another client changes the schema at the same moment."""
    cockroach.refuse(beginning, RETRY)
    migrate.upgrade(cockroach.url)
    assert migrate.check(cockroach.url) == []


def test_a_lost_server_ends_it_and_it_can_be_run_again(cockroach: Cockroach) -> None:
    cockroach.refuse("CREATE TABLE praison_runs", DATABASE_DIED)
    with pytest.raises(UnavailableError):
        migrate.upgrade(cockroach.url)
    assert "praison_messages" in names(cockroach.url)
    migrate.upgrade(cockroach.url)
    assert migrate.check(cockroach.url) == []


def test_all_that_upgrade_at_once_succeed(cockroach: Cockroach) -> None:
    """They hold the lock one after the other, though Alembic lets threads in one by one anyway."""
    began, holders, most = threading.Barrier(6), 0, 0
    target, ours = parse_url(cockroach.url), tables()
    failed: list[BaseException] = []

    def work(connection: sa.Connection) -> None:
        nonlocal holders, most
        holders += 1
        most = max(most, holders)
        connection.scalar(sa.select(sa.func.pg_sleep(0.05)))
        holders -= 1

    def upgrade() -> None:
        began.wait(60)
        try:
            exclusive.run_alone(target, ours, work)
            migrate.upgrade(cockroach.url)
        except BaseException as error:  # noqa: BLE001 - reported below
            failed.append(error)

    threads = [threading.Thread(target=upgrade) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert most == 1
    assert migrate.check(cockroach.url) == []


KILLED = """
import os, signal, sys
import sqlalchemy as sa
from praison_persist.sql import migrate

def kill(connection, cursor, statement, *rest):
    if "CREATE TABLE praison_runs" in statement:
        os.kill(os.getpid(), signal.SIGKILL)

sa.event.listen(sa.Engine, "before_cursor_execute", kill)
migrate.upgrade(sys.argv[1])
"""


def test_a_killed_process_leaves_no_lock(cockroach: Cockroach) -> None:
    """Its row would have to be deleted by hand."""
    environment = {**os.environ, "PYTHONPATH": ":".join(path for path in sys.path if path)}
    ended = subprocess.run(
        [sys.executable, "-c", KILLED, cockroach.url], env=environment, check=False
    )
    assert ended.returncode == -signal.SIGKILL
    migrate.upgrade(cockroach.url)
    assert migrate.check(cockroach.url) == []


def test_who_waits_too_long_is_told_why(
    cockroach: Cockroach, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "LOCK_WAIT_S", 1)
    holding, done = threading.Event(), threading.Event()
    target, ours = parse_url(cockroach.url), tables()

    def hold(_connection: sa.Connection) -> None:
        holding.set()
        done.wait(60)

    holder = threading.Thread(target=exclusive.run_alone, args=(target, ours, hold))
    holder.start()
    try:
        assert holding.wait(60)
        with pytest.raises(UnavailableError, match="cluster_locks"):
            migrate.upgrade(cockroach.url)
    finally:
        done.set()
        holder.join()


def test_without_auto_migrate_nothing_is_made(cockroach: Cockroach) -> None:
    """The lock would be a table, and the user may not make one."""
    with pytest.raises(SchemaError, match="auto_migrate is off"):
        migrate.ensure(parse_url(cockroach.url), SQLOptions(auto_migrate=False))
    assert names(cockroach.url) == set()
    migrate.upgrade(cockroach.url)
    migrate.ensure(parse_url(cockroach.url), SQLOptions(auto_migrate=False))


def test_tables_of_praisonai_are_left_alone(database: Scratch, cockroach: Cockroach) -> None:
    """An adoption that fails half-way cannot be taken back."""
    script = (FOLDER / "postgres-4.7.19.sql").read_text("utf-8").split(";\n")
    servers.administer(cockroach.url, *filter(str.strip, script))
    before = catalog(database)
    with pytest.raises(SchemaError, match="cannot be adopted"):
        migrate.upgrade(cockroach.url)
    after = catalog(database)
    assert all(set(rows) <= set(after[kind]) for kind, rows in before.items())
    with (
        SQLConversationStore(cockroach.url) as store,
        pytest.raises(SchemaError, match="another table_prefix"),
    ):
        store.connect()
    migrate.upgrade(cockroach.url, table_prefix="mine_")
    assert migrate.check(cockroach.url, table_prefix="mine_") == []
