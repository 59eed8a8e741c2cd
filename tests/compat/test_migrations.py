"""Migrations of a user's own tables are applied, recorded and reverted for real."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from praison_persist.compat.persistence.migrations import MigrationManager, SchemaVersion

from praison_persist import (
    BackendError,
    ConfigurationError,
    PraisonAIDB,
    SchemaError,
    SQLConversationStore,
)
from praison_persist.sql import migrate
from praison_persist.testing.contract import race


@pytest.fixture(params=["sqlite", "postgres_database", "mariadb_database"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database: of the module, emptied."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'x.db'}"
    url: str = request.getfixturevalue(request.param)
    engine = sa.create_engine(
        SQLConversationStore(url).database.target.sqlalchemy_url(
            SQLConversationStore(url).database.driver
        )
    )
    metadata = sa.MetaData()
    with engine.begin() as connection:
        metadata.reflect(connection)
        metadata.drop_all(connection)
    engine.dispose()
    return url


def manager_of(db: Any) -> MigrationManager:
    manager = MigrationManager(db)
    manager.register_migration(
        "1.1.0", "notes", "CREATE TABLE notes (body TEXT)", "DROP TABLE notes"
    )
    manager.register_migration(
        "1.2.0",
        "an author",
        lambda database: database.op.add_column("notes", sa.Column("author", sa.Text())),
        lambda database: database.op.drop_column("notes", "author"),
    )
    manager.register_migration("1.10.0", "rows", fill, empty)
    return manager


def fill(database: Any) -> None:
    database.execute("INSERT INTO notes (body) VALUES (:body)", {"body": "12:30"})
    database.execute("INSERT INTO notes (body) VALUES ('12:31')")


def empty(database: Any) -> None:
    database.execute("DELETE FROM notes")


def notes(url: str) -> list[str]:
    with SQLConversationStore(url) as store:
        return store.database.read(
            lambda connection, _: list(connection.scalars(sa.text("SELECT body FROM notes")))
        )


def test_up_and_down_and_what_is_told_of_it(url: str) -> None:
    manager = manager_of(url)
    everything = ["1.0.0", "1.1.0", "1.2.0", "1.10.0"]
    assert manager.get_current_version() is None
    assert manager.get_migration_status() == {
        "current_version": None,
        "latest_version": "1.10.0",
        "pending_count": 4,
        "pending_versions": everything,
        "all_versions": everything,
    }
    assert manager.migrate_up("1.1.0") == ["1.0.0", "1.1.0"]
    assert migrate.current(url) == migrate.HEAD
    assert manager.get_current_version() == "1.1.0"
    assert manager.migrate_up() == ["1.2.0", "1.10.0"]
    assert manager.migrate_up() == []
    assert sorted(notes(url)) == ["12:30", "12:31"]
    again = manager_of(url)
    assert again.get_current_version() == "1.10.0"
    assert again.get_pending_migrations() == []
    assert migrate.check(url) == []
    assert again.migrate_down("1.1.0") == ["1.10.0", "1.2.0"]
    assert notes(url) == []
    assert again.get_current_version() == "1.1.0"
    assert again.migrate_down("0") == ["1.1.0", "1.0.0"]
    assert again.get_current_version() is None
    assert migrate.current(url) is None


def test_an_adapter_and_its_stores_have_the_history_of_their_database(tmp_path: Path) -> None:
    with PraisonAIDB(str(tmp_path / "x.db")) as db:
        db.on_user_message("s", "hi")
        manager = manager_of(db)
        assert manager.get_current_version() == "1.0.0"
        assert manager.migrate_up() == ["1.1.0", "1.2.0", "1.10.0"]
        with pytest.raises(SchemaError, match="rows"):
            manager.migrate_down("0")
        assert [message.content for message in db.get_messages("s")] == ["hi"]
    with SQLConversationStore(tmp_path / "x.db") as store:
        assert manager_of(store).get_current_version() == "1.0.0"


def test_a_migration_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    """Half a migration is recorded, or a whole one is not."""
    url = f"sqlite:///{tmp_path / 'x.db'}"
    manager = MigrationManager(url)
    manager.register_migration("1.1", "fails", lambda database: half(database))
    manager.register_migration("1.2", "is refused", "CREATE TABLE")
    with pytest.raises(ZeroDivisionError):
        manager.migrate_up()
    assert manager.get_current_version() == "1.0.0"
    with pytest.raises(BackendError), SQLConversationStore(url) as store:
        store.database.read(lambda connection, _: connection.execute(sa.text("TABLE half")))
    manager.set_current_version("1.1")
    with pytest.raises(BackendError):
        manager.migrate_up()
    assert manager.get_current_version() == "1.1"


def test_managers_that_migrate_at_once_apply_and_revert_each_step_once(url: str) -> None:
    """Each sees what is pending before any of them is done."""
    migrate.upgrade(url)
    applied = race(3, lambda _: manager_of(url).migrate_up())
    assert sorted(version for versions in applied for version in versions) == [
        "1.1.0",
        "1.10.0",
        "1.2.0",
    ]
    assert notes(url) == ["12:30", "12:31"]
    reverted = race(3, lambda _: manager_of(url).migrate_down("1.0.0"))
    assert sorted(version for versions in reverted for version in versions) == [
        "1.1.0",
        "1.10.0",
        "1.2.0",
    ]
    assert manager_of(url).get_current_version() == "1.0.0"


def half(database: Any) -> None:
    database.execute("CREATE TABLE half (a INTEGER)")
    raise ZeroDivisionError


def test_what_has_no_down_is_not_reverted(tmp_path: Path) -> None:
    """The original skips it, and says that it was reverted."""
    manager = manager_of(f"sqlite:///{tmp_path / 'x.db'}")
    manager.register_migration("2.0", "for ever", "CREATE TABLE forever (a INTEGER)")
    manager.migrate_up()
    with pytest.raises(SchemaError, match=r"2\.0 have no down"):
        manager.migrate_down("1.0.0")
    assert manager.get_current_version() == "2.0"
    assert MigrationManager(f"sqlite:///{tmp_path / 'x.db'}").get_current_version() == "2.0"


def test_a_version_is_recorded_without_running_what_leads_to_it(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'x.db'}"
    manager = manager_of(url)
    with pytest.raises(SchemaError, match=r"not at 1\.0\.0"):
        manager.set_current_version("1.1.0")
    migrate.upgrade(url)
    manager.set_current_version("1.2.0")
    assert [each.version for each in manager.get_pending_migrations()] == ["1.10.0"]
    manager.set_current_version("1.1.0")
    assert manager.get_migration_status()["pending_versions"] == ["1.2.0", "1.10.0"]


def test_without_sql_the_state_store_keeps_the_history() -> None:
    from praison_persist import MemoryStateStore  # noqa: PLC0415 - this test's alone
    from praison_persist.testing import ReferenceConversationStore  # noqa: PLC0415 - as above

    given: list[Any] = []
    with PraisonAIDB(ReferenceConversationStore(), state_url=MemoryStateStore()) as db:
        manager = MigrationManager(db)
        manager.register_migration("1.1.0", "seen", given.append, given.remove)
        assert manager.migrate_up() == ["1.1.0"]
        assert given == [db]
        assert MigrationManager(db).get_current_version() == "1.1.0"
        assert manager.migrate_down("1.0.0") == ["1.1.0"]
        assert given == []


def test_without_a_database_everything_is_pending() -> None:
    manager = MigrationManager()
    assert manager.get_current_version() is None
    assert manager.get_migration_status()["pending_versions"] == ["1.0.0"]
    with pytest.raises(ConfigurationError, match="Which database"):
        manager.migrate_up()
    with pytest.raises(ConfigurationError, match="neither a SQL database nor a state store"):
        MigrationManager(object())
    with pytest.raises(ConfigurationError, match="for as long as it is open"):
        MigrationManager("sqlite:///:memory:")


@pytest.mark.parametrize("version", ["", "one", "1..0", None])
def test_what_is_no_version(version: Any) -> None:
    with pytest.raises(ConfigurationError, match="is no version"):
        MigrationManager().register_migration(version, "", "")


def test_versions_are_ordered_as_releases_are() -> None:
    versions = [SchemaVersion(each) for each in ("1.10", "1.2.0", "1.2.0rc1", "1.2b2", "0.9")]
    ordered = [each.version for each in sorted(versions)]
    assert ordered == ["0.9", "1.2b2", "1.2.0rc1", "1.2.0", "1.10"]
    assert SchemaVersion("1.0", "a") == SchemaVersion("1.0", "b")
    manager = manager_of(None)
    with pytest.raises(ConfigurationError, match="has a migration already"):
        manager.register_migration("1.1.0", "again", "")
