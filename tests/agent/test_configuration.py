"""What cannot work is refused where the adapter is made, in words that help and tell no secret."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

import praison_persist
from praison_persist import (
    ConfigurationError,
    PostgresDB,
    PraisonAIDB,
    SQLiteDB,
    UnavailableError,
    UnknownBackendError,
)

from .conftest import Open
from .processes import run

SECRET = "s3cr3t/@:#?%&"
QUOTED = "s3cr3t%2F%40%3A%23%3F%25%26"
CLOSED = f"postgresql://ada:{QUOTED}@127.0.0.1:9/db?connect_timeout=1"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("oracle://ada:s3cr3t@h/d", "oracle"),
        ("postgresql://ada:s3cr3t@h:port/d", "percent-encoded"),
        ("postgresql:/ada:s3cr3t@h/d", "postgresql://"),
        ("mysql+pymysql:ada:s3cr3t@h/d", "mysql://"),
        ("sqlite://ada:s3cr3t@h/d", "three slashes"),
        ("", "non-empty|Where"),
        ("redis://:s3cr3t@h", "redis"),
    ],
)
def test_a_url_that_cannot_be_right(url: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words) as caught:
        praison_persist.db(url)
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"pol_size": 3}, "did you mean 'pool_size'"),
        ({"conversation_options": {"max_retry": 1}}, "did you mean 'max_retries'"),
        ({"nonsense": 1}, "nonsense"),
        ({"pool_size": 0}, "at least 1"),
        ({"pool_size": "many"}, "pool_size"),
        ({"table_prefix": "a b"}, "table_prefix"),
        ({"synchronous": "MAYBE"}, "FULL"),
        ({"state_url": "nosuch://h"}, "nosuch"),
        ({"state_backend": "nosuch"}, "Unknown state backend: nosuch"),
        ({"knowledge_backend": "nosuch"}, "Unknown knowledge backend: nosuch"),
        ({"knowledge_url": "nosuch://h"}, "nosuch"),
        ({"database_backend": "nosuch"}, "Unknown conversation backend: nosuch"),
        ({"state_options": {"a": 1}}, "state_options without"),
        ({"knowledge_options": {"a": 1}}, "knowledge_options without"),
        ({"database_backend": "postgres"}, "postgresql"),
    ],
)
def test_an_option_that_cannot_be_right(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        praison_persist.db("sqlite:///x.db", **options)


def test_an_option_whose_store_is_not_clear(tmp_path: Path) -> None:
    """The original gave it to all of them."""
    with pytest.raises(ConfigurationError, match="conversation_options="):
        praison_persist.db(":memory:", state_url="memory://", pool_size=3)


def test_options_of_a_store_that_exists_already(open_db: Open) -> None:
    with pytest.raises(ConfigurationError, match="pool_size"):
        PraisonAIDB(open_db().conversation, pool_size=3)


def test_an_unknown_backend_lists_those_there_are() -> None:
    with pytest.raises(UnknownBackendError, match="'mysql', 'postgres'"):
        praison_persist.db(database_backend="nosuch")


def test_neither_url_nor_store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="PRAISONAI_CONVERSATION_URL"):
        praison_persist.db()
    monkeypatch.setenv("PRAISONAI_CONVERSATION_URL", f"sqlite:///{tmp_path / 'env.db'}")
    with praison_persist.db() as db:
        assert db.database_url.endswith("env.db")


def test_an_object_that_is_no_store() -> None:
    with pytest.raises(ConfigurationError, match="add_message"):
        praison_persist.db(object())


def test_the_option_that_has_no_effect_any_more_is_accepted() -> None:
    with pytest.warns(DeprecationWarning, match="init_retry_cooldown"):
        praison_persist.db(":memory:", init_retry_cooldown=1.0).close()


@pytest.mark.parametrize(
    ("url", "modules", "extra"),
    [
        ("postgresql://h/d", ["psycopg", "asyncpg"], "postgres"),
        ("mysql://h/d", ["pymysql", "MySQLdb", "aiomysql", "asyncmy"], "mysql"),
        ("singlestoredb://h/d", ["sqlalchemy_singlestoredb"], "singlestore"),
    ],
)
def test_a_missing_driver_names_the_extra(url: str, modules: list[str], extra: str) -> None:
    output, _ = run(
        """
        import importlib.util, json
        url, hidden = sys.argv[1], json.loads(sys.argv[2])
        found = importlib.util.find_spec
        importlib.util.find_spec = lambda name, *a: None if name in hidden else found(name, *a)
        sys.modules.update(dict.fromkeys(hidden))
        import praison_persist
        try:
            praison_persist.db(url)
        except praison_persist.MissingDependencyError as error:
            print(error)
        """,
        url,
        json.dumps(modules),
    )
    assert f"pip install 'praison-persist[{extra}]'" in output


@pytest.mark.parametrize("hidden", ["psycopg", "asyncpg"])
def test_one_driver_serves_both_colours(hidden: str, postgres_database: str) -> None:
    output, _ = run(
        """
        import asyncio, importlib.util
        url, hidden = sys.argv[1:]
        found = importlib.util.find_spec
        importlib.util.find_spec = lambda name, *a: None if name == hidden else found(name, *a)
        sys.modules[hidden] = None
        from praison_persist import db

        async def scene(keeper):
            await keeper.aon_user_message(hidden, "async")
            return [message.content for message in await keeper.aget_messages(hidden)]

        with db(url) as keeper:
            keeper.on_user_message(hidden, "sync")
            print(asyncio.run(scene(keeper)))
        """,
        postgres_database,
        hidden,
    )
    assert output == "['sync', 'async']\n"


def test_no_message_and_no_repr_holds_a_password(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    made = [
        praison_persist.db(CLOSED, max_retries=0),
        PostgresDB("127.0.0.1", 9, "db", "ada", SECRET, max_retries=0),
        praison_persist.db(CLOSED, database_backend="async_postgres", max_retries=0),
    ]
    texts: list[str] = []
    for db in made:
        assert "ada" in db.database_url
        with pytest.raises(UnavailableError) as caught:
            db.on_user_message("s", "hi")
        error: BaseException | None = caught.value
        while error is not None:
            texts.append(f"{error!r} {error}")
            error = error.__cause__ or error.__context__
        texts += [repr(db), str(db), repr(db.health()), repr(db.conversation)]
        texts += [repr(db.aconversation), db.check_schema_compatibility()[1]]
        with pytest.raises(UnavailableError):
            db.close()
    texts += [record.getMessage() for record in caplog.records]
    assert not [text for text in texts if SECRET in text or QUOTED in text or "s3cr3t" in text]


def test_the_parts_of_a_postgresql_address_are_quoted() -> None:
    db = PostgresDB("h", 5433, "da ta/base", "ad@a", "a b+c")
    url = db._connected.given.database.target.url
    assert (url.username, url.password, url.host) == ("ad@a", "a b+c", "h")
    assert (url.port, url.database) == (5433, "da ta/base")


@pytest.mark.parametrize(
    "make",
    [
        lambda path: SQLiteDB(path),
        lambda path: SQLiteDB(str(path)),
        lambda path: SQLiteDB(database_url=f"sqlite:///{path}"),
        lambda path: SQLiteDB("ignored.db", f"sqlite:///{path}"),
        lambda path: praison_persist.db.SQLiteDB(path),
        lambda path: praison_persist.db(path),
        lambda path: praison_persist.db(str(path)),
        lambda path: praison_persist.db(database_url=f"sqlite:///{path}"),
        lambda path: praison_persist.db.PraisonAIDB(f"sqlite:///{path}"),
        lambda path: praison_persist.DB(f"sqlite:///{path}"),
        lambda path: praison_persist.PraisonDB(f"sqlite:///{path}"),
    ],
)
def test_each_form_of_a_file_is_the_same_file(make: Any, tmp_path: Path) -> None:
    path = tmp_path / "one.db"
    with make(path) as db:
        db.on_user_message("s", "hi")
    with praison_persist.db(path) as db:
        assert len(db.get_messages("s")) == 1
    assert {found.name for found in tmp_path.iterdir()} <= {"one.db", "one.db-wal", "one.db-shm"}


def test_a_relative_file_stays_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with praison_persist.db("sqlite:///here.db") as db:
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        db.on_user_message("s", "hi")
    assert (tmp_path / "here.db").exists()


def test_adapters_of_one_database_share_its_connections(postgres_database: str) -> None:
    """Twenty idle adapters are not twenty connections."""
    made = [praison_persist.db(postgres_database) for _ in range(20)]
    engines = {id(db._connected.given.database.engines.get().writer) for db in made}
    assert len(engines) == 1
    for db in made[1:]:
        db.close()
    made[0].on_user_message("shared", "hi")
    made[0].close()
