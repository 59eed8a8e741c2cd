"""The store classes of praisonai whose constructor differs from ours: data, no code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["ANY", "ORIGINALS", "Original"]

ANY = object()  # every value of a parameter says what is so anyway


@dataclass(frozen=True, slots=True)
class Original:
    """A class of praisonai.

    Attributes:
        place: "module:attribute" of the class here.
        parameters: of its constructor, in the original's order. Empty: they are as here.
        renamed: the original's name of a parameter -> ours.
        without: parameters that mean nothing here -> the only value that may be given, or ANY.
        defaults: where the original's default names another place than ours.
        methods: "module:class" whose methods it has besides.
    """

    place: str
    parameters: tuple[str, ...] = ()
    renamed: Mapping[str, str] = field(default_factory=dict)
    without: Mapping[str, Any] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    methods: str = ""


_METHODS = "praison_persist.compat.methods"
_SQL = "praison_persist.sql.named"
_CONVERSATION = "praison_persist.conversation"
_KNOWLEDGE = "praison_persist.knowledge"
_STATE = "praison_persist.state"

_SERVER = ("url", "host", "port", "database", "user", "password")
_TABLES = ("table_prefix", "auto_create_tables")
_RETRY = ("max_retries", "retry_delay")
_EMBEDDING = {"embedding_dim": ANY}  # a collection has the dimension that it is created with

ORIGINALS: Mapping[str, Original] = {
    # Conversations.
    "PostgresConversationStore": Original(
        f"{_SQL}:PostgresConversationStore",
        (*_SERVER, "schema", *_TABLES, "pool_size", *_RETRY),
        methods=f"{_METHODS}:Postgres",
    ),
    "AsyncPostgresConversationStore": Original(
        f"{_SQL}:AsyncPostgresConversationStore",
        (*_SERVER, "table_prefix", "pool_size"),
        methods=f"{_METHODS}:AsyncSQL",
    ),
    "MySQLConversationStore": Original(
        f"{_SQL}:MySQLConversationStore",
        (*_SERVER, *_TABLES, "pool_size"),
        methods=f"{_METHODS}:SQL",
    ),
    "AsyncMySQLConversationStore": Original(
        f"{_SQL}:AsyncMySQLConversationStore",
        (*_SERVER, "table_prefix", "pool_size"),
        methods=f"{_METHODS}:AsyncSQL",
    ),
    "SingleStoreConversationStore": Original(
        f"{_SQL}:SingleStoreConversationStore",
        (*_SERVER, *_TABLES),
        methods=f"{_METHODS}:SQL",
    ),
    "SQLiteConversationStore": Original(
        f"{_SQL}:SQLiteConversationStore",
        ("path", *_TABLES, "check_same_thread"),
        without={"check_same_thread": ANY},  # threads may share the store
        methods=f"{_METHODS}:SQL",
    ),
    "SyncSQLiteConversationStore": Original(
        f"{_SQL}:SyncSQLiteConversationStore",
        ("path", "table_prefix"),
        methods=f"{_METHODS}:SyncSQLite",
    ),
    "AsyncSQLiteConversationStore": Original(
        f"{_SQL}:AsyncSQLiteConversationStore",
        ("path", "table_prefix"),
        methods=f"{_METHODS}:AsyncSQL",
    ),
    "TursoConversationStore": Original(
        f"{_SQL}:TursoConversationStore",
        ("url", "auth_token", "local_path", *_TABLES, "sync_on_write"),
        methods=f"{_METHODS}:SQL",
    ),
    "JSONConversationStore": Original(f"{_CONVERSATION}.json_file:JSONConversationStore"),
    "SupabaseConversationStore": Original(
        f"{_CONVERSATION}.supabase:SupabaseConversationStore",
        ("url", "key", *_TABLES, *_RETRY),
        without={"auto_create_tables": False},  # its API cannot
        methods=f"{_METHODS}:WithSchema",
    ),
    "SurrealDBConversationStore": Original(
        f"{_CONVERSATION}.surrealdb:SurrealDBConversationStore",
        ("url", "namespace", "database", "username", "password", *_TABLES),
        defaults={"database": "conversations"},
        methods=f"{_METHODS}:WithSchema",
    ),
    # Knowledge.
    "CosmosDBVectorKnowledgeStore": Original(
        f"{_KNOWLEDGE}.cosmosdb:CosmosDBKnowledgeStore",
        (
            *("connection_string", "database", "collection", "index_name", "embedding_field"),
            *("text_field", "embedding_dim", "api_mode"),
        ),
        without={
            "index_name": "vector_index",
            "embedding_field": "embedding",
            "text_field": "content",
            **_EMBEDDING,
        },
    ),
    "CouchbaseKnowledgeStore": Original(
        f"{_KNOWLEDGE}.couchbase:CouchbaseKnowledgeStore",
        (
            *("connection_string", "username", "password", "bucket_name", "scope_name"),
            *("collection_name", "index_name", "vector_field", "text_field", "embedding_dim"),
        ),
        renamed={"bucket_name": "bucket", "scope_name": "scope"},
        without={
            "collection_name": "vectors",
            "index_name": "vector_index",
            "vector_field": "embedding",
            "text_field": "content",
            **_EMBEDDING,
        },
        defaults={
            "connection_string": "couchbase://localhost",
            "username": "Administrator",
            "password": "",
            "bucket": "praisonai",
        },
    ),
    "LlamaIndexKnowledgeStore": Original(
        f"{_KNOWLEDGE}.llamaindex:LlamaIndexKnowledgeStore",
        ("vector_store", "vector_store_cls", "vector_store_kwargs"),
        renamed={
            "vector_store": "vectorstore",
            "vector_store_cls": "vectorstore_cls",
            "vector_store_kwargs": "vectorstore_kwargs",
        },
        methods=f"{_METHODS}:NamedClass",
    ),
    "LangChainKnowledgeStore": Original(
        f"{_KNOWLEDGE}.langchain:LangChainKnowledgeStore",
        ("vectorstore", "vectorstore_cls", "vectorstore_kwargs"),
        methods=f"{_METHODS}:NamedClass",
    ),
    "SingleStoreVectorKnowledgeStore": Original(
        f"{_KNOWLEDGE}.singlestore_vector:SingleStoreVectorKnowledgeStore",
        (*_SERVER, "table_prefix", "embedding_dim"),
        without=_EMBEDDING,
        methods=f"{_METHODS}:SingleStoreVector",
    ),
    "SurrealDBVectorKnowledgeStore": Original(
        f"{_KNOWLEDGE}.surrealdb_vector:SurrealDBKnowledgeStore",
        ("url", "namespace", "database", "username", "password", "embedding_dim"),
        without=_EMBEDDING,
        defaults={"database": "vectors"},
    ),
    "ValkeyVectorKnowledgeStore": Original(
        f"{_KNOWLEDGE}.valkey:ValkeyKnowledgeStore", ("host", "port", "password", "prefix")
    ),
    "RedisVectorKnowledgeStore": Original(f"{_KNOWLEDGE}.redis:RedisKnowledgeStore"),
    "CassandraKnowledgeStore": Original(f"{_KNOWLEDGE}.cassandra:CassandraKnowledgeStore"),
    "ChromaKnowledgeStore": Original(f"{_KNOWLEDGE}.chroma:ChromaKnowledgeStore"),
    "ClickHouseKnowledgeStore": Original(
        f"{_KNOWLEDGE}.clickhouse:ClickHouseKnowledgeStore",
        ("host", "port", "username", "password", "database", "secure"),
        defaults={"database": "praisonai"},
    ),
    "LanceDBKnowledgeStore": Original(f"{_KNOWLEDGE}.lancedb:LanceDBKnowledgeStore"),
    "LightRAGKnowledgeStore": Original(
        f"{_KNOWLEDGE}.lightrag:LightRAGKnowledgeStore",
        ("working_dir", "llm_model", "embedding_model"),
        defaults={"working_dir": "./lightrag_data"},
    ),
    "MilvusKnowledgeStore": Original(f"{_KNOWLEDGE}.milvus:MilvusKnowledgeStore"),
    "MongoDBVectorKnowledgeStore": Original(
        f"{_KNOWLEDGE}.mongodb_vector:MongoDBVectorKnowledgeStore"
    ),
    "PGVectorKnowledgeStore": Original(f"{_KNOWLEDGE}.pgvector:PGVectorKnowledgeStore"),
    "PineconeKnowledgeStore": Original(f"{_KNOWLEDGE}.pinecone:PineconeKnowledgeStore"),
    "QdrantKnowledgeStore": Original(f"{_KNOWLEDGE}.qdrant:QdrantKnowledgeStore"),
    "UpstashVectorKnowledgeStore": Original(
        f"{_KNOWLEDGE}.upstash_vector:UpstashVectorKnowledgeStore"
    ),
    "WeaviateKnowledgeStore": Original(f"{_KNOWLEDGE}.weaviate:WeaviateKnowledgeStore"),
    # State.
    "AsyncMongoDBStateStore": Original(
        f"{_STATE}.mongodb:AsyncMongoDBStateStore",
        ("url", "database", "collection"),
        methods=f"{_METHODS}:AsyncKeys",
    ),
    "DynamoDBStateStore": Original(f"{_STATE}.dynamodb:DynamoDBStateStore"),
    "FirestoreStateStore": Original(f"{_STATE}.firestore:FirestoreStateStore"),
    "GCSStateStore": Original(
        f"{_STATE}.gcs:GCSStateStore",
        ("bucket_name", "prefix", "project", "credentials_path"),
        defaults={"prefix": "praisonai_state/"},
        methods=f"{_METHODS}:Keys",
    ),
    "MemoryStateStore": Original(f"{_STATE}.memory:MemoryStateStore"),
    "MongoDBStateStore": Original(f"{_STATE}.mongodb:MongoDBStateStore"),
    "RedisStateStore": Original(
        f"{_STATE}.redis:RedisStateStore",
        (
            *("url", "host", "port", "db", "password", "prefix"),
            *("decode_responses", "socket_timeout", "max_connections"),
        ),
        without={"decode_responses": ANY},  # values come back as they went in
    ),
    "UpstashStateStore": Original(f"{_STATE}.upstash:UpstashStateStore"),
    "ValkeyStateStore": Original(
        f"{_STATE}.valkey:ValkeyStateStore", ("host", "port", "password", "prefix", "db")
    ),
}
