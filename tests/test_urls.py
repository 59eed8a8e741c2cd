"""Every form in which people write a database URL leads to the right driver and words."""

from __future__ import annotations

import asyncio
import os
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import certifi
import pytest
from sqlalchemy.engine import URL

from praison_persist._masked import masked
from praison_persist.errors import ConfigurationError, MissingDependencyError, PersistError
from praison_persist.models import ConversationSession
from praison_persist.sql.stores import AsyncSQLConversationStore, SQLConversationStore
from praison_persist.sql.url import parse_url

from .servers import MARIADB, administer, needs_mysqlclient, scratch

# Everything that has a meaning in a URL, and that a generated password contains.
PASSWORD = "a@b:c/d%e+f g?h#i&j=k'l\"m\\n€"
QUOTED = "a%40b%3Ac%2Fd%25e%2Bf%20g%3Fh%23i%26j%3Dk%27l%22m%5Cn%E2%82%AC"
SECRET = "5ecret"
mysqldb = partial(pytest.param, "mysqldb", marks=needs_mysqlclient)
MYSQL_DRIVERS = [
    ("pymysql", False),
    mysqldb(False),
    ("aiomysql", True),
    ("asyncmy", True),
]


def connect_arguments(url: str, *, is_async: bool) -> dict[str, Any]:
    """Return what the driver's connect is given."""
    target = parse_url(url)
    driver = target.driver(is_async=is_async)
    chosen = target.sqlalchemy_url(driver)
    _, arguments = chosen.get_dialect()().create_connect_args(chosen)
    return {**arguments, **target.connect_args(driver)}


