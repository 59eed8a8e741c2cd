"""Which backends there are, and which of them could be used right now."""

from __future__ import annotations

from importlib.util import find_spec

from praison_persist import backends
from praison_persist.config import get_default_registry
from praison_persist.registry import Backend

__all__ = ["list_available_backends"]

# The extra of a backend -> the top-level modules that its driver needs.
_MODULES = {
    "singlestore": ("sqlalchemy_singlestoredb",),
    "redis": ("redis",),
    "valkey": ("redis",),
    "upstash": ("upstash_redis", "httpx"),
    "turso": (),  # an embedded replica alone needs its client
    "mongodb": ("pymongo",),
    "dynamodb": ("boto3",),
    "firestore": ("google.cloud.firestore",),
    "gcs": ("google.cloud.storage",),
    "qdrant": ("qdrant_client",),
    "chroma": ("chromadb",),
    "pinecone": ("pinecone",),
    "weaviate": ("weaviate",),
    "lancedb": ("lancedb", "pyarrow"),
    "milvus": ("pymilvus",),
    "cassandra": ("cassandra",),
    "clickhouse": ("clickhouse_connect",),
    "couchbase": ("couchbase",),
    "supabase": ("httpx",),
    "surrealdb": ("surrealdb",),
    "upstash-vector": ("upstash_vector", "httpx"),
    "cosmosdb": ("azure.cosmos", "aiohttp"),
    "lightrag": ("lightrag",),
    "langchain": ("langchain_core",),
    "llamaindex": ("llama_index.core",),
}
# Of these each colour has a driver of its own.
_BY_COLOUR = {
    "postgres": ("psycopg", "asyncpg"),
    "pgvector": ("psycopg", "asyncpg"),
    "mysql": ("pymysql", "aiomysql"),
}
_KINDS = {
    "conversation": backends.CONVERSATION,
    "knowledge": backends.KNOWLEDGE,
    "state": backends.STATE,
}


def list_available_backends() -> dict[str, dict[str, bool]]:
    """Return the names and aliases of the backends of each kind, sorted.

    The value of a name is whether the packages that its driver needs are installed. They are
    looked for, not imported. Of what was registered or installed as a plugin it is true.
    """
    found: dict[str, dict[str, bool]] = {}
    for kind, rows in _KINDS.items():
        usable = {name: _is_usable(row) for row in rows for name in (row.name, *row.aliases)}
        names = get_default_registry(kind).list_all_names()
        found[kind] = {name: usable.get(name, True) for name in names}
    return found


def _is_usable(row: Backend) -> bool:
    return all(_is_installed(module) for module in driver_modules(row))


def driver_modules(row: Backend) -> tuple[str, ...]:
    """Return the modules that the driver of a backend needs."""
    if row.extra in _BY_COLOUR:
        sync, other = _BY_COLOUR[row.extra]
        return (other if row.name.startswith("async_") else sync,)
    return _MODULES[row.extra] if row.extra else ()


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # of the package that it is in
        return False
