"""CockroachDB: its URLs, what its answers lead to, and what the stand-in for it refuses."""

from __future__ import annotations

import inspect
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

import praison_persist
from praison_persist import (
    ConfigurationError,
    ConversationMessage,
    ConversationSession,
    PraisonAIDB,
    UnavailableError,
)
from praison_persist._adapt import blocking
from praison_persist.config import create_conversation_store, create_state_store, detect_backend
from praison_persist.protocols import ConversationStore, StateStore
from praison_persist.sql import migrate
from praison_persist.sql.dialects import COCKROACHDB, POSTGRESQL
from praison_persist.sql.engines import engine_arguments
from praison_persist.sql.named import (
    AsyncCockroachDBConversationStore,
    CockroachDBConversationStore,
    PostgresConversationStore,
)
from praison_persist.sql.options import SQLOptions
from praison_persist.sql.stores import AsyncSQLConversationStore, SQLConversationStore
from praison_persist.sql.url import parse_url
from praison_persist.state.sql import AsyncSQLStateStore, SQLStateStore

from .servers import administer, engine
from .services.cockroach import AMBIGUOUS, RETRY, VERSION, Cockroach

SECRET = "5ecret"
CLOUD = "free-1.aws-eu-west-1.cockroachlabs.cloud"
COLOURS = ["psycopg", "async-psycopg", "asyncpg"]


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("COCKROACHDB_URL", "PGSSLMODE", "PGSSLROOTCERT"):
        monkeypatch.delenv(name, raising=False)


def connect_arguments(url: str, *, is_async: bool) -> dict[str, Any]:
    """Return what the driver's connect is given, as SQLAlchemy puts it together."""
    target = parse_url(url)
    driver = target.driver(is_async=is_async)
    arguments = engine_arguments(target, driver, SQLOptions())
    _, found = arguments["url"].get_dialect()().create_connect_args(arguments["url"])
    return {**found, **arguments["connect_args"]}


# URLs


@pytest.mark.parametrize(
    "url",
    [
        "cockroachdb://u@h/db",
        "cockroach://u@h:26257/db",
        "crdb+psycopg://u@h/db",
        "cockroachdb+psycopg2://u@h/db",
        "cockroachdb:///db",
        "cockroachdb://u@%2Fsocket/db",
    ],
)
def test_each_scheme_means_its_row_and_its_port(url: str) -> None:
    """libpq goes to PostgreSQL's port."""
    target = parse_url(url)
    assert (target.dialect, target.url.port) == (COCKROACHDB, 26257)
    assert str(target).startswith("cockroachdb://")
    assert connect_arguments(url, is_async=False)["port"] == 26257
    assert detect_backend(url) == "cockroachdb"


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+asyncpg"])
@pytest.mark.parametrize("host", [CLOUD, CLOUD.upper(), "c-1.gcp-us-east1.crdb.io"])
def test_its_hosts_are_known_behind_a_postgresql_url(scheme: str, host: str) -> None:
    """The console shows postgresql://, and SQLAlchemy would fail at the version."""
    url = f"{scheme}://u:{SECRET}@{host}/defaultdb"
    target = parse_url(url)
    assert (target.dialect, target.url.port) == (COCKROACHDB, 26257)
    store = PostgresConversationStore(url)
    assert store.database.target.dialect is COCKROACHDB
    assert SECRET not in repr(store)


def test_other_hosts_are_not_taken_for_it() -> None:
    for host in ("cockroachlabs.cloud.example.org", "mycockroachlabs.cloud", "localhost"):
        assert parse_url(f"postgresql://u@{host}/db").dialect is POSTGRESQL


def test_several_nodes() -> None:
    found = connect_arguments("cockroachdb://u@a,b:1/db", is_async=False)
    assert (found["host"], found["port"]) == ("a,b", "26257,1")


