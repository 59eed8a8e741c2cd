"""What programs written for praisonai do with its classes and functions."""

from __future__ import annotations

import asyncio
import inspect
import pickle
from pathlib import Path
from typing import Any

import pytest
from praison_persist.compat.db.adapter import (
    PraisonAIDB,
    RedisDB,
    SQLiteDB,
)

from praison_persist import (
    ConfigurationError,
    ConversationMessage,
    ConversationSession,
    ConversationStore,
    InvalidDataError,
    MissingDependencyError,
    SQLConversationStore,
    create_conversation_store,
    create_state_store,
    get_default_registry,
)
from praison_persist.compat import persistence
from praison_persist.sql.named import SQLiteConversationStore as Native

conversation: Any = persistence.conversation
Postgres = conversation.PostgresConversationStore
SQLite = conversation.sqlite.SQLiteConversationStore


class TestStores:
    def test_positions_mean_what_they_mean_in_the_original(self, tmp_path: Path) -> None:
        with SQLite(str(tmp_path / "x.db"), "mine_", True, False) as store:
            assert (store.sessions_table, store.messages_table) == (
                "mine_sessions",
                "mine_messages",
            )
            store.create_session(ConversationSession(session_id="s"))
            assert [each.session_id for each in store.list_sessions()] == ["s"]

    def test_all_positions_of_a_server(self) -> None:
        given = (None, "h", 1, "d", "u", "secret", "sch", "p_", False, 7, 2, 0.25)
        with Postgres(*given) as store:
            target, options = store.database.target, store.database.options
        assert target.url.render_as_string(hide_password=False) == "postgresql://u:secret@h:1/d"
        assert (options.schema, options.table_prefix, options.auto_migrate) == ("sch", "p_", False)
        assert (options.pool_size, options.max_retries, options.retry_delay) == (7, 2, 0.25)
        with pytest.raises(TypeError, match="12 positional"):
            Postgres(*given, "more")
        with pytest.raises(TypeError, match="multiple values for url"):
            Postgres(None, url="postgresql://h/d")
        with pytest.raises(ConfigurationError, match="did you mean 'pool_size'"):
            Postgres(pool_sise=3)

    def test_help_shows_the_defaults(self) -> None:
        signature = inspect.signature(Postgres)
        assert signature.parameters["port"].default == 5432
        assert signature.parameters["user"].default == "postgres"

    def test_a_store_that_a_registry_made_is_an_instance(self, tmp_path: Path) -> None:
        """`isinstance` is false for what the factory returned."""
        with create_conversation_store("sqlite", str(tmp_path / "x.db")) as store:
            assert type(store) is Native
            assert isinstance(store, SQLite)
            assert not isinstance(store, Postgres)
        assert issubclass(Native, SQLite)
        assert issubclass(SQLite, ConversationStore)
        assert not issubclass(SQLConversationStore, SQLite)
        assert not isinstance(object(), ConversationStore)

    def test_a_subclass_of_ones_own(self, tmp_path: Path) -> None:
        class Mine(SQLite):  # type: ignore[misc, valid-type]  # made at run time
            def __init__(self, path: str) -> None:
                super().__init__(path, table_prefix="mine_")

        with Mine(str(tmp_path / "x.db")) as store:
            assert isinstance(store, SQLite)
            assert store.sessions_table == "mine_sessions"
        with SQLite(str(tmp_path / "y.db")) as store:
            assert not isinstance(store, Mine)

    def test_async_methods_under_their_old_names(self, tmp_path: Path) -> None:
        async def use() -> list[str | None]:
            cls = conversation.async_sqlite.AsyncSQLiteConversationStore
            async with cls(str(tmp_path / "x.db"), "p_") as store:
                await store.init()
                await store.async_create_session(ConversationSession(session_id="s"))
                await store.async_add_message("s", ConversationMessage(role="user", content="hi"))
                with pytest.raises(AttributeError, match="nosuch"):
                    _ = store.nosuch
                return [message.content for message in await store.get_messages("s")]

        assert asyncio.run(use()) == ["hi"]

    def test_the_sync_sqlite_store_clears_a_session(self, tmp_path: Path) -> None:
        with conversation.SyncSQLiteConversationStore(str(tmp_path / "x.db")) as store:
            store.init()
            store.create_session(ConversationSession(session_id="s"))
            assert not store.clear_session("s")
            store.add_message("s", ConversationMessage(role="user", content="hi"))
            assert store.clear_session("s")
            assert store.get_session("s") is not None

    def test_a_class_whose_client_is_missing_can_be_imported(self) -> None:
        """A program that imports ten stores and uses one needs the clients of ten."""
        cls = persistence.knowledge.redis_vector.RedisVectorKnowledgeStore
        assert issubclass(cls, persistence.KnowledgeStore)
        absent = persistence.knowledge.cassandra.CassandraKnowledgeStore
        assert issubclass(absent, persistence.KnowledgeStore)
        if "__new__" in vars(absent):
            with pytest.raises(MissingDependencyError, match=r"praison-persist\[cassandra\]"):
                absent(hosts=["h"])

    def test_models_are_pickled_by_their_own_home(self) -> None:
        message = persistence.ConversationMessage(role="user", content="hi")
        assert pickle.loads(pickle.dumps(message)) == message
        assert type(message).__module__ == "praison_persist.models"


