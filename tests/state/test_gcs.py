"""State in Cloud Storage, on a service of the tests' own."""

from __future__ import annotations

import json
import random
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from praison_persist._adapt import blocking, offload
from praison_persist.config import create_state_store
from praison_persist.errors import (
    BackendError,
    ConfigurationError,
    InvalidDataError,
    UnavailableError,
)
from praison_persist.protocols import AsyncStateStore, StateStore
from praison_persist.state.gcs import GCSStateStore
from praison_persist.testing.state import StateStoreContract
from praison_persist.testing.state_contract import Clock, OpenState
from praison_persist.testing.state_races import (
    StateCloseContract,
    StateRaceContract,
    VersionContract,
)
from tests.servers import free_port
from tests.services.gcs import BUCKET, GCS

from .scenes import count_beside_a_fork, forks, write_alone, write_on_condition


@pytest.fixture(scope="module")
def service() -> Iterator[GCS]:
    service = GCS()
    yield service
    service.stop()


@pytest.fixture
def gcs(service: GCS, monkeypatch: pytest.MonkeyPatch) -> Iterator[GCS]:
    """The service, empty."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", service.url)
    service.objects.clear()
    service.requests.clear()
    yield service
    service.heal()


def _open(**options: Any) -> GCSStateStore:
    return GCSStateStore(BUCKET, **{"retry_delay": 0.001, **options})


class TestGCS(StateStoreContract):
    sequences = 3  # the SDK takes milliseconds for each call

    @pytest.fixture
    def open_state(self, gcs: GCS, clock: Clock) -> OpenState:
        return lambda: _open(clock=clock)


class TestAsyncGCS(VersionContract, StateRaceContract, StateCloseContract):
    """The calls of the sync store, in threads: what many at once do to it.

    That threads change no answer is told by the whole contract on the memory store, offloaded.
    """

    @pytest.fixture
    def open_state(self, gcs: GCS, clock: Clock) -> OpenState:
        return lambda: blocking(offload(_open(clock=clock), AsyncStateStore), StateStore)


class TestFailures:
    def test_a_service_that_is_down_for_a_moment_is_asked_again(self, gcs: GCS) -> None:
        """The caller gets an error that the next second would have spared it."""
        with _open(max_retries=8, retry_delay=0.1) as store:
            store.set("k", 1)
            gcs.stop()
            starting = threading.Timer(0.5, gcs.start)
            starting.start()
            store.set("k", 2)
            starting.join()
            assert store.get("k") == 2

    def test_a_service_that_stays_away_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The error shows a password, or does not say where and how often."""
        host = f"127.0.0.1:{free_port()}"
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://user:geheim@{host}")
        uses: list[Callable[[StateStore], object]] = [
            lambda store: store.get("k"),
            lambda store: store.get_many(["k", "l"]),
            lambda store: store.set_many({"k": 1, "l": 1}),
            lambda store: store.keys(),
        ]
        with _open() as store:
            for use in uses:
                with pytest.raises(UnavailableError, match=f"{BUCKET}.* 4 attempts") as caught:
                    use(store)
                assert "geheim" not in str(caught.value) + repr(store)

    @pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
    def test_what_passes_is_waited_for(self, gcs: GCS, status: int) -> None:
        with _open() as store:
            store.set("k", 1)
            gcs.failing = [status] * 3
            store.set("k", 2)
            gcs.failing = [status] * 3
            assert store.get("k") == 2
            gcs.failing = [status] * 3
            assert store.keys() == ["k"]
            gcs.failing = [status] * 4
            with pytest.raises(UnavailableError, match="4 attempts"):
                store.incr("k")

    def test_only_this_package_repeats(self, gcs: GCS) -> None:
        """The SDK repeats for two minutes, or takes its own success for another writer's."""
        with _open(max_retries=0) as store:
            store.set_many({"k": 1, "l": 1})
            uses: list[Callable[[], object]] = [
                lambda: store.get("k"),
                lambda: store.set("k", 2),
                lambda: store.delete("k"),
                lambda: store.keys(),
            ]
            for use in uses:
                gcs.requests.clear()
                gcs.failing = [503]
                with pytest.raises(UnavailableError, match="1 attempts"):
                    use()
                assert len(gcs.requests) == 1

    def test_lost_answers_count_once(self, gcs: GCS) -> None:
        dice = random.Random(1)
        with _open(max_retries=12) as store:
            store.set("k", 1)
            gcs.losing = iter(lambda: dice.random() < 0.3, None)
            write_alone(store)

    def test_lost_answers_count_once_among_many(self, gcs: GCS) -> None:
        dice = random.Random(2)
        with _open(max_retries=20) as store:
            gcs.losing = iter(lambda: dice.random() < 0.2, None)
            write_on_condition([store], 8)

    @pytest.mark.parametrize("status", [401, 403])
    def test_refused_credentials_are_told(self, gcs: GCS, status: int) -> None:
        with _open() as store:
            gcs.failing = [status]
            with pytest.raises(UnavailableError, match="credentials"):
                store.get("k")

    def test_no_credentials_are_told(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "missing.json"))
        with _open() as store, pytest.raises(UnavailableError, match="credentials"):
            store.get("k")

    def test_a_missing_bucket_is_told(self, gcs: GCS) -> None:
        """Every key is taken for one that is not there."""
        with GCSStateStore("another-bucket") as store:
            for use in (
                lambda: store.get("k"),
                lambda: store.set("k", 1),
                lambda: store.delete("k"),
                store.keys,
            ):
                with pytest.raises(BackendError, match="bucket"):
                    use()

    @forks
    def test_a_store_can_be_used_after_a_fork(self, gcs: GCS) -> None:
        with _open() as store:
            count_beside_a_fork(store, 30)


