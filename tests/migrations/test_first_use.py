from __future__ import annotations

import asyncio
import logging
import shlex
import subprocess
import sys
import threading
from importlib.util import find_spec
from pathlib import Path

import pytest
import sqlalchemy as sa

from praison_persist.cli import main
from praison_persist.errors import MissingDependencyError, SchemaError, UnavailableError
from praison_persist.sql import exclusive, locks, migrate, revision
from praison_persist.sql.database import AsyncDatabase, Database
from praison_persist.sql.engines import set_up
from praison_persist.sql.options import SQLOptions
from praison_persist.sql.schema import tables
from praison_persist.sql.url import parse_url

from .assets import EXPECTED, load
from .catalog import catalog
from .databases import MARIADB, POSTGRESQL, SQLITE, Scratch

OLD = {
    SQLITE: "sqlite-4.7.19-praisonai.db",
    POSTGRESQL: "postgres-4.7.19-praisonai.sql",
    MARIADB: "async_mysql-4.6.34.sql",
}
FIND_SPEC = "praison_persist.sql.url.find_spec"
MANUAL = SQLOptions(auto_migrate=False)


def is_current(database: Scratch, options: SQLOptions) -> bool:
    with database.connect() as connection:
        return migrate.is_current(connection, tables(options.table_prefix, options.schema))


def ensure(database: Scratch, options: SQLOptions) -> None:
    migrate.ensure(parse_url(database.url), options)


def type_command_of(error: pytest.ExceptionInfo[SchemaError]) -> int:
    """Run the command that ends a message, as it is written there."""
    program, *arguments = shlex.split(
        str(error.value).rpartition("run: ")[2].rpartition("Run: ")[2]
    )
    assert program == "praison-persist"
    return main(arguments)


def test_an_empty_database_is_given_its_tables(database: Scratch) -> None:
    options = SQLOptions(table_prefix="mine_")
    assert not is_current(database, options)
    ensure(database, options)
    assert is_current(database, options)
    ensure(database, options)
    assert migrate.check(database.url, table_prefix="mine_") == []


def test_a_store_opens_an_empty_database(database: Scratch) -> None:
    store = Database(parse_url(database.url), SQLOptions())
    store.connect()
    store.close()
    assert migrate.check(database.url) == []


def test_an_async_store_opens_an_empty_database(database: Scratch) -> None:
    async def connect() -> None:
        store = AsyncDatabase(parse_url(database.url), SQLOptions())
        await store.connect()
        await store.close()

    asyncio.run(connect())
    assert migrate.check(database.url) == []


def test_an_in_memory_database_is_migrated_on_its_only_connection() -> None:
    target, options = parse_url(":memory:"), SQLOptions()
    engine = sa.create_engine(
        "sqlite://", poolclass=sa.StaticPool, connect_args={"check_same_thread": False}
    )
    set_up(engine, target, "FULL")
    migrate.ensure(target, options, engine=engine)
    with engine.connect() as connection:
        assert migrate.is_current(connection, tables())
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
    engine.dispose()


def test_without_auto_migrate_the_command_is_named(database: Scratch) -> None:
    before = catalog(database)
    with pytest.raises(SchemaError, match="auto_migrate is off") as error:
        ensure(database, MANUAL)
    assert catalog(database) == before
    assert type_command_of(error) == 0
    ensure(database, MANUAL)


def test_tables_of_praisonai_are_not_adopted_unasked(database: Scratch) -> None:
    load(OLD[database.kind], database)
    before = catalog(database)
    options = SQLOptions(table_prefix="praisonai_")
    with pytest.raises(
        SchemaError, match=r"of the package praisonai.*back the database up"
    ) as error:
        ensure(database, options)
    assert catalog(database) == before
    assert type_command_of(error) == 0
    ensure(database, options)
    count = (
        f"SELECT count(*) FROM praisonai_sessions WHERE {tables().sessions.c.last_seq.name} >= 0"
    )
    assert database.rows(count) == [(len(EXPECTED[OLD[database.kind]]["sessions"]),)]