def test_the_class_takes_the_url_that_the_database_shows() -> None:
    """`cockroach start` prints postgresql://, whatever the host."""
    url = f"postgresql://root:{SECRET}@localhost:26257/defaultdb?sslmode=disable"
    for make in (CockroachDBConversationStore, AsyncCockroachDBConversationStore):
        for given in (url, sa.make_url(url), url.replace("sql:", "sql+psycopg:")):
            target = make(given).database.target
            assert (target.dialect, target.query["sslmode"]) == (COCKROACHDB, "disable")
            assert target.url.password == SECRET
        written = make(url.replace("sql:", "sql+psycopg:")).database.target
        assert written.written_driver == "psycopg"
        assert str(make(password=SECRET).database.target) == (
            "cockroachdb://root:***@localhost:26257/defaultdb"
        )
        with pytest.raises(ConfigurationError, match="postgresql://"):
            make("mysql://u@h/db")
    with pytest.raises(ConfigurationError, match="one of postgresql"):
        PostgresConversationStore("mysql://u@h/db")


@pytest.mark.parametrize("name", ["cockroachdb", "cockroach", "crdb"])
def test_the_names_of_praisonai(name: str) -> None:
    url = f"postgresql://u:{SECRET}@localhost/db"
    assert isinstance(create_conversation_store(name, url), CockroachDBConversationStore)
    native = create_conversation_store(name, url, "async")
    assert isinstance(native, AsyncCockroachDBConversationStore)
    assert isinstance(create_state_store(name, f"{name}://u@h/db"), SQLStateStore)


def test_the_adapter_reads_its_url_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    adapter = praison_persist.CockroachDB
    assert praison_persist.db.CockroachDB is adapter
    assert issubclass(adapter, PraisonAIDB)
    assert list(inspect.signature(adapter).parameters) == ["database_url", "options"]
    with pytest.raises(ConfigurationError, match="COCKROACHDB_URL"):
        adapter()
    monkeypatch.setenv("COCKROACHDB_URL", f"postgresql://u:{SECRET}@{CLOUD}/db")
    with adapter() as found:
        assert f"cockroachdb://u:***@{CLOUD}:26257/db" in repr(found)


def test_an_adapter_resumes(cockroach: Cockroach) -> None:
    """The class is where people begin, with the URL that the database printed."""
    url = cockroach.url.replace("cockroachdb:", "postgresql:")
    for expected in ([], ["hello"]):
        with praison_persist.CockroachDB(url) as adapter:
            found = adapter.on_agent_start("Assistant", "trip", "ada")
            assert [message.content for message in found] == expected
            adapter.on_user_message("trip", "hello")
            adapter.update_state("trip", {"step": len(expected)})
            assert adapter.get_state("trip") == {"step": len(expected)}
    with SQLConversationStore(cockroach.url) as store:
        assert [message.seq for message in store.get_messages("trip")] == [1, 2]


# TLS of its cloud


@pytest.mark.parametrize("query", ["", "?sslmode=verify-full"])
def test_the_server_of_a_cloud_is_verified(query: str) -> None:
    """Both drivers would look for a file that nobody has made."""
    url = f"postgresql://u@{CLOUD}/db{query}"
    sync = connect_arguments(url, is_async=False)
    assert (sync["sslmode"], sync["sslrootcert"]) == ("verify-full", "system")
    context = connect_arguments(url, is_async=True)["ssl"]
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


