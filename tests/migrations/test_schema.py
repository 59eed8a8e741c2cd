from __future__ import annotations

import logging
import uuid

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from praison_persist.errors import ConfigurationError, SchemaError
from praison_persist.sql import migrate
from praison_persist.sql.schema import Tables, tables

from .catalog import catalog
from .databases import MARIADB, POSTGRESQL, SQLITE, Scratch

SESSION = "INSERT INTO praison_sessions (session_id, created_at, updated_at) VALUES ('{}', 1, 1)"


def differences(database: Scratch, ours: Tables) -> list[object]:
    """Everything that autogenerate would change, additions by others included."""
    with database.connect() as connection:
        options = migrate.environment(migrate.as_seen_by(connection, ours))
        context = MigrationContext.configure(connection, opts=options)
        return list(compare_metadata(context, options["target_metadata"]))


def test_head_is_the_head_of_the_revisions() -> None:
    """The constant saves each store's first use the import of Alembic."""
    scripts = ScriptDirectory(str(migrate.script_location()))
    assert scripts.get_heads() == [migrate.HEAD]
    assert migrate.history()[0].revision == migrate.HEAD
    assert migrate.history()[-1].down_revision is None


def test_a_fresh_database_is_what_the_queries_are_written_against(database: Scratch) -> None:
    migrate.upgrade(database.url)
    assert migrate.current(database.url) == migrate.HEAD
    assert differences(database, tables()) == []
    assert migrate.check(database.url) == []


def test_up_down_up_ends_where_it_began(database: Scratch) -> None:
    migrate.upgrade(database.url)
    first = catalog(database)
    migrate.downgrade(database.url, revision="base")
    assert migrate.current(database.url) is None
    with database.connect() as connection:
        assert sa.inspect(connection).get_table_names() == [tables().version_table]
    migrate.upgrade(database.url)
    assert catalog(database) == first


def test_upgrading_twice_changes_nothing(database: Scratch) -> None:
    migrate.upgrade(database.url)
    first = catalog(database)
    migrate.upgrade(database.url)
    assert catalog(database) == first


def test_downgrading_refuses_to_drop_rows(database: Scratch) -> None:
    migrate.upgrade(database.url)
    database.run(SESSION.format("a"))
    with pytest.raises(SchemaError, match=r"praison_sessions.*--force"):
        migrate.downgrade(database.url, revision="base")
    assert migrate.current(database.url) == migrate.HEAD
    migrate.downgrade(database.url, revision="base", force=True)
    assert migrate.current(database.url) is None


def test_an_unknown_revision_is_an_error(database: Scratch) -> None:
    with pytest.raises(SchemaError, match="nonsense"):
        migrate.upgrade(database.url, revision="nonsense")


def test_ids_are_told_apart_byte_by_byte(database: Scratch) -> None:
    """MariaDB's default collations hold all of these for the same id."""
    migrate.upgrade(database.url)
    ids = ["alice", "Alice", "ALICE", "alice ", "alicé", "alice\u0301"]
    database.run(*(SESSION.format(one) for one in ids))
    t = tables()
    with database.connect() as connection:
        for one in ids:
            query = sa.select(t.sessions.c.session_id).where(t.sessions.c.session_id == one)
            assert connection.scalars(query).all() == [one]
        ordered = connection.scalars(sa.select(t.sessions.c.session_id).order_by("session_id"))
        assert ordered.all() == sorted(ids, key=str.encode)


def test_deleting_a_session_deletes_its_messages(database: Scratch) -> None:
    migrate.upgrade(database.url)
    values = "('a', 1, 'm', 'user', 1)"
    database.run(
        SESSION.format("a"),
        f"INSERT INTO praison_messages (session_id, seq, id, role, created_at) VALUES {values}",
    )
    with database.engine().connect() as connection:
        if database.kind == SQLITE:
            connection.exec_driver_sql("PRAGMA foreign_keys=ON")
        connection.exec_driver_sql("DELETE FROM praison_sessions")
        assert connection.exec_driver_sql("SELECT count(*) FROM praison_messages").scalar() == 0


def test_a_host_applications_version_table_is_left_alone(database: Scratch) -> None:
    create = "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"
    database.run(create, "INSERT INTO alembic_version VALUES ('host_1')")
    migrate.upgrade(database.url)
    assert database.rows("SELECT version_num FROM alembic_version") == [("host_1",)]
    assert database.rows("SELECT version_num FROM praison_alembic_version") == [(migrate.HEAD,)]
    assert migrate.check(database.url) == []


