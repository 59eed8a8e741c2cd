"""Databases that adapters are tried on: a URL of each kind, of the test module's own."""

from __future__ import annotations

from pathlib import Path

import pytest

SQL = ["sqlite", "postgresql", "mariadb"]
PLACES = [*SQL, "json"]


def url_of(kind: str, request: pytest.FixtureRequest, folder: Path) -> str:
    """Return the URL of a database of this kind; those of servers are shared by a module."""
    if kind == "sqlite":
        return f"sqlite:///{folder}/agents.db"
    if kind == "json":
        return f"json:{folder}/agents"
    fixture = {"postgresql": "postgres_database", "mariadb": "mariadb_database"}[kind]
    url: str = request.getfixturevalue(fixture)
    return url
