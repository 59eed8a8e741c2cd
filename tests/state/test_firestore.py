"""Firestore keeps the state contract, in both colours, and its limits and failures are told."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.api_core.exceptions import GoogleAPICallError
from google.auth.credentials import AnonymousCredentials
from google.cloud import firestore as sdk

from praison_persist._adapt import blocking
from praison_persist.config import create_state_store
from praison_persist.errors import (
    BackendError,
    ConfigurationError,
    InvalidDataError,
    UnavailableError,
)
from praison_persist.protocols import StateStore
from praison_persist.state.firestore import AsyncFirestoreStateStore, FirestoreStateStore
from praison_persist.testing.contract import race
from praison_persist.testing.state import StateStoreContract
from praison_persist.testing.state_contract import Clock, OpenState
from tests.servers import free_port
from tests.services.firestore import PROJECT, OwnFirestore, firestore

from .scenes import cancel_half, use_on_several_loops, write_on_condition

Make = Callable[..., StateStore]


def _sync(**options: Any) -> StateStore:
    return FirestoreStateStore(**options)


def _async(**options: Any) -> StateStore:
    return blocking(AsyncFirestoreStateStore(**options), StateStore)


both = pytest.mark.parametrize("make", [_sync, _async])


@pytest.fixture(scope="session")
def emulator() -> Iterator[str]:
    with firestore() as host:
        yield host


@pytest.fixture
def collection(emulator: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of an empty collection of the emulator, which the environment names."""
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", emulator)
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", PROJECT)
    return f"test_{uuid.uuid4().hex[:12]}"


@pytest.fixture
def client(collection: str) -> Iterator[Any]:
    """Google's own client of the same data."""
    client = sdk.Client(PROJECT, AnonymousCredentials())  # type: ignore[no-untyped-call]  # as it comes
    yield client
    client._firestore_api.transport.close()


class _Contract(StateStoreContract):
    sequences = 4  # each call is several requests

    def test_a_megabyte_comes_back(self, store: StateStore) -> None:
        """A document holds no more than that: half of it each for a value and a hash comes back."""
        text = "x" * 500_000
        store.set("k", text)
        store.hset("k", "f", text)
        assert store.get("k") == text
        assert store.hget("k", "f") == text


class TestFirestore(_Contract):
    @pytest.fixture
    def open_state(self, collection: str, clock: Clock) -> OpenState:
        return lambda: FirestoreStateStore(collection=collection, clock=clock)


@pytest.mark.again
class TestAsyncFirestore(_Contract):
    @pytest.fixture
    def open_state(self, collection: str, clock: Clock) -> OpenState:
        def open_state() -> StateStore:
            store = AsyncFirestoreStateStore(collection=collection, clock=clock)
            return blocking(store, StateStore)

        return open_state


