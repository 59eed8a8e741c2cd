"""What hosted services and poolers need is known from the URL; what its writer says wins."""

from __future__ import annotations

import asyncio
import inspect
import logging
import ssl
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import praison_persist
from praison_persist import ConfigurationError, ConversationSession, PraisonAIDB, UnavailableError
from praison_persist._retry import RetryPolicy
from praison_persist.config import create_conversation_store
from praison_persist.sql.dialects import MYSQL
from praison_persist.sql.engines import engine_arguments
from praison_persist.sql.options import SQLOptions
from praison_persist.sql.stores import AsyncSQLConversationStore, SQLConversationStore
from praison_persist.sql.url import parse_url
from praison_persist.state.sql import AsyncSQLStateStore, SQLStateStore

from .servers import OwnPostgres

SECRET = "5ecret"
NEON = "ep-cool-1.eu-central-1.aws.neon.tech/db"
POOLED = "ep-cool-1-pooler.eu-central-1.aws.neon.tech/db"
PLANETSCALE = "aws.connect.psdb.cloud/db"
AIVEN = "service-project.e.aivencloud.com:12345/defaultdb"
HOSTED = [
    f"postgresql://u:{SECRET}@{NEON}",
    f"postgresql://u:{SECRET}@{POOLED}",
    f"postgresql://u:{SECRET}@us-east-1.sql.xata.sh/db:main",
    f"postgresql://u:{SECRET}@branch.eu.xata.io/db",
    f"postgresql://u:{SECRET}@db.abcdef.supabase.co:5432/postgres",
    f"postgresql://u.abcdef:{SECRET}@aws-0-eu-west-1.pooler.supabase.com:6543/postgres",
    f"postgresql://u:{SECRET}@{AIVEN}",
    f"mysql://u:{SECRET}@{PLANETSCALE}",
    f"mysql://u:{SECRET}@{AIVEN}",
]
ELSEWHERE = [
    "postgresql://u@localhost/db",
    "postgresql://u@neon.tech.example.org/db",
    "postgresql://u@notneon.tech/db",
    "postgresql://u@/db?host=/run/postgresql",
    "mysql://u@db.example.org/db",
]
POOLED_PSYCOPG = {"prepare_threshold": None}
POOLED_ASYNCPG = {"statement_cache_size": 0, "prepared_statement_cache_size": 0}


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PGSSLMODE", "NEON_DATABASE_URL", "XATA_DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)


def connect_arguments(url: str, *, is_async: bool) -> dict[str, Any]:
    """Return what the driver's connect is given, as SQLAlchemy puts it together."""
    target = parse_url(url)
    driver = target.driver(is_async=is_async)
    arguments = engine_arguments(target, driver, SQLOptions())
    _, found = arguments["url"].get_dialect()().create_connect_args(arguments["url"])
    return {**found, **arguments["connect_args"]}


# TLS


@pytest.mark.parametrize("url", [url for url in HOSTED if url.startswith("postgresql")])
def test_a_hosted_postgresql_is_reached_over_tls(url: str) -> None:
    """libpq's default sends the password in the clear where TLS cannot be agreed on."""
    assert connect_arguments(url, is_async=False)["sslmode"] == "require"
    assert connect_arguments(url, is_async=True)["ssl"] == "require"
    written = url.replace("postgresql:", "postgresql+psycopg:")
    assert connect_arguments(written, is_async=True)["sslmode"] == "require"


@pytest.mark.parametrize("is_async", [False, True])
def test_the_certificate_of_planetscale_is_verified(is_async: bool) -> None:
    """Whoever is in between reads the password."""
    context = connect_arguments(f"mysql://u@{PLANETSCALE}", is_async=is_async)["ssl"]
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


@pytest.mark.parametrize("is_async", [False, True])
def test_a_hosted_mysql_with_an_authority_of_its_own_is_encrypted(is_async: bool) -> None:
    """A context that verifies refuses the certificate of every project."""
    context = connect_arguments(f"mysql://u@{AIVEN}", is_async=is_async)["ssl"]
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_NONE, False)


@pytest.mark.parametrize("mode", ["disable", "prefer", "verify-full"])
def test_the_tls_that_a_url_asks_for_wins(mode: str) -> None:
    """A default that cannot be changed makes a local proxy unreachable."""
    url = f"postgresql://u@{NEON}?sslmode={mode}"
    assert connect_arguments(url, is_async=False)["sslmode"] == mode
    native = connect_arguments(url, is_async=True)
    assert (native["ssl"], "sslmode" in native) == (mode, False)


