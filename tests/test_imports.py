"""Importing is cheap, and what is public can be imported."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

import praison_persist
from praison_persist.errors import MissingDependencyError

HEAVY = {
    "aiomysql",
    "aiosqlite",
    "alembic",
    "asyncio",
    "asyncpg",
    "filelock",
    "hypothesis",
    "praisonaiagents",
    "psycopg",
    "pymysql",
    "pytest",
    "sqlalchemy",
    "sqlite3",
}


def loaded_by(program: str) -> set[str]:
    """Return the modules that a fresh interpreter has loaded after running `program`."""
    code = f"import sys\n{program}\nprint('\\n'.join(sys.modules))"
    found = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(praison_persist.__file__).parent.parent,
    )
    return set(found.stdout.split())


def test_importing_the_package_loads_neither_sqlalchemy_nor_a_driver() -> None:
    """A command line that never touches a database starts a quarter of a second later."""
    assert loaded_by("import praison_persist") & HEAVY == set()


def test_importing_models_errors_and_protocols_loads_no_sql() -> None:
    """Who writes a backend of another kind has SQLAlchemy to install."""
    program = "from praison_persist import Run, PersistError, ConversationStore, Capability"
    assert loaded_by(program) & (HEAVY - {"asyncio"}) == set()


def test_a_first_message_loads_what_it_needs(tmp_path: Path) -> None:
    """A process that stores one message imports Alembic, and the dialects of all databases."""
    program = f"""
from praison_persist import ConversationMessage, ConversationSession, SQLiteConversationStore
with SQLiteConversationStore({str(tmp_path / "agent.db")!r}) as store:
    store.ensure_session(ConversationSession("s"))
    store.add_message("s", ConversationMessage(role="user", content="Hello"))
"""
    loaded_by(program)  # makes the tables
    loaded = loaded_by(program)
    assert loaded & (HEAVY - {"asyncio", "sqlalchemy", "sqlite3"}) == set()
    dialects = {name for name in loaded if name.startswith("sqlalchemy.dialects.")}
    assert {name.split(".")[2] for name in dialects} <= {"sqlite", "_typing"}
    assert not any(name.startswith(("sqlalchemy.orm", "sqlalchemy.ext.asyncio")) for name in loaded)
    assert len(loaded) <= 450


def test_a_rest_store_loads_no_sql() -> None:
    """It is for functions that start often, and where there is no driver."""
    program = "from praison_persist import SupabaseConversationStore"
    assert loaded_by(program) & (HEAVY - {"asyncio"}) == set()


def test_a_store_loads_only_its_own_driver(tmp_path: Path) -> None:
    """One missing package of another database breaks this one."""
    program = f"""
from praison_persist import SQLConversationStore
store = SQLConversationStore({str(tmp_path / "x.db")!r})
store.connect()
"""
    assert not loaded_by(program) & {"psycopg", "asyncpg", "pymysql", "aiomysql", "aiosqlite"}


def test_a_store_of_a_current_database_does_not_load_alembic(
    tmp_path: Path, sqlite_template: Path
) -> None:
    """Each start pays for a migration that has nothing to do."""
    program = f"""
from praison_persist import SQLConversationStore
store = SQLConversationStore({str(sqlite_template)!r})
store.list_sessions()
"""
    assert "alembic" not in loaded_by(program)


def test_every_public_name_exists() -> None:
    """A name in __all__ that does not exist breaks `import *`."""
    names = praison_persist.__all__
    assert len(set(names)) == len(names)
    for name in names:
        with suppress(MissingDependencyError):  # of a vector store: its class is there
            assert getattr(praison_persist, name) is not None
    assert set(names) <= set(dir(praison_persist))


def test_a_name_that_does_not_exist_is_an_attribute_error() -> None:
    """`hasattr` raises, and a misspelt import is an ImportError of something else."""
    with pytest.raises(AttributeError, match="nonsense"):
        _ = praison_persist.nonsense
    with pytest.raises(ImportError):
        exec("from praison_persist import nonsense")
