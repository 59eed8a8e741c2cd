"""State stores by name and URL, of the wanted colour."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from praison_persist.config import create_state_store, detect_backend, get_default_registry
from praison_persist.errors import ConfigurationError, UnknownBackendError, UnsupportedError
from praison_persist.protocols import AsyncStateStore, StateCapability, StateStore
from praison_persist.registry import StoreRegistry
from praison_persist.state.memory import MemoryStateStore

_NAMES: dict[str, dict[str, Any]] = {
    "memory": {},
    "sql": {"url": ":memory:"},
    "sqlite": {"url": "sqlite:///:memory:"},
    "redis": {"url": "redis://h"},
    "rediss": {"url": "rediss://h"},
    "valkey": {"url": "valkey://h"},
    "upstash": {"url": "https://h", "token": "t"},
    "mongodb": {"url": "mongodb://h"},
    "dynamodb": {"region": "eu-west-1"},
    "firestore": {"project": "p"},
    "gcs": {"bucket_name": "bucket"},
}


@pytest.mark.parametrize("name", _NAMES)
def test_each_name_has_both_colours(name: str) -> None:
    auto, sync = (
        create_state_store(name, **_NAMES[name]),
        create_state_store(name.upper(), mode="sync", **_NAMES[name]),
    )
    assert isinstance(auto, StateStore)
    assert isinstance(sync, StateStore)
    asynchronous = create_state_store(name, mode="async", **_NAMES[name])
    assert isinstance(asynchronous, AsyncStateStore)
    for store in (auto, sync):
        store.close()
    asyncio.run(asynchronous.close())


def test_a_name_of_one_colour_can_have_the_other() -> None:
    assert isinstance(create_state_store("async_sql", ":memory:"), AsyncStateStore)
    assert isinstance(create_state_store("async_sql", ":memory:", mode="sync"), StateStore)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("redis://h", "redis"),
        ("rediss://h", "rediss"),
        ("redis+sentinel://h/s", "redis"),
        ("valkey+cluster://h", "valkey"),
        ("postgresql+psycopg://h/d", "postgresql"),
        ("mysql://h/d", "mysql"),
        ("singlestoredb://h/d", "singlestoredb"),
        ("sqlite:///x.db", "sqlite"),
        ("upstash://h", "upstash"),
        ("mongodb+srv://h/d", "mongodb"),
        ("dynamodb://table?region=eu-west-1", "dynamodb"),
        ("firestore://p/c", "firestore"),
        ("gs://bucket/prefix", "gs"),
        ("memory://", "memory"),
    ],
)
def test_the_backend_is_told_from_the_url(url: str, name: str) -> None:
    assert detect_backend(url, kind="state") == name


def test_what_cannot_be_created_is_told() -> None:
    with pytest.raises(UnknownBackendError, match="redis"):
        create_state_store("rdeis")
    with pytest.raises(ConfigurationError, match=r"sync\|async\|auto"):
        create_state_store("memory", mode="both")
    with pytest.raises(ConfigurationError, match="url="):
        create_state_store("sql")
    with pytest.raises(ConfigurationError, match="table_prefix"):
        create_state_store("sql", ":memory:", table_prefx="x")
    with pytest.raises(TypeError):
        create_state_store("redis", "redis://h", prefxi="x")


def test_a_registered_store_comes_first() -> None:
    registry = StoreRegistry("state")
    registry.register_store("mine", lambda url=None, **_: MemoryStateStore(url=url))
    store = create_state_store("mine", "memory://", registry=registry)
    assert isinstance(store, MemoryStateStore)
    assert {"memory", "redis", "sql", "upstash", "valkey"} <= set(
        get_default_registry("state").list_names()
    )


class _Minimal(StateStore):
    """What a plugin has at least."""

    def __init__(self) -> None:
        self.data: dict[str, Any] = {}

    def get(self, key: str, default: Any = None) -> Any:
        return self.data.get(key, default)

    def set(
        self,
        key: str,
        value: Any,
        ttl: float | None = None,
        *,
        expected_version: int | None = None,
    ) -> int:
        self._check_version(expected_version)
        self.data[key] = value
        return 0

    def delete(self, key: str) -> bool:
        return self.data.pop(key, None) is not None

    def exists(self, key: str) -> bool:
        return key in self.data

    def keys(self, pattern: str = "*") -> list[str]:
        return sorted(self.data)

    def ttl(self, key: str) -> int | None:
        return None

    def expire(self, key: str, ttl: float | None) -> bool:
        return key in self.data

    def hget(self, key: str, field: str, default: Any = None) -> Any:
        return default

    def hset(self, key: str, field: str, value: Any) -> None:
        pass

    def hgetall(self, key: str) -> dict[str, Any]:
        return {}

    def hdel(self, key: str, *fields: str) -> int:
        return 0

    def close(self) -> None:
        pass


def test_a_plugin_has_what_can_be_derived_and_refuses_the_rest() -> None:
    with _Minimal() as store:
        store.set_many({"a1": 1, "a2": 2, "b": None})
        store.set_json("a3", [1])
        assert store.get_json("a3") == [1]
        assert store.get_many(["b", "c", "a1"]) == {"b": None, "a1": 1}
        page = store.page_keys("a", limit=2)
        assert (page.keys, page.next_cursor) == (["a1", "a2"], "a2")
        assert store.page_keys("a", limit=2, cursor="a2").keys == ["a3"]
        assert list(store.scan_prefix("a")) == ["a1", "a2", "a3"]
        assert store.clear("a") == 3
        with pytest.raises(ValueError, match="confirm"):
            store.clear("")
        for use in (
            lambda: store.incr("k"),
            lambda: store.decr("k"),
            lambda: store.set_if_absent("k", 1),
            lambda: store.get_versioned("k"),
            lambda: store.set("k", 1, expected_version=1),
        ):
            with pytest.raises(UnsupportedError, match="_Minimal does not support"):
                use()
        assert store.keys() == ["b"]


def test_both_colours_of_sql_share_the_data(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'state.db'}"

    async def write() -> None:
        async with create_state_store("sql", url, mode="async") as store:
            await store.set("a", 1)
            await store.hset("b", "f", 2)
            assert [key async for key in store.scan_prefix("")] == ["a", "b"]
            assert store.capabilities == frozenset(StateCapability)

    asyncio.run(write())
    with create_state_store("sql", url) as store:
        assert (store.get("a"), store.hgetall("b")) == (1, {"f": 2})
