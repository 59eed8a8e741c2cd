"""State in Valkey, which speaks Redis' protocol: `valkey://` is `redis://` with another default."""

from __future__ import annotations

from praison_persist.state.redis import AsyncRedisStateStore, RedisStateStore

__all__ = ["AsyncValkeyStateStore", "ValkeyStateStore"]


class ValkeyStateStore(RedisStateStore):
    """State in Valkey. Arguments and errors are those of `RedisStateStore`.

    The schemes valkey://, valkeys://, valkey+sentinel:// and valkey+cluster:// mean what those of
    Redis do, and VALKEY_URL what REDIS_URL does.
    """

    environment = "VALKEY_URL"


class AsyncValkeyStateStore(AsyncRedisStateStore):
    """State in Valkey, for asyncio. See `ValkeyStateStore`."""

    environment = "VALKEY_URL"
