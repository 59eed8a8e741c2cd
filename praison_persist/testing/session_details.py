"""The part of the session suite about what is known of sessions, and lists of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from praison_persist.errors import InvalidDataError
from praison_persist.sessions.base import SessionStore
from praison_persist.testing.contract import trying
from praison_persist.testing.session_contract import SessionContract, said, say

__all__ = ["DetailContract", "IdContract", "RuntimeStateContract", "TitleContract"]

IDS = (
    *("user/1", "user_1", "User_1", "user 1", "user-1", "..", ".", "con", "a/../b", "é", "e\u0301"),
    *("😀", "x" * 254 + "a", "x" * 254 + "b", "s.json", "~", "a b\n"),
)


class IdContract(SessionContract):
    """Whatever an id looks like, it is of one session."""

    def test_ids_that_differ_share_nothing(self, store: SessionStore, second: SessionStore) -> None:
        for session_id in IDS:
            say(store, session_id, f"of {session_id}")
        for session_id in IDS:
            assert said(second, session_id) == [f"of {session_id}"]
        assert {line["session_id"] for line in store.list_sessions()} == set(IDS)
        for number, session_id in enumerate(IDS):
            assert store.delete_session(session_id)
            assert len(second.list_sessions()) == len(IDS) - number - 1

    def test_what_is_no_id_is_refused(self, store: SessionStore) -> None:
        wrong: list[Any] = ["", "a\x00b", "\ud800", "x" * 256, None, 7, b"s"]
        uses: list[Callable[[Any], object]] = [
            lambda bad: store.add_message(bad, "user", "x"),
            store.get_chat_history,
            store.get_session,
            store.session_exists,
            store.delete_session,
            lambda bad: store.set_agent_info(bad, "a"),
            store.fork_session,
            store.create_snapshot,
            store.export_session,
        ]
        for bad in wrong:
            with trying(bad):
                for use in uses:
                    with pytest.raises(InvalidDataError):
                        use(bad)
                assert store.list_sessions() == []


class DetailContract(SessionContract):
    """Agent, user, gateway, metadata, and sessions by any of them."""

    def test_whose_session_it_is(self, store: SessionStore) -> None:
        assert store.set_agent_info("s", "Ada", "user-1")
        assert store.set_agent_info("s", user_id="user-2")
        assert store.set_agent_info("s", agent_name="")
        session = store.get_session("s")
        assert (session.agent_name, session.user_id) == ("Ada", "user-2")

    def test_the_gateways_session(self, store: SessionStore) -> None:
        assert store.set_gateway_info("s", "gateway-1", "agent-1")
        assert store.set_gateway_info("s", agent_id="agent-2")
        say(store, "s", "hello")
        found = store.get_by_gateway_session("gateway-1")
        assert found is not None
        assert (found.session_id, found.agent_id) == ("s", "agent-2")
        assert [m.content for m in found.messages] == ["hello"]
        assert store.get_by_gateway_session("gateway-2") is None
        assert store.list_sessions_by_gateway_agent("agent-2") == ["s"]
        assert store.list_sessions_by_gateway_agent("agent-1") == []

    def test_metadata_is_merged(self, store: SessionStore) -> None:
        assert store.update_session_metadata("s", a=1, b={"x": [1]})
        assert store.update_session_metadata("s", a=None, b="new", c=True)
        assert store.get_session("s").metadata == {"a": 1, "b": "new", "c": True}
        assert store.update_session_metadata("s", agent_id="agent-1", user_id="user-1")
        session = store.get_session("s")
        assert (session.agent_id, session.user_id) == ("agent-1", "user-1")
        with pytest.raises(InvalidDataError):
            store.update_session_metadata("s", a=2, bad=object())
        assert store.get_session("s").metadata["a"] == 1

    def test_a_map_in_the_metadata_is_merged(self, store: SessionStore) -> None:
        assert store.merge_session_metadata_map("s", "m", {"a": 1}, defaults={"a": 0, "b": 0})
        assert store.merge_session_metadata_map("s", "m", {"c": 2}, defaults={"a": 9, "d": 9})
        assert store.get_session("s").metadata == {"m": {"a": 1, "b": 0, "c": 2, "d": 9}}
        assert store.update_session_metadata("s", m="no map")
        assert store.merge_session_metadata_map("s", "m", {"e": 3})
        assert store.get_session("s").metadata == {"m": {"e": 3}}

    def test_the_model_is_that_of_the_session_or_of_its_last_message(
        self, store: SessionStore
    ) -> None:
        assert store.get_session_model("s") is store.get_session_reasoning_effort("s") is None
        assert store.add_message("s", "user", "a", {"model": "old", "reasoning_effort": "low"})
        assert store.add_message("s", "user", "b", {"model": "new"})
        assert store.get_session_model("s") == "new"
        assert store.get_session_reasoning_effort("s") == "low"
        assert store.update_session_metadata("s", llm="mine", reasoning_effort="high")
        assert store.get_session_model("s") == "mine"
        assert store.get_session_reasoning_effort("s") == "high"

    def test_the_last_written_session_comes_first(self, store: SessionStore) -> None:
        for session_id in ("a", "b", "c"):
            say(store, session_id, "hello")
            assert store.set_agent_info(session_id, "Ada" if session_id != "b" else "Bob")
        say(store, "a", "again")
        assert [line["session_id"] for line in store.list_sessions()] == ["a", "c", "b"]
        assert [line["id"] for line in store.list_sessions(2)] == ["a", "c"]
        assert store.list_sessions_by_agent("Ada") == ["a", "c"]
        assert store.list_sessions_by_agent("Ada", 1) == ["a"]
        assert store.list_sessions_by_agent("Eve") == []
        recent = store.recent(limit=2)
        assert [(s.session_id, s.message_count) for s in recent] == [("a", 2), ("c", 1)]
        assert recent[0].title == "Ada"

    def test_reading_writes_nothing(self, store: SessionStore) -> None:
        say(store, "a", "hello")
        say(store, "b", "hello")
        before = store.get_session("a").updated_at
        store.get_working_history("a")
        store.get_extended_session("a", force_reload=True)
        store.window("a")
        assert store.get_session("a").updated_at == before
        assert store.list_sessions()[0]["session_id"] == "b"

    def test_a_line_of_the_list(self, store: SessionStore) -> None:
        store.create_session("s", "Title", "parent", "Ada")
        say(store, "s", "hello")
        assert store.update_session_metadata(
            "s", model="m", total_tokens=7, cost=0.5, source="chat"
        )
        line = next(line for line in store.list_sessions() if line["id"] == "s")
        wanted = {
            "session_id": "s",
            "agent_name": "Ada",
            "title": "Title",
            "parent_id": "parent",
            "message_count": 1,
            "model": "m",
            "total_tokens": 7,
            "cost": 0.5,
            "source": "chat",
        }
        assert {key: line[key] for key in wanted} == wanted
        assert line["created_at"] < line["updated_at"]

    def test_an_agents_histories(self, store: SessionStore) -> None:
        for session_id in ("a", "b"):
            assert store.set_agent_info(session_id, "Ada")
            say(store, session_id, "one", f"two of {session_id}")
        history = store.get_agent_chat_history("Ada", max_messages=1)
        assert [(m["session_id"], m["content"]) for m in history] == [
            ("b", "two of b"),
            ("a", "two of a"),
        ]
        assert {m["agent_name"] for m in history} == {"Ada"}
        assert len(store.get_agent_chat_history("Ada", max_sessions=1)) == 2
        sessions = store.get_sessions_by_agent("Ada")
        assert [len(session.messages) for session in sessions] == [2, 2]


class TitleContract(SessionContract):
    """One title, however it is set."""

    def test_a_title_is_set_and_removed(self, store: SessionStore) -> None:
        assert store.rename_session("s", "  One ")
        assert self.title(store) == "One"
        assert store.set_title("s", "Two")
        assert self.title(store) == "Two"
        assert store.rename_session("s", " ")
        assert self.title(store) is None
        assert store.set_title("s", "Three")
        assert store.set_title("s", "")
        assert self.title(store) is None

    def title(self, store: SessionStore) -> Any:
        line = next(line for line in store.list_sessions() if line["session_id"] == "s")
        tree = store.get_session_tree("s")
        assert line["title"] == tree["title"]
        return line["title"]

    def test_no_title_is_made_before_an_exchange(self, store: SessionStore) -> None:
        assert not asyncio.run(store.auto_title("s"))
        assert not store.session_exists("s")
        say(store, "s", "question")
        assert not asyncio.run(store.auto_title("s"))
        assert store.get_extended_session("s").title is None

    @pytest.mark.parametrize("how", ["set_title", "rename_session"])
    def test_a_title_of_the_users_stays(self, store: SessionStore, how: str) -> None:
        say(store, "s", "question", "answer")
        assert getattr(store, how)("s", "Mine")
        assert not asyncio.run(store.auto_title("s"))
        assert self.title(store) == "Mine"


class RuntimeStateContract(SessionContract):
    """What runtimes leave for one another."""

    def test_states_are_kept_by_runtime_and_turn(self, store: SessionStore) -> None:
        assert store.get_runtime_state("s", "native") == {}
        assert store.set_runtime_state("s", "native", "t1", {"calls": ["c"]})
        assert store.set_runtime_state("s", "native", "t2", {"n": 2})
        assert store.set_runtime_state("s", "plugin", "t1", {"n": 3})
        assert store.set_runtime_state("s", "native", "t2", {"m": 4})
        assert store.get_runtime_state("s", "native") == {"t1": {"calls": ["c"]}, "t2": {"m": 4}}
        assert store.get_runtime_state("s", "native", "t1") == {"calls": ["c"]}
        assert store.get_runtime_state("s", "native", "t9") == {}
        assert store.clear_runtime_state("s", "native")
        assert store.get_runtime_state("s", "native") == {}
        assert store.get_runtime_state("s", "plugin") == {"t1": {"n": 3}}
        assert store.clear_runtime_state("s")
        assert store.get_runtime_state("s", "plugin") == {}

    def test_without_mirroring_nothing_is_written(self, store: SessionStore) -> None:
        assert store.set_runtime_state("s", "native", "t", {"n": 1}, mirror_enabled=False)
        assert not store.session_exists("s")

    def test_states_are_the_callers_own(self, store: SessionStore) -> None:
        mine: dict[str, Any] = {"list": [1]}
        assert store.set_runtime_state("s", "native", "t", mine)
        mine["list"].append(2)
        store.get_runtime_state("s", "native", "t")["list"].append(3)
        store.get_runtime_state("s", "native")["t"]["list"].append(4)
        assert store.get_runtime_state("s", "native", "t") == {"list": [1]}
        with pytest.raises(InvalidDataError):
            store.set_runtime_state("s", "native", "t", {"bad": object()})
        assert store.get_runtime_state("s", "native", "t") == {"list": [1]}
