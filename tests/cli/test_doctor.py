from __future__ import annotations

import hashlib
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from praison_persist.cli import examination
from praison_persist.cli.examination import Examination, Verdict, examine, median_ms
from praison_persist.sql import migrate
from praison_persist.sql.url import parse_url
from tests.programs import ROOT, environment, python
from tests.servers import free_port
from tests.services.cockroach import Cockroach
from tests.services.sqld import Sqld
from tests.state.services import namespace

from .commands import tell

LEGACY = ROOT / "tests" / "assets" / "legacy" / "sqlite-4.7.19.db"


def conversation(url: str, **options: Any) -> Examination:
    return examine("conversation", None, url, options)


def written(folder: Path) -> dict[str, str]:
    """Return what is in the files of a folder."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture
def sqlite(sqlite_template: Path) -> Path:
    """An SQLite file with its tables, in the working directory."""
    shutil.copy(sqlite_template, "agent.db")
    return Path("agent.db").absolute()


@pytest.fixture
def _full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examination, "LEAST_FREE", sys.maxsize)


def test_a_healthy_file_is_told_with_its_facts(
    sqlite: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = written(Path())
    (found,) = tell(capsys, "doctor", "--url", f"sqlite:///{sqlite}", "--json").json
    assert (found["verdict"], found["problems"]) == ("ok", [])
    facts = found["facts"]
    assert facts["schema"] == facts["schema_of_this_package"] == migrate.HEAD
    assert facts["server"].startswith("SQLite 3.")
    assert facts["file_size"] == sqlite.stat().st_size
    assert facts["latency_ms"] > 0
    assert {"batch", "cursors", "dump"} <= set(facts["capabilities"])
    told = tell(capsys, "doctor", "--url", str(sqlite))
    assert (told.status, told.err) == (0, "")
    assert told.out.startswith(f"conversation: ok sqlite:///{sqlite}\n")
    assert written(Path()) == before


def test_what_is_not_there_is_said_and_not_made(capsys: pytest.CaptureFixture[str]) -> None:
    """Looking makes an empty database, and the second look finds it well."""
    Path("empty.db").touch()
    for words in (
        ["--url", "sqlite:///none.db"],
        ["--url", "empty.db"],
        ["--url", "json:none"],
        ["--state-url", "sqlite:///none.db"],
        ["--knowledge-url", "sqlite:///none.db"],
    ):
        told = tell(capsys, "doctor", *words)
        assert told.status == 1
        assert ": absent " in told.out.splitlines()[0]
        assert written(Path()) == {"empty.db": hashlib.sha256(b"").hexdigest()}


@pytest.mark.parametrize(
    ("backend", "url"),
    [
        ("chroma", None),
        ("lancedb", None),
        ("lightrag", None),
        ("lancedb", "lancedb://folder"),
        ("lightrag", "lightrag://folder"),
        ("milvus", "milvus:///folder/file.db"),
        ("surrealdb", "surrealkv://folder"),
    ],
)
def test_an_embedded_engine_is_not_made_either(backend: str, url: str | None) -> None:
    found = examine("knowledge", backend, url, {})
    assert found.verdict is Verdict.ABSENT
    assert not list(Path().iterdir())


def test_a_file_of_state_is_not_made_and_told_that_it_will_be() -> None:
    for url in ("memory:///none.json", "memory:///folder/below/none.json"):
        found = examine("state", None, url, {})
        assert found.verdict is Verdict.OK
        assert found.facts["file"] == "none yet, the first write makes it"
        assert found.facts["disk_free"] > 0
    assert not list(Path().iterdir())
    Path("some.json").write_text("not of ours", "utf-8")
    found = examine("state", None, "memory:///some.json", {})
    assert found.verdict is Verdict.FAILED
    assert found.facts["file_size"] == 11


def test_a_file_of_state_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    """As another user: root may write where it likes."""
    folder = Path(tempfile.mkdtemp())  # pytest's own folders are closed to others
    folder.chmod(0o555)
    program = f"""
import os, sys
from pathlib import Path
from praison_persist.cli.examination import Examination, examine_file
if os.geteuid() == 0:
    os.setgid(65534), os.setuid(65534)
