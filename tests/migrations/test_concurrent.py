"""Several processes that upgrade the same tables at the same moment."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from praison_persist.sql import migrate
from praison_persist.sql.database import Database
from praison_persist.sql.options import SQLOptions
from praison_persist.sql.url import parse_url
from tests.forking import context

from .assets import expected_messages, load, stored_messages
from .databases import MARIADB, POSTGRESQL, SQLITE, Scratch

if TYPE_CHECKING:
    from multiprocessing.synchronize import Barrier

PROCESSES, ROUNDS = 4, 3
OLD = {
    SQLITE: "sqlite-4.7.19.db",
    POSTGRESQL: "postgres-4.7.19.sql",
    MARIADB: "mysql-4.7.19.sql",
}


def upgrade(url: str, prefix: str) -> None:
    migrate.upgrade(url, table_prefix=prefix)


def first_use(url: str, prefix: str) -> None:
    store = Database(parse_url(url), SQLOptions(table_prefix=prefix))
    store.connect()
    store.close()


WORK = {"upgrade": upgrade, "first_use": first_use}


def run_rounds(url: str, work: str, prefixes: list[str], barrier: Barrier, errors: Any) -> None:
    for prefix in prefixes:
        barrier.wait(120)
        try:
            WORK[work](url, prefix)
        except Exception as error:  # noqa: BLE001 - reported to the parent, whatever it is
            errors.put(f"{prefix}: {error!r}")


def run_processes(url: str, work: str, prefixes: list[str]) -> list[str]:
    barrier, errors = context.Barrier(PROCESSES), context.Queue()
    arguments = (url, work, prefixes, barrier, errors)
    processes = [context.Process(target=run_rounds, args=arguments) for _ in range(PROCESSES)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(240)
    assert [process.exitcode for process in processes] == [0] * PROCESSES
    found = []
    while not errors.empty():
        found.append(errors.get())
    errors.close()
    errors.join_thread()
    return found


@pytest.mark.parametrize("work", sorted(WORK))
def test_all_processes_succeed(database: Scratch, work: str) -> None:
    prefixes = [f"round{number}_" for number in range(ROUNDS)]
    assert run_processes(database.url, work, prefixes) == []
    for prefix in prefixes:
        assert migrate.check(database.url, table_prefix=prefix) == []


def test_one_of_them_adopts(database: Scratch) -> None:
    name = OLD[database.kind]
    load(name, database)
    assert run_processes(database.url, "upgrade", ["praison_"]) == []
    assert stored_messages(database, "praison_") == expected_messages(name)


def test_threads_share_alembic(database: Scratch) -> None:
    """Alembic keeps its context in a global of its module."""
    prefixes = [f"thread{number}_" for number in range(8)]
    failed: list[BaseException] = []

    def work(prefix: str) -> None:
        try:
            upgrade(database.url, prefix)
        except BaseException as error:  # noqa: BLE001 - reported below
            failed.append(error)

    threads = [threading.Thread(target=work, args=(prefix,)) for prefix in prefixes * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    for prefix in prefixes:
        assert migrate.current(database.url, table_prefix=prefix) == migrate.HEAD
