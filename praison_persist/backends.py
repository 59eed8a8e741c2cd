"""The built-in backends: data, no code."""

from __future__ import annotations

from praison_persist.registry import Backend, Tested

__all__ = ["CONVERSATION", "KNOWLEDGE", "STATE"]

_SQL = "praison_persist.sql.named"
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
