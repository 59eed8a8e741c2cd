"""The search index is made and dropped while others work, and is no part of the schema."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from praison_persist.errors import UnsupportedError
from praison_persist.models import ConversationMessage, ConversationSession
from praison_persist.sql import migrate
from praison_persist.sql.schema import Tables
from praison_persist.sql.search import MessageSearch, search_messages, search_statement
from praison_persist.sql.stores import AsyncSQLConversationStore, SQLConversationStore
from praison_persist.testing.contract import race

from .search_urls import LibSQL, MariaDB, PostgreSQL, SQLite
from .servers import administer, engine
from .services.cockroach import Cockroach
from .writer import Writer


def _filled(store: SQLConversationStore, count: int = 3) -> None:
    store.ensure_session(ConversationSession("s"))
    store.add_messages(
        "s", [ConversationMessage(role="user", content=f"word n{index}") for index in range(count)]
    )


def _seqs(store: SQLConversationStore, query: str = "word") -> list[int]:
    return sorted(hit.seq for hit in store.search_messages(query, limit=10_000))


class _Index:
    """What holds wherever there is an index."""

    @pytest.fixture
    def store(self, url: str) -> Iterator[SQLConversationStore]:
        with SQLConversationStore(url) as store:
            yield store
            store.drop_search_index()

    def test_it_is_made_once_and_dropped_once(self, store: SQLConversationStore) -> None:
        """A deployment runs twice, and the second time fails."""
        assert not store.has_search_index()
        store.drop_search_index()
        for _ in range(2):
            store.create_search_index()
            assert store.has_search_index()
        for _ in range(2):
            store.drop_search_index()
            assert not store.has_search_index()

    def test_it_has_what_was_there_before(self, store: SQLConversationStore) -> None:
        """What was said before the index was made is found no more."""
        _filled(store)
        store.create_search_index()
        _filled(store)
        assert _seqs(store) == [1, 2, 3, 4, 5, 6]
        assert _seqs(store, "n1 word") == [2, 5]
        store.drop_search_index()
        _filled(store)
        assert _seqs(store, "n1 word") == [2, 5, 8]
        store.create_search_index()
        assert _seqs(store, "n1 word") == [2, 5, 8]

    def test_the_async_store_makes_it(self, store: SQLConversationStore, url: str) -> None:
        """Two colours, two names of one index."""
        _filled(store)

        async def work() -> list[bool]:
            async with AsyncSQLConversationStore(url) as other:
                seen = [await other.has_search_index()]
                await other.create_search_index()
                seen.append(await other.has_search_index())
                assert len(await other.search_messages("word")) == 3
                seen.append(store.has_search_index())
                await other.drop_search_index()
            return seen

        assert asyncio.run(work()) == [False, True, True]
        assert not store.has_search_index()

    def test_several_make_it_while_another_process_appends(
        self, store: SQLConversationStore, url: str
    ) -> None:
        """One fails because the other was faster; an append between backfill and index is lost."""
        _filled(store, 300)
        writer = Writer(url, "s", "w", 60, "sync")
        try:
            writer.begin()
            assert writer.next() is not None

            def make(_index: int) -> None:
                with SQLConversationStore(url) as own:
                    own.create_search_index()

            race(3, make)
            writer.end()
        finally:
            writer.kill()
        assert store.has_search_index()
        stored = store.get_messages("s")
        assert len(stored) == 360
        said = stored[-1].content or ""
        assert _seqs(store, "word") == list(range(1, 301))
        narrowed = {(hit.seq, hit.message.content) for hit in store.search_messages(said, limit=99)}
        store.drop_search_index()
        plain = {(hit.seq, hit.message.content) for hit in store.search_messages(said, limit=99)}
        assert narrowed == plain
        assert (360, said) in plain

    def test_it_is_no_difference_to_the_schema(self, store: SQLConversationStore, url: str) -> None:
        """A deployment stops at an index that the next revision would drop."""
        _filled(store)
        store.create_search_index()
        assert migrate.check(url) == []
        migrate.upgrade(url)
        assert store.has_search_index()
        assert migrate.check(url) == []

    def test_only_visible_messages_are_found(self, store: SQLConversationStore) -> None:
        """What a view of a conversation hides is found by searching."""
        _filled(store)

        def visible(t: Tables) -> sa.ColumnElement[bool]:
            return t.messages.c.seq != 2

        for _ in range(2):
            hits = store.database.read(search_messages, MessageSearch("word"), visible)
            assert sorted(hit.seq for hit in hits) == [1, 3]
            store.create_search_index()

    def test_it_follows_changes_past_the_store(self, store: SQLConversationStore, url: str) -> None:
        """A correction by hand leaves the old text in the index."""
        _filled(store)
        store.create_search_index()
        text = "UPDATE praison_messages SET content = 'corrected' WHERE seq = 2"
        with engine(url, database=True).begin() as connection:
            connection.exec_driver_sql(text)
        assert _seqs(store) == [1, 3]
        assert _seqs(store, "corrected") == [2]
        with engine(url, database=True).begin() as connection:
            connection.exec_driver_sql("DELETE FROM praison_messages WHERE seq = 2")
        assert _seqs(store, "corrected") == []

    def test_a_prefix_has_an_index_of_its_own(self, store: SQLConversationStore, url: str) -> None:
        """Two applications share a database; one gets the other's index, or its messages."""
        _filled(store)
        store.create_search_index()
        with SQLConversationStore(url, table_prefix="other_") as other:
            assert not other.has_search_index()
            _filled(other, 1)
            other.create_search_index()
            assert _seqs(other) == [1]
            assert _seqs(store) == [1, 2, 3]
            other.drop_search_index()
            assert store.has_search_index()
        migrate.downgrade(url, revision="base", table_prefix="other_", force=True)