def test_a_root_certificate_in_the_url_is_used_to_verify() -> None:
    """With "require" the name of the server is not compared with its certificate."""
    url = f"postgresql://u@{AIVEN}?sslrootcert=/ca.pem"
    assert connect_arguments(url, is_async=False)["sslmode"] == "verify-full"
    assert connect_arguments(url, is_async=True)["ssl"] == "verify-full"


@pytest.mark.parametrize(
    ("asked", "expected"),
    [("verify-full", "verify-full"), ("verify-ca", "verify-ca"), ("disable", "require")],
)
def test_the_environment_makes_tls_stricter_only(
    monkeypatch: pytest.MonkeyPatch, asked: str, expected: str
) -> None:
    """What was set for a local server lets a password to a hosted one out."""
    monkeypatch.setenv("PGSSLMODE", asked)
    assert connect_arguments(f"postgresql://u@{NEON}", is_async=False)["sslmode"] == expected
    assert connect_arguments(f"postgresql://u@{NEON}", is_async=True)["ssl"] == expected


def test_certificates_named_in_a_mysql_url_win() -> None:
    """The authority that the user trusts is not asked."""
    arguments = connect_arguments(f"mysql://u@{AIVEN}?ssl_ca=/ca.pem", is_async=False)
    assert arguments["ssl"] == {"ca": "/ca.pem"}


@pytest.mark.parametrize(
    "url",
    [
        f"mysql://u@{PLANETSCALE}?sslaccept=strict",
        f"mysql://u@{PLANETSCALE}?ssl=true",
        f"mysql://u@{PLANETSCALE}?ssl=%7B%22rejectUnauthorized%22%3Atrue%7D",
        f"mysql://u@{AIVEN}?ssl-mode=REQUIRED",
    ],
)
@pytest.mark.parametrize("is_async", [False, True])
def test_the_url_that_a_service_shows_is_understood(url: str, is_async: bool) -> None:
    """It has a word of another client, which the driver takes for an error."""
    arguments = connect_arguments(url, is_async=is_async)
    assert isinstance(arguments["ssl"], ssl.SSLContext)
    assert not arguments.keys() & {"sslaccept", "ssl-mode"}


@pytest.mark.parametrize("word", ["ssl-mode=DISABLED", "ssl-mode=VERIFY_CA"])
def test_a_word_that_asks_for_something_else_is_not_dropped(word: str) -> None:
    """A server that was to be verified is not, without a word."""
    with (
        SQLConversationStore(f"mysql://u@{AIVEN}?{word}", max_retries=0) as store,
        pytest.raises(ConfigurationError, match="ssl-mode"),
    ):
        store.connect()


# Poolers


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://u@{POOLED}",
        f"postgresql://u@{NEON}?pgbouncer=true",
        f"postgresql://u@{POOLED.upper()}",
        "postgresql://u@aws-0-eu-west-1.pooler.supabase.com:6543/postgres",
        "postgresql://u@db.abcdef.supabase.co:6543/postgres",
        "postgresql://u@localhost:6432/db?pgbouncer=true",
    ],
)
def test_nothing_is_prepared_on_a_server_that_is_shared(url: str) -> None:
    """ "prepared statement does not exist": the next transaction is on another connection."""
    sync = connect_arguments(url, is_async=False)
    assert POOLED_PSYCOPG.items() <= sync.items()
    assert "pgbouncer" not in sync
    native = connect_arguments(url, is_async=True)
    assert POOLED_ASYNCPG.items() <= native.items()
    assert native["prepared_statement_name_func"]() == ""
    assert "pgbouncer" not in native
    written = url.replace("postgresql:", "postgresql+psycopg:")
    assert POOLED_PSYCOPG.items() <= connect_arguments(written, is_async=True).items()


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://u@{NEON}",
        f"postgresql://u@{POOLED}?pgbouncer=false",
        "postgresql://u@aws-0-eu-west-1.pooler.supabase.com:5432/postgres",
        "postgresql://u@localhost:6543/db",
        *ELSEWHERE[:4],
    ],
)
def test_a_session_of_ones_own_prepares(url: str) -> None:
    """Every statement is parsed and planned again, for nothing."""
    for is_async in (False, True):
        arguments = connect_arguments(url, is_async=is_async)
        assert not arguments.keys() & {*POOLED_PSYCOPG, *POOLED_ASYNCPG, "pgbouncer"}