class TestObjects:
    def test_an_object_of_another_program_is_told_and_kept(self, gcs: GCS) -> None:
        """The original's objects are values without a version."""
        with _open() as store:
            store.set("k", 1)
            (name,) = gcs.objects
            for data in (b'{"value": 1}', b"\xff", b"[1]"):
                foreign = gcs.objects[name] = type(gcs.objects[name])(data, 7, {})
                uses: list[Callable[[], object]] = [
                    lambda: store.get("k"),
                    lambda: store.set("k", 1),
                    lambda: store.hset("k", "f", 1),
                    lambda: store.get_many(["k", "l"]),
                    lambda: store.delete("k"),
                ]
                for use in uses:
                    with pytest.raises(BackendError, match="another program"):
                        use()
                assert gcs.objects[name] is foreign

    def test_a_prefix_keeps_others_out(self, gcs: GCS) -> None:
        with _open(prefix="a/") as store, _open(prefix="b/") as other:
            store.set("k", 1)
            other.set_many({"k": 2, "l": 2})
            gcs.objects["a/readme.txt"] = gcs.objects["a/k.json"]
            assert (store.keys(), other.keys()) == (["k"], ["k", "l"])
            assert store.clear("", confirm=True) == 1
            assert other.get_many(["k", "l"]) == {"k": 2, "l": 2}
            assert set(gcs.objects) == {"a/readme.txt", "b/k.json", "b/l.json"}

    def test_names_are_those_that_tools_can_handle(self, gcs: GCS) -> None:
        with _open() as store:
            store.set_many({"user/1": 1, "a*?[b]#\n%": 2, "日本": 3, ".": 4, "..": 5})
            assert set(gcs.objects) == {
                "praison/user/1.json",
                "praison/a%2A%3F%5Bb%5D%23%0A%25.json",
                "praison/日本.json",
                "praison/..json",
                "praison/...json",
            }

    def test_keys_beyond_a_name_are_found(self, gcs: GCS) -> None:
        """Names have 1,024 bytes, our keys up to 1,920."""
        keys = ["😀" * 480, "😀" * 479 + "a", "😀" * 479, "日" * 330, "日" * 342, "%" * 480]
        with _open(prefix="p" * 300) as store:
            store.set_many({key: index for index, key in enumerate(keys)})
            store.hset(keys[0], "f", 1)
            assert store.get_many(keys) == {key: index for index, key in enumerate(keys)}
            assert store.keys() == sorted(keys)
            assert list(store.scan_prefix("😀" * 479 + "a")) == [keys[1]]
            assert sorted(store.scan_prefix("😀" * 400)) == sorted(keys[:3])
            assert sorted(store.scan_prefix("日" * 300)) == sorted(keys[3:5])
            assert list(store.scan_prefix("%" * 250)) == [keys[5]]
            assert store.clear("日" * 342) == 1
            assert store.delete(keys[0])
            assert store.keys() == sorted([keys[1], keys[2], keys[3], keys[5]])

    def test_an_object_tells_when_it_can_be_deleted(self, gcs: GCS) -> None:
        """What has expired is paid for, for ever."""
        with _open(clock=Clock(1_700_000_000.5)) as store:
            store.set("k", 1, ttl=60)
            (stored,) = gcs.objects.values()
            assert stored.given["customTime"].startswith("2023-11-14T22:14:20.5")
            store.expire("k", None)
            (stored,) = gcs.objects.values()
            assert "customTime" not in stored.given
            assert stored.given["cacheControl"] == "no-store"

    def test_a_listing_reads_no_values(self, gcs: GCS) -> None:
        """A listing of a thousand keys reads a thousand objects."""
        clock = Clock()
        with _open(clock=clock) as store:
            store.set_many(dict.fromkeys("abc", 1), ttl=10)
            store.set_many(dict.fromkeys("def", 1))
            clock.now += 10
            gcs.requests.clear()
            assert store.keys() == ["d", "e", "f"]
            page = store.page_keys(limit=4)
            assert page.keys == ["d"]
            assert store.page_keys(limit=4, cursor=page.next_cursor).keys == ["e", "f"]
            assert gcs.requests == ["GET list"] * 3

    def test_what_is_no_cursor_is_refused(self, gcs: GCS) -> None:
        with _open() as store, pytest.raises(InvalidDataError, match="cursor"):
            store.page_keys(cursor="no cursor")

    def test_a_read_is_one_request_and_a_write_two(self, gcs: GCS) -> None:
        with _open() as store:
            store.set("k", 1)
            gcs.requests.clear()
            store.get("k")
            store.get_versioned("k")
            assert gcs.requests == ["GET download"] * 2
            gcs.requests.clear()
            store.set("k", "x" * 9_000_000)
            # More than 8 MiB are sent piece by piece.
            assert gcs.requests == ["GET download", "POST upload", "PUT upload"]
            assert store.get("k") == "x" * 9_000_000