def hide(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    """Let a driver seem not to be installed."""

    def find(name: str) -> object:
        return None if name == module else find_spec(name)

    monkeypatch.setattr("praison_persist.sql.url.find_spec", find)


@pytest.mark.parametrize(
    ("scheme", "sync_driver", "async_driver"),
    [
        ("postgres", "psycopg", "asyncpg"),
        ("postgresql", "psycopg", "asyncpg"),
        ("POSTGRESQL", "psycopg", "asyncpg"),
        ("postgresql+asyncpg", "psycopg", "asyncpg"),
        ("postgres+asyncpg", "psycopg", "asyncpg"),
        ("postgresql+psycopg", "psycopg", "psycopg"),
        ("postgresql+psycopg2", "psycopg", "asyncpg"),
        ("postgresql+pg8000", "psycopg", "asyncpg"),
        ("mysql", "pymysql", "aiomysql"),
        ("mariadb", "pymysql", "aiomysql"),
        ("mysql+pymysql", "pymysql", "aiomysql"),
        ("mariadb+pymysql", "pymysql", "aiomysql"),
        ("mysql+aiomysql", "pymysql", "aiomysql"),
        ("mysql+mysqlconnector", "pymysql", "aiomysql"),
        ("mysql+asyncmy", "pymysql", "asyncmy"),
        ("mariadb+asyncmy", "pymysql", "asyncmy"),
        pytest.param("mysql+mysqldb", "mysqldb", "aiomysql", marks=needs_mysqlclient),
        pytest.param("mariadb+mysqldb", "mysqldb", "aiomysql", marks=needs_mysqlclient),
    ],
)
def test_each_colour_gets_a_driver_that_can_serve_it(
    scheme: str, sync_driver: str, async_driver: str
) -> None:
    """A URL copied from an async program names a driver that a sync store cannot use."""
    target = parse_url(f"{scheme}://user:{QUOTED}@host:123/name")
    assert target.driver(is_async=False).name == sync_driver
    assert target.driver(is_async=True).name == async_driver
    for is_async in (False, True):
        arguments = connect_arguments(f"{scheme}://user:{QUOTED}@host:123/name", is_async=is_async)
        assert (arguments["host"], arguments["port"], arguments["user"]) == ("host", 123, "user")
        assert PASSWORD in (arguments.get("password"), arguments.get("passwd"))


@pytest.mark.parametrize(
    ("scheme", "driver"), [("sqlite", ""), ("sqlite+aiosqlite", ""), ("sqlite+pysqlite", "")]
)
def test_sqlite_of_each_colour(scheme: str, driver: str) -> None:
    """See above."""
    target = parse_url(f"{scheme}:///x.db")
    assert target.driver(is_async=False).name == "pysqlite"
    assert target.driver(is_async=True).name == "aiosqlite"


@pytest.mark.parametrize(
    ("name", "module", "extra", "is_async", "other"),
    [
        ("asyncmy", "asyncmy", "asyncmy", True, "pymysql"),
        ("mysqldb", "MySQLdb", "mysqlclient", False, "aiomysql"),
    ],
)
def test_a_written_driver_that_is_not_installed_is_named(
    name: str,
    module: str,
    extra: str,
    is_async: bool,
    other: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Another driver is taken without a word."""
    hide(monkeypatch, module)
    target = parse_url(f"mysql+{name}://h/db")
    with pytest.raises(ImportError, match=rf"{name}.*pip install 'praison-persist\[{extra}\]'"):
        target.driver(is_async=is_async)
    assert target.driver(is_async=not is_async).name == other


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///rel.db", "rel.db"),
        ("sqlite:///./a/rel.db", "a/rel.db"),
        ("sqlite:////abs/x.db", "/abs/x.db"),
        ("SQLite:////abs/x.db", "/abs/x.db"),
        ("sqlite:///a%20b%25c%23d%3Fe.db", "a b%c#d?e.db"),
        ("sqlite:///a b#c.db", "a b#c.db"),
        ("sqlite:///x.db?timeout=5", "x.db"),
        ("rel.db", "rel.db"),
        ("a/b c%20#?.db", "a/b c%20#?.db"),
        ("/abs/x.db", "/abs/x.db"),
        ("a:b.db", "a:b.db"),
        ("C:\\x.db", "C:\\x.db"),
        (Path("rel.db"), "rel.db"),
        (Path("/abs/a b%20.db"), "/abs/a b%20.db"),
        (Path("sqlite:"), "sqlite:"),
        ("~nobody-of-this-name/x.db", "~nobody-of-this-name/x.db"),
        ("~/x.db", str(Path("~/x.db").expanduser())),
    ],
)
def test_an_sqlite_file(url: str | Path, path: str) -> None:
    """The documented form creates a file of another name, or is handed to the driver as it is."""
    target = parse_url(url)
    assert target.dialect.name == "sqlite"
    assert not target.memory
    assert target.url.database == str(Path(path).absolute())


def test_the_file_does_not_move_with_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that changes its directory loses its conversations."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    with SQLConversationStore("sqlite:///x.db") as store:
        os.chdir("elsewhere")
        store.create_session(ConversationSession(session_id="s"))
    assert (tmp_path / "x.db").exists()
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize(
    "url", ["sqlite://", "sqlite:///", "sqlite:///:memory:", ":memory:", Path(":memory:")]
)
def test_memory(url: str | Path) -> None:
    """A file called ":memory:" appears."""
    assert parse_url(url).memory


@pytest.mark.parametrize("name", ["a b.db", "100%.db", "a#b.db", "a?b=c.db", "ü😀.db", "a%20b.db"])
def test_any_file_name_is_opened(tmp_path: Path, name: str) -> None:
    """What has a meaning in a URL ends the name, or is decoded twice."""
    with SQLConversationStore(tmp_path / name) as store:
        store.create_session(ConversationSession(session_id="s"))
    assert (tmp_path / name).stat().st_size > 0

    async def read() -> ConversationSession | None:
        async with AsyncSQLConversationStore(str(tmp_path / name)) as again:
            return await again.get_session("s")

    assert asyncio.run(read()) is not None


@pytest.mark.parametrize(
    ("query", "is_async", "expected"),
    [
        ("sslmode=require", False, {"sslmode": "require"}),
        ("sslmode=require", True, {"ssl": "require"}),
        ("connect_timeout=5", False, {"connect_timeout": "5"}),
        ("connect_timeout=5", True, {"timeout": 5.0}),
        ("connect_timeout=0", True, {"timeout": None}),
        ("", False, {"connect_timeout": 10}),
        ("", True, {"timeout": 10}),
        ("application_name=a%20b", False, {"application_name": "a b"}),
        ("application_name=a%20b", True, {"server_settings": {"application_name": "a b"}}),
        (
            "options=endpoint%3Dx&application_name=a",
            True,
            {"server_settings": {"options": "endpoint=x", "application_name": "a"}},
        ),
        (
            "sslmode=verify-full&sslrootcert=/a%20b.crt",
            True,
            {"ssl": "verify-full", "dsn": "postgresql://?sslrootcert=%2Fa+b.crt"},
        ),
        ("statement_cache_size=0", True, {"statement_cache_size": 0}),
    ],
)
def test_libpq_words_reach_each_driver(
    query: str, is_async: bool, expected: dict[str, Any]
) -> None:
    """The URL that a provider shows works with one driver and is an error with the other."""
    arguments = connect_arguments(f"postgresql://u@h/db?{query}", is_async=is_async)
    assert {name: arguments[name] for name in expected} == expected
    assert "sslmode" not in arguments or not is_async


def test_what_a_driver_cannot_honour_does_not_reach_it() -> None:
    """Neon's URLs say channel_binding, which asyncpg takes for an error."""
    query = "channel_binding=require&keepalives=1&keepalives_idle=30&gssencmode=disable"
    arguments = connect_arguments(f"postgresql://u@h/db?{query}", is_async=True)
    assert not {name for name in arguments if name.startswith(("channel", "keep", "gss"))}


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:p@h1:1,h2:2/db?target_session_attrs=read-write",
        "postgresql://u:p@/db?host=h1:1&host=h2:2&target_session_attrs=read-write",
        "postgres://u:p@/db?host=h1,h2&port=1,2&target_session_attrs=read-write",
    ],
)
def test_several_hosts(url: str) -> None:
    """A cluster's URL is refused, or its second host is part of the first one's port."""
    sync, native = (connect_arguments(url, is_async=is_async) for is_async in (False, True))
    assert (sync["host"], sync["port"]) == ("h1,h2", "1,2")
    assert (native["host"], native["port"]) == (["h1", "h2"], [1, 2])
    assert sync["target_session_attrs"] == native["target_session_attrs"] == "read-write"


