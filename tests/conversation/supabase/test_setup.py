"""A project is prepared once: tables, functions, and nothing for those who hold a public key."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

import praison_persist
from praison_persist._adapt import blocking
from praison_persist.cli import main
from praison_persist.config import create_conversation_store, detect_backend
from praison_persist.conversation.supabase import (
    AsyncSupabaseConversationStore,
    SupabaseConversationStore,
)
from praison_persist.conversation.supabase_names import FUNCTIONS, Names
from praison_persist.conversation.supabase_sql import install, setup_sql
from praison_persist.errors import ConfigurationError, SchemaError
from praison_persist.protocols import ConversationStore
from praison_persist.sql import migrate
from praison_persist.sql.schema import tables
from praison_persist.sql.stores import SQLConversationStore
from praison_persist.testing.contract import message, session
from tests.servers import administer
from tests.services.process import until
from tests.services.supabase import KEY, Supabase, project


@pytest.fixture(scope="module")
def fresh() -> Iterator[tuple[str, Supabase]]:
    """A project, not set up."""
    with project() as (url, supabase):
        administer(url, "CREATE SCHEMA other", "CREATE SCHEMA hidden")
        supabase.api.start()
        yield url, supabase


def in_the_sql_editor(url: str, script: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(script.encode())


def served(store: ConversationStore) -> bool:
    """Whether the API has taken notice of the functions."""
    try:
        store.get_session("s")
    except SchemaError:
        return False
    return True


class TestEditor:
    @pytest.mark.parametrize(
        ("prefix", "schema", "options"),
        [
            ("praison_", "public", []),
            ("Mixed_", "other", ["--table-prefix", "Mixed_", "--schema", "other"]),
        ],
    )
    def test_the_error_says_what_to_run_and_that_is_enough(
        self,
        fresh: tuple[str, Supabase],
        capsys: pytest.CaptureFixture[str],
        prefix: str,
        schema: str,
        options: list[str],
    ) -> None:
        url, supabase = fresh
        with SupabaseConversationStore(supabase.url, KEY, prefix, schema) as store:
            command = ["db", "sql", "--supabase", *options]
            with pytest.raises(SchemaError, match=" ".join(["praison-persist", *command])):
                store.create_session(session())
            assert main(command) == 0
            in_the_sql_editor(url, capsys.readouterr().out)
            until(lambda: served(store), "the API does not see the functions")
            store.create_session(session(name=prefix))
            assert store.add_message("s", message("text")).seq == 1
            assert store.get_messages("s")[0].content == "text"
            # As a later package's script: on what is there.
            in_the_sql_editor(
                url, setup_sql(table_prefix=prefix, schema=schema, revision="head:head")
            )
            until(lambda: served(store), "the API does not see the functions")
            assert [each.name for each in store.list_sessions()] == [prefix]
        assert migrate.check(url, table_prefix=prefix, schema=schema) == []

    def test_a_schema_that_is_not_exposed(self, fresh: tuple[str, Supabase]) -> None:
        url, supabase = fresh
        install(url, schema="hidden")
        with (
            SupabaseConversationStore(supabase.url, KEY, schema="hidden") as store,
            pytest.raises(SchemaError, match="Expose the schema 'hidden'"),
        ):
            store.get_session("s")

    def test_functions_without_tables(self, fresh: tuple[str, Supabase]) -> None:
        url, supabase = fresh
        install(url, table_prefix="gone_")
        with SupabaseConversationStore(supabase.url, KEY, "gone_") as store:
            until(lambda: served(store), "the API does not see the functions")
            migrate.downgrade(url, revision="base", table_prefix="gone_")
            with pytest.raises(SchemaError, match="db sql --supabase --table-prefix gone_"):
                store.get_session("s")


class TestUpgrade:
    def test_tables_with_rows_get_the_functions(
        self, fresh: tuple[str, Supabase], capsys: pytest.CaptureFixture[str]
    ) -> None:
        url, supabase = fresh
        with SQLConversationStore(url, table_prefix="old_") as store:
            store.create_session(session())
            store.add_message("s", message("of SQL"))
        for _ in range(2):
            assert (
                main(["db", "upgrade", "--supabase", "--url", url, "--table-prefix", "old_"]) == 0
            )
            assert capsys.readouterr().out == f"{migrate.HEAD}\n"
        with SupabaseConversationStore(supabase.url, KEY, "old_") as rest:
            until(lambda: served(rest), "the API does not see the functions")
            assert [each.content for each in rest.get_messages("s")] == ["of SQL"]

    def test_only_to_the_newest_revision(self, capsys: pytest.CaptureFixture[str]) -> None:
        command = ["db", "upgrade", "--supabase", "--revision", "0001", "--url", "postgresql://h/d"]
        assert main(command) == 2
        assert "newest revision" in capsys.readouterr().err

    def test_only_postgresql(self) -> None:
        with pytest.raises(ConfigurationError, match="postgresql://"):
            install("sqlite:///x.db")

    @pytest.mark.parametrize(
        "name", [{"table_prefix": 'a"b'}, {"schema": "a;b"}, {"role": "a b"}, {"schema": ""}]
    )
    def test_names_that_would_be_more_than_names(self, name: dict[str, str]) -> None:
        with pytest.raises(ConfigurationError):
            setup_sql(**name)


class TestGrants:
    @pytest.fixture
    def url(self, fresh: tuple[str, Supabase]) -> str:
        install(fresh[0], table_prefix="granted_")
        return fresh[0]

    @pytest.mark.parametrize(
        ("role", "may"), [("anon", False), ("authenticated", False), ("service_role", True)]
    )
    def test_only_the_secret_key_has_rights(self, url: str, role: str, may: bool) -> None:
        ours = tables("granted_", "public")
        found = administer(
            url,
            *(
                f"SELECT has_table_privilege('{role}', '{table}', '{right}')"
                for table in [*ours.metadata.tables, f"public.{ours.version_table}"]
                for right in ("SELECT", "INSERT", "UPDATE", "DELETE")
            ),
            f"SELECT has_function_privilege('{role}', p.oid, 'EXECUTE') FROM pg_proc AS p "
            "WHERE proname LIKE 'granted_rest1_%'",
        )
        assert set(found) == {(may,)}

    def test_every_function_and_table_is_covered(self, url: str) -> None:
        functions = administer(url, "SELECT proname FROM pg_proc WHERE proname LIKE 'granted_%'")
        assert {name for (name,) in functions} == {Names("granted_").function(f) for f in FUNCTIONS}
        open_tables = administer(
            url,
            "SELECT relname FROM pg_class WHERE relname LIKE 'granted_%' AND relkind = 'r' "
            "AND NOT relrowsecurity",
        )
        assert open_tables == []


class TestConfiguration:
    @pytest.mark.parametrize(
        "url", ["https://abc.supabase.co", "https://ABC.supabase.co/", "https://x.supabase.com"]
    )
    def test_a_url_tells_the_backend(self, url: str) -> None:
        assert detect_backend(url) == "supabase"

    def test_a_postgresql_url_of_supabase_is_sql(self) -> None:
        assert detect_backend("postgresql://u@db.abc.supabase.co/postgres") == "postgres"

    def test_names_and_modes(self) -> None:
        url = "https://abc.supabase.co"
        sync = create_conversation_store("supabase", url, key=KEY)
        assert type(sync) is SupabaseConversationStore
        for name, mode in (("async_supabase", "auto"), ("supabase", "async")):
            store = create_conversation_store(name, url, mode, key=KEY)
            assert type(store) is AsyncSupabaseConversationStore

    def test_the_environment(self, monkeypatch: pytest.MonkeyPatch, supabase: Supabase) -> None:
        monkeypatch.setenv("SUPABASE_URL", f"{supabase.url}/rest/v1/")
        monkeypatch.setenv("SUPABASE_KEY", KEY)
        with praison_persist.SupabaseConversationStore() as store:
            store.create_session(session())
            assert KEY not in repr(store)
        async_store = praison_persist.AsyncSupabaseConversationStore()
        with blocking(async_store, ConversationStore) as other:
            assert other.get_session("s") is not None

    def test_an_adapter_keeps_its_conversations_there(self, supabase: Supabase) -> None:
        where = {"database_backend": "supabase", "key": KEY}
        with praison_persist.db(supabase.url, **where) as db:
            assert db.on_agent_start("agent", "s") == []
            db.on_user_message("s", "Hello")
        with praison_persist.db(supabase.url, **where) as db:
            assert [each.content for each in db.on_agent_start("agent", "s")] == ["Hello"]

    @pytest.mark.parametrize(
        ("url", "says"),
        [
            (None, "SUPABASE_URL"),
            ("postgresql://u:secret@h/d", "postgres backend"),
            ("abc.supabase.co", "scheme"),
            ("https://", "scheme"),
            ("https://[abc.supabase.co", "host or the port"),
            ("https://abc.supabase.co:99999", "host or the port"),
            ("https://u:secret@:/", "scheme"),
            ("https://u:secret@abc.supabase.co", "key="),
            ("https://abc.supabase.co?apikey=secret", "key="),
        ],
    )
    def test_a_url_that_cannot_be_right(
        self, monkeypatch: pytest.MonkeyPatch, url: str | None, says: str
    ) -> None:
        monkeypatch.delenv("SUPABASE_URL", raising=False)
        with pytest.raises(ConfigurationError, match=says) as caught:
            SupabaseConversationStore(url, KEY)
        assert "secret@" not in str(caught.value)
        assert "apikey=" not in str(caught.value)

    def test_no_key(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("SUPABASE_KEY", raising=False)
        with pytest.raises(ConfigurationError, match="SUPABASE_KEY"):
            SupabaseConversationStore("https://abc.supabase.co")

    @pytest.mark.parametrize(
        "options", [{"table_prefix": "a-b"}, {"schema": ""}, {"schema": "a.b"}, {"timeout": 0}]
    )
    def test_options_that_cannot_be_right(self, options: dict[str, Any]) -> None:
        with pytest.raises(ConfigurationError, match=next(iter(options))):
            create_conversation_store("supabase", "https://a.supabase.co", key=KEY, **options)
