"""What is in the wheel, used from a clean environment."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from praison_persist.sql import migrate

from .databases import Scratch

ROOT = Path(__file__).parent.parent.parent


def call(*words: str | Path, **more: str) -> subprocess.CompletedProcess[str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    return subprocess.run(
        [str(word) for word in words],
        env={**kept, **more},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("hatchling", reason="the build backend: pip install hatchling")
    folder = tmp_path_factory.mktemp("dist")
    program = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    built = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def bin_folder(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment that has the wheel and what it depends on."""
    folder = tmp_path_factory.mktemp("clean") / "venv"
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if uv is None:
        call(sys.executable, "-m", "venv", folder)
        install: list[str | Path] = [folder / "bin" / "python", "-m", "pip", "install"]
    else:
        call(uv, "venv", "--python", sys.executable, folder)
        install = [uv, "pip", "install", "--python", folder / "bin" / "python"]
    installed = call(*install, wheel)
    if installed.returncode != 0 and call(*install, "filelock").returncode != 0:
        if os.environ.get("PRAISON_REQUIRE_SERVICES") == "1":
            pytest.fail(installed.stderr)
        pytest.skip("no package index can be reached")
    assert installed.returncode == 0, installed.stderr
    return folder / "bin"


def test_the_wheel_carries_the_migrations_and_nothing_stray(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for name in ("alembic.ini", "migrations/env.py", "migrations/script.py.mako"):
        assert f"praison_persist/{name}" in names
    assert "praison_persist/migrations/versions/0001_create_or_adopt.py" in names
    assert not [name for name in names if "__pycache__" in name or name.startswith("migrations")]


def test_the_command_upgrades(bin_folder: Path, sqlite: Scratch) -> None:
    ended = call(bin_folder / "praison-persist", "db", "upgrade", "--url", sqlite.url)
    assert (ended.returncode, ended.stdout) == (0, f"{migrate.HEAD}\n"), ended.stderr
    assert migrate.check(sqlite.url) == []


def test_alembic_upgrades_with_the_ini_of_the_wheel(bin_folder: Path, sqlite: Scratch) -> None:
    ini = call(bin_folder / "praison-persist", "db", "ini").stdout.strip()
    assert Path(ini).is_relative_to(bin_folder.parent)
    ended = call(bin_folder / "alembic", "-c", ini, "-x", f"url={sqlite.url}", "upgrade", "head")
    assert ended.returncode == 0, ended.stderr
    assert migrate.check(sqlite.url) == []


def test_alembic_upgrades_with_an_ini_that_names_the_package(
    bin_folder: Path, sqlite: Scratch, tmp_path: Path
) -> None:
    ini = tmp_path / "mine.ini"
    ini.write_text(
        f"[alembic]\nscript_location = praison_persist:migrations\nsqlalchemy.url = {sqlite.url}\n",
        "utf-8",
    )
    ended = call(bin_folder / "alembic", "-c", ini, "upgrade", "head")
    assert ended.returncode == 0, ended.stderr
    assert migrate.check(sqlite.url) == []
