"""The part of the session suite about finding what was said, and about taking it elsewhere."""

from __future__ import annotations

from typing import Any

import pytest

from praison_persist.errors import ConflictError, InvalidDataError
from praison_persist.sessions.base import SessionStore
from praison_persist.sessions.models import SessionData, SessionMessage
from praison_persist.testing.session_contract import (
    OpenSessions,
    SessionContract,
    makes_room,
    said,
    say,
)

__all__ = ["SearchContract", "TransferContract", "WindowReadContract"]


class WindowReadContract(SessionContract):
    """Looking around in a session."""

    def test_a_message_and_those_around_it(self, store: SessionStore) -> None:
        say(store, "s", *"abcdefg")
        around = store.window("s", "3", window=1)
        assert [(m["index"], m["content"]) for m in around] == [(2, "c"), (3, "d"), (4, "e")]
        assert set(around[0]) == {"index", "role", "content", "timestamp", "archived"}
        for last in (None, "", "no number", "99"):
            assert [m["content"] for m in store.window("s", last, window=1)] == ["f", "g"]
        assert store.window("s", "0", window=0)[0]["content"] == "a"
        assert store.window("none") == []

    @makes_room
    def test_archived_messages_are_counted_first(self, open_sessions: OpenSessions) -> None:
        store = open_sessions(retention="compact", active_window=2)
        say(store, "s", *"abcd")
        around = store.window("s", "1", window=9)
        assert [m["archived"] for m in around] == [True, True, False, False, False]
        assert [m["content"] for m in around if m["archived"]] == ["a", "b"]


