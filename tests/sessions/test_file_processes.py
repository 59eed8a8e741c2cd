"""Session files and processes: writers at the same time, writers that are killed, full disks."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from praison_persist import DefaultSessionStore
from praison_persist.testing.session_contract import said, say
from tests.programs import ROOT, environment

EACH = 25

_PROLOGUE = """
import sys
from praison_persist import DefaultSessionStore
folder, name, each = sys.argv[1], sys.argv[2], int(sys.argv[3])
store = DefaultSessionStore(folder + "/sessions", lock_timeout=60, spill_dir=folder + "/spill")
"""


def start(program: str, folder: Path, name: str = "") -> subprocess.Popen[str]:
    code = _PROLOGUE + textwrap.dedent(program)
    return subprocess.Popen(
        [sys.executable, "-c", code, str(folder), name, str(EACH)],
        cwd=ROOT,
        env=environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(*processes: subprocess.Popen[str]) -> list[str]:
    outputs = []
    for process in processes:
        output, errors = process.communicate(timeout=110)
        assert process.returncode == 0, errors
        outputs.append(output)
    return outputs


@pytest.fixture
def store(tmp_path: Path) -> DefaultSessionStore:
    return DefaultSessionStore(tmp_path / "sessions", spill_dir=tmp_path / "spill")


def test_two_processes_lose_nothing(tmp_path: Path, store: DefaultSessionStore) -> None:
    """Messages of one beside every kind of change of the other."""
    messages = start(
        """
        for n in range(each):
            assert store.add_user_message("s", f"{name} {n}")
            assert len(store.get_chat_history("s")) > n
        """,
        tmp_path,
        "one",
    )
    changes = start(
        """
        for n in range(each):
            assert store.set_agent_info("s", f"agent {n}", f"user {n}")
            assert store.set_gateway_info("s", f"gateway {n}", f"id {n}")
            assert store.update_session_metadata("s", **{f"key {n}": n})
            assert store.set_runtime_state("s", "native", f"t{n}", {"n": n})
            assert store.add_user_message("s", f"{name} {n}")
        """,
        tmp_path,
        "two",
    )
    finish(messages, changes)
    texts = said(store, "s")
    for name in ("one", "two"):
        assert [t for t in texts if t.startswith(name)] == [f"{name} {n}" for n in range(EACH)]
    assert len(texts) == 2 * EACH
    session = store.get_session("s")
    assert (session.agent_name, session.user_id) == (f"agent {EACH - 1}", f"user {EACH - 1}")
    assert session.gateway_session_id == f"gateway {EACH - 1}"
    assert {key: n for key, n in session.metadata.items() if key.startswith("key")} == {
        f"key {n}": n for n in range(EACH)
    }
    assert len(session.runtime_state["native"]) == EACH


def test_clearing_beside_a_writer_brings_nothing_back(
    tmp_path: Path, store: DefaultSessionStore
) -> None:
    """What was there before a process clears the session is gone, what comes later is there."""
    say(store, "s", "before")
    writer = start(
        """
        for n in range(each):
            assert store.add_user_message("s", f"{n}")
        """,
        tmp_path,
    )
    clearer = start(
        """
        for n in range(5):
            assert store.clear_session("s")
        """,
        tmp_path,
    )
    finish(writer, clearer)
    texts = said(store, "s")
    assert "before" not in texts
    assert texts == [str(n) for n in range(EACH - len(texts), EACH)], "no hole, no return"


def test_two_libraries_lose_nothing(tmp_path: Path, store: DefaultSessionStore) -> None:
    pytest.importorskip("praisonaiagents")
    ours = start(
        """
        for n in range(each):
            assert store.add_user_message("s", f"ours {n}")
        """,
        tmp_path,
    )
    theirs = start(
        """
        from praisonaiagents.session.store import DefaultSessionStore as Theirs
        other = Theirs(folder + "/sessions", lock_timeout=60)
        for n in range(each):
            assert other.add_user_message("s", f"theirs {n}")
        """,
        tmp_path,
    )
    finish(ours, theirs)
    texts = said(store, "s")
    for name in ("ours", "theirs"):
        assert [t for t in texts if t.startswith(name)] == [f"{name} {n}" for n in range(EACH)]


def test_a_writer_that_is_killed_leaves_what_it_had_stored(
    tmp_path: Path, store: DefaultSessionStore
) -> None:
    """Whenever it is killed: the file is whole, and no lock is left held."""
    for attempt in range(6):
        writer = start(
            """
            n = 0
            while True:
                assert store.add_user_message("s", "x" * 50_000)
                n += 1
                print(n, flush=True)
            """,
            tmp_path,
        )
        assert writer.stdout is not None
        assert writer.stdout.readline() == "1\n"
        time.sleep(0.013 * attempt)
        writer.send_signal(signal.SIGKILL)
        output, _ = writer.communicate(timeout=60)
        acknowledged = 1 + len(output.splitlines())
        stored = len(said(store, "s"))
        assert stored in (acknowledged, acknowledged + 1), "the last may have been stored, unsaid"
        assert json.loads((tmp_path / "sessions" / "s.json").read_text())["session_id"] == "s"
        assert store.clear_session("s")
    say(store, "s", "on")
    assert said(store, "s") == ["on"]
    assert not list((tmp_path / "sessions").glob("*.corrupt-*"))


def test_a_full_disk_costs_no_message(tmp_path: Path, store: DefaultSessionStore) -> None:
    """RLIMIT_FSIZE is a disk that is full for large files: the session does not fit, a spill does.

    Also for root, whom permissions do not stop.
    """
    say(store, "s", "x" * 20_000)
    before = (tmp_path / "sessions" / "s.json").read_bytes()
    program = """
        import resource, signal
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (8_000, 8_000))
        print(store.add_user_message("s", "one"), store.add_assistant_message("s", "two"))
        print(store.set_agent_info("s", "Ada"))
        print([m["content"] for m in store.get_chat_history("s")][1:])
        """
    (output,) = finish(start(program, tmp_path))
    assert output == "False False\nFalse\n['one', 'two']\n"
    assert (tmp_path / "sessions" / "s.json").read_bytes() == before
    assert len(list((tmp_path / "spill").iterdir())) == 2
    say(store, "s", "three")
    assert said(store, "s")[1:] == ["one", "two", "three"]
    assert list((tmp_path / "spill").iterdir()) == []
    assert not list((tmp_path / "sessions").glob("*.tmp"))


def test_a_forked_process_does_not_wait_for_its_parents_threads(
    tmp_path: Path, store: DefaultSessionStore
) -> None:
    """A lock that a thread held when the process forked is held by nobody in the child."""
    say(store, "s", "a")
    program = """
        import os, threading
        from pathlib import Path
        from praison_persist.sessions.file_locks import locked
        held, done = threading.Event(), threading.Event()
        def hold():
            with locked(Path(folder, "sessions", "s.json"), 10):
                held.set()
                done.wait(60)
        thread = threading.Thread(target=hold)
        thread.start()
        held.wait(60)
        child = os.fork()
        if child == 0:
            stored = store.add_user_message("s", "from the child")
            os._exit(0 if stored else 1)
        done.set()
        thread.join()
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        """
    assert finish(start(program, tmp_path)) == ["0\n"]
    assert said(store, "s") == ["a", "from the child"]


def test_a_forked_process_has_a_mirror_of_its_own(
    tmp_path: Path, store: DefaultSessionStore
) -> None:
    """The thread that hands messages to the mirror stays with the parent."""
    program = """
        import os
        class Log:
            def append(self, session_id, records):
                with open(folder + "/log", "a") as log:
                    log.writelines(record["content"] + "\\n" for record in records)
        store = DefaultSessionStore(folder + "/sessions", spill_dir=folder + "/spill", mirror=Log())
        assert store.add_user_message("s", "before")
        assert store.flush_mirror(60)
        child = os.fork()
        if child == 0:
            assert store.add_user_message("s", "from the child")
            os._exit(0 if store.flush_mirror(30) else 1)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        assert store.add_user_message("s", "after")
        store.close_mirror()
        """
    assert finish(start(program, tmp_path)) == ["0\n"]
    assert (tmp_path / "log").read_text().split("\n") == [*said(store, "s"), ""]