class TestServerless:
    @pytest.mark.parametrize(
        "host", ["ep-x.neon.tech", "x.cockroachlabs.cloud:26257", "x.xata.sh", "x.supabase.co"]
    )
    def test_urls_of_sleeping_databases_get_tls(self, host: str) -> None:
        url = f"postgresql://u:p@{host}/d"
        assert Postgres._is_serverless(url)
        assert Postgres._ensure_ssl(url) == f"{url}?sslmode=require"
        assert Postgres._ensure_ssl(f"{url}?a=b") == f"{url}?a=b&sslmode=require"
        assert Postgres._ensure_ssl(f"{url}?SSLmode=verify-full") == f"{url}?SSLmode=verify-full"

    @pytest.mark.parametrize(
        "url", ["", "postgresql://u:p@localhost/d", "postgresql://neon.tech.x/d"]
    )
    def test_others_are_left_alone(self, url: str) -> None:
        assert not Postgres._is_serverless(url)
        assert Postgres._ensure_ssl(url) == url


class TestChecks:
    @pytest.mark.parametrize("value", ["a b", "a-b", "a;b", "a'b", "é", "a\n", None, 3])
    def test_what_is_no_identifier(self, value: Any) -> None:
        for module in (conversation.base, persistence.knowledge.base):
            with pytest.raises(InvalidDataError, match="alphanumeric"):
                module.validate_identifier(value, "name")

    def test_identifiers(self) -> None:
        assert conversation.base.validate_identifier("a_B1") == "a_B1"
        assert conversation.base.validate_identifier("") == ""
        with pytest.raises(ValueError, match="non-empty"):
            persistence.knowledge.base.validate_identifier("")

    @pytest.mark.parametrize("value", [0, -1, 65_537, True, 1.0, "3; DROP TABLE x", None])
    def test_what_is_no_dimension(self, value: Any) -> None:
        with pytest.raises(InvalidDataError, match="size must be"):
            persistence.knowledge.base.validate_dimension(value, name="size")

    def test_dimensions(self) -> None:
        assert persistence.knowledge.base.validate_dimension(65_536) == 65_536
        with pytest.raises(ValueError, match="between 1 and 10"):
            persistence.knowledge.base.validate_dimension(11, max_dim=10)