def test_prefixes_live_side_by_side(database: Scratch) -> None:
    for prefix in ("one_", "Two_", ""):
        migrate.upgrade(database.url, table_prefix=prefix)
        assert differences(database, tables(prefix)) == []
    migrate.downgrade(database.url, revision="base", table_prefix="one_")
    assert migrate.current(database.url, table_prefix="one_") is None
    assert migrate.current(database.url, table_prefix="Two_") == migrate.HEAD


@pytest.mark.parametrize("schema", ["agents", "Agents", "public"])
def test_a_schema_is_created_and_used(postgresql: Scratch, schema: str) -> None:
    for _ in range(2):
        migrate.upgrade(postgresql.url, schema=schema)
    assert migrate.current(postgresql.url, schema=schema) == migrate.HEAD
    assert migrate.check(postgresql.url, schema=schema) == []
    assert differences(postgresql, tables(schema=schema)) == []
    names = "SELECT count(*) FROM pg_tables WHERE schemaname = '{}' AND tablename LIKE 'praison%'"
    assert postgresql.rows(names.format(schema)) == [(15,)]
    migrate.downgrade(postgresql.url, revision="base", schema=schema)
    assert postgresql.rows(names.format(schema)) == [(1,)]


def test_a_role_that_owns_nothing_but_the_schema_can_upgrade(postgresql: Scratch) -> None:
    """Hosted databases give no more; CREATE SCHEMA IF NOT EXISTS would be refused."""
    role = f"praison_test_{uuid.uuid4().hex[:12]}"
    postgresql.run(f"CREATE ROLE {role} LOGIN", f"CREATE SCHEMA agents AUTHORIZATION {role}")
    try:
        url = sa.make_url(postgresql.url).set(username=role)
        migrate.upgrade(url.render_as_string(hide_password=False), schema="agents")
        assert migrate.check(postgresql.url, schema="agents") == []
    finally:
        postgresql.run(f"DROP OWNED BY {role}", f"DROP ROLE {role}")


def test_two_schemas_are_two_databases(postgresql: Scratch) -> None:
    migrate.upgrade(postgresql.url, schema="one")
    assert migrate.current(postgresql.url) is None
    migrate.upgrade(postgresql.url)
    one, public = catalog(postgresql, "one"), catalog(postgresql)
    assert one["columns"] == public["columns"]


def test_check_names_what_is_missing(database: Scratch) -> None:
    migrate.upgrade(database.url)
    on = " ON praison_spans" if database.kind == MARIADB else ""
    database.run(f"DROP INDEX ix_praison_spans_id{on}")
    (difference,) = migrate.check(database.url)
    assert "add_index" in difference
    assert "ix_praison_spans_id" in difference


def test_check_ignores_what_others_added(database: Scratch) -> None:
    migrate.upgrade(database.url)
    database.run(
        "ALTER TABLE praison_messages ADD COLUMN tenant VARCHAR(36)",
        "CREATE INDEX ix_tenant ON praison_messages (tenant)",
    )
    assert migrate.check(database.url) == []
    assert len(differences(database, tables())) == 2


def test_check_of_an_empty_database_says_what_to_run(database: Scratch) -> None:
    database.run("CREATE TABLE something (id INTEGER)")
    with pytest.raises(SchemaError, match="praison-persist db upgrade --url"):
        migrate.check(database.url)


CONNECTIONS = {
    POSTGRESQL: "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()",
    MARIADB: "SELECT count(*) FROM information_schema.processlist WHERE db = DATABASE()",
}


@pytest.mark.parametrize("kind", sorted(CONNECTIONS))
def test_no_connection_is_left_behind(kind: str, request: pytest.FixtureRequest) -> None:
    database: Scratch = request.getfixturevalue(kind)
    migrate.upgrade(database.url)
    migrate.check(database.url)
    assert database.rows(CONNECTIONS[kind]) == [(1,)]


def test_the_hosts_logging_is_left_alone(sqlite: Scratch) -> None:
    """fileConfig, which Alembic's templates call, disables every logger there is."""
    host = logging.getLogger("host_application")

    def state() -> tuple[object, ...]:
        root = logging.getLogger()
        names = ("alembic", "sqlalchemy.engine", "praison_persist")
        levels = [logging.getLogger(name).level for name in names]
        return list(root.handlers), root.level, host.disabled, levels

    before = state()
    migrate.upgrade(sqlite.url)
    assert state() == before


def test_an_in_memory_database_is_not_for_the_commands() -> None:
    with pytest.raises(ConfigurationError, match="in-memory"):
        migrate.upgrade("sqlite://")
