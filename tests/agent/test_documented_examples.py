"""The examples of the documentation run as they are written, with another import line.

Nothing else is changed but the addresses of databases.
"""

from __future__ import annotations

import asyncio
import re
import textwrap
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from local_llm import LocalLLM

import praison_persist
from praison_persist import PraisonAIDB
from praison_persist.config import CONVERSATION_STORES, KNOWLEDGE_STORES, STATE_STORES
from tests.state.services import OwnRedis, own_redis

from .stored import said

IMPORTS = {
    "from praisonaiagents import": "from praison_persist import",
    "from praisonai.persistence.conversation import": "from praison_persist import",
    "from praisonai.persistence.registry import": "from praison_persist.config import",
    "from praisonai._registry import": "from praison_persist import",
}
ADDRESSES = (
    "postgresql://user:pass@localhost/db",
    "postgresql://user:pass@localhost/mydb",
    "postgresql://user:pass@host/db",
    "postgresql://localhost/conversations",
)

Run = Callable[..., dict[str, Any]]


@pytest.fixture
def run(llm: LocalLLM, postgres_database: str) -> Run:
    """Executes an example with its imports and addresses changed; returns its names."""

    def run_(example: str, *, unfinished: str = "", **names: Any) -> dict[str, Any]:
        code = textwrap.dedent(example)
        for ours, theirs in IMPORTS.items():
            code = code.replace(ours, theirs)
        for address in ADDRESSES:
            code = code.replace(address, postgres_database)
        code = code.replace("    # ... implement other required methods\n", unfinished)
        exec(compile(code, "example", "exec", dont_inherit=True), names)
        return names

    return run_


@pytest.fixture
def session_id() -> str:
    return uuid.uuid4().hex


def test_simple_sqlite_setup(run: Run, tmp_path: Path) -> None:
    run(
        """
        from praisonaiagents import Agent, db

        agent = Agent(
            name="Assistant",
            instructions="You are a helpful assistant.",
            db=db(database_url="sqlite:///conversations.db"),
            session_id="my-session"
        )

        agent.chat("Hello!")  # Automatically persisted
        """
    )["agent"].db.close()
    with praison_persist.db(tmp_path / "conversations.db") as db:
        assert said(db, "my-session") == ["user: Hello!", "assistant: You said: Hello!"]


def test_production_postgresql(run: Run, postgres_database: str) -> None:
    names = run(
        """
        from praisonaiagents import Agent, db

        agent = Agent(
            name="Assistant", 
            instructions="You are a helpful assistant.",
            db=db(database_url="postgresql://user:pass@localhost/mydb"),
            session_id="production-session"
        )

        response = agent.chat("Remember my preferences")
        # Conversation automatically saved to PostgreSQL
        """  # noqa: W291 - as it is written there
    )
    names["agent"].db.close()
    assert names["response"] == "You said: Remember my preferences"
    with praison_persist.db(postgres_database) as db:
        assert len(said(db, "production-session")) == 2


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[OwnRedis]:
    """A server of the test's own: the example names no prefix for its keys."""
    with own_redis(tmp_path / "redis") as server:
        yield server


def test_multi_backend_setup(run: Run, redis_server: OwnRedis) -> None:
    agent = run(
        """
        from praisonaiagents import Agent, db

        # SQL for conversations, Redis for state
        agent = Agent(
            name="Assistant",
            db=db(
                database_url="postgresql://localhost/conversations",
                state_url="redis://localhost:6379"
            ),
            session_id="hybrid-session"
        )
        """.replace("redis://localhost:6379", redis_server.url)
    )["agent"]
    assert agent.chat("Hello") == "You said: Hello"
    with redis.Redis.from_url(redis_server.url) as client:
        assert client.exists("praison:runs:hybrid-session")
    agent.db.close()


def test_session_resume_workflow(run: Run, sqlite_url: str) -> None:
    with praison_persist.db(sqlite_url) as db_instance:
        names = run(
            """
            from praisonaiagents import Agent, db

            # Initial session
            agent = Agent(name="Assistant", db=db_instance, session_id="user-123")
            agent.chat("My name is Alice")

            # Later session - automatically resumes
            agent2 = Agent(name="Assistant", db=db_instance, session_id="user-123") 
            answer = agent2.chat("What's my name?")  # Knows it's Alice
            """,  # noqa: W291 - as it is written there
            db_instance=db_instance,
        )
    assert names["answer"] == "Your name is Alice."


