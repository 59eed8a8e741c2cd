"""A plugin of pytest: in the SDK's own tests, its session on SQLite is one in our store.

`-p openai_published`, in the SDK's sources. What looks into `sqlite3` or into what is private there
is left out, and so is what `OTHERWISE` says.
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import agents
import agents.memory
import agents.memory.sqlite_session
import pytest

from praison_persist._adapt import background_loop
from praison_persist.integrations.openai_agents import PersistSession

_INSIDE = re.compile(r"session\w*\._\w|sqlite3|SQLiteSession\._|_pop_item_with_validation")
# Tests of what is different here, and said to be in docs/integrations/openai_agents.md.
OTHERWISE = {
    "test_sqlite_session_closed_rejects_empty_add_items": "adding nothing touches no store",
    "test_encrypted_session_scan_budget_rejects_negative_limit_before_read": "limits below 0",
    "test_encrypted_compaction_skips_unencrypted_stored_history": "replaces a part of the history",
    "test_encrypted_pop_cancellation_waits_for_authentication_rollback": "pops with a callback",
    "test_automatic_compaction_rollback_budget": "replaces a part of the history",
}


class OnOurs(PersistSession):
    """A session with the arguments of the SDK's, which is closed without a loop."""

    def __init__(
        self, session_id: str, db_path: str | Path = ":memory:", session_settings: Any = None
    ) -> None:
        super().__init__(session_id, db_path, session_settings=session_settings)

    def close(self) -> None:  # type: ignore[override]  # as theirs
        """Close it, as the SDK's own is closed."""
        background_loop().call(super().close())


for module in (agents, agents.memory, agents.memory.sqlite_session):
    setattr(module, "SQLiteSession", OnOurs)  # noqa: B010 - it is not theirs


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the tests that use such a session, and nothing of it that is private."""
    kept: list[pytest.Item] = []
    left_out: list[pytest.Item] = []
    for item in items:
        function: Any = getattr(item, "function", None)
        source = inspect.getsource(function)
        of_a_session = "SQLiteSession(" in source and not _INSIDE.search(source)
        wanted = of_a_session and function.__name__ not in OTHERWISE
        (kept if wanted else left_out).append(item)
    items[:] = kept
    config.hook.pytest_deselected(items=left_out)
