"""Conversations in the files of a folder, in both colours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

from praison_persist._adapt import blocking
from praison_persist.conversation.base import BaseConversationStore
from praison_persist.conversation.driver import ConversationDriver
from praison_persist.conversation.json_driver import JSONDriver
from praison_persist.conversation.json_file import (
    AsyncJSONConversationStore,
    JSONConversationStore,
)
from praison_persist.protocols import ConversationStore
from praison_persist.testing import ConversationStoreContract
from praison_persist.testing.contract import OpenStore


class TestSync(ConversationStoreContract):
    @pytest.fixture
    def open_store(self, tmp_path: Path) -> OpenStore:
        return lambda: JSONConversationStore(tmp_path / "new" / "folder")


@pytest.mark.again
class TestAsync(ConversationStoreContract):
    sequences = 3

    @pytest.fixture
    def open_store(self, tmp_path: Path) -> OpenStore:
        def open_store() -> ConversationStore:
            return blocking(AsyncJSONConversationStore(tmp_path, pretty=False), ConversationStore)

        return open_store


def _in_turns(name: str) -> Callable[..., Any]:
    def hook(self: Any, *arguments: Any, **named: Any) -> Any:
        return getattr(next(self.drivers), name)(*arguments, **named)

    return hook


class _Turns(JSONDriver):
    """Has each hook called of the next of `drivers`."""

    drivers: Iterator[ConversationDriver]


for _name in ConversationDriver.__abstractmethods__ - {"close"}:
    setattr(_Turns, _name, _in_turns(_name))


class TestStoresInTurns(ConversationStoreContract):
    """Each call is another store's than the one before, so that what one remembers is outdated."""

    sequences = 4

    @pytest.fixture
    def open_store(self, tmp_path: Path) -> OpenStore:
        def open_store() -> ConversationStore:
            turns = _Turns(tmp_path, pretty=True, lock_timeout=30)
            # A list: threads may not share a generator.
            turns.drivers = cycle(
                [JSONDriver(tmp_path, pretty=True, lock_timeout=30) for _ in range(2)]
            )
            return BaseConversationStore(turns)

        return open_store
