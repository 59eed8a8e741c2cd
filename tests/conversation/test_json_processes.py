"""Processes that share a folder, that are killed, and that run out of disk."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from praison_persist.conversation.json_file import JSONConversationStore
from praison_persist.conversation.json_locks import locked
from praison_persist.conversation.json_names import lock_name
from praison_persist.errors import BackendError, UnavailableError
from praison_persist.models import ConversationMessage
from praison_persist.testing.contract import message, session
from tests.writer import Writer, let_write


def _python(code: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a program; return what it printed."""
    return subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", code, *map(str, words)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )


def test_processes_share_a_session(tmp_path: Path) -> None:
    """A message of one of them is lost, doubled, or out of its order."""
    url, each = f"json:{tmp_path}", 40
    with JSONConversationStore(tmp_path) as store:
        store.create_session(session())
        writers = [Writer(url, "s", f"p{n}", each, ["sync", "async"][n % 2]) for n in range(3)]
        let_write(writers)
        earlier: list[ConversationMessage] = []
        while len(earlier) < 2 * each:
            later = store.get_messages("s")
            assert later[: len(earlier)] == earlier
            earlier = later
        for number in range(each):
            store.add_message("s", message(f"p3/{number}", id=f"p3/{number}"))
        acknowledged = [writer.end() for writer in writers]
        stored = store.get_messages("s")
        assert [m.seq for m in stored] == list(range(1, 4 * each + 1))
        for name, told in zip("012", acknowledged, strict=True):
            assert told == [f"p{name}/{number}" for number in range(each)]
        for name in "0123":
            mine = [m.id for m in stored if m.id.startswith(f"p{name}/")]
            assert mine == [f"p{name}/{number}" for number in range(each)]


def test_processes_list_what_the_others_made(tmp_path: Path) -> None:
    """Each has an index of its own, and the last one that writes it wins."""
    code = """
import sys
from praison_persist.conversation.json_file import JSONConversationStore
from praison_persist.models import ConversationSession
with JSONConversationStore(sys.argv[1]) as store:
    for number in range(30):
        store.create_session(ConversationSession(f"{sys.argv[2]}-{number}"))
        store.ensure_session(ConversationSession("both"))
        if number % 3 == 0:
            store.delete_session(f"{sys.argv[2]}-{number}")
"""
    children = [
        subprocess.Popen([sys.executable, "-c", code, tmp_path, name]) for name in ("a", "b")
    ]
    assert [child.wait(60) for child in children] == [0, 0]
    expected = {f"{name}-{n}" for name in ("a", "b") for n in range(30) if n % 3} | {"both"}
    with JSONConversationStore(tmp_path) as store:
        assert {found.session_id for found in store.list_sessions()} == expected


@pytest.mark.parametrize("seed", range(3))
def test_what_was_acknowledged_survives_a_kill(tmp_path: Path, seed: int) -> None:
    """A process that is killed while it writes takes the conversation with it."""
    after = random.Random(seed).randrange(1, 40)
    with JSONConversationStore(tmp_path) as store:
        store.create_session(session())
        before = 0
        for turn in range(3):
            writer = Writer(f"json:{tmp_path}", "s", f"w{turn}", 10_000, "sync")
            let_write([writer])
            told = [writer.next() for _ in range(after)]
            writer.kill()
            told += writer.end()
            stored = [m.id for m in store.get_messages("s")][before:]
            assert stored[: len(told)] == told
            assert len(stored) <= len(told) + 1
            before += len(stored)
            assert store.add_message("s", message()).seq == before + 1
            before += 1


def test_a_process_that_is_killed_leaves_no_lock(tmp_path: Path) -> None:
    """The session cannot be used until somebody deletes a lock file."""
    code = """
import os, signal, sys
from pathlib import Path
from praison_persist.conversation.json_locks import locked
with locked(Path(sys.argv[1]), 5):
    os.kill(os.getpid(), signal.SIGKILL)
"""
    with JSONConversationStore(tmp_path, lock_timeout=5) as store:
        store.create_session(session())
        lock = tmp_path / ".locks" / lock_name("s")
        with pytest.raises(subprocess.CalledProcessError):
            _python(code, lock)
        assert store.add_message("s", message()).seq == 1


def test_a_lock_that_another_holds_is_said(tmp_path: Path) -> None:
    """A process that hangs makes all others hang, for ever and in silence."""
    code = """
import sys
from praison_persist.conversation.json_file import JSONConversationStore
from praison_persist.errors import UnavailableError
with JSONConversationStore(sys.argv[1], lock_timeout=0.05) as store:
    try:
        store.get_session("s")
    except UnavailableError as error:
        print(error)
"""
    with JSONConversationStore(tmp_path, lock_timeout=0.05) as store:
        store.create_session(session())
        lock = tmp_path / ".locks" / lock_name("s")
        with locked(lock, 5):
            assert f"others have held {lock} for 0.05 s" in _python(code, tmp_path).stdout
            with pytest.raises(UnavailableError, match="others have held"):
                store.get_session("s")
        assert store.get_session("s") is not None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on Windows")