class TestSQLite(SQLite, _Index):
    def test_vacuum_renumbers_nothing(self, store: SQLConversationStore, tmp_path: Path) -> None:
        """VACUUM numbers the rows of `messages` anew: the index names other messages."""
        _filled(store, 10)
        store.create_search_index()
        store.delete_messages("s", [store.get_messages("s")[0].id])
        with closing(sqlite3.connect(tmp_path / "test.db")) as connection:
            connection.execute("VACUUM")
        _filled(store, 1)
        assert _seqs(store, "n5") == [6]
        assert _seqs(store, "n0") == [11]

    def test_new_tables_void_what_was_left(self, store: SQLConversationStore, url: str) -> None:
        """The tables are dropped and made again: the triggers are gone, the index is not."""
        _filled(store)
        store.create_search_index()
        migrate.downgrade(url, revision="base", force=True)
        migrate.upgrade(url)
        assert not store.has_search_index()
        _filled(store, 1)
        store.create_search_index()
        assert _seqs(store) == [1]

    def test_an_in_memory_database_has_one(self) -> None:
        """Its only connection is the store's."""
        with SQLConversationStore(":memory:") as store:
            _filled(store)
            store.create_search_index()
            assert store.has_search_index()
            assert _seqs(store) == [1, 2, 3]

            async def work() -> bool:
                async with AsyncSQLConversationStore.beside(store) as other:
                    await other.drop_search_index()
                    return await other.has_search_index()

            assert not asyncio.run(work())


class TestLibSQL(LibSQL, _Index):
    pass


class TestMariaDB(MariaDB, _Index):
    def test_a_column_that_tells_case_apart_has_none(
        self, store: SQLConversationStore, url: str
    ) -> None:
        """Its index would not find "Word" by "word"."""
        _filled(store)
        store.create_search_index()
        alter = (
            "ALTER TABLE praison_messages MODIFY content LONGTEXT CHARACTER SET utf8mb4 COLLATE {}"
        )
        with engine(url, database=True).connect() as connection:
            connection.exec_driver_sql(alter.format("utf8mb4_bin"))
            try:
                assert _seqs(store, "WORD") == [1, 2, 3]
                store.drop_search_index()
                with pytest.raises(UnsupportedError, match="_ci"):
                    store.create_search_index()
                assert _seqs(store, "WORD") == [1, 2, 3]
            finally:
                connection.exec_driver_sql(alter.format("utf8mb4_general_ci"))


class TestPostgreSQL(PostgreSQL, _Index):
    def test_a_search_reads_the_index(self, store: SQLConversationStore, url: str) -> None:
        """The expression of the query is another than that of the index, and nobody notices."""
        _filled(store, 2_000)
        store.create_search_index()
        administer(url, "ANALYZE praison_messages")

        def plan(connection: sa.Connection, t: Tables) -> str:
            def explain(*arguments: Any) -> tuple[str, Any]:
                text, parameters = arguments[2:4]
                return (f"EXPLAIN {text}" if "plainto_tsquery" in text else text), parameters

            event.listen(connection, "before_cursor_execute", explain, retval=True)
            query = search_statement(connection, t, MessageSearch("n1234"))
            return "\n".join(row[0] for row in connection.execute(query))

        assert "ix_praison_messages_search" in store.database.read(plan)
        assert _seqs(store, "n1234") == [1235]

    def test_what_an_interrupted_build_left_is_replaced(
        self, store: SQLConversationStore, url: str
    ) -> None:
        """CONCURRENTLY leaves an invalid index, that costs and serves nothing."""
        _filled(store)
        store.create_search_index()
        with engine(url, database=True).begin() as connection:
            connection.exec_driver_sql(
                "UPDATE pg_index SET indisvalid = false WHERE indexrelid = "
                "'ix_praison_messages_search'::regclass"
            )
        assert not store.has_search_index()
        assert _seqs(store) == [1, 2, 3]
        store.create_search_index()
        assert store.has_search_index()
        assert _seqs(store) == [1, 2, 3]

    def test_it_lies_in_the_schema_of_its_tables(self, url: str) -> None:
        """The index is looked for in another schema, and made again."""
        with SQLConversationStore(url, schema="agents") as store:
            _filled(store)
            store.create_search_index()
            assert store.has_search_index()
            assert _seqs(store, "n1") == [2]
            with SQLConversationStore(url) as public:
                assert not public.has_search_index()
            assert migrate.check(url, schema="agents") == []
            store.drop_search_index()
            assert not store.has_search_index()

    def test_the_locale_c_has_none(self, cockroach: Cockroach) -> None:
        """There a quotation mark is a letter, and "word" not found in “word”."""
        url = cockroach.behind
        with SQLConversationStore(url) as store:
            with pytest.raises(UnsupportedError, match="locale"):
                store.create_search_index()
            assert not store.has_search_index()
            store.create_session(ConversationSession("s"))
            store.add_message("s", ConversationMessage(role="user", content="“ÄPFEL”"))
            assert _seqs(store, "äpfel") == [1]
        migrate.downgrade(url, revision="base", force=True)


def test_databases_without_an_index_say_so(cockroach: Cockroach) -> None:
    """A search is believed to be fast, and reads all that was ever said."""
    with SQLConversationStore(cockroach.url) as store:
        _filled(store)
        assert not store.has_search_index()
        store.drop_search_index()
        with pytest.raises(UnsupportedError, match="cockroachdb"):
            store.create_search_index()
        assert _seqs(store) == [1, 2, 3]
