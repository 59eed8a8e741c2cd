"""The command `copy`: what it says, its exit status, and going on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from praison_persist.config import create_knowledge_store, create_state_store
from praison_persist.models import ConversationMessage, KnowledgeDocument
from praison_persist.sql.stores import SQLConversationStore
from tests.programs import environment, python

from .conversations import Program


def test_conversations_are_copied_and_verified(program: Program, url: str, tmp_path: Path) -> None:
    other = f"sqlite:///{tmp_path}/other.db"
    assert program("copy", url, other, "--verify") == 0
    assert "3 sessions, 12 messages written" in program.out
    assert "verified, equal" in program.out
    (report,) = program.json("copy", url, other)
    assert report["found"] == {"sessions": 3, "messages": 12}
    assert report["written"] == {}
    assert not list(tmp_path.glob("praison-copy-*"))


def test_everything_is_copied(program: Program, url: str, tmp_path: Path) -> None:
    with create_state_store("sqlite", url) as state, create_knowledge_store("sqlite", url) as known:
        state.set("k", 1)
        known.create_collection("c", 2)
        known.insert("c", [KnowledgeDocument("d", "text", [1.0, 2.0])])
    other = f"sqlite:///{tmp_path}/other.db"
    looked = program.json("copy", url, other, "--kind", "all", "--dry-run")
    assert not (tmp_path / "other.db").exists()
    reports = program.json("copy", url, other, "--kind", "all", "--verify")
    assert [each["kind"] for each in reports] == ["conversation", "state", "knowledge"]
    assert [each["written"] for each in reports] == [each["found"] for each in looked]
    assert all(each["verified"] and not each["different"] for each in reports)
    with create_state_store("sqlite", other) as state:
        state.set("k", 2)
    words = ("copy", url, other, "--kind", "state")
    assert "--overwrite" in program.fails(1, *words)
    assert program(*words, "--overwrite") == 0


def test_a_difference_is_status_1(program: Program, url: str, tmp_path: Path) -> None:
    other = f"sqlite:///{tmp_path}/other.db"
    noted = tmp_path / "noted.json"
    assert program("copy", url, other) == 0
    position = {"copied": True, "newest": 9e9}
    entry = {"source": url, "target": other, "position": position}
    content = {"format": "praison_persist.copy/1", "copies": {"conversation": entry}}
    noted.write_text(json.dumps(content))  # as if all had been copied
    with SQLConversationStore(url) as store:
        store.add_message("s1", ConversationMessage(role="user"))
    assert program("copy", url, other, "--resume", "--checkpoint", noted, "--verify") == 1
    assert "session 's1' has 4 messages instead of 5" in program.out


def test_what_a_target_cannot_hold_is_refused(program: Program, url: str, tmp_path: Path) -> None:
    place = f"json:{tmp_path}/folder"
    assert "--conversation-only" in program.fails(1, "copy", url, place)
    assert program("copy", url, place, "--conversation-only", "--verify") == 0
    assert "left out: 3 runs, 3 traces" in program.out


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (("sqlite:///no.db", "sqlite:///other.db"), 1, "no SQLite file"),
        (("sqlite:///no.db", "sqlite:///other.db", "--kind", "state"), 1, "no SQLite file"),
        (("sqlite:///no.db", "sqlite:///other.db", "--kind", "knowledge"), 1, "no SQLite file"),
        (("json:no", "sqlite:///other.db"), 1, "no folder"),
        (("what://x", "sqlite:///other.db"), 2, "Unable to infer"),
        (("sqlite:///own.db", "sqlite:///other.db", "--resume"), 1, "no checkpoint"),
        (("sqlite:///own.db", "sqlite:///other.db", "--overwrite"), 2, "--overwrite"),
        (("sqlite:///own.db", "sqlite:///own.db"), 2, "two places"),
        (("sqlite:///own.db",), 2, "DST"),
        (("a", "b", "--kind", "x"), 2, "'x'"),
    ],
)
@pytest.mark.usefixtures("url")
def test_what_cannot_be_copied_is_said_in_a_line(
    program: Program, tmp_path: Path, words: tuple[str, ...], status: int, says: str
) -> None:
    assert says in program.fails(status, "copy", *words)
    assert [path.name for path in tmp_path.iterdir()] == ["own.db"]


def test_no_password_is_printed_or_noted(program: Program, url: str, tmp_path: Path) -> None:
    other = "postgresql://me:s3cret@127.0.0.1:1/none?connect_timeout=1"
    program.fails(1, "copy", url, other)
    assert "s3cret" not in program.err + program.out
    assert all(b"s3cret" not in path.read_bytes() for path in tmp_path.iterdir())


def test_a_process_ends_with_the_status(url: str, tmp_path: Path) -> None:
    variables = environment(tmp_path)
    words = ("-m", "praison_persist", "copy", url)
    done = python(*words, f"sqlite:///{tmp_path}/o.db", "--json", cwd=tmp_path, variables=variables)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)[0]["written"] == {"sessions": 3, "messages": 12}
    failed = python(*words, f"json:{tmp_path}/f", cwd=tmp_path, variables=variables)
    assert (failed.returncode, failed.stdout) == (1, "")
    assert failed.stderr.count("\n") == 1
