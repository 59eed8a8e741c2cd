"""Turso and libSQL servers: how they are named, and what is true of them alone."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any
from urllib.parse import quote

import libsql_experimental
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from praison_persist import (
    AsyncSQLConversationStore,
    AsyncTursoConversationStore,
    ConversationMessage,
    ConversationSession,
    ConversationStore,
    SQLConversationStore,
    TursoConversationStore,
    create_conversation_store,
    db,
)
from praison_persist.config import detect_backend
from praison_persist.errors import (
    ConfigurationError,
    InvalidDataError,
    PersistError,
    UnavailableError,
)
from praison_persist.sql import hrana, migrate
from praison_persist.sql.url import Target, parse_url

from .open_engines import checked_out
from .proxying import Losing
from .servers import free_port
from .services.sqld import Sqld, key_and_token, sqld
from .test_faults import told


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("TURSO_DATABASE_URL", raising=False)
    monkeypatch.delenv("TURSO_AUTH_TOKEN", raising=False)
    monkeypatch.chdir(tmp_path)


def message(content: str = "") -> ConversationMessage:
    return ConversationMessage(role="user", content=content)


def arguments(target: Target) -> dict[str, Any]:
    return target.connect_args(target.driver(is_async=False))


def connected(server: Sqld, **options: Any) -> hrana.Connection:
    return hrana.connect("127.0.0.1", server.port, tls=False, **options)


# Names


@pytest.mark.parametrize(
    ("url", "tls", "token"),
    [
        ("libsql://db-org.turso.io", None, None),
        ("turso://db-org.turso.io/", None, None),
        ("https://db-org.turso.io?authToken=t", True, "t"),
        ("http://db-org.turso.io", False, None),
        ("libsql://db-org.turso.io?tls=0&auth_token=t", False, "t"),
        ("libsql+https://db-org.turso.io", True, None),
        ("libsql+ws://db-org.turso.io", False, None),
        ("sqlite+libsql://db-org.turso.io/?secure=false&authToken=a%2Bb", False, "a+b"),
    ],
)
def test_a_server_is_known_by_its_url(url: str, tls: bool | None, token: str | None) -> None:
    target = parse_url(url)
    assert str(target).rstrip("/") == "libsql://db-org.turso.io"
    found = arguments(target)
    assert (found.get("tls"), found.get("auth_token")) == (tls, token)
    assert detect_backend(url) == "turso"


@pytest.mark.parametrize("url", ["libsql:///x.db", "turso:///x.db", "sqlite+libsql:///x.db"])
def test_without_a_host_it_is_a_file(url: str, tmp_path: Path) -> None:
    assert parse_url(url).address == str(tmp_path / "x.db")


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("libsql://h?tls=perhaps", "tls='perhaps'"),
        ("libsql://h?shard=1", "shard"),
        ("libsql://h?sync_on_write=perhaps", "sync_on_write"),
        ("libsql://user:s3cret@h", "neither user nor path"),
        ("libsql://h/path", "neither user nor path"),
        ("https://example.org/x", "Unknown SQL scheme 'https'"),
    ],
)
def test_what_cannot_be_right_is_refused(url: str, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told) as caught:  # noqa: SIM117 - two steps
        with SQLConversationStore(url) as store:
            store.connect()
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("url", ["postgresql://h/d", "https://example.org@x/y?a=b"])
def test_a_turso_store_is_of_a_libsql_url(url: str) -> None:
    with pytest.raises(PersistError):  # noqa: SIM117 - two steps
        with TursoConversationStore(url) as store:
            store.connect()


@pytest.mark.parametrize(
    ("given", "environment", "name"),
    [
        ({}, None, "praisonai_turso.db"),
        ({"local_path": "a.db"}, None, "a.db"),
        ({"url": "file:b.db"}, None, "b.db"),
        ({}, "file:c.db", "c.db"),
        ({"url": "libsql:///d.db"}, "libsql://nobody.invalid", "d.db"),
    ],
)
@pytest.mark.parametrize("colour", ["sync", "async"])
def test_a_file_of_libsql_is_one_of_sqlite(
    given: dict[str, Any],
    environment: str | None,
    name: str,
    colour: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Which libSQL itself reads, and writes."""
    if environment:
        monkeypatch.setenv("TURSO_DATABASE_URL", environment)

    async def write() -> None:
        async with AsyncTursoConversationStore(**given) as store:
            await store.create_session(ConversationSession("s"))
            await store.add_message("s", message("ours"))
            await store.sync()

    if colour == "async":
        asyncio.run(write())
    else:
        with TursoConversationStore(**given) as store:
            store.create_session(ConversationSession("s"))
            store.add_message("s", message("ours"))
            store.sync()
    libsql = libsql_experimental.connect(  # pyright: ignore[reportAttributeAccessIssue]  # an extension without types
        str(tmp_path / name)
    )
    query = "SELECT seq, content FROM praison_messages"
    assert libsql.execute(query).fetchall() == [(1, "ours")]
    libsql.execute("UPDATE praison_messages SET content = 'theirs'")
    libsql.commit()
    libsql.close()
    with TursoConversationStore(**given) as store:
        assert [m.content for m in store.get_messages("s")] == ["theirs"]


