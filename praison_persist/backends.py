"""The built-in backends: data, no code."""

from __future__ import annotations

from praison_persist.registry import Backend, Tested

__all__ = ["CONVERSATION", "KNOWLEDGE", "STATE"]

_SQL = "praison_persist.sql.named"
_CONVERSATION = "praison_persist.conversation"
_STATE = "praison_persist.state"
_KNOWLEDGE = "praison_persist.knowledge"

CONVERSATION = (
    Backend(
        "postgres",
        f"{_SQL}:PostgresConversationStore",
        aliases=("neon", "xata"),
        extra="postgres",
        title="PostgreSQL",
        tested=Tested(
            "engine",
            "PostgreSQL 15, and with a standby; psycopg 3.3, asyncpg 0.32; PgBouncer 1.18 by hand",
            "Neon, Xata, Supabase, Aiven",
        ),
    ),
    Backend(
        "async_postgres",
        f"{_SQL}:AsyncPostgresConversationStore",
        aliases=("asyncpg", "postgres_async"),
        extra="postgres",
    ),
    Backend(
        "cockroachdb",
        f"{_SQL}:CockroachDBConversationStore",
        aliases=("cockroach", "crdb"),
        extra="postgres",
        title="CockroachDB",
        tested=Tested(
            "shim", "PostgreSQL 15 made to differ as CockroachDB does", "CockroachDB itself"
        ),
    ),
    Backend("async_cockroachdb", f"{_SQL}:AsyncCockroachDBConversationStore", extra="postgres"),
    Backend(
        "mysql",
        f"{_SQL}:MySQLConversationStore",
        aliases=("mariadb",),
        extra="mysql",
        title="MariaDB, MySQL",
        tested=Tested(
            "engine",
            "MariaDB 10.11, and as a Galera cluster; PyMySQL 1.2, aiomysql 0.3, asyncmy 0.2; "
            "mysqlclient 2.3 by hand",
            "MySQL: what it would be sent is compared with what MariaDB is sent; PlanetScale",
        ),
    ),
    Backend(
        "async_mysql",
        f"{_SQL}:AsyncMySQLConversationStore",
        aliases=("aiomysql", "mysql_async"),
        extra="mysql",
    ),
    Backend(
        "singlestore",
        f"{_SQL}:SingleStoreConversationStore",
        extra="singlestore",
        title="SingleStore",
        tested=Tested("shim", "MariaDB 10.11; singlestoredb 1.18", "SingleStore itself"),
    ),
    Backend(
        "sqlite",
        f"{_SQL}:SQLiteConversationStore",
        title="SQLite",
        tested=Tested("engine", "SQLite 3.40; sqlite3 of Python 3.11, aiosqlite 0.22"),
    ),
    Backend("sync_sqlite", f"{_SQL}:SyncSQLiteConversationStore", aliases=("sqlite_sync",)),
    Backend(
        "async_sqlite",
        f"{_SQL}:AsyncSQLiteConversationStore",
        aliases=("aiosqlite", "sqlite_async"),
    ),
    Backend(
        "turso",
        f"{_SQL}:TursoConversationStore",
        aliases=("libsql",),
        extra="turso",
        title="Turso, libSQL",
        tested=Tested(
            "engine",
            "sqld 0.24; libsql-experimental 0.0.55 for embedded replicas",
            "Turso's service; sqld limits a row to 5 MiB",
        ),
    ),
    Backend("async_turso", f"{_SQL}:AsyncTursoConversationStore", extra="turso"),
    Backend(
        "json",
        f"{_CONVERSATION}.json_file:JSONConversationStore",
        title="JSON files",
        tested=Tested(
            "engine",
            "ext4 of Linux; filelock 3.32; folders written by praisonai 4.7",
            "network file systems, macOS, Windows",
        ),
    ),
    Backend("async_json", f"{_CONVERSATION}.json_file:AsyncJSONConversationStore"),
    Backend(
        "supabase",
        f"{_CONVERSATION}.supabase:SupabaseConversationStore",
        extra="supabase",
        title="Supabase's REST API",
        tested=Tested(
            "engine",
            "PostgREST 12.0 over PostgreSQL 15, behind a gateway of the tests; httpx 0.28",
            "Supabase's own gateway and service",
        ),
    ),
    Backend(
        "async_supabase",
        f"{_CONVERSATION}.supabase:AsyncSupabaseConversationStore",
        extra="supabase",
    ),
    Backend(
        "surrealdb",
        f"{_CONVERSATION}.surrealdb:SurrealDBConversationStore",
        extra="surrealdb",
        title="SurrealDB",
        tested=Tested(
            "engine",
            "surrealdb 2.0 (SurrealDB 2.3): in a folder, and behind ws and http, one request "
            "at a time",
            "a SurrealDB server, which runs transactions at once; its users and clusters",
        ),
    ),
    Backend(
        "async_surrealdb",
        f"{_CONVERSATION}.surrealdb:AsyncSurrealDBConversationStore",
        extra="surrealdb",
    ),
)
KNOWLEDGE = (
    Backend(
        "sql",
        f"{_KNOWLEDGE}.sql:SQLKnowledgeStore",
        aliases=(
            *("sqlite", "postgres", "postgresql", "mysql", "mariadb"),
            *("cockroachdb", "cockroach", "crdb", "singlestoredb", "libsql", "turso"),
        ),
        title="SQL",
        tested=Tested(
            "engine",
            "SQLite 3.40, PostgreSQL 15, MariaDB 10.11, sqld 0.24; shims of the other two",
            "CockroachDB and SingleStore themselves",
        ),
    ),
    Backend("async_sql", f"{_KNOWLEDGE}.sql:AsyncSQLKnowledgeStore"),
    Backend(
        "chroma",
        f"{_KNOWLEDGE}.chroma:ChromaKnowledgeStore",
        aliases=("chromadb",),
        extra="chroma",
        from_url=f"{_KNOWLEDGE}.by_url:chroma",
        title="Chroma",
        tested=Tested(
            "engine", "chromadb 1.5: in memory, in a folder, `chroma run`", "Chroma Cloud"
        ),
    ),
    Backend(
        "qdrant",
        f"{_KNOWLEDGE}.qdrant:QdrantKnowledgeStore",
        extra="qdrant",
        title="Qdrant",
        tested=Tested(
            "fake",
            "qdrant-client 1.20: its own local mode, and its REST API over that",
            "a Qdrant server, gRPC, Qdrant Cloud",
        ),
    ),
    Backend(
        "async_qdrant",
        f"{_KNOWLEDGE}.qdrant:AsyncQdrantKnowledgeStore",
        extra="qdrant",
    ),
    Backend(
        "pinecone",
        f"{_KNOWLEDGE}.pinecone:PineconeKnowledgeStore",
        extra="pinecone",
        from_url=f"{_KNOWLEDGE}.by_url:pinecone",
        title="Pinecone",
        tested=Tested("fake", "its API of 2026-07; pinecone 10.2", "Pinecone itself"),
    ),
    Backend(
        "async_pinecone",
        f"{_KNOWLEDGE}.pinecone:AsyncPineconeKnowledgeStore",
        extra="pinecone",
        from_url=f"{_KNOWLEDGE}.by_url:pinecone",
    ),
    Backend(
        "weaviate",
        f"{_KNOWLEDGE}.weaviate:WeaviateKnowledgeStore",
        aliases=("weaviates",),
        extra="weaviate",
        from_url=f"{_KNOWLEDGE}.by_url:weaviate",
        title="Weaviate",
        tested=Tested("fake", "its REST and gRPC; weaviate-client 4.23", "Weaviate itself"),
    ),
    Backend(
        "async_weaviate",
        f"{_KNOWLEDGE}.weaviate:AsyncWeaviateKnowledgeStore",
        extra="weaviate",
        from_url=f"{_KNOWLEDGE}.by_url:weaviate",
    ),
    Backend(
        "lancedb",
        f"{_KNOWLEDGE}.lancedb:LanceDBKnowledgeStore",
        extra="lancedb",
        from_url=f"{_KNOWLEDGE}.by_url:lancedb",
        title="LanceDB",
        tested=Tested("engine", "lancedb 0.40 in a folder", "object stores, LanceDB Cloud"),
    ),
    Backend(
        "async_lancedb",
        f"{_KNOWLEDGE}.lancedb:AsyncLanceDBKnowledgeStore",
        extra="lancedb",
        from_url=f"{_KNOWLEDGE}.by_url:lancedb",
    ),
    Backend(
        "milvus",
        f"{_KNOWLEDGE}.milvus:MilvusKnowledgeStore",
        aliases=("milvuss",),
        extra="milvus",
        from_url=f"{_KNOWLEDGE}.by_url:milvus",
        title="Milvus",
        tested=Tested("emulator", "Milvus Lite 3.2; pymilvus 3.0", "a Milvus server, Zilliz Cloud"),
    ),
    Backend(
        "async_milvus",
        f"{_KNOWLEDGE}.milvus:AsyncMilvusKnowledgeStore",
        extra="milvus",
        from_url=f"{_KNOWLEDGE}.by_url:milvus",
    ),
    Backend(
        "pgvector",
        f"{_KNOWLEDGE}.pgvector:PGVectorKnowledgeStore",
        extra="pgvector",
        title="pgvector",
        tested=Tested("engine", "PostgreSQL 18 with pgvector 0.8; psycopg 3.3, asyncpg 0.32"),
    ),
    Backend(
        "async_pgvector",
        f"{_KNOWLEDGE}.pgvector:AsyncPGVectorKnowledgeStore",
        extra="pgvector",
    ),
    Backend(
        "redis",
        f"{_KNOWLEDGE}.redis:RedisKnowledgeStore",
        aliases=("rediss",),
        extra="redis",
        title="Redis",
        tested=Tested(
            "shim",
            "the commands of RediSearch over Redis 7.0; redis-py 8.1, RESP2 and 3",
            "RediSearch itself",
        ),
    ),
    Backend(
        "async_redis",
        f"{_KNOWLEDGE}.redis:AsyncRedisKnowledgeStore",
        extra="redis",
    ),
    Backend(
        "valkey",
        f"{_KNOWLEDGE}.valkey:ValkeyKnowledgeStore",
        aliases=("valkeys",),
        extra="valkey",
        title="Valkey",
        tested=Tested("shim", "as Redis", "Valkey, valkey-search"),
    ),
    Backend(
        "async_valkey",
        f"{_KNOWLEDGE}.valkey:AsyncValkeyKnowledgeStore",
        extra="valkey",
    ),
    Backend(
        "cassandra",
        f"{_KNOWLEDGE}.cassandra:CassandraKnowledgeStore",
        extra="cassandra",
        from_url=f"{_KNOWLEDGE}.by_url:cassandra",
        title="Cassandra",
        tested=Tested(
            "fake", "its native protocol; cassandra-driver 3.30", "Cassandra itself, Astra DB"
        ),
    ),
    Backend(
        "clickhouse",
        f"{_KNOWLEDGE}.clickhouse:ClickHouseKnowledgeStore",
        aliases=("clickhouses",),
        extra="clickhouse",
        from_url=f"{_KNOWLEDGE}.by_url:clickhouse",
        title="ClickHouse",
        tested=Tested(
            "engine",
            "chdb 26.9 behind HTTP; clickhouse-connect 1.12",
            "a ClickHouse server, its clusters and cloud",
        ),
    ),
    Backend(
        "async_clickhouse",
        f"{_KNOWLEDGE}.clickhouse:AsyncClickHouseKnowledgeStore",
        extra="clickhouse",
        from_url=f"{_KNOWLEDGE}.by_url:clickhouse",
    ),
    Backend(
        "mongodb_vector",
        f"{_KNOWLEDGE}.mongodb_vector:MongoDBVectorKnowledgeStore",
        aliases=("mongodb_atlas", "mongo_vector", "mongodb"),
        extra="mongodb",
        title="MongoDB Vector Search",
        tested=Tested("shim", "`$vectorSearch` over mongod 6.0; PyMongo 4.20", "Atlas"),
    ),
    Backend(
        "async_mongodb_vector",
        f"{_KNOWLEDGE}.mongodb_vector:AsyncMongoDBVectorKnowledgeStore",
        extra="mongodb",
    ),
    Backend(
        "couchbase",
        f"{_KNOWLEDGE}.couchbase:CouchbaseKnowledgeStore",
        aliases=("couchbases",),
        extra="couchbase",
        from_url=f"{_KNOWLEDGE}.by_url:couchbase",
        title="Couchbase",
        tested=Tested(
            "fake", "its key-value and query services; couchbase 4.6", "Couchbase itself"
        ),
    ),
    Backend(
        "singlestore_vector",
        f"{_KNOWLEDGE}.singlestore_vector:SingleStoreVectorKnowledgeStore",
        aliases=("singlestore_v",),
        extra="singlestore",
        title="SingleStore Vector",
        tested=Tested("shim", "MariaDB 10.11; singlestoredb 1.18", "SingleStore itself"),
    ),
    Backend(
        "surrealdb_vector",
        f"{_KNOWLEDGE}.surrealdb_vector:SurrealDBKnowledgeStore",
        aliases=("surrealdb_v", "surrealdb", "surrealkv"),
        extra="surrealdb",
        title="SurrealDB",
        tested=Tested(
            "engine",
            "surrealdb 2.0: in a folder, and behind ws and http",
            "a SurrealDB server, its users and clusters",
        ),
    ),
    Backend(
        "async_surrealdb_vector",
        f"{_KNOWLEDGE}.surrealdb_vector:AsyncSurrealDBKnowledgeStore",
        extra="surrealdb",
    ),
    Backend(
        "upstash_vector",
        f"{_KNOWLEDGE}.upstash_vector:UpstashVectorKnowledgeStore",
        aliases=("upstash_v", "upstash"),
        extra="upstash-vector",
        from_url=f"{_KNOWLEDGE}.by_url:upstash_vector",
        title="Upstash Vector",
        tested=Tested("fake", "its REST API; upstash-vector 0.8", "Upstash itself"),
    ),
    Backend(
        "async_upstash_vector",
        f"{_KNOWLEDGE}.upstash_vector:AsyncUpstashVectorKnowledgeStore",
        extra="upstash-vector",
        from_url=f"{_KNOWLEDGE}.by_url:upstash_vector",
    ),
    Backend(
        "cosmosdb",
        f"{_KNOWLEDGE}.cosmosdb:CosmosDBKnowledgeStore",
        aliases=("cosmos", "azure_cosmos", "cosmosdb_vector"),
        extra="cosmosdb",
        from_url=f"{_KNOWLEDGE}.by_url:cosmosdb",
        title="Azure Cosmos DB",
        tested=Tested("fake", "its REST API for NoSQL; azure-cosmos 4.17", "Azure itself"),
    ),
    Backend(
        "async_cosmosdb",
        f"{_KNOWLEDGE}.cosmosdb:AsyncCosmosDBKnowledgeStore",
        extra="cosmosdb",
        from_url=f"{_KNOWLEDGE}.by_url:cosmosdb",
    ),
    Backend(
        "lightrag",
        f"{_KNOWLEDGE}.lightrag:LightRAGKnowledgeStore",
        extra="lightrag",
        from_url=f"{_KNOWLEDGE}.by_url:lightrag",
        title="LightRAG",
        tested=Tested("engine", "lightrag-hku 1.5, its vector storage", "its graph"),
    ),
    Backend(
        "langchain",
        f"{_KNOWLEDGE}.langchain:LangChainKnowledgeStore",
        aliases=("langchain_adapter",),
        extra="langchain",
        from_url=f"{_KNOWLEDGE}.by_url:none",
        title="LangChain",
        tested=Tested("engine", "InMemoryVectorStore of langchain-core 1.7", "other vector stores"),
    ),
    Backend(
        "llamaindex",
        f"{_KNOWLEDGE}.llamaindex:LlamaIndexKnowledgeStore",
        aliases=("llama_index", "llamaindex_adapter"),
        extra="llamaindex",
        from_url=f"{_KNOWLEDGE}.by_url:none",
        title="LlamaIndex",
        tested=Tested(
            "engine", "SimpleVectorStore of llama-index-core 0.14", "other vector stores"
        ),
    ),
)
STATE = (
    Backend(
        "memory",
        f"{_STATE}.memory:MemoryStateStore",
        title="Memory, or a JSON file",
        tested=Tested("engine", "one process; the file from several"),
    ),
    Backend(
        "sql",
        f"{_STATE}.sql:SQLStateStore",
        aliases=(
            *("sqlite", "postgres", "postgresql", "mysql", "mariadb"),
            *("cockroachdb", "cockroach", "crdb", "singlestoredb", "libsql", "turso"),
        ),
        title="SQL",
        tested=Tested(
            "engine",
            "SQLite 3.40, PostgreSQL 15, MariaDB 10.11, sqld 0.24; shims of the other two",
            "CockroachDB and SingleStore themselves",
        ),
    ),
    Backend("async_sql", f"{_STATE}.sql:AsyncSQLStateStore"),
    Backend(
        "redis",
        f"{_STATE}.redis:RedisStateStore",
        aliases=("rediss",),
        extra="redis",
        title="Redis",
        tested=Tested("engine", "Redis 7.0, three sentinels, a cluster of six"),
    ),
    Backend("async_redis", f"{_STATE}.redis:AsyncRedisStateStore", extra="redis"),
    Backend(
        "valkey",
        f"{_STATE}.valkey:ValkeyStateStore",
        aliases=("valkeys",),
        extra="valkey",
        title="Valkey",
        tested=Tested("emulator", "Redis 7.0", "Valkey itself"),
    ),
    Backend("async_valkey", f"{_STATE}.valkey:AsyncValkeyStateStore", extra="valkey"),
    Backend(
        "upstash",
        f"{_STATE}.upstash:UpstashStateStore",
        extra="upstash",
        title="Upstash Redis",
        tested=Tested("fake", "its REST API over Redis 7.0", "Upstash itself"),
    ),
    Backend("async_upstash", f"{_STATE}.upstash:AsyncUpstashStateStore", extra="upstash"),
    Backend(
        "mongodb",
        f"{_STATE}.mongodb:MongoDBStateStore",
        aliases=("mongo",),
        extra="mongodb",
        title="MongoDB",
        tested=Tested("engine", "mongod 6.0, a replica set of one", "Atlas, sharded clusters"),
    ),
    Backend(
        "async_mongodb",
        f"{_STATE}.mongodb:AsyncMongoDBStateStore",
        aliases=("motor", "mongodb_async"),
        extra="mongodb",
    ),
    Backend(
        "dynamodb",
        f"{_STATE}.dynamodb:DynamoDBStateStore",
        extra="dynamodb",
        title="DynamoDB",
        tested=Tested("emulator", "moto 5.2", "AWS itself, its throttling"),
    ),
    Backend(
        "firestore",
        f"{_STATE}.firestore:FirestoreStateStore",
        extra="firestore",
        title="Firestore",
        tested=Tested("emulator", "@firestore-emulator/server 0.3", "Google's service"),
    ),
    Backend("async_firestore", f"{_STATE}.firestore:AsyncFirestoreStateStore", extra="firestore"),
    Backend(
        "gcs",
        f"{_STATE}.gcs:GCSStateStore",
        aliases=("gs",),
        extra="gcs",
        title="Google Cloud Storage",
        tested=Tested("fake", "its JSON API, generations checked", "Google's service"),
    ),
)
