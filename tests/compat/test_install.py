"""praison_persist under the names of praisonai, in a program that cannot be changed."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.agent.processes import run

# What a user's program does, with the names of praisonai alone.
USER = """
import praisonai.persistence.conversation.sqlite as module
from praisonai._registry import PluginRegistry
from praisonai.db import SQLiteDB
from praisonai.persistence import ConversationMessage, ConversationSession, conversation
from praisonai.persistence.conversation.mysql_new import MySQLConversationStore
from praisonai.persistence.factory import create_conversation_store
from praisonai.persistence.registry import CONVERSATION_STORES, StoreRegistry

store = create_conversation_store("sqlite", sys.argv[1])
store.create_session(ConversationSession(session_id="s"))
store.add_message("s", ConversationMessage(role="user", content="hi"))
assert [message.content for message in store.get_messages("s")] == ["hi"]
assert isinstance(store, module.SQLiteConversationStore)
assert isinstance(store, conversation.ConversationStore)
assert isinstance(CONVERSATION_STORES, StoreRegistry)
assert issubclass(StoreRegistry, PluginRegistry)
store.close()
SQLiteDB(sys.argv[1]).close()
"""


def test_a_program_runs_without_praisonai(tmp_path: Path) -> None:
    output, _ = run(
        f"""
import sys
from importlib.util import find_spec
from praison_persist import compat

assert find_spec("praisonai") is None, "there must be none for this test"
compat.install()
compat.install()
assert [type(finder).__name__ for finder in sys.meta_path].count("TableFinder") == 2
{USER}
assert find_spec("praisonai.persistence.nosuch") is None
assert find_spec("praisonai.cli") is None
assert compat.is_installed()
compat.uninstall()
compat.uninstall()
assert not compat.is_installed()
assert not [name for name in sys.modules if name.partition(".")[0] == "praisonai"]
try:
    import praisonai.persistence
except ModuleNotFoundError:
    print("gone")
""",
        str(tmp_path / "x.db"),
    )
    assert output == "gone\n"


def _stand_in(folder: Path) -> str:
    """Write a package praisonai with a persistence of its own, and something else."""
    package = folder / "praisonai"
    (package / "persistence").mkdir(parents=True)
    (package / "__init__.py").write_text("REAL = True\n")
    (package / "other.py").write_text("from praisonai.persistence import ConversationStore\n")
    (package / "persistence" / "__init__.py").write_text("ConversationStore = 'the original'\n")
    return str(folder)


def test_the_rest_of_an_installed_praisonai_stays(tmp_path: Path) -> None:
    output, _ = run(
        f"""
import sys
sys.path.insert(0, sys.argv[2])
import praison_persist.compat as compat

compat.install()
{USER}
import praisonai.other
from praison_persist import ConversationStore
assert praisonai.REAL
assert praisonai.other.ConversationStore is ConversationStore
compat.uninstall()
assert not hasattr(praisonai, "persistence")
import praisonai.persistence
print(praisonai.persistence.ConversationStore)
""",
        str(tmp_path / "x.db"),
        _stand_in(tmp_path / "site"),
    )
    assert output == "the original\n"


def test_it_is_too_late_when_the_original_was_imported(tmp_path: Path) -> None:
    """Two classes of one name, and isinstance is false for half of the objects."""
    output, _ = run(
        """
import sys
sys.path.insert(0, sys.argv[1])
import praisonai.persistence
from praison_persist import ConfigurationError, compat

try:
    compat.install()
except ConfigurationError as error:
    print(error)
assert not compat.is_installed()
""",
        _stand_in(tmp_path / "site"),
    )
    assert output.startswith("praisonai.persistence was imported already, and 0 more modules")


def test_importing_the_tree_loads_no_store_and_no_driver() -> None:
    output, _ = run(
        """
import importlib, sys
from praison_persist.compat.modules import MODULES

for name in MODULES:
    importlib.import_module(f"praison_persist.compat.{name}")
heavy = {"sqlalchemy", "alembic", "psycopg", "pymysql", "aiosqlite", "redis", "pymongo", "boto3"}
print(heavy & set(sys.modules))
""",
    )
    assert output == "set()\n"


def test_a_module_tells_where_it_is_from() -> None:
    import praison_persist.compat.persistence.state.redis as module  # noqa: PLC0415 - the test

    assert "compat/modules.py" in repr(module)
    assert module.__name__ in sys.modules
    assert module.__doc__
    assert not hasattr(module, "persistence")


def test_the_core_package_finds_the_adapters(tmp_path: Path) -> None:
    """`from praisonaiagents import db` imports praisonai.db.adapter."""
    output, _ = run(
        """
import sys
from praison_persist import PraisonAIDB, compat

compat.install()
from praisonaiagents import Agent, MemoryConfig, db

with db(database_url=sys.argv[1]) as adapter:
    assert isinstance(adapter, PraisonAIDB)
    Agent(name="a", memory=MemoryConfig(db=adapter, session_id="s", backend="in_memory"))
    adapter.on_user_message("s", "hi")
with db.SQLiteDB(path=sys.argv[1]) as adapter:
    print([message.content for message in adapter.get_messages("s")])
""",
        str(tmp_path / "x.db"),
    )
    assert output == "['hi']\n"
