"""Conversations, state and knowledge of AI agents, kept on any database.

Names are imported when they are first used: importing this package loads neither SQLAlchemy nor
a driver.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from praison_persist._lazy import lazy_attribute

if TYPE_CHECKING:
    from praison_persist._environment import ENV_VARS as ENV_VARS
    from praison_persist._environment import get_env_var as get_env_var
    from praison_persist.adapter import DB as DB
    from praison_persist.adapter import CockroachDB as CockroachDB
    from praison_persist.adapter import NeonDB as NeonDB
    from praison_persist.adapter import PostgresDB as PostgresDB
    from praison_persist.adapter import PraisonAIDB as PraisonAIDB
    from praison_persist.adapter import PraisonDB as PraisonDB
    from praison_persist.adapter import SQLiteDB as SQLiteDB
    from praison_persist.adapter import TursoDB as TursoDB
    from praison_persist.adapter import XataDB as XataDB
    from praison_persist.adapter import db as db
    from praison_persist.agent import Agent as Agent
    from praison_persist.agent import memory as memory
    from praison_persist.available import list_available_backends as list_available_backends
    from praison_persist.config import create_conversation_store as create_conversation_store
    from praison_persist.config import create_knowledge_store as create_knowledge_store
    from praison_persist.config import create_state_store as create_state_store
    from praison_persist.config import get_default_registry as get_default_registry
    from praison_persist.configured_stores import (
        create_stores_from_config as create_stores_from_config,
    )
    from praison_persist.conversation.json_file import (
        AsyncJSONConversationStore as AsyncJSONConversationStore,
    )
    from praison_persist.conversation.json_file import (
        JSONConversationStore as JSONConversationStore,
    )
    from praison_persist.conversation.supabase import (
        AsyncSupabaseConversationStore as AsyncSupabaseConversationStore,
    )
    from praison_persist.conversation.supabase import (
        SupabaseConversationStore as SupabaseConversationStore,
    )
    from praison_persist.conversation.surrealdb import (
        AsyncSurrealDBConversationStore as AsyncSurrealDBConversationStore,
    )
    from praison_persist.conversation.surrealdb import (
        SurrealDBConversationStore as SurrealDBConversationStore,
    )
    from praison_persist.errors import BackendError as BackendError
    from praison_persist.errors import ConfigurationError as ConfigurationError
    from praison_persist.errors import ConflictError as ConflictError
    from praison_persist.errors import InvalidDataError as InvalidDataError
    from praison_persist.errors import MissingDependencyError as MissingDependencyError
    from praison_persist.errors import NotFoundError as NotFoundError
    from praison_persist.errors import PersistError as PersistError
    from praison_persist.errors import SchemaError as SchemaError
    from praison_persist.errors import UnavailableError as UnavailableError
    from praison_persist.errors import UnknownBackendError as UnknownBackendError
    from praison_persist.errors import UnsupportedError as UnsupportedError
    from praison_persist.knowledge.cassandra import (
        CassandraKnowledgeStore as CassandraKnowledgeStore,
    )
    from praison_persist.knowledge.chroma import ChromaKnowledgeStore as ChromaKnowledgeStore
    from praison_persist.knowledge.clickhouse import (
        AsyncClickHouseKnowledgeStore as AsyncClickHouseKnowledgeStore,
    )
    from praison_persist.knowledge.clickhouse import (
        ClickHouseKnowledgeStore as ClickHouseKnowledgeStore,
    )
    from praison_persist.knowledge.cosmosdb import (
        AsyncCosmosDBKnowledgeStore as AsyncCosmosDBKnowledgeStore,
    )
    from praison_persist.knowledge.cosmosdb import CosmosDBKnowledgeStore as CosmosDBKnowledgeStore
    from praison_persist.knowledge.couchbase import (
        CouchbaseKnowledgeStore as CouchbaseKnowledgeStore,
    )
    from praison_persist.knowledge.lancedb import (
        AsyncLanceDBKnowledgeStore as AsyncLanceDBKnowledgeStore,
    )
    from praison_persist.knowledge.lancedb import LanceDBKnowledgeStore as LanceDBKnowledgeStore
    from praison_persist.knowledge.langchain import (
        LangChainKnowledgeStore as LangChainKnowledgeStore,
    )
    from praison_persist.knowledge.lightrag import LightRAGKnowledgeStore as LightRAGKnowledgeStore
    from praison_persist.knowledge.llamaindex import (
        LlamaIndexKnowledgeStore as LlamaIndexKnowledgeStore,
    )
    from praison_persist.knowledge.milvus import (
        AsyncMilvusKnowledgeStore as AsyncMilvusKnowledgeStore,
    )
    from praison_persist.knowledge.milvus import MilvusKnowledgeStore as MilvusKnowledgeStore
    from praison_persist.knowledge.mongodb_vector import (
        AsyncMongoDBVectorKnowledgeStore as AsyncMongoDBVectorKnowledgeStore,
    )
    from praison_persist.knowledge.mongodb_vector import (
        MongoDBVectorKnowledgeStore as MongoDBVectorKnowledgeStore,
    )
    from praison_persist.knowledge.pgvector import (
        AsyncPGVectorKnowledgeStore as AsyncPGVectorKnowledgeStore,
    )
    from praison_persist.knowledge.pgvector import PGVectorKnowledgeStore as PGVectorKnowledgeStore
    from praison_persist.knowledge.pinecone import (
        AsyncPineconeKnowledgeStore as AsyncPineconeKnowledgeStore,
    )
    from praison_persist.knowledge.pinecone import PineconeKnowledgeStore as PineconeKnowledgeStore
    from praison_persist.knowledge.qdrant import (
        AsyncQdrantKnowledgeStore as AsyncQdrantKnowledgeStore,
    )
    from praison_persist.knowledge.qdrant import QdrantKnowledgeStore as QdrantKnowledgeStore
    from praison_persist.knowledge.redis import AsyncRedisKnowledgeStore as AsyncRedisKnowledgeStore
    from praison_persist.knowledge.redis import RedisKnowledgeStore as RedisKnowledgeStore
    from praison_persist.knowledge.singlestore_vector import (
        SingleStoreVectorKnowledgeStore as SingleStoreVectorKnowledgeStore,
    )
    from praison_persist.knowledge.sql import AsyncSQLKnowledgeStore as AsyncSQLKnowledgeStore
    from praison_persist.knowledge.sql import SQLKnowledgeStore as SQLKnowledgeStore
    from praison_persist.knowledge.surrealdb_vector import (
        AsyncSurrealDBKnowledgeStore as AsyncSurrealDBKnowledgeStore,
    )
    from praison_persist.knowledge.surrealdb_vector import (
        SurrealDBKnowledgeStore as SurrealDBKnowledgeStore,
    )
    from praison_persist.knowledge.upstash_vector import (
        AsyncUpstashVectorKnowledgeStore as AsyncUpstashVectorKnowledgeStore,
    )
    from praison_persist.knowledge.upstash_vector import (
        UpstashVectorKnowledgeStore as UpstashVectorKnowledgeStore,
    )
    from praison_persist.knowledge.valkey import (
        AsyncValkeyKnowledgeStore as AsyncValkeyKnowledgeStore,
    )
    from praison_persist.knowledge.valkey import ValkeyKnowledgeStore as ValkeyKnowledgeStore
    from praison_persist.knowledge.weaviate import (
        AsyncWeaviateKnowledgeStore as AsyncWeaviateKnowledgeStore,
    )
    from praison_persist.knowledge.weaviate import WeaviateKnowledgeStore as WeaviateKnowledgeStore
    from praison_persist.knowledge_protocols import AsyncKnowledgeStore as AsyncKnowledgeStore
    from praison_persist.knowledge_protocols import KnowledgeCapability as KnowledgeCapability
    from praison_persist.knowledge_protocols import KnowledgeStore as KnowledgeStore
    from praison_persist.lifecycle import History as History
    from praison_persist.models import ConversationMessage as ConversationMessage
    from praison_persist.models import ConversationSession as ConversationSession
    from praison_persist.models import KnowledgeCollection as KnowledgeCollection
    from praison_persist.models import KnowledgeDocument as KnowledgeDocument
    from praison_persist.models import MessageHit as MessageHit
    from praison_persist.models import MessagePage as MessagePage
    from praison_persist.models import Run as Run
    from praison_persist.models import SessionPage as SessionPage
    from praison_persist.models import Span as Span
    from praison_persist.models import ToolCall as ToolCall
    from praison_persist.models import Trace as Trace
    from praison_persist.orchestrator import PersistenceOrchestrator as PersistenceOrchestrator
    from praison_persist.outbox import Health as Health
    from praison_persist.persistence_config import PersistenceConfig as PersistenceConfig
    from praison_persist.persistent_agent import PersistentAgent as PersistentAgent
    from praison_persist.persistent_agent import (
        wrap_agent_with_persistence as wrap_agent_with_persistence,
    )
    from praison_persist.persistent_session import PersistentSession as PersistentSession
    from praison_persist.persistent_session import (
        create_persistent_session as create_persistent_session,
    )
    from praison_persist.protocols import AsyncConversationStore as AsyncConversationStore
    from praison_persist.protocols import AsyncRunStore as AsyncRunStore
    from praison_persist.protocols import AsyncStateStore as AsyncStateStore
    from praison_persist.protocols import Capability as Capability
    from praison_persist.protocols import ConversationStore as ConversationStore
    from praison_persist.protocols import KeyPage as KeyPage
    from praison_persist.protocols import RunStore as RunStore
    from praison_persist.protocols import StateCapability as StateCapability
    from praison_persist.protocols import StateStore as StateStore
    from praison_persist.protocols import Versioned as Versioned
    from praison_persist.registry import PluginRegistry as PluginRegistry
    from praison_persist.registry import StoreRegistry as StoreRegistry
    from praison_persist.sessions.base import SessionStore as SessionStore
    from praison_persist.sessions.defaults import (
        get_default_session_store as get_default_session_store,
    )
    from praison_persist.sessions.defaults import (
        get_hierarchical_session_store as get_hierarchical_session_store,
    )
    from praison_persist.sessions.encrypted import EncryptedSessionStore as EncryptedSessionStore
    from praison_persist.sessions.encrypted import generate_session_key as generate_session_key
    from praison_persist.sessions.files import DefaultSessionStore as DefaultSessionStore
    from praison_persist.sessions.files import HierarchicalSessionStore as HierarchicalSessionStore
    from praison_persist.sessions.sql import SQLSessionStore as SQLSessionStore
    from praison_persist.sql.named import (
        AsyncCockroachDBConversationStore as AsyncCockroachDBConversationStore,
    )
    from praison_persist.sql.named import (
        AsyncMySQLConversationStore as AsyncMySQLConversationStore,
    )
    from praison_persist.sql.named import (
        AsyncPostgresConversationStore as AsyncPostgresConversationStore,
    )
    from praison_persist.sql.named import (
        AsyncSQLiteConversationStore as AsyncSQLiteConversationStore,
    )
    from praison_persist.sql.named import AsyncTursoConversationStore as AsyncTursoConversationStore
    from praison_persist.sql.named import (
        CockroachDBConversationStore as CockroachDBConversationStore,
    )
    from praison_persist.sql.named import MySQLConversationStore as MySQLConversationStore
    from praison_persist.sql.named import PostgresConversationStore as PostgresConversationStore
    from praison_persist.sql.named import (
        SingleStoreConversationStore as SingleStoreConversationStore,
    )
    from praison_persist.sql.named import SQLiteConversationStore as SQLiteConversationStore
    from praison_persist.sql.named import TursoConversationStore as TursoConversationStore
    from praison_persist.sql.stores import AsyncSQLConversationStore as AsyncSQLConversationStore
    from praison_persist.sql.stores import SQLConversationStore as SQLConversationStore
    from praison_persist.state.dynamodb import DynamoDBStateStore as DynamoDBStateStore
    from praison_persist.state.firestore import AsyncFirestoreStateStore as AsyncFirestoreStateStore
    from praison_persist.state.firestore import FirestoreStateStore as FirestoreStateStore
    from praison_persist.state.gcs import GCSStateStore as GCSStateStore
    from praison_persist.state.memory import MemoryStateStore as MemoryStateStore
    from praison_persist.state.mongodb import AsyncMongoDBStateStore as AsyncMongoDBStateStore
    from praison_persist.state.mongodb import MongoDBStateStore as MongoDBStateStore
    from praison_persist.state.redis import AsyncRedisStateStore as AsyncRedisStateStore
    from praison_persist.state.redis import RedisStateStore as RedisStateStore
    from praison_persist.state.sql import AsyncSQLStateStore as AsyncSQLStateStore
    from praison_persist.state.sql import SQLStateStore as SQLStateStore
    from praison_persist.state.upstash import AsyncUpstashStateStore as AsyncUpstashStateStore
    from praison_persist.state.upstash import UpstashStateStore as UpstashStateStore
    from praison_persist.state.valkey import AsyncValkeyStateStore as AsyncValkeyStateStore
    from praison_persist.state.valkey import ValkeyStateStore as ValkeyStateStore

_NAMES = {
    "_environment": ("ENV_VARS", "get_env_var"),
    "adapter": (
        "DB",
        "CockroachDB",
        "NeonDB",
        "PostgresDB",
        "PraisonAIDB",
        "PraisonDB",
        "SQLiteDB",
        "TursoDB",
        "XataDB",
        "db",
    ),
    "agent": ("Agent", "memory"),
    "available": ("list_available_backends",),
    "config": (
        "create_conversation_store",
        "create_knowledge_store",
        "create_state_store",
        "get_default_registry",
    ),
    "conversation.json_file": ("AsyncJSONConversationStore", "JSONConversationStore"),
    "configured_stores": ("create_stores_from_config",),
    "conversation.supabase": ("AsyncSupabaseConversationStore", "SupabaseConversationStore"),
    "conversation.surrealdb": ("AsyncSurrealDBConversationStore", "SurrealDBConversationStore"),
    "errors": (
        "BackendError",
        "ConfigurationError",
        "ConflictError",
        "InvalidDataError",
        "MissingDependencyError",
        "NotFoundError",
        "PersistError",
        "SchemaError",
        "UnavailableError",
        "UnknownBackendError",
        "UnsupportedError",
    ),
    "knowledge.cassandra": ("CassandraKnowledgeStore",),
    "knowledge.chroma": ("ChromaKnowledgeStore",),
    "knowledge.clickhouse": ("AsyncClickHouseKnowledgeStore", "ClickHouseKnowledgeStore"),
    "knowledge.cosmosdb": ("AsyncCosmosDBKnowledgeStore", "CosmosDBKnowledgeStore"),
    "knowledge.couchbase": ("CouchbaseKnowledgeStore",),
    "knowledge.lancedb": ("AsyncLanceDBKnowledgeStore", "LanceDBKnowledgeStore"),
    "knowledge.langchain": ("LangChainKnowledgeStore",),
    "knowledge.lightrag": ("LightRAGKnowledgeStore",),
    "knowledge.llamaindex": ("LlamaIndexKnowledgeStore",),
    "knowledge.milvus": ("AsyncMilvusKnowledgeStore", "MilvusKnowledgeStore"),
    "knowledge.mongodb_vector": ("AsyncMongoDBVectorKnowledgeStore", "MongoDBVectorKnowledgeStore"),
    "knowledge.pgvector": ("AsyncPGVectorKnowledgeStore", "PGVectorKnowledgeStore"),
    "knowledge.pinecone": ("AsyncPineconeKnowledgeStore", "PineconeKnowledgeStore"),
    "knowledge.qdrant": ("AsyncQdrantKnowledgeStore", "QdrantKnowledgeStore"),
    "knowledge.redis": ("AsyncRedisKnowledgeStore", "RedisKnowledgeStore"),
    "knowledge.singlestore_vector": ("SingleStoreVectorKnowledgeStore",),
    "knowledge.sql": ("AsyncSQLKnowledgeStore", "SQLKnowledgeStore"),
    "knowledge.surrealdb_vector": ("AsyncSurrealDBKnowledgeStore", "SurrealDBKnowledgeStore"),
    "knowledge.upstash_vector": ("AsyncUpstashVectorKnowledgeStore", "UpstashVectorKnowledgeStore"),
    "knowledge.valkey": ("AsyncValkeyKnowledgeStore", "ValkeyKnowledgeStore"),
    "knowledge.weaviate": ("AsyncWeaviateKnowledgeStore", "WeaviateKnowledgeStore"),
    "knowledge_protocols": ("AsyncKnowledgeStore", "KnowledgeCapability", "KnowledgeStore"),
    "lifecycle": ("History",),
    "models": (
        "ConversationMessage",
        "ConversationSession",
        "KnowledgeCollection",
        "KnowledgeDocument",
        "MessageHit",
        "MessagePage",
        "Run",
        "SessionPage",
        "Span",
        "ToolCall",
        "Trace",
    ),
    "orchestrator": ("PersistenceOrchestrator",),
    "outbox": ("Health",),
    "persistence_config": ("PersistenceConfig",),
    "persistent_agent": ("PersistentAgent", "wrap_agent_with_persistence"),
    "persistent_session": ("PersistentSession", "create_persistent_session"),
    "protocols": (
        "AsyncConversationStore",
        "AsyncRunStore",
        "AsyncStateStore",
        "Capability",
        "ConversationStore",
        "KeyPage",
        "RunStore",
        "StateCapability",
        "StateStore",
        "Versioned",
    ),
    "registry": ("PluginRegistry", "StoreRegistry"),
    "sessions.base": ("SessionStore",),
    "sessions.defaults": ("get_default_session_store", "get_hierarchical_session_store"),
    "sessions.encrypted": ("EncryptedSessionStore", "generate_session_key"),
    "sessions.files": ("DefaultSessionStore", "HierarchicalSessionStore"),
    "sessions.sql": ("SQLSessionStore",),
    "sql.named": (
        "AsyncCockroachDBConversationStore",
        "AsyncMySQLConversationStore",
        "AsyncPostgresConversationStore",
        "AsyncSQLiteConversationStore",
        "AsyncTursoConversationStore",
        "CockroachDBConversationStore",
        "MySQLConversationStore",
        "SingleStoreConversationStore",
        "PostgresConversationStore",
        "SQLiteConversationStore",
        "TursoConversationStore",
    ),
    "sql.stores": ("AsyncSQLConversationStore", "SQLConversationStore"),
    "state.dynamodb": ("DynamoDBStateStore",),
    "state.firestore": ("AsyncFirestoreStateStore", "FirestoreStateStore"),
    "state.gcs": ("GCSStateStore",),
    "state.memory": ("MemoryStateStore",),
    "state.mongodb": ("AsyncMongoDBStateStore", "MongoDBStateStore"),
    "state.redis": ("AsyncRedisStateStore", "RedisStateStore"),
    "state.sql": ("AsyncSQLStateStore", "SQLStateStore"),
    "state.upstash": ("AsyncUpstashStateStore", "UpstashStateStore"),
    "state.valkey": ("AsyncValkeyStateStore", "ValkeyStateStore"),
}
_HOMES = {name: f"praison_persist.{module}" for module, names in _NAMES.items() for name in names}

__all__ = [*sorted(_HOMES), "__version__"]  # noqa: PLE0604 # pyright: ignore[reportUnsupportedDunderAll] - all are strings

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    value = lazy_attribute(_HOMES, __name__, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return list(__all__)
