"""Who is measured: a row each, with the environment that it runs in and its engines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

__all__ = ["CONTENDERS", "ENGINES", "MARIADB", "POSTGRESQL", "REDIS", "SQLITE", "Entry"]

SQLITE, POSTGRESQL, MARIADB, REDIS = "sqlite", "postgresql", "mariadb", "redis"
ENGINES = SQLITE, POSTGRESQL, MARIADB
_BOTH = SQLITE, POSTGRESQL


@dataclass(frozen=True, slots=True)
class Entry:
    """A contender.

    Attributes:
        title: what tables and plots call it.
        target: "module:Class", below benchmarks.contenders.
        engines: that it can be measured on.
        environment: "ours", "peers" or "praisonai": whose packages it runs with.
        package: the distribution whose version is recorded; None for the standard library.
        options: given to the class.
    """

    title: str
    target: str
    engines: tuple[str, ...]
    environment: str = "ours"
    package: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


def _ours(title: str, cls: str, engines: tuple[str, ...] = ENGINES, **options: Any) -> Entry:
    return Entry(title, f"ours:{cls}", engines, "ours", "praison-persist", options)


def _peer(title: str, target: str, engines: tuple[str, ...], package: str, **options: Any) -> Entry:
    return Entry(title, target, engines, "peers", package, options)


def _praisonai(title: str, cls: str, engines: tuple[str, ...] = ENGINES, **options: Any) -> Entry:
    return Entry(title, f"praisonai:{cls}", engines, "praisonai", "praisonai", options)


_OPENAI = "openai-agents"

CONTENDERS: Final[dict[str, Entry]] = {
    # One INSERT into praisonai's tables: the least that any of them can do.
    "sqlite3": Entry("raw sqlite3, INSERT", "raw_sqlite:Insert", (SQLITE,)),
    "psycopg": Entry(
        "raw psycopg, INSERT", "raw_postgresql:Insert", (POSTGRESQL,), package="psycopg"
    ),
    "pymysql": Entry("raw PyMySQL, INSERT", "raw_mariadb:Insert", (MARIADB,), package="pymysql"),
    "mysqlclient": Entry(
        "raw mysqlclient, INSERT",
        "raw_mariadb:Insert",
        (MARIADB,),
        package="mysqlclient",
        options={"driver": "mysqlclient"},
    ),
    # The number in its session, the session's time and the message, in one transaction.
    "sqlite3-numbered": Entry("raw sqlite3, numbered", "raw_sqlite:Numbered", (SQLITE,)),
    "psycopg-numbered": Entry(
        "raw psycopg, numbered", "raw_postgresql:Numbered", (POSTGRESQL,), package="psycopg"
    ),
    "pymysql-numbered": Entry(
        "raw PyMySQL, numbered", "raw_mariadb:Numbered", (MARIADB,), package="pymysql"
    ),
    "sqlite3-pool": Entry(
        "raw sqlite3, 32 connections",
        "raw_sqlite:Numbered",
        (SQLITE,),
        options={"connections": 32},
    ),
    "psycopg-pool": Entry(
        "raw psycopg, 32 connections",
        "raw_postgresql:Numbered",
        (POSTGRESQL,),
        package="psycopg",
        options={"connections": 32},
    ),
    "pymysql-pool": Entry(
        "raw PyMySQL, 32 connections",
        "raw_mariadb:Numbered",
        (MARIADB,),
        package="pymysql",
        options={"connections": 32},
    ),
    "pgbench": Entry("pgbench, in C", "pgbench:PgBench", (POSTGRESQL,)),
    "asyncpg-pool": Entry(
        "raw asyncpg, 32 connections",
        "raw_postgresql:AsyncNumbered",
        (POSTGRESQL,),
        package="asyncpg",
        options={"connections": 32},
    ),
    "ours": _ours("praison_persist", "Ours"),
    "ours-async": _ours("praison_persist asyncio", "OursAsync"),
    "ours-normal": _ours(
        "praison_persist, synchronous=NORMAL", "Ours", (SQLITE,), synchronous="NORMAL"
    ),
    "ours-alone": _ours(
        "praison_persist asyncio, group_commit=False", "OursAsync", group_commit=False
    ),
    "ours-db": _ours("praison_persist db()", "OursDB"),
    "ours-batched": _ours("praison_persist, a turn a batch", "OursTurns"),
    "praisonai": _praisonai("praisonai", "Store"),
    "praisonai-sync": _praisonai("praisonai sync_sqlite", "Store", (SQLITE,), kind="sync"),
    "praisonai-async": _praisonai("praisonai asyncio", "AsyncStore"),
    "praisonai-db": _praisonai("praisonai PraisonAIDB", "Adapter", _BOTH),
    "openai": _peer("OpenAI Agents SQLiteSession", "openai_agents:Memory", (SQLITE,), _OPENAI),
    "openai-async": _peer(
        "OpenAI Agents AsyncSQLiteSession",
        "openai_agents:Memory",
        (SQLITE,),
        _OPENAI,
        kind="AsyncSQLiteSession",
    ),
    "openai-advanced": _peer(
        "OpenAI Agents AdvancedSQLiteSession",
        "openai_agents:Memory",
        (SQLITE,),
        _OPENAI,
        kind="AdvancedSQLiteSession",
    ),
    "openai-sqlalchemy": _peer(
        "OpenAI Agents SQLAlchemySession", "openai_agents:Database", _BOTH, _OPENAI
    ),
    "adk": _peer("Google ADK DatabaseSessionService", "google_adk:Events", ENGINES, "google-adk"),
    "adk-sqlite": _peer(
        "Google ADK SqliteSessionService",
        "google_adk:Events",
        (SQLITE,),
        "google-adk",
        kind="sqlite",
    ),
    "agno": _peer("agno", "agno_db:Runs", _BOTH, "agno"),
    "langgraph-sqlite": _peer(
        "LangGraph SqliteSaver",
        "langgraph_saver:Checkpoints",
        (SQLITE,),
        "langgraph-checkpoint-sqlite",
    ),
    "langgraph-postgres": _peer(
        "LangGraph PostgresSaver",
        "langgraph_saver:Checkpoints",
        (POSTGRESQL,),
        "langgraph-checkpoint-postgres",
    ),
    "langchain": _peer(
        "LangChain SQLChatMessageHistory",
        "langchain_history:History",
        ENGINES,
        "langchain-community",
    ),
    "llamaindex-sqlite": _peer(
        "LlamaIndex SQLiteChatStore",
        "llamaindex_store:ChatStore",
        (SQLITE,),
        "llama-index-storage-chat-store-sqlite",
    ),
    "llamaindex-postgres": _peer(
        "LlamaIndex PostgresChatStore",
        "llamaindex_store:ChatStore",
        (POSTGRESQL,),
        "llama-index-storage-chat-store-postgres",
    ),
    "redis-py": Entry("raw redis-py", "state:Redis", (REDIS,), package="redis"),
    "ours-state": Entry(
        "praison_persist", "state:Ours", (REDIS, *ENGINES), package="praison-persist"
    ),
    "numpy": Entry("raw NumPy, in memory", "vectors:Exact", _BOTH, package="numpy"),
    "ours-vectors": Entry("praison_persist", "vectors:Ours", _BOTH, package="praison-persist"),
    "praisonai-state": Entry(
        "praisonai", "praisonai_state:State", (REDIS,), "praisonai", "praisonai"
    ),
}
