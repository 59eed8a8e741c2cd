"""The part of the session suite about what is said, and what of it a model is shown."""

from __future__ import annotations

import time
from typing import Any

import pytest

from praison_persist.errors import ConfigurationError, InvalidDataError
from praison_persist.sessions.base import SessionStore
from praison_persist.sessions.models import SessionData
from praison_persist.testing.session_contract import (
    OpenSessions,
    SessionContract,
    makes_room,
    said,
    say,
    tool_turn,
)

__all__ = ["TurnContract", "WindowContract"]

MANY = 12


class TurnContract(SessionContract):
    """Adding, replacing, clearing messages; partial answers; histories."""

    def test_what_is_said_is_read_in_order_by_another_store(
        self, store: SessionStore, second: SessionStore
    ) -> None:
        assert store.add_user_message("s", "hello", {"a": [1, None]})
        assert second.add_assistant_message("s", "hi")
        assert store.get_chat_history("s") == second.get_chat_history("s")
        assert store.get_chat_history("s") == [
            {"role": "user", "content": "hello"},
            {"role": "assistant", "content": "hi"},
        ]
        assert second.get_session("s").messages[0].metadata == {"a": [1, None]}

    def test_a_message_has_the_time_at_which_it_was_added(self, store: SessionStore) -> None:
        before = time.time()
        say(store, "s", "hello")
        assert before <= store.get_session("s").messages[0].timestamp <= time.time()

    def test_tool_turns_come_back_as_they_were(self, store: SessionStore) -> None:
        tool_turn(store, "s", results=2)
        question, calls, first, second, answer = store.get_chat_history("s")
        assert [call["id"] for call in calls["tool_calls"]] == ["call-0", "call-1"]
        assert calls["content"] is None
        assert [first["tool_call_id"], second["tool_call_id"]] == ["call-0", "call-1"]
        assert set(question) == set(answer) == {"role", "content"}

    @pytest.mark.parametrize(
        "content", ["", "\x00 \ud800 é 😀", [{"type": "text", "text": "part"}, "more"], None]
    )
    def test_contents_come_back_equal(self, store: SessionStore, content: Any) -> None:
        assert store.add_message("s", "user", content)
        assert said(store, "s") == [content]

    def test_a_history_of_nothing(self, store: SessionStore) -> None:
        assert store.get_chat_history("none") == store.get_working_history("none") == []
        assert store.get_session("none").messages == []
        assert not store.session_exists("none"), "reading has made a session"

    def test_the_newest_are_returned(self, store: SessionStore) -> None:
        say(store, "s", "a", "b", "c", "d")
        assert [m["content"] for m in store.get_chat_history("s", 2)] == ["c", "d"]
        assert [m["content"] for m in store.get_chat_history("s", 9)] == ["a", "b", "c", "d"]
        assert len(store.get_chat_history("s", 0)) == 4, "0 is no limit"

    @pytest.mark.parametrize("limit", range(1, 6))
    def test_a_history_never_begins_with_a_result(self, store: SessionStore, limit: int) -> None:
        """Models refuse a result without the call that it answers."""
        tool_turn(store, "s", results=2)
        for history in (store.get_chat_history("s", limit), store.get_working_history("s", limit)):
            assert history[0]["role"] != "tool"
            assert len(history) <= limit
            assert history == store.get_chat_history("s")[-len(history) :]

    def test_a_history_may_be_nothing_but_results(self, store: SessionStore) -> None:
        assert store.add_message("s", "tool", "orphan", tool_call_id="c")
        assert store.add_message("s", "tool", "orphan", tool_call_id="d")
        assert store.get_chat_history("s", 1) == []

    def test_what_is_returned_is_the_callers_own(self, store: SessionStore) -> None:
        mine = {"list": [1]}
        calls: list[Any] = [{"id": "c"}]
        assert store.add_message("s", "assistant", "x", mine, tool_calls=calls)
        mine["list"].append(2)
        calls[0]["id"] = "other"
        session = store.get_session("s")
        assert session.messages[0].metadata == {"list": [1]}
        session.messages[0].metadata["list"].append(3)
        session.messages.clear()
        again = store.get_chat_history("s")
        assert again[0]["tool_calls"] == [{"id": "c"}]
        again[0]["tool_calls"].clear()
        assert store.get_session("s").messages[0].metadata == {"list": [1]}
        assert store.get_chat_history("s")[0]["tool_calls"] == [{"id": "c"}]

    def test_bad_messages_are_refused_and_nothing_changes(self, store: SessionStore) -> None:
        say(store, "s", "before")
        calls: Any = {"id": "c"}
        words: Any = ["x"]
        half_bad: list[Any] = [{"content": "ok"}, {"content": object()}]
        for bad in (
            lambda: store.add_message("s", "", "x"),
            lambda: store.add_message("s", "r" * 51, "x"),
            lambda: store.add_message("s", "user", 7),  # type: ignore[arg-type]  # what is tested
            lambda: store.add_message("s", "user", "x", {"t": float("nan")}),
            lambda: store.add_message("s", "user", "x", {"t": object()}),
            lambda: store.add_message("s", "user", "x", tool_calls=calls),
            lambda: store.set_chat_history("s", words),
            lambda: store.set_chat_history("s", half_bad),
            lambda: store.get_chat_history("s", -1),
        ):
            with pytest.raises(InvalidDataError):
                bad()
        assert said(store, "s") == ["before"]

    def test_a_history_is_replaced(self, store: SessionStore) -> None:
        say(store, "s", "old")
        new: list[dict[str, Any]] = [
            {"role": "user", "content": "q", "timestamp": 5.0},
            {"role": "tool", "content": "r"},
        ]
        assert store.set_chat_history("s", new)
        first, second = store.get_session("s").messages
        assert (first.role, first.content, first.timestamp) == ("user", "q", 5.0)
        assert (second.role, second.content) == ("tool", "r")
        assert store.set_chat_history("s", store.get_chat_history("s"))
        assert said(store, "s") == ["q", "r"]

    def test_clearing_keeps_the_session(self, store: SessionStore) -> None:
        say(store, "s", "a", "b")
        assert store.append_compaction_checkpoint("s", "so far")
        assert store.update_session_metadata("s", kept=1)
        assert store.clear_session("s")
        session = store.get_session("s")
        assert (session.messages, session.archived_messages) == ([], [])
        assert session.last_compaction is None
        assert session.metadata == {"kept": 1}
        assert store.session_exists("s")

    def test_a_partial_answer_is_one_message(self, store: SessionStore) -> None:
        say(store, "s", "question")
        for text in ("Hel", "Hello", "Hello world"):
            assert store.upsert_partial_assistant_message("s", text)
            last = store.get_session("s").messages[-1]
            assert (last.content, last.metadata) == (text, {"partial": True})
        assert store.upsert_partial_assistant_message("s", "Hello world!", finalize=True)
        assert said(store, "s") == ["question", "Hello world!"]
        assert store.get_session("s").messages[-1].metadata == {}
        assert store.upsert_partial_assistant_message("s", "next")
        assert said(store, "s") == ["question", "Hello world!", "next"]

    def test_an_answer_without_parts_is_added_at_its_end(self, store: SessionStore) -> None:
        assert store.upsert_partial_assistant_message("s", "whole", finalize=True)
        assert said(store, "s") == ["whole"]

    def test_an_empty_answer_leaves_nothing(self, store: SessionStore) -> None:
        assert store.upsert_partial_assistant_message("s", "", finalize=True)
        assert not store.session_exists("s")
        say(store, "s", "question")
        assert store.upsert_partial_assistant_message("s", "Hel")
        assert store.upsert_partial_assistant_message("s", "", finalize=True)
        assert said(store, "s") == ["question"]

    def test_a_partial_answer_is_discarded(self, store: SessionStore) -> None:
        say(store, "s", "question", "answer")
        assert store.discard_partial_assistant_message("s")
        assert said(store, "s") == ["question", "answer"], "the last answer was complete"
        assert store.upsert_partial_assistant_message("s", "Hel")
        assert store.discard_partial_assistant_message("s")
        assert said(store, "s") == ["question", "answer"]


