"""The contract of dumps: a session leaves and returns whole, unchanged, all or nothing."""

from __future__ import annotations

import json
import threading
from copy import deepcopy
from typing import Any

import pytest

from praison_persist.errors import ConflictError, InvalidDataError
from praison_persist.protocols import Capability, ConversationStore
from praison_persist.testing.contract import StoreContract, message, needs, race, session
from praison_persist.testing.values import TEXTS

__all__ = ["DumpContract"]


def _fill(store: ConversationStore) -> None:
    """Write a session with everything that is easily lost on the way."""
    store.create_session(session(user_id="u", agent_id="", created_at=1.5, state={"n": 0}))
    stored = [
        store.add_message("s", message(text, tool_calls=[text], metadata={text: None}))
        for text in TEXTS.values()
    ]
    store.add_message("s", message(None, role="assistant", tool_calls=[], metadata={}))
    store.add_message("s", message("", role="tool", tool_call_id="c", run_id="r", created_at=0.1))
    store.delete_messages("s", [stored[3].id, stored[5].id])
    store.update_session(session(user_id="u", name="é", state={"n": 1}, metadata={}))


def _dumped(store: ConversationStore) -> dict[str, Any]:
    dump = store.dump_session("s")
    assert dump is not None
    return dump


class DumpContract(StoreContract):
    """Dumps of a session."""

    @needs(Capability.DUMP)
    def test_a_session_returns_as_it_left(self, store: ConversationStore) -> None:
        """A backup drops tool calls, ids or the state, and nobody notices until it is needed."""
        _fill(store)
        before = store.get_session("s"), store.get_messages("s")
        dump = json.loads(json.dumps(_dumped(store), allow_nan=False))
        assert store.delete_session("s")
        assert store.load_session(dump) == "s"
        assert (store.get_session("s"), store.get_messages("s")) == before
        assert _dumped(store) == dump
        last = before[1][-1].seq
        assert last is not None
        assert store.add_message("s", message()).seq == last + 1

    @needs(Capability.DUMP)
    def test_loading_again_changes_nothing(self, store: ConversationStore) -> None:
        """An import that is repeated fails, or doubles the conversation."""
        _fill(store)
        dump = _dumped(store)
        before = store.get_session("s"), store.get_messages("s")
        store.load_session(dump)
        assert (store.get_session("s"), store.get_messages("s")) == before
        store.add_message("s", message("since"))
        assert store.load_session(dump) == "s"
        assert store.get_messages("s")[:-1] == before[1]
        assert _dumped(store)["messages"][:-1] == dump["messages"]

    @needs(Capability.DUMP)
    def test_a_session_with_other_content_is_left_alone(self, store: ConversationStore) -> None:
        """An import overwrites, or mixes two conversations under one id."""
        _fill(store)
        dump = _dumped(store)
        store.delete_session("s")
        store.create_session(session(name="mine"))
        store.add_message("s", message("mine"))
        before = store.get_session("s"), store.get_messages("s")
        with pytest.raises(ConflictError, match="'s'"):
            store.load_session(dump)
        assert (store.get_session("s"), store.get_messages("s")) == before

    @needs(Capability.DUMP)
    def test_a_changed_message_is_a_conflict(self, store: ConversationStore) -> None:
        """The dump's version of a message is dropped without a word."""
        _fill(store)
        dump = deepcopy(_dumped(store))
        before = store.get_messages("s")
        dump["messages"][0]["content"] = "changed"
        with pytest.raises(ConflictError):
            store.load_session(dump)
        assert store.get_messages("s") == before

    @needs(Capability.DUMP)
    def test_loads_raced_by_threads_give_one_session(
        self, store: ConversationStore, second: ConversationStore
    ) -> None:
        """Two imports of one file meet halfway."""
        _fill(store)
        dump = _dumped(store)
        store.delete_session("s")
        stores = (store, second)
        assert race(8, lambda index: stores[index % 2].load_session(dump)) == ["s"] * 8
        assert _dumped(store) == dump

    @needs(Capability.DUMP)
    def test_a_dump_during_a_deletion_is_whole_or_none(
        self, store: ConversationStore, second: ConversationStore
    ) -> None:
        """A backup has the session, and its messages were deleted before they were read."""
        store.create_session(session())
        for index in range(5):
            store.add_message("s", message(str(index)))
        dump = _dumped(store)
        over = threading.Event()

        def replace(_index: int) -> None:
            for _ in range(15):
                second.delete_session("s")
                second.load_session(dump)
            over.set()

        def read(_index: int) -> None:
            while not over.is_set():
                found = store.dump_session("s")
                assert found is None or found == dump

        race(3, lambda index: read(index) if index else replace(index))

    @needs(Capability.DUMP)
    def test_a_bad_message_loads_nothing(self, store: ConversationStore) -> None:
        """Half an import looks like a whole one."""
        _fill(store)
        dump = deepcopy(_dumped(store))
        store.delete_session("s")
        for change in (
            {"metadata": {"at": float("nan")}},
            {"id": "x" * 256},
            {"id": None},
            {"seq": "first"},
            {"role": None},
            {"created_at": "now"},
        ):
            bad = deepcopy(dump)
            bad["messages"][-1] |= change
            with pytest.raises(InvalidDataError):
                store.load_session(bad)
            assert store.get_session("s") is None
        bad = deepcopy(dump)
        bad["messages"][-1]["seq"] = bad["messages"][0]["seq"]
        with pytest.raises((InvalidDataError, ConflictError)):
            store.load_session(bad)
        assert store.get_session("s") is None
        assert store.get_messages("s") == []

    @needs(Capability.DUMP)
    def test_what_is_no_dump_is_refused(self, store: ConversationStore) -> None:
        """A file of something else is loaded as an empty session."""
        _fill(store)
        dump = _dumped(store)
        store.delete_session("s")
        wrong: list[Any] = [
            {},
            [],
            None,
            "dump",
            {"session": dump["session"], "messages": []},
            dump | {"format": "something else"},
            dump | {"session": None},
            dump | {"session": {}},
            dump | {"session": dump["session"] | {"session_id": ""}},
            dump | {"session": dump["session"] | {"created_at": None}},
            dump | {"session": dump["session"] | {"last_seq": "many"}},
            dump | {"session": dump["session"] | {"version": "1"}},
            dump | {"messages": "abc"},
            dump | {"messages": [1]},
            dump | {"messages": [{}]},
            {key: value for key, value in dump.items() if key != "messages"},
        ]
        for value in wrong:
            with pytest.raises(InvalidDataError):
                store.load_session(value)
        assert store.list_sessions() == []

    @needs(Capability.DUMP)
    def test_a_dump_is_a_copy(self, store: ConversationStore) -> None:
        """A caller that edits a dump edits the stored conversation."""
        _fill(store)
        dump = _dumped(store)
        kept = deepcopy(dump)
        dump["messages"][0]["metadata"]["changed"] = True
        dump["session"]["state"]["changed"] = True
        assert _dumped(store) == kept
