"""Redis keeps the state contract, in both colours and both protocols."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from praison_persist._adapt import blocking
from praison_persist.protocols import StateStore
from praison_persist.state.redis import AsyncRedisStateStore, RedisStateStore
from praison_persist.state.valkey import AsyncValkeyStateStore, ValkeyStateStore
from praison_persist.testing.state import StateStoreContract
from praison_persist.testing.state_contract import Advance, OpenState

from .services import namespace, time_machine


class _Redis(StateStoreContract):
    protocol = 3

    @pytest.fixture
    def place(self) -> Iterator[tuple[str, str]]:
        with namespace() as place:
            yield place

    @pytest.fixture
    def advance(self, place: tuple[str, str]) -> Iterator[Advance]:
        url, prefix = place
        with redis.Redis.from_url(url) as client:
            yield time_machine(client, prefix)


class _Sync(_Redis):
    @pytest.fixture
    def open_state(self, place: tuple[str, str]) -> OpenState:
        url, prefix = place
        return lambda: RedisStateStore(url, prefix=prefix, protocol=self.protocol)


class _Async(_Redis):
    @pytest.fixture
    def open_state(self, place: tuple[str, str]) -> OpenState:
        url, prefix = place

        def open_state() -> StateStore:
            store = AsyncRedisStateStore(url, prefix=prefix, protocol=self.protocol)
            return blocking(store, StateStore)

        return open_state


class TestRedis(_Sync):
    pass


class TestRedisProtocol2(_Sync):
    protocol = 2


class TestAsyncRedis(_Async):
    pass


@pytest.mark.again
class TestAsyncRedisProtocol2(_Async):
    protocol = 2


@pytest.mark.again
class TestValkey(_Redis):
    @pytest.fixture
    def open_state(self, place: tuple[str, str]) -> OpenState:
        url, prefix = place
        return lambda: ValkeyStateStore(url.replace("redis://", "valkey://"), prefix=prefix)


@pytest.mark.again
class TestAsyncValkey(_Redis):
    @pytest.fixture
    def open_state(self, place: tuple[str, str]) -> OpenState:
        url, prefix = place

        def open_state() -> StateStore:
            store = AsyncValkeyStateStore(url.replace("redis://", "valkey://"), prefix=prefix)
            return blocking(store, StateStore)

        return open_state