def test_tables_under_the_other_prefix_are_pointed_out(
    database: Scratch, caplog: pytest.LogCaptureFixture
) -> None:
    """The old package changed its prefix: the history would seem lost."""
    load(OLD[database.kind], database)
    with caplog.at_level(logging.WARNING, "praison_persist"):
        ensure(database, SQLOptions())
    assert "table_prefix='praisonai_'" in caplog.text


def test_a_newer_database_is_refused(database: Scratch) -> None:
    migrate.upgrade(database.url)
    database.run("UPDATE praison_alembic_version SET version_num = '9999'")
    assert not is_current(database, SQLOptions())
    with pytest.raises(SchemaError, match=r"9999.*pip install --upgrade praison-persist"):
        ensure(database, SQLOptions())
    with pytest.raises(SchemaError, match="pip install --upgrade"):
        migrate.upgrade(database.url)
    with pytest.raises(SchemaError, match="pip install --upgrade"):
        migrate.check(database.url)


NEXT = """
from alembic import op
import sqlalchemy as sa
revision, down_revision, branch_labels, depends_on = "0003", "0002", None, None
def upgrade():
    prefix = op.get_context().opts["table_prefix"]
    op.create_table(f"{prefix}later", sa.Column("id", sa.Integer(), primary_key=True))
def downgrade():
    op.drop_table(op.get_context().opts["table_prefix"] + "later")
"""