def test_two_files_are_one_too_many() -> None:
    with pytest.raises(ConfigurationError, match="Two files"):
        TursoConversationStore("file:a.db", local_path="b.db")


@pytest.mark.parametrize("mode", ["auto", "sync", "async"])
@pytest.mark.parametrize("name", ["turso", "libsql"])
def test_the_registry_knows_it(own_sqld: Sqld, name: str, mode: str) -> None:
    store = create_conversation_store(name, own_sqld.url, mode)
    expected = AsyncTursoConversationStore if mode == "async" else TursoConversationStore
    assert isinstance(store, expected)


def test_an_adapter_takes_it_from_the_environment(
    own_sqld: Sqld, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigurationError, match="libsql://"):
        db.TursoDB()
    monkeypatch.setenv("TURSO_DATABASE_URL", f"http://127.0.0.1:{own_sqld.port}")
    with db.TursoDB(strict=True) as adapter:
        adapter.on_agent_start("a", "adapted")
        adapter.on_user_message("adapted", "hello")
    with SQLConversationStore(own_sqld.url) as store:
        assert [m.content for m in store.get_messages("adapted")] == ["hello"]


# Tokens


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Sqld, str]]:
    """A server that wants a token, and the token."""
    folder = tmp_path_factory.mktemp("guarded")
    key, token = key_and_token(folder)
    with sqld(folder / "data", "--auth-jwt-key-file", key) as server:
        yield server, token


@pytest.mark.parametrize("way", ["option", "url", "environment"])
def test_a_token_comes_by_option_url_or_environment(
    guarded: tuple[Sqld, str], way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first that is there wins."""
    server, token = guarded
    monkeypatch.setenv("TURSO_AUTH_TOKEN", token if way == "environment" else "wrong")
    url = server.url
    if way != "environment":
        url += f"&authToken={quote(token) if way == 'url' else 'wrong'}"
    given = token if way == "option" else None
    with TursoConversationStore(url, auth_token=given) as store:
        store.ensure_session(ConversationSession("s"))
        assert store.get_session("s") is not None
    if way == "environment":
        with db.TursoDB(server.url, strict=True) as adapter:
            assert adapter.health().ok


@pytest.mark.parametrize("given", [None, "5ecret.word.x", "5ecret"])
def test_a_wrong_token_is_refused_at_once_and_not_told(
    guarded: tuple[Sqld, str], given: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    """It is in the message, or in the text of a cause, and so in the log."""
    with TursoConversationStore(guarded[0].url, auth_token=given) as store:
        with pytest.raises(UnavailableError, match="refused") as caught:
            store.get_session("s")
        assert caught.value.attempts == 1
        assert "5ecret" not in told(caught.value) + repr(store) + repr(store.database) + caplog.text


# TLS


def _certificate(folder: Path) -> Path:
    """Make a certificate of 127.0.0.1 that is its own authority. Return its file, with the key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "praison test")])
    today = datetime.now(UTC)
    names = x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=1))
        .add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )
    file = folder / "certificate.pem"
    pem = serialization.Encoding.PEM
    form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    file.write_bytes(key.private_bytes(pem, form, plain) + made.public_bytes(pem))
    return file


@pytest.fixture
def _contexts() -> Iterator[None]:
    """Forget which authorities are trusted, before and after."""
    hrana._context.cache_clear()
    yield
    hrana._context.cache_clear()


