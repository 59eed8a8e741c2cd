"""What is public is what is listed, and importing it costs nothing until it is used."""

from __future__ import annotations

import importlib
import pkgutil
from contextlib import suppress

import pytest

import praison_persist
from praison_persist.errors import MissingDependencyError
from tests.packages import not_installed

from .processes import run

MODULES = [
    module.name
    for module in pkgutil.walk_packages(praison_persist.__path__, "praison_persist.")
    if not module.name.endswith("__main__") and ".migrations" not in module.name
]


def test_each_listed_name_can_be_imported() -> None:
    for name in praison_persist.__all__:
        with suppress(MissingDependencyError):  # which names the extra: test_registry.py
            assert getattr(praison_persist, name) is not None
    assert len(set(praison_persist.__all__)) == len(praison_persist.__all__)


def test_each_name_that_can_be_imported_is_listed() -> None:
    for name in praison_persist.__all__:
        with suppress(MissingDependencyError):  # as above
            getattr(praison_persist, name)
    submodules = {module.rpartition(".")[2] for module in MODULES}
    found = {
        name
        for name in vars(praison_persist)
        if not name.startswith("_") and name not in submodules | {"TYPE_CHECKING", "annotations"}
    }
    listed = set(praison_persist.__all__) - {"__version__"}
    found -= {"Any", "lazy_attribute"}
    assert found <= listed
    for name in listed - submodules - found:
        with pytest.raises(MissingDependencyError):
            getattr(praison_persist, name)


def test_dir_lists_them_too() -> None:
    assert set(praison_persist.__all__) <= set(dir(praison_persist))


def test_a_name_that_does_not_exist() -> None:
    with pytest.raises(AttributeError, match="'nosuch'"):
        _ = praison_persist.nosuch


@pytest.mark.parametrize("module", MODULES)
def test_each_module_lists_what_it_has(module: str) -> None:
    try:
        loaded = importlib.import_module(module)
    except ModuleNotFoundError as error:
        not_installed(error)
    for name in getattr(loaded, "__all__", ()):
        assert hasattr(loaded, name), name


def test_db_is_a_namespace_that_can_be_called() -> None:
    db = praison_persist.db
    assert repr(db) == "praison_persist.db"
    assert db.DB is db.PraisonDB is db.PraisonAIDB is praison_persist.PraisonAIDB
    assert db.DB is praison_persist.DB is praison_persist.PraisonDB
    assert db.PostgresDB is praison_persist.PostgresDB
    assert db.SQLiteDB is praison_persist.SQLiteDB
    with db(":memory:") as made:
        assert isinstance(made, praison_persist.PraisonAIDB)
    with db(database_url=":memory:", history_limit=5) as made:
        assert repr(made) == f"PraisonAIDB({made.database_url!r})"


def test_importing_the_package_loads_no_database_and_no_agent() -> None:
    output, _ = run(
        """
        import praison_persist
        from praison_persist import ConversationMessage, UnavailableError, get_default_registry
        get_default_registry("conversation").list_aliases()
        heavy = {"sqlalchemy", "alembic", "psycopg", "asyncpg", "pymysql", "aiomysql",
                 "aiosqlite", "praisonaiagents", "redis", "httpx"}
        print(sorted(heavy & set(sys.modules)))
        """
    )
    assert output == "[]\n"


def test_using_an_adapter_does_not_load_the_core() -> None:
    """The hooks can be called where no agent is."""
    output, _ = run(
        """
        from praison_persist import db
        with db(":memory:") as keeper:
            keeper.on_run_start("s", "r", "q")
            keeper.on_tool_call("s", "f")
            keeper.on_run_end("s", "r", "a")
        print("praisonaiagents" in sys.modules)
        """
    )
    assert output == "False\n"
