"""Upstash keeps the state contract, in both colours, and its failures are told."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from praison_persist._adapt import blocking
from praison_persist.errors import BackendError, ConfigurationError, UnavailableError
from praison_persist.protocols import StateStore
from praison_persist.state.upstash import AsyncUpstashStateStore, UpstashStateStore
from praison_persist.testing.state import StateStoreContract
from praison_persist.testing.state_contract import Advance, OpenState
from tests.services.upstash import TOKEN, Upstash

from .services import namespace, time_machine


class _Upstash:
    @pytest.fixture
    def place(self) -> Iterator[tuple[Upstash, str]]:
        with namespace() as (url, prefix):
            upstash = Upstash(url)
            yield upstash, prefix
            upstash.close()


class _Contract(_Upstash, StateStoreContract):
    @pytest.fixture
    def advance(self, place: tuple[Upstash, str]) -> Iterator[Advance]:
        upstash, prefix = place
        with redis.Redis.from_url(upstash.redis_url) as client:
            yield time_machine(client, prefix)


class TestUpstash(_Contract):
    @pytest.fixture
    def open_state(self, place: tuple[Upstash, str]) -> OpenState:
        upstash, prefix = place
        return lambda: UpstashStateStore(upstash.url, TOKEN, prefix)


@pytest.mark.again
class TestAsyncUpstash(_Contract):
    @pytest.fixture
    def open_state(self, place: tuple[Upstash, str]) -> OpenState:
        upstash, prefix = place

        def open_state() -> StateStore:
            return blocking(AsyncUpstashStateStore(upstash.url, TOKEN, prefix), StateStore)

        return open_state


class TestFailures(_Upstash):
    def test_a_gateway_that_is_down_for_a_moment_is_asked_again(
        self, place: tuple[Upstash, str]
    ) -> None:
        upstash, prefix = place
        with UpstashStateStore(upstash.url, TOKEN, prefix, retry_delay=0.001) as store:
            upstash.failing = [(502, "<html>bad gateway</html>")] * 3
            store.set("k", 1)
            assert store.get("k") == 1
            upstash.failing = [(502, "<html>bad gateway</html>")] * 4
            with pytest.raises(UnavailableError, match="4 attempts"):
                store.get("k")

    def test_a_wrong_token_is_told_and_not_shown(self, place: tuple[Upstash, str]) -> None:
        upstash, prefix = place
        with (
            UpstashStateStore(upstash.url, "wrong-token", prefix) as store,
            pytest.raises(UnavailableError, match="Unauthorized") as caught,
        ):
            store.get("k")
        assert "wrong-token" not in str(caught.value) + repr(store)

    def test_an_error_of_the_server_is_told(self, place: tuple[Upstash, str]) -> None:
        upstash, prefix = place
        with UpstashStateStore(upstash.url, TOKEN, prefix) as store:
            upstash.redis.set(f"{prefix}k", "of another program")
            with pytest.raises(BackendError, match="another program"):
                store.get("k")

    def test_many_are_read_and_written_in_one_request(self, place: tuple[Upstash, str]) -> None:
        upstash, prefix = place
        with UpstashStateStore(upstash.url, TOKEN, prefix) as store:
            values = {f"k{index}": index for index in range(1200)}
            store.set_many(values)
            store.get_many(list(values))
            upstash.requests.clear()
            store.set_many(values)
            assert store.get_many(list(values)) == values
            assert len(upstash.requests) == 2

    def test_the_environment_says_where_it_is(
        self, place: tuple[Upstash, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        upstash, prefix = place
        monkeypatch.setenv("UPSTASH_REDIS_URL", upstash.url)
        monkeypatch.setenv("UPSTASH_REDIS_TOKEN", TOKEN)
        with UpstashStateStore(prefix=prefix) as store:
            store.set("k", 1)
            assert store.get("k") == 1

    @pytest.mark.parametrize(
        ("url", "token"), [(None, "t"), ("https://h", None), ("redis://h", "t"), ("https://", "t")]
    )
    def test_what_is_no_place_is_refused(
        self, url: str | None, token: str | None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("URL", "TOKEN", "REST_URL", "REST_TOKEN"):
            monkeypatch.delenv(f"UPSTASH_REDIS_{name}", raising=False)
        with pytest.raises(ConfigurationError, match="Upstash"):
            UpstashStateStore(url, token)
