"""Redis that dies, comes back, forgets its scripts, or holds what is not ours."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from praison_persist._adapt import blocking
from praison_persist.errors import (
    BackendError,
    ConfigurationError,
    UnavailableError,
)
from praison_persist.protocols import StateStore
from praison_persist.state.redis import AsyncRedisStateStore, RedisStateStore
from tests.servers import free_port

from .scenes import (
    cancel_half,
    count_beside_a_fork,
    forks,
    use_on_several_loops,
    write_on_condition,
)
from .services import OwnRedis, own_redis


@pytest.fixture
def server(tmp_path: Path) -> Iterator[OwnRedis]:
    with own_redis(tmp_path / "redis") as server:
        yield server


def _sync(url: str, **options: Any) -> StateStore:
    return RedisStateStore(url, **options)


def _async(url: str, **options: Any) -> StateStore:
    return blocking(AsyncRedisStateStore(url, **options), StateStore)


both = pytest.mark.parametrize("make", [_sync, _async])


@both
def test_a_server_that_comes_back_is_used_again(server: OwnRedis, make: Any) -> None:
    """Connections of the pool are dead, and scripts unknown to the new process."""
    with make(server.url) as store:
        assert store.incr("k") == 1
        store.set_many({f"k{index}": index for index in range(1200)})
        server.kill()
        server.start()
        assert store.incr("k") == 1
        values = {f"k{index}": index for index in range(1200)}
        store.set_many(values)
        server.kill()
        server.start()
        assert store.get_many(list(values)) == {}
        store.set_many(values)
        assert store.get_many(list(values)) == values


@both
def test_a_call_waits_for_a_server_that_is_down_for_a_moment(server: OwnRedis, make: Any) -> None:
    """The caller gets an error that the next second would have spared it."""
    with make(server.url, max_retries=8, retry_delay=0.2) as store:
        store.set("k", 1)
        server.kill()
        starting = threading.Timer(1, server.start)
        starting.start()
        store.set("k", 2)
        starting.join()
        assert store.get("k") == 2


@both
def test_a_server_that_stays_away_is_told_by_its_address(make: Any) -> None:
    """The error shows a password, or does not say where and how often."""
    port = free_port()
    with make(f"redis://:geheim@127.0.0.1:{port}/3", retry_delay=0.001) as store:
        for use in (lambda: store.get("k"), lambda: store.incr("k"), store.keys):
            with pytest.raises(
                UnavailableError, match=f"127.0.0.1:{port}/3.* 4 attempts"
            ) as caught:
                use()
            assert caught.value.attempts == 4
            assert isinstance(caught.value.__cause__, redis.ConnectionError)
            assert "geheim" not in str(caught.value) + str(caught.value.__cause__) + repr(store)


@both
def test_a_server_that_hangs_is_given_up(server: OwnRedis, make: Any) -> None:
    """An agent waits for ever."""
    with make(server.url, socket_timeout=0.2, max_retries=1, retry_delay=0.01) as store:
        store.set("k", 1)
        with redis.Redis.from_url(server.url) as client:
            client.client_pause(1500)
        started = time.monotonic()
        with pytest.raises(UnavailableError, match="2 attempts"):
            store.get("k")
        assert time.monotonic() - started < 1.4
        time.sleep(1.5)
        assert store.get("k") == 1


@both
def test_conditional_writes_are_done_once_though_connections_break(
    server: OwnRedis, make: Any
) -> None:
    """A reply is lost, another writes, the repetition counts twice or finds a conflict."""
    options = {"max_retries": 20, "retry_delay": 0.01}
    with (
        make(server.url, **options) as store,
        make(server.url, **options) as second,
        redis.Redis.from_url(server.url) as killer,
    ):
        done = threading.Event()

        def cut() -> None:
            while not done.wait(0.03):
                killer.client_kill_filter(_type="normal", skipme=True)

        cutting = threading.Thread(target=cut)
        cutting.start()
        try:
            write_on_condition([store, second], 40)
        finally:
            done.set()
            cutting.join()


@both
def test_a_wrong_password_is_told(server: OwnRedis, make: Any) -> None:
    with redis.Redis.from_url(server.url) as client:
        client.config_set("requirepass", "right")
    url = server.url.replace("redis://", "redis://:geheim@")
    with make(url) as store, pytest.raises(UnavailableError, match="password") as caught:
        store.get("k")
    assert "geheim" not in str(caught.value)
    with make(server.url) as store, pytest.raises(UnavailableError, match="password"):
        store.get("k")
    with make(server.url, password="right") as store:
        store.set("k", 1)


@both
def test_what_another_program_stored_is_told_and_kept(server: OwnRedis, make: Any) -> None:
    """A riddle of the server's: WRONGTYPE."""
    with make(server.url) as store, redis.Redis.from_url(server.url) as client:
        client.set("praison:k", '{"value": 1, "__wrapped__": true}')
        uses: list[Callable[[], object]] = [
            lambda: store.get("k"),
            lambda: store.set("k", 1),
            lambda: store.get_many(["k", "l"]),
            lambda: store.hset("k", "f", 1),
            lambda: store.incr("k"),
        ]
        for use in uses:
            with pytest.raises(BackendError, match="another program"):
                use()
        assert client.get("praison:k") == b'{"value": 1, "__wrapped__": true}'


@both
def test_a_prefix_keeps_others_out(server: OwnRedis, make: Any) -> None:
    """Glob characters of a prefix reach, or clear, the keys of another store."""
    with make(server.url, prefix="a*:") as store, make(server.url, prefix="ab:") as other:
        store.set("k", 1)
        other.set("k", 2)
        other.set("l", 3)
        assert (store.keys(), other.keys()) == (["k"], ["k", "l"])
        assert store.clear("", confirm=True) == 1
        assert other.get_many(["k", "l"]) == {"k": 2, "l": 3}
    for prefix in ("", None):
        with pytest.raises(ConfigurationError, match="prefix"):
            make(server.url, prefix=prefix)


@both
def test_many_take_one_round_trip(server: OwnRedis, make: Any) -> None:
    """A hundred keys take a hundred times as long."""
    with make(server.url) as store, redis.Redis.from_url(server.url) as watcher:

        def reads() -> int:
            return int(watcher.info("stats")["total_reads_processed"])

        values = {f"k{index}": index for index in range(100)}
        store.set_many(values)
        store.get_many(list(values))
        before = reads()
        store.set_many(values)
        assert store.get_many(list(values)) == values
        # One more is the question itself.
        assert reads() - before == 3


def test_a_store_serves_several_event_loops(server: OwnRedis) -> None:
    use_on_several_loops(AsyncRedisStateStore(server.url), 100)


def test_a_cancelled_task_leaves_the_store_in_order(server: OwnRedis) -> None:
    store = AsyncRedisStateStore(server.url, max_connections=2)
    cancel_half(store, tasks=50, rounds=30, step_s=0.0005)


@forks
def test_a_store_can_be_used_after_a_fork(server: OwnRedis) -> None:
    with RedisStateStore(server.url) as store:
        count_beside_a_fork(store, 200)
