"""Databases for tests: scratch ones on the servers that can be reached, and a server of one's own.

A server is looked for at a documented URL. Missing, its tests are skipped; with
PRAISON_REQUIRE_SERVICES=1 they fail.
"""

from __future__ import annotations

import functools
import os
import random
import shutil
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from praison_persist.sql.schema import tables
from praison_persist.sql.url import parse_url
from tests.freezing import freeze, thaw
from tests.services.singlestore import FUNCTIONS, SingleStore

POSTGRESQL, MARIADB = "postgresql", "mariadb"
COCKROACHDB, SINGLESTORE = "cockroachdb", "singlestore"
_POSTGRESQL = "PRAISON_TEST_POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432/postgres"
_SERVERS: dict[str, tuple[str, str]] = {
    POSTGRESQL: _POSTGRESQL,
    COCKROACHDB: _POSTGRESQL,  # behind tests/services/cockroach.py
    MARIADB: ("PRAISON_TEST_MARIADB_URL", "mysql://root@127.0.0.1:3306/test"),
    SINGLESTORE: ("PRAISON_TEST_SINGLESTORE_URL", ""),
}
_CREATE = {
    POSTGRESQL: "CREATE DATABASE {}",
    # latin1, so that a table or connection that relies on the default loses text in the tests.
    MARIADB: "CREATE DATABASE {} CHARACTER SET latin1",
    SINGLESTORE: "CREATE DATABASE {}",
    # CockroachDB compares text byte by byte.
    COCKROACHDB: "CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'",
}
_DROP = {
    **dict.fromkeys((POSTGRESQL, COCKROACHDB), "DROP DATABASE {} WITH (FORCE)"),
    **dict.fromkeys((MARIADB, SINGLESTORE), "DROP DATABASE {}"),
}
# Below those that Linux (ip(7), ip_local_port_range), macOS and Windows give outgoing connections.
_PORTS = range(11_000, 32_000)
_WORKERS = 8
_chosen: set[int] = set()
# It is built when it is installed, with a compiler and the headers of MySQL's or MariaDB's library.
needs_mysqlclient = pytest.mark.skipif(
    find_spec("MySQLdb") is None and os.environ.get("PRAISON_REQUIRE_MYSQLCLIENT") != "1",
    reason="PRAISON_REQUIRE_MYSQLCLIENT: the package mysqlclient is not installed",
)


def missing(variable: str, error: object) -> NoReturn:
    """Skip or fail a test whose service is not there."""
    message = f"{variable}: {error}"
    if os.environ.get("PRAISON_REQUIRE_SERVICES") == "1":
        pytest.fail(message)
    pytest.skip(message)


@contextmanager
def scratch(kind: str) -> Iterator[str]:
    """Yield the URL of an empty database; drop it afterwards.

    SingleStore is imitated in front of MariaDB, unless the URL of a real one is given.
    """
    variable, default = _SERVERS[kind]
    server = os.environ.get(variable, default)
    if not server:
        with scratch(MARIADB) as mariadb:
            real = sa.make_url(mariadb)
            with engine(mariadb, database=True).begin() as connection:
                for function in FUNCTIONS:
                    connection.exec_driver_sql(function)
            with SingleStore(real.host or "127.0.0.1", real.port or 3306) as imitation:
                url = real.set(drivername="singlestoredb", host="127.0.0.1", port=imitation.port)
                yield url.render_as_string(hide_password=False)
        return
    name = f"praison_test_{uuid.uuid4().hex[:12]}"
    try:
        administer(server, _CREATE[kind].format(name))
    except OperationalError as error:
        missing(variable, error)
    try:
        yield sa.make_url(server).set(database=name).render_as_string(hide_password=False)
    finally:
        administer(server, _DROP[kind].format(name))


def administer(url: str, *statements: str) -> list[tuple[Any, ...]]:
    """Run statements outside a transaction and past all our code but the URL; return the rows.

    On MariaDB and SingleStore no database is chosen, because the one in the URL may not exist.
    """
    own = engine(url)
    if own.dialect.name != "singlestoredb":  # its dialect does not know the word
        own = own.execution_options(isolation_level="AUTOCOMMIT")
    with own.connect() as connection:
        rows: list[tuple[Any, ...]] = []
        for statement in statements:
            result = connection.exec_driver_sql(statement.replace("%", "%%"))
            rows += [tuple(row) for row in result] if result.returns_rows else []
        return rows


def engine(url: str, *, database: bool = False) -> sa.Engine:
    """Return an engine of the test's own."""
    target = parse_url(url)
    driver = target.driver(is_async=False)
    chosen, arguments = target.sqlalchemy_url(driver), target.connect_args(driver)
    if target.dialect.name in ("mysql", "singlestoredb") and not database:
        chosen = chosen._replace(database=None)  # `set` takes None for no change
        arguments.pop("database", None)
    return sa.create_engine(chosen, connect_args=arguments, poolclass=NullPool)


def empty(url: str) -> None:
    """Delete all rows of a database's tables, if it has them yet."""
    ours = tables()
    with _emptying(url).begin() as connection:
        there = set(sa.inspect(connection).get_table_names())
        found = [table for table in ours.metadata.sorted_tables if table.name in there]
        filled = [
            sa.select(sa.literal(table.name)).where(sa.exists(sa.select(1).select_from(table)))
            for table in found
        ]
        names = set(connection.scalars(sa.union_all(*filled))) if filled else set()
        for table in reversed(found):
            if table.name in names:
                connection.execute(sa.delete(table))