class WindowContract(SessionContract):
    """Retention, checkpoints, and what a resumed agent is told."""

    def test_a_checkpoint_stands_for_what_was_before(self, store: SessionStore) -> None:
        say(store, "s", "a", "b")
        assert store.append_compaction_checkpoint(
            "s", "so far", tokens_before=9, tokens_after=3, metadata={"m": 1}
        )
        say(store, "s", "c")
        assert store.get_working_history("s") == [
            {"role": "system", "content": "so far"},
            {"role": "user", "content": "c"},
        ]
        assert said(store, "s") == ["a", "b", "c"], "nothing is lost"
        checkpoint = store.get_session("s").last_compaction
        assert checkpoint is not None
        assert (checkpoint.message_index, checkpoint.tokens_before) == (2, 9)
        assert (checkpoint.tokens_after, checkpoint.metadata) == (3, {"m": 1})

    def test_a_summary_is_kept_whatever_the_limit(self, store: SessionStore) -> None:
        assert store.append_compaction_checkpoint("s", "so far")
        say(store, "s", "a", "b", "c")
        history = store.get_working_history("s", 2)
        assert [message["content"] for message in history] == ["so far", "c"]
        assert len(store.get_working_history("s", 1)) == 1

    def test_a_blank_summary_is_none(self, store: SessionStore) -> None:
        assert not store.append_compaction_checkpoint("s", "  \n")
        assert not store.session_exists("s")

    def test_a_new_history_needs_a_new_checkpoint(self, store: SessionStore) -> None:
        say(store, "s", "a")
        assert store.append_compaction_checkpoint("s", "so far")
        assert store.set_chat_history("s", [{"role": "user", "content": "b"}])
        assert store.get_working_history("s") == [{"role": "user", "content": "b"}]

    @makes_room
    def test_compacting_archives(self, open_sessions: OpenSessions) -> None:
        store = open_sessions(retention="compact", active_window=4)
        for number in range(MANY):
            assert store.add_user_message("s", f"m{number}")
        session = store.get_session("s")
        summary, *recent = session.messages
        assert [m.content for m in recent] == [f"m{n}" for n in range(MANY - 4, MANY)]
        assert [m.content for m in session.archived_messages] == [f"m{n}" for n in range(MANY - 4)]
        assert summary.role == "system"
        assert summary.metadata == {"compaction": True, "compacted_count": MANY - 4}
        assert isinstance(summary.content, str)
        assert f"m{MANY - 5}" in summary.content
        assert store.get_working_history("s") == store.get_chat_history("s")
        assert store.update_session_metadata("s", other=1)
        again = store.get_session("s")
        assert again.messages == session.messages, "nothing was added, nothing is compacted"

    @makes_room
    def test_a_summary_does_not_grow_for_ever(self, open_sessions: OpenSessions) -> None:
        store = open_sessions(retention="compact", active_window=1)
        for _ in range(30):
            assert store.add_user_message("s", "word " * 100)
        summary = store.get_session("s").messages[0]
        assert len(str(summary.content)) < 5000

    @makes_room
    def test_truncating_drops(self, open_sessions: OpenSessions) -> None:
        store = open_sessions(max_messages=3)
        assert store.retention == "truncate", "as a limit of one's own has always meant"
        say(store, "s", *"abcde")
        session = store.get_session("s")
        assert said(store, "s") == ["c", "d", "e"]
        assert session.archived_messages == []

    @makes_room
    def test_keeping_all(self, open_sessions: OpenSessions) -> None:
        store = open_sessions(max_messages=2, retention="keep_all")
        say(store, "s", *"abcde")
        assert said(store, "s") == list("abcde")
        assert [m["content"] for m in store.get_working_history("s")] == ["d", "e"]

    @pytest.mark.parametrize("retention", ["compact", "truncate"])
    @pytest.mark.parametrize("window", [1, 2, 3, 4])
    @makes_room
    def test_a_window_never_begins_with_a_result(
        self, open_sessions: OpenSessions, retention: str, window: int
    ) -> None:
        store = open_sessions(retention=retention, active_window=window)
        for _ in range(3):
            tool_turn(store, "s", results=2)
            messages = store.get_session("s").messages
            first = messages[1:] if messages[0].metadata.get("compaction") else messages
            assert not first or first[0].role != "tool"

    @pytest.mark.parametrize("retention", ["compact", "truncate"])
    @makes_room
    def test_a_checkpoint_keeps_its_place(
        self, open_sessions: OpenSessions, retention: str
    ) -> None:
        store = open_sessions(retention=retention, active_window=4)
        say(store, "s", "a", "b", "c")
        assert store.append_compaction_checkpoint("s", "so far")
        say(store, "s", "d", "e", "f")
        history = [message["content"] for message in store.get_working_history("s")]
        assert history == ["so far", "d", "e", "f"]

    @pytest.mark.parametrize(
        "options",
        [{"retention": "other"}, {"max_messages": -1}, {"active_window": -1}, {"mirror": object()}],
    )
    def test_options_that_cannot_be_right(
        self, open_sessions: OpenSessions, options: dict[str, Any]
    ) -> None:
        with pytest.raises(ConfigurationError):
            open_sessions(**options)

    def test_session_data_trims_like_the_store(self, store: SessionStore) -> None:
        say(store, "s", "a", "b", "c")
        assert store.append_compaction_checkpoint("s", "so far")
        say(store, "s", "d")
        session: SessionData = store.get_session("s")
        session.trim_messages(2)
        assert [m.content for m in session.messages] == ["c", "d"]
        assert [m["content"] for m in session.get_working_history()] == ["so far", "d"]
        assert SessionData.from_dict(session.to_dict()) == SessionData.from_dict(session.to_dict())
        assert said(store, "s") == ["a", "b", "c", "d"]
