"""The variables of the environment that begin with PRAISON_, or as praisonai's with PRAISONAI_.

One rule for all of them: either prefix will do, an empty value is none, and two that differ are
refused, because one of them would send data to a place that nobody meant.
"""

from __future__ import annotations

import os

from praison_persist.errors import ConfigurationError

__all__ = ["ENV_VARS", "from_environment", "get_env_var", "own_variable", "variable_names"]

PREFIXES = ("PRAISON_", "PRAISONAI_")

# Key -> the variable that is read for it. Those that begin with PRAISON_ may begin with PRAISONAI_
# as well. The last ones are read by the stores of their vendors, where an option is not given.
ENV_VARS = {
    "conversation_store": "PRAISON_CONVERSATION_STORE",
    "conversation_url": "PRAISON_CONVERSATION_URL",
    "conversation_replica_url": "PRAISON_CONVERSATION_REPLICA_URL",
    "knowledge_store": "PRAISON_KNOWLEDGE_STORE",
    "knowledge_url": "PRAISON_KNOWLEDGE_URL",
    "state_store": "PRAISON_STATE_STORE",
    "state_url": "PRAISON_STATE_URL",
    "session_id": "PRAISON_SESSION_ID",
    "user_id": "PRAISON_USER_ID",
    "auto_create_tables": "PRAISON_AUTO_CREATE_TABLES",
    "lazy_init": "PRAISON_LAZY_INIT",
    "session_cache_max": "PRAISON_SESSION_CACHE_MAX",
    "home": "PRAISON_HOME",
    "session_retention": "PRAISON_SESSION_RETENTION",
    "session_active_window": "PRAISON_SESSION_ACTIVE_WINDOW",
    "postgres_url": "POSTGRES_URL",
    "qdrant_url": "QDRANT_URL",
    "redis_url": "REDIS_URL",
    "valkey_url": "VALKEY_URL",
    "mongodb_url": "MONGODB_URL",
    "neon_database_url": "NEON_DATABASE_URL",
    "cockroachdb_url": "COCKROACHDB_URL",
    "xata_database_url": "XATA_DATABASE_URL",
    "turso_database_url": "TURSO_DATABASE_URL",
    "turso_auth_token": "TURSO_AUTH_TOKEN",
    "qdrant_api_key": "QDRANT_API_KEY",
    "pinecone_api_key": "PINECONE_API_KEY",
    "pinecone_index": "PINECONE_INDEX",
    "weaviate_url": "WEAVIATE_URL",
    "weaviate_api_key": "WEAVIATE_API_KEY",
    "upstash_redis_url": "UPSTASH_REDIS_URL",
    "upstash_redis_token": "UPSTASH_REDIS_TOKEN",
    "upstash_vector_url": "UPSTASH_VECTOR_REST_URL",
    "upstash_vector_token": "UPSTASH_VECTOR_REST_TOKEN",
    "couchbase_connection_string": "COUCHBASE_CONNECTION_STRING",
    "couchbase_username": "COUCHBASE_USERNAME",
    "couchbase_password": "COUCHBASE_PASSWORD",
    "couchbase_bucket": "COUCHBASE_BUCKET",
    "cosmos_connection_string": "COSMOS_CONNECTION_STRING",
}


def variable_names(name: str) -> tuple[str, str]:
    """Return both variables that `name` (such as "CONVERSATION_URL") may be set with."""
    ours, original = (f"{prefix}{name}" for prefix in PREFIXES)
    return ours, original


def own_variable(name: str) -> str | None:
    """Return the value of PRAISON_`name` or PRAISONAI_`name`; None if neither is set.

    Raises:
        ConfigurationError: both are set, to values that differ; names them, not the values.
    """
    names = variable_names(name)
    values = {value for value in map(os.environ.get, names) if value}
    if len(values) > 1:
        raise ConfigurationError(
            f"{' and '.join(names)} are both set, and differ. Which one is meant? Unset the other"
        )
    return next(iter(values), None)


def from_environment(variable: str) -> str | None:
    """Return the value of a variable by its whole name, by the rule above if it has a prefix.

    Raises:
        ConfigurationError: see `own_variable`.
    """
    for prefix in reversed(PREFIXES):  # the longer one first
        if variable.startswith(prefix):
            return own_variable(variable.removeprefix(prefix))
    return os.environ.get(variable) or None


def get_env_var(key: str, default: str | None = None) -> str | None:
    """Return the value of the variable of a key of `ENV_VARS`, or of the variable KEY itself.

    Raises:
        ConfigurationError: PRAISON_… and PRAISONAI_… are both set, and differ.
    """
    return from_environment(ENV_VARS.get(key, key.upper())) or default