class SearchContract(SessionContract):
    """Full text over all sessions."""

    def test_a_hit_shows_the_match_in_its_place(self, store: SessionStore) -> None:
        say(store, "s", "hello", "good day", "how do we move Billing to Frankfurt?", "so", "thanks")
        say(store, "other", "nothing of the kind")
        (hit,) = store.search("billing", window=1)
        assert (hit.session_id, hit.anchor_index) == ("s", 2)
        assert [m["index"] for m in hit.messages] == [1, 2, 3]
        assert "Billing" in hit.snippet
        assert [m["content"] for m in hit.bookends["opening"]] == ["hello", "good day"]
        assert [m["content"] for m in hit.bookends["closing"]] == ["so", "thanks"]
        assert hit.title == "hello"
        assert hit.when == store.get_session("s").updated_at
        found = store.window("s", str(hit.anchor_index), window=0)
        assert found[0]["content"] == "how do we move Billing to Frankfurt?"

    def test_the_phrase_counts_more_than_its_words(self, store: SessionStore) -> None:
        say(store, "words", "migration of the billing")
        say(store, "phrase", "the billing migration")
        say(store, "one", "billing")
        hits = store.search("billing migration")
        assert [hit.session_id for hit in hits] == ["phrase", "words", "one"]
        assert hits[0].score > hits[1].score > hits[2].score
        assert [hit.session_id for hit in store.search("billing migration", limit=1)] == ["phrase"]

    def test_the_best_of_many_are_found(self, store: SessionStore) -> None:
        words = ["alfa", "bravo", "charlie", "delta", "echo", "foxtrot", "golf"]
        for number in range(60):
            lineage = {"lineage_id": f"line {number // 2}"}
            store.create_session(f"s{number}", metadata=lineage)
            say(store, f"s{number}", " ".join(words[: 1 + number % 7]))
        found = [(hit.session_id, hit.score) for hit in store.search(" ".join(words), limit=12)]
        sevens = {f"s{number}" for number in range(60) if number % 7 == 6}
        assert {session_id for session_id, _ in found[: len(sevens)]} == sevens
        assert [score for _, score in found] == sorted((s for _, s in found), reverse=True)
        assert len({int(session_id[1:]) // 2 for session_id, _ in found}) == 12

    def test_nothing_is_found(self, store: SessionStore) -> None:
        say(store, "s", "hello")
        for query in ("", "  ", "absent", "%", "_", '"', "'", "*", "hello\x00"):
            assert store.search(query) == []
        assert store.search("hello", limit=0) == []

    @pytest.mark.parametrize("query", ["ÉCLAIR", "50%", "a_b", "it's", "😀", "日本", '"quoted"'])
    def test_any_characters_are_found(self, store: SessionStore, query: str) -> None:
        say(store, "s", f"x {query.lower()} y")
        assert [hit.session_id for hit in store.search(query)] == ["s"]

    @makes_room
    def test_archived_messages_are_found(self, open_sessions: OpenSessions) -> None:
        store = open_sessions(retention="compact", active_window=2)
        say(store, "s", "needle", *"abcdef")
        (hit,) = store.search("needle")
        assert hit.anchor_index == 0
        assert hit.messages[0]["archived"]

    def test_what_is_gone_is_not_found(self, store: SessionStore) -> None:
        say(store, "s", "needle")
        say(store, "t", "needle")
        assert store.clear_session("s")
        assert store.delete_session("t")
        assert store.search("needle") == []

    def test_what_machines_said_comes_later(self, store: SessionStore) -> None:
        say(store, "machine", "needle needle", "needle")
        assert store.update_session_metadata("machine", source="cron")
        say(store, "person", "needle")
        assert [hit.session_id for hit in store.search("needle")] == ["person", "machine"]

    def test_of_a_conversation_that_goes_on_there_is_one_hit(self, store: SessionStore) -> None:
        for session_id, text in (("old", "needle"), ("new", "the needle needle")):
            say(store, session_id, text)
            assert store.update_session_metadata(session_id, lineage_id="one")
        say(store, "other", "needle")
        found = [hit.session_id for hit in store.search("the needle")]
        assert found == ["new", "other"]


class TransferContract(SessionContract):
    """Export and import."""

    @makes_room
    def test_all_of_it_comes_back(self, open_sessions: OpenSessions) -> None:
        store = open_sessions(retention="compact", active_window=2)
        store.create_session("s", "Title", agent_name="Ada", metadata={"a": [1]})
        say(store, "s", *"abcd")
        assert store.append_compaction_checkpoint("s", "so far")
        assert store.set_runtime_state("s", "r", "t", {"n": 1})
        snapshot = store.create_snapshot("s", "label")
        say(store, "s", "e")
        child = store.fork_session("s")
        exported = store.export_all()
        before = [store.get_extended_session(sid) for sid in ("s", child)]
        for session_id in ("s", child):
            assert store.delete_session(session_id)
        assert exported["version"] == 1
        report = store.import_sessions(exported)
        assert (report.imported, report.skipped) == (2, [])
        after = [store.get_extended_session(sid) for sid in ("s", child)]
        for old, new in zip(before, after, strict=True):
            assert new.to_dict() | {"snapshots": 0} == old.to_dict() | {"snapshots": 0}
        assert store.revert_to_snapshot("s", snapshot)
        assert said(store, "s")[1:] == ["c", "d"]

    def test_one_session_is_taken_elsewhere(self, store: SessionStore) -> None:
        say(store, "s", "a", "b")
        payload = store.export_session("s")
        assert store.delete_session("s")
        assert store.import_sessions(payload).imported == 1
        assert said(store, "s") == ["a", "b"]
        copy = store.import_session(payload, "copy")
        assert copy == "copy"
        assert said(store, copy) == ["a", "b"]
        new = store.import_session(payload)
        assert said(store, new) == ["a", "b"]
        with pytest.raises(ConflictError):
            store.import_session({"session_id": "x", "messages": []}, "copy")
        assert said(store, "copy") == ["a", "b"]

    def test_an_imported_copy_is_a_root(self, store: SessionStore) -> None:
        store.create_session("parent")
        store.create_session("s", parent_id="parent")
        store.create_session(parent_id="s")
        copy = store.import_session(store.export_session("s"))
        session = store.get_extended_session(copy)
        assert (session.parent_id, session.children_ids) == (None, [])
        assert store.get_children("parent") == ["s"]

    def test_a_session_is_replaced_only_if_asked(self, store: SessionStore) -> None:
        say(store, "s", "old")
        payload = payload_of("s", "new")
        report = store.import_sessions(payload)
        assert (report.imported, report.skipped_count) == (0, 1)
        assert "exists" in report.skipped[0]["reason"]
        assert said(store, "s") == ["old"]
        assert store.import_sessions(payload, overwrite=True).imported == 1
        assert said(store, "s") == ["new"]

    def test_what_cannot_be_imported_is_said(self, store: SessionStore) -> None:
        good = payload_of("good", "x")["sessions"][0]
        bad: list[Any] = [
            None,
            {"messages": []},
            {"session_id": "a\x00b", "messages": []},
            {"session_id": "own", "parent_id": "own"},
            {"session_id": "text", "messages": "hello"},
            {"session_id": "deep", "metadata": {"bad": float("nan")}},
            good,
            good | {"messages": []},
        ]
        report = store.import_sessions({"version": 1, "sessions": bad})
        assert report.imported == 1
        assert len(report.skipped) == len(bad) - 1
        assert all(entry["reason"] for entry in report.skipped)
        assert [line["session_id"] for line in store.list_sessions()] == ["good"]
        assert said(store, "good") == ["x"], "the first of two counts"

    def test_no_more_are_imported_than_said(self, store: SessionStore) -> None:
        sessions = [payload_of(f"s{n}", "x")["sessions"][0] for n in range(4)]
        report = store.import_sessions({"sessions": sessions}, max_sessions=2)
        assert report.imported == 2
        assert "max_sessions" in report.skipped[0]["reason"]
        assert len(store.list_sessions()) == 2

    @pytest.mark.parametrize(
        "payload", [{"version": 99, "sessions": []}, {}, {"sessions": "x"}, [], None]
    )
    def test_what_is_no_payload(self, store: SessionStore, payload: Any) -> None:
        report = store.import_sessions(payload)
        assert report.imported == 0
        assert report.skipped_count == 1
        assert report.as_dict()["skipped_count"] == 1

    @pytest.mark.parametrize("reset", [True, False])
    def test_a_restored_session_receives_nothing(self, store: SessionStore, reset: bool) -> None:
        assert store.set_gateway_info("s", "gateway", "agent")
        payload = store.export_all()
        assert store.delete_session("s")
        assert store.import_sessions(payload, reset_live_fields=reset).imported == 1
        session = store.get_session("s")
        found = (session.gateway_session_id, session.agent_id)
        assert found == ((None, None) if reset else ("gateway", "agent"))
        assert (store.get_by_gateway_session("gateway") is None) is reset
        assert payload["sessions"][0]["gateway_session_id"] == "gateway", "it is the caller's"

    @makes_room
    def test_an_import_is_not_compacted(self, open_sessions: OpenSessions) -> None:
        store = open_sessions(retention="truncate", active_window=1)
        assert store.import_sessions(payload_of("s", *"abc")).imported == 1
        assert said(store, "s") == list("abc")

    def test_links_lead_to_sessions_that_exist(self, store: SessionStore) -> None:
        store.create_session("here")
        records = [
            SessionData(session_id).to_dict() | {"parent_id": parent}
            for session_id, parent in (("c", "b"), ("b", "a"), ("a", "here"), ("d", "nowhere"))
        ]
        report = store.import_sessions({"sessions": records})
        assert report.imported == 4
        assert [store.get_parent(sid) for sid in "abcd"] == ["here", "a", "b", None]
        assert store.get_children("here") == ["a"]
        assert not store.session_exists("nowhere")

    def test_what_comes_from_itself_is_not_imported(self, store: SessionStore) -> None:
        records = [
            SessionData(session_id).to_dict() | {"parent_id": parent}
            for session_id, parent in (("a", "b"), ("b", "a"), ("c", "b"))
        ]
        report = store.import_sessions({"sessions": records})
        assert (report.imported, report.skipped_count) == (0, 3)
        assert store.list_sessions() == []

    def test_a_session_alone_is_no_import(self, store: SessionStore) -> None:
        wrong: list[Any] = [None, [], {"sessions": []}, {"sessions": [{}, {}]}]
        for bad in wrong:
            with pytest.raises(InvalidDataError):
                store.import_session(bad)
        assert store.list_sessions() == []


def payload_of(session_id: str, *texts: str) -> dict[str, Any]:
    """Return a payload with one session."""
    messages = [SessionMessage("user", text) for text in texts]
    return {"version": 1, "sessions": [SessionData(session_id, messages).to_dict()]}
