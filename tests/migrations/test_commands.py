from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.util import CommandError

from praison_persist.cli import main
from praison_persist.sql import migrate
from praison_persist.sql.schema import tables

from .assets import load
from .databases import Scratch

OLD = "async_sqlite-4.6.34-orphans.db"


def db(*words: str) -> int:
    return main(["db", *words])


def test_a_database_from_its_creation_to_its_end(
    database: Scratch, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--url", database.url, "--table-prefix", "p_"]
    assert db("upgrade", *where) == 0
    assert db("current", *where) == 0
    assert capsys.readouterr().out == f"{migrate.HEAD}\n" * 2
    assert db("check", *where) == 0
    assert db("downgrade", "--revision", "base", *where) == 0
    assert db("current", *where) == 0
    assert capsys.readouterr().out == "no revision\n" * 2


def test_adopt_reports_first_and_acts_when_told(
    sqlite: Scratch, capsys: pytest.CaptureFixture[str]
) -> None:
    load(OLD, sqlite)
    where = ["--url", sqlite.url, "--table-prefix", "praisonai_"]
    assert db("adopt", *where) == 0
    report = capsys.readouterr().out
    assert "praisonai_messages: 46 rows stay" in report
    assert "3 messages belong to no session: 1 sessions are created" in report
    assert migrate.current(sqlite.url, table_prefix="praisonai_") is None
    assert db("adopt", "--yes", *where) == 0
    assert db("check", *where) == 0
    capsys.readouterr()
    assert db("adopt", "--yes", *where) == 0
    assert "Nothing to adopt" in capsys.readouterr().out


def test_differences_are_printed_and_the_status_says_so(
    sqlite: Scratch, capsys: pytest.CaptureFixture[str]
) -> None:
    migrate.upgrade(sqlite.url)
    sqlite.run("DROP INDEX ix_praison_spans_id")
    assert db("check", "--url", sqlite.url) == 1
    assert "ix_praison_spans_id" in capsys.readouterr().out


def test_failures_are_one_line_with_the_remedy(
    sqlite: Scratch, capsys: pytest.CaptureFixture[str]
) -> None:
    migrate.upgrade(sqlite.url)
    sqlite.run("INSERT INTO praison_sessions (session_id, created_at, updated_at) VALUES (1, 1, 1)")
    assert db("downgrade", "--revision", "base", "--url", sqlite.url) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("praison-persist: ")
    assert "--force" in line
    assert db("downgrade", "--revision", "base", "--force", "--url", sqlite.url) == 0


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["upgrade", "--url", "oracle://x"],
        ["upgrade", "--url", "sqlite://"],
        ["upgrade", "--url", "x.db", "--table-prefix", "a b"],
        ["upgrade"],
        ["downgrade", "--url", "x.db"],
        ["sql", "--dialect", "oracle"],
        ["no-such-command"],
    ],
)
def test_a_wrong_command_is_status_2(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PRAISONAI_CONVERSATION_URL", raising=False)
    assert db(*words) == 2


def test_the_url_may_come_from_the_environment(
    sqlite: Scratch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRAISONAI_CONVERSATION_URL", sqlite.url)
    assert db("upgrade") == 0
    assert migrate.current(sqlite.url) == migrate.HEAD


@pytest.mark.parametrize(
    "words", [["upgrade"], ["check"], ["current"], ["adopt"], ["sql", "--help"]]
)
def test_no_password_is_printed(
    words: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRAISONAI_CONVERSATION_URL", "postgresql://me:s3cret@127.0.0.1:1/x")
    assert db(*words) == (0 if "--help" in words else 1)
    said = capsys.readouterr()
    assert "s3cret" not in said.out + said.err


def test_sql_ini_and_history_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert db("sql", "--dialect", "sqlite") == 0
    assert "CREATE TABLE praison_sessions" in capsys.readouterr().out
    assert db("ini") == 0
    assert Path(capsys.readouterr().out.strip()).read_text("utf-8").count("script_location") == 1
    assert db("history") == 0
    assert capsys.readouterr().out.startswith(f"{migrate.HEAD}  ")


def test_the_package_runs_as_a_module(sqlite: Scratch) -> None:
    program = [sys.executable, "-m", "praison_persist", "db", "upgrade", "--url", sqlite.url]
    ended = subprocess.run(program, env=environment(), capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, f"{migrate.HEAD}\n", "")


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": ":".join(path for path in sys.path if path)}


# Alembic's own command line


def alembic(*words: str, ini: Path | None = None) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-m", "alembic", "-c", str(ini or migrate.ini_path()), *words]
    return subprocess.run(program, env=environment(), capture_output=True, text=True, check=False)


def test_alembic_itself_upgrades_checks_and_downgrades(database: Scratch) -> None:
    x = ["-x", f"url={database.url}", "-x", "table_prefix=p_"]
    for words in (["upgrade", "head"], ["check"], ["current", "--check-heads"]):
        ended = alembic(*x, *words)
        assert ended.returncode == 0, ended.stderr
    assert migrate.check(database.url, table_prefix="p_") == []
    database.run("INSERT INTO p_sessions (session_id, created_at, updated_at) VALUES ('a', 1, 1)")
    refused = alembic(*x, "downgrade", "base")
    assert refused.returncode != 0
    assert "-x force=true" in refused.stderr
    assert alembic(*x, "-x", "force=true", "downgrade", "base").returncode == 0
    assert migrate.current(database.url, table_prefix="p_") is None


def test_alembic_itself_adopts(sqlite: Scratch) -> None:
    load(OLD, sqlite)
    ended = alembic("-x", f"url={sqlite.url}", "-x", "table_prefix=praisonai_", "upgrade", "head")
    assert ended.returncode == 0, ended.stderr
    assert "created 1 sessions" in ended.stderr
    assert migrate.check(sqlite.url, table_prefix="praisonai_") == []


def test_alembic_itself_writes_scripts(capsys: pytest.CaptureFixture[str]) -> None:
    for where in ("dialect=postgresql", "url=postgresql://me:s3cret@nowhere.invalid/x"):
        ended = alembic("-x", where, "upgrade", "head", "--sql")
        assert ended.returncode == 0, ended.stderr
        assert ended.stdout.rstrip() == migrate.offline_sql(dialect="postgresql").rstrip()


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        (["upgrade", "head"], "alembic -x url="),
        (["upgrade", "head", "--sql"], "alembic -x dialect="),
        (["-x", "url=oracle://x", "upgrade", "head"], "Unknown SQL scheme"),
        (["-x", "url=postgresql://me:s3cret@127.0.0.1:1/x", "upgrade", "head"], "unavailable"),
        (["-x", "url=x.db", "-x", "table_prefix=a b", "upgrade", "head"], "table_prefix"),
    ],
)
def test_alembic_prints_our_errors_as_its_own(words: list[str], remedy: str) -> None:
    ended = alembic(*words)
    assert ended.returncode != 0
    assert remedy in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "s3cret" not in ended.stderr


def test_an_ini_of_the_user_needs_only_the_location_and_the_url(
    sqlite: Scratch, tmp_path: Path
) -> None:
    ini = tmp_path / "mine.ini"
    location = str(migrate.script_location()).replace("%", "%%")
    ini.write_text(
        f"[alembic]\nscript_location = {location}\nsqlalchemy.url = {sqlite.url}\n"
        "table_prefix = mine_\n",
        "utf-8",
    )
    ended = alembic("upgrade", "head", ini=ini)
    assert ended.returncode == 0, ended.stderr
    assert migrate.check(sqlite.url, table_prefix="mine_") == []


def test_a_host_may_hand_over_its_connection(database: Scratch) -> None:
    """In the host's transaction: where DDL is transactional, it decides whether it happened."""
    config = Config()
    config.set_main_option("script_location", str(migrate.script_location()).replace("%", "%%"))
    with database.engine().connect() as connection:
        config.attributes["connection"] = connection
        with connection.begin() as transaction:
            command.upgrade(config, "head")
            assert connection.in_transaction()
            transaction.rollback() if database.is_transactional else transaction.commit()
        there = sa.inspect(connection).has_table("praison_sessions")
        # SQLite's driver of itself begins no transaction for DDL.
        assert there is (database.kind != "postgresql")
        connection.rollback()
        command.upgrade(config, "head")
        connection.commit()
    with database.connect() as connection:
        assert migrate.is_current(connection, tables())


def test_adoption_refuses_a_connection_that_would_cascade(sqlite: Scratch) -> None:
    load(OLD, sqlite)
    config = Config()
    config.set_main_option("script_location", str(migrate.script_location()).replace("%", "%%"))
    config.attributes["table_prefix"] = "praisonai_"
    with sqlite.engine().connect() as connection:
        connection.exec_driver_sql("PRAGMA foreign_keys=ON")
        connection.rollback()
        config.attributes["connection"] = connection
        with pytest.raises(CommandError, match="foreign_keys=OFF"):
            command.upgrade(config, "head")


def test_alembics_command_line_sets_up_its_own_logging(sqlite: Scratch) -> None:
    ended = alembic("-x", f"url={sqlite.url}", "upgrade", "head")
    assert "Running upgrade  -> 0001" in ended.stderr


def test_a_new_revision_can_be_written(sqlite: Scratch, tmp_path: Path) -> None:
    """The template makes a module that the linter accepts."""
    scripts = tmp_path / "migrations"
    (scripts / "versions").mkdir(parents=True)
    ours = migrate.script_location()
    for path in (ours / "env.py", ours / "script.py.mako", *ours.glob("versions/*.py")):
        (scripts / path.relative_to(ours)).write_text(path.read_text("utf-8"), "utf-8")
    ini = tmp_path / "alembic.ini"
    ini.write_text(migrate.ini_path().read_text("utf-8"), "utf-8")
    x = ["-x", f"url={sqlite.url}"]
    assert alembic(*x, "upgrade", "head", ini=ini).returncode == 0
    written = alembic(*x, "revision", "--autogenerate", "-m", "later", "--rev-id", "0003", ini=ini)
    assert written.returncode == 0, written.stderr
    text = (scripts / "versions" / "0003_later.py").read_text("utf-8")
    assert "pass" in text  # nothing to do: autogenerate found no difference
    assert alembic(*x, "upgrade", "head", ini=ini).returncode == 0
    assert alembic(*x, "current", ini=ini).stdout.startswith("0003")
