"""The client of Valkey that other parts of praisonai share; the stores here use redis-py."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from praison_persist.errors import MissingDependencyError

__all__ = ["create_valkey_client"]


def create_valkey_client(
    host: str = "localhost", port: int = 6379, password: str | None = None, db: int = 0
) -> Any:
    """Return a sync client of Valkey GLIDE, connected.

    Raises:
        MissingDependencyError: valkey-glide-sync is not installed.
    """
    try:
        glide: Any = import_module("glide_sync")
    except ImportError as error:
        raise MissingDependencyError(
            "This client needs the package 'valkey-glide-sync', which is not installed. Install "
            "it: pip install valkey-glide-sync"
        ) from error
    configuration = glide.GlideClientConfiguration(
        addresses=[glide.NodeAddress(host, port)],
        credentials=glide.ServerCredentials(password=password) if password else None,
        database_id=db,
    )
    return glide.GlideClient.create(configuration)
