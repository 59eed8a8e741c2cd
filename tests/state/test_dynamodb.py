"""State in DynamoDB, on moto's."""

from __future__ import annotations

import json
import random
import secrets
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import boto3  # type: ignore[import-untyped]  # it has no types
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
from praison_persist.state.dynamodb import DynamoDBStateStore
from praison_persist.testing.contract import race
from praison_persist.testing.state import StateStoreContract
from praison_persist.testing.state_contract import Clock, OpenState
from praison_persist.testing.state_races import (
    StateCloseContract,
    StateRaceContract,
    VersionContract,
)
from tests.servers import free_port
from tests.services.moto import REGION, Moto

from .scenes import count_beside_a_fork, forks, write_alone, write_on_condition


@pytest.fixture(scope="module")
def moto() -> Iterator[Moto]:
    moto = Moto()
    yield moto
    moto.client.close()
    moto.stop()


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "geheim")
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)


def _open(moto: Moto, table: str, **options: Any) -> DynamoDBStateStore:
    return DynamoDBStateStore(table, REGION, moto.url, **{"retry_delay": 0.001, **options})


@pytest.fixture
def table(moto: Moto) -> Iterator[str]:
    """The name of a table that is not there."""
    name = f"state_{uuid.uuid4().hex[:12]}"
    yield name
    moto.heal()
    with suppress(moto.client.exceptions.ResourceNotFoundException):
        moto.client.delete_table(TableName=name)


class TestDynamoDB(StateStoreContract):
    sequences = 3  # moto takes milliseconds for each call

    @pytest.fixture
    def open_state(self, moto: Moto, table: str, clock: Clock) -> OpenState:
        return lambda: _open(moto, table, clock=clock)


class TestAsyncDynamoDB(VersionContract, StateRaceContract, StateCloseContract):
    """The calls of the sync store, in threads: what many at once do to it.

    That threads change no answer is told by the whole contract on the memory store, offloaded.
    """

    @pytest.fixture
    def open_state(self, moto: Moto, table: str, clock: Clock) -> OpenState:
        def open_state() -> StateStore:
            store = offload(_open(moto, table, clock=clock), AsyncStateStore)
            return blocking(store, StateStore)

        return open_state


