"""The part of the session suite about sessions that come from others, and about going back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from praison_persist.errors import ConflictError, InvalidDataError, NotFoundError
from praison_persist.sessions.base import SessionStore
from praison_persist.sessions.models import SessionData
from praison_persist.testing.session_contract import (
    OpenSessions,
    SessionContract,
    makes_room,
    said,
    say,
)

__all__ = ["SnapshotContract", "TreeContract"]

DEEP = 40

# Every method that changes a session; none of them may touch its links and snapshots.
MUTATORS: dict[str, Callable[[SessionStore, str], object]] = {
    "add_message": lambda store, s: store.add_message(s, "user", "x"),
    "upsert_partial": lambda store, s: store.upsert_partial_assistant_message(s, "x"),
    "set_chat_history": lambda store, s: store.set_chat_history(s, [{"content": "x"}]),
    "clear_session": lambda store, s: store.clear_session(s),
    "checkpoint": lambda store, s: store.append_compaction_checkpoint(s, "x"),
    "set_agent_info": lambda store, s: store.set_agent_info(s, "agent", "user"),
    "set_gateway_info": lambda store, s: store.set_gateway_info(s, "gateway", "agent"),
    "update_session_metadata": lambda store, s: store.update_session_metadata(s, a=1),
    "merge_map": lambda store, s: store.merge_session_metadata_map(s, "m", {"a": 1}),
    "rename_session": lambda store, s: store.rename_session(s, "title"),
    "set_title": lambda store, s: store.set_title(s, "title"),
    "share_session": lambda store, s: store.share_session(s),
    "set_runtime_state": lambda store, s: store.set_runtime_state(s, "r", "t", {"a": 1}),
    "clear_runtime_state": lambda store, s: store.clear_runtime_state(s),
    "revert_to_message": lambda store, s: store.revert_to_message(s, 0),
    "delete_child": lambda store, s: store.delete_session(store.create_session(parent_id=s)),
}


class TreeContract(SessionContract):
    """Creating, forking, parents and children, sharing."""

    def test_a_new_session_is_as_it_was_asked_for(self, store: SessionStore) -> None:
        assert store.create_session("s", "Title", None, "Ada", {"a": 1}) == "s"
        session = store.get_extended_session("s")
        assert (session.title, session.agent_name, session.metadata) == ("Title", "Ada", {"a": 1})
        assert (session.parent_id, session.children_ids, session.messages) == (None, [], [])
        assert store.session_exists(store.create_session())
        assert store.create_session() != store.create_session()

    def test_a_session_is_not_created_twice(self, store: SessionStore) -> None:
        """What is said in it would be gone."""
        say(store, "s", "hello")
        with pytest.raises(ConflictError):
            store.create_session("s")
        assert said(store, "s") == ["hello"]

    def test_children_are_listed_oldest_first(self, store: SessionStore) -> None:
        store.create_session("parent")
        children = [store.create_session(name, parent_id="parent") for name in ("c", "a", "b")]
        assert store.get_children("parent") == children
        assert [store.get_parent(child) for child in children] == ["parent"] * 3
        assert store.get_extended_session("parent").children_ids == children
        assert store.get_parent("parent") is None
        assert store.get_children("none") == []

    def test_a_parent_that_does_not_exist_is_created(self, store: SessionStore) -> None:
        child = store.create_session(parent_id="parent")
        assert store.session_exists("parent")
        assert store.get_children("parent") == [child]

    def test_nobody_is_its_own_parent(self, store: SessionStore) -> None:
        with pytest.raises(ValueError, match="own parent"):
            store.create_session("s", parent_id="s")
        assert not store.session_exists("s")

    def test_a_fork_goes_on_by_itself(self, store: SessionStore) -> None:
        store.create_session("s", "Talk", agent_name="Ada", metadata={"a": [1]})
        say(store, "s", "a", "b")
        fork = store.fork_session("s")
        say(store, fork, "in the fork")
        say(store, "s", "in the parent")
        assert said(store, "s") == ["a", "b", "in the parent"]
        assert said(store, fork) == ["a", "b", "in the fork"]
        session = store.get_extended_session(fork)
        assert (session.title, session.agent_name) == ("Fork of Talk", "Ada")
        assert (session.metadata, session.forked_from_message_id) == ({"a": [1]}, None)
        assert store.get_parent(fork) == "s"
        assert store.get_children("s") == [fork]

    def test_a_fork_takes_the_message_it_goes_on_from(self, store: SessionStore) -> None:
        say(store, "s", "a", "b", "c")
        fork = store.fork_session("s", 1, "Mine")
        assert said(store, fork) == ["a", "b"]
        session = store.get_extended_session(fork)
        assert (session.title, session.forked_from_message_id) == ("Mine", "1")
        assert said(store, store.fork_session("s", 2)) == ["a", "b", "c"]

    @pytest.mark.parametrize("index", [-1, 3, 2**40])
    def test_a_fork_from_no_message(self, store: SessionStore, index: int) -> None:
        say(store, "s", "a", "b", "c")
        with pytest.raises(ValueError, match="from_message_index"):
            store.fork_session("s", index)
        assert store.get_children("s") == []
        assert len(store.list_sessions()) == 1

    def test_a_fork_of_nothing(self, store: SessionStore) -> None:
        with pytest.raises(NotFoundError):
            store.fork_session("none")
        assert not store.session_exists("none")
        store.create_session("empty")
        assert said(store, store.fork_session("empty")) == []

    def test_a_fork_of_a_fork(self, store: SessionStore) -> None:
        say(store, "s", "a", "b", "c")
        middle = store.fork_session("s", 1)
        say(store, middle, "x")
        last = store.fork_session(middle)
        store.set_chat_history(middle, [{"content": "other"}])
        assert store.delete_session("s")
        assert said(store, last) == ["a", "b", "x"], "it does not depend on where it came from"
        assert said(store, middle) == ["other"]

    def test_a_fork_takes_a_checkpoint_that_lies_before_it(self, store: SessionStore) -> None:
        say(store, "s", "a", "b")
        assert store.append_compaction_checkpoint("s", "so far")
        say(store, "s", "c")
        history = store.get_working_history(store.fork_session("s", 2))
        assert [message["content"] for message in history] == ["so far", "c"]
        history = store.get_working_history(store.fork_session("s", 0))
        assert [message["content"] for message in history] == ["a"]

    def test_the_tree(self, store: SessionStore) -> None:
        say(store, "root", "hello")
        store.create_session("a", "A", parent_id="root")
        store.create_session("b", parent_id="root")
        store.create_session("c", parent_id="a")
        leaf: dict[str, Any] = {"message_count": 0, "children": []}
        assert store.get_session_tree("root") == {
            "session_id": "root",
            "title": None,
            "message_count": 1,
            "children": [
                leaf
                | {
                    "session_id": "a",
                    "title": "A",
                    "children": [leaf | {"session_id": "c", "title": None}],
                },
                leaf | {"session_id": "b", "title": None},
            ],
        }

    def test_a_deep_tree(self, store: SessionStore) -> None:
        last: str | None = None
        for number in range(DEEP):
            last = store.create_session(f"s{number}", parent_id=last)
        tree = store.get_session_tree("s0")
        for number in range(DEEP):
            assert tree["session_id"] == f"s{number}"
            tree = (tree["children"] or [{}])[0]

    def test_a_cycle_is_told_from_a_tree(self, store: SessionStore) -> None:
        store.create_session("a")
        store.create_session("b", parent_id="a")
        cyclic = SessionData("a").to_dict() | {"parent_id": "b"}
        assert store.import_sessions({"sessions": [cyclic]}, overwrite=True).imported == 1
        with pytest.raises(ValueError, match="cycle"):
            store.get_session_tree("a")
        assert store.delete_session("a"), "the way out"
        assert store.get_session_tree("b")["children"] == []

    def test_the_children_of_a_deleted_session_become_roots(self, store: SessionStore) -> None:
        store.create_session("root")
        store.create_session("middle", parent_id="root")
        store.create_session("leaf", parent_id="middle")
        say(store, "leaf", "hello")
        assert store.delete_session("middle")
        assert store.get_children("root") == []
        assert store.get_parent("leaf") is None
        assert said(store, "leaf") == ["hello"]
        store.create_session("middle")
        assert store.get_children("middle") == [], "it is another session"

    def test_a_deleted_session_leaves_nothing(self, store: SessionStore) -> None:
        say(store, "s", "hello")
        store.create_snapshot("s")
        assert store.update_session_metadata("s", a=1)
        assert store.delete_session("s")
        assert not store.session_exists("s")
        assert (store.get_chat_history("s"), store.get_snapshots("s")) == ([], [])
        assert store.list_sessions() == []
        say(store, "s", "new")
        assert store.get_extended_session("s").metadata == {}
        assert store.delete_session("never"), "as it was asked: there is none"

    def test_sharing(self, store: SessionStore) -> None:
        assert not store.is_shared("s")
        assert store.share_session("s")
        assert store.is_shared("s")
        assert store.unshare_session("s")
        assert not store.is_shared("s")


class SnapshotContract(SessionContract):
    """Snapshots, and going back to them or to a message."""

    @makes_room
    def test_going_back_to_a_snapshot(self, open_sessions: OpenSessions) -> None:
        store = open_sessions(retention="compact", active_window=3)
        say(store, "s", *"abcdef")
        assert store.append_compaction_checkpoint("s", "so far")
        before = store.get_session("s")
        snapshot = store.create_snapshot("s", "label", {"m": 1})
        say(store, "s", *"uvwxyz")
        assert store.clear_session("s")
        say(store, "s", "other")
        assert store.revert_to_snapshot("s", snapshot)
        after = store.get_session("s")
        assert after.messages == before.messages
        assert after.archived_messages == before.archived_messages
        assert after.last_compaction == before.last_compaction
        say(store, "s", "on")
        assert said(store, "s")[-1] == "on"
        assert store.revert_to_snapshot("s", snapshot), "a snapshot can be gone back to again"
        assert store.get_session("s").messages == before.messages

    def test_snapshots_are_listed_oldest_first(self, store: SessionStore) -> None:
        store.create_session("s")
        first = store.create_snapshot("s", "first", {"m": 1})
        say(store, "s", "a", "b")
        second = store.create_snapshot("s")
        one, two = store.get_snapshots("s")
        assert (one.id, one.label, one.metadata, one.message_index) == (
            first,
            "first",
            {"m": 1},
            -1,
        )
        assert (two.id, two.label, two.metadata, two.message_index) == (second, None, {}, 1)
        assert one.session_id == two.session_id == "s"
        assert [c["id"] for c in store.list_checkpoints("s")] == [first, second]
        found = store.get_checkpoint("s", first)
        assert found is not None
        assert found["label"] == "first"
        assert store.get_checkpoint("s", "none") is None
        assert store.revert_to_snapshot("s", first)
        assert said(store, "s") == []
        assert store.revert_to_snapshot("s", second), "going back removes no later snapshot"
        assert said(store, "s") == ["a", "b"]

    def test_going_back_to_nothing(self, store: SessionStore) -> None:
        say(store, "s", "a")
        store.create_snapshot("s")
        assert not store.revert_to_snapshot("s", "none")
        assert not store.revert_to_snapshot("none", "none")
        assert said(store, "s") == ["a"]
        assert not store.session_exists("none")
        with pytest.raises(NotFoundError):
            store.create_snapshot("none")
        assert not store.session_exists("none")

    def test_a_snapshot_is_of_one_session(self, store: SessionStore) -> None:
        say(store, "s", "a")
        say(store, "other", "b")
        snapshot = store.create_snapshot("s")
        assert not store.revert_to_snapshot("other", snapshot)
        assert said(store, "other") == ["b"]

    def test_going_back_to_a_message(self, store: SessionStore) -> None:
        say(store, "s", "a", "b", "c", "d")
        assert store.revert_to_message("s", 1)
        assert said(store, "s") == ["a", "b"]
        for index in (-1, 2):
            assert not store.revert_to_message("s", index)
        assert said(store, "s") == ["a", "b"]
        with pytest.raises(InvalidDataError):
            store.revert_to_message("s", "1")  # type: ignore[arg-type]  # what is tested

    def test_going_back_before_a_checkpoint_drops_it(self, store: SessionStore) -> None:
        """Its summary speaks of what has not been said any more."""
        say(store, "s", "a", "b", "c")
        assert store.append_compaction_checkpoint("s", "of c, too")
        assert store.revert_to_message("s", 1)
        assert [m["content"] for m in store.get_working_history("s")] == ["a", "b"]

    @pytest.mark.parametrize("name", MUTATORS)
    def test_links_and_snapshots_survive(
        self, store: SessionStore, second: SessionStore, name: str
    ) -> None:
        store.create_session("parent")
        store.create_session("s", parent_id="parent")
        say(store, "s", "a", "b")
        child = store.create_session(parent_id="s")
        snapshot = store.create_snapshot("s", "label")
        assert MUTATORS[name](second, "s")
        session = store.get_extended_session("s")
        assert (session.parent_id, session.children_ids) == ("parent", [child])
        assert [s.id for s in session.snapshots] == [snapshot]
        assert store.get_children("parent") == ["s"]
        assert store.revert_to_snapshot("s", snapshot)
        assert said(store, "s") == ["a", "b"]
