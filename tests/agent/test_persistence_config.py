"""Configurations: from the environment, dicts and YAML; nothing is dropped, nothing leaks."""

from __future__ import annotations

import builtins
import logging
import sys
from pathlib import Path
from typing import Any

import pytest

import praison_persist
from praison_persist import (
    ENV_VARS,
    ConfigurationError,
    MissingDependencyError,
    PersistenceConfig,
    SchemaError,
    UnavailableError,
    create_stores_from_config,
    get_env_var,
    list_available_backends,
)
from praison_persist._environment import own_variable
from praison_persist.available import driver_modules
from praison_persist.backends import CONVERSATION, KNOWLEDGE, STATE
from praison_persist.configured_stores import as_sync
from praison_persist.registry import Backend
from tests.programs import ROOT

from .processes import run

SECRET = "s3cr@t;&x"
URL = f"postgresql://ada:{SECRET}@db.example:5432/agents?sslmode=require"


@pytest.mark.parametrize("prefix", ["PRAISON_", "PRAISONAI_"])
@pytest.mark.parametrize(
    ("variable", "field", "value", "found"),
    [
        ("CONVERSATION_STORE", "conversation_store", "sqlite", "sqlite"),
        ("CONVERSATION_URL", "conversation_url", "sqlite:///c.db", "sqlite:///c.db"),
        ("KNOWLEDGE_STORE", "knowledge_store", "chroma", "chroma"),
        ("KNOWLEDGE_URL", "knowledge_url", "qdrant://x", "qdrant://x"),
        ("STATE_STORE", "state_store", "memory", "memory"),
        ("STATE_URL", "state_url", "redis://x", "redis://x"),
        ("SESSION_ID", "session_id", "s", "s"),
        ("USER_ID", "user_id", "u", "u"),
        ("AUTO_CREATE_TABLES", "auto_create_tables", "no", False),
        ("LAZY_INIT", "lazy_init", "FALSE", False),
    ],
)
def test_each_variable_is_read(
    monkeypatch: pytest.MonkeyPatch, prefix: str, variable: str, field: str, value: str, found: Any
) -> None:
    assert getattr(PersistenceConfig.from_env(), field) == getattr(PersistenceConfig(), field)
    monkeypatch.setenv(prefix + variable, value)
    assert getattr(PersistenceConfig.from_env(), field) == found


def test_each_declared_variable_is_read_somewhere() -> None:
    """Those that the configuration does not read, by the store they belong to."""
    source = "".join(
        path.read_text(encoding="utf-8")
        for path in (ROOT / "praison_persist").rglob("*.py")
        if path.name != "_environment.py"
    )
    of_kinds = {
        f"PRAISON_{kind}_{what}"
        for kind in ("CONVERSATION", "KNOWLEDGE", "STATE")
        for what in ("STORE", "URL")
    }
    unread = [
        variable
        for variable in ENV_VARS.values()
        if f'"{variable.removeprefix("PRAISON_")}"' not in source and variable not in of_kinds
    ]
    assert unread == []


def test_prefixes_that_differ_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRAISON_CONVERSATION_URL", "sqlite:///one.db")
    monkeypatch.setenv("PRAISONAI_CONVERSATION_URL", "sqlite:///one.db")
    assert own_variable("CONVERSATION_URL") == "sqlite:///one.db"
    monkeypatch.setenv("PRAISONAI_CONVERSATION_URL", f"sqlite:///{SECRET}.db")
    for read in (PersistenceConfig.from_env, praison_persist.db):
        with pytest.raises(ConfigurationError, match="PRAISONAI_CONVERSATION_URL") as raised:
            read()
        assert SECRET not in str(raised.value)
    monkeypatch.setenv("PRAISON_CONVERSATION_URL", "")
    assert own_variable("CONVERSATION_URL") == f"sqlite:///{SECRET}.db"


