"""The template of state stores: what a vendor implements, and what it need not care about.

A vendor's module has a `StateDriver`, written once for both colours, and two classes of a few
lines that say how it is made:

    class MineDriver(StateDriver):
        def __init__(self, client, sleep): ...

        def read(self, keys):
            rows = yield from wait(self._client.find(keys))  # a value, or a coroutine
            return {row.key: row.text for row in rows}
        ...

    class MineStateStore(BaseStateStore):
        def __init__(self, url=None, *, prefix="praison:"):
            super().__init__(MineDriver(mine.Client(url), time.sleep))

    class AsyncMineStateStore(AsyncBaseStateStore):
        def __init__(self, url=None, *, prefix="praison:"):
            super().__init__(MineDriver(mine.AsyncClient(url), asyncio.sleep))

A hook is a flow (`praison_persist._flow`): it yields what the client's method returned and is sent
the value, so that the same hook drives a sync and an async client. An async client belongs to the
event loop it was made on: keep it in `praison_persist._loops.PerLoop`. A vendor that keeps all
of a key in one document, and can write it on condition that nobody else has, derives from
`praison_persist.state.entries.EntryDriver`, which has all hooks but four.

Done here and in `flows`: checks of keys, fields, ttl and values, the JSON codec, globs, versions,
retries of `failures` that are transient and translation of the others, closing. The methods of the
two classes are final.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, final

from praison_persist._flow import arun, run
from praison_persist.protocols import AsyncStateStore, KeyPage, StateStore, Versioned
from praison_persist.state.driver import StateDriver
from praison_persist.state.flows import StateFlows

__all__ = ["AsyncBaseStateStore", "BaseStateStore", "StateDriver"]


class BaseStateStore(StateStore):
    """A sync state store over a driver whose client is sync."""

    def __init__(self, driver: StateDriver) -> None:
        self.driver = driver
        self.capabilities = driver.capabilities
        self._flows = StateFlows(driver, type(self).__name__)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.driver.address})"

    @final
    def get(self, key: str, default: Any = None) -> Any:
        """See `StateStore.get`."""
        return run(self._flows.get(key, default))

    @final
    def get_many(self, keys: Sequence[str]) -> dict[str, Any]:
        """See `StateStore.get_many`."""
        return run(self._flows.get_many(keys))

    @final
    def get_versioned(self, key: str) -> Versioned | None:
        """See `StateStore.get_versioned`."""
        return run(self._flows.get_versioned(key))

    @final
    def set(
        self,
        key: str,
        value: Any,
        ttl: float | None = None,
        *,
        expected_version: int | None = None,
    ) -> int:
        """See `StateStore.set`."""
        return run(self._flows.set(key, value, ttl, expected_version))

    @final
    def set_many(self, values: Mapping[str, Any], ttl: float | None = None) -> None:
        """See `StateStore.set_many`."""
        run(self._flows.set_many(values, ttl))

    @final
    def set_if_absent(self, key: str, value: Any, ttl: float | None = None) -> bool:
        """See `StateStore.set_if_absent`."""
        return run(self._flows.set_if_absent(key, value, ttl))

    @final
    def delete(self, key: str) -> bool:
        """See `StateStore.delete`."""
        return run(self._flows.delete(key))

    @final
    def exists(self, key: str) -> bool:
        """See `StateStore.exists`."""
        return run(self._flows.exists(key))

    @final
    def ttl(self, key: str) -> int | None:
        """See `StateStore.ttl`."""
        return run(self._flows.ttl(key))

    @final
    def expire(self, key: str, ttl: float | None) -> bool:
        """See `StateStore.expire`."""
        return run(self._flows.expire(key, ttl))

    @final
    def keys(self, pattern: str = "*") -> list[str]:
        """See `StateStore.keys`."""
        return run(self._flows.keys(pattern))

    @final
    def page_keys(
        self, prefix: str = "", *, limit: int = 1000, cursor: str | None = None
    ) -> KeyPage:
        """See `StateStore.page_keys`."""
        return run(self._flows.page_keys(prefix, limit, cursor))

    @final
    def clear(self, prefix: str, *, confirm: bool = False) -> int:
        """See `StateStore.clear`."""
        return run(self._flows.clear(prefix, confirm=confirm))

    @final
    def hget(self, key: str, field: str, default: Any = None) -> Any:
        """See `StateStore.hget`."""
        return run(self._flows.hget(key, field, default))

    @final
    def hset(self, key: str, field: str, value: Any) -> None:
        """See `StateStore.hset`."""
        run(self._flows.hset(key, field, value))

    @final
    def hgetall(self, key: str) -> dict[str, Any]:
        """See `StateStore.hgetall`."""
        return run(self._flows.hgetall(key))

    @final
    def hdel(self, key: str, *fields: str) -> int:
        """See `StateStore.hdel`."""
        return run(self._flows.hdel(key, fields))

    @final
    def incr(self, key: str, amount: int = 1) -> int:
        """See `StateStore.incr`."""
        return run(self._flows.incr(key, amount))

    @final
    def close(self) -> None:
        """See `StateStore.close`."""
        run(self._flows.close())


class AsyncBaseStateStore(AsyncStateStore):
    """An async state store over a driver whose client is async."""

    def __init__(self, driver: StateDriver) -> None:
        self.driver = driver
        self.capabilities = driver.capabilities
        self._flows = StateFlows(driver, type(self).__name__)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.driver.address})"

    @final
    async def get(self, key: str, default: Any = None) -> Any:
        """See `StateStore.get`."""
        return await arun(self._flows.get(key, default))

    @final
    async def get_many(self, keys: Sequence[str]) -> dict[str, Any]:
        """See `StateStore.get_many`."""
        return await arun(self._flows.get_many(keys))

    @final
    async def get_versioned(self, key: str) -> Versioned | None:
        """See `StateStore.get_versioned`."""
        return await arun(self._flows.get_versioned(key))

    @final
    async def set(
        self,
        key: str,
        value: Any,
        ttl: float | None = None,
        *,
        expected_version: int | None = None,
    ) -> int:
        """See `StateStore.set`."""
        return await arun(self._flows.set(key, value, ttl, expected_version))

    @final
    async def set_many(self, values: Mapping[str, Any], ttl: float | None = None) -> None:
        """See `StateStore.set_many`."""
        await arun(self._flows.set_many(values, ttl))

    @final
    async def set_if_absent(self, key: str, value: Any, ttl: float | None = None) -> bool:
        """See `StateStore.set_if_absent`."""
        return await arun(self._flows.set_if_absent(key, value, ttl))

    @final
    async def delete(self, key: str) -> bool:
        """See `StateStore.delete`."""
        return await arun(self._flows.delete(key))

    @final
    async def exists(self, key: str) -> bool:
        """See `StateStore.exists`."""
        return await arun(self._flows.exists(key))

    @final
    async def ttl(self, key: str) -> int | None:
        """See `StateStore.ttl`."""
        return await arun(self._flows.ttl(key))

    @final
    async def expire(self, key: str, ttl: float | None) -> bool:
        """See `StateStore.expire`."""
        return await arun(self._flows.expire(key, ttl))

    @final
    async def keys(self, pattern: str = "*") -> list[str]:
        """See `StateStore.keys`."""
        return await arun(self._flows.keys(pattern))

    @final
    async def page_keys(
        self, prefix: str = "", *, limit: int = 1000, cursor: str | None = None
    ) -> KeyPage:
        """See `StateStore.page_keys`."""
        return await arun(self._flows.page_keys(prefix, limit, cursor))

    @final
    async def clear(self, prefix: str, *, confirm: bool = False) -> int:
        """See `StateStore.clear`."""
        return await arun(self._flows.clear(prefix, confirm=confirm))

    @final
    async def hget(self, key: str, field: str, default: Any = None) -> Any:
        """See `StateStore.hget`."""
        return await arun(self._flows.hget(key, field, default))

    @final
    async def hset(self, key: str, field: str, value: Any) -> None:
        """See `StateStore.hset`."""
        await arun(self._flows.hset(key, field, value))

    @final
    async def hgetall(self, key: str) -> dict[str, Any]:
        """See `StateStore.hgetall`."""
        return await arun(self._flows.hgetall(key))

    @final
    async def hdel(self, key: str, *fields: str) -> int:
        """See `StateStore.hdel`."""
        return await arun(self._flows.hdel(key, fields))

    @final
    async def incr(self, key: str, amount: int = 1) -> int:
        """See `StateStore.incr`."""
        return await arun(self._flows.incr(key, amount))

    @final
    async def close(self) -> None:
        """See `StateStore.close`."""
        await arun(self._flows.close())
