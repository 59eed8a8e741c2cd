from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from praison_persist.errors import BackendError, SchemaError
from praison_persist.sql import migrate
from praison_persist.sql.options import SQLOptions
from praison_persist.sql.schema import tables
from praison_persist.sql.url import parse_url

from .assets import (
    EXPECTED,
    FOLDER,
    NAMES,
    expected_messages,
    expected_sessions,
    last_seqs,
    load,
    stored_messages,
    stored_sessions,
)
from .catalog import catalog
from .databases import MARIADB, POSTGRESQL, SQLITE, Scratch, scratch


@pytest.fixture(params=NAMES)
def asset(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def legacy(asset: str, tmp_path: Path) -> Iterator[Scratch]:
    """The asset, loaded into a database of its engine."""
    with scratch(EXPECTED[asset]["engine"], tmp_path) as database:
        load(asset, database)
        yield database


def test_every_row_of_the_old_store_is_there_in_its_order(asset: str, legacy: Scratch) -> None:
    expected, prefix = EXPECTED[asset], EXPECTED[asset]["prefix"]
    migrate.upgrade(legacy.url, table_prefix=prefix)
    sessions, messages = stored_sessions(legacy, prefix), stored_messages(legacy, prefix)
    orphaned = {message["session_id"] for message in expected["orphans"]}
    known = {key: row for key, row in sessions.items() if key not in orphaned}
    assert known == expected_sessions(asset)
    kept = {key: rows for key, rows in messages.items() if key not in orphaned}
    assert kept == expected_messages(asset)
    found = [row for key in sorted(orphaned) for row in messages[key]]
    assert sorted(found, key=lambda row: row["id"]) == sorted(
        expected["orphans"], key=lambda row: str(row["id"])
    )
    assert last_seqs(legacy, prefix) == {key: len(messages.get(key, [])) for key in sessions}


def test_the_schema_is_that_of_a_fresh_database(
    asset: str, legacy: Scratch, tmp_path: Path
) -> None:
    prefix = EXPECTED[asset]["prefix"]
    migrate.upgrade(legacy.url, table_prefix=prefix)
    assert migrate.check(legacy.url, table_prefix=prefix) == []
    (tmp_path / "fresh").mkdir()
    with scratch(legacy.kind, tmp_path / "fresh") as fresh:
        migrate.upgrade(fresh.url, table_prefix=prefix)
        assert catalog(legacy) == catalog(fresh)


@pytest.mark.parametrize(
    "name",
    ["postgres-4.7.19-praisonai.sql", "sqlite-4.7.19-praisonai.db", "async_mysql-4.6.34.sql"],
)
def test_renamed_tables_end_like_any_other(name: str, tmp_path: Path) -> None:
    """praisonai's documentation says to rename its tables; their keys keep the old names then."""
    with scratch(EXPECTED[name]["engine"], tmp_path) as database:
        load(name, database)
        for table in ("sessions", "messages"):
            database.run(f"ALTER TABLE praisonai_{table} RENAME TO praison_{table}")
        migrate.upgrade(database.url)
        assert migrate.check(database.url) == []
        assert len(stored_sessions(database, "praison_")) == len(EXPECTED[name]["sessions"])
        with scratch(database.kind, _folder(tmp_path / "fresh")) as fresh:
            migrate.upgrade(fresh.url)
            assert catalog(database) == catalog(fresh)


def test_tables_in_a_schema_are_adopted_there(postgresql: Scratch) -> None:
    name = "postgres-4.7.19.sql"
    statements = (FOLDER / name).read_text("utf-8").replace("public.", "agents.").split(";\n")
    postgresql.run("CREATE SCHEMA agents", *filter(str.strip, statements))
    migrate.upgrade(postgresql.url, schema="agents")
    assert migrate.check(postgresql.url, schema="agents") == []
    counts = "SELECT count(*), max(seq) FROM agents.praison_messages"
    messages = EXPECTED[name]["messages"].values()
    assert postgresql.rows(counts) == [(sum(map(len, messages)), max(map(len, messages)))]


def test_a_server_that_is_not_strict_loses_nothing_either(mariadb: Scratch) -> None:
    """Without strict mode NULL would silently become 0 or an empty text."""
    load("async_mysql-4.7.19.sql", mariadb)
    migrate.upgrade(f"{mariadb.url}?sql_mode=")
    assert stored_messages(mariadb, "praison_") == expected_messages("async_mysql-4.7.19.sql")


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


OLD = {
    SQLITE: "async_sqlite-4.7.19.db",
    POSTGRESQL: "async_postgres-4.7.19.sql",
    MARIADB: "async_mysql-4.7.19.sql",
}


@pytest.fixture
def old(database: Scratch) -> Scratch:
    """Tables without NOT NULL anywhere, on each engine."""
    load(OLD[database.kind], database)
    return database


def row_of(database: Scratch, table: str, key: str, value: str) -> Any:
    t = tables().metadata.tables[f"praison_{table}"]
    with database.connect() as connection:
        return connection.execute(sa.select(t).where(t.c[key] == value)).one()


def test_nulls_are_completed_and_nothing_is_lost(old: Scratch) -> None:
    message = "INSERT INTO praison_messages (id, session_id, role, content, created_at) VALUES {}"
    session = "INSERT INTO praison_sessions (session_id, created_at, updated_at) VALUES {}"
    old.run(
        session.format("('bare', NULL, NULL), ('half', NULL, 70.5), ('begun', 60.5, NULL)"),
        message.format("('m1', 'bare', NULL, NULL, NULL), ('m2', 'bare', 'user', 'x', 20.5)"),
        message.format("('m3', 'bare', 'user', 'y', 10.5), ('m4', 'half', 'user', 'z', NULL)"),
        message.format("('m5', NULL, 'user', 'lost', 5.5), ('m6', NULL, 'user', 'lost', 4.5)"),
    )
    migrate.upgrade(old.url)
    bare = row_of(old, "sessions", "session_id", "bare")
    assert (bare.created_at, bare.updated_at, bare.last_seq) == (10.5, 20.5, 3)
    half = row_of(old, "sessions", "session_id", "half")
    assert (half.created_at, half.updated_at, half.last_seq) == (70.5, 70.5, 1)
    begun = row_of(old, "sessions", "session_id", "begun")
    assert (begun.created_at, begun.updated_at, begun.last_seq) == (60.5, 60.5, 0)
    found = {f"m{n}": row_of(old, "messages", "id", f"m{n}") for n in range(1, 7)}
    assert [found[name].seq for name in ("m1", "m3", "m2")] == [1, 2, 3]
    assert (found["m1"].created_at, found["m1"].role, found["m1"].content) == (10.5, "", None)
    assert found["m4"].created_at == 70.5
    assert {found[name].session_id for name in ("m5", "m6")} == {"messages-without-session"}
    assert [found[name].seq for name in ("m6", "m5")] == [1, 2]
    orphans = row_of(old, "sessions", "session_id", "messages-without-session")
    assert (orphans.created_at, orphans.updated_at, orphans.last_seq) == (4.5, 5.5, 2)


def test_rows_without_any_id_are_given_one(sqlite: Scratch) -> None:
    """A TEXT primary key of SQLite may hold NULL, more than once."""
    load(OLD[SQLITE], sqlite)
    sqlite.run(
        "INSERT INTO praison_sessions (name) VALUES ('one'), ('two')",
        "INSERT INTO praison_messages (session_id, role) VALUES ('empty-session', 'user')",
    )
    migrate.upgrade(sqlite.url)
    ids = sqlite.rows("SELECT session_id FROM praison_sessions WHERE name IN ('one', 'two')")
    assert len(set(ids)) == 2
    assert all(str(one).startswith("adopted-") for (one,) in ids)
    (row,) = sqlite.rows("SELECT id, seq FROM praison_messages WHERE session_id = 'empty-session'")
    assert str(row[0]).startswith("adopted-")


def test_what_others_added_to_the_tables_stays(old: Scratch) -> None:
    old.run(
        "ALTER TABLE praison_messages ADD COLUMN tenant VARCHAR(36) DEFAULT 'none'",
        "ALTER TABLE praison_sessions ADD COLUMN stars INTEGER",
        "UPDATE praison_messages SET tenant = 'acme' WHERE role = 'user'",
        "UPDATE praison_sessions SET stars = 5 WHERE session_id = 'empty-session'",
        "CREATE INDEX ix_tenant ON praison_messages (tenant)",
    )
    users = old.rows("SELECT count(*) FROM praison_messages WHERE role = 'user'")
    migrate.upgrade(old.url)
    assert old.rows("SELECT count(*) FROM praison_messages WHERE tenant = 'acme'") == users
    assert old.rows("SELECT session_id FROM praison_sessions WHERE stars = 5") == [
        ("empty-session",)
    ]
    with old.connect() as connection:
        indexes = sa.inspect(connection).get_indexes("praison_messages")
        assert [index["column_names"] for index in indexes if index["name"] == "ix_tenant"]
    assert migrate.check(old.url) == []
    if old.kind == MARIADB:
        old.run(
            "INSERT INTO praison_sessions (session_id, created_at, updated_at) VALUES ('n', 1, 1)"
        )
    columns = "(session_id, seq, id, role, created_at)"
    old.run(f"INSERT INTO praison_messages {columns} VALUES ('empty-session', 1, 'n', 'user', 1)")
    assert old.rows("SELECT tenant FROM praison_messages WHERE id = 'n'") == [("none",)]


def test_views_and_triggers_on_the_tables_survive(sqlite: Scratch) -> None:
    load(OLD[SQLITE], sqlite)
    sqlite.run(
        "CREATE TABLE log (id TEXT)",
        "CREATE VIEW turns AS SELECT m.id, s.name FROM praison_messages m "
        "JOIN praison_sessions s ON s.session_id = m.session_id",
        "CREATE TRIGGER logged AFTER INSERT ON praison_messages BEGIN "
        "INSERT INTO log VALUES (new.id); END",
        "CREATE TABLE rating (session_id TEXT REFERENCES praison_sessions (session_id))",
        "INSERT INTO rating VALUES ('empty-session')",
    )
    turns = sqlite.rows("SELECT count(*) FROM turns")
    migrate.upgrade(sqlite.url)
    assert sqlite.rows("SELECT count(*) FROM turns") == turns
    assert sqlite.rows("SELECT * FROM log") == []
    columns = "(session_id, seq, id, role, created_at)"
    sqlite.run(f"INSERT INTO praison_messages {columns} VALUES ('empty-session', 1, 'n', 'u', 1)")
    assert sqlite.rows("SELECT * FROM log") == [("n",)]
    assert sqlite.rows("PRAGMA foreign_key_check") == []
    assert sqlite.rows("SELECT * FROM rating") == [("empty-session",)]


def test_a_foreign_key_of_others_onto_the_sessions_stays(postgresql: Scratch) -> None:
    load(OLD[POSTGRESQL], postgresql)
    postgresql.run(
        "CREATE TABLE rating (session_id varchar(255) REFERENCES praison_sessions)",
        "INSERT INTO rating VALUES ('empty-session')",
    )
    migrate.upgrade(postgresql.url)
    rating = "SELECT count(*) FROM pg_constraint WHERE conrelid = 'rating'::regclass"
    assert postgresql.rows(rating) == [(1,)]


def test_tables_of_something_else_are_not_touched(database: Scratch) -> None:
    database.run(
        "CREATE TABLE sessions (id INTEGER PRIMARY KEY, cookie VARCHAR(50))",
        "INSERT INTO sessions VALUES (1, 'x')",
    )
    before = catalog(database)
    reason = r"belongs to something else.*agent_id.*table prefix"
    with pytest.raises(SchemaError, match=reason):
        migrate.upgrade(database.url, table_prefix="")
    with pytest.raises(SchemaError, match=reason):
        migrate.ensure(parse_url(database.url), SQLOptions(table_prefix=""))
    after = catalog(database)
    if database.is_transactional:
        assert after == before
    assert database.rows("SELECT * FROM sessions") == [(1, "x")]


def test_only_sessions_or_only_messages_are_adopted_too(old: Scratch) -> None:
    messages = old.rows("SELECT count(*) FROM praison_messages")
    if old.kind == SQLITE:
        old.run("DROP TABLE praison_sessions")
    else:
        word = "CONSTRAINT" if old.kind == POSTGRESQL else "FOREIGN KEY"
        key = "session_id_fkey" if old.kind == POSTGRESQL else "ibfk_1"
        old.run(
            f"ALTER TABLE praison_messages DROP {word} praison_messages_{key}",
            "DROP TABLE praison_sessions",
        )
    migrate.upgrade(old.url)
    assert old.rows("SELECT count(*) FROM praison_messages") == messages
    assert migrate.check(old.url) == []
    migrate.downgrade(old.url, revision="base", force=True)
    load(OLD[old.kind], old)
    old.run("DROP TABLE IF EXISTS praison_alembic_version", "DROP TABLE praison_messages")
    sessions = old.rows("SELECT count(*) FROM praison_sessions")
    migrate.upgrade(old.url)
    assert old.rows("SELECT count(*) FROM praison_sessions") == sessions
    assert migrate.check(old.url) == []


def test_the_report_changes_nothing_and_counts_all(old: Scratch) -> None:
    old.run(
        "ALTER TABLE praison_messages ADD COLUMN tenant VARCHAR(36)",
        "INSERT INTO praison_messages (id, role) VALUES ('m1', 'user')",
    )
    before = catalog(old)
    report = migrate.adopt_report(old.url)
    assert catalog(old) == before
    sessions, messages = report.tables
    assert report.needed
    assert (sessions.rows, messages.rows) == (5, 44)
    assert sessions.added == ["version", "last_seq", "last_run_seq", "view_seq"]
    assert (messages.added, messages.foreign) == (["seq", "run_id"], ["tenant"])
    assert (report.orphans, report.orphaned_sessions) == (1, 1)
    assert "44 rows stay" in str(report)
    migrate.upgrade(old.url)
    assert not migrate.adopt_report(old.url).needed
    other = migrate.adopt_report(old.url, table_prefix="other_")
    assert not other.needed


def test_a_view_in_the_way_leaves_everything_as_it_was(postgresql: Scratch) -> None:
    load(OLD[POSTGRESQL], postgresql)
    postgresql.run("CREATE VIEW turns AS SELECT session_id FROM praison_messages")
    before = catalog(postgresql)
    with pytest.raises(BackendError, match="view"):
        migrate.upgrade(postgresql.url)
    assert catalog(postgresql) == before
    assert migrate.current(postgresql.url) is None
