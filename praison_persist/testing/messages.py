"""The contract of messages: appended once, in an order that never changes."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from praison_persist.errors import ConflictError, InvalidDataError, NotFoundError
from praison_persist.models import ConversationMessage
from praison_persist.protocols import Capability, ConversationStore
from praison_persist.testing.contract import (
    StoreContract,
    message,
    needs,
    race,
    refused,
    session,
    trying,
)

__all__ = ["BatchContract", "MessageContract"]

_OTHER_CONTENT: dict[str, Any] = {
    "content": "other",
    "role": "assistant",
    "tool_calls": [],
    "tool_call_id": "call",
    "metadata": {},
}


def _contents(messages: list[ConversationMessage]) -> list[str | None]:
    return [m.content for m in messages]


def _seqs(messages: list[ConversationMessage]) -> list[int | None]:
    return [m.seq for m in messages]


class MessageContract(StoreContract):
    """Messages, one at a time."""

    def test_a_message_comes_back_with_every_field(self, store: ConversationStore) -> None:
        """A transcript that lacks its tool calls is refused by the provider."""
        store.create_session(session())
        given = message(
            "text",
            role="assistant",
            tool_calls=[{"id": "c", "function": {"name": "f", "arguments": "{}"}}],
            tool_call_id="c",
            metadata={"k": [1, None, True]},
            created_at=1234.5678,
            run_id="r",
        )
        key = given.id
        stored = store.add_message("s", given)
        assert store.get_messages("s") == [stored]
        expected = {"id": key, "session_id": "s", "seq": 1, "created_at": 1234.5678, "run_id": "r"}
        assert {name: getattr(stored, name) for name in expected} == expected
        assert stored.tool_calls == given.tool_calls
        assert stored.metadata == given.metadata
        assert (stored.role, stored.content, stored.tool_call_id) == ("assistant", "text", "c")

    def test_a_limit_returns_the_newest_oldest_first(self, store: ConversationStore) -> None:
        """The model is handed the beginning of the conversation instead of its end."""
        store.create_session(session())
        for index in range(10):
            store.add_message("s", message(str(index)))
        assert _contents(store.get_messages("s", limit=3)) == ["7", "8", "9"]
        assert _contents(store.get_messages("s", limit=1)) == ["9"]
        assert len(store.get_messages("s", limit=100)) == 10
        assert len(store.get_messages("s", limit=None)) == 10
        assert len(store.get_messages("s")) == 10
        assert store.get_messages("s", limit=0) == []

    def test_an_impossible_limit_is_refused(self, store: ConversationStore) -> None:
        """Negative means "all" to one database and an error to the next."""
        store.create_session(session())
        wrong = (-1, True, 2.0, "3", 2**64)
        refused(wrong, lambda limit: store.get_messages("s", limit=limit), "limit")

    def test_the_largest_limit_is_no_limit(self, store: ConversationStore) -> None:
        """A caller's "very many" overflows the driver."""
        store.create_session(session())
        store.add_message("s", message())
        for limit in (2**31, 2**32, sys.maxsize // 2):
            assert len(store.get_messages("s", limit=limit)) == 1

    def test_before_and_after_are_exclusive(self, store: ConversationStore) -> None:
        """Paging by time repeats the message at the edge."""
        store.create_session(session())
        for at in (1.0, 2.0, 3.0, 4.0):
            store.add_message("s", message(str(at), created_at=at))
        assert _contents(store.get_messages("s", before=3.0)) == ["1.0", "2.0"]
        assert _contents(store.get_messages("s", after=2.0)) == ["3.0", "4.0"]
        assert _contents(store.get_messages("s", before=4.0, after=1.0)) == ["2.0", "3.0"]
        assert _contents(store.get_messages("s", limit=1, before=4.0)) == ["3.0"]
        assert _contents(store.get_messages("s", limit=1, after=1.0)) == ["4.0"]
        assert store.get_messages("s", before=1.0) == store.get_messages("s", after=4.0) == []

    def test_a_bound_of_zero_is_a_bound(self, store: ConversationStore) -> None:
        """A falsy bound is taken for none."""
        store.create_session(session())
        store.add_message("s", message("old", created_at=-1.0))
        store.add_message("s", message("new", created_at=1.0))
        assert _contents(store.get_messages("s", before=0.0)) == ["old"]
        assert _contents(store.get_messages("s", after=0)) == ["new"]

    def test_an_impossible_bound_is_refused(self, store: ConversationStore) -> None:
        """Text compares with numbers in one database, NaN is the largest number in another."""
        store.create_session(session())
        wrong = ("1", True, float("nan"), float("inf"), 10**400)
        refused(wrong, lambda bound: store.get_messages("s", before=bound), "before")
        refused(wrong, lambda bound: store.get_messages("s", after=bound), "after")

    def test_equal_timestamps_keep_the_order_of_appends(self, store: ConversationStore) -> None:
        """A tool's answer is sorted before its call."""
        store.create_session(session())
        contents = [str(index) for index in range(20)]
        for content in contents:
            store.add_message("s", message(content, created_at=1.0))
        assert _contents(store.get_messages("s")) == contents
        assert _contents(store.get_messages("s", limit=5)) == contents[-5:]
        assert _contents(store.get_messages("s", before=1.5)) == contents

    def test_a_clock_that_steps_back_keeps_the_order_of_appends(
        self, store: ConversationStore
    ) -> None:
        """A corrected clock reorders the conversation."""
        store.create_session(session())
        for at in (5.0, 3.0, 4.0, 1.0):
            store.add_message("s", message(str(at), created_at=at))
        assert _contents(store.get_messages("s")) == ["5.0", "3.0", "4.0", "1.0"]
        assert _contents(store.get_messages("s", limit=2)) == ["4.0", "1.0"]
        assert _contents(store.get_messages("s", after=1.5)) == ["5.0", "3.0", "4.0"]

    def test_ids_do_not_decide_the_order(self, store: ConversationStore) -> None:
        """Ids of another program do not grow with time."""
        store.create_session(session())
        for key in ("c", "a", "b"):
            store.add_message("s", message(id=key))
        assert [m.id for m in store.get_messages("s")] == ["c", "a", "b"]

    def test_seq_counts_from_one_without_gaps(self, store: ConversationStore) -> None:
        """A gap makes a reader that resumes after a number wait for ever."""
        store.create_session(session())
        stored = [store.add_message("s", message()) for _ in range(5)]
        assert _seqs(stored) == _seqs(store.get_messages("s")) == [1, 2, 3, 4, 5]

    def test_seq_is_never_used_again(self, store: ConversationStore) -> None:
        """A reader that resumes after a number misses the message that took a deleted one's."""
        store.create_session(session())
        stored = [store.add_message("s", message()) for _ in range(3)]
        store.delete_messages("s", [stored[2].id])
        assert store.add_message("s", message()).seq == 4
        store.delete_messages("s")
        assert store.add_message("s", message()).seq == 5

    def test_each_session_counts_for_itself(self, store: ConversationStore) -> None:
        """A shared counter tells one user how much the others write."""
        store.create_session(session())
        store.create_session(session("t"))
        seqs = [store.add_message(key, message()).seq for key in ("s", "t", "s", "t")]
        assert seqs == [1, 1, 2, 2]

    def test_writing_a_message_again_changes_nothing(self, store: ConversationStore) -> None:
        """A retry after a lost answer duplicates the message."""
        store.create_session(session())
        given = message("once", id="m", created_at=1.0)
        stored = store.add_message("s", given)
        store.add_message("s", message("later"))
        before = store.get_session("s")
        again = store.add_message("s", message("once", id="m", created_at=2.0))
        assert again == stored
        assert store.get_session("s") == before
        assert _contents(store.get_messages("s")) == ["once", "later"]
        assert store.add_message("s", message("last")).seq == 3

    def test_other_content_under_a_known_id_is_refused(self, store: ConversationStore) -> None:
        """The newer of two messages is dropped, or the older overwritten, without a word."""
        store.create_session(session())
        stored = store.add_message("s", message("first", id="m"))
        for field, value in _OTHER_CONTENT.items():
            other = message("first", id="m")
            setattr(other, field, value)
            with pytest.raises(ConflictError, match="'m'"):
                store.add_message("s", other)
            assert store.get_messages("s") == [stored]
        assert store.add_message("s", message()).seq == 2

    def test_the_same_id_in_two_sessions_is_two_messages(self, store: ConversationStore) -> None:
        """A copied conversation loses the messages that the original has."""
        store.create_session(session())
        store.create_session(session("t"))
        store.add_message("s", message("one", id="m"))
        store.add_message("t", message("two", id="m"))
        assert _contents(store.get_messages("s") + store.get_messages("t")) == ["one", "two"]
        assert store.delete_messages("s", ["m"]) == 1
        assert store.count("t") == 1

    def test_an_append_counts_as_writing_to_the_session(self, store: ConversationStore) -> None:
        """The most recent session is the one that was created last, not used last."""
        store.create_session(session())
        before = store.update_session(session())
        store.create_session(session("t", updated_at=before.updated_at + 1e-6))
        store.add_message("s", message(created_at=1.0))
        after = store.get_session("s")
        assert after is not None
        assert after.updated_at >= before.updated_at
        assert (after.created_at, after.version) == (before.created_at, before.version)

    def test_an_unknown_session_takes_no_message(self, store: ConversationStore) -> None:
        """Messages without a session are found by nobody."""
        store.create_session(session())
        with pytest.raises(NotFoundError, match="'unknown'"):
            store.add_message("unknown", message())
        assert store.get_messages("unknown") == []
        assert store.get_session("unknown") is None

    def test_a_refused_message_leaves_no_trace(self, store: ConversationStore) -> None:
        """What failed halfway is there, or has used a number."""
        store.create_session(session())
        before = store.get_session("s")
        with pytest.raises(InvalidDataError):
            store.add_message("s", message(metadata={"at": float("nan")}))
        assert store.get_session("s") == before
        assert store.get_messages("s") == []
        assert store.add_message("s", message()).seq == 1

    def test_deleting_no_ids_deletes_nothing(self, store: ConversationStore) -> None:
        """An empty selection wipes the conversation."""
        store.create_session(session())
        store.add_message("s", message())
        assert store.delete_messages("s", []) == 0
        assert store.delete_messages("s", ()) == 0
        assert store.count("s") == 1

    def test_delete_counts_what_was_there(self, store: ConversationStore) -> None:
        """A count that is a guess cannot be checked."""
        store.create_session(session())
        ids = [store.add_message("s", message(str(index))).id for index in range(5)]
        assert store.delete_messages("s", [ids[0], ids[0], "unknown", ids[2]]) == 2
        assert _contents(store.get_messages("s")) == ["1", "3", "4"]
        assert store.delete_messages("s", [ids[0]]) == 0
        assert store.delete_messages("s", None) == 3
        assert store.delete_messages("s") == 0
        assert store.get_session("s") is not None

    def test_delete_takes_a_list_not_a_string(self, store: ConversationStore) -> None:
        """An id given in place of a list deletes the messages named by its characters."""
        store.create_session(session())
        store.add_message("s", message(id="m"))
        with pytest.raises(InvalidDataError, match="message_ids"):
            store.delete_messages("s", "m")
        with pytest.raises(InvalidDataError, match="message_ids"):
            store.delete_messages("s", ["m", "\x00"])
        assert store.count("s") == 1

    def test_a_deleted_message_can_be_written_again(self, store: ConversationStore) -> None:
        """A deletion that only hides refuses the id for ever."""
        store.create_session(session())
        store.add_message("s", message("one", id="m"))
        store.delete_messages("s", ["m"])
        assert store.add_message("s", message("two", id="m")).content == "two"
        assert _contents(store.get_messages("s")) == ["two"]

    def test_count_is_how_many_there_are(self, store: ConversationStore) -> None:
        """A counter that is kept apart drifts away."""
        store.create_session(session())
        ids = [store.add_message("s", message()).id for _ in range(3)]
        store.delete_messages("s", ids[:1])
        assert store.count("s") == len(store.get_messages("s")) == 2

    def test_a_message_that_is_read_is_a_copy(self, store: ConversationStore) -> None:
        """A caller that edits what it read, or what it gave, edits the stored conversation."""
        store.create_session(session())
        given = message(tool_calls=[{"id": "c"}], metadata={"a": {}})
        stored = store.add_message("s", given)
        for value in (given, stored, store.get_messages("s")[0]):
            assert value.tool_calls is not None
            assert value.metadata is not None
            value.content = "changed"
            value.tool_calls[0]["id"] = "changed"
            value.metadata["a"]["b"] = 1
        found = store.get_messages("s")[0]
        assert (found.content, found.tool_calls, found.metadata) == ("", [{"id": "c"}], {"a": {}})

    def test_another_store_of_the_same_data_reads_what_was_written(
        self, store: ConversationStore, second: ConversationStore
    ) -> None:
        """What is only in one process's memory is lost with it."""
        store.create_session(session())
        store.add_message("s", message("one"))
        assert _contents(second.get_messages("s")) == ["one"]
        assert second.add_message("s", message("two")).seq == 2
        assert _contents(store.get_messages("s")) == ["one", "two"]


class BatchContract(StoreContract):
    """Messages, several at a time."""

    @needs(Capability.BATCH)
    def test_a_batch_is_appended_in_its_order(self, store: ConversationStore) -> None:
        """Parallel or unordered inserts shuffle a turn."""
        store.create_session(session())
        store.add_message("s", message("first"))
        batch = [message(str(index), created_at=9.0 - index) for index in range(5)]
        stored = store.add_messages("s", batch)
        assert _seqs(stored) == [2, 3, 4, 5, 6]
        assert [m.id for m in stored] == [m.id for m in batch]
        assert store.get_messages("s")[1:] == stored

    @needs(Capability.BATCH)
    def test_an_empty_batch_does_nothing(self, store: ConversationStore) -> None:
        """The session is counted as written to."""
        store.create_session(session())
        before = store.get_session("s")
        assert store.add_messages("s", []) == []
        assert store.get_session("s") == before

    @needs(Capability.BATCH)
    def test_a_batch_for_an_unknown_session_is_refused(self, store: ConversationStore) -> None:
        """Messages without a session are found by nobody."""
        store.create_session(session())
        with pytest.raises(NotFoundError, match="'unknown'"):
            store.add_messages("unknown", [message(), message()])
        assert store.get_messages("unknown") == []

    @needs(Capability.BATCH)
    def test_a_bad_message_stores_nothing_of_its_batch(self, store: ConversationStore) -> None:
        """Half a turn is replayed as if it were whole."""
        store.create_session(session())
        before = store.get_session("s")
        for position in (0, 2, 4):
            batch = [message(str(index)) for index in range(5)]
            batch[position].metadata = {"at": float("nan")}
            with trying(position):
                with pytest.raises(InvalidDataError, match="metadata"):
                    store.add_messages("s", batch)
                assert store.get_messages("s") == []
                assert store.get_session("s") == before
        assert store.add_message("s", message()).seq == 1

    @needs(Capability.BATCH)
    def test_a_conflicting_message_stores_nothing_of_its_batch(
        self, store: ConversationStore
    ) -> None:
        """The messages before the conflict are stored, those after it are not."""
        store.create_session(session())
        store.add_message("s", message("stored", id="m"))
        before = store.get_session("s")
        for position in (0, 2, 4):
            batch = [message(str(index)) for index in range(5)]
            batch[position].id = "m"
            with trying(position):
                with pytest.raises(ConflictError, match="'m'"):
                    store.add_messages("s", batch)
                assert _contents(store.get_messages("s")) == ["stored"]
                assert store.get_session("s") == before
        assert store.add_message("s", message()).seq == 2

    @needs(Capability.BATCH)
    def test_known_messages_in_a_batch_leave_no_gap(self, store: ConversationStore) -> None:
        """A repeated batch numbers its new messages as if the known ones were new."""
        store.create_session(session())
        batch = [message(str(index), id=f"m{index}") for index in range(6)]
        first = store.add_messages("s", [batch[1], batch[4]])
        stored = store.add_messages("s", batch)
        assert [m.id for m in stored] == [m.id for m in batch]
        assert _seqs(stored) == [3, 1, 4, 5, 2, 6]
        assert [stored[1], stored[4]] == first
        assert _seqs(store.get_messages("s")) == [1, 2, 3, 4, 5, 6]
        assert store.add_message("s", message()).seq == 7

    @needs(Capability.BATCH)
    def test_writing_a_batch_again_changes_nothing(self, store: ConversationStore) -> None:
        """A retry after a lost answer duplicates the turn."""
        store.create_session(session())
        batch = [message(str(index)) for index in range(3)]
        stored = store.add_messages("s", batch)
        before = store.get_session("s")
        assert store.add_messages("s", batch) == stored
        assert store.get_session("s") == before
        assert store.get_messages("s") == stored

    @needs(Capability.BATCH)
    def test_an_id_twice_in_a_batch_is_one_message(self, store: ConversationStore) -> None:
        """A unique index refuses the batch, or the message is there twice."""
        store.create_session(session())
        batch = [message("a", id="m"), message("b"), message("a", id="m")]
        stored = store.add_messages("s", batch)
        assert _seqs(stored) == [1, 2, 1]
        assert _contents(store.get_messages("s")) == ["a", "b"]
        with pytest.raises(ConflictError, match="'n'"):
            store.add_messages("s", [message("a", id="n"), message("b", id="n")])
        assert store.count("s") == 2

    @needs(Capability.BATCH)
    def test_a_batch_of_ten_thousand_is_one_batch(self, store: ConversationStore) -> None:
        """Parameter and packet limits of the drivers; a split batch is not atomic."""
        store.create_session(session())
        batch = [message(str(index), metadata={"n": index}) for index in range(10_000)]
        stored = store.add_messages("s", batch)
        assert _seqs(stored) == list(range(1, 10_001))
        found = store.get_messages("s")
        assert found == stored
        assert store.count("s") == 10_000
        known = [*batch[5_000:], message("new")]
        assert store.add_messages("s", known)[-1].seq == 10_001
        assert store.delete_messages("s", [m.id for m in batch[:5_000]]) == 5_000
        assert store.count("s") == 5_001

    @needs(Capability.BATCH)
    def test_an_append_inside_a_batch_of_another_waits(
        self, store: ConversationStore, second: ConversationStore
    ) -> None:
        """Batches of two writers are interleaved."""
        store.create_session(session())
        stores = (store, second)

        def write(index: int) -> None:
            for batch in range(5):
                stores[index % 2].add_messages("s", [message(f"{index}.{batch}") for _ in range(5)])

        race(4, write)
        contents = _contents(store.get_messages("s"))
        assert len(contents) == 100
        for start in range(0, 100, 5):
            assert len(set(contents[start : start + 5])) == 1
