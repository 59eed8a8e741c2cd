"""Places that checkpoints and items are kept in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.servers import MARIADB, POSTGRESQL, scratch
from tests.services import mongod
from tests.services.mongod import OwnMongod
from tests.state.services import namespace

Location = dict[str, Any]


@pytest.fixture(scope="session")
def postgres_for_graphs() -> Iterator[str]:
    """The URL of a PostgreSQL database for all tests of a process: they use keys of their own."""
    with scratch(POSTGRESQL) as url:
        yield url


@pytest.fixture(scope="session")
def mariadb_for_graphs() -> Iterator[str]:
    """As above, on MariaDB."""
    with scratch(MARIADB) as url:
        yield url


@pytest.fixture(scope="session")
def mongodb_for_graphs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a mongod."""
    named = mongod.named()
    if named is not None:
        yield named
        return
    server = OwnMongod(tmp_path_factory.mktemp("mongod"))
    server.start()
    try:
        yield server.url
    finally:
        server.close()


def locations(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Location]:
    """Yield the arguments of a saver or store on the backend that is the fixture's parameter."""
    backend = request.param
    if backend == "redis":
        with namespace() as (url, prefix):
            yield {"store": url, "prefix": prefix}
    elif backend == "mongodb":
        url = request.getfixturevalue("mongodb_for_graphs")
        with mongod.database(url) as name:
            yield {"store": url, "database": name}
    elif backend == "memory":
        yield {"store": "memory"}
    elif backend == "file":
        yield {"store": f"memory:///{tmp_path / 'state.json'}"}
    elif backend == "sqlite":
        yield {"store": tmp_path / "graphs.db"}
    else:
        key_prefix = tmp_path.name.replace("-", "_")[:40]
        url = request.getfixturevalue(f"{backend}_for_graphs")
        yield {"store": url, "key_prefix": f"{key_prefix}{id(tmp_path)}"}


@pytest.fixture(params=["memory", "sqlite", "postgres", "redis", "mongodb"])
def everywhere(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Location]:
    """One of all kinds of places."""
    yield from locations(request, tmp_path)


@pytest.fixture(params=["file", "sqlite", "mariadb", "redis"])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Location]:
    """One that another process can open."""
    yield from locations(request, tmp_path)
