"""Databases that tests share."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import certifi
import pytest

from praison_persist.sql import migrate
from praison_persist.sql.stores import SQLConversationStore

from .open_engines import open_engines
from .servers import COCKROACHDB, MARIADB, POSTGRESQL, SINGLESTORE, OwnPostgres, scratch
from .services.cockroach import Cockroach
from .services.sqld import Sqld, sqld

pytest.register_assert_rewrite("tests.conformance")
_END = "-----END CERTIFICATE-----\n"


def pytest_configure(config: pytest.Config) -> None:
    """Have one authority in place of all that the system trusts: the tests' servers are local.

    PyMySQL reads all of them for each connection, httpx for each client, which takes each 20 ms.
    """
    bundle = Path(certifi.where()).read_text("ascii", "ignore")
    folder = tempfile.TemporaryDirectory()
    config.add_cleanup(folder.cleanup)
    one = Path(folder.name) / "authority.pem"
    one.write_text(bundle[: bundle.index(_END) + len(_END)], "ascii")
    patch = pytest.MonkeyPatch()
    config.add_cleanup(patch.undo)
    patch.setenv("SSL_CERT_FILE", str(one))


@pytest.fixture(autouse=True)
def _nothing_left_open() -> Iterator[None]:
    """Every test closes its stores."""
    before = open_engines()
    yield
    assert open_engines() <= before


@pytest.fixture(scope="module")
def postgres_database() -> Iterator[str]:
    """The URL of an empty PostgreSQL database of this module."""
    with scratch(POSTGRESQL) as url:
        yield url


@pytest.fixture(scope="module")
def own_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnPostgres]:
    """A PostgreSQL server of this module, running when a test begins."""
    with tempfile.TemporaryDirectory(prefix="praison-pg-") as folder:
        server = OwnPostgres(Path(folder))
        server.start()
        yield server
        server.close()


@pytest.fixture(scope="module")
def cockroach() -> Iterator[Cockroach]:
    """A stand-in for CockroachDB with an empty database of this module."""
    with scratch(COCKROACHDB) as url, Cockroach(url) as server:
        yield server


@pytest.fixture(scope="module")
def mariadb_database() -> Iterator[str]:
    """The URL of an empty MariaDB database of this module."""
    with scratch(MARIADB) as url:
        yield url


@pytest.fixture(scope="module")
def singlestore_database() -> Iterator[str]:
    """The URL of an empty SingleStore database of this module."""
    with scratch(SINGLESTORE) as url:
        yield url


@pytest.fixture(scope="session")
def sqld_template(tmp_path_factory: pytest.TempPathFactory) -> Sqld:
    """A libSQL server that has ended, with empty tables in its folder."""
    with sqld(tmp_path_factory.mktemp("sqld") / "template") as server:
        migrate.upgrade(server.url)
    return server


@pytest.fixture
def own_sqld(sqld_template: Sqld) -> Iterator[Sqld]:
    """A libSQL server of this test, with empty tables.

    Its own: sqld 0.24 may come to hang where several write while it writes its log back, which
    begins at four megabytes.
    """
    with sqld_template.copy() as server:
        yield server


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with empty tables, to be copied."""
    path = tmp_path_factory.mktemp("template") / "template.db"
    with SQLConversationStore(path) as store:
        store.connect()
    return path
