"""The conformance suite of conversation stores.

A backend's test file is one class with one fixture:

    class TestMine(ConversationStoreContract):
        @pytest.fixture
        def open_store(self, tmp_path):
            return lambda: MyStore(tmp_path / "my.db")

`open_store` returns a function that opens a store; each call opens the same data, which is empty at
the beginning of a test. Where a second store of the same data cannot be opened so, the fixture
`second` is overridden. An async store joins through `blocking(store, ConversationStore)`.
"""

from __future__ import annotations

from typing import ClassVar

from praison_persist.protocols import ConversationStore
from praison_persist.testing.dumps import DumpContract
from praison_persist.testing.machine import agrees_with_reference
from praison_persist.testing.messages import BatchContract, MessageContract
from praison_persist.testing.pages import PageContract
from praison_persist.testing.races import CloseContract, RaceContract
from praison_persist.testing.search import SearchContract
from praison_persist.testing.sessions import SessionContract
from praison_persist.testing.values import ValueContract

__all__ = ["ConversationStoreContract"]


class ConversationStoreContract(
    SessionContract,
    MessageContract,
    BatchContract,
    ValueContract,
    PageContract,
    DumpContract,
    SearchContract,
    RaceContract,
    CloseContract,
):
    """What every conversation store does; see the module for how to join.

    Attributes:
        sequences: how many sequences of calls are compared with the reference.
    """

    sequences: ClassVar[int] = 10

    def test_any_sequence_of_calls_agrees_with_the_reference(
        self, store: ConversationStore
    ) -> None:
        """Each method keeps its promise alone, and two of them in a row do not."""
        agrees_with_reference(lambda: store, examples=self.sequences)
