from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from praison_persist.cli import app, main
from praison_persist.cli.output import print_json, print_line, print_table, visible
from praison_persist.cli.stores import open_conversations
from praison_persist.errors import NotFoundError, PersistError, SchemaError, UnavailableError
from praison_persist.models import ConversationSession
from tests.programs import environment, python

from .commands import add, tell

# The frame


@pytest.mark.parametrize("row", app.COMMANDS, ids=lambda row: row.name)
def test_every_command_has_help(row: app.Command, capsys: pytest.CaptureFixture[str]) -> None:
    """The name in the table is of a module or a function that does not exist."""
    told = tell(capsys, row.name, "--help")
    assert told.status == 0
    assert f"praison-persist {row.name}" in told.out


def test_help_loads_no_database(tmp_path: Path) -> None:
    """Help and completion, which a shell waits for, take a second."""
    program = """
import sys
from praison_persist.cli import main
assert main(["--help"]) == 0
heavy = {"sqlalchemy", "alembic", "asyncio", "sqlite3", "praisonaiagents"} & set(sys.modules)
assert not heavy, heavy
"""
    ended = python("-c", program, cwd=tmp_path, variables=environment(tmp_path))
    assert ended.returncode == 0, ended.stderr
    assert "db" in ended.stdout


def test_a_json_folder_is_read_without_sqlalchemy(tmp_path: Path) -> None:
    program = """
import sys
from praison_persist.cli.stores import open_conversations
with open_conversations("json:.") as opened:
    assert opened.sync_conversation.list_sessions() == []
assert "sqlalchemy" not in sys.modules
"""
    ended = python("-c", program, cwd=tmp_path, variables=environment(tmp_path))
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize(
    ("words", "offered"),
    [("praison-persist d", "db"), ("praison-persist db up", "upgrade")],
)
def test_a_shell_completes_names(words: str, offered: str, tmp_path: Path) -> None:
    variables = {
        **environment(tmp_path),
        "_PRAISON_PERSIST_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(words.count(" ")),
    }
    ended = python("-m", "praison_persist", cwd=tmp_path, variables=variables)
    assert offered in ended.stdout.split()


def test_a_shell_completes_values(tmp_path: Path) -> None:
    variables = {
        **environment(tmp_path),
        "_PRAISON_PERSIST_COMPLETE": "complete_bash",
        "COMP_WORDS": "praison-persist db sql --dialect m",
        "COMP_CWORD": "4",
    }
    ended = python("-m", "praison_persist", cwd=tmp_path, variables=variables)
    assert ended.stdout.split() == ["mariadb", "mysql"]


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        (["dbb"], "'db'"),
        (["db"], "praison-persist db --help"),
        (["db", "check", "--nothing"], "praison-persist db check --help"),
        (["db", "downgrade"], "--revision"),
        (["db", "check"], "PRAISON_CONVERSATION_URL"),
    ],
)
def test_a_wrong_command_is_one_line_with_the_remedy(
    words: list[str], remedy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    told = tell(capsys, *words)
    assert (told.status, told.out) == (2, "")
    (line,) = told.err.splitlines()
    assert line.startswith("praison-persist: ")
    assert remedy in line


def test_without_a_command_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    told = tell(capsys)
    assert (told.status, told.err) == (2, "")
    assert "Commands" in told.out


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert tell(capsys, "--version").out.startswith("praison-persist 0.")


def test_what_the_system_refuses_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    add(monkeypatch, "fill", "fails_on_disk")
    told = tell(capsys, "fill")
    assert told.status == 1
    assert told.err == "praison-persist: No space left on device: a.jsonl\n"


def test_an_interrupt_has_a_status_of_its_own(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    add(monkeypatch, "wait", "is_interrupted")
    told = tell(capsys, "wait")
    assert told.status == 130
    assert "Traceback" not in told.err


def test_a_reader_that_leaves_is_no_traceback(tmp_path: Path) -> None:
    """`praison-persist db sql | head -1` ends in a page of Python."""
    words = [sys.executable, "-m", "praison_persist", "db", "sql", "--dialect", "sqlite"]
    with subprocess.Popen(
        words,
        cwd=tmp_path,
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert "Traceback" not in process.stderr.read()


def test_a_poor_terminal_prints_what_it_can(tmp_path: Path) -> None:
    program = """
import sys
from praison_persist.cli import app, main
from praison_persist.cli.output import print_line
app._print_whatever_comes()
print_line("caf\\u00e9 \\U0001f600")
"""
    variables = {**environment(tmp_path), "PYTHONIOENCODING": "iso8859-5"}
    ended = python("-c", program, cwd=tmp_path, variables=variables)
    assert (ended.returncode, ended.stdout) == (0, "caf\\xe9 \\U0001f600\n")


# What is printed


def test_a_message_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """A stored message clears the screen, or sets the title, of who looks at it."""
    assert visible("a\x1b[2Jb\x07\x9b\tc\n") == "a\\x1b[2Jb\\x07\\x9b\tc\n"
    print_line("\x1b]0;title\x07")
    print_table(["x"], [["\x1b[31m"]])
    assert "\x1b" not in capsys.readouterr().out


def test_a_table_in_a_pipe_is_neither_broken_nor_cut(capsys: pytest.CaptureFixture[str]) -> None:
    long = "[red]word[/red] :smile: " * 40
    print_table(["name", "count"], [["a", 1], [long, None]], right=["count"])
    head, _first, second = capsys.readouterr().out.splitlines()
    assert head.split() == ["name", "count"]
    assert second == long.strip()


def test_json_is_one_document_that_any_terminal_takes(capsys: pytest.CaptureFixture[str]) -> None:
    print_json([ConversationSession(session_id="é", created_at=1.0, updated_at=1.0)])
    out = capsys.readouterr().out
    assert out.isascii()
    assert out.count("\n") == 1
    assert '"session_id": "\\u00e9"' in out


# Stores


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("sqlite:///none.db", UnavailableError),
        ("json:none", NotFoundError),
        ("empty.db", SchemaError),
    ],
)
def test_what_only_reads_makes_nothing(url: str, error: type[PersistError]) -> None:
    """A mistyped path becomes an empty database, which is then said to hold no sessions."""
    Path("empty.db").touch()
    with pytest.raises(error), open_conversations(url):
        pass
    assert [(path.name, path.stat().st_size) for path in Path().iterdir()] == [("empty.db", 0)]


def test_what_writes_makes_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRAISON_CONVERSATION_URL", "sqlite:///new.db")
    with open_conversations(None, "p_", create=True) as opened:
        opened.sync_conversation.create_session(ConversationSession(session_id="s"))
    with open_conversations("new.db", "p_") as opened:
        assert opened.sync_conversation.get_session("s") is not None
    with pytest.raises(SchemaError, match="--table-prefix q_"), open_conversations("new.db", "q_"):
        pass


def test_a_backend_may_be_named_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRAISON_CONVERSATION_STORE", "json")
    monkeypatch.setenv("PRAISON_CONVERSATION_URL", "json:folder")
    Path("folder").mkdir()
    with open_conversations(None) as opened:
        assert opened.address.startswith("json:")


# db


def test_the_lists_of_db_are_json_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["db", "upgrade", "--url", "a.db"]) == 0
    head = tell(capsys, "db", "history", "--json").json[0]["revision"]
    assert tell(capsys, "db", "current", "--url", "a.db", "--json").json == {
        "revision": head,
        "head": head,
    }
    assert tell(capsys, "db", "check", "--url", "a.db", "--json").json == []
