"""The modules of praisonai's persistence, and where each of their names is here: data, no code.

A module is written relative to `praisonai` and to `praison_persist.compat`, a place as
"module:attribute". Nothing of it is imported before somebody asks for the name.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["MODULES", "PACKAGES", "ROOTS"]

Names = Mapping[str, str]

# What an installed praisonai has of these is replaced as a whole.
ROOTS = ("persistence", "db", "_registry")
PACKAGES = frozenset(
    {
        "persistence",
        "persistence.conversation",
        "persistence.hooks",
        "persistence.knowledge",
        "persistence.migrations",
        "persistence.state",
        "db",
    }
)

_HERE = "praison_persist.compat"
_CLASSES = f"{_HERE}.classes"
_CONFIG = "praison_persist.config"


def _names(module: str, *names: str) -> Names:
    return {name: f"{module}:{name}" for name in names}


_MODELS = _names("praison_persist.models", "ConversationMessage", "ConversationSession")
_DOCUMENT = _names("praison_persist.models", "KnowledgeDocument")
_CONVERSATION_STORE = _names("praison_persist.protocols", "ConversationStore")
_ASYNC_CONVERSATION_STORE = _names("praison_persist.protocols", "AsyncConversationStore")
_KNOWLEDGE_STORE = _names("praison_persist.knowledge_protocols", "KnowledgeStore")
_ASYNC_KNOWLEDGE_STORE = _names("praison_persist.knowledge_protocols", "AsyncKnowledgeStore")
_STATE_STORE = _names("praison_persist.protocols", "StateStore")
_ASYNC_STATE_STORE = _names("praison_persist.protocols", "AsyncStateStore")
_IDENTIFIER = {"validate_identifier": f"{_HERE}.checks:validate_identifier"}
_COLLECTION = {"validate_identifier": f"{_HERE}.checks:validate_collection"}
_DIMENSION = _names(f"{_HERE}.checks", "validate_dimension")
_VALKEY_CLIENT = _names(f"{_HERE}.valkey_client", "create_valkey_client")
_SQL_BASE = _names(f"{_HERE}.sql_base", "_SQLConversationStoreBase")

_CONVERSATION = {**_MODELS, **_CONVERSATION_STORE, **_IDENTIFIER}
_ASYNC_CONVERSATION = {**_MODELS, **_ASYNC_CONVERSATION_STORE, **_IDENTIFIER}
_KNOWLEDGE = {**_DOCUMENT, **_KNOWLEDGE_STORE}

_FACTORIES = _names(
    "praison_persist",
    "create_conversation_store",
    "create_knowledge_store",
    "create_state_store",
    "create_stores_from_config",
)
_DEFAULT_REGISTRY = _names(_CONFIG, "get_default_registry")
_STORE_REGISTRY = _names(f"{_HERE}.registries", "StoreRegistry")
_PLUGIN_REGISTRY = _names("praison_persist.registry", "PluginRegistry")
_PERSISTENCE_CONFIG = _names("praison_persist", "PersistenceConfig")
_ORCHESTRATOR = _names("praison_persist", "PersistenceOrchestrator")
_HOOKS = _names(
    "praison_persist",
    "PersistentAgent",
    "create_persistent_session",
    "wrap_agent_with_persistence",
)
_MIGRATIONS = _names(f"{_HERE}.migrations", "MigrationManager", "SchemaVersion")
_ADAPTERS = _names(
    f"{_HERE}.adapters",
    "CockroachDB",
    "DB",
    "NeonDB",
    "PostgresDB",
    "PraisonAIDB",
    "PraisonDB",
    "RedisDB",
    "SQLiteDB",
    "TursoDB",
    "XataDB",
)


def _class(name: str, *others: Names) -> Names:
    found = _names(_CLASSES, name)
    for other in others:
        found = {**found, **other}
    return found


_CONVERSATION_MODULES: Mapping[str, Names] = {
    "async_mysql": _class("AsyncMySQLConversationStore", _CONVERSATION),
    "async_postgres": _class("AsyncPostgresConversationStore", _ASYNC_CONVERSATION),
    "async_sqlite": _class("AsyncSQLiteConversationStore", _ASYNC_CONVERSATION),
    "json_store": _class("JSONConversationStore", _MODELS, _CONVERSATION_STORE),
    "mysql": _class("MySQLConversationStore", _CONVERSATION),
    # Documented by praisonai, which has no such module.
    "mysql_new": _class("MySQLConversationStore", _CONVERSATION),
    "postgres": _class("PostgresConversationStore", _SQL_BASE, _IDENTIFIER),
    "singlestore": _class("SingleStoreConversationStore", _CONVERSATION),
    "sqlite": _class("SQLiteConversationStore", _IDENTIFIER),
    "supabase": _class("SupabaseConversationStore", _CONVERSATION),
    "surrealdb": _class("SurrealDBConversationStore", _CONVERSATION),
    "sync_sqlite": _class("SyncSQLiteConversationStore", _IDENTIFIER),
    "turso": _class("TursoConversationStore", _CONVERSATION),
}
_KNOWLEDGE_MODULES: Mapping[str, Names] = {
    "cassandra": _class("CassandraKnowledgeStore", _KNOWLEDGE, _DIMENSION, _COLLECTION),
    "chroma": _class("ChromaKnowledgeStore", _KNOWLEDGE),
    "clickhouse": _class("ClickHouseKnowledgeStore", _KNOWLEDGE, _COLLECTION),
    "cosmosdb_vector": _class("CosmosDBVectorKnowledgeStore", _KNOWLEDGE),
    "couchbase": _class("CouchbaseKnowledgeStore", _KNOWLEDGE),
    "lancedb": _class("LanceDBKnowledgeStore", _KNOWLEDGE),
    "langchain_adapter": _class("LangChainKnowledgeStore", _KNOWLEDGE),
    "lightrag_adapter": _class("LightRAGKnowledgeStore", _KNOWLEDGE),
    "llamaindex_adapter": _class("LlamaIndexKnowledgeStore", _KNOWLEDGE),
    "milvus": _class("MilvusKnowledgeStore", _KNOWLEDGE),
    "mongodb_vector": _class("MongoDBVectorKnowledgeStore", _KNOWLEDGE),
    "pgvector": _class("PGVectorKnowledgeStore", _KNOWLEDGE, _DIMENSION, _COLLECTION),
    "pinecone": _class("PineconeKnowledgeStore", _KNOWLEDGE),
    "qdrant": _class("QdrantKnowledgeStore", _KNOWLEDGE),
    "redis_vector": _class("RedisVectorKnowledgeStore", _KNOWLEDGE),
    "singlestore_vector": _class("SingleStoreVectorKnowledgeStore", _KNOWLEDGE, _COLLECTION),
    "surrealdb_vector": _class("SurrealDBVectorKnowledgeStore", _KNOWLEDGE, _COLLECTION),
    "upstash_vector": _class("UpstashVectorKnowledgeStore", _KNOWLEDGE),
    "valkey_vector": _class("ValkeyVectorKnowledgeStore", _KNOWLEDGE, _COLLECTION, _VALKEY_CLIENT),
    "weaviate": _class("WeaviateKnowledgeStore", _KNOWLEDGE),
}
_STATE_MODULES: Mapping[str, Names] = {
    "async_mongodb": _class("AsyncMongoDBStateStore", _STATE_STORE),
    "dynamodb": _class("DynamoDBStateStore", _STATE_STORE),
    "firestore": _class("FirestoreStateStore", _STATE_STORE),
    "gcs": _class("GCSStateStore", _STATE_STORE),
    "memory": _class("MemoryStateStore", _STATE_STORE),
    "mongodb": _class("MongoDBStateStore", _STATE_STORE),
    "redis": _class("RedisStateStore", _STATE_STORE),
    "upstash": _class("UpstashStateStore", _STATE_STORE),
    "valkey": _class("ValkeyStateStore", _STATE_STORE, _VALKEY_CLIENT),
}


def _classes(modules: Mapping[str, Names]) -> Names:
    """Return the stores of these modules, which the documentation takes from the package."""
    return {
        name: place
        for names in modules.values()
        for name, place in names.items()
        if place.startswith(f"{_CLASSES}:")
    }


MODULES: Mapping[str, Names] = {
    "_registry": {
        **_PLUGIN_REGISTRY,
        **_names("praison_persist.registry", "create_lazy_getattr"),
        "logger": f"{_HERE}.registries:logger",
    },
    "db": _ADAPTERS,
    "db.adapter": _ADAPTERS,
    "persistence": {
        **_MODELS,
        **_CONVERSATION_STORE,
        **_KNOWLEDGE,
        **_ASYNC_KNOWLEDGE_STORE,
        **_STATE_STORE,
        **_ASYNC_STATE_STORE,
        **_FACTORIES,
        **_STORE_REGISTRY,
        **_DEFAULT_REGISTRY,
        **_PERSISTENCE_CONFIG,
        **_ORCHESTRATOR,
        **_HOOKS,
    },
    "persistence._valkey_client": _VALKEY_CLIENT,
    "persistence.config": {
        **_PERSISTENCE_CONFIG,
        **_names("praison_persist", "ENV_VARS", "get_env_var", "list_available_backends"),
    },
    "persistence.factory": {
        **_FACTORIES,
        **_STORE_REGISTRY,
        **_DEFAULT_REGISTRY,
        **_PERSISTENCE_CONFIG,
    },
    "persistence.orchestrator": {
        **_ORCHESTRATOR,
        **_MODELS,
        **_CONVERSATION_STORE,
        **_ASYNC_CONVERSATION_STORE,
        **_KNOWLEDGE,
        **_STATE_STORE,
        **_PERSISTENCE_CONFIG,
        **_names("praison_persist", "create_stores_from_config"),
    },
    "persistence.registry": {
        **_PLUGIN_REGISTRY,
        **_STORE_REGISTRY,
        **_DEFAULT_REGISTRY,
        **_names(_CONFIG, "CONVERSATION_STORES", "KNOWLEDGE_STORES", "STATE_STORES"),
    },
    "persistence.hooks": _HOOKS,
    "persistence.hooks.agent_hooks": {**_HOOKS, **_ORCHESTRATOR, **_MODELS},
    "persistence.migrations": _MIGRATIONS,
    "persistence.migrations.manager": {
        **_MIGRATIONS,
        **_names(f"{_HERE}.migrations", "Migration"),
    },
    "persistence.conversation": {
        **_MODELS,
        **_CONVERSATION_STORE,
        **_ASYNC_CONVERSATION_STORE,
        **_classes(_CONVERSATION_MODULES),
    },
    "persistence.conversation._ops": {
        **_MODELS,
        **_names(f"{_HERE}.resume", "aresume_or_create_session", "resume_or_create_session"),
    },
    "persistence.conversation._sql_base": {**_SQL_BASE, **_CONVERSATION},
    "persistence.conversation._sqlite_base": {**_MODELS, **_CONVERSATION_STORE},
    "persistence.conversation.base": {**_CONVERSATION, **_ASYNC_CONVERSATION_STORE},
    **{f"persistence.conversation.{name}": at for name, at in _CONVERSATION_MODULES.items()},
    "persistence.knowledge": {
        **_KNOWLEDGE,
        **_ASYNC_KNOWLEDGE_STORE,
        **_classes(_KNOWLEDGE_MODULES),
    },
    "persistence.knowledge.base": {
        **_KNOWLEDGE,
        **_ASYNC_KNOWLEDGE_STORE,
        **_COLLECTION,
        **_DIMENSION,
    },
    **{f"persistence.knowledge.{name}": at for name, at in _KNOWLEDGE_MODULES.items()},
    "persistence.state": {**_STATE_STORE, **_ASYNC_STATE_STORE, **_classes(_STATE_MODULES)},
    "persistence.state.base": {**_STATE_STORE, **_ASYNC_STATE_STORE},
    **{f"persistence.state.{name}": at for name, at in _STATE_MODULES.items()},
}
