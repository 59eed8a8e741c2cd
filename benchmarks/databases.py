"""Empty databases for contenders, one each."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from benchmarks.contenders import MARIADB, POSTGRESQL, REDIS, SQLITE
from benchmarks.contenders.base import Place
from tests.servers import administer, scratch

__all__ = ["SERVERS", "database", "server_url"]

SERVERS = {
    POSTGRESQL: ("PRAISON_TEST_POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432/postgres"),
    MARIADB: ("PRAISON_TEST_MARIADB_URL", "mysql://root@127.0.0.1:3306/test"),
    REDIS: ("PRAISON_TEST_REDIS_URL", "redis://127.0.0.1:6379/15"),
}
"""Where servers are, as for the tests: a variable and its default."""


def server_url(engine: str) -> str:
    """Return the URL of a server."""
    variable, default = SERVERS[engine]
    return os.environ.get(variable, default)


@contextmanager
def database(engine: str, folder: Path) -> Iterator[Place]:
    """Yield an empty database, which is dropped afterwards."""
    if engine == SQLITE:
        yield Place(engine, f"sqlite:///{folder}/{uuid.uuid4().hex}.db")
    elif engine == REDIS:
        yield Place(engine, server_url(engine))
    else:
        with scratch(engine) as url:
            if engine == MARIADB:
                # Peers rely on the default, which the tests choose to be a narrow one.
                name = sa.make_url(url).database
                administer(url, f"ALTER DATABASE `{name}` CHARACTER SET utf8mb4")
            yield Place(engine, url)
