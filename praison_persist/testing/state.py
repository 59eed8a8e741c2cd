"""The conformance suite of state stores.

A backend's test file is one class with one fixture:

    class TestMine(StateStoreContract):
        @pytest.fixture
        def open_state(self, tmp_path, clock):
            return lambda: MyStateStore(tmp_path / "my.db", clock=clock)

`open_state` returns a function that opens a store; each call opens the same data, which is empty at
the beginning of a test. Where a second store of the same data cannot be opened so, the fixture
`second` is overridden; where the server tells the time, `advance` is. An async store joins through
`blocking(store, StateStore)`.
"""

from __future__ import annotations

from typing import ClassVar

from praison_persist.protocols import StateStore
from praison_persist.testing.state_contract import Advance, Clock
from praison_persist.testing.state_expiry import ExpiryContract
from praison_persist.testing.state_keys import HashContract, KeyContract
from praison_persist.testing.state_machine import state_agrees_with_reference
from praison_persist.testing.state_races import (
    StateCloseContract,
    StateRaceContract,
    VersionContract,
)
from praison_persist.testing.state_values import StateValueContract

__all__ = ["Clock", "StateStoreContract", "state_agrees_with_reference"]


class StateStoreContract(
    StateValueContract,
    KeyContract,
    HashContract,
    ExpiryContract,
    VersionContract,
    StateRaceContract,
    StateCloseContract,
):
    """What every state store does; see the module for how to join.

    Attributes:
        sequences: how many sequences of calls are compared with the reference.
    """

    sequences: ClassVar[int] = 6

    def test_any_sequence_of_calls_agrees_with_the_reference(
        self, store: StateStore, advance: Advance
    ) -> None:
        """Each method keeps its promise alone, and two of them in a row do not."""
        state_agrees_with_reference(store, advance, examples=self.sequences)