def test_production_configuration(
    run: Run, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", sqlite_url)
    monkeypatch.delenv("REDIS_URL", raising=False)
    agent = run(
        """
        import os
        from praisonaiagents import Agent, db

        # Environment-based configuration
        agent = Agent(
            name="ProdAssistant",
            db=db(
                database_url=os.getenv("DATABASE_URL"),
                state_url=os.getenv("REDIS_URL")
            ),
            session_id=f"user-{user_id}"
        )
        """,
        user_id=7,
    )["agent"]
    agent.chat("Hello")
    assert len(said(agent.db, "user-7")) == 2
    agent.db.close()


def test_built_in_async_store(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    run(
        """
        from praisonaiagents import Agent
        from praisonai.persistence.conversation import AsyncPostgresConversationStore

        async def main():
            async with AsyncPostgresConversationStore(
                url="postgresql://user:pass@localhost/db"
            ) as store:
                agent = Agent(
                    name="Assistant",
                    instructions="Help users with their tasks",
                    conversation_store=store
                )
        
                result = await agent.start("Hello, how are you?")
                print(result)

        # Run the async agent
        import asyncio
        asyncio.run(main())
        """  # noqa: W293 - as it is written there
    )
    assert "You said: Hello, how are you?" in capsys.readouterr().out


REQUIRED = """\
    async def update_session(self, session, *, expected_version=None):
        return session

    async def delete_session(self, session_id):
        return False

    async def list_sessions(self, user_id=None, agent_id=None, limit=100, offset=0):
        return []

    async def get_messages(self, session_id, limit=None, before=None, after=None):
        return []

    async def delete_messages(self, session_id, message_ids=None):
        return 0
"""


def test_custom_async_store(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    agent = run(
        """
        from praisonai.persistence.conversation import AsyncConversationStore, ConversationSession, ConversationMessage
        from praisonaiagents import Agent
        from typing import List, Optional

        class CustomAsyncStore(AsyncConversationStore):
            async def create_session(self, session: ConversationSession) -> ConversationSession:
                # Your async implementation
                return session
    
            async def get_session(self, session_id: str) -> Optional[ConversationSession]:
                # Your async implementation
                return None
    
            async def add_message(self, session_id: str, message: ConversationMessage) -> ConversationMessage:
                # Your async implementation
                return message
    
            # ... implement other required methods
    
            async def close(self) -> None:
                # Clean up async resources
                pass

        # Use your custom store
        store = CustomAsyncStore()
        agent = Agent(name="Assistant", conversation_store=store)
        """,  # noqa: E501, W293 - as it is written there
        unfinished=REQUIRED,
    )["agent"]
    assert agent.chat("Hello") == "You said: Hello"
    assert agent.db.health().ok


def test_context_manager_usage(run: Run) -> None:
    names = run(
        """
        from praisonai.persistence.conversation import AsyncPostgresConversationStore
        from praisonai.persistence.conversation import ConversationMessage, ConversationSession

        async def main():
            async with AsyncPostgresConversationStore(
                url="postgresql://user:pass@host/db"
            ) as store:
                session = ConversationSession(session_id="session_123", user_id="user_123")
                updated_session = await store.upsert_session(session)  # Creates or updates
                session = await store.get_session("session_123")
                if session:
                    message = ConversationMessage(
                        session_id="session_123",
                        role="user",
                        content="Hello"
                    )
                    await store.add_message("session_123", message)
                return updated_session, await store.get_messages("session_123")
        """
    )
    session, messages = asyncio.run(names["main"]())
    assert session.user_id == "user_123"
    assert [message.content for message in messages] == ["Hello"]


def test_async_context_manager_of_the_adapter(run: Run, tmp_path: Path) -> None:
    names = run(
        """
        from praisonaiagents import Agent, PraisonAIDB

        async def main():
            async with PraisonAIDB("sqlite:///agent_data.db") as db:
                # Store user message
                await db.aon_user_message(
                    session_id="chat_123",
                    content="Hello, how can you help me?",
                    metadata={"user_id": "user_456"}
                )
            
                # Store agent message  
                await db.aon_agent_message(
                    session_id="chat_123", 
                    content="I can help with various tasks.",
                    metadata={"agent_name": "assistant"}
                )
        """  # noqa: W291, W293 - as it is written there
    )
    asyncio.run(names["main"]())
    with praison_persist.db(tmp_path / "agent_data.db") as db:
        assert said(db, "chat_123") == [
            "user: Hello, how can you help me?",
            "assistant: I can help with various tasks.",
        ]


def test_wired_to_an_async_agent(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    names = run(
        """
        from praisonaiagents import Agent, PraisonAIDB

        agent = Agent(
            name="Assistant",
            instructions="You are a helpful assistant.",
            db=PraisonAIDB("postgresql://user:pass@host/db"),
            async_mode=True
        )

        async def chat():
            async with agent.db:
                response = await agent.run_async("What's the weather like?")
                print(response)
        """
    )
    asyncio.run(names["chat"]())
    assert "You said: What's the weather like?" in capsys.readouterr().out


def test_complete_async_lifecycle(run: Run, tmp_path: Path) -> None:
    names = run(
        """
        from praisonaiagents import PraisonAIDB

        async def agent_lifecycle():
            async with PraisonAIDB("sqlite:///lifecycle.db") as db:
                session_id = "session_789"
        
                # Start agent session
                await db.aon_agent_start(
                    session_id=session_id,
                    name="DataAgent", 
                    agent_id="agent_123"
                )
        
                # User interaction
                await db.aon_user_message(
                    session_id=session_id,
                    content="Analyze this data",
                    metadata={"timestamp": "2024-01-01T10:00:00Z"}
                )
        
                # Tool execution
                await db.aon_tool_call(
                    session_id=session_id,
                    tool_name="data_analyzer",
                    arguments={"file": "data.csv"},
                    result={"rows": 1000, "columns": 5}
                )
        
                # Agent response
                await db.aon_agent_message(
                    session_id=session_id,
                    content="Analysis complete: 1000 rows, 5 columns found."
                )
        
                # End session
                await db.aon_agent_end(
                    session_id=session_id,
                    name="DataAgent",
                    agent_id="agent_123"
                )
        """  # noqa: W291, W293 - as it is written there
    )
    asyncio.run(names["agent_lifecycle"]())
    with praison_persist.db(tmp_path / "lifecycle.db") as db:
        assert said(db, "session_789") == [
            "user: Analyze this data",
            'call: data_analyzer {"file": "data.csv"}',
            'result: {"rows": 1000, "columns": 5}',
            "assistant: Analysis complete: 1000 rows, 5 columns found.",
        ]
        (call,) = db.get_tool_calls("session_789")
        assert call.result == {"rows": 1000, "columns": 5}


def test_sync_store_compatibility(run: Run) -> None:
    names = run(
        """
        from praisonaiagents import PraisonAIDB

        # Works with existing sync stores
        class MySQLStore:
            def add_message(self, content, metadata):
                # Sync implementation
                pass
    
            # No async_add_message - will use asyncio.to_thread

        async def main():
            async with PraisonAIDB(MySQLStore()) as db:
                # Still works - automatically wrapped
                await db.aon_user_message("session_1", "Hello")
        """  # noqa: W293 - as it is written there
    )
    asyncio.run(names["main"]())


def test_native_async_store(run: Run) -> None:
    executed: list[Any] = []

    class Pool:
        def acquire(self) -> Any:
            return self

        async def __aenter__(self) -> Any:
            return self

        async def __aexit__(self, *_: object) -> None:
            pass

        async def execute(self, *arguments: Any) -> None:
            executed.append(arguments)

    names = run(
        """
        from praisonaiagents import PraisonAIDB

        # Implement async methods for true async performance
        class AsyncPostgreStore:
            async def async_add_message(self, content, metadata):
                async with self.pool.acquire() as conn:
                    await conn.execute("INSERT INTO messages...", content)
    
            def add_message(self, content, metadata):
                # Sync fallback if needed
                pass

        # Will use native async methods
        async def main():
            async with PraisonAIDB(AsyncPostgreStore()) as db:
                await db.aon_user_message("session_1", "Hello")  # True async
        """  # noqa: W293 - as it is written there
    )
    names["AsyncPostgreStore"].pool = Pool()
    asyncio.run(names["main"]())
    assert executed == [("INSERT INTO messages...", "Hello")]


def test_sync_and_async_context_managers(run: Run, sqlite_url: str) -> None:
    names = run(
        """
        from praisonaiagents import PraisonAIDB

        async def main():
            # Sync context (for mixed sync/async code)
            with PraisonAIDB(store) as db:
                # Use sync methods
                db.on_user_message("session", "Hello")

            # Async context (for async agents)  
            async with PraisonAIDB(store) as db:
                # Use async methods
                await db.aon_user_message("session", "Hello")
        """,  # noqa: W291 - as it is written there
        store=sqlite_url,
    )
    asyncio.run(names["main"]())
    with PraisonAIDB(sqlite_url) as db:
        assert said(db, "session") == ["user: Hello", "user: Hello"]


def test_manual_cleanup(run: Run, sqlite_url: str) -> None:
    names = run(
        """
        from praisonaiagents import PraisonAIDB

        async def main():
            db = PraisonAIDB(store)
            await db.aon_user_message("session", "Hello")
            await db.aclose()  # Must remember to call
        """,
        store=sqlite_url,
    )
    asyncio.run(names["main"]())


def test_registering_a_custom_backend(run: Run, sqlite_url: str) -> None:
    names = run(
        """
        from praisonai.persistence.registry import CONVERSATION_STORES

        def my_store_factory(url=None, **kwargs):
            return MyConversationStore(url=url, **kwargs)

        CONVERSATION_STORES.register("mybackend", my_store_factory, aliases=("mb",))

        store = CONVERSATION_STORES.create("mb", url="proto://host")
        """,
        MyConversationStore=lambda url: ("made", url),
    )
    assert names["store"] == ("made", "proto://host")
    assert names["CONVERSATION_STORES"].unregister("mybackend")


def test_a_custom_class_in_the_registry(run: Run) -> None:
    names = run(
        """
        from praisonai.persistence.registry import CONVERSATION_STORES

        class CustomDBConversationStore:
            def __init__(self, url=None, **kwargs):
                self.url = url
                # Initialize your database connection
        
            def save_session(self, session):
                # Save implementation
                pass
        
            def load_session(self, session_id):
                # Load implementation  
                pass

        def create_custom_db(url=None, **kwargs):
            return CustomDBConversationStore(url=url, **kwargs)

        # Register at runtime
        CONVERSATION_STORES.register("customdb", create_custom_db)

        # Use it
        store = CONVERSATION_STORES.create("customdb", url="custom://localhost:5432/db")
        """  # noqa: W291, W293 - as it is written there
    )
    assert names["store"].url == "custom://localhost:5432/db"
    assert names["CONVERSATION_STORES"].unregister("customdb")


def test_registering_all_kinds(run: Run) -> None:
    run(
        """
        def register_all_backends():
            from praisonai.persistence.registry import (
                CONVERSATION_STORES, KNOWLEDGE_STORES, STATE_STORES
            )
    
            CONVERSATION_STORES.register("myconv", create_conversation_store)
            KNOWLEDGE_STORES.register("myknow", create_knowledge_store) 
            STATE_STORES.register("mystate", create_state_store)

        # Auto-register on import
        register_all_backends()
        """,  # noqa: W291, W293 - as it is written there
        create_conversation_store=dict,
        create_knowledge_store=dict,
        create_state_store=dict,
    )
    for stores, name in (
        (CONVERSATION_STORES, "myconv"),
        (KNOWLEDGE_STORES, "myknow"),
        (STATE_STORES, "mystate"),
    ):
        assert stores.unregister(name)


def test_listing_backends(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    run(
        """
        from praisonai.persistence.registry import (
            CONVERSATION_STORES, KNOWLEDGE_STORES, STATE_STORES,
        )

        print("Conversation backends:", CONVERSATION_STORES.list_registered())
        print("Knowledge backends:", KNOWLEDGE_STORES.list_registered())
        print("State backends:", STATE_STORES.list_registered())

        # Check aliases
        print("Aliases:", CONVERSATION_STORES.list_aliases())
        """
    )
    assert re.search(r"Conversation backends: \[.*'postgres'", capsys.readouterr().out)


def test_process_default_registries(run: Run) -> None:
    names = run(
        """
        from praisonai._registry import PluginRegistry

        class MyRegistry(PluginRegistry["MyThing"]):
            pass

        # Thread-safe, per-subclass lazy initialization
        reg = MyRegistry.default()

        # Alternative registries are independent
        class OtherRegistry(PluginRegistry["OtherThing"]):
            pass

        other_reg = OtherRegistry.default()  # Different instance
        """
    )
    assert names["reg"] is names["MyRegistry"].default()
    assert names["reg"] is not names["other_reg"]