def _error(code: str) -> str:
    return json.dumps({"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "no"})


class TestFailures:
    def test_a_service_that_is_down_for_a_moment_is_asked_again(
        self, moto: Moto, table: str
    ) -> None:
        """The caller gets an error that the next second would have spared it."""
        with _open(moto, table, max_retries=8, retry_delay=0.1) as store:
            store.set("k", 1)
            moto.stop()
            starting = threading.Timer(0.5, moto.start)
            starting.start()
            store.set("k", 2)
            starting.join()
            assert store.get("k") == 2

    def test_a_service_that_stays_away_is_told_by_its_address(self) -> None:
        """The error shows a secret, or does not say where and how often."""
        url = f"http://127.0.0.1:{free_port()}"
        with DynamoDBStateStore("state", REGION, url, retry_delay=0.001) as store:
            with pytest.raises(UnavailableError, match=f"{url[7:]}.* 4 attempts") as caught:
                store.get("k")
            assert "geheim" not in str(caught.value) + repr(store)
            with pytest.raises(UnavailableError):
                store.set_many({"k": 1, "l": 2})

    @pytest.mark.parametrize(
        ("status", "answer"),
        [
            (400, _error("ProvisionedThroughputExceededException")),
            (400, _error("ThrottlingException")),
            (400, _error("RequestLimitExceeded")),
            (500, _error("InternalServerError")),
            (503, "<html>bad gateway</html>"),
        ],
    )
    def test_what_passes_is_waited_for(
        self, moto: Moto, table: str, status: int, answer: str
    ) -> None:
        with _open(moto, table) as store:
            store.set("k", 1)
            moto.failing = [(status, answer)] * 3
            store.set("k", 2)
            moto.failing = [(status, answer)] * 3
            assert store.get("k") == 2
            moto.failing = [(status, answer)] * 4
            with pytest.raises(UnavailableError, match="4 attempts"):
                store.incr("k")
            moto.failing = []

    def test_another_transaction_is_waited_for(self, moto: Moto, table: str) -> None:
        """A race is taken for a failure, of which only a few are forgiven."""
        cancelled = json.dumps(
            {
                "__type": "x#TransactionCanceledException",
                "CancellationReasons": [{"Code": "None"}, {"Code": "TransactionConflict"}],
            }
        )
        with _open(moto, table, max_retries=0) as store:
            store.set_many({"k": 1, "l": 1})
            conflict = (400, _error("TransactionConflictException"))
            moto.failing_of = {"PutItem": [conflict] * 6, "UpdateItem": [conflict] * 6}
            store.set("k", 2)
            store.incr("k")
            assert store.get("k") == 3
            assert not moto.failing_of["PutItem"]
            moto.requests.clear()
            moto.failing_of["TransactWriteItems"] = [(400, cancelled)] * 6
            store.set_many({"k": 3, "l": 3})
            assert store.get_many(["k", "l"]) == {"k": 3, "l": 3}
            assert moto.requests.count("TransactWriteItems") == 7

    def test_lost_answers_count_once(self, moto: Moto, table: str) -> None:
        dice = random.Random(1)
        with _open(moto, table, max_retries=12) as store:
            store.set("k", 1)
            moto.losing = iter(lambda: dice.random() < 0.3, None)
            write_alone(store)

    def test_lost_answers_count_once_among_many(self, moto: Moto, table: str) -> None:
        dice = random.Random(2)
        with _open(moto, table, max_retries=20) as store:
            moto.losing = iter(lambda: dice.random() < 0.2, None)
            write_on_condition([store], 8)

    def test_wrong_credentials_are_told(self, moto: Moto, table: str) -> None:
        with _open(moto, table) as store:
            moto.failing = [(400, _error("UnrecognizedClientException"))]
            with pytest.raises(UnavailableError, match="credentials"):
                store.get("k")

    def test_no_credentials_are_told(
        self, moto: Moto, table: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name)
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        with _open(moto, table) as store, pytest.raises(UnavailableError, match="credentials"):
            store.get("k")

    @forks
    def test_a_store_can_be_used_after_a_fork(self, moto: Moto, table: str) -> None:
        with _open(moto, table) as store:
            count_beside_a_fork(store, 30)


class TestTable:
    def test_a_table_is_made_with_an_expiry(self, moto: Moto, table: str) -> None:
        """What has expired is paid for, for ever."""
        stores = [_open(moto, table, clock=Clock(1000.5)) for _ in range(4)]
        race(4, lambda index: stores[index].set(f"k{index}", index, ttl=10.2))
        expiry = moto.client.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
        assert (expiry["TimeToLiveStatus"], expiry["AttributeName"]) == ("ENABLED", "ttl")
        items = moto.items(table)
        assert [item["ttl"] for item in items] == [{"N": "1011"}] * 4
        stores[0].expire("k0", None)
        items = moto.items(table)
        assert sum("ttl" in item for item in items) == 3
        for store in stores:
            store.close()

    def test_a_table_is_not_made_unasked(self, moto: Moto, table: str) -> None:
        with (
            _open(moto, table, auto_create_table=False) as store,
            pytest.raises(BackendError, match=f"{table}.*auto_create_table"),
        ):
            store.set("k", 1)
        assert table not in moto.client.list_tables()["TableNames"]

    def test_a_table_of_another_program_is_told(self, moto: Moto, table: str) -> None:
        """The original's tables have no sort key."""
        moto.client.create_table(
            TableName=table,
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        )
        with _open(moto, table) as store:
            for use in (lambda: store.get("k"), lambda: store.set("k", 1)):
                with pytest.raises(BackendError, match="another program"):
                    use()

    def test_an_item_of_another_program_is_told_and_kept(self, moto: Moto, table: str) -> None:
        with _open(moto, table) as store:
            store.set("k", 1)
            (item,) = moto.items(table)
            foreign = {"pk": item["pk"], "sk": item["sk"], "value": {"S": "1"}}
            moto.client.put_item(TableName=table, Item=foreign)
            uses: list[Callable[[], object]] = [
                lambda: store.get("k"),
                lambda: store.set("k", 1),
                lambda: store.hset("k", "f", 1),
                lambda: store.incr("k"),
                lambda: store.set_many({"k": 1, "l": 1}),
            ]
            for use in uses:
                with pytest.raises(BackendError, match="another program"):
                    use()
            assert moto.items(table) == [foreign]

    def test_a_prefix_keeps_others_out(self, moto: Moto, table: str) -> None:
        with _open(moto, table, prefix="a") as store, _open(moto, table, prefix="a0") as other:
            store.set_many({"k": 1, "0": 1})
            other.set_many({"k": 2, "l": 2})
            assert (store.keys(), other.keys()) == (["0", "k"], ["k", "l"])
            assert store.clear("", confirm=True) == 2
            assert other.get_many(["k", "l"]) == {"k": 2, "l": 2}


class TestLimits:
    def test_what_no_item_holds_is_refused_and_changes_nothing(
        self, moto: Moto, table: str
    ) -> None:
        """A batch is written up to the value that is too large."""
        # Random, because longer texts are compressed.
        half, whole = secrets.token_hex(300_000), secrets.token_hex(500_000)
        with _open(moto, table) as store:
            writes: list[Callable[[], object]] = [
                lambda: store.set("big", whole),
                lambda: store.set_many({**{f"k{i}": 1 for i in range(150)}, "big": whole}),
                lambda: store.set_if_absent("big", whole),
                lambda: store.hset("big", "f", whole),
            ]
            for write in writes:
                with pytest.raises(InvalidDataError, match=r"'big'.*400 KB"):
                    write()
                assert store.keys() == []
            store.hset("big", "f", half)
            for write in (
                lambda: store.set("big", half),
                lambda: store.set_many({"k": 1, "big": half}),
                lambda: store.set_if_absent("big", half),
            ):
                with pytest.raises(InvalidDataError, match=r"'big'.*400 KB"):
                    write()
            assert (store.keys(), store.get("big"), store.hgetall("big")) == (
                ["big"],
                None,
                {"f": half},
            )

    def test_a_batch_beyond_a_transaction_is_written(self, moto: Moto, table: str) -> None:
        """A transaction holds 4 MB."""
        values = {f"k{index}": secrets.token_hex(300_000) for index in range(14)}
        with _open(moto, table) as store:
            moto.requests.clear()
            store.set_many(values)
            assert moto.requests.count("TransactWriteItems") > 1
            assert store.get_many(list(values)) == values

    def test_keys_that_an_answer_leaves_out_are_asked_for_again(
        self, moto: Moto, table: str
    ) -> None:
        """An answer ends at 16 MB, or at what the table may read at the moment."""
        with _open(moto, table, max_retries=0) as store:
            store.set_many({"k": 1, "l": 2})
            keys = [{name: item[name] for name in ("pk", "sk")} for item in moto.items(table)]
            unread = {"Responses": {}, "UnprocessedKeys": {table: {"Keys": keys}}}
            moto.failing_of["BatchGetItem"] = [(200, json.dumps(unread))] * 5
            assert store.get_many(["k", "l", "m"]) == {"k": 1, "l": 2}
            assert not moto.failing_of["BatchGetItem"]

    def test_keys_beyond_a_sort_key_are_found(self, moto: Moto, table: str) -> None:
        """DynamoDB's sort keys have 1,024 bytes, ours up to 1,920."""
        keys = ["😀" * 480, "😀" * 479 + "a", "😀" * 479, "日" * 341, "日" * 342, "a" + "日" * 479]
        with _open(moto, table) as store:
            store.set_many({key: index for index, key in enumerate(keys)})
            store.hset(keys[0], "f", 1)
            assert store.get_many(keys) == {key: index for index, key in enumerate(keys)}
            assert store.keys() == sorted(keys)
            assert list(store.scan_prefix("😀" * 479 + "a")) == [keys[1]]
            assert sorted(store.scan_prefix("😀" * 400)) == sorted(keys[:3])
            assert sorted(store.scan_prefix("日" * 300)) == sorted(keys[3:5])
            assert store.clear("日" * 342) == 1
            assert store.delete(keys[0])
            assert store.keys() == sorted([keys[1], keys[2], keys[3], keys[5]])

    def test_a_listing_goes_beyond_one_answer(self, moto: Moto, table: str) -> None:
        """An answer ends at 1 MB."""
        values = {f"k{index}": secrets.token_hex(150_000) for index in range(30)}
        with _open(moto, table) as store:
            store.set_many({**values, "l": 1})
            moto.requests.clear()
            assert store.keys("k*") == sorted(values)
            assert moto.requests.count("Query") > 4
            assert sorted(store.scan_prefix("k")) == sorted(values)

    @pytest.mark.parametrize("cursor", ["x", "9k", " "])
    def test_what_is_no_cursor_is_refused(self, moto: Moto, table: str, cursor: str) -> None:
        with _open(moto, table) as store:
            store.set("k", 1)
            with pytest.raises(InvalidDataError, match="cursor"):
                store.page_keys(cursor=cursor)
            # What DynamoDB says to a place outside of the prefix.
            moto.failing = [(400, _error("ValidationException"))]
            with pytest.raises(InvalidDataError, match="cursor"):
                store.page_keys("k", cursor="0j")

    def test_a_value_and_a_field_take_one_request(self, moto: Moto, table: str) -> None:
        """Each write reads first, and loses against others of the same key."""
        with _open(moto, table) as store:
            store.set("k", 1)
            store.hset("k", "f", 1)
            moto.requests.clear()
            store.set("k", 2)
            store.hset("k", "f", 2)
            store.get("k")
            assert moto.requests == ["UpdateItem", "UpdateItem", "GetItem"]


class TestConfiguration:
    def test_the_url_says_all(self, moto: Moto, table: str) -> None:
        url = f"dynamodb://{table}?region={REGION}&endpoint={moto.url}&prefix=p:"
        with create_state_store("dynamodb", url) as store, _open(moto, table, prefix="p:") as other:
            store.set("k", 1)
            assert other.get("k") == 1
            assert table in repr(store)

    def test_the_environment_says_where_it_is(
        self, moto: Moto, table: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", moto.url)
        monkeypatch.setenv("AWS_REGION", REGION)
        with DynamoDBStateStore(table) as store, _open(moto, table) as other:
            store.set("k", 1)
            assert other.get("k") == 1
        monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
        monkeypatch.delenv("AWS_REGION")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-west-2")
        with DynamoDBStateStore(table) as store:
            assert "us-west-2" in repr(store)

    def test_a_missing_region_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
        monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
        with pytest.raises(ConfigurationError, match="AWS_REGION"):
            DynamoDBStateStore("state")

    @pytest.mark.parametrize(
        "options",
        [
            {"table_name": "a"},
            {"table_name": "a/b"},
            {"table_name": None},
            {"endpoint_url": "127.0.0.1:8000"},
            {"endpoint_url": "http://user:geheim@h:1"},
            {"prefix": ""},
            {"region": "http://h"},
            {"url": "dynamodb://key:geheim@state"},
            {"url": "dynamodb://state/more"},
            {"url": "dynamodb://state?regoin=x"},
            {"url": "redis://state"},
            {"url": "dynamodb://state", "table_name": "other"},
            {"url": 1},
        ],
        ids=repr,
    )
    def test_what_cannot_be_is_refused(self, options: dict[str, Any]) -> None:
        with pytest.raises(ConfigurationError) as caught:
            DynamoDBStateStore(**{"region": REGION, **options})
        assert "geheim" not in str(caught.value)