def test_statement_caches_that_a_url_asks_for_win() -> None:
    """A pooler that keeps prepared statements is used without them."""
    sync = connect_arguments(f"postgresql://u@{POOLED}?prepare_threshold=3", is_async=False)
    assert sync["prepare_threshold"] == 3
    query = "statement_cache_size=50&prepared_statement_cache_size=60"
    native = connect_arguments(f"postgresql://u@{POOLED}?{query}", is_async=True)
    assert (native["statement_cache_size"], native["prepared_statement_cache_size"]) == (50, 60)


# Options


@pytest.mark.parametrize("url", HOSTED)
@pytest.mark.parametrize(
    "make", [SQLConversationStore, AsyncSQLConversationStore, SQLStateStore, AsyncSQLStateStore]
)
def test_a_hosted_database_is_given_time_to_wake_up(url: str, make: Any) -> None:
    """The first call after a pause fails, and each connection that the service ended."""
    options = make(url).database.options
    assert options.pool_pre_ping
    assert options.pool_recycle < 300
    shortest = RetryPolicy(options.max_retries, options.retry_delay, uniform=lambda low, _high: low)
    assert sum(shortest.delays()) > 15


@pytest.mark.parametrize("url", ELSEWHERE)
def test_other_databases_keep_their_defaults(url: str) -> None:
    """A server that is down is waited for as if it were asleep, or TLS is asked of a socket."""
    assert SQLConversationStore(url).database.options == SQLOptions()
    for is_async in (False, True):
        arguments = connect_arguments(url, is_async=is_async)
        assert not arguments.keys() & {"sslmode", "ssl"}
        assert 30 not in (arguments.get("connect_timeout"), arguments.get("timeout"))


@pytest.mark.parametrize("url", HOSTED)
def test_the_options_of_the_user_win(url: str) -> None:
    """An option is taken and has no effect."""
    given: dict[str, Any] = {
        "max_retries": 0,
        "retry_delay": 0.01,
        "pool_pre_ping": False,
        "pool_recycle": 1000.0,
    }
    options = SQLConversationStore(url, **given).database.options
    assert {name: getattr(options, name) for name in given} == given
    longer = f"{url}?connect_timeout=77"
    for is_async in (False, True):
        arguments = connect_arguments(longer, is_async=is_async)
        found = arguments.get("connect_timeout") or arguments["timeout"]
        assert float(found) == 77


def test_stores_of_one_hosted_database_have_equal_arguments() -> None:
    """Each store opens connections of its own."""
    for url in HOSTED:
        for is_async in (False, True):
            first, second = (connect_arguments(url, is_async=is_async) for _ in range(2))
            assert repr(first) == repr(second)


# Adapters


@pytest.mark.parametrize(
    ("name", "variable"), [("NeonDB", "NEON_DATABASE_URL"), ("XataDB", "XATA_DATABASE_URL")]
)
def test_an_adapter_reads_its_url_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, name: str, variable: str
) -> None:
    """A URL with a password has to be written into the program."""
    adapter = getattr(praison_persist, name)
    assert getattr(praison_persist.db, name) is adapter
    assert issubclass(adapter, PraisonAIDB)
    assert list(inspect.signature(adapter).parameters) == ["database_url", "options"]
    with pytest.raises(ConfigurationError, match=variable):
        adapter()
    monkeypatch.setenv(variable, f"postgresql://u:{SECRET}@{POOLED}")
    with adapter() as found:
        assert POOLED in repr(found)
        assert SECRET not in repr(found)
    with adapter(f"postgresql://u:{SECRET}@other.neon.tech/mine") as found:
        assert "other.neon.tech/mine" in repr(found)
    with pytest.raises(ConfigurationError, match="postgresql") as caught:
        adapter(f"mysql://u:{SECRET}@h/db")
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("name", ["neon", "xata"])
def test_the_names_of_praisonai_mean_postgresql(name: str) -> None:
    """A program that names its backend no longer starts."""
    store = create_conversation_store(name, f"postgresql://u:{SECRET}@{NEON}")
    assert isinstance(store, SQLConversationStore)
    native = create_conversation_store(name, f"postgresql://u:{SECRET}@{NEON}", "async")
    assert isinstance(native, AsyncSQLConversationStore)
    assert SECRET not in repr(store) + repr(native)


