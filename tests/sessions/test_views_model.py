"""Random histories of several sessions agree with plain lists."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from praison_persist.sessions.sql import SQLSessionStore
from praison_persist.sql.stores import SQLConversationStore

SEEDS = range(12)
STEPS = 60
WEIGHTS = {
    "add": 12,
    "fork": 6,
    "back": 4,
    "snapshot": 4,
    "restore": 4,
    "clear": 1,
    "erase": 2,
    "set_history": 2,
    "delete_message": 3,
    "delete_all": 1,
    "delete": 2,
    "reload": 2,
}


@pytest.fixture
def url(tmp_path: Path, sqlite_template: Path) -> str:
    shutil.copy(sqlite_template, tmp_path / "test.db")
    return f"sqlite:///{tmp_path / 'test.db'}"


@pytest.fixture
def stores(url: str) -> Iterator[tuple[SQLSessionStore, SQLConversationStore]]:
    with (
        SQLSessionStore(url, synchronous="OFF") as store,
        SQLConversationStore(url, synchronous="OFF") as conversations,
    ):
        yield store, conversations


class Model:
    """What each session shows, and its snapshots, as lists of texts."""

    def __init__(self, store: SQLSessionStore, conversations: SQLConversationStore) -> None:
        self.store, self.conversations = store, conversations
        self.shown: dict[str, list[str]] = {}
        self.snapshots: dict[str, dict[str, list[str]]] = {}
        self.said = 0

    def add(self, name: str) -> None:
        self.said += 1
        self.store.add_user_message(name, f"m{self.said}")
        self.shown.setdefault(name, []).append(f"m{self.said}")
        self.snapshots.setdefault(name, {})

    def fork(self, name: str, chance: random.Random) -> None:
        count = len(self.shown[name])
        index = chance.choice([None, *range(count)])
        child = self.store.fork_session(name, index)
        self.shown[child] = self.shown[name][: count if index is None else index + 1]
        self.snapshots[child] = {}

    def back(self, name: str, chance: random.Random) -> None:
        if self.shown[name]:
            index = chance.randrange(len(self.shown[name]))
            assert self.store.revert_to_message(name, index)
            del self.shown[name][index + 1 :]

    def snapshot(self, name: str) -> None:
        self.snapshots[name][self.store.create_snapshot(name)] = list(self.shown[name])

    def restore(self, name: str, chance: random.Random) -> None:
        if self.snapshots[name]:
            snapshot = chance.choice(list(self.snapshots[name]))
            assert self.store.revert_to_snapshot(name, snapshot)
            self.shown[name] = list(self.snapshots[name][snapshot])

    def clear(self, name: str) -> None:
        assert self.store.clear_session(name)
        self.shown[name] = []

    def erase(self, name: str) -> None:
        self.store.erase_history(name)

    def set_history(self, name: str) -> None:
        self.said += 1
        texts = [f"m{self.said}a", f"m{self.said}b"]
        self.store.set_chat_history(name, [{"role": "user", "content": one} for one in texts])
        self.shown[name] = texts

    def delete_message(self, name: str, chance: random.Random) -> None:
        """Delete one message for good: from this session's snapshots, too, and from no other."""
        messages = self.conversations.get_messages(name)
        if not messages:
            return
        gone = chance.choice(messages)
        assert self.conversations.delete_messages(name, [gone.id]) == 1
        for texts in (self.shown[name], *self.snapshots[name].values()):
            if gone.content in texts:
                texts.remove(gone.content)

    def delete_all(self, name: str) -> None:
        assert self.conversations.delete_messages(name) == len(self.shown[name])
        self.shown[name] = []
        self.snapshots[name] = {}  # they show nothing that is left to be told apart

    def delete(self, name: str) -> None:
        assert self.store.delete_session(name)
        del self.shown[name], self.snapshots[name]

    def reload(self, name: str) -> None:
        dump = self.conversations.dump_session(name)
        assert dump is not None
        self.store.delete_session(name)
        self.conversations.load_session(dump)

    def check(self) -> None:
        stored = {one.session_id for one in self.conversations.list_sessions(limit=None)}
        assert stored == set(self.shown)
        for name, texts in self.shown.items():
            assert [m.content for m in self.conversations.get_messages(name)] == texts
            newest = self.conversations.get_messages(name, limit=2)
            assert [m.content for m in newest] == texts[-2:]
            assert self.conversations.count(name) == len(texts)


@pytest.mark.parametrize("seed", SEEDS)
def test_any_sequence_of_changes_agrees_with_lists(
    stores: tuple[SQLSessionStore, SQLConversationStore], seed: int
) -> None:
    chance, model = random.Random(seed), Model(*stores)
    model.add("root")
    for _ in range(STEPS):
        if not model.shown:
            model.add("root")
        name = chance.choice(sorted(model.shown))
        step = chance.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        method = getattr(model, step)
        if step in ("fork", "back", "restore", "delete_message"):
            method(name, chance)
        else:
            method(name)
        model.check()