@pytest.fixture
def next_release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This package with one more revision."""
    scripts = tmp_path / "100% next" / "migrations"
    (scripts / "versions").mkdir(parents=True)
    ours = migrate.script_location()
    for path in (ours / "env.py", ours / "script.py.mako", *ours.glob("versions/*.py")):
        (scripts / path.relative_to(ours)).write_text(path.read_text("utf-8"), "utf-8")
    (scripts / "versions" / "0003_later.py").write_text(NEXT, "utf-8")
    monkeypatch.setattr(migrate, "script_location", lambda: scripts)
    for module in (migrate, revision):
        monkeypatch.setattr(module, "HEAD", "0003")


@pytest.mark.usefixtures("next_release")
def test_an_older_database_is_refused_and_the_command_upgrades_it(database: Scratch) -> None:
    migrate.upgrade(database.url, revision="0002")
    database.run(
        "INSERT INTO praison_sessions (session_id, created_at, updated_at) VALUES ('a', 1, 1)"
    )
    with pytest.raises(SchemaError, match="0002, older than") as error:
        ensure(database, SQLOptions())
    assert type_command_of(error) == 0
    ensure(database, SQLOptions())
    assert migrate.current(database.url) == "0003"
    migrate.downgrade(database.url, revision="-1")
    assert migrate.current(database.url) == "0002"


def test_a_command_repeats_what_a_url_needs_but_no_password() -> None:
    url = "postgresql+asyncpg://me:s3cret@db.example/agents?sslmode=require"
    line = revision.command_line(parse_url(url), tables("p_", "s"), "db", "upgrade")
    assert line == (
        "praison-persist db upgrade --url "
        "'postgresql://me:***@db.example/agents?sslmode=require' --table-prefix p_ --schema s"
    )


@pytest.mark.parametrize("name", ["a b.db", "100%.db", "50%20off?.db", "it's.db", "ünï.db"])
def test_a_command_names_any_file(name: str, tmp_path: Path) -> None:
    target = parse_url(tmp_path / name)
    with pytest.raises(SchemaError) as error:
        migrate.ensure(target, MANUAL)
    assert type_command_of(error) == 0
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_is_current_is_cheap_and_needs_no_alembic(sqlite: Scratch) -> None:
    migrate.upgrade(sqlite.url)
    program = (
        "import sys, sqlalchemy as sa\n"
        "from praison_persist.sql import migrate\n"
        "from praison_persist.sql.schema import tables\n"
        f"engine = sa.create_engine({sqlite.url!r})\n"
        "seen = []\n"
        "sa.event.listen(engine, 'before_cursor_execute', lambda *a: seen.append(a[2]))\n"
        "with engine.connect() as c: assert migrate.is_current(c, tables())\n"
        "assert len(seen) <= 2, seen\n"
        "assert 'alembic' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, env=_environment())


def _environment() -> dict[str, str]:
    return {"PYTHONPATH": ":".join(path for path in sys.path if path)}


def hide_sync_drivers(monkeypatch: pytest.MonkeyPatch) -> None:
    hidden = ("psycopg", "pymysql", "MySQLdb")
    monkeypatch.setattr(FIND_SPEC, lambda name: None if name in hidden else find_spec(name))


@pytest.mark.parametrize("kind", [POSTGRESQL, MARIADB])
def test_an_asyncio_driver_is_enough(
    kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    database: Scratch = request.getfixturevalue(kind)
    plain = database.engine  # made with the sync driver while it can be seen
    engine = plain()
    with monkeypatch.context() as patch:
        hide_sync_drivers(patch)
        assert exclusive._driver(parse_url(database.url)).is_async
        ensure(database, SQLOptions())
        assert migrate.check(database.url) == []

        async def inside_a_loop() -> None:
            migrate.downgrade(database.url, revision="base")
            await migrate.aupgrade(database.url)

        asyncio.run(inside_a_loop())
    with engine.connect() as connection:
        assert migrate.is_current(connection, tables())


def test_without_any_driver_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FIND_SPEC, lambda _name: None)
    with pytest.raises(MissingDependencyError, match=r"praison-persist\[postgres\]"):
        migrate.upgrade("postgresql://x")


@pytest.mark.parametrize(
    "url", ["postgresql://me:s3cret@127.0.0.1:1/x", "mysql://me:s3cret@127.0.0.1:1/x"]
)
def test_an_unreachable_server_is_unavailable(url: str) -> None:
    with pytest.raises(UnavailableError) as error:
        migrate.upgrade(url)
    assert "s3cret" not in str(error.value)


def test_reading_creates_no_file(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="no SQLite file"):
        migrate.current(f"sqlite:///{tmp_path}/typo.db")
    assert list(tmp_path.iterdir()) == []


def test_the_lock_is_waited_for_and_then_named(
    database: Scratch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "LOCK_WAIT_S", 1)
    target, ours = parse_url(database.url), tables()
    entered, leave = threading.Event(), threading.Event()

    def hold(_connection: sa.Connection) -> None:
        entered.set()
        leave.wait(20)

    holder = threading.Thread(target=exclusive.run_alone, args=(target, ours, hold))
    holder.start()
    try:
        assert entered.wait(20)
        with pytest.raises(UnavailableError, match="locked by another process"):
            ensure(database, SQLOptions())
        if database.kind != SQLITE:  # there a lock is the file's
            ensure(database, SQLOptions(table_prefix="other_"))
    finally:
        leave.set()
        holder.join()
    ensure(database, SQLOptions())


def test_a_table_in_use_is_waited_for_and_then_named(
    database: Scratch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An idle transaction of the old application would make adoption hang for ever."""
    load(OLD[database.kind], database)
    before = catalog(database)
    monkeypatch.setattr(locks, "LOCK_WAIT_S", 1)
    with database.engine().connect() as application:
        application.exec_driver_sql("UPDATE praisonai_messages SET role = 'user'")
        with pytest.raises(UnavailableError, match="locked by another process"):
            migrate.upgrade(database.url, table_prefix="praisonai_")
    if database.is_transactional:
        assert catalog(database) == before
    migrate.upgrade(database.url, table_prefix="praisonai_")


def test_a_store_creates_its_schema(postgresql: Scratch) -> None:
    ensure(postgresql, SQLOptions(schema="agents"))
    assert migrate.check(postgresql.url, schema="agents") == []