@pytest.mark.usefixtures("_contexts")
def test_a_server_is_verified(
    own_sqld: Sqld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The token goes to whoever answers."""
    certificate = _certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    front = Losing("127.0.0.1", own_sqld.port, b"COMMIT")
    front._listener = context.wrap_socket(
        front._listener, server_side=True, do_handshake_on_connect=False
    )
    with front:
        url = f"libsql://127.0.0.1:{front.port}"
        with SQLConversationStore(url, max_retries=0) as store:
            with pytest.raises(UnavailableError, match="CERTIFICATE_VERIFY_FAILED"):
                store.connect()
            monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
            hrana._context.cache_clear()
            mine = store.create_session(ConversationSession()).session_id
            assert store.add_message(mine, message()).seq == 1
            assert store.count(mine) == 1


# Transactions


def test_rows_are_fetched_a_few_at_a_time(own_sqld: Sqld) -> None:
    """A row is lost between one helping and the next."""
    connection = connected(own_sqld)
    try:
        cursor = connection.execute("SELECT value FROM json_each('[1,2,3,4,5,6,7]')")
        assert cursor.fetchone() == (1,)
        assert cursor.fetchmany(2) == [(2,), (3,)]
        assert cursor.fetchmany() == [(4,)]
        assert cursor.fetchmany(2) == [(5,), (6,)]
        assert cursor.fetchall() == [(7,)]
        assert (cursor.fetchmany(2), cursor.fetchone()) == ([], None)
    finally:
        connection.close()


def test_a_lock_held_too_long_is_lost_and_that_is_said(own_sqld: Sqld) -> None:
    """sqld ends a transaction after five seconds when another wants to write: a later statement,
    or the commit, then goes on outside of it."""
    with SQLConversationStore(own_sqld.url) as store:
        mine = store.create_session(ConversationSession()).session_id
        slow = connected(own_sqld)
        slow.isolation_level = None
        slow.execute("BEGIN IMMEDIATE")
        update = "UPDATE praison_sessions SET name = 'stolen' WHERE session_id = ?"
        slow.execute(update, (mine,))
        assert store.add_message(mine, message()).seq == 1
        with pytest.raises(hrana.OperationalError) as caught:
            slow.execute(update, (mine,))
        assert caught.value.hrana_code == "TRANSACTION_TIMEOUT"
        for _ in range(2):
            with pytest.raises(hrana.OperationalError, match="lost"):
                slow.execute(update, (mine,))
            with pytest.raises(hrana.OperationalError, match="lost"):
                slow.commit()
        slow.close()
        found = store.get_session(mine)
        assert found is not None
        assert found.name is None


def test_a_transaction_does_not_survive_its_server(own_sqld: Sqld) -> None:
    """The commit of a transaction that is gone is a success."""
    connection = connected(own_sqld)
    connection.execute("CREATE TABLE IF NOT EXISTS t (a)")
    connection.commit()
    connection.execute("INSERT INTO t VALUES (1)")
    own_sqld.stop()
    own_sqld.start()
    with pytest.raises(hrana.OperationalError) as caught:
        connection.commit()
    assert caught.value.lost
    connection.rollback()
    assert connection.execute("SELECT count(*) FROM t").fetchall() == [(0,)]
    connection.close()
    with pytest.raises(hrana.InterfaceError, match="closed"):
        connection.execute("SELECT 1")


def test_the_rest_of_a_transaction_goes_where_the_server_says(tmp_path: Path) -> None:
    """A load balancer sends it to a server that does not know it."""
    place = Sqld(tmp_path)
    place._command += ["--http-self-url", f"http://localhost:{place.port}"]
    place.start()
    try:
        connection = connected(place)
        connection.execute("CREATE TABLE t (a)")
        assert connection._elsewhere is not None
        assert connection._elsewhere.host == "localhost"
        connection.commit()
        assert connection._elsewhere is None
        connection.close()
    finally:
        place.stop()


def test_values_come_back_as_they_went_in(own_sqld: Sqld) -> None:
    values = (None, 2**63 - 1, -(2**63), 0.1, 1.0, "a\x00é😀", b"\x00\xff", "")
    connection = connected(own_sqld)
    marks = ", ".join("?" * len(values))
    found = connection.execute(f"SELECT {marks}", values).fetchall()
    assert [(type(v), v) for v in found[0]] == [(type(v), v) for v in values]
    for value in (2**63, float("inf"), float("nan"), "\ud800"):
        with pytest.raises(hrana.DataError):
            connection.execute("SELECT ?", (value,))
    with pytest.raises(hrana.InterfaceError, match="object"):
        connection.execute("SELECT ?", (object(),))
    connection.close()


def test_a_script_is_one_of_sqlite(own_sqld: Sqld) -> None:
    assert migrate.offline_sql(url=own_sqld.url) == migrate.offline_sql(dialect="sqlite")


# Limits


def test_an_answer_has_no_limit_and_a_row_has(own_sqld: Sqld) -> None:
    """sqld answers with ten megabytes at most where it is not asked for a cursor."""
    texts = [letter * 1_000_000 for letter in "abcdefghijkl"]
    with SQLConversationStore(own_sqld.url) as store:
        mine = store.create_session(ConversationSession()).session_id
        for text in texts:
            store.add_message(mine, message(text))
        assert [m.content for m in store.get_messages(mine)] == texts
        with pytest.raises(InvalidDataError, match="too big"):
            store.add_message(mine, message("x" * 6_000_000))
        assert store.count(mine) == len(texts)
        store.delete_session(mine)


def test_a_server_that_hangs_stops_nobody_else(own_sqld: Sqld, tmp_path: Path) -> None:
    """The driver holds the interpreter: no thread and no event loop goes on."""

    async def use() -> None:
        async with (
            AsyncTursoConversationStore(own_sqld.url) as store,
            AsyncSQLConversationStore(tmp_path / "other.db") as other,
        ):
            mine = (await store.create_session(ConversationSession())).session_id
            await other.create_session(ConversationSession("s"))
            own_sqld.freeze()
            try:
                added = asyncio.create_task(store.add_message(mine, message()))
                for _ in range(20):
                    await other.add_message("s", message())
                assert not added.done()
            finally:
                own_sqld.thaw()
            assert (await added).seq == 1

    asyncio.run(use())
    assert checked_out() == 0


def test_a_server_that_says_nothing_is_given_up(own_sqld: Sqld) -> None:
    """A request is held for ever."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"libsql://127.0.0.1:{silent.getsockname()[1]}?tls=0&timeout=0.2"
        with SQLConversationStore(url, retry_delay=0.01) as store:
            with pytest.raises(UnavailableError) as caught:
                store.get_session("s")
            assert caught.value.attempts == 4


@pytest.mark.parametrize("place", ["no-such-host.invalid", "127.0.0.1:{}", "[::1]:{}"])
def test_a_server_that_is_not_there_is_named(place: str) -> None:
    where = place.format(free_port())
    with SQLConversationStore(f"libsql://{where}?tls=0", retry_delay=0.01) as store:
        with pytest.raises(UnavailableError) as caught:
            store.get_session("s")
        assert caught.value.attempts == 4
        assert where.strip("[") in str(caught.value) or place.startswith("[")


@pytest.mark.parametrize(("status", "told"), [(200, "does not speak Hrana"), (404, "HTTP 404: no")])
def test_what_is_no_libsql_server_is_named(status: int, told: str) -> None:
    """Its page is taken for an answer."""

    class Other(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(status)
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"no")

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as the base class
            pass

    with HTTPServer(("127.0.0.1", 0), Other) as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.02,))
        serving.start()
        url = f"libsql://127.0.0.1:{server.server_port}?tls=0"
        try:
            with (
                SQLConversationStore(url, max_retries=0) as store,
                pytest.raises(UnavailableError, match=told),
            ):
                store.get_session("s")
        finally:
            server.shutdown()
            serving.join()


# Replicas that are servers


def test_a_server_that_is_a_replica_serves_writes_and_reads_them(
    own_sqld: Sqld, tmp_path: Path
) -> None:
    """A read after a write is served from a replica that is behind."""
    with sqld(tmp_path, primary=own_sqld) as replica:
        stores: list[ConversationStore] = [
            SQLConversationStore(replica.url),
            SQLConversationStore(own_sqld.url),
        ]
        with stores[0], stores[1]:
            mine = stores[0].create_session(ConversationSession()).session_id
            for number in range(10):
                store = stores[number % 2]
                assert store.add_message(mine, message()).seq == number + 1
                assert [s.count(mine) for s in stores] == [number + 1] * 2