def test_either_prefix_is_read_for_an_adapter(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PRAISON_CONVERSATION_URL", f"sqlite:///{tmp_path / 'a.db'}")
    with praison_persist.db() as made:
        assert made.database_url.endswith("a.db")


def test_a_variable_by_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRAISONAI_STATE_URL", "redis://x")
    monkeypatch.setenv("POSTGRES_URL", "postgresql://x/y")
    monkeypatch.setenv("SOME_THING", "1")
    assert get_env_var("state_url") == "redis://x"
    assert get_env_var("postgres_url") == "postgresql://x/y"
    assert get_env_var("some_thing") == "1"
    assert get_env_var("session_id") is None
    assert get_env_var("session_id", "mine") == "mine"


def test_a_url_of_a_vendor_alone_yields_a_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTGRES_URL", "postgresql://ada@127.0.0.1:1/x")
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1")
    config = PersistenceConfig.from_env()
    assert config.named("knowledge") == (None, None)
    stores = create_stores_from_config(config)
    assert type(stores["conversation"]).__name__ == "PostgresConversationStore"
    assert type(stores["state"]).__name__ == "RedisStateStore"
    assert stores["knowledge"] is None
    for kind in ("conversation", "state"):
        stores[kind].close()
    monkeypatch.setenv("QDRANT_URL", "http://127.0.0.1:6333")
    assert PersistenceConfig.from_env().knowledge_url == "http://127.0.0.1:6333"


def test_a_url_of_a_vendor_is_not_given_to_another_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTGRES_URL", "postgresql://ada@127.0.0.1:1/x")
    monkeypatch.setenv("PRAISON_CONVERSATION_STORE", "sqlite")
    assert PersistenceConfig.from_env().conversation_url is None
    monkeypatch.setenv("PRAISON_CONVERSATION_STORE", "postgres")
    assert PersistenceConfig.from_env().conversation_url == "postgresql://ada@127.0.0.1:1/x"
    monkeypatch.setenv("PRAISON_CONVERSATION_URL", "postgresql://other/x")
    assert PersistenceConfig.from_env().conversation_url == "postgresql://other/x"


@pytest.mark.parametrize(
    ("store", "variable"),
    [
        ("neon", "NEON_DATABASE_URL"),
        ("Xata", "XATA_DATABASE_URL"),
        ("crdb", "COCKROACHDB_URL"),
        ("async_cockroachdb", "COCKROACHDB_URL"),
        ("asyncpg", "POSTGRES_URL"),
        ("libsql", "TURSO_DATABASE_URL"),
    ],
)
def test_a_database_that_is_only_named_is_where_its_own_variable_says(
    monkeypatch: pytest.MonkeyPatch, store: str, variable: str
) -> None:
    """Not on this machine, and not where another vendor's variable says."""
    monkeypatch.setenv("POSTGRES_URL", "postgresql://other/x")
    monkeypatch.setenv(variable, "postgresql://its.own/x")
    monkeypatch.setenv("PRAISON_CONVERSATION_STORE", store)
    assert PersistenceConfig.from_env().conversation_url == "postgresql://its.own/x"


def test_a_replica(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRAISON_CONVERSATION_REPLICA_URL", "postgresql://replica/x")
    assert PersistenceConfig.from_env().conversation_options == {
        "replica_url": "postgresql://replica/x"
    }


@pytest.mark.parametrize("variable", ["AUTO_CREATE_TABLES", "LAZY_INIT"])
def test_a_truth_value_that_is_none(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(f"PRAISON_{variable}", "perhaps")
    with pytest.raises(ConfigurationError, match=variable):
        PersistenceConfig.from_env()


def test_a_dict() -> None:
    data = {"conversation_url": URL, "state_options": {"a": 1}, "lazy_init": False}
    config = PersistenceConfig.from_dict(data)
    assert config == PersistenceConfig(
        conversation_url=URL, state_options={"a": 1}, lazy_init=False
    )
    assert PersistenceConfig.from_dict(config.to_dict(include_secrets=True)) == config
    config.state_options["b"] = 2
    assert data["state_options"] == {"a": 1}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"conversation_ulr": "x"}, "'conversation_ulr' .did you mean 'conversation_url'"),
        ({"nothing_like_it": 1, "x": 2}, "'nothing_like_it', 'x'"),
        ({1: 2}, "keys: 1"),
        ({"conversation_url": 7}, "conversation_url must be a string, not a int"),
        ({"state_options": "x"}, "state_options must be a mapping"),
        ({"lazy_init": "yes"}, "lazy_init must be true or false"),
        (["conversation_url"], "not a list"),
    ],
)
def test_a_dict_that_cannot_be_right(data: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        PersistenceConfig.from_dict(data)


@pytest.mark.parametrize("root", ["", "persistence:\n  "])
def test_yaml(tmp_path: Path, root: str) -> None:
    path = tmp_path / "config.yaml"
    indent = "  " if root else ""
    path.write_text(
        f"{root}conversation_store: sqlite\n{indent}conversation_url: 'sqlite:///x.db'\n"
        f"{indent}conversation_options:\n{indent}  table_prefix: my_\n",
        encoding="utf-8",
    )
    for named in (path, str(path)):
        assert PersistenceConfig.from_yaml(named) == PersistenceConfig(
            "sqlite", "sqlite:///x.db", {"table_prefix": "my_"}
        )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("conversation_url: [s3cr@t", "line 1 is no YAML"),
        ("persistence:\n  nosuch: 1", "'nosuch'"),
        ("- conversation_url", "not a list"),
        ("persistence: 7", "not a int"),
    ],
)
def test_yaml_that_cannot_be_right(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=message) as raised:
        PersistenceConfig.from_yaml(path)
    assert "s3cr" not in str(raised.value)
    assert raised.value.__cause__ is None


