"""A later release's revision, run while this release reads and writes."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from alembic.util import CommandError

from praison_persist.errors import SchemaError
from praison_persist.models import ConversationSession
from praison_persist.sql import migrate
from praison_persist.sql.schema import tables
from praison_persist.sql.stores import SQLConversationStore
from tests.writer import Writer, let_write

from . import releases
from .catalog import catalog
from .databases import SQLITE, Scratch
from .test_offline import feed


def test_each_step_of_the_chain_can_be_taken_back(database: Scratch) -> None:
    """Up, down and up again, revision by revision: what one adds, it takes away."""
    seen: list[Any] = []
    for revision in (migrate.HEAD, releases.LATER):
        before = "base" if not seen else migrate.HEAD
        releases.upgrade(database.url, revision)
        there = catalog(database)
        releases.downgrade(database.url, before)
        if seen:
            assert catalog(database) == seen[-1]
        releases.upgrade(database.url, revision)
        assert catalog(database) == there
        seen.append(there)
    assert seen[0] != seen[1]


@contextmanager
def _conversation(url: str) -> Iterator[None]:
    """Let processes of this release append to a session, and a thread read it, all the while."""
    writers = [Writer(url, "s", colour, 1_000_000, colour) for colour in ("sync", "async")]
    over = threading.Event()
    wrong: list[object] = []
    acknowledged: dict[str, list[str]] = {}

    def read() -> None:
        seen: list[str] = []
        with SQLConversationStore(url) as store:
            while not over.is_set():
                try:
                    now = [message.id for message in store.get_messages("s")]
                except Exception as error:  # noqa: BLE001 - reported below, whatever it is
                    wrong.append(error)
                    return
                if now[: len(seen)] != seen:
                    wrong.append(f"{seen[-3:]} was followed by {now[-3:]}")
                seen = now

    reader = threading.Thread(target=read)
    try:
        let_write(writers)
        reader.start()
        for name, writer in zip(("sync", "async"), writers, strict=True):
            acknowledged[name] = _next(writer, 20)
        yield
        for name, writer in zip(("sync", "async"), writers, strict=True):
            acknowledged[name] += _next(writer, 20)
    finally:
        over.set()
        for writer in writers:
            writer.kill()
        rest = [writer.end() for writer in writers]
        reader.join()
    assert wrong == []
    with SQLConversationStore(url, auto_migrate=False) as store:
        stored = [message.id for message in store.get_messages("s")]
    for (name, ids), more in zip(acknowledged.items(), rest, strict=True):
        of_this = [key for key in stored if key.startswith(f"{name}/")]
        # One whose acknowledgement the kill cut off may be there as well.
        assert of_this[: len(ids) + len(more)] == ids + more
        assert len(of_this) <= len(ids) + len(more) + 1


def _next(writer: Writer, count: int) -> list[str]:
    """Return the next acknowledged ids, which shows that it goes on."""
    ids = [writer.next() for _ in range(count)]
    return [key for key in ids if key is not None]


def test_the_running_release_survives_the_revision_of_the_next(database: Scratch) -> None:
    """Old and new processes run side by side while a deployment rolls."""
    with SQLConversationStore(database.url) as store:
        store.create_session(ConversationSession("s"))
    with _conversation(database.url):
        releases.upgrade(database.url)
        assert migrate.current(database.url) == releases.LATER
        releases.downgrade(database.url, migrate.HEAD)


def test_a_release_that_starts_on_the_tables_of_a_later_one_is_refused(database: Scratch) -> None:
    releases.upgrade(database.url)
    with (
        SQLConversationStore(database.url) as store,
        pytest.raises(SchemaError, match="does not know"),
    ):
        store.create_session(ConversationSession("s"))


def _upgrade(url: str, barrier: Any) -> None:
    barrier.wait(120)
    releases.upgrade(url)


def test_processes_that_build_an_index_wait_for_each_other(database: Scratch) -> None:
    """PostgreSQL's build waits for every snapshot, that of a statement that waits included."""
    migrate.upgrade(database.url)
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(4)
    processes = [
        context.Process(target=_upgrade, args=(database.url, barrier), daemon=True)
        for _ in range(4)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0] * 4
    assert migrate.current(database.url) == releases.LATER


_TRANSACTIONS = """
SELECT xact_start FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE '%advisory%'
"""


def test_who_waits_for_the_lock_ends_its_transactions(postgresql: Scratch) -> None:
    """A build waits for a transaction that once had a snapshot while it looked, until its end."""
    migrate.upgrade(postgresql.url)
    seen: set[object] = set()

    def hold(_connection: object) -> None:
        waiting = threading.Thread(
            target=lambda: migrate.exclusively(postgresql.url, tables(), lambda _: None)
        )
        waiting.start()
        deadline = time.monotonic() + 30
        while len(seen) < 3 and time.monotonic() < deadline:
            seen.update(row for row in postgresql.rows(_TRANSACTIONS) if row != (None,))
            time.sleep(0.01)
        done.append(waiting)

    done: list[threading.Thread] = []
    migrate.exclusively(postgresql.url, tables(), hold)
    done[0].join(60)
    assert len(seen) >= 3


_WAITS = """
SELECT pid FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE 'CREATE INDEX%'
"""
_VALID = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'ix_praison_messages_role'::regclass"


def test_what_an_interrupted_build_left_is_replaced(postgresql: Scratch) -> None:
    migrate.upgrade(postgresql.url)
    # The revision's other statement would wait for the application, and never come to the build.
    postgresql.run("ALTER TABLE praison_messages ADD COLUMN tenant VARCHAR(36)")
    failed: list[BaseException] = []

    def build() -> None:
        try:
            releases.upgrade(postgresql.url)
        except CommandError as error:
            failed.append(error)

    building = threading.Thread(target=build)
    with postgresql.engine().connect() as application:
        application.exec_driver_sql("UPDATE praison_messages SET role = 'user'")
        building.start()
        deadline = time.monotonic() + 60
        while not (waiting := postgresql.rows(_WAITS)):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        postgresql.rows(f"SELECT pg_cancel_backend({waiting[0][0]})")
        building.join()
    assert "user request" in str(failed[0])
    assert postgresql.rows(_VALID) == [(False,)]
    assert migrate.current(postgresql.url) == migrate.HEAD
    releases.upgrade(postgresql.url)
    assert postgresql.rows(_VALID) == [(True,)]


def test_the_script_builds_it_outside_a_transaction(database: Scratch) -> None:
    migrate.upgrade(database.url)
    script = releases.script(database.url)
    feed(script, database)
    assert migrate.current(database.url) == releases.LATER
    if database.kind == SQLITE:
        return
    lines = [line for line in script.splitlines() if line and not line.startswith("--")]
    built = next(number for number, line in enumerate(lines) if "CREATE INDEX" in line)
    assert ("CONCURRENTLY" in lines[built]) == (lines[built - 1] == "COMMIT;")
