"""A project of Supabase that is set up, for all tests of this process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from praison_persist.conversation.supabase_sql import install
from tests.servers import empty
from tests.services.supabase import Supabase, project


@pytest.fixture(scope="session")
def running() -> Iterator[tuple[str, Supabase]]:
    with project() as (url, supabase):
        install(url)
        supabase.api.start()
        yield url, supabase


@pytest.fixture
def database(running: tuple[str, Supabase]) -> Iterator[str]:
    """The PostgreSQL URL of the project, whose tables are empty."""
    yield running[0]
    empty(running[0])


@pytest.fixture
def supabase(running: tuple[str, Supabase], database: str) -> Iterator[Supabase]:
    """The API of that project."""
    yield running[1]
    running[1].reset()