@functools.cache
def _emptying(url: str) -> sa.Engine:
    """Return an engine for `empty`, kept: at its first connection each asks the server much."""
    return engine(url, database=True)


class OwnPostgres:
    """A PostgreSQL server that a test may stop, kill and start as it likes.

    Args:
        folder: where it keeps its data.
        copy_of: whose standby it is to be.
        binaries: the directory of its programs, if not of those installed.
    """

    def __init__(
        self, folder: Path, copy_of: OwnPostgres | None = None, *, binaries: Path | None = None
    ) -> None:
        self._data = folder / "data"
        self._folder = folder
        self._bin = binaries or _postgres_binaries()
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        # PostgreSQL refuses to run as root.
        self._user = "nobody" if os.geteuid() == 0 else None
        if self._user:
            shutil.chown(folder, self._user)
        if copy_of is None:
            self._run("initdb", *("-U", "postgres"), *("-A", "trust"), *("-E", "UTF8"), "--no-sync")
        else:
            # With the settings (-R) of a standby that the primary calls "standby".
            primary = f"host=127.0.0.1 port={copy_of.port} user=postgres application_name=standby"
            self._run("pg_basebackup", *("-d", primary), "-R", *("-c", "fast"), "--no-sync")

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [self._bin / program, "-D", self._data, *arguments],
            check=True,
            capture_output=True,
            user=self._user,
            cwd=self._folder,
        )

    def configure(self, settings: str) -> None:
        """Add to its settings, before it is started."""
        with (self._data / "postgresql.conf").open("a") as file:
            file.write(f"{settings}\n")

    def promote(self) -> None:
        """Make a standby the primary, and wait until it is."""
        self._run("pg_ctl", "promote", "-w")

    def kill(self) -> None:
        """End the server and its sessions as the kernel would: nothing says goodbye."""
        assert self._process is not None
        children = _children(self._process.pid)
        self._process.kill()
        for child in children:
            with suppress(ProcessLookupError):  # it ended with its parent
                os.kill(child, signal.SIGKILL)
        self._process.wait(30)

    @property
    def url(self) -> str:
        """The URL of its database."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Start the server and wait until it answers."""
        self._process = subprocess.Popen(
            [
                self._bin / "postgres",
                *("-D", self._data, "-p", str(self.port)),
                *(
                    "-c",
                    "listen_addresses=127.0.0.1",
                    "-c",
                    f"unix_socket_directories={self._folder}",
                ),
                *("-c", "shared_buffers=16MB", "-c", "max_connections=40"),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            user=self._user,
            cwd=self._folder,
            start_new_session=True,
        )
        deadline = time.monotonic() + 60
        ready = [str(self._bin / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        while subprocess.run(ready, check=False).returncode:
            assert self._process.poll() is None, "the server ended"
            assert time.monotonic() < deadline, "the server does not answer"
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop at once, as a crash does; what was acknowledged is recovered at the start."""
        assert self._process is not None
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait(30)

    def ask_password_of(self, user: str) -> None:
        """Let this user in only with its password; all others need none."""
        rules = self._data / "pg_hba.conf"
        rules.write_text(f"host all {user} 127.0.0.1/32 scram-sha-256\n{rules.read_text()}")
        administer(self.url, "SELECT pg_reload_conf()")

    def freeze(self) -> None:
        """Let the server and its sessions hang, as a lost network does."""
        assert self._process is not None
        freeze([self._process.pid])  # it begins no further one
        freeze(_children(self._process.pid))

    def thaw(self) -> None:
        """End `freeze`."""
        assert self._process is not None
        thaw([*_children(self._process.pid), self._process.pid])

    def close(self) -> None:
        """End the server, whatever state it is in."""
        if self._process is not None and self._process.poll() is None:
            self.thaw()
            self.stop()


def _children(pid: int) -> list[int]:
    """Return the processes that a server works and serves its sessions with."""
    found = subprocess.run(
        ["ps", "--ppid", str(pid), "-o", "pid="], check=False, capture_output=True, text=True
    )
    return [int(line) for line in found.stdout.split()]


def _postgres_binaries() -> Path:
    """Return the directory of a PostgreSQL server's programs."""
    candidates = [Path(os.environ["PRAISON_TEST_POSTGRES_BIN"])] if _named() else []
    on_path = shutil.which("initdb")
    candidates += [Path(on_path).resolve().parent] if on_path else []
    candidates += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for candidate in candidates:
        if all((candidate / name).exists() for name in ("postgres", "initdb", "pg_isready")):
            return candidate
    missing("PRAISON_TEST_POSTGRES_BIN", "no directory with initdb and postgres was found")


def _named() -> bool:
    return bool(os.environ.get("PRAISON_TEST_POSTGRES_BIN"))


def free_port(below: int = _PORTS.stop) -> int:
    """Return a port that nothing listens on, and that no outgoing connection will be given.

    Processes of one run choose from ranges of their own, and none chooses one twice: between this
    and the start of a server, another's must not take the port.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
    worker += int(os.environ.get("PRAISON_TEST_FIRST_WORKER", "0"))  # of a run beside others
    mine = [port for port in _PORTS[worker % _WORKERS :: _WORKERS] if port < below]
    while True:
        port = random.choice(mine)
        if port not in _chosen and _is_free(port):
            _chosen.add(port)
            return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
