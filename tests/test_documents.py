"""What README and the documents show is so: programs run, commands exist, no block escapes."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from local_llm import LocalLLM

from praison_persist import support

from .document_servers import SERVERS
from .documents import (
    DOCS,
    DOCUMENTS,
    blocks,
    check_options,
    check_printed,
    commands,
    fences,
    name_of,
    printed_by,
    run_in_one_process,
)
from .programs import ROOT, environment, python

# Documents whose programs need what is not installed here -> the tests that run them.
_VENDORS = "tests/knowledge/test_documents.py"
ELSEWHERE = {
    "docs/knowledge/": _VENDORS,
    "docs/conversation/surrealdb.md": _VENDORS,
    "docs/integrations/": "tests/integrations/test_documents.py",
}
# The same for commands.
COMMANDS_ELSEWHERE = {
    "docs/cli.md": "tests/cli/test_documents.py",
    "docs/copying.md": "tests/cli/test_copying_document.py",
}
SUITES = {"CONTRIBUTING.md": "raced", "docs/writing_a_backend.md": "globs"}
# Blocks of no language that could be run -> why not.
PLAIN = {"docs/state/firestore.md": "commands of Google's, for a project there"}
# Whose first program ends before the others begin, which go on where it stopped.
RESUMED = (ROOT / "README.md", DOCS / "index.md")
SERVED = [DOCS / name for name in SERVERS]


def elsewhere(document: Path, places: dict[str, str] = ELSEWHERE) -> str | None:
    """Return the tests that a document's blocks are run by, if not by these."""
    found = (tests for place, tests in places.items() if name_of(document).startswith(place))
    return next(found, None)


def _has(language: str) -> list[Path]:
    return [each for each in DOCUMENTS if blocks(each, language)]


def _is_suite(program: str) -> bool:
    return "\nclass Test" in program


def _programs(document: Path) -> list[str]:
    """Return the programs that need no server."""
    if elsewhere(document) or document in SERVED:
        return []
    return [each for each in blocks(document, "python") if not _is_suite(each)]


def _typed(document: Path) -> list[list[str]]:
    """Return the words of our own commands."""
    if elsewhere(document, COMMANDS_ELSEWHERE):
        return []
    ours = (line for line in commands(document) if line.startswith("praison-persist "))
    return [shlex.split(line)[1:] for line in ours]


_COMMAND = """
from praison_persist import cli

status = cli.main({words})
assert status == 0, status
"""
RUN = [each for each in DOCUMENTS if _programs(each) or _typed(each)]


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


@pytest.mark.parametrize("document", RUN, ids=name_of)
def test_programs_and_commands_do_what_is_said(
    document: Path, variables: dict[str, str], work: Path
) -> None:
    """One after the other in one folder, as a reader would try them; then what is typed."""
    shutil.copy(ROOT / "tests/assets/legacy/sqlite-4.7.19.db", work / "old.db")
    programs = [*_programs(document), *(_COMMAND.format(words=each) for each in _typed(document))]
    first = 1 if document in RESUMED else 0
    for together in (programs[:first], programs[first:]):
        if together:
            run_in_one_process(together, work, variables)


