"""What the hooks of a SQL dialect are given, and what becomes of what they raise."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from praison_persist.compat.persistence.conversation import _sql_base

from praison_persist import (
    AsyncConversationStore,
    BackendError,
    ConfigurationError,
    ConversationMessage,
    ConversationSession,
    PersistError,
    SchemaError,
    UnavailableError,
)
from praison_persist._adapt import offload

from .dialects import RawPostgres, RawSQLite


class Recording(RawSQLite):
    """Notes the statements; numbers the parameters, as the documentation shows it."""

    _serverless_hosts = (".example.cloud",)

    def __init__(self, path: str, **options: Any) -> None:
        self.texts: list[tuple[str, tuple[Any, ...]]] = []
        self.closed: list[bool] = []
        self.failures: list[Exception] = []
        super().__init__(path, retry_delay=0.001, **options)

    def _param(self, n: int) -> str:  # type: ignore[override]  # as the documentation writes it
        return f"?{n}"

    def _execute(self, conn: sqlite3.Connection, sql: str, params: tuple[Any, ...] = ()) -> int:
        self.texts.append((sql, params))
        if self.failures:
            raise self.failures.pop()
        return super()._execute(conn, sql, params)

    def _put_conn(self, conn: sqlite3.Connection, close: bool = False) -> None:
        self.closed.append(close)
        super()._put_conn(conn, close)


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "raw.db")


def talk(store: Any) -> None:
    store.create_session(ConversationSession(session_id="s"))
    store.add_message("s", ConversationMessage(role="user", content="hi"))


def test_parameters_are_numbered_by_a_method(path: str) -> None:
    with Recording(path) as store:
        talk(store)
        inserts = [(sql, params) for sql, params in store.texts if "INSERT" in sql]
    assert "VALUES (?1, ?2, ?3," in inserts[0][0]
    assert inserts[0][1][0] == "s"
    assert all(sql.count("?") == len(params) for sql, params in inserts)


def test_tables_have_the_declared_types_and_the_prefix(path: str) -> None:
    with Recording(path, table_prefix="mine_") as store:
        assert store.SCHEMA_VERSION == "1.0.0"
        assert (store.sessions_table, store.messages_table) == ("mine_sessions", "mine_messages")
        created = "\n".join(sql for sql, _ in store.texts)
    assert "CREATE TABLE IF NOT EXISTS mine_messages" in created
    assert "session_id TEXT NOT NULL" in created
    assert "created_at REAL NOT NULL" in created
    with Recording(path, table_prefix="mine_", auto_create_tables=False) as again:
        assert again.texts == []
        talk(again)
    for prefix in ("a b", "a;", None):
        with pytest.raises(ValueError, match="table_prefix"):
            Recording(path, table_prefix=prefix)


def test_tables_of_praisonai_are_refused(path: str) -> None:
    """They have no column that orders messages; the first write would fail, or lose its place."""
    with sqlite3.connect(path) as conn:
        conn.execute("CREATE TABLE praison_sessions (session_id TEXT PRIMARY KEY, user_id TEXT)")
        conn.execute("CREATE INDEX updated ON praison_sessions (user_id)")
    conn.close()

    class WithoutIndex(RawSQLite):
        _session_indexes: list[str] = []  # noqa: RUF012 - as an author writes it

    with pytest.raises(SchemaError, match="praison_sessions with other columns"):
        WithoutIndex(path)


def test_what_is_transient_is_tried_again_on_another_connection(path: str) -> None:
    with Recording(path) as store:
        store.closed.clear()
        store.failures = [sqlite3.OperationalError("locked")]
        talk(store)
        assert store.closed[0]
        assert not any(store.closed[1:])
        assert [message.seq for message in store.get_messages("s")] == [1]
        store.failures = [sqlite3.OperationalError("locked")] * 4
        with pytest.raises(UnavailableError, match="after 4 attempts") as caught:
            store.add_message("s", ConversationMessage(role="user", content="lost"))
        assert caught.value.attempts == 4


def test_what_is_not_transient_is_raised_with_its_cause(path: str) -> None:
    with Recording(path) as store:
        talk(store)
        refusal = sqlite3.IntegrityError("CHECK constraint failed")
        store.failures = [refusal]
        with pytest.raises(BackendError, match="cannot add messages: CHECK constraint") as caught:
            store.add_message("s", ConversationMessage(role="user", content="no"))
        hook = caught.value.__cause__
        assert hook is not None
        assert hook.__cause__ is refusal
        assert [message.content for message in store.get_messages("s")] == ["hi"]


def test_the_host_of_the_url_tells_what_sleeps(path: str) -> None:
    for url, sleeps in {
        "x://u:p@a.example.cloud/d": True,
        "x://u:p@example.cloud.org/d": False,
        None: False,
    }.items():
        with Recording(path, url=url) as store:
            assert store._serverless is sleeps


def test_it_is_closed_once_and_refuses_calls_then(path: str) -> None:
    """Its base's connections stay open, or are closed twice."""
    closed: list[str] = []

    class Counting(RawSQLite):
        def close(self) -> None:
            closed.append("own")
            super().close()

    store = Counting(path)
    assert not store.idle.empty()
    store.close()
    store.close()
    assert closed == ["own"]
    assert store.idle.empty()
    with pytest.raises(PersistError, match="closed"):
        store.get_session("s")


def test_a_dialect_without_hooks_is_abstract() -> None:
    with pytest.raises(TypeError, match="_connect"):
        _sql_base._SQLConversationStoreBase()


def test_hooks_that_are_coroutines_serve_async_callers(postgres_database: str) -> None:
    url = postgres_database.replace("postgresql+psycopg://", "postgresql://")

    async def main() -> list[int]:
        store = await asyncio.to_thread(RawPostgres, url, table_prefix="hooks_")
        async with offload(store, AsyncConversationStore) as other:
            await other.create_session(ConversationSession(session_id="s"))
            stored = await asyncio.gather(
                *(
                    other.add_message("s", ConversationMessage(role="user", content=str(number)))
                    for number in range(5)
                )
            )
            return sorted(message.seq or 0 for message in stored)

    assert asyncio.run(main()) == [1, 2, 3, 4, 5]


def test_a_layout_that_cannot_be_chosen_is_refused() -> None:
    from praison_persist.compat.classes import _arguments  # noqa: PLC0415 - as above
    from praison_persist.compat.originals import Original  # noqa: PLC0415 - of this test alone

    original = Original("", ("a", "b", "c"), renamed={"a": "x"}, without={"b": 1})
    assert _arguments("Store", original, (5, 1), {"c": 3}) == {"x": 5, "c": 3}
    with pytest.raises(ConfigurationError, match=r"b=2 cannot be chosen, it is always 1 here"):
        _arguments("Store", original, (5, 2), {})
