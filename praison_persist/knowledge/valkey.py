"""Knowledge in Valkey with valkey-search, whose commands are those of RediSearch.

Contents are not indexed: before its version 1.3, valkey-search does not rank by words.
"""

from __future__ import annotations

from praison_persist.knowledge.redis import AsyncRedisKnowledgeStore, RedisKnowledgeStore

__all__ = ["AsyncValkeyKnowledgeStore", "ValkeyKnowledgeStore"]


class ValkeyKnowledgeStore(RedisKnowledgeStore):
    """Knowledge in Valkey. Arguments and errors are those of `RedisKnowledgeStore`.

    The schemes valkey://, valkeys:// and valkey+sentinel:// mean what those of Redis do, and
    VALKEY_URL what REDIS_URL does.
    """

    environment = "VALKEY_URL"
    words = False


class AsyncValkeyKnowledgeStore(AsyncRedisKnowledgeStore):
    """Knowledge in Valkey, for asyncio. See `ValkeyKnowledgeStore`."""

    environment = "VALKEY_URL"
    words = False