class TestDocuments:
    @both
    def test_what_a_document_cannot_hold_is_refused_and_nothing_changes(
        self, collection: str, make: Make
    ) -> None:
        """The server's refusal comes after half of a batch was written."""
        with make(collection=collection) as store:
            version, big = store.set("k", 1), "x" * 600_000
            store.hset("k", "f", big)
            for write in (
                lambda: store.set("k", big),
                lambda: store.hset("k", "g", big),
                lambda: store.set("k", big, expected_version=version),
                lambda: store.set_many({**dict.fromkeys(map(str, range(600)), 2), "k": big}),
            ):
                with pytest.raises(InvalidDataError, match=r"'k' would take .* 1048576"):
                    write()
            assert (store.get("k"), list(store.hgetall("k"))) == (1, ["f"])
            assert store.keys() == ["k"]

    def test_a_document_may_be_as_large_as_firestore_says(self, collection: str) -> None:
        """A size that was added up wrongly refuses what would fit, or fails at the server."""
        overhead = len("'k' would take ")
        with FirestoreStateStore(collection=collection) as store:
            with pytest.raises(InvalidDataError) as caught:
                store.set("k", "x" * 1_048_576)
            taken = int(str(caught.value)[overhead:].split()[0])
            most = 1_048_576 - (taken - 1_048_576)
            store.set("k", "x" * most)
            assert len(store.get("k")) == most
            with pytest.raises(InvalidDataError, match="1048577 bytes"):
                store.set("k", "x" * (most + 1))

    def test_many_large_values_are_written_in_several_requests(self, collection: str) -> None:
        """A request of more than 10 MiB is refused."""
        values = {f"k{index}": str(index % 10) * 900_000 for index in range(12)}
        with FirestoreStateStore(collection=collection) as store:
            store.set_many(values)
            assert store.get_many(list(values)) == values

    @both
    def test_keys_that_are_too_long_for_a_document_id(self, collection: str, make: Make) -> None:
        """Two that begin alike become one, or cannot be found by their prefix."""
        alike = "😀" * 300
        keys = [f"{alike}{end}" for end in ("", "a", "b", "ba", "é" * 100, "/")]
        with make(collection=collection) as store:
            store.set_many({key: index for index, key in enumerate([*keys, "😀", "z"])})
            assert store.get_many(keys) == {key: index for index, key in enumerate(keys)}
            assert sorted(store.scan_prefix(f"{alike}b")) == sorted([keys[2], keys[3]])
            assert sorted(store.scan_prefix("😀")) == sorted([*keys, "😀"])
            pages, cursor = [], None
            while True:
                page = store.page_keys(alike, limit=2, cursor=cursor)
                pages += page.keys
                cursor = page.next_cursor
                if cursor is None:
                    break
            assert sorted(pages) == sorted(keys)
            assert store.clear(f"{alike}b") == 2
            assert store.keys(f"{alike}*") == sorted(set(keys) - {keys[2], keys[3]})

    @pytest.mark.parametrize("cursor", ["", "k", "=a/b", "=é", f"={'a' * 1500}", "=\x7f"])
    def test_what_is_no_cursor_is_refused(self, collection: str, cursor: str) -> None:
        with (
            FirestoreStateStore(collection=collection) as store,
            pytest.raises(InvalidDataError, match="cursor"),
        ):
            store.page_keys(cursor=cursor)

    def test_a_page_may_be_of_any_size(self, collection: str) -> None:
        with FirestoreStateStore(collection=collection) as store:
            store.set_many(dict.fromkeys("abc", 1))
            page = store.page_keys(limit=2**62)
            assert (sorted(page.keys), page.next_cursor) == (["a", "b", "c"], None)
            assert store.page_keys("b", cursor="=a").keys == ["b"]

    @both
    def test_a_prefix_keeps_others_out(self, collection: str, make: Make) -> None:
        """A store lists, or clears, the keys of another."""
        with (
            make(collection=collection, prefix="a/") as store,
            make(collection=collection, prefix="a*") as other,
            make(collection=f"{collection}/a/b", prefix="a/") as below,
        ):
            for each, value in ((store, 1), (other, 2), (below, 3)):
                each.set_many({"k": value, "é": value})
            assert store.keys() == other.keys() == below.keys() == ["k", "é"]
            assert store.clear("", confirm=True) == 2
            assert (store.keys(), other.get("k"), below.get("é")) == ([], 2, 3)

    @both
    def test_documents_of_other_programs_are_left_alone(
        self, collection: str, client: Any, make: Make
    ) -> None:
        """They are taken for ours, listed, changed or deleted."""
        others = {"k": {"value": 1}, "=odd": {"value": 2}, "=l": {"key": "m"}}
        for name, data in others.items():
            client.collection(collection).document(name).set(data)
        with make(collection=collection) as store:
            assert (store.get("k"), store.keys()) == (None, [])
            store.set("k", 1)
            for use in (
                lambda: store.get("odd"),
                lambda: store.set("odd", 1),
                lambda: store.hset("l", "f", 1),
                lambda: store.set_many({"k": 2, "odd": 1}),
            ):
                with pytest.raises(BackendError, match="another program"):
                    use()
            assert (store.keys(), store.get("k")) == (["k"], 1)
            assert store.clear("", confirm=True) == 1
        found = {each.id: each.to_dict() for each in client.collection(collection).stream()}
        assert found == others

    def test_firestore_is_told_when_to_purge(self, collection: str, client: Any) -> None:
        """What has expired stays for ever, or what has not is deleted."""
        clock = Clock()
        document = client.collection(collection).document("=k")
        with FirestoreStateStore(collection=collection, clock=clock) as store:
            store.set("k", 1, ttl=100)
            assert document.get().get("purge_at").timestamp() == clock.now + 160
            store.expire("k", None)
            assert document.get().get("purge_at") is None
            store.hset("k", "f", 1)
            store.expire("k", 0.5)
            assert document.get().get("purge_at").timestamp() == clock.now + 61
            clock.now += 1
            assert store.clear("k") == 0
            assert not document.get().exists

    @both
    def test_many_writers_of_one_key_lose_nothing(self, collection: str, make: Make) -> None:
        """Counters, fields and values are one document, and each writer replaces it."""
        with make(collection=collection) as store, make(collection=collection) as second:
            stores = (store, second)

            def work(index: int) -> list[int]:
                mine, counted = stores[index % 2], []
                for number in range(4):
                    counted.append(mine.incr("k"))
                    mine.hset("k", f"{index}/{number}", number)
                    mine.expire("k", 1000 + index)
                return counted

            counts = race(8, work)
            assert sorted(n for some in counts for n in some) == list(range(1, 33))
            assert len(store.hgetall("k")) == 32


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[OwnFirestore]:
    server = OwnFirestore()
    server.start()
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", server.host)
    yield server
    server.kill()