def test_several_hosts_without_ports() -> None:
    """See above."""
    arguments = connect_arguments("postgresql://h1,h2:6543/db", is_async=True)
    assert (arguments["host"], arguments["port"]) == (["h1", "h2"], [5432, 6543])


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize(
    "hosts", ["h1:1,h2:2/db", "/db?host=h1:1&host=h2:2", "/db?host=h1,h2&port=1,2"]
)
def test_several_hosts_have_one_primary(hosts: str, is_async: bool) -> None:
    """Writes go to a standby."""
    arguments = connect_arguments(f"postgresql://{hosts}", is_async=is_async)
    assert arguments["target_session_attrs"] == "read-write"
    separator = "&" if "?" in hosts else "?"
    url = f"postgresql://{hosts}{separator}target_session_attrs=any"
    assert connect_arguments(url, is_async=is_async)["target_session_attrs"] == "any"


@pytest.mark.parametrize("is_async", [False, True])
def test_several_hosts_of_mysql(is_async: bool) -> None:
    """Its drivers take one host; the walk over the others is ours."""
    target = parse_url("mysql://u:p@h1,h2:2/db?load_balance_hosts=random")
    assert target.hosts == [("h1", 3306), ("h2", 2)]
    assert target.spread
    arguments = connect_arguments(
        "mysql://u:p@h1,h2:2/db?load_balance_hosts=random", is_async=is_async
    )
    assert (arguments["host"], arguments["port"]) == ("h1", 3306)
    assert "load_balance_hosts" not in arguments


@pytest.mark.parametrize(
    "url", ["postgresql://u@/db?host=/run/pg", "postgresql://u@%2Frun%2Fpg/db"]
)
@pytest.mark.parametrize("is_async", [False, True])
def test_the_directory_of_a_socket(url: str, is_async: bool) -> None:
    """A local server without TCP cannot be reached."""
    arguments = connect_arguments(url, is_async=is_async)
    assert arguments["host"] == "/run/pg"
    assert arguments.get("port") is None


def test_an_ipv6_address() -> None:
    """Its colons are taken for a port."""
    arguments = connect_arguments("postgresql://u@[::1]:5433/db", is_async=True)
    assert (arguments["host"], arguments["port"]) == ("::1", 5433)


@pytest.mark.parametrize("charset", ["utf8", "latin1", "utf8mb3", "utf8mb4"])
@pytest.mark.parametrize(("name", "is_async"), MYSQL_DRIVERS)
def test_mysql_always_speaks_utf8mb4(charset: str, name: str, is_async: bool) -> None:
    """`?charset=utf8` of an old tutorial loses every emoji."""
    arguments = connect_arguments(
        f"mysql+{name}://u@h/db?charset={charset}&use_unicode=0", is_async=is_async
    )
    assert arguments["charset"] == "utf8mb4"
    assert "use_unicode" not in arguments


