"""What only a terminal shows and asks: a bar, a question, Ctrl-C; and the completion of a shell."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from praison_persist.models import ConversationMessage, ConversationSession
from praison_persist.sql.stores import SQLConversationStore
from tests.programs import environment

from .conversations import fill
from .terminal import on_terminal


@pytest.fixture
def url(tmp_path: Path) -> str:
    return fill(tmp_path / "own.db")


def sessions(url: str) -> list[str]:
    with SQLConversationStore(url) as store:
        return sorted(session.session_id for session in store.list_sessions())


def test_a_copy_draws_a_bar_with_rate_and_time_left(tmp_path: Path) -> None:
    source = f"sqlite:///{tmp_path}/many.db"
    with SQLConversationStore(source) as store:
        store.create_session(ConversationSession("s"))
        for start in range(0, 20_000, 5_000):
            many = [
                ConversationMessage(id=f"m{i}", role="user", content="x")
                for i in range(start, start + 5_000)
            ]
            store.add_messages("s", many)
    words = ("copy", source, f"sqlite:///{tmp_path}/other.db", "--verify")
    with on_terminal(*words, cwd=tmp_path, variables=environment(tmp_path)) as terminal:
        assert terminal.ended() == 0
    shown = terminal.shown
    drawn = re.findall(r"copy conversation .*?([\d]+)/20000", shown)
    assert len(set(drawn)) > 2  # it moves
    assert [int(each) for each in drawn] == sorted(map(int, drawn))
    assert re.search(r"[\d,]+/s", shown)
    assert re.search(r"\d:\d\d:\d\d", shown)
    assert "verify conversation" in shown
    # The bar is gone at the end, and what stays is what a pipe gets.
    last = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", shown).rstrip().splitlines()[-2:]
    assert last[0].endswith(
        "conversation: 1 sessions, 20,000 messages in the source; "
        "1 sessions, 20,000 messages written"
    )
    assert last[1] == "conversation: verified, equal"


@pytest.mark.parametrize(("key", "status", "left"), [("y", 0, ["s0", "s2"]), ("n", 1, None)])
def test_deleting_asks(
    url: str, tmp_path: Path, key: str, status: int, left: list[str] | None
) -> None:
    words = ("sessions", "delete", "s1", "--url", url)
    with on_terminal(*words, cwd=tmp_path, variables=environment(tmp_path)) as terminal:
        terminal.until("Delete 1 session with 4 messages? [y/N]: ")
        terminal.press(f"{key}\n")
        assert terminal.ended() == status
    assert sessions(url) == (left or ["s0", "s1", "s2"])
    assert ("1 session deleted" in terminal.shown) is (status == 0)
    assert "Traceback" not in terminal.shown


def test_a_question_that_is_interrupted_deletes_nothing(url: str, tmp_path: Path) -> None:
    words = ("sessions", "delete", "s1", "--url", url)
    with on_terminal(*words, cwd=tmp_path, variables=environment(tmp_path)) as terminal:
        terminal.until("[y/N]: ")
        assert terminal.interrupted() == 130
    assert sessions(url) == ["s0", "s1", "s2"]
    assert "Traceback" not in terminal.shown


def test_following_a_session_ends_with_ctrl_c(url: str, tmp_path: Path) -> None:
    words = ("sessions", "tail", "s1", "--follow", "--interval", "0.05", "--url", url)
    with on_terminal(*words, cwd=tmp_path, variables=environment(tmp_path)) as terminal:
        terminal.until("degrees")
        with SQLConversationStore(url) as store:
            store.add_message("s1", ConversationMessage(role="user", content="and tomorrow?"))
        terminal.until("and tomorrow?")
        assert terminal.interrupted() == 130
    assert "\x1b[31mdegrees" not in terminal.shown  # what a message says steers no terminal


def test_bash_completes_with_the_script_that_is_installed(tmp_path: Path) -> None:
    """The protocol of the variable may change between releases of typer: bash itself tells."""
    bash = shutil.which("bash")
    assert bash is not None
    folder = tmp_path / "bin"
    folder.mkdir()
    command = folder / "praison-persist"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m praison_persist "$@"\n')
    command.chmod(0o755)
    variables = environment(tmp_path)
    variables["PATH"] = f"{folder}:{variables['PATH']}"
    program = """
        eval "$(_PRAISON_PERSIST_COMPLETE=source_bash praison-persist)"
        complete -p praison-persist
        completed() {
            COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
            _praison_persist_completion praison-persist
            echo "$*: ${COMPREPLY[*]}"
        }
        completed praison-persist im
        completed praison-persist sessions re
        completed praison-persist copy --ver
        completed praison-persist copy --kind sta
    """
    ended = subprocess.run(
        [bash, "--norc", "-c", program],
        cwd=tmp_path,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.stderr == ""
    script, *offered = ended.stdout.splitlines()
    assert "_praison_persist_completion praison-persist" in script
    assert offered == [
        "praison-persist im: import-legacy",
        "praison-persist sessions re: rename",
        "praison-persist copy --ver: --verify",
        "praison-persist copy --kind sta: state",
    ]


def test_completion_is_installed_and_shown(tmp_path: Path) -> None:
    variables = {**environment(tmp_path), "SHELL": "/bin/bash"}
    words = [sys.executable, "-m", "praison_persist"]
    shown, installed = (
        subprocess.run(
            [*words, option, "bash"],
            cwd=tmp_path,
            env={**variables, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        for option in ("--show-completion", "--install-completion")
    )
    assert shown.returncode == installed.returncode == 0, shown.stderr + installed.stderr
    assert "COMPREPLY" in shown.stdout
    scripts = [path for path in Path(variables["HOME"]).rglob("*") if path.is_file()]
    assert any("COMPREPLY" in path.read_text() for path in scripts)