class TestFailures:
    @both
    def test_a_server_that_comes_back_is_used_again(self, server: OwnFirestore, make: Make) -> None:
        """The channel is dead, or waits for minutes before it connects again."""
        with make(retry_delay=0.5) as store:
            for _ in range(2):
                assert store.incr("k") == 1
                server.kill()
                server.start()
            store.set_many({f"k{index}": index for index in range(600)})
            assert len(store.keys()) == 600

    @both
    def test_a_call_waits_for_a_server_that_is_down_for_a_moment(
        self, server: OwnFirestore, make: Make
    ) -> None:
        """The caller gets an error that the next second would have spared it."""
        with make(max_retries=10, retry_delay=0.2) as store:
            store.set("k", 1)
            server.kill()
            starting = threading.Timer(0.5, server.start)
            starting.start()
            store.set("k", 2)
            starting.join()
            assert store.get("k") == 2

    @both
    def test_a_server_that_stays_away_is_told_by_its_address(
        self, make: Make, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The SDK's own retries go on for minutes."""
        port = free_port()
        monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", f"127.0.0.1:{port}")
        with make(project="p", collection="c", retry_delay=0.001) as store:
            started = time.monotonic()
            for use in (lambda: store.get("k"), lambda: store.incr("k"), store.keys):
                with pytest.raises(
                    UnavailableError, match=rf"firestore p/\(default\)/c at 127.0.0.1:{port}.* 4 a"
                ) as caught:
                    use()
                assert caught.value.attempts == 4
                assert isinstance(caught.value.__cause__, GoogleAPICallError)
            assert time.monotonic() - started < 10

    @both
    def test_a_server_that_hangs_is_given_up(self, server: OwnFirestore, make: Make) -> None:
        """An agent waits for ever."""
        with make(timeout=0.2, max_retries=1, retry_delay=0.01) as store:
            store.set("k", 1)
            server.freeze()
            for use in (lambda: store.get("k"), lambda: store.set("k", 2), store.keys):
                started = time.monotonic()
                with pytest.raises(UnavailableError, match="2 attempts"):
                    use()
                assert 0.3 < time.monotonic() - started < 5
            server.thaw()
            assert store.get("k") in (1, 2)

    @both
    def test_conditional_writes_are_done_once_though_answers_are_lost(
        self, server: OwnFirestore, make: Make
    ) -> None:
        """A reply comes too late, another writes, the repetition counts twice."""
        options = {"timeout": 0.05, "max_retries": 200, "retry_delay": 0.01}
        with make(**options) as store, make(**options) as second:
            done = threading.Event()

            def hang() -> None:
                while not done.wait(0.05):
                    server.freeze()
                    time.sleep(0.06)
                    server.thaw()

            hanging = threading.Thread(target=hang)
            hanging.start()
            try:
                write_on_condition([store, second], 8)
            finally:
                done.set()
                hanging.join()

    def test_a_server_that_ends_in_the_middle_is_told(self, server: OwnFirestore) -> None:
        """A thread hangs, or takes half an answer for all of it."""
        stores = [_sync(retry_delay=0.001), _async(retry_delay=0.001)]
        values = {f"k{index}": index for index in range(1500)}

        def work(index: int) -> str:
            with stores[index] as store:
                try:
                    while True:
                        store.set_many(values)
                        assert store.get_many(list(values)) == values
                except UnavailableError as error:
                    return str(error)

        ending = threading.Timer(0.7, server.kill)
        ending.start()
        assert all("4 attempts" in told for told in race(2, work))
        ending.join()

    def test_a_store_serves_several_event_loops(self, collection: str) -> None:
        use_on_several_loops(AsyncFirestoreStateStore(collection=collection), 20)

    def test_a_cancelled_task_leaves_the_store_in_order(self, collection: str) -> None:
        store = AsyncFirestoreStateStore(collection=collection)
        cancel_half(store, tasks=30, rounds=5, step_s=0.002)


@pytest.fixture
def _nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment that says nothing."""
    for name in ("FIRESTORE_EMULATOR_HOST", "FIRESTORE_PROJECT", "GOOGLE_CLOUD_PROJECT"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("_nowhere")
class TestConfiguration:
    @pytest.mark.parametrize(
        ("options", "address"),
        [
            ({"project": "p"}, "p/(default)/praisonai_state"),
            ({"url": "firestore://p/c"}, "p/(default)/c"),
            ({"url": "firestore://p"}, "p/(default)/praisonai_state"),
            ({"url": "firestore:///c", "project": "p"}, "p/(default)/c"),
            ({"url": "firestore://p/a/b/c/?database=d"}, "p/d/a/b/c"),
            ({"url": "firestore://p/c", "project": "p", "collection": "c"}, "p/(default)/c"),
            ({"url": "firestore://example.com:p/c", "database": "d"}, "example.com:p/d/c"),
            ({"project": "p", "collection": "c%2F", "database": "d-1"}, "p/d-1/c%2F"),
        ],
    )
    @both
    def test_places(self, make: Make, options: dict[str, Any], address: str) -> None:
        store = make(**options)
        assert f"(firestore {address})" in repr(store)
        store.close()

    @pytest.mark.parametrize(
        "options",
        [
            {"url": "firebase://p/c"},
            {"url": "firestore://user:geheim@p/c"},
            {"url": "firestore://p/c?key=geheim"},
            {"url": "firestore://p/c#geheim"},
            {"url": "firestore://p/c/d"},
            {"url": "firestore://p", "project": "q"},
            {"url": "firestore://p/c", "collection": "d"},
            {"url": "firestore://p?database=d", "database": "e"},
            {"project": "a/b"},
            {"project": "P"},
            *({"collection": name} for name in ("", ".", "a/..", "a/b", "/a", "__a__", "é" * 751)),
            {"collection": None},
            {"database": "d/e"},
            {"database": ""},
            {"prefix": None},
            {"prefix": "\ud800"},
            *({"timeout": value} for value in (0, -1, None, float("inf"), True, "1")),
            *({"max_retries": value} for value in (-1, 1.5, None, True)),
            *({"retry_delay": value} for value in (-1, None, float("nan"))),
            {"credentials_path": "/nowhere/geheim.json"},
        ],
        ids=repr,
    )
    @both
    def test_what_cannot_be_right_is_refused(self, make: Make, options: dict[str, Any]) -> None:
        """It is told by the first write, or never."""
        with pytest.raises(ConfigurationError) as caught:
            make(**options)
        assert "geheim@" not in str(caught.value)
        assert "=geheim" not in str(caught.value)
        assert "#geheim" not in str(caught.value)

    def test_the_environment_says_where_it_is(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "theirs")
        assert "firestore theirs/" in repr(FirestoreStateStore())
        monkeypatch.setenv("FIRESTORE_PROJECT", "ours")
        assert "firestore ours/" in repr(FirestoreStateStore())
        assert "firestore mine/" in repr(FirestoreStateStore("mine"))

    def test_an_emulator_needs_no_project(
        self, collection: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("GOOGLE_CLOUD_PROJECT")
        with create_state_store("firestore", f"firestore:///{collection}") as store:
            assert "firestore google-cloud-firestore-emulator/" in repr(store)
            assert store.set_if_absent("k", 1)
            store.clear("", confirm=True)

    @both
    def test_missing_credentials_are_told_when_they_are_needed(
        self, make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The constructor asks the network, or the SDK's riddle comes through."""
        monkeypatch.setenv("NO_GCE_CHECK", "true")
        monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
        monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
        with make(project="p") as store:
            for use in (store.keys, lambda: store.set("k", 1)):
                with pytest.raises(ConfigurationError, match="credentials_path="):
                    use()

    @both
    def test_credentials_without_a_project_need_one(
        self, make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "user.json"
        user = {"client_id": "i", "client_secret": "geheim", "refresh_token": "geheim"}
        path.write_text(json.dumps({"type": "authorized_user", **user}))
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
        monkeypatch.setenv("PATH", str(tmp_path))  # gcloud would be asked for its project
        with make() as store, pytest.raises(ConfigurationError, match="needs project="):
            store.get("k")

    @both
    def test_the_key_of_a_service_account_is_not_shown(self, make: Make, tmp_path: Path) -> None:
        path = tmp_path / "account.json"
        key = rsa.generate_private_key(65537, 1024).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        account = {
            "type": "service_account",
            "project_id": "of-the-account",
            "private_key": key.decode(),
            "client_email": "a@b",
            # Nothing listens there.
            "token_uri": f"http://127.0.0.1:{free_port()}/token",
        }
        path.write_text(json.dumps(account))
        with make(credentials_path=path, timeout=1, max_retries=0) as store:
            assert "(firestore of-the-account/" in repr(store)
            assert "PRIVATE" not in repr(store)
            with pytest.raises(UnavailableError) as caught:
                store.get("k")
            assert "PRIVATE" not in str(caught.value) + repr(caught.value.__cause__)
        for broken in ("{", "[]", "{}", json.dumps({**account, "private_key": "geheim"})):
            path.write_text(broken)
            with pytest.raises(ConfigurationError, match="service account") as refused:
                make(credentials_path=str(path))
            assert "geheim" not in str(refused.value)
            assert refused.value.__cause__ is None