def test_empty_yaml_is_no_store(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.touch()
    assert PersistenceConfig.from_yaml(path) == PersistenceConfig()


def test_yaml_without_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "config.yaml"
    path.touch()
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(MissingDependencyError, match=r"praison-persist\[yaml\]"):
        PersistenceConfig.from_yaml(path)


def test_nothing_shown_has_a_secret() -> None:
    config = PersistenceConfig(
        conversation_url=URL,
        conversation_options={"password": SECRET, "nested": {"api_key": SECRET}, "pool_size": 5},
        knowledge_url="AccountEndpoint=https://x.example/;AccountKey=s3cr@t==;",
        knowledge_options={"hosts": [f"redis://:{SECRET}@h"], "credentials": {"token": SECRET}},
        state_url=f"redis://:{SECRET}@cache:6379/0?password={SECRET}",
        state_options={
            "headers": {"Authorization": f"Bearer {SECRET}"},
            "password": 31337,
            "dsn": f"host=h password = {SECRET}",
        },
    )
    for shown in (repr(config), str(config.to_dict()), f"{config}"):
        assert "s3cr" not in shown
        assert "@t" not in shown
        assert "31337" not in shown, "YAML reads such a password as a number"
        assert "db.example:5432/agents" in shown
        assert "'pool_size': 5" in shown
    assert config.to_dict(include_secrets=True)["conversation_url"] == URL


def test_what_cannot_be_right_is_said_before_anything_is_created(
    caplog: pytest.LogCaptureFixture,
) -> None:
    config = PersistenceConfig(
        conversation_store="postgers",
        knowledge_url="nosuch://x",
        state_options={"a": 1},
    )
    with caplog.at_level(logging.ERROR):
        assert not config.validate()
    assert len(caplog.records) == len(config.problems()) == 3
    with pytest.raises(ConfigurationError) as raised:
        create_stores_from_config(config)
    for part in ("did you mean 'postgres'", "nosuch", "state_options without"):
        assert part in str(raised.value)
    assert PersistenceConfig().validate()
    assert PersistenceConfig(conversation_store="neon", state_store="memory").validate()


def test_stores_of_a_mapping(tmp_path: Path) -> None:
    stores = create_stores_from_config(
        {
            "conversation_store": "sqlite",
            "conversation_url": str(tmp_path / "c.db"),
            "conversation_options": {"mode": "async", "table_prefix": "my_"},
            "state_store": "memory",
        }
    )
    assert list(stores) == ["conversation", "knowledge", "state"]
    assert type(stores["conversation"]).__name__ == "AsyncSQLiteConversationStore"
    assert stores["conversation"].database.options.table_prefix == "my_"
    stores["state"].close()


def test_tables_are_not_created_unless_wanted(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'c.db'}"
    stores = create_stores_from_config(
        PersistenceConfig(conversation_url=url, auto_create_tables=False)
    )
    with pytest.raises(SchemaError, match="db upgrade"), stores["conversation"] as store:
        store.list_sessions()


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_connecting_at_once(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "c.db"
    config = PersistenceConfig(
        conversation_url=f"sqlite:///{path}", conversation_options={"mode": mode}, lazy_init=False
    )
    stores = create_stores_from_config(config)
    assert path.exists()
    as_sync("conversation", stores["conversation"]).close()
    unreachable = PersistenceConfig(
        conversation_url=f"sqlite:///{path}",
        state_url="redis://127.0.0.1:1",
        state_options={"max_retries": 0},
        lazy_init=False,
    )
    with pytest.raises(UnavailableError):
        create_stores_from_config(unreachable)
    lazy = create_stores_from_config(
        PersistenceConfig(state_url="redis://127.0.0.1:1", state_options={"max_retries": 0})
    )
    lazy["state"].close()


def test_available_backends_are_found_without_importing_them() -> None:
    output, _ = run(
        """
        from praison_persist import list_available_backends
        found = list_available_backends()
        assert found["conversation"]["sqlite"] and found["state"]["memory"], found
        assert found["conversation"]["neon"] == found["conversation"]["postgres"]
        heavy = {"sqlalchemy", "psycopg", "redis", "boto3", "pymongo", "qdrant_client", "chromadb"}
        print(sorted(found), sorted(heavy & set(sys.modules)))
        """
    )
    assert output == "['conversation', 'knowledge', 'state'] []\n"


def test_a_backend_whose_driver_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def find(name: str) -> object | None:
        if name == "azure.cosmos":
            raise ModuleNotFoundError(name)
        return None if name in ("psycopg", "qdrant_client") else object()

    monkeypatch.setattr("praison_persist.available.find_spec", find)
    found = list_available_backends()
    assert not found["conversation"]["postgres"]
    assert not found["conversation"]["xata"]
    assert found["conversation"]["async_postgres"]
    assert not found["knowledge"]["qdrant"]
    assert not found["knowledge"]["cosmosdb"]
    assert found["knowledge"]["sql"]


@pytest.mark.filterwarnings("ignore::FutureWarning")  # of vendors, of versions to come
@pytest.mark.parametrize("row", [*CONVERSATION, *KNOWLEDGE, *STATE], ids=lambda row: row.name)
def test_each_backend_says_what_it_needs(row: Backend) -> None:
    """What is said to be usable can be imported, and what is not cannot."""
    modules = driver_modules(row)
    assert bool(modules) == (bool(row.extra) and row.extra != "turso")
    usable = all(_can_import(module) for module in modules)
    module, _, attribute = row.path.partition(":")
    try:
        getattr(builtins.__import__(module, fromlist=[attribute]), attribute)
    except ImportError:
        assert not usable


def _can_import(module: str) -> bool:
    try:
        builtins.__import__(module)
    except ImportError:
        return False
    return True
