"""The commands on sessions: what they print, what they change, and what they refuse."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest

from praison_persist.models import ConversationMessage, ConversationSession
from praison_persist.sql.stores import SQLConversationStore
from praison_persist.transfer import copy_conversations
from tests.programs import environment

from .conversations import Program


@pytest.fixture
def folder(url: str, tmp_path: Path) -> str:
    """The URL of the same conversations as JSON files."""
    place = f"json:{tmp_path}/folder"
    copy_conversations(url, place, conversation_only=True)
    return place


@pytest.fixture(params=["sql", "json"])
def place(request: pytest.FixtureRequest, url: str) -> str:
    """The URL of conversations in either kind of place."""
    found: str = request.getfixturevalue("folder") if request.param == "json" else url
    return found


def test_sessions_are_listed_by_pages(program: Program, place: str) -> None:
    assert program("sessions", "list", "--url", place) == 0
    assert program.out.index("s2") < program.out.index("s1") < program.out.index("s0")
    first = program.json("sessions", "list", "--url", place, "--limit", 2)
    assert [each["session_id"] for each in first["sessions"]] == ["s2", "s1"]
    assert first["sessions"][0]["messages"] == 4
    cursor = first["next_cursor"]
    assert program("sessions", "list", "--url", place, "--limit", 2) == 0
    assert f"--cursor '{cursor}'" in program.out
    rest = program.json("sessions", "list", "--url", place, "--cursor", cursor)
    assert [each["session_id"] for each in rest["sessions"]] == ["s0"]
    assert rest["next_cursor"] is None


def test_sessions_are_filtered(program: Program, place: str) -> None:
    found = program.json("sessions", "list", "--url", place, "--user", "user1")
    assert [each["session_id"] for each in found["sessions"]] == ["s1"]


def test_a_session_is_drawn_with_its_tool_calls(program: Program, place: str) -> None:
    assert program("sessions", "show", "s1", "--url", place) == 0
    said = [
        program.out.index(part)
        for part in ("about 1", "weather in 1?", 'weather({"at": 1})', "weather: 21", "degrees")
    ]
    assert said == sorted(said)
    assert "\x1b" not in program.out


def test_the_newest_messages_are_shown(program: Program, place: str) -> None:
    assert program("sessions", "show", "s1", "--url", place, "-n", 1) == 0
    assert "3 earlier messages" in program.out
    assert "weather in" not in program.out
    found = program.json("sessions", "show", "s1", "--url", place, "-n", 1)
    assert [each["id"] for each in found["messages"]] == ["m4"]
    assert (found["count"], found["session"]["name"]) == (4, "about 1")


@pytest.mark.parametrize(
    "words",
    [
        ("show", "nobody"),
        ("tail", "nobody"),
        ("fork", "nobody"),
        ("rename", "nobody", "name"),
        ("export", "nobody"),
        ("export", "s0", "nobody"),
        ("delete", "s0", "nobody", "--yes"),
    ],
)
def test_an_unknown_session_is_an_error(
    program: Program, place: str, words: tuple[str, ...], tmp_path: Path
) -> None:
    before = program.json("sessions", "list", "--url", place)
    files = sorted(path.name for path in tmp_path.iterdir())
    said = program.fails(1, "sessions", *words, "--url", place)
    assert "no session 'nobody'" in said
    assert "sessions list" in said
    assert program.json("sessions", "list", "--url", place) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == files


def test_reading_makes_nothing(program: Program, tmp_path: Path) -> None:
    for words in (("list",), ("show", "s"), ("search", "x"), ("export", "--all"), ("delete", "s")):
        for missing in (f"sqlite:///{tmp_path}/no.db", f"json:{tmp_path}/no"):
            assert "There is no" in program.fails(1, "sessions", *words, "--url", missing)
    assert not list(tmp_path.iterdir())


def test_messages_are_found(program: Program, url: str) -> None:
    assert program("sessions", "search", "weather", "--url", url, "--session", "s1") == 0
    assert "weather in 1?" in program.out
    hits = program.json("sessions", "search", "weather", "--url", url, "--role", "user")
    assert sorted(hit["session_id"] for hit in hits) == ["s0", "s1", "s2"]
    assert program.json("sessions", "search", "snow", "--url", url) == []


def test_a_place_that_cannot_search_says_so(program: Program, folder: str) -> None:
    assert "SEARCH" in program.fails(1, "sessions", "search", "x", "--url", folder)


def test_the_tail_is_printed(program: Program, place: str) -> None:
    assert program("sessions", "tail", "s0", "--url", place, "-n", 2, "--json") == 0
    lines = [json.loads(line) for line in program.out.splitlines()]
    assert [line["id"] for line in lines] == ["m3", "m4"]
    assert program("sessions", "tail", "s0", "--url", place, "-n", 0) == 0
    assert program.out == ""


def test_a_tail_follows_until_it_is_interrupted(url: str, tmp_path: Path) -> None:
    words = ["sessions", "tail", "s0", "--url", url, "-n", "1", "-f", "--interval", "0.05"]
    # What a shell runs in the background ignores interrupts, and so do its children.
    program = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from praison_persist.cli import main; sys.exit(main())"
    )
    with (
        subprocess.Popen(
            [sys.executable, "-c", program, *words, "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(tmp_path) | {"PYTHONUNBUFFERED": "1"},
            cwd=tmp_path,
        ) as process,
        SQLConversationStore(url) as store,
    ):
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["id"] == "m4"
        for name in ("n1", "n2"):
            store.add_message("s0", ConversationMessage(id=name, role="user", content=name))
        assert [json.loads(process.stdout.readline())["id"] for _ in range(2)] == ["n1", "n2"]
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130


def test_a_fork_has_the_first_messages(program: Program, place: str) -> None:
    child = program.json("sessions", "fork", "s1", "--url", place, "-n", 3)["session_id"]
    found = program.json("sessions", "show", child, "--url", place)
    assert [each["id"] for each in found["messages"]] == ["m1", "m2", "m3"]
    assert found["session"]["user_id"] == "user1"
    assert found["session"]["name"] == "Fork of about 1"
    assert program("sessions", "fork", "s1", "--url", place, "--name", "mine") == 0
    whole = program.json("sessions", "show", program.out.strip(), "--url", place)
    assert (whole["count"], whole["session"]["name"]) == (4, "mine")
    assert program.json("sessions", "show", "s1", "--url", place)["count"] == 4


def test_a_fork_behind_the_end_is_refused(program: Program, place: str) -> None:
    said = program.fails(1, "sessions", "fork", "s1", "--url", place, "-n", 5)
    assert "4" in said
    assert len(program.json("sessions", "list", "--url", place)["sessions"]) == 3


def test_a_session_is_renamed(program: Program, place: str) -> None:
    assert program("sessions", "rename", "s1", "new name", "--url", place) == 0
    session = program.json("sessions", "show", "s1", "--url", place)["session"]
    assert (session["name"], session["user_id"]) == ("new name", "user1")


def test_an_export_is_imported_with_all_that_belongs_to_it(
    program: Program, url: str, tmp_path: Path
) -> None:
    assert program("sessions", "export", "s1", "--url", url) == 0
    assert "1 session in session-s1.jsonl" in program.out
    other = f"sqlite:///{tmp_path}/other.db"
    for _ in range(2):
        found = program.json("sessions", "import", "session-s1.jsonl", "--url", other)
        assert found == {"imported": ["s1"]}
    with SQLConversationStore(url) as own, SQLConversationStore(other) as store:
        assert store.dump_session("s1") == own.dump_session("s1")


def test_all_sessions_are_exported(program: Program, place: str, tmp_path: Path) -> None:
    assert program("sessions", "export", "--all", "--url", place, "-o", "-") == 0
    dumps = [json.loads(line) for line in program.out.splitlines()]
    assert [dump["session_id"] for dump in dumps] == ["s2", "s1", "s0"]
    assert program("sessions", "export", "--all", "--url", place) == 0
    assert (tmp_path / "sessions.jsonl").stat().st_mode & 0o777 == 0o600


def test_an_export_replaces_no_file_unasked(program: Program, url: str, tmp_path: Path) -> None:
    (tmp_path / "session-s1.jsonl").write_text("mine")
    assert "--force" in program.fails(1, "sessions", "export", "s1", "--url", url)
    assert (tmp_path / "session-s1.jsonl").read_text() == "mine"
    assert program("sessions", "export", "s1", "--url", url, "--force") == 0
    for wrong in ((), ("s1", "--all")):
        assert "--all" in program.fails(2, "sessions", "export", *wrong, "--url", url)


def test_an_id_is_no_path(program: Program, url: str, tmp_path: Path) -> None:
    with SQLConversationStore(url) as store:
        store.create_session(ConversationSession("../out"))
    assert "--output" in program.fails(2, "sessions", "export", "../out", "--url", url)
    assert not list(tmp_path.parent.glob("out*"))


def test_runs_are_left_out_on_request(program: Program, url: str, tmp_path: Path) -> None:
    program("sessions", "export", "s1", "--url", url)
    place = f"json:{tmp_path}/other"
    assert "runs" in program.fails(1, "sessions", "import", "session-s1.jsonl", "--url", place)
    words = ("sessions", "import", "session-s1.jsonl", "--url", place, "--conversation-only")
    assert program(*words) == 0
    assert program.json("sessions", "show", "s1", "--url", place)["count"] == 4


def test_an_import_says_which_line_is_wrong(program: Program, url: str, tmp_path: Path) -> None:
    program("sessions", "export", "--all", "--url", url)
    lines = (tmp_path / "sessions.jsonl").read_text().splitlines()
    other = f"sqlite:///{tmp_path}/other.db"
    for broken, says in (("{", "Line 2 is no JSON"), ('{"format": "x"}', "line 2: Not an export")):
        (tmp_path / "broken.jsonl").write_text("\n".join([lines[0], broken, lines[1]]))
        assert says in program.fails(1, "sessions", "import", "broken.jsonl", "--url", other)
    assert "broken" in program.fails(1, "sessions", "import", "nothing/broken", "--url", other)


def test_an_indented_object_is_imported_from_stdin(
    program: Program, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program("sessions", "export", "s1", "--url", url, "-o", "-")
    monkeypatch.setattr(sys, "stdin", StringIO(json.dumps(json.loads(program.out), indent=2)))
    found = program.json("sessions", "import", "-", "--url", f"sqlite:///{tmp_path}/other.db")
    assert found == {"imported": ["s1"]}


def test_deleting_needs_a_yes(program: Program, place: str) -> None:
    assert "--yes" in program.fails(2, "sessions", "delete", "s0", "--url", place)
    assert program.json("sessions", "show", "s0", "--url", place)["count"] == 4
    assert program("sessions", "delete", "s0", "s1", "--yes", "--url", place) == 0
    assert program.out == "2 sessions deleted\n"
    found = program.json("sessions", "list", "--url", place)
    assert [each["session_id"] for each in found["sessions"]] == ["s2"]


def test_pruning_shows_before_it_deletes(program: Program, place: str) -> None:
    words = ("sessions", "prune", "--url", place, "--older-than", "0s")
    assert program(*words) == 0
    assert "3 sessions; --yes deletes" in program.out
    found = program.json(*words, "--user", "user1", "--yes")
    assert (found["sessions"], found["deleted"], found["first"]) == (1, True, ["s1"])
    assert len(program.json("sessions", "list", "--url", place)["sessions"]) == 2
    assert program.json("sessions", "prune", "--url", place, "--older-than", "1d")["sessions"] == 0


@pytest.mark.parametrize("age", ["", "yesterday", "90", "-1d", "2026-13-01"])
def test_an_age_that_is_none_is_refused(program: Program, url: str, age: str) -> None:
    said = program.fails(2, "sessions", "prune", "--url", url, f"--older-than={age}", "--yes")
    assert "--older-than" in said
    assert len(program.json("sessions", "list", "--url", url)["sessions"]) == 3


def test_runs_beside_the_conversations_are_deleted_with_them(
    program: Program, folder: str, url: str, tmp_path: Path
) -> None:
    state = f"sqlite:///{tmp_path}/state.db"
    program("sessions", "export", "s1", "--url", url)
    program("sessions", "delete", "s1", "--yes", "--url", folder)
    words = ("--url", folder, "--state-url", state)
    assert program("sessions", "import", "session-s1.jsonl", *words) == 0
    assert program.json("stats", *words)[0]["runs"] == 1
    assert program("sessions", "delete", "s1", "--yes", *words) == 0
    assert program.json("stats", *words) == []