@pytest.mark.parametrize("document", SERVED, ids=name_of)
@pytest.mark.filterwarnings("default")  # a user's program is not made to fail by those of clients
def test_programs_of_servers_print_what_their_comments_say(
    document: Path, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server that a page names is replaced by one of the tests, and nothing else."""
    monkeypatch.chdir(work)
    page = document.relative_to(DOCS).as_posix()
    with SERVERS[page](work.parent, monkeypatch) as instead:
        programs = blocks(document, "python")
        for shown in instead:
            assert any(shown in program for program in programs), shown
        for program in programs:
            for shown, there in instead.items():
                program = program.replace(shown, there)  # noqa: PLW2901 - step by step
            check_printed(program, printed_by(program))


@pytest.mark.parametrize("document", SUITES)
def test_the_suites_shown_to_authors_of_stores_run(
    document: str, tmp_path: Path, work: Path
) -> None:
    (suite,) = filter(_is_suite, blocks(ROOT / document, "python"))
    (work / "test_mine.py").write_text(suite, encoding="utf-8")
    arguments = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", SUITES[document])
    ended = python(*arguments, cwd=work, variables=environment(tmp_path))
    assert ended.returncode == 0, ended.stdout
    assert "passed" in ended.stdout


def test_no_block_of_code_escapes() -> None:
    """A language that nothing runs, a suite that nobody knows, code without a fence."""
    for document in DOCUMENTS:
        name = name_of(document)
        text = document.read_text(encoding="utf-8")
        assert text.count("\n```") == 2 * len(fences(document)), f"{name}: a fence is not closed"
        unfenced = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
        if not name.startswith("docs/api/"):
            # After an empty line: else it goes on with the entry of a list.
            indented = re.search(r"\n\n    \S.*", unfenced)
            assert indented is None, f"{name}: {indented}"
        for fence in fences(document):
            where = f"{name}:{fence.line}"
            assert fence.language in ("python", "sh", "toml", "text"), where
            if fence.language == "text":
                assert name in PLAIN, where
            if fence.language == "python" and _is_suite(fence.text):
                assert name in SUITES, where


@pytest.mark.parametrize("tests", sorted({*ELSEWHERE.values(), *COMMANDS_ELSEWHERE.values()}))
def test_what_is_run_elsewhere_is_run_there(tests: str) -> None:
    """The modules have parametrised themselves with all pages of theirs, or name the one."""
    pages = [each for each in DOCUMENTS if tests in (elsewhere(each), _commands_run_by(each))]
    if not pages and not (ROOT / tests).exists():
        return  # there are no such documents
    source = (ROOT / tests).read_text(encoding="utf-8")
    for page in pages:
        assert page.name in source or "glob(" in source, page


def _commands_run_by(document: Path) -> str | None:
    return elsewhere(document, COMMANDS_ELSEWHERE)


@pytest.mark.parametrize("document", _has("toml"), ids=name_of)
def test_toml_is_toml(document: Path) -> None:
    for block in blocks(document, "toml"):
        assert tomllib.loads(block)


@pytest.mark.parametrize("document", _has("sh"), ids=name_of)
def test_commands_exist(document: Path) -> None:
    for line in commands(document):
        words = shlex.split(line)
        if words[0] == "make":
            subprocess.run(
                ["make", "--dry-run", *words[1:]], cwd=ROOT, check=True, stdout=subprocess.DEVNULL
            )
        elif words[:2] == ["pip", "install"]:
            extras = re.findall(r"[\w-]+", words[2].partition("[")[2])
            declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
            assert set(extras) <= set(declared["project"]["optional-dependencies"]), line
        elif words[0] == ".ci/run":
            assert os.access(ROOT / words[0], os.X_OK)
        else:
            assert words[0] in ("praison-persist", "alembic"), line


def test_alembic_s_own_command_works(work: Path) -> None:
    """In a checkout, on a database that is elsewhere."""
    lines = [line for each in DOCUMENTS for line in commands(each) if line.startswith("alembic ")]
    assert lines
    for line in lines:
        words = shlex.split(line.replace("sqlite:///agent.db", f"sqlite:///{work}/agent.db"))
        ended = python("-m", *words, cwd=ROOT, variables=dict(os.environ))
        assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_files_that_are_named_exist(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    links = re.findall(r"\]\((?!https?:)([^)#]+)", text)
    folders = "tests|docs|examples|praison_persist|migrations|benchmarks"
    paths = re.findall(rf"`((?:{folders})/[\w./-]*)`", text)
    for place, names in ((document.parent, links), (ROOT, paths)):
        for name in names:
            assert (place / name).exists(), name


# Backends

_HEADINGS = ("Install", "Use", "Options", "Layout", "Consistency", "Limits", "Tested")
_BACKENDS = [pytest.param(each, id=support.page_of(each)) for each in support.supported()]


@pytest.mark.parametrize("backend", _BACKENDS)
def test_every_backend_has_a_page_of_the_template(backend: support.Supported) -> None:
    page = DOCS / support.page_of(backend)
    text = page.read_text(encoding="utf-8")
    assert support.written(text, backend) == text, "run: make support"
    sections = re.findall(r"^## (.*)\n\n([^#]*)", text, re.MULTILINE)
    titles = [title for title, _ in sections if title in _HEADINGS]
    assert titles == list(_HEADINGS)
    assert sections[-1][0] == "Tested"
    assert all(body.strip() for _, body in sections), "an empty section"
    extra = backend.first.extra
    shown = f"'praison-persist[{extra}]'" if extra else "praison-persist"
    assert blocks(page, "sh")[0] == f"pip install {shown}\n"
    assert blocks(page, "python")


@pytest.mark.parametrize(
    "backend", [each for each in _BACKENDS if elsewhere(DOCS / str(each.id)) is None]
)
def test_the_options_of_a_page_are_those_of_the_constructor(backend: support.Supported) -> None:
    check_options(backend.first.path)


def test_every_page_of_a_backend_is_one_of_a_backend() -> None:
    kinds = {each.kind for each in support.supported()}
    there = {
        page.relative_to(DOCS).as_posix() for kind in kinds for page in (DOCS / kind).iterdir()
    }
    assert there == {support.page_of(each) for each in support.supported()}


@pytest.mark.parametrize(
    ("document", "folder"), [(ROOT / "README.md", "docs/"), (DOCS / "backends.md", "")]
)
def test_the_support_table_is_that_of_the_backends(document: Path, folder: str) -> None:
    text = document.read_text(encoding="utf-8")
    assert support.written_into(text, folder) == text, "run: make support"