class TestRegistries:
    def test_a_registry_of_ones_own_has_the_builtins(self) -> None:
        StoreRegistry = persistence.StoreRegistry  # noqa: N806 - a class
        tenant = StoreRegistry("state", "praisonai.state_stores")
        tenant.register("mine", lambda url=None, **_: ("mine", url), aliases=["m"])
        assert create_state_store("m", "u", registry=tenant) == ("mine", "u")
        assert {"redis", "memory"} <= set(tenant.list_registered())
        assert not get_default_registry("state").has("mine")
        assert isinstance(get_default_registry("state"), StoreRegistry)
        assert StoreRegistry("other", "x.y").list_names() == []

    def test_the_registries_are_made_when_they_are_asked_for(self) -> None:
        module = persistence.registry
        assert module.STATE_STORES is get_default_registry("state")
        with pytest.raises(AttributeError, match="NOSUCH"):
            _ = module.NOSUCH


class TestResume:
    def test_a_session_is_created_or_its_messages_are_read(self, tmp_path: Path) -> None:
        resume = conversation._ops.resume_or_create_session
        with SQLite(str(tmp_path / "x.db")) as store:

            def go() -> Any:
                return resume(
                    store,
                    store.get_session("s"),
                    "s",
                    lambda: ConversationSession(session_id="s"),
                    lambda: store.get_messages("s"),
                )

            assert go() is None
            store.add_message("s", ConversationMessage(role="user", content="hi"))
            assert [message.content for message in go()] == ["hi"]

    def test_the_same_awaited(self) -> None:
        created: list[ConversationSession] = []
        new = ConversationSession(session_id="s")

        async def create(session: ConversationSession) -> None:
            created.append(session)

        async def messages() -> list[str]:
            return ["found"]

        async def go(found: ConversationSession | None) -> Any:
            resume = conversation._ops.aresume_or_create_session
            return await resume(None, found, "s", lambda: new, create, messages)

        assert asyncio.run(go(None)) is None
        assert created == [new]
        assert asyncio.run(go(new)) == ["found"]
        assert created == [new]


class TestAdapters:
    def test_runs_and_traces_are_dicts(self, tmp_path: Path) -> None:
        with SQLiteDB(str(tmp_path / "x.db")) as db:
            assert isinstance(db, PraisonAIDB)
            db.on_run_start("s", "r1", input_content="hi")
            db.on_run_end("s", "r1", output_content="yes", status="completed")
            db.on_run_start("s", "r2")
            db.on_trace_start("t", session_id="s")
            db.on_trace_end("t", status="error")
            runs = db.get_runs("s")
            assert [run["run_id"] for run in runs] == ["r2", "r1"]
            assert (runs[1]["input_content"], runs[1]["status"]) == ("hi", "completed")
            assert db.get_runs("s", limit=0) == []
            assert db.get_traces(session_id="s")[0]["status"] == "error"

    @pytest.mark.parametrize(
        ("url", "kind", "backend"),
        [
            ("postgresql://u:p@x.neon.tech/d", None, "postgres"),
            ("libsql://x.turso.io", None, "turso"),
            ("redis://localhost:6379", None, "redis"),
            ("mongodb://h/d", "state", "mongodb"),
            ("qdrant://h", "knowledge", "qdrant"),
        ],
    )
    def test_the_backend_of_a_url(self, url: str, kind: str | None, backend: str) -> None:
        adapter = PraisonAIDB.__new__(PraisonAIDB)
        if backend == "qdrant":
            url = "http://localhost:6333"
        assert adapter._detect_backend(url, kind=kind) == backend
        with pytest.raises(ConfigurationError, match="Unable to infer"):
            adapter._detect_backend("nosuch://h")

    def test_redis_says_that_it_keeps_no_conversation(self, tmp_path: Path) -> None:
        with pytest.warns(UserWarning, match="kept in memory"):
            memory = RedisDB()
        with memory as db:
            db.on_user_message("s", "hi")
            assert [message.content for message in db.get_messages("s")] == ["hi"]
        with RedisDB(database_url=str(tmp_path / "x.db")) as db:
            assert db.get_messages("s") == []