@pytest.mark.parametrize(("name", "is_async"), MYSQL_DRIVERS)
def test_mysql_has_a_time_limit_for_connecting(name: str, is_async: bool) -> None:
    """A host that drops packets holds a request for minutes."""
    for query, limit_s in (("", 10), ("?connect_timeout=3", 3)):
        arguments = connect_arguments(f"mysql+{name}://u@h/db{query}", is_async=is_async)
        assert arguments["connect_timeout"] == limit_s


TLS = "ssl_ca=/a%20b.crt&ssl_cert=/c&ssl_key=/k"
FILES = {"ca": "/a b.crt", "cert": "/c", "key": "/k"}
CHECKED = {"ssl_mode": "VERIFY_IDENTITY"}


@pytest.mark.parametrize(
    ("name", "query", "expected"),
    [
        ("pymysql", TLS, {"ssl": FILES}),
        ("asyncmy", TLS, {"ssl": FILES}),
        ("asyncmy", "ssl_check_hostname=false", {"ssl": {"check_hostname": False}}),
        mysqldb(TLS, {"ssl": FILES, **CHECKED}),
        mysqldb("ssl_capath=/d", {"ssl": {"capath": "/d"}, **CHECKED}),
        mysqldb("ssl_cipher=x", {"ssl": {"cipher": "x"}, **CHECKED}),
        mysqldb("ssl_check_hostname=true", CHECKED),
        mysqldb(
            "ssl_ca=/x&ssl_check_hostname=false",
            {"ssl": {"ca": "/x"}, "ssl_mode": "VERIFY_CA"},
        ),
        mysqldb("ssl_ca=/x&ssl_mode=required", {"ssl": {"ca": "/x"}, "ssl_mode": "REQUIRED"}),
        mysqldb("", {"ssl": None, "ssl_mode": None}),
    ],
)
def test_tls_of_mysql(name: str, query: str, expected: dict[str, Any]) -> None:
    """mysqlclient takes a certificate and goes on in clear text."""
    arguments = connect_arguments(f"mysql+{name}://u@h/db?{query}", is_async=name == "asyncmy")
    assert {key: arguments.get(key) for key in expected} == expected


@pytest.mark.parametrize("scheme", ["postgresql", "mysql"])
def test_the_name_of_the_database_is_decoded(scheme: str) -> None:
    """A name with a space is another database."""
    for is_async in (False, True):
        arguments = connect_arguments(f"{scheme}://h/a%20b%25c", is_async=is_async)
        names = {arguments.get(key) for key in ("dbname", "database", "db")}
        assert names - {None} == {"a b%c"}


def test_a_sqlalchemy_url_is_taken_exactly() -> None:
    """A URL object that is turned to text loses the password, or is quoted twice."""
    url = URL.create("postgresql", "us er", PASSWORD, "h", 1, "a b")
    target = parse_url(url)
    assert (target.url.username, target.url.password) == ("us er", PASSWORD)
    assert target.url.database == "a b"


@pytest.mark.parametrize(
    "url",
    [
        f"nosql://u:{SECRET}@h/db",
        f"postgresql+nodriver://u:{SECRET}@h/db",
        f"sqlite+pysqlcipher://:{SECRET}@/x.db",
        f"postgresql://u:{SECRET}@h:port/db",
        f"postgresql://u:{SECRET}@h:5432:1/db",
        f"postgresql://u:{SECRET}@h1:x,h2/db",
        f"postgresql://u:{SECRET}@h1;h2,h3/db",
        f"postgresql://u:{SECRET}",
        f"postgresql:/u:{SECRET}@h/db",
        f"postgres:u:{SECRET}@h/db",
        f"mysql://u:{SECRET}@h1:x,h2/db",
        f"sqlite://u:{SECRET}@h/x.db",
        f"sqlite://x.db?password={SECRET}",
        "sqlite:x.db",
        "file:x.db?mode=ro",
        "json:x",
        "",
        "  ",
        "a\x00b",
        None,
        5,
    ],
)
def test_what_is_no_url_is_refused_without_its_password(url: Any) -> None:
    """It becomes a file of that name, or the password is printed with the error."""
    with pytest.raises(ConfigurationError) as caught:
        parse_url(url)
    assert SECRET not in str(caught.value)
    with pytest.raises(ConfigurationError):
        SQLConversationStore(url)
    with pytest.raises(ConfigurationError):
        AsyncSQLConversationStore(url)


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://u:{SECRET}@h/db",
        f"postgresql://u:{SECRET}@x@h/db",
        f"postgresql://u:{SECRET}/y@h/db",
        f"postgresql://:{SECRET}@h/db",
        f"postgresql://h/db?user=u&password={SECRET}",
        f"postgresql://h/db?sslpassword={SECRET}&a=b",
        f"mysql://u:{SECRET}",
        f"libsql://h?authToken={SECRET}",
        f"libsql://h?authToken = {SECRET}",
        f"host=h password = {SECRET}",
    ],
)
def test_masked_shows_no_password(url: str) -> None:
    """A password with an "@" in it is half shown."""
    assert SECRET not in masked(url)


