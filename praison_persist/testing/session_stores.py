"""The conformance suite of session stores.

A backend's test file is one class with one fixture:

    class TestMine(SessionStoreContract):
        @pytest.fixture
        def open_sessions(self, tmp_path):
            return lambda **options: MySessionStore(tmp_path / "my.db", **options)

`open_sessions` returns a function that opens a store with the options of `SessionStore`; each call
opens the same data, which is empty at the beginning of a test. A store that cannot search joins
`SessionKeepingContract`.
"""

from __future__ import annotations

from praison_persist.testing.session_contract import OpenSessions, SessionContract
from praison_persist.testing.session_details import (
    DetailContract,
    IdContract,
    RuntimeStateContract,
    TitleContract,
)
from praison_persist.testing.session_finding import (
    SearchContract,
    TransferContract,
    WindowReadContract,
)
from praison_persist.testing.session_races import (
    MirrorContract,
    ProtocolContract,
    SessionRaceContract,
)
from praison_persist.testing.session_trees import SnapshotContract, TreeContract
from praison_persist.testing.session_turns import TurnContract, WindowContract

__all__ = ["OpenSessions", "SessionContract", "SessionKeepingContract", "SessionStoreContract"]


class SessionKeepingContract(
    TurnContract,
    WindowContract,
    TreeContract,
    SnapshotContract,
    IdContract,
    DetailContract,
    TitleContract,
    RuntimeStateContract,
    WindowReadContract,
    TransferContract,
    SessionRaceContract,
    MirrorContract,
    ProtocolContract,
):
    """What every session store does, but search."""


class SessionStoreContract(SessionKeepingContract, SearchContract):
    """What every session store does; see the module for how to join."""
