"""SingleStore's schema: as text, and made in an imitation that refuses what SingleStore refuses."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from praison_persist.errors import SchemaError, UnavailableError
from praison_persist.sql import exclusive, locks, migrate
from praison_persist.sql.database import Database
from praison_persist.sql.options import SQLOptions
from praison_persist.sql.schema import tables
from praison_persist.sql.url import parse_url

from . import releases
from .catalog import catalog
from .databases import SINGLESTORE, Scratch, scratch
from .test_concurrent import run_processes
from .test_offline import feed
from .test_schema import differences

OF_SESSION = {
    "messages",
    "ranges",
    "runs",
    "runtime_states",
    "session_details",
    "sessions",
    "snapshots",
    "tool_calls",
}


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Scratch]:
    with scratch(SINGLESTORE, tmp_path) as empty:
        yield empty


@pytest.fixture(scope="module")
def script() -> str:
    return migrate.offline_sql(dialect="singlestoredb")


def created(script: str) -> dict[str, str]:
    """Return what each table is created with, by its name without the prefix."""
    found = re.findall(r"CREATE TABLE praison_(\w+) \((.*?)\n\);", script, re.DOTALL)
    return dict(found)


def columns(key: str, body: str) -> list[list[str]]:
    return [re.findall(r"\w+", one) for one in re.findall(rf"\b{key} \(([^)]*)\)", body)]


def test_all_of_a_session_is_on_one_leaf(script: str) -> None:
    bodies = created(script)
    ours = {table.name.removeprefix("praison_") for table in tables().metadata.tables.values()}
    assert set(bodies) == {"alembic_version", *ours}
    shard_keys = {name: columns("SHARD KEY", body) for name, body in bodies.items()}
    assert all(len(keys) == 1 for keys in shard_keys.values())
    assert {name for name, keys in shard_keys.items() if keys == [["session_id"]]} == OF_SESSION


def test_each_unique_key_contains_the_shard_key(script: str) -> None:
    """SingleStore reference, "Why do I get errors about UNIQUE KEYs?"."""
    for body in created(script).values():
        (shard,) = columns("SHARD KEY", body)
        for unique in columns("PRIMARY KEY", body) + columns("UNIQUE", body):
            assert set(shard) <= set(unique)


def test_each_table_is_sorted_by_columns_of_its_own(script: str) -> None:
    bodies = created(script)
    del bodies["alembic_version"]
    for body in bodies.values():
        (sort,) = columns("SORT KEY", body)
        assert sort
        for column in sort:
            assert re.search(rf"\n\s*{column} \w+", body)
    assert columns("SORT KEY", bodies["messages"]) == [["session_id", "seq"]]


def test_nothing_is_asked_for_that_singlestore_lacks(script: str) -> None:
    assert not re.search("FOREIGN|REFERENCES|CHECK|ENGINE|nopad|0900|RETURNING", script)
    indexes = re.findall(r"CREATE .*INDEX .*", script)
    assert len(indexes) == 10
    assert all(index.endswith("USING hash;") for index in indexes)


def test_a_url_tells_the_dialect(script: str) -> None:
    assert migrate.offline_sql(url="singlestoredb://me:s3cret@nowhere.invalid/x") == script


def test_the_script_makes_what_an_upgrade_makes(
    database: Scratch, script: str, tmp_path: Path
) -> None:
    feed(script, database)
    assert migrate.current(database.url) == migrate.HEAD
    assert migrate.check(database.url) == []
    assert differences(database, tables()) == []
    with scratch(SINGLESTORE, tmp_path) as online:
        migrate.upgrade(online.url)
        made = {key: without_the_lock(rows) for key, rows in catalog(online).items()}
        assert {key: without_the_lock(rows) for key, rows in catalog(database).items()} == made
        migrate.downgrade(online.url, revision="base")
        migrate.upgrade(online.url)
        assert {key: without_the_lock(rows) for key, rows in catalog(online).items()} == made


def without_the_lock(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return [row for row in rows if row[0] != "praison_migration_lock"]


def test_a_missing_index_is_told(database: Scratch) -> None:
    migrate.upgrade(database.url)
    database.run("DROP INDEX ix_praison_spans_id ON praison_spans")
    (difference,) = migrate.check(database.url)
    assert "ix_praison_spans_id" in difference


def test_a_second_revision_can_be_reached(database: Scratch) -> None:
    """With Alembic's own primary key the version would be what its table is sharded by."""
    releases.upgrade(database.url)
    assert database.rows("SELECT version_num FROM praison_alembic_version") == [(releases.LATER,)]
    releases.downgrade(database.url, migrate.HEAD)
    assert migrate.check(database.url) == []


def test_several_processes_make_the_tables_once(database: Scratch) -> None:
    assert run_processes(database.url, "first_use", ["one_"]) == []
    assert migrate.check(database.url, table_prefix="one_") == []


def test_a_lock_that_is_not_given_back_is_told(
    database: Scratch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "LOCK_WAIT_S", 1)
    target = parse_url(database.url)

    def second(_connection: sa.Connection) -> None:
        with pytest.raises(UnavailableError, match="another process"):
            migrate.upgrade(database.url)

    exclusive.run_alone(target, tables(), second)
    migrate.upgrade(database.url)


def test_tables_of_the_old_package_are_left_alone(database: Scratch) -> None:
    """Their keys cannot be changed, and MySQL's way would end half-way."""
    columns = "user_id TEXT, agent_id TEXT, name TEXT, metadata TEXT, created_at DOUBLE"
    database.run(
        f"CREATE TABLE praison_sessions (session_id VARCHAR(255) PRIMARY KEY, {columns}, "
        "updated_at DOUBLE)"
    )
    store = Database(parse_url(database.url), SQLOptions())
    url = database.url
    for work in (
        store.connect,
        lambda: migrate.upgrade(url),
        lambda: migrate.adopt_report(url),
    ):
        with pytest.raises(SchemaError, match=r"cannot be adopted.*rename"):
            work()
    store.close()
    migrate.upgrade(url, table_prefix="new_")


KEYED = "CREATE TABLE t (a INT, b INT, PRIMARY KEY (a, b), SHARD KEY (a))"


@pytest.mark.parametrize(
    "refused",
    [
        "CREATE TABLE u (a INT, b INT, PRIMARY KEY (a), SHARD KEY (b))",
        "CREATE TABLE u (a INT, b INT, PRIMARY KEY (a), UNIQUE (b))",
        "CREATE TABLE u (a INT PRIMARY KEY, FOREIGN KEY (a) REFERENCES t (a))",
        "CREATE INDEX i ON t (b)",
        "UPDATE t SET a = 2 WHERE b = 1",
        "INSERT INTO t VALUES (1, 1) ON DUPLICATE KEY UPDATE a = 2",
        "SELECT * FROM t FOR UPDATE SKIP LOCKED",
        "INSERT INTO t VALUES (1, 2) RETURNING a",
        "SELECT GET_LOCK('x', 1)",
        "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
        "ALTER TABLE t DROP PRIMARY KEY",
    ],
)
def test_the_imitation_does_not_flatter(shared: Scratch, refused: str) -> None:
    with pytest.raises(DBAPIError, match="not supported by SingleStore"):
        shared.run(refused)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scratch]:
    with scratch(SINGLESTORE, tmp_path_factory.mktemp("shared")) as empty:
        empty.run(KEYED)
        yield empty