@pytest.mark.parametrize(
    "url",
    ["postgresql://h:5432/db", "postgresql://h1:1,h2:2/db", "postgresql://[::1]:1/db", "x.db"],
)
def test_masked_leaves_the_rest(url: str) -> None:
    """A message that hides everything helps nobody."""
    assert masked(url) == url


def test_the_repr_of_a_store_shows_no_password() -> None:
    """It is in every traceback."""
    url = f"postgresql://u:{SECRET}@h/db?password={SECRET}"
    for store in (SQLConversationStore(url), AsyncSQLConversationStore(url)):
        assert SECRET not in repr(store)
        assert SECRET not in repr(store.database)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://{}?nonsense=1",
        "postgresql+asyncpg://{}?nonsense=1",
        "postgresql+asyncpg://{}?sslmode=nonsense",
        "postgresql+asyncpg://{}?connect_timeout=nonsense",
        "postgresql+psycopg://{}?connect_timeout=nonsense",
        "mysql://{}?nonsense=1",
        "mysql://{}?connect_timeout=nonsense",
        "mysql+asyncmy://{}?nonsense=1",
        "mysql+asyncmy://{}?connect_timeout=nonsense",
        "mysql+asyncmy://{}?connect_timeout=0",
        pytest.param("mysql+mysqldb://{}?nonsense=1", marks=needs_mysqlclient),
        pytest.param("mysql+mysqldb://{}?connect_timeout=nonsense", marks=needs_mysqlclient),
        "sqlite:///{}?nonsense=1",
    ],
)
def test_a_parameter_that_the_driver_does_not_know_is_reported(url: str, tmp_path: Path) -> None:
    """A TypeError from inside the driver, or a parameter that is ignored."""
    place = tmp_path / "x.db" if "sqlite" in url else f"u:{SECRET}@127.0.0.1:1/db"

    async def connect() -> None:
        async with AsyncSQLConversationStore(url.format(place)) as store:
            await store.connect()

    with pytest.raises(ConfigurationError) as caught:
        asyncio.run(connect())
    assert SECRET not in str(caught.value)
    if "asyncpg" not in url:
        with (
            pytest.raises(ConfigurationError) as caught,
            SQLConversationStore(url.format(place)) as store,
        ):
            store.connect()
        assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "key", ["ssl_ca", "ssl_capath", "ssl_cert", "ssl_key", "ssl_cipher", "ssl_check_hostname"]
)
def test_aiomysql_is_not_trusted_with_tls(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It goes on in clear text, password and all, where the server offers no TLS."""
    rest = f"://u:{SECRET}@127.0.0.1:1/db?{key}=x"
    assert parse_url(f"mysql{rest}").driver(is_async=False).name == "pymysql"
    assert parse_url(f"mysql{rest}").driver(is_async=True).name == "asyncmy"
    with pytest.raises(ConfigurationError, match=rf"aiomysql would not heed: {key}") as caught:
        AsyncSQLConversationStore(f"mysql+aiomysql{rest}")
    assert SECRET not in str(caught.value)
    hide(monkeypatch, "asyncmy")
    with pytest.raises(ImportError, match=rf"heeds {key}.*praison-persist\[asyncmy\]"):
        parse_url(f"mysql{rest}").driver(is_async=True)


@pytest.mark.parametrize("name", ["pymysql", "asyncmy", mysqldb()])
def test_tls_that_a_server_does_not_offer_is_not_done_without(
    name: str, mariadb_database: str
) -> None:
    """Who can make a server look as if it had no TLS reads everything."""
    if administer(mariadb_database, "SELECT @@have_ssl") == [("YES",)]:
        pytest.skip("this server offers TLS")
    rest = mariadb_database.partition("://")[2]
    cipher = "ECDHE-RSA-AES256-GCM-SHA384"

    async def use(url: str) -> None:
        async with AsyncSQLConversationStore(url, max_retries=0) as store:
            await store.connect()

    for query in (f"ssl_ca={certifi.where()}", f"ssl_cipher={cipher}", "ssl_check_hostname=true"):
        url = f"mysql+{name}://{rest}?{query}"
        with pytest.raises(PersistError, match=r"(?i)ssl"):
            if name == "asyncmy":
                asyncio.run(use(url))
            else:
                with SQLConversationStore(url, max_retries=0) as store:
                    store.connect()


@needs_mysqlclient
@pytest.mark.parametrize("query", ["ssl_mode=nonsense", "ssl_check_hostname=nonsense"])
def test_a_mode_of_tls_that_does_not_exist_is_reported(query: str) -> None:
    """It is taken for "no"."""
    with pytest.raises(ConfigurationError, match="ssl_mode='nonsense'") as caught:
        SQLConversationStore(f"mysql+mysqldb://u:{SECRET}@127.0.0.1:1/db?{query}")
    assert SECRET not in str(caught.value)


def test_a_password_with_everything_in_it_is_accepted_by_a_server() -> None:
    """quote_plus turns a space to a plus; a URL that is not decoded sends "%40"."""
    password, in_url = PASSWORD.rstrip("€"), QUOTED.removesuffix("%E2%82%AC")  # PyMySQL: latin1
    with scratch(MARIADB) as url:
        quoted = password.replace("\\", "\\\\").replace("'", "''")
        user = f"praison_{os.getpid()}"
        name = parse_url(url).url.database
        administer(
            url,
            f"CREATE USER {user}@'%' IDENTIFIED BY '{quoted}'",
            f"GRANT ALL ON {name}.* TO {user}@'%'",
        )
        try:
            target = parse_url(url)
            host = f"{target.url.host}:{target.url.port or 3306}"
            own = f"mysql://{user}:{in_url}@{host}/{name}"
            with SQLConversationStore(own) as store:
                store.create_session(ConversationSession(session_id="s"))

            async def read() -> ConversationSession | None:
                async with AsyncSQLConversationStore(own) as again:
                    return await again.get_session("s")

            assert asyncio.run(read()) is not None
        finally:
            administer(url, f"DROP USER {user}@'%'")


SINGLESTORE = f"singlestoredb://user:{QUOTED}@host/na%2Bme"


@pytest.mark.parametrize("driver", ["", "+mysql"])
def test_singlestores_own_client_connects(driver: str) -> None:
    """Left to itself it commits each statement, and gives rows in a form that the URL chooses."""
    url = SINGLESTORE.replace("://", f"{driver}://")
    query = "?autocommit=true&results_type=dicts&charset=latin1&ssl_ca=/ca.pem&connect_timeout=3"
    found = connect_arguments(url + query, is_async=False)
    expected: dict[str, Any] = {
        "driver": "mysql",
        "host": "host",
        "port": 3306,
        "user": "user",
        "password": PASSWORD,
        "database": "na+me",
        "autocommit": False,
        "results_type": "tuples",
        "charset": "utf8mb4",
        "ssl_ca": "/ca.pem",
        "connect_timeout": 3,
    }
    assert {name: found.get(name) for name in expected} == expected


@pytest.mark.parametrize("driver", ["http", "https"])
def test_singlestores_data_api_is_refused(driver: str) -> None:
    """It would commit each statement, so that a message could be numbered and not stored."""
    with pytest.raises(ConfigurationError, match=r"transactions.*Write singlestoredb://") as caught:
        parse_url(f"singlestoredb+{driver}://user:{SECRET}@host/name")
    assert SECRET not in str(caught.value)


def test_a_singlestore_client_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    hide(monkeypatch, "sqlalchemy_singlestoredb")
    for is_async in (False, True):
        with pytest.raises(MissingDependencyError, match=r"praison-persist\[singlestore\]"):
            parse_url(SINGLESTORE).driver(is_async=is_async)


def test_singlestore_is_not_spoken_to_in_clear_text(singlestore_database: str) -> None:
    """Its client goes on without TLS where the server offers none, whatever the URL asks for."""
    url = f"{singlestore_database}?ssl_ca={certifi.where()}"
    store = SQLConversationStore(url)
    with store, pytest.raises(ConfigurationError, match=r"ssl_ca.*offers no TLS"):
        store.connect()