class TestConfiguration:
    def test_the_url_says_all(self, gcs: GCS) -> None:
        with (
            create_state_store("gs", f"gs://{BUCKET}/team/a%20b") as store,
            _open(prefix="team/a b/") as other,
        ):
            store.set("k", 1)
            assert other.get("k") == 1
            assert f"gs://{BUCKET}/team/a b/" in repr(store)
        assert f"{BUCKET}/praison/" in repr(GCSStateStore(url=f"gs://{BUCKET}"))

    def test_a_key_file_is_used(self, gcs: GCS, tmp_path: Path) -> None:
        """Its content is shown when it cannot be read."""
        path = tmp_path / f"{uuid.uuid4().hex}.json"
        with pytest.raises(ConfigurationError, match="credentials_path"):
            _open(credentials_path=str(path))
        for content in ("geheim", '{"type": "geheim"}', json.dumps({"private_key": "geheim"})):
            path.write_text(content)
            with pytest.raises(ConfigurationError, match="credentials_path") as caught:
                _open(credentials_path=str(path))
            assert "geheim" not in str(caught.value)

    @pytest.mark.parametrize(
        "options",
        [
            {},
            {"bucket_name": "B"},
            {"bucket_name": "a/b"},
            {"bucket_name": "bucket", "prefix": ""},
            {"bucket_name": "bucket", "prefix": "a\n"},
            {"bucket_name": "bucket", "prefix": "a" * 301},
            {"url": "s3://bucket"},
            {"url": "gs://"},
            {"url": "gs://key:geheim@bucket"},
            {"url": "gs://bucket?project=p"},
            {"url": "gs://bucket", "bucket_name": "other"},
            {"url": 1},
        ],
        ids=repr,
    )
    def test_what_cannot_be_is_refused(self, options: dict[str, Any]) -> None:
        with pytest.raises(ConfigurationError) as caught:
            GCSStateStore(**options)
        assert "geheim" not in str(caught.value)
