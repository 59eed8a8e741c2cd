"""An empty database for each test, on each engine that can be reached."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from tests import servers
from tests.servers import MARIADB, POSTGRESQL, SINGLESTORE

__all__ = ["ENGINES", "MARIADB", "POSTGRESQL", "SINGLESTORE", "SQLITE", "Scratch", "scratch"]

SQLITE = "sqlite"
ENGINES = (SQLITE, POSTGRESQL, MARIADB)


@dataclass(frozen=True)
class Scratch:
    """A database of one test."""

    kind: str
    url: str

    @property
    def is_transactional(self) -> bool:
        """Whether a failed migration leaves nothing behind."""
        return self.kind not in (MARIADB, SINGLESTORE)

    def engine(self) -> sa.Engine:
        return servers.engine(self.url, database=True)

    @contextmanager
    def connect(self) -> Iterator[sa.Connection]:
        """Yield a connection in a transaction."""
        with self.engine().begin() as connection:
            yield connection

    def run(self, *statements: str) -> None:
        """Execute statements as they are."""
        with self.connect() as connection:
            for statement in statements:
                connection.exec_driver_sql(self._literal(statement))

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        with self.connect() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(self._literal(statement))]

    def _literal(self, statement: str) -> str:
        return statement if self.kind == SQLITE else statement.replace("%", "%%")


@contextmanager
def scratch(kind: str, folder: Path) -> Iterator[Scratch]:
    """Yield an empty database; drop it afterwards."""
    if kind == SQLITE:
        yield Scratch(kind, f"sqlite:///{folder / 'scratch.db'}")
        return
    with servers.scratch(kind) as url:
        yield Scratch(kind, url)