found = Examination("state")
examine_file(found, Path({str(folder)!r}, "none.json"))
print(found.verdict, found.problems)
"""
    ended = python("-c", program, cwd=tmp_path, variables=environment(tmp_path))
    folder.rmdir()
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("failed [")
    assert "none.json cannot be written: give this user the file and its folder" in ended.stdout


def test_tables_of_praisonai_are_told_with_what_to_type(
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copy(LEGACY, "old.db")
    before = written(Path())
    told = tell(capsys, "doctor", "--url", "old.db")
    assert told.status == 1
    assert told.out.startswith("conversation: schema old ")
    assert f"praison-persist db upgrade --url sqlite:///{Path('old.db').absolute()}" in told.out
    assert written(Path()) == before


def test_a_database_of_a_newer_package_is_told(sqlite: Path) -> None:
    engine = sa.create_engine(f"sqlite:///{sqlite}", poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE praison_alembic_version SET version_num = '9999'"))
    found = conversation(str(sqlite))
    assert found.verdict is Verdict.SCHEMA_NEW
    assert "pip install --upgrade" in found.problems[0]


def test_tables_that_were_changed_by_hand_are_told(sqlite: Path) -> None:
    engine = sa.create_engine(f"sqlite:///{sqlite}", poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(sa.text("DROP INDEX ix_praison_spans_id"))
    found = conversation(str(sqlite))
    assert found.verdict is Verdict.FAILED
    assert "praison-persist db check" in found.problems[0]


@pytest.mark.usefixtures("_full_disk")
def test_a_disk_that_is_nearly_full_is_told(sqlite: Path) -> None:
    Path("folder").mkdir()
    for url in (str(sqlite), "json:folder"):
        found = conversation(url)
        assert found.verdict is Verdict.FAILED
        assert "make room" in found.problems[0]


@pytest.mark.parametrize(("server_time", "wrong"), [(1000.5, False), (1003.0, True), (990, True)])
def test_a_clock_that_is_off_is_told(server_time: float, wrong: bool) -> None:
    found = Examination("state")
    found.compare_clock(server_time, 999.9, 1000.1)
    assert found.facts["clock_skew_s"] == pytest.approx(server_time - 1000)
    assert bool(found.problems) is wrong


def test_the_latency_is_a_median_without_the_first_ping() -> None:
    """The first one connects, and one in five meets a pause of something else."""
    now, took = [0.0], iter([9.0, 0.002, 0.001, 7.0, 0.003, 0.002])

    def ping() -> None:
        now[0] += next(took)

    assert median_ms(ping, clock=lambda: now[0]) == pytest.approx(2, abs=0.01)


# Servers


@pytest.mark.parametrize("database", ["postgres_database", "mariadb_database"])
def test_a_server_is_told_with_its_facts(database: str, request: pytest.FixtureRequest) -> None:
    url = request.getfixturevalue(database)
    found = conversation(url, table_prefix="doctor_")
    assert found.verdict is Verdict.ABSENT  # and its tables are not made
    assert "db upgrade" in found.problems[0]
    assert conversation(url, table_prefix="doctor_").verdict is Verdict.ABSENT
    migrate.upgrade(url, table_prefix="doctor_")
    found = conversation(url, table_prefix="doctor_")
    assert (found.verdict, found.problems) == (Verdict.OK, [])
    facts = found.facts
    assert "PostgreSQL" in facts["server"] or "MariaDB" in facts["server"]
    assert facts["pool"]["size"] == 5
    assert 0 < facts["pool"]["server_connections"] <= facts["pool"]["server_max_connections"]
    assert facts["tls"] is False
    assert "clock_skew_s" in facts
    state = examine("state", None, url, {"table_prefix": "doctor_"})
    assert (state.verdict, state.facts["schema"]) == (Verdict.OK, migrate.HEAD)


def test_libsql_is_told_with_its_facts(own_sqld: Sqld) -> None:
    found = conversation(own_sqld.url)
    assert (found.verdict, found.problems) == (Verdict.OK, [])
    assert found.facts["server"].startswith("SQLite ")
    assert found.facts["schema"] == migrate.HEAD


def test_cockroachdb_is_told_with_its_facts(cockroach: Cockroach) -> None:
    found = conversation(cockroach.url)
    assert found.verdict is Verdict.ABSENT
    assert {"server", "clock_skew_s", "latency_ms", "pool"} <= found.facts.keys()


def test_singlestore_is_told_with_its_facts(singlestore_database: str) -> None:
    found = conversation(singlestore_database)
    assert found.verdict is Verdict.ABSENT
    assert {"clock_skew_s", "latency_ms", "pool"} <= found.facts.keys()


def _with(url: str, **parts: Any) -> str:
    return parse_url(url).url.set(**parts).render_as_string(hide_password=False)


@pytest.mark.parametrize("database", ["postgres_database", "mariadb_database"])
def test_refused_and_unreachable_are_told_apart(
    database: str, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    url = request.getfixturevalue(database)
    stranger = _with(url, username="nobody_here", password="s3cret")
    away = _with(stranger, port=free_port())
    for place, verdict in ((stranger, "refused"), (away, "unreachable")):
        told = tell(capsys, "doctor", "--url", place)
        assert told.status == 1
        assert told.out.startswith(f"conversation: {verdict} ")
        assert "s3cret" not in told.out + told.err


def test_a_missing_driver_is_told_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("psycopg", "asyncpg", "pymongo"):
        monkeypatch.setitem(sys.modules, name, None)
    found = conversation("postgresql://127.0.0.1:1/x")
    assert found.verdict is Verdict.DRIVER_MISSING
    assert "praison-persist[postgres]" in found.problems[0]


@pytest.fixture
def redis_url() -> Iterator[str]:
    with namespace() as (url, _prefix):
        yield url


def test_redis_is_told_with_its_facts(redis_url: str) -> None:
    found = examine("state", None, redis_url, {})
    assert (found.verdict, found.problems) == (Verdict.OK, [])
    assert found.facts["server"].startswith(("redis ", "valkey "))
    assert found.facts["pool"]["server_connections"] > 0
    assert "clock_skew_s" in found.facts
    assert found.facts["tls"] is False
    assert found.facts["driver"].startswith("redis ")


def test_redis_refused_and_unreachable_are_told_apart(
    redis_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Retries of a server that is away are told as warnings, before what is wrong is."""
    host = redis_url.partition("//")[2].rpartition("@")[2].partition("/")[0]
    for url, verdict in (
        (f"redis://nobody:s3cret@{host}/0", "refused"),
        (f"redis://nobody:s3cret@127.0.0.1:{free_port()}/0", "unreachable"),
    ):
        told = tell(capsys, "doctor", "--state-url", url)
        assert (told.status, told.err) == (1, "")
        assert told.out.startswith(f"state: {verdict} ")
        assert "s3cret" not in told.out


# Which stores


def test_the_environment_names_the_stores(
    sqlite: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PRAISON_CONVERSATION_URL", str(sqlite))
    monkeypatch.setenv("PRAISONAI_STATE_STORE", "memory")
    found = tell(capsys, "doctor", "--json").json
    assert [(one["kind"], one["verdict"]) for one in found] == [
        ("conversation", "ok"),
        ("state", "ok"),
    ]
    (found,) = tell(capsys, "doctor", "--knowledge-url", str(sqlite), "--json").json
    assert found["kind"] == "knowledge"
    found = tell(capsys, "doctor", "--knowledge-url", f"sqlite:///{sqlite}", "--all", "--json").json
    assert [one["kind"] for one in found] == ["conversation", "knowledge", "state"]


def test_without_any_store_the_command_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    told = tell(capsys, "doctor")
    assert (told.status, told.out) == (2, "")
    assert "PRAISON_STATE_URL" in told.err


def test_all_stores_are_looked_at_though_one_is_wrong(
    sqlite: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--url", "nonsense://x", "--state-url", f"sqlite:///{sqlite}", "--json"]
    told = tell(capsys, "doctor", *words)
    assert told.status == 1
    assert [one["verdict"] for one in told.json] == ["misconfigured", "ok"]