def test_a_child_of_a_process_that_holds_a_lock(tmp_path: Path) -> None:
    """It waits for a thread that it does not have, or takes the lock from its parent."""
    code = """
import os, sys
from pathlib import Path
from praison_persist.conversation.json_file import JSONConversationStore
from praison_persist.conversation.json_locks import locked
from praison_persist.errors import UnavailableError
from praison_persist.models import ConversationMessage, ConversationSession
store = JSONConversationStore(sys.argv[1], lock_timeout=0.2)
store.create_session(ConversationSession("s"))
there, here = os.pipe()
with locked(Path(sys.argv[2]), 5):
    child = os.fork()
    if not child:
        try:
            store.get_session("s")
            print("not locked", flush=True)
        except UnavailableError:
            print("locked", flush=True)
        os.write(here, b"x")
        again = JSONConversationStore(sys.argv[1], lock_timeout=30)
        print(again.add_message("s", ConversationMessage(role="user")).seq, flush=True)
        os._exit(0)
    os.read(there, 1)
    other = JSONConversationStore(sys.argv[1], lock_timeout=0.05)
    try:
        other.get_session("s")
    except UnavailableError:
        print("still locked", flush=True)
os.waitpid(child, 0)
print(store.add_message("s", ConversationMessage(role="user")).seq)
"""
    found = _python(code, tmp_path, tmp_path / ".locks" / lock_name("s"))
    assert found.stdout.split("\n") == ["locked", "still locked", "1", "2", ""]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on Windows")
def test_a_child_of_a_process_that_writes(tmp_path: Path) -> None:
    """What a thread has learned to the half of, at that moment, is taken for a damaged file."""
    code = """
import os, sys, threading
from praison_persist.conversation.json_file import JSONConversationStore
from praison_persist.conversation.json_lines import Transcript
from praison_persist.models import ConversationMessage, ConversationSession
store = JSONConversationStore(sys.argv[1])
store.create_session(ConversationSession("s"))
store.add_message("s", ConversationMessage(role="user"))
learned, forked, apply = threading.Event(), threading.Event(), Transcript._apply

def slowly(*record):
    apply(*record)
    learned.set()
    forked.wait(60)

Transcript._apply = slowly
new = [ConversationMessage(role="user") for _ in range(3)]
thread = threading.Thread(target=store.add_messages, args=("s", new))
thread.start()
learned.wait(60)
child = os.fork()
if not child:
    Transcript._apply = apply
    print(store.add_message("s", ConversationMessage(role="user")).seq, flush=True)
    os._exit(0)
forked.set()
thread.join()
os.waitpid(child, 0)
print(store.count("s"))
"""
    assert _python(code, tmp_path).stdout.split("\n") == ["5", "5", ""]


FULL = """
import resource, sys
from praison_persist.conversation.json_file import JSONConversationStore
from praison_persist.errors import BackendError
from praison_persist.models import ConversationMessage, ConversationSession

def limit(size):
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))

def text(number, size=300):
    return ConversationMessage(id=f"m{number}", role="user", content="x" * size)

store = JSONConversationStore(sys.argv[1])
store.create_session(ConversationSession("s", updated_at=1.0))
limit(5_000)
acknowledged = 0
try:
    while True:
        store.add_message("s", text(acknowledged))
        acknowledged += 1
except BackendError as error:
    assert "Cannot add messages in" in str(error) and "free space" in str(error), error
assert 5 < acknowledged < 20
before = store.get_session("s")
for action in (
    lambda: store.add_messages("s", [text(n, 0) for n in range(100, 200)]),
    lambda: store.update_session(ConversationSession("s", name="y" * 5_000)),
    lambda: store.create_session(ConversationSession("t", name="y" * 5_000)),
):
    try:
        action()
    except BackendError:
        continue
    raise AssertionError("was acknowledged")
assert store.get_session("s") == before
assert store.get_session("t") is None
assert [m.id for m in store.get_messages("s")] == [f"m{n}" for n in range(acknowledged)]
limit(1_000)
try:
    store.delete_messages("s", ["m0"])
    raise AssertionError("was acknowledged")
except BackendError:
    pass
assert store.count("s") == acknowledged
limit(resource.RLIM_INFINITY)
assert store.delete_messages("s", ["m0"]) == 1
assert store.add_message("s", text(acknowledged)).seq == acknowledged + 1
print(acknowledged)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit of a file's size")
def test_a_full_disk_costs_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    """What did not fit is half in the file, or what was there before is gone."""
    acknowledged = int(_python(FULL, tmp_path).stdout)
    with JSONConversationStore(tmp_path) as store:
        assert [m.id for m in store.get_messages("s")] == [
            f"m{number}" for number in range(1, acknowledged + 1)
        ]
        assert [found.session_id for found in store.list_sessions()] == ["s"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [".locks", "s.jsonl"]


def test_a_folder_that_may_not_be_written_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of the disk is taken for success."""
    with JSONConversationStore(tmp_path) as store:
        store.create_session(session())

        def fsync(descriptor: int) -> None:
            raise OSError(5, f"Input/output error of {descriptor}")

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", fsync)
            with pytest.raises(BackendError, match="Input/output error"):
                store.add_message("s", message("a"))
        assert store.get_messages("s") == []
        assert store.add_message("s", message("b")).seq == 1