@pytest.mark.parametrize("url", HOSTED)
def test_no_password_is_shown(url: str) -> None:
    """It is in every traceback."""
    for make in (SQLConversationStore, AsyncSQLConversationStore):
        store = make(url)
        assert SECRET not in repr(store) + repr(store.database) + str(store.database.target)
        assert SECRET not in store.database.target.address


# A server


@pytest.fixture
def cold_server() -> Iterator[OwnPostgres]:
    """A PostgreSQL server that was not started."""
    with tempfile.TemporaryDirectory(prefix="praison-pg-") as folder:
        server = OwnPostgres(Path(folder))
        yield server
        server.close()


def _create(url: str, **options: Any) -> str:
    with SQLConversationStore(url, **options) as store:
        return store.create_session(ConversationSession(session_id="s")).session_id


def _create_async(url: str, **options: Any) -> str:
    async def create() -> str:
        async with AsyncSQLConversationStore(url, **options) as store:
            return (await store.create_session(ConversationSession(session_id="s"))).session_id

    return asyncio.run(create())


@pytest.mark.parametrize("create", [_create, _create_async])
def test_the_first_call_waits_for_a_server_that_wakes_up(
    cold_server: OwnPostgres, caplog: pytest.LogCaptureFixture, create: Any
) -> None:
    """The first message after a pause is refused, though the server is there a second later."""
    with pytest.raises(UnavailableError) as caught:
        create(cold_server.url)
    usual = caught.value.attempts
    caplog.clear()
    # Half the delay, for the sake of the test's time.
    options = {**parse_url(HOSTED[0]).option_defaults, "retry_delay": 0.25}
    with caplog.at_level(logging.WARNING), ThreadPoolExecutor(1) as pool:
        created = pool.submit(create, cold_server.url, **options)
        deadline = time.monotonic() + 30
        while f"try {usual} failed" not in caplog.text:
            assert time.monotonic() < deadline
            assert not created.done()
            time.sleep(0.02)
        cold_server.start()
        assert created.result(60) == "s"


def test_a_hosted_server_without_tls_is_refused(cold_server: OwnPostgres) -> None:
    """The argument is there, and the password goes out in the clear all the same."""
    cold_server.start()
    # libpq takes the address from here, and everything else from the host.
    url = (
        f"postgresql://postgres@ep-cool-1.neon.tech:{cold_server.port}/postgres?hostaddr=127.0.0.1"
    )
    with pytest.raises(UnavailableError, match="SSL"):
        _create(url, max_retries=0)
    assert _create(f"{url}&sslmode=disable", max_retries=0) == "s"


@pytest.mark.parametrize(
    ("host", "service"),
    [("aws.connect.psdb.cloud", "planetscale"), ("db-x.aivencloud.com", "aiven")],
)
def test_a_driver_that_may_go_on_in_clear_text_is_not_used(host: str, service: str) -> None:
    """A service that requires TLS is sent the password by a driver that does without."""
    assert parse_url(f"mysql://u:p@{host}/d").driver(is_async=True).name == "asyncmy"
    written = parse_url(f"mysql+aiomysql://u:p@{host}/d")
    with pytest.raises(ConfigurationError, match=f"aiomysql would not heed: TLS of {service}"):
        written.connect_args(written.driver(is_async=True))


def test_mysqlclient_verifies_the_server_or_says_that_it_cannot() -> None:
    """Its mode REQUIRED goes on in clear text with the library of MariaDB."""
    (mysqldb,) = (driver for driver in MYSQL.drivers if driver.name == "mysqldb")
    planetscale = parse_url("mysql+mysqldb://u:p@aws.connect.psdb.cloud/d")
    assert planetscale.connect_args(mysqldb)["ssl_mode"] == "VERIFY_IDENTITY"
    aiven = "mysql+mysqldb://u:p@db-x.aivencloud.com/d"
    with pytest.raises(ConfigurationError, match="TLS of aiven"):
        parse_url(aiven).connect_args(mysqldb)
    verified = parse_url(f"{aiven}?ssl_ca=/ca.pem").connect_args(mysqldb)
    assert verified["ssl_mode"] == "VERIFY_IDENTITY"