def test_root_certificates_that_were_chosen_are_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A dedicated cluster has an authority of its own."""
    url = f"postgresql://u@{CLOUD}/db?sslmode=verify-full"
    named = f"{url}&sslrootcert=/ca.crt"
    assert connect_arguments(named, is_async=False)["sslrootcert"] == "/ca.crt"
    native = connect_arguments(named, is_async=True)
    assert native["ssl"] == "verify-full"
    assert native["dsn"] == "postgresql://?sslrootcert=%2Fca.crt"

    def chosen() -> bool:
        sync = connect_arguments(url, is_async=False)
        native = connect_arguments(url, is_async=True)
        return (sync["sslrootcert"], native["ssl"]) == (None, "verify-full")

    assert not chosen()
    monkeypatch.setenv("PGSSLROOTCERT", "/ca.crt")
    assert chosen()
    monkeypatch.delenv("PGSSLROOTCERT")
    (tmp_path / ".postgresql").mkdir()
    (tmp_path / ".postgresql" / "root.crt").touch()
    assert chosen()


@pytest.mark.parametrize("mode", ["disable", "require"])
def test_the_tls_that_a_url_asks_for_wins(mode: str) -> None:
    url = f"postgresql://u@{CLOUD}/db?sslmode={mode}"
    sync = connect_arguments(url, is_async=False)
    # libpq refuses "system" beside a mode that does not verify.
    assert (sync["sslmode"], sync["sslrootcert"]) == (mode, None)
    assert connect_arguments(url, is_async=True)["ssl"] == mode


@pytest.mark.parametrize("colour", ["psycopg", "asyncpg"])
def test_the_cluster_option_arrives(cockroach: Cockroach, colour: str) -> None:
    """A shared endpoint tells by it whose data are meant."""
    cockroach.options.clear()
    url = f"{cockroach.url}?options=--cluster%3Dmine-1"
    with opened(url, colour)[0] as store:
        store.get_session("unknown")
    assert "--cluster=mine-1" in cockroach.options


# The wrong scheme


@pytest.mark.parametrize("driver", ["psycopg", "asyncpg"])
def test_a_server_of_ones_own_is_told_from_postgresql(cockroach: Cockroach, driver: str) -> None:
    """SQLAlchemy fails with an AssertionError at the version."""
    url = cockroach.url.replace("cockroachdb:", f"postgresql+{driver}:")
    with pytest.raises(ConfigurationError, match="write cockroachdb://"):
        migrate.upgrade(url)
    store: Any = (
        blocking(AsyncSQLConversationStore(url), ConversationStore)
        if driver == "asyncpg"
        else SQLConversationStore(url)
    )
    with store, pytest.raises(ConfigurationError, match="write cockroachdb://"):
        store.get_session("unknown")


# Failures: the whole operation is done again, and nothing is there twice


def opened(url: str, colour: str, **options: Any) -> tuple[ConversationStore, StateStore]:
    """Open both stores on a driver, as sync ones."""
    options = {"retry_delay": 0.01, **options}
    if colour == "psycopg":
        return SQLConversationStore(url, **options), SQLStateStore(url, **options)
    url = url.replace("cockroachdb:", f"cockroachdb+{colour.removeprefix('async-')}:")
    conversation = AsyncSQLConversationStore(url, **options)
    state = AsyncSQLStateStore(url, **options)
    return blocking(conversation, ConversationStore), blocking(state, StateStore)


@pytest.fixture(params=COLOURS)
def stores(
    request: pytest.FixtureRequest, cockroach: Cockroach
) -> Iterator[tuple[ConversationStore, StateStore]]:
    conversation, state = opened(cockroach.url, request.param)
    with conversation, state:
        conversation.get_session("unknown")  # the tables are there
        cockroach.commits.clear()
        yield conversation, state


Stores = tuple[ConversationStore, StateStore]


def append(stores: Stores) -> list[tuple[int | None, str | None]]:
    """Append a batch and a message; return all that is in the session then."""
    conversation, _ = stores
    session_id = conversation.ensure_session(ConversationSession()).session_id
    said = [ConversationMessage(role="user", content=str(number)) for number in range(3)]
    conversation.add_messages(session_id, said[:2])
    conversation.add_message(session_id, said[2])
    return [(message.seq, message.content) for message in conversation.get_messages(session_id)]


def count(stores: Stores) -> list[int]:
    """Count up three times; return what was answered, and what is there then."""
    _, state = stores
    key = f"count-{ConversationSession().session_id}"
    answers = [state.incr(key), state.incr(key, 10), state.incr(key)]
    return [*answers, state.get(key)]


@pytest.mark.parametrize(
    ("work", "result"), [(append, [(1, "0"), (2, "1"), (3, "2")]), (count, [1, 11, 12, 12])]
)
@pytest.mark.parametrize("after", [0, 1, 2])
@pytest.mark.parametrize(
    ("error", "committed"), [(RETRY, False), (AMBIGUOUS, False), (AMBIGUOUS, True)]
)
def test_what_a_commit_did_not_do_is_done_once(
    cockroach: Cockroach,
    stores: Stores,
    work: Callable[[Stores], Any],
    result: Any,
    after: int,
    error: tuple[str, str],
    committed: bool,
) -> None:
    """A message is lost, or is there twice; a counter counts twice."""
    cockroach.fail_commit(error, committed=committed, after=after)
    assert work(stores) == result
    assert cockroach.commits.count(error[0]) == 1


def test_a_conflict_that_does_not_end_is_reported(cockroach: Cockroach) -> None:
    for _ in range(3):
        cockroach.fail_commit(RETRY)
    with opened(cockroach.url, "psycopg", max_retries=2)[0] as store:
        with pytest.raises(UnavailableError, match="restart transaction") as caught:
            store.create_session(ConversationSession())
        assert caught.value.attempts == 3
    assert SECRET not in str(caught.value)


def test_more_tries_than_elsewhere() -> None:
    """Three are too few where every transaction is serializable."""
    assert CockroachDBConversationStore().database.options.max_retries == 8
    assert CockroachDBConversationStore(max_retries=1).database.options.max_retries == 1
    hosted = PostgresConversationStore(f"postgresql://u@{CLOUD}/db").database.options
    assert (hosted.max_retries, hosted.retry_delay, hosted.pool_recycle) == (8, 0.1, 280.0)


# The stand-in


REFUSED = [
    ("SELECT pg_advisory_lock(1)", "42883"),
    ("SELECT pg_try_advisory_xact_lock(1)", "42883"),
    ("LISTEN channel", "0A000"),
    ("NOTIFY channel", "0A000"),
    ("LOCK TABLE praison_sessions", "0A000"),
    ('CREATE TABLE refused (id TEXT COLLATE "C")', "42601"),
]


@pytest.mark.parametrize(("statement", "code"), REFUSED)
def test_the_stand_in_refuses(cockroach: Cockroach, statement: str, code: str) -> None:
    with pytest.raises(DBAPIError) as caught:
        administer(cockroach.url, statement)
    assert getattr(caught.value.orig, "sqlstate", None) == code


def test_the_stand_in_lets_transactions_lose(cockroach: Cockroach) -> None:
    """PostgreSQL's default lets the second one write over what it has not seen."""
    administer(cockroach.url, "CREATE TABLE seen (n INT)", "INSERT INTO seen VALUES (1)")
    own = engine(cockroach.url)
    with own.connect() as first, own.connect() as second:
        assert first.scalar(sa.text("SELECT n FROM seen")) == 1
        second.execute(sa.text("UPDATE seen SET n = n + 1"))
        second.commit()
        with pytest.raises(DBAPIError) as caught:
            first.execute(sa.text("UPDATE seen SET n = n + 1"))
        assert getattr(caught.value.orig, "sqlstate", None) == "40001"


def test_the_stand_in_differs(cockroach: Cockroach) -> None:
    own = engine(cockroach.url)
    with own.connect() as connection:
        assert connection.scalar(sa.text("SELECT version()")) == VERSION
        assert connection.scalar(sa.text("SHOW transaction_isolation")) == "serializable"
        with pytest.raises(DBAPIError) as caught:
            connection.execute(sa.text("CREATE TABLE refused (id INT)"))
        assert getattr(caught.value.orig, "sqlstate", None) == "0A000"
    own.dispose()
    administer(cockroach.url, "CREATE TABLE documents (id INT PRIMARY KEY, d JSON)")
    administer(cockroach.url, """INSERT INTO documents VALUES (1, '{"b": 1, "a": 2, "b": 3}')""")
    [(found,)] = administer(cockroach.url, "SELECT d::text FROM documents")
    assert found == '{"a": 2, "b": 3}'  # which is why no column of ours has the type
