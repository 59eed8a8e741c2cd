"""What the README and the other documents show is so: programs run, commands exist, tables hold."""

from __future__ import annotations

import dataclasses
import inspect
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from local_llm import LocalLLM

from praison_persist import PraisonAIDB, cli, support
from praison_persist.sql import migrate
from praison_persist.sql.options import SQLOptions
from praison_persist.sql.url import parse_url

from .documents import blocks, check_printed
from .programs import ROOT, environment, python

README = ROOT / "README.md"
TRIED = [README, ROOT / "docs" / "migrations.md"]
_PROGRAMS = (
    "conversation_json.md",
    "copying.md",
    "drop_in.md",
    "knowledge.md",
    "orchestrator.md",
    "plugins.md",
    "scaling.md",
    "sessions.md",
    "sessions_sql.md",
    "state.md",
)
WITH_PROGRAMS = [*TRIED, *(ROOT / "docs" / name for name in _PROGRAMS)]
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/**/*.md"))]


def commands(document: Path) -> list[str]:
    return [line for block in blocks(document, "sh") for line in block.splitlines() if line]


def cells(document: Path, header: str) -> list[list[str]]:
    """Return the rows of the table that begins with `header`, without the first two lines."""
    text = document.read_text(encoding="utf-8")
    table = text[text.index(header) :].partition("\n\n")[0]
    return [
        [cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]
    ]


def code(cell: str) -> str:
    """Return what a cell has between its first backticks."""
    return cell.split("`")[1]


def test_the_support_table_is_that_of_the_backends() -> None:
    text = README.read_text(encoding="utf-8")
    assert support.written_into(text) == text, "run: make support"


@pytest.fixture
def variables(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of a program, with a model."""
    with LocalLLM() as llm:
        yield {**environment(tmp_path), **llm.environment()}


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """The folder that programs and commands run in."""
    (tmp_path / "work").mkdir()
    return tmp_path / "work"


@pytest.mark.parametrize("document", WITH_PROGRAMS, ids=lambda document: document.name)
def test_programs_print_what_their_comments_say(
    document: Path, variables: dict[str, str], work: Path
) -> None:
    """One after the other in one folder, as a reader would try them."""
    programs = blocks(document, "python")
    assert programs
    for program in programs:
        ended = python("-c", program, cwd=work, variables=variables)
        assert ended.returncode == 0, f"{program}\n{ended.stderr}"
        check_printed(program, ended.stdout.splitlines())


@pytest.mark.parametrize("document", TRIED, ids=lambda document: document.name)
def test_database_commands_do_what_is_said(
    document: Path, work: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(work)
    migrate.upgrade("agent.db")
    shutil.copy(ROOT / "tests/assets/legacy/sqlite-4.7.19.db", "old.db")
    ours = [line for line in commands(document) if line.startswith("praison-persist")]
    assert ours
    for line in ours:
        status = cli.main(shlex.split(line)[1:])
        assert status == 0, f"{line}\n{capsys.readouterr().err}"


def test_the_suite_shown_to_authors_of_stores_runs(tmp_path: Path, work: Path) -> None:
    (suite,) = blocks(ROOT / "CONTRIBUTING.md", "python")
    (work / "test_mine.py").write_text(suite, encoding="utf-8")
    arguments = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "raced")
    ended = python(*arguments, cwd=work, variables=environment(tmp_path))
    assert ended.returncode == 0, ended.stdout
    assert "passed" in ended.stdout


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_commands_exist(document: Path) -> None:
    for line in commands(document):
        words = shlex.split(line)
        if words[0] == "make":
            subprocess.run(
                ["make", "--dry-run", *words[1:]], cwd=ROOT, check=True, stdout=subprocess.DEVNULL
            )
        elif words[:2] == ["pip", "install"]:
            extras = words[2].partition("[")[2].rstrip("]").split(",")
            declared = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
            assert all(re.search(rf"^{extra} = \[", declared, re.MULTILINE) for extra in extras)
        elif words[0] == ".ci/run":
            assert os.access(ROOT / words[0], os.X_OK)
        else:
            assert words[0] in ("praison-persist", "alembic"), line


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_files_that_are_named_exist(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    links = re.findall(r"\]\((?!https?:)([^)#]+)", text)
    paths = re.findall(r"`((?:tests|docs|examples|praison_persist|migrations)/[\w./-]*)`", text)
    for place, names in ((document.parent, links), (ROOT, paths)):
        for name in names:
            assert (place / name).exists(), name


def test_the_options_are_those_of_the_code() -> None:
    shown = {
        code(name): code(default)
        for name, default, _unit, _meaning in cells(README, "| option | default | unit |")
    }
    assert shown == {field.name: repr(field.default) for field in dataclasses.fields(SQLOptions)}
    parameters = inspect.signature(PraisonAIDB).parameters
    for name, default, _meaning in cells(README, "| option | default | meaning |"):
        assert code(default) == repr(parameters[code(name)].default), name


def test_the_urls_mean_what_the_table_says() -> None:
    for url, database, sync, asynchronous, extra in cells(README, "| URL | database |"):
        target = parse_url(code(url))
        assert target.dialect.name in database.lower()
        drivers = [target.driver(is_async=False)]
        assert sync in (drivers[0].name, drivers[0].module)
        if not any(driver.is_async for driver in target.dialect.drivers):
            assert asynchronous == f"{sync} in a thread"
        elif not target.memory:
            drivers.append(target.driver(is_async=True))
            assert asynchronous == drivers[1].name
        named = set() if extra == "none" else set(map(code, extra.split(", ")))
        assert {driver.extra for driver in drivers} - {""} == named


def test_the_imports_for_those_who_switch_work() -> None:
    for _there, here in cells(README, "| there | here |"):
        if "import " in here:
            exec(code(here), {})
