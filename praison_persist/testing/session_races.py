"""The part of the session suite about many writers, mirrors, and the protocols of the agents."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from praison_persist.sessions.base import SessionStore
from praison_persist.testing.session_contract import OpenSessions, SessionContract, said, say

__all__ = ["MirrorContract", "ProtocolContract", "SessionRaceContract"]

EACH = 8


class SessionRaceContract(SessionContract):
    """What one writer stores, no other loses."""

    def test_two_stores_and_many_threads_lose_nothing(
        self, store: SessionStore, second: SessionStore
    ) -> None:
        jobs: list[Callable[[int], object]] = [
            lambda n: store.add_user_message("s", f"one {n}"),
            lambda n: second.add_user_message("s", f"two {n}"),
            lambda n: store.update_session_metadata("s", **{f"key {n}": n}),
            lambda n: second.set_runtime_state("s", "r", f"turn {n}", {"n": n}),
            lambda n: second.merge_session_metadata_map("s", "m", {f"key {n}": n}),
            lambda n: store.set_agent_info("s", f"agent {n}"),
        ]
        start = threading.Barrier(len(jobs))

        def run(job: Callable[[int], object]) -> None:
            start.wait()
            for number in range(EACH):
                assert job(number)

        with ThreadPoolExecutor(len(jobs)) as pool:
            for future in [pool.submit(run, job) for job in jobs]:
                future.result()
        texts = said(store, "s")
        assert sorted(texts) == sorted(f"{who} {n}" for who in ("one", "two") for n in range(EACH))
        for who in ("one", "two"):
            assert [text for text in texts if text.startswith(who)] == [
                f"{who} {n}" for n in range(EACH)
            ]
        session = second.get_session("s")
        numbers = {f"key {n}": n for n in range(EACH)}
        assert session.metadata == numbers | {"m": numbers}
        assert session.runtime_state == {"r": {f"turn {n}": {"n": n} for n in range(EACH)}}
        assert session.agent_name == f"agent {EACH - 1}"

    def test_children_made_at_once_are_all_known(
        self, store: SessionStore, second: SessionStore
    ) -> None:
        say(store, "s", "a")
        with ThreadPoolExecutor(4) as pool:
            stores = [store, second] * EACH
            forks = list(pool.map(lambda one: one.fork_session("s"), stores))
        assert sorted(store.get_children("s")) == sorted(forks)

    def test_one_of_many_creates_a_session(self, store: SessionStore, second: SessionStore) -> None:
        def create(one: SessionStore) -> bool:
            try:
                one.create_session("s")
            except Exception as error:  # noqa: BLE001 - its name is compared
                return type(error).__name__ != "ConflictError"
            return True

        with ThreadPoolExecutor(4) as pool:
            assert sum(pool.map(create, [store, second] * 2)) == 1


class _Mirror:
    """Keeps what it is given; the first so many calls fail."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.records: list[tuple[str, dict[str, Any]]] = []

    def append(self, session_id: str, records: list[dict[str, Any]]) -> None:
        if self.failures:
            self.failures -= 1
            records.clear()
            raise OSError("away")
        self.records += [(session_id, record) for record in records]

    def load(self, session_id: str) -> list[dict[str, Any]]:
        return [record for of, record in self.records if of == session_id]


class MirrorContract(SessionContract):
    """What is stored is mirrored, and never waits for the mirror."""

    def test_what_is_said_is_mirrored(self, open_sessions: OpenSessions) -> None:
        mirror = _Mirror(failures=2)
        store = open_sessions(mirror=mirror)
        try:
            say(store, "s", "a")
            assert store.upsert_partial_assistant_message("s", "b")
            assert store.upsert_partial_assistant_message("s", "b", finalize=True)
            assert store.flush_mirror(30)
            records = mirror.load("s")
            assert [record["role"] for record in records] == ["user", "assistant"]
            assert all(record["session_id"] == "s" for record in records)
            ids = [record["id"] for record in records]
            assert len(set(ids)) == 2
            messages = [message.to_dict() for message in store.get_session("s").messages]
            assert store.set_chat_history("s", messages)
            assert store.flush_mirror(30)
            self.assert_same(mirror.load("s")[2:], records)
        finally:
            store.close_mirror()

    def assert_same(self, again: list[dict[str, Any]], records: list[dict[str, Any]]) -> None:
        """What is sent once more has the ids that it had."""
        assert [record["id"] for record in again] == [record["id"] for record in records]

    def test_a_mirror_that_is_away_costs_nothing(
        self, open_sessions: OpenSessions, caplog: pytest.LogCaptureFixture
    ) -> None:
        mirror = _Mirror(failures=3)
        store = open_sessions(mirror=mirror)
        try:
            say(store, "s", "a")
            assert store.flush_mirror(30)
            assert said(store, "s") == ["a"]
            assert mirror.records == []
            assert "not mirrored" in caplog.text
        finally:
            store.close_mirror()
        say(store, "s", "b", "c")
        assert "the mirror is closed" in caplog.text
        assert said(store, "s") == ["a", "b", "c"]

    def test_without_a_mirror_there_is_nothing_to_wait_for(self, store: SessionStore) -> None:
        assert store.flush_mirror()
        store.close_mirror()


class ProtocolContract(SessionContract):
    """What praisonaiagents looks for at run time."""

    @pytest.mark.parametrize(
        "name",
        [
            "SessionStoreProtocol",
            "IncrementalSessionStoreProtocol",
            "PortableSessionStoreProtocol",
            "SearchableSessionStoreProtocol",
            "RuntimeStateMirroringProtocol",
            "CheckpointQueryProtocol",
        ],
    )
    def test_the_protocols_of_the_agents(self, store: SessionStore, name: str) -> None:
        protocols = pytest.importorskip("praisonaiagents.session.protocols")
        assert isinstance(store, getattr(protocols, name))
