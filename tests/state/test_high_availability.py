"""Redis under Sentinel and in a cluster keeps the state contract, and survives its primaries."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from redis.cluster import ClusterNode, RedisCluster

from praison_persist._adapt import blocking
from praison_persist.protocols import StateStore
from praison_persist.state.redis import AsyncRedisStateStore, RedisStateStore
from praison_persist.testing.state import StateStoreContract
from praison_persist.testing.state_contract import Advance, OpenState

from .highly_available import Cluster, Sentinels
from .services import time_machine

Make = Callable[[str], StateStore]


def _sync(url: str) -> StateStore:
    return RedisStateStore(url)


def _async(url: str) -> StateStore:
    return blocking(AsyncRedisStateStore(url), StateStore)


both = pytest.mark.parametrize("make", [_sync, _async])


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster that nobody harms."""
    cluster = Cluster(tmp_path_factory.mktemp("cluster"))
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.close()


class _Cluster(StateStoreContract):
    sequences = 3

    @pytest.fixture
    def client(self, cluster: Cluster) -> Iterator[RedisCluster]:
        node: Any = ClusterNode
        nodes = [node("127.0.0.1", server.port) for server in cluster.servers]
        with RedisCluster(startup_nodes=nodes) as client:
            yield client
            client.flushall()

    @pytest.fixture
    def advance(self, client: Any) -> Advance:
        return time_machine(client, "praison:")


class TestCluster(_Cluster):
    @pytest.fixture
    def open_state(self, cluster: Cluster, client: RedisCluster) -> OpenState:
        return lambda: _sync(cluster.url)


@pytest.mark.again
class TestAsyncCluster(_Cluster):
    @pytest.fixture
    def open_state(self, cluster: Cluster, client: RedisCluster) -> OpenState:
        return lambda: _async(cluster.url)


@pytest.fixture(scope="module")
def sentinels(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sentinels]:
    """A group that nobody harms."""
    sentinels = Sentinels(tmp_path_factory.mktemp("sentinel"))
    try:
        sentinels.start()
        yield sentinels
    finally:
        sentinels.close()


@both
def test_the_primary_of_the_sentinels_is_used(sentinels: Sentinels, make: Make) -> None:
    with make(sentinels.url) as store:
        store.set_many({f"k{index}": index for index in range(50)}, ttl=100)
        assert store.get_many(["k1", "k49"]) == {"k1": 1, "k49": 49}
        assert len(store.keys()) == 50
        assert store.clear("k") == 50


@both
def test_a_failover_of_the_sentinels_loses_nothing(tmp_path: Any, make: Make) -> None:
    """Writes fail until the process is started again, or are acknowledged and gone."""
    group = Sentinels(tmp_path)
    try:
        group.start()
        _survives(make(group.url), group.kill_primary)
    finally:
        group.close()


@both
def test_a_failover_in_the_cluster_loses_nothing(tmp_path: Any, make: Make) -> None:
    """As above, for the slots of one primary."""
    cluster = Cluster(tmp_path)
    try:
        cluster.start()
        _survives(make(cluster.url), cluster.kill_primary)
        # A store that is made while the node of its URL is dead finds the others.
        with make(cluster.url) as late:
            assert late.get("before0") == 0
            assert len(late.keys()) == 120
    finally:
        cluster.close()


def _survives(store: StateStore, kill: Callable[[], None]) -> None:
    """Write before, during and after a failover; expect every acknowledged write."""
    with store:
        store.set_many({f"before{index}": index for index in range(60)})
        time.sleep(0.5)
        killing = threading.Timer(0.3, kill)
        killing.start()
        for index in range(60):
            store.set(f"during{index}", index)
            if index < 20:
                time.sleep(0.03)
        killing.join()
        # Replication is asynchronous: what was acknowledged just before the end may be gone. The
        # writes that were repeated are there.
        found = store.get_many([f"during{index}" for index in range(20, 60)])
        assert found == {f"during{index}": index for index in range(20, 60)}
        assert store.get_many([f"before{n}" for n in range(60)]) == {
            f"before{n}": n for n in range(60)
        }


def test_redis_py_is_told_of_a_missing_service(sentinels: Sentinels) -> None:
    url = sentinels.url.replace(f"/{sentinels.service}/", "/other/")
    with (
        RedisStateStore(url, max_retries=1, retry_delay=0.01) as store,
        pytest.raises(Exception, match="other") as caught,
    ):
        store.get("k")
    assert isinstance(caught.value.__cause__, redis.ConnectionError)
