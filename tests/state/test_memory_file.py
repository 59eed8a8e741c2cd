"""State in a file: on disk when a write returns, shared by processes, never half written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from praison_persist.errors import BackendError, ConfigurationError
from praison_persist.state.memory import MemoryStateStore


def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    """The last minute before a crash is gone."""
    path = tmp_path / "state.json"
    code = """
import sys
from praison_persist.state.memory import MemoryStateStore
store = MemoryStateStore(sys.argv[1])
for number in range(10_000):
    store.set("k", number)
    print(number, flush=True)
"""
    with subprocess.Popen([sys.executable, "-c", code, path], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        acknowledged = [int(child.stdout.readline()) for _ in range(50)]
        child.kill()
        acknowledged += [int(line) for line in child.stdout.read().split()]
    with MemoryStateStore(path) as store:
        assert store.get("k") in (acknowledged[-1], acknowledged[-1] + 1)


def test_a_write_that_fails_changes_nothing(tmp_path: Path) -> None:
    """Memory shows what the disk has not."""
    path = tmp_path / "state.json"
    with MemoryStateStore(path) as store:
        store.set("k", 1)
        (tmp_path / "state.json.tmp").mkdir()
        with pytest.raises(BackendError, match=r"state\.json"):
            store.set("k", 2)
        assert store.get("k") == 1
        (tmp_path / "state.json.tmp").rmdir()
        store.set("k", 3)
        assert store.get("k") == 3


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"a": 1}', b'{"format": "other"}', b"\xff"]
)
def test_a_file_of_something_else_is_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    """A path that was mistyped costs a file."""
    path = tmp_path / "state.json"
    path.write_bytes(content)
    with MemoryStateStore(path) as store:
        with pytest.raises(BackendError, match=r"no state file.*left as it is"):
            store.get("k")
        with pytest.raises(BackendError, match="left as it is"):
            store.set("k", 1)
    assert path.read_bytes() == content


def test_what_expired_leaves_the_file(tmp_path: Path) -> None:
    now = 0.0
    path = tmp_path / "state.json"
    with MemoryStateStore(path, clock=lambda: now) as store:
        store.set("secret", "x", ttl=10)
        now = 10
        store.set("k", 1)
    assert b"secret" not in path.read_bytes()


def test_the_path_does_not_move_with_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with MemoryStateStore("new/state.json") as store:
        store.set("k", 1)
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        store.set("l", 1)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["elsewhere", "new"]
    with MemoryStateStore(tmp_path / "new" / "state.json") as store:
        assert store.keys() == ["k", "l"]


def test_memory_alone_forgets_and_does_not_grow() -> None:
    """What has expired stays in memory until somebody asks for it."""
    now = 0.0
    store = MemoryStateStore(clock=lambda: now)
    for number in range(100):
        store.set(f"k{number}", 1, ttl=1)
    now = 100
    store.set("l", 1)
    assert len(store.driver._entries) == 1  # type: ignore[attr-defined]  # what is kept
    store.flush()
    store.close()


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("memory://", None),
        ("memory:", None),
        ("memory:///state.json", "state.json"),
        ("memory:////tmp/a%20b.json", "/tmp/a b.json"),
    ],
)
def test_urls(url: str, path: str | None) -> None:
    store = MemoryStateStore(url=url)
    assert store.driver.address == ("memory" if path is None else str(Path(path).absolute()))


@pytest.mark.parametrize("url", ["memory://host/path", "redis://h", "state.json"])
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="memory"):
        MemoryStateStore(url=url)
    with pytest.raises(ConfigurationError, match="path"):
        MemoryStateStore("a", url="memory://")
