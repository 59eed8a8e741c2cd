"""What is installed: a cheap import, types, migrations, and metadata that say what it is."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest

import praison_persist

from .programs import ROOT, environment, python

MIGRATIONS = {
    path.relative_to(ROOT).as_posix()
    for pattern in ("*.py", "*.mako", "versions/*.py")
    for path in (ROOT / "migrations").glob(pattern)
}
IMPORT_LIMIT_S = 0.05


@pytest.fixture
def run(tmp_path: Path) -> Callable[[str], str]:
    """Run a program in a new interpreter; return what it printed."""

    def run(program: str) -> str:
        ended = python("-c", program, cwd=tmp_path, variables=environment(tmp_path))
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    return run


def test_importing_loads_neither_sqlalchemy_nor_a_driver(run: Callable[[str], str]) -> None:
    loaded = run("import praison_persist, sys; print(*sys.modules)").split()
    heavy = {
        *("sqlalchemy", "alembic", "sqlite3", "aiosqlite", "psycopg", "asyncpg", "pymysql"),
        *("aiomysql", "praisonaiagents", "openai", "litellm", "asyncio", "pytest"),
    }
    assert not heavy & {name.partition(".")[0] for name in loaded}


def test_values_and_errors_load_no_sqlalchemy_either(run: Callable[[str], str]) -> None:
    program = """
import sys
from praison_persist import ConversationMessage, ConversationStore, PersistError
assert "sqlalchemy" not in sys.modules
"""
    run(program)


def test_importing_is_cheap(run: Callable[[str], str]) -> None:
    """The least processor time of some runs: what a busy machine adds is not the package's."""
    program = """
import time
begun = time.process_time()
import praison_persist
print(time.process_time() - begun)
"""
    assert min(float(run(program)) for _ in range(7)) < IMPORT_LIMIT_S


def test_types_are_announced() -> None:
    assert (ROOT / "praison_persist" / "py.typed").is_file()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the sdist and the wheel."""
    pytest.importorskip("hatchling", reason="the build backend: pip install hatchling")
    folder = tmp_path_factory.mktemp("dist")
    program = [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-t", "wheel"]
    ended = subprocess.run(
        [*program, "-d", folder], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return folder


def test_the_sdist_has_what_a_checkout_needs(built: Path) -> None:
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert names >= MIGRATIONS | {"alembic.ini", "pyproject.toml", "LICENSE", "README.md"}
    assert names >= {"Makefile", "praison_persist/py.typed", "examples/demo.py"}
    assert "tests/test_packaging.py" in names
    hidden = {name for name in names if name.startswith(".") or "__pycache__" in name}
    assert hidden <= {".gitignore"}  # which hatchling adds


def test_the_wheel_has_types_and_migrations(built: Path) -> None:
    (path,) = built.glob("*.whl")
    names = set(zipfile.ZipFile(path).namelist())
    assert names >= {f"praison_persist/{name}" for name in MIGRATIONS}
    assert names >= {"praison_persist/alembic.ini", "praison_persist/py.typed"}
    assert "praison_persist/conversation/supabase.sql" in names
    assert {name.partition("/")[0] for name in names} == {
        "praison_persist",
        f"praison_persist-{praison_persist.__version__}.dist-info",
    }


def test_the_metadata_are_complete(built: Path) -> None:
    (path,) = built.glob("*.whl")
    with zipfile.ZipFile(path) as wheel:
        (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
        metadata: Message = Parser().parsestr(wheel.read(name).decode())
        (licence,) = (name for name in wheel.namelist() if name.endswith("/licenses/LICENSE"))
        assert "Version 2.0, January 2004" in wheel.read(licence).decode()
    assert metadata["Name"] == "praison-persist"
    assert metadata["Version"] == praison_persist.__version__
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Summary"]
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert str(metadata.get_payload()).startswith("# praison_persist")
    assert "Typing :: Typed" in metadata.get_all("Classifier", [])
    assert set(metadata.get_all("Provides-Extra", [])) >= {"agents", "postgres", "mysql", "testing"}


def test_the_version_in_the_changelog_is_the_package_s() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## \[([\d.]+)\]", changelog, re.MULTILINE)
    assert newest is not None
    assert newest[1] == praison_persist.__version__
